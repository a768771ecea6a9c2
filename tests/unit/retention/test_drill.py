"""Restore drills: files by chance, restored by restic and compared past it."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import pytest
from ansible_collections.prosecours.backup.plugins.module_utils import drill
from ansible_collections.prosecours.backup.plugins.module_utils.drill import Recorded, Result, Size
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance_of_all import Client as Known
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance_of_all import (
    Settings,
    maintain,
    worries,
)
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance_state import State
from ansible_collections.prosecours.backup.plugins.module_utils.restic_repository import Repository
from unit.retention.client import PASSWORD, Client, contents
from unit.retention.simulation import ONE_DAY, at

NAMES = (
    "[2026] bilan.xls",
    "a*b?.txt",
    "coût $HOME.doc",
    "-v",
    "# note",
    "é\\è",
    " leading",
    '12\u202fmars "bis"',
    "plain",
)
OWNER = 4243  # of the repository; it needs no name
Drill = Callable[..., Result]
KILLED = """
import sys
from datetime import UTC, datetime
from pathlib import Path
sys.path.insert(0, {collections!r})
from ansible_collections.prosecours.backup.plugins.module_utils import drill
from ansible_collections.prosecours.backup.plugins.module_utils.restic_repository import Repository
repository = Repository(Path({repository!r}), {password!r}, {restic!r})
[one] = repository.snapshots()
drill.drill("moulin", {{"srv": one}}, repository, Path({scratch!r}), drill.Size(), datetime.now(UTC))
"""


@pytest.fixture
def scratch() -> Iterator[Path]:
    """Open to all users, as /tmp is; not below pytest's own folder, which is closed."""
    with tempfile.TemporaryDirectory(prefix="drill-") as name:
        path = Path(name)
        path.chmod(0o1777)
        yield path


@pytest.fixture
def run(client: Client, repository: Repository, scratch: Path) -> Drill:
    def once(size: Size | None = None, restic: str = client.restic) -> Result:
        used = replace(repository, restic=restic)
        [one] = used.snapshots()
        return drill.drill("moulin", {"srv": one}, used, scratch, size or Size(), at("2026-01-06"))

    return once


def fill(client: Client) -> None:
    for number, name in enumerate(NAMES):
        target = client.folder / "names" / name
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(os.urandom(number * 700_000))  # an empty one, and such of several parts
    client.backup(at("2026-01-05"))


def test_all_files_of_a_small_client_are_restored_and_right(
    client: Client, run: Drill, scratch: Path
) -> None:
    fill(client)
    result = run()
    files = [path for path in client.folder.rglob("*") if path.is_file()]
    assert (result.ok, result.problems) == (True, ())
    assert result.files == len(files) == len(NAMES) + 3
    assert result.bytes == sum(path.stat().st_size for path in files)
    assert list(scratch.iterdir()) == []


def test_a_file_that_comes_back_otherwise_is_named(
    client: Client, run: Drill, scratch: Path, tmp_path: Path
) -> None:
    """One byte, one missing file, one that is too long; restic itself ends well."""
    fill(client)
    spoils = tmp_path / "restic"
    spoils.write_text(
        f'#!/bin/sh\n{client.restic} "$@" || exit\n'
        f"cd {scratch}/*/files{client.folder} 2>&- || exit 0\n"
        "printf x | dd of=names/plain bs=1 seek=3000000 conv=notrunc 2>&-\n"
        "rm names/-v\nprintf more >>ledger\n"
    )
    spoils.chmod(0o755)
    result = run(restic=str(spoils))
    assert result.ok is False
    where = f"srv, version of 2026-01-05 21:00: {client.folder}"
    size = len("accounts")
    told = sorted(result.problems)
    assert told[0] == f"{where}/ledger: it should have {size} bytes"
    assert told[1] == f"{where}/names/-v: was not restored (No such file or directory)"
    assert told[2].startswith(f"{where}/names/plain: part ")
    assert told[2].endswith(" is not what was backed up")
    assert len(told) == 3
    assert list(scratch.iterdir()) == []


