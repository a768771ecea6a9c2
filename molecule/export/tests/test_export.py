"""A version on a disk (C16), opened and restored by what lies on it and by the code that travels apart."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import pytest
import yaml
from disks import (
    ASKED,
    BIG,
    DATA,
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
    refused,
    went,
)
from pypdf import PdfReader
from verifier import Server

ON_DISK = DISK / "ProSecours" / f"restauration-{SERVER}"


@pytest.fixture(scope="module")
def code() -> str:
    [kept] = PAPERS.glob("*.code")
    return kept.read_text("ascii").strip()


def restic(password: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A restic of this machine, on what lies on the disk."""
    program = os.environ.get("PROSECOURS_RESTIC", "restic")
    return subprocess.run(
        [program, "--no-cache", "--no-lock", "-r", str(ON_DISK), *arguments],
        env={**os.environ, "RESTIC_PASSWORD": password},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_version_is_on_the_disk_and_only_the_code_opens_it(server: Server, code: str) -> None:
    for password in ("another", server.variables["prosecours_encryption_password"]):
        assert restic(password, "snapshots").returncode == 12
    [snapshot] = json.loads(restic(code, "snapshots", "--json").stdout)
    assert snapshot["hostname"] == SERVER
    assert restic(code, "check", "--read-data").returncode == 0


def test_the_code_is_on_its_own_page_and_nowhere_else(code: str) -> None:
    [apart] = PAPERS.glob("*-code.pdf")
    assert code in PdfReader(apart).pages[0].extract_text()
    for path in (apart, *PAPERS.glob("*.code")):
        assert path.stat().st_mode & 0o077 == 0
    for_others = [path for path in PAPERS.iterdir() if path.stat().st_mode & 0o077]
    on_disk = [path for path in DISK.rglob("*") if path.is_file()]
    journal = Path(os.environ["PROSECOURS_JOURNAL"])
    assert for_others
    for path in (*for_others, *on_disk, journal):
        assert not [word for word in (code, *SECRETS) if word.encode() in path.read_bytes()], path


def test_the_manifest_names_what_is_on_the_disk() -> None:
    [record] = PAPERS.glob("*.json")
    manifest = json.loads(record.read_text("utf-8"))["files"]
    # restic has a folder for each two digits of a pack, the manifest has none.
    there = {re.sub("^data/../", "data/", name): size for name, size in files(ON_DISK).items()}
    assert manifest == there
    assert sum(manifest.values()) > BIG


def test_the_client_restores_by_the_words_of_the_sheet(server: Server, code: str) -> None:
    sheet = unescape((DISK / "ProSecours" / "LISEZMOI.html").read_text("utf-8"))
    for says in (SERIAL, LABEL, "PS-2026-0920", "restaurer.cmd"):
        assert says in sheet
    line = r'"E:\ProSecours\restaurer.cmd" "D:\Restauration (1)"'
    assert server.run(f"echo wrong-code|{line}").rc == 12
    server.expect(f"echo {code}|{line}")
    names = ("isa_sauvegarde_dossier/big.zip", "isapawp/b.txt", "Bureautique/Élevage & Cultures (2026)/c.txt")
    for name in names:
        assert (DATA / "Restauration (1)" / "D" / name).read_bytes() == (DATA / name).read_bytes()
    again = server.run(f"echo {code}|{line}")
    assert (again.rc, "n'est pas vide" in again.stdout) == (1, True)


def test_who_did_it_on_whose_instruction() -> None:
    lines = Path(os.environ["PROSECOURS_JOURNAL"]).read_text("utf-8").splitlines()
    entries = [json.loads(line) for line in lines]
    kept = json.dumps([entry for entry in entries if entry["kind"] == "end"], ensure_ascii=False)
    for says in ('"step": "export"', f'"disk": "{SERIAL}"', ASKED["requester"]):
        assert str(says) in kept


def test_a_run_that_was_cut_goes_on_with_its_version_though_a_newer_one_came() -> None:
    """Another request, and the same disk: what the client has restored may be erased."""
    shutil.rmtree(DISK / "ProSecours")
    file = LAB / "again.yml"
    request = {**ASKED, "mail_date": "2026-01-05", "main_backup_failed": True, "date": TODAY}
    file.write_text(yaml.safe_dump(request), "utf-8")
    given = ("-e", f"prosecours_export_request={file}")
    [first] = [path.name for path in (REPOSITORY / "snapshots").iterdir()]
    # The last file that would speak of the version cannot be written: all others are on the disk.
    stone = ON_DISK / "snapshots" / f".new-{first[:8]}"
    stone.mkdir(parents=True)
    refused(play("export", *given), "run the same step again: it goes on where it stopped")
    stone.rmdir()
    (DATA / "isapawp" / "b.txt").write_text("changed meanwhile", "utf-8")
    went(play("backup"), "complete")
    assert len([*(REPOSITORY / "snapshots").iterdir()]) == 2
    went(play("export", *given), f"was put on the disk {SERIAL} and read back")
    assert [path.name for path in (ON_DISK / "snapshots").iterdir()] == [first]
