"""A first backup that came on a disk (C16), seen from the disk, the server and the repository; then, with
another request, what a technician is told when the disk is not where a step looks for it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from disks import (
    ASKED,
    BIG,
    CLIENT,
    DISK,
    LAB,
    LABEL,
    PAPERS,
    REPOSITORY,
    SECRETS,
    SERIAL,
    SERVER,
    TODAY,
    files,
    play,
    plug_in,
    refused,
    went,
)
from pypdf import PdfReader
from verifier import AGENT, Repository, Server

ON_DISK = DISK / "ProSecours" / SERVER


def test_all_came_on_the_disk_and_nothing_over_the_link() -> None:
    assert files(LAB / "maintenance" / "before" / CLIENT / SERVER) == {}
    brought = files(ON_DISK)
    assert sum(brought.values()) > BIG
    there = files(REPOSITORY)
    assert {name: there[name] for name in brought} == brought


def test_without_the_key_nothing_on_the_disk_is_read(server: Server) -> None:
    content = b"".join(path.read_bytes() for path in DISK.rglob("*") if path.is_file())
    assert not [word for word in (b"isapawp", b"second", *map(str.encode, SECRETS)) if word in content]
    restic = [os.environ.get("PROSECOURS_RESTIC", "restic"), "--no-cache", "--no-lock", "-r", str(ON_DISK)]
    for password, code in (("another", 12), (server.variables["prosecours_encryption_password"], 0)):
        done = subprocess.run(
            [*restic, "check", "--read-data"],
            env={**os.environ, "RESTIC_PASSWORD": password},
            capture_output=True,
            check=False,
        )
        assert done.returncode == code, done.stderr


def test_it_is_handed_over_by_a_page_to_sign() -> None:
    [page] = PAPERS.glob("*.pdf")
    text = " ".join(" ".join(sheet.extract_text() for sheet in PdfReader(page).pages).split())
    for says in (SERIAL, LABEL, "PS-2026-0920", "A. Martin", "Remis par"):
        assert says in text


def test_nothing_of_it_stays_on_the_server(server: Server) -> None:
    assert server.run(f'dir /b "{AGENT}\\seed"').rc != 0
    assert server.run(r'schtasks /query /tn "\ProSecours\Amorce" /xml').rc != 0


def test_the_night_after_adds_only_what_changed(repository: Repository) -> None:
    first, second = repository.snapshots()
    assert second["parent"] == first["id"]
    assert second["summary"]["total_bytes_processed"] > BIG
    assert second["summary"]["data_added"] < 20_000
    repository.run("check", "--read-data")


def test_a_second_finish_changes_nothing() -> None:
    again = play("seed", "-e", "prosecours_seed_step=finish")
    went(again, f"this disk was finished on {TODAY}")
    assert again.changed() == 0


# -- another request, about the same disk ---------------------------------------------------------------


@pytest.fixture(scope="module")
def anew() -> tuple[str, ...]:
    """The disk was said to be one that may be erased."""
    shutil.rmtree(DISK / "ProSecours")
    file = LAB / "again.yml"
    file.write_text(yaml.safe_dump({**ASKED, "mail_date": "2026-01-05"}), "utf-8")
    return ("-e", f"prosecours_seed_request={file}")


def test_a_disk_that_is_not_at_the_host_is_not_prepared(anew: tuple[str, ...]) -> None:
    given = (*anew, "-e", "prosecours_seed_step=prepare")
    plug_in(None)
    refused(
        play("seed", *given),
        f"the disk {SERIAL} is not here (disks that are: none). Plug the right disk in",
    )
    plug_in(str(DISK))
    went(play("seed", *given, "--check"), f"the disk {SERIAL} would be prepared for {SERVER}")
    assert list(DISK.iterdir()) == []
    went(play("seed", *given), f"the disk {SERIAL} was prepared for {SERVER}")
    assert (ON_DISK / "config").read_bytes() == (REPOSITORY / "config").read_bytes()


def test_a_disk_that_is_not_at_the_server_is_not_filled(anew: tuple[str, ...]) -> None:
    given = (*anew, "-e", "prosecours_seed_step=fill")
    away = DISK.rename(LAB / "away")
    refused(play("seed", *given), f"the disk {SERIAL} is not plugged in (drives that are there: D:")
    away.rename(DISK)
    went(play("seed", *given, "--check"), f"{SERVER} would be backed up onto the disk {SERIAL}")
    assert files(ON_DISK) == {}


def test_who_did_what_on_whose_instruction() -> None:
    lines = Path(os.environ["PROSECOURS_JOURNAL"]).read_text("utf-8").splitlines()
    entries = [json.loads(line) for line in lines]
    kept = json.dumps([entry for entry in entries if entry["kind"] == "end"], ensure_ascii=False)
    steps = ("prepare", "load", "finish")  # the last that each run of the scenario did
    for says in (*(f'"step": "{step}"' for step in steps), f'"disk": "{SERIAL}"', ASKED["requester"]):
        assert str(says) in kept
    assert not [secret for secret in SECRETS if secret in kept]