def test_damaged_data_fail_the_drill(client: Client, run: Drill, scratch: Path) -> None:
    fill(client)
    pack = max((client.path / "data").rglob("*/*"), key=lambda path: path.stat().st_size)
    pack.chmod(0o600)
    with pack.open("r+b") as file:
        file.seek(100_000)
        file.write(b"damage")
    result = run()
    assert result.ok is False
    assert any("restic restore failed" in text for text in result.problems)
    assert list(scratch.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become the owner of a repository")
def test_the_owner_of_the_repository_restores_and_nobody_else_can_look(
    client: Client, run: Drill, scratch: Path, tmp_path: Path
) -> None:
    """Also folders that are read-only on the client's server, which their owner here could not empty."""
    for name in NAMES:
        client.write(**{f"closed__{name}": name})
    (client.folder / "closed").chmod(0o555)
    client.backup(at("2026-01-05"))
    (client.folder / "closed").chmod(0o755)
    for path in (client.path, *client.path.rglob("*")):
        os.chown(path, OWNER, OWNER)
    # The way to the repository is open to its owner, as /srv/prosecours is.
    closed = [path for path in client.path.parents if path.stat().st_mode & 0o001 == 0]
    spy = scratch / "restic"
    shutil.copy(client.restic, scratch / "real")
    spy.write_text(
        f'#!/bin/sh\n{scratch}/real "$@"\ncode=$?\n'
        f'stat -c "%a %u" {scratch}/prosecours-* >>{scratch}/seen 2>&-\nexit $code\n'
    )
    spy.chmod(0o755)
    (scratch / "seen").touch()
    (scratch / "seen").chmod(0o666)
    modes = {path: path.stat().st_mode for path in closed}
    try:
        for path in closed:
            path.chmod(0o711)
        result = run(restic=str(spy))
    finally:
        for path, mode in modes.items():
            path.chmod(mode & 0o7777)
    assert result.problems == ()
    assert set((scratch / "seen").read_text().splitlines()) == {f"700 {OWNER}"}
    assert {path.name for path in scratch.iterdir()} == {"real", "restic", "seen"}


def test_what_a_killed_drill_left_is_removed_by_the_next(
    client: Client, run: Drill, scratch: Path, tmp_path: Path
) -> None:
    fill(client)
    seen = tmp_path / "seen"
    hangs = tmp_path / "restic"
    hangs.write_text(
        f'#!/bin/sh\n{client.restic} "$@" || exit\n'
        f'case "$*" in *restore*) touch {seen}; kill -9 $PPID; esac\n'
    )
    hangs.chmod(0o755)
    program = KILLED.format(
        collections=str(Path(__file__).resolve().parents[3] / "build" / "collections"),
        repository=str(client.path),
        password=PASSWORD,
        restic=str(hangs),
        scratch=str(scratch),
    )
    died = subprocess.run([sys.executable, "-c", program], check=False).returncode
    assert (died, seen.exists()) == (-9, True)
    [left] = scratch.iterdir()
    assert left.stat().st_mode & 0o777 == 0o700
    (scratch / f"{left.name[:-16]}of-somebody").symlink_to(client.folder)
    assert run().ok is True
    assert [path.is_symlink() for path in scratch.iterdir()] == [True]


def test_a_folder_without_room_is_a_sentence(client: Client, repository: Repository, tmp_path: Path) -> None:
    client.backup(at("2026-01-05"))
    [one] = repository.snapshots()
    missing = tmp_path / "nowhere"
    result = drill.drill("moulin", {"srv": one}, repository, missing, Size(), at("2026-01-06"))
    [problem] = result.problems
    assert problem.endswith("Give the drill a folder with room.")


# -- what is drawn, and when ----------------------------------------------------------------------------


def test_files_are_drawn_within_both_bounds_and_again_by_the_seed() -> None:
    files = [Recorded(f"/D/{number}", number * 1000) for number in range(2000)]
    drawn = drill.draw(files, Size(20, 10_000_000), "moulin:today")
    assert len(drawn) == 20 or sum(one.size for one in drawn) > 8_000_000
    assert sum(one.size for one in drawn) <= 10_000_000
    assert drill.draw(reversed(files), Size(20, 10_000_000), "moulin:today") == drawn
    assert drill.draw(files, Size(20, 10_000_000), "moulin:tomorrow") != drawn
    assert drill.draw(files[-3:], Size(20, 100), "moulin:today") == []


def test_over_the_years_every_file_has_its_turn() -> None:
    files = [Recorded(f"/D/{number}", 10) for number in range(100)]
    drawn = {one.path for month in range(60) for one in drill.draw(files, Size(20, 1000), f"m:{month}")}
    assert len(drawn) == 100


@pytest.mark.parametrize("client", ["moulin", "tilleuls", "bois", "gue"])
def test_each_month_has_a_drill_whatever_days_are_missed(client: str) -> None:
    last: Result | None = None
    months: dict[str, int] = {}
    for number in range(800):
        today = date(2026, 1, 1) + number * ONE_DAY
        if number % 5 in (1, 2) or not drill.is_due(client, last, today):
            continue
        last = Result(at(today).isoformat(), True, 1, 1, (), (), "")
        months[today.isoformat()[:7]] = months.get(today.isoformat()[:7], 0) + 1
    assert 26 <= sum(months.values()) <= 28
    assert sum(1 for drills in months.values() if drills > 1) <= 1  # the first is at once


def test_a_failed_drill_is_repeated_on_the_next_day() -> None:
    failed = Result(at("2026-01-20").isoformat(), False, 1, 1, ("differs",), (), "")
    assert not drill.is_due("moulin", failed, date(2026, 1, 20))
    assert drill.is_due("moulin", failed, date(2026, 1, 21))


def test_differences_are_found() -> None:
    parts = [b"a" * 10, b"b" * 5]
    content = [hashlib.sha256(part).hexdigest() for part in parts]
    sizes = dict(zip(content, (10, 5), strict=True))

    def judge(data: bytes, size: int = 15) -> str | None:
        return drill.differs(io.BytesIO(data).read, content, sizes, size)

    assert judge(b"".join(parts)) is None
    assert judge(b"a" * 10 + b"b" * 4 + b"c") == "part 2 of 2 is not what was backed up"
    assert judge(b"a" * 10) == "part 2 of 2 is not what was backed up"
    assert judge(b"".join(parts) + b"!") == "it should have 15 bytes"
    assert judge(b"".join(parts), 16) == "it should have 16 bytes"
    assert drill.differs(io.BytesIO(b"x").read, ["0" * 64], {}, 1) == "part 1 of 1 is in no index"
    assert drill.differs(io.BytesIO(b"").read, [], {}, 0) is None


# -- as a part of the maintenance -----------------------------------------------------------------------


def test_the_maintenance_drills_the_newest_complete_version_once_a_month(
    client: Client, tmp_path: Path, scratch: Path
) -> None:
    client.write(today="old")
    client.backup(at("2026-01-05"))
    client.write(today="new")
    newest = client.backup(at("2026-01-06"))
    known = Known("moulin", "PS-2026-0042", str(client.path), 1, 7, 2, ("srv",))
    settings = Settings(
        str(tmp_path / "state"), client.restic, 1, 15, 24, patience=0, drill_folder=str(scratch)
    )
    state = State(tmp_path / "state" / "moulin")
    foretold = maintain([known], lambda _: PASSWORD, settings, check=True)
    assert foretold.reports["moulin"]["drill"] is None
    assert not state.folder.exists()

    report = maintain([known], lambda _: PASSWORD, settings, check=False).reports["moulin"]
    assert report["drill"]["ok"] is True
    assert report["drill"]["files"] == len(contents(client.folder))
    [kept] = state.drills()
    assert kept.versions == (newest,)
    assert maintain([known], lambda _: PASSWORD, settings, check=False).reports["moulin"]["drill"] is None

    state.keep_drill(replace(kept, at=datetime(2020, 1, 1).astimezone().isoformat(), ok=True))
    spoiled = replace(settings, drill_folder=str(tmp_path / "nowhere"))
    report = maintain([known], lambda _: PASSWORD, spoiled, check=False).reports["moulin"]
    assert any(sentence.startswith("the restore drill failed: srv") for sentence in worries(report))
    assert subprocess.run(["ls", scratch], capture_output=True, check=True).stdout == b""
