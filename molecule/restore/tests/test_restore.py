"""Requests of the client's contact, carried out (C3): bytes and times are read on the Linux side of the
servers' disks, past Windows, restic and the collection."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import restoring
from pypdf import PdfReader
from restore_data import BIG, OFFICE, SIZES, drive
from restoring import PLAIN, TODAY, changed, command, play
from verifier import Server

SERVER, OTHER = "chenes-srv", "chenes-sql"
TASK = r"\ProSecours\Restauration"
PERIMETER = [name for name in SIZES if not name.startswith(("Privé", "isagiwf/C"))]
Tree = dict[str, tuple[str, int]]


def tree(folder: Path) -> Tree:
    """Relative path -> SHA-256 and time of change in seconds, of every file below."""
    return {
        str(path.relative_to(folder)): (
            hashlib.sha256(path.read_bytes()).hexdigest(),
            int(path.stat().st_mtime),
        )
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def original() -> Tree:
    """The perimeter as it was backed up: the data is made the same at every run."""
    found = tree(drive(SERVER))
    return {name: found[name] for name in PERIMETER}


def request(name: str, **wanted: Any) -> Path:
    """A request file of today, for the first server."""
    return restoring.request(name, "gaec_des_chenes", SERVER, "helene.chateau@chenes.example.com", **wanted)


def fresh(host: str) -> list[Path]:
    """The folders beside the data that restores have made."""
    return sorted(drive(host).glob("Restauration/*"))


def test_beside_the_data(original: Tree, servers: dict[str, Server]) -> None:
    before = tree(drive(SERVER))
    file = request(
        "beside",
        items=[
            r"D:\isagiwf\B*.GIW",
            r"d:\bureautique\élevage & cultures (2026)",
        ],
    )
    predicted = play(file, "--check", "--diff")
    assert changed(predicted, SERVER) == 1
    assert f"asked for {TODAY}: the newest complete version up to then is of {TODAY}" in predicted
    assert fresh(SERVER) == []
    assert tree(drive(SERVER)) == before

    done = play(file)
    assert changed(done, SERVER) == 1
    (folder,) = fresh(SERVER)
    wanted = {name: entry for name, entry in original.items() if not name.startswith("isa_sauvegarde")}
    assert tree(folder / "D") == wanted
    after = tree(drive(SERVER))
    assert {name: after[name] for name in before} == before, "live data was touched"
    assert changed(play(file), SERVER) == 0
    assert fresh(SERVER) == [folder]

    record = re.search(r"(/\S+/reports/restores/gaec_des_chenes/\S+\.pdf)", done)
    assert record, done
    text = "".join(page.extract_text() for page in PdfReader(record[1]).pages)
    for words in ("Procès-verbal de restauration", "PS-2026-0360", "Hélène Château", "B*.GIW", "Aucun."):
        assert words in text, text
    listed = servers[SERVER].run(f'schtasks /query /tn "{TASK}" /xml')
    assert listed.rc != 0, "the task of the restore was left behind"


def test_a_whole_server_on_another_one(original: Tree) -> None:
    own = tree(drive(OTHER))
    target = {"server": OTHER, "folder": r"D:\Rendu à 100 & ^plus!"}
    done = play(request("other", whole_server=True, target=target))
    assert changed(done, OTHER) == 1
    assert tree(drive(OTHER) / "Rendu à 100 & ^plus!" / "D") == original
    after = tree(drive(OTHER))
    assert {name: after[name] for name in own} == own


def test_in_place_keeps_what_was_there(original: Tree) -> None:
    damaged = drive(SERVER) / OFFICE / "[2026] l'été & co.xlsx"
    deleted = drive(SERVER) / "isagiwf" / "B0001.GIW"
    newer = drive(SERVER) / OFFICE / "depuis.txt"
    before = set(fresh(SERVER))
    damaged.write_bytes(b"chiffr\xe9 par un inconnu")
    deleted.unlink()
    newer.write_text("un travail de ce matin", encoding="utf-8")
    damage = tree(drive(SERVER) / OFFICE)
    file = request(
        "in_place",
        items=[r"D:\Bureautique\Élevage & Cultures (2026)", r"D:\isagiwf\B0001.GIW"],
        target={"in_place": True},
    )
    done = play(file)
    assert "overwrite files that have changed since, once they are kept: 1" in done
    live = tree(drive(SERVER))
    assert {name: live[name] for name in original} == original
    assert newer.read_text(encoding="utf-8") == "un travail de ce matin"
    (kept,) = set(fresh(SERVER)) - before
    assert tree(kept / "D" / OFFICE) == damage


def killed(drive_c: Path, *programs: str) -> int:
    """End a host's processes that have one of these on their command line; how many there were."""
    prefix, found = f"WINEPREFIX={drive_c.parent}".encode(), []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            line = (process / "cmdline").read_text("utf-8", "replace")
            if any(name in line for name in programs):
                found += [int(process.name)] * (prefix in (process / "environ").read_bytes().split(b"\0"))
    for number in found:
        with suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)
    return len(found)


def test_an_interrupted_restore_goes_on(original: Tree) -> None:
    file = request("interrupted", items=[r"D:\isa_sauvegarde_dossier"])
    before = set(fresh(SERVER))
    logs = drive(SERVER).parent.parent / "wine/drive_c/Program Files/ProSecours/restore"
    seen = set(logs.glob("*/restore.log"))
    slowly = subprocess.Popen(
        command(file, "-e", "prosecours_restore_limit_kib=300"),
        cwd=os.environ["MOLECULE_PROJECT_DIRECTORY"],
        env=PLAIN,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    deadline = time.monotonic() + 120
    # Until restic says that it is under way; it has fifteen seconds more to go.
    while not any(log.stat().st_size for log in set(logs.glob("*/restore.log")) - seen):
        assert slowly.poll() is None, slowly.communicate()[0]
        assert time.monotonic() < deadline, "the restore did not begin"
        time.sleep(0.2)
    # As when the server is switched off: schtasks /end would end the first process only, and the restore goes
    # on to its end. Not by name: the question that the playbook asks at this moment is a cmd.exe too.
    assert killed(logs.parents[2], "restore.cmd", "restic.exe") >= 3
    said = re.sub(r"\s+", " ", slowly.communicate(timeout=120)[0])
    assert slowly.returncode != 0, said
    assert "the restore was interrupted on the server" in said
    assert "Traceback" not in said
    # What a restore that was killed may leave: a file of the right length, with the wrong rest.
    target = re.search(r"target into D:\\(Restauration\\.*?\))", said)
    assert target, said
    folder = drive(SERVER) / target[1].replace("\\", "/")
    half = folder / "D" / BIG
    half.parent.mkdir(parents=True, exist_ok=True)
    half.write_bytes((drive(SERVER) / BIG).read_bytes()[:2_000_000].ljust(SIZES[BIG], b"\0"))

    assert changed(play(file), SERVER) == 1
    assert set(fresh(SERVER)) - before == {folder}, "a second run went to another folder"
    wanted = {name: entry for name, entry in original.items() if name.startswith("isa_sauvegarde")}
    assert tree(folder / "D") == wanted
    assert changed(play(file), SERVER) == 0
