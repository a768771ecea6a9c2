"""A client that was answered for (C17, C21): its file, its place, its secrets, and its first backup."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from client_file import client_in, opened

INVENTORY, DEPOT = Path(os.environ["PROSECOURS_INVENTORY"]), Path(os.environ["PROSECOURS_DEPOT"])
CLIENT, SERVER, KNOWN = "earl_du_noyer", "noyer-srv1", "gaec_deja_la"
FILE = INVENTORY / "clients" / f"{CLIENT}.yml"
PASSWORDS = ("prosecours_repository_password", "prosecours_encryption_password")


@pytest.fixture(scope="module")
def client() -> Any:
    return client_in(FILE)


@pytest.fixture(scope="module")
def secrets(client: Any) -> dict[str, str]:
    """The server's passwords, opened by ansible-vault itself."""
    return {name: opened(client["hosts"][SERVER][name]) for name in PASSWORDS}


def test_the_file_says_what_was_answered_and_is_the_provider_s_alone(client: Any) -> None:
    answers = yaml.safe_load(Path(os.environ["PROSECOURS_LAB"], "answers.yml").read_text("utf-8"))
    told = {**client["vars"], "client": CLIENT, "servers": {}}
    told["servers"] = {
        name: {key: value for key, value in own.items() if key not in PASSWORDS}
        for name, own in client["hosts"].items()
    }
    told.pop("prosecours_repository_url")
    assert told == answers
    assert stat.S_IMODE(FILE.stat().st_mode) == 0o640
    assert sorted(path.name for path in FILE.parent.iterdir()) == [FILE.name, f"{KNOWN}.yml"]


def test_its_port_is_the_first_that_nobody_has(client: Any) -> None:
    url = client["vars"]["prosecours_repository_url"]
    address = f"{os.environ['PROSECOURS_NETWORK']}.1"
    assert re.fullmatch(rf"rest:https://{re.escape(address)}:289(2[2-9]|[3-9]\d)/", url)


def test_its_secrets_are_strong_different_and_nowhere_else(secrets: dict[str, str]) -> None:
    assert all(re.fullmatch("[A-Za-z0-9]{24,32}", secret) for secret in secrets.values())
    assert len({*secrets.values()}) == 2
    written = (FILE, Path(os.environ["PROSECOURS_JOURNAL"]))
    assert not [one for one in secrets.values() if any(one in path.read_text("utf-8") for path in written)]


def test_its_first_backup_has_the_perimeter(secrets: dict[str, str]) -> None:
    place = str(DEPOT / "data" / CLIENT / SERVER)
    program = os.environ.get("PROSECOURS_RESTIC", "restic")
    done = subprocess.run(
        [program, "--no-cache", "--no-lock", "-r", place, "ls", "--json", "latest"],
        env={**os.environ, "RESTIC_PASSWORD": secrets[PASSWORDS[1]]},
        capture_output=True,
        text=True,
        check=True,
    )
    nodes = [json.loads(line) for line in done.stdout.splitlines()]
    assert nodes[0]["hostname"] == SERVER
    assert {node["path"] for node in nodes[1:] if node["type"] == "file"} == {
        "/D/isagiwf/B0001.GIW",
        "/D/Photos été/étable.txt",
    }
