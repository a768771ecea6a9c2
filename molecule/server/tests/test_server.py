"""A server that was replaced goes on in the repository of its predecessor, and one that was retired is kept
as long as its versions are promised (C10, C21).
"""

from __future__ import annotations

import json
import os
import subprocess
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from client_file import client_in, opened

INVENTORY, DEPOT = Path(os.environ["PROSECOURS_INVENTORY"]), Path(os.environ["PROSECOURS_DEPOT"])
CLIENT, NEW, RETIRED = "gaec_des_ormes", "orme-srv2", "orme-sql"
FILE = INVENTORY / "clients" / f"{CLIENT}.yml"
WRITTEN = Path(os.environ["MOLECULE_SCENARIO_DIRECTORY"]) / "inventory" / "clients" / FILE.name


@pytest.fixture(scope="module")
def client() -> Any:
    return client_in(FILE)


def restic(server: str, *arguments: str, password: str) -> str:
    """A restic of this machine, on the repository host's disk."""
    program = os.environ.get("PROSECOURS_RESTIC", "restic")
    place = str(DEPOT / "data" / CLIENT / server)
    done = subprocess.run(
        [program, "--no-cache", "--no-lock", "-r", place, *arguments],
        env={**os.environ, "RESTIC_PASSWORD": password},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_history_goes_on_by_the_new_name_from_the_new_machine(client: Any) -> None:
    password = opened(client["hosts"][NEW]["prosecours_encryption_password"])
    assert password == "encryption-of-orme-srv1"  # what encrypts it is kept
    first, *nights = sorted(
        json.loads(restic(NEW, "snapshots", "--json", password=password)), key=lambda one: one["time"]
    )
    assert first["hostname"] == "orme-srv1"
    assert [one["hostname"] for one in nights] == [NEW]
    restic(NEW, "check", "--read-data", password=password)
    # The same file on both machines: not a byte of it is stored again.
    assert nights[0]["summary"]["total_bytes_processed"] == first["summary"]["total_bytes_processed"]
    packed = [one["summary"]["data_blobs"] for one in (first, *nights)]
    assert packed[0] > 0
    assert packed[1] == 0


def test_nothing_has_the_old_name_and_who_left_has_no_login(client: Any) -> None:
    assert "orme-srv1" not in client["hosts"]
    repositories = (DEPOT / "data" / CLIENT).iterdir()
    assert {path.name for path in repositories} == {NEW, RETIRED}
    logins = (DEPOT / "config" / CLIENT / "htpasswd").read_text("utf-8").splitlines()
    assert [line.partition(":")[0] for line in logins] == [NEW]


def test_the_retired_one_is_kept_with_what_opens_it(client: Any) -> None:
    left = client["vars"]["prosecours_retired_servers"][RETIRED]
    assert left["date"] == date.today()
    snapshots = json.loads(
        restic(RETIRED, "snapshots", "--json", password=opened(left["encryption_password"]))
    )
    assert snapshots[0]["hostname"] == RETIRED
    assert list(client["hosts"]) == [NEW]


def test_the_file_is_else_as_it_was_written() -> None:
    before, after = (path.read_text("utf-8").splitlines() for path in (WRITTEN, FILE))
    gone = [line.strip() for line in before if line not in after]
    assert gone[0] == "orme-srv1:"
    assert gone[2] == "orme-sql:"
    assert "        # Bought in 2016" in after
    assert "          prosecours_software: [isapawp]   # the only one" in after


def test_it_is_journalled_on_whose_instruction_and_no_secret_with_it() -> None:
    journal = Path(os.environ["PROSECOURS_JOURNAL"]).read_text("utf-8")
    for says in ("e-mail of Mme Château of 3 May", '"renamed_to":"orme-srv2"', '"retired":true'):
        assert says in journal
    assert "encryption-of" not in journal
    assert "repository-of" not in journal
