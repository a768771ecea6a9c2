"""Restore drills: files by chance, restored by restic and compared past it."""

from __future__ import annotations

import hashlib
import io
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import pytest
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance import drill
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.admission import Remembered
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.drill import Result, Size
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.fleet import Client as Known
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.fleet import (
    Settings,
    maintain,
)
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.repository import (
    Recorded,
    Repository,
)
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.state import State
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.trees import Trees
from integration.maintenance.client import PASSWORD, Client, contents
from unit.maintenance.simulation import ONE_DAY, at

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
Drill = Callable[..., Result]


class Anywhere(Trees):
    """Of Linux, where files have names that Windows has not, and restic has to find them all the same."""

    def objection(self, root: str, seconds: float, bare: Sequence[str] = ()) -> str | None:
        return None


@pytest.fixture
def run(client: Client, repository: Repository) -> Drill:
    def once(size: Size | None = None, restic: str = client.restic) -> Result:
        with replace(repository, restic=restic).admitted(Remembered(), writable=False) as (seen, admission):
            used = replace(seen, trees=Anywhere(admission))
            [one] = used.snapshots()
            return drill.drill("moulin", {"srv": one}, used, size or Size(), at("2026-01-06"))

    return once


def fill(client: Client) -> None:
    for number, name in enumerate(NAMES):
        target = client.folder / "names" / name
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(os.urandom(number * 700_000))  # an empty one, and such of several parts
    client.backup(at("2026-01-05"))


def test_all_files_of_a_small_client_are_read_and_right(client: Client, run: Drill) -> None:
    fill(client)
    result = run()
    files = [path for path in client.folder.rglob("*") if path.is_file()]
    assert (result.ok, result.problems) == (True, ())
    assert result.files == len(files) == len(NAMES) + 3
    assert result.bytes == sum(path.stat().st_size for path in files)


def test_a_file_that_comes_back_otherwise_is_named(client: Client, run: Drill, tmp_path: Path) -> None:
    """One byte, one missing file, one that is too long; restic itself ends well."""
    fill(client)
    spoils = tmp_path / "restic"
    spoils.write_text(
        f'#!/bin/sh\ncase "$*" in\n*dump*/names/-v) ;;\n'
        f'*dump*/ledger) {client.restic} "$@"; printf more ;;\n'
        f"*dump*/names/plain) {client.restic} \"$@\" | tr 'a' 'b' ;;\n"
        f'*) exec {client.restic} "$@" ;;\nesac\n'
    )
    spoils.chmod(0o755)
    result = run(restic=str(spoils))
    assert result.ok is False
    where = f"srv, version of 2026-01-05 21:00: {client.folder}"
    told = sorted(result.problems)
    assert told[0] == f"{where}/ledger: it should have {len('accounts')} bytes"
    assert told[1].startswith(f"{where}/names/-v: part 1 of ")
    assert told[2].startswith(f"{where}/names/plain: part ")
    assert told[2].endswith(" is not what was backed up")
    assert len(told) == 3


def test_a_drill_that_hangs_ends_in_time_and_names_what_was_not_read(
    client: Client, run: Drill, tmp_path: Path
) -> None:
    fill(client)
    hangs = tmp_path / "restic"
    hangs.write_text(f'#!/bin/sh\ncase "$*" in *dump*) exec sleep 600 ;; esac\nexec {client.restic} "$@"\n')
    hangs.chmod(0o755)
    begun = time.monotonic()
    result = run(Size(seconds=5), restic=str(hangs))
    assert time.monotonic() - begun < 30
    assert any("was not read within 5 s" in text for text in result.problems)
    assert any("files were not read" in text for text in result.problems)


def test_what_is_not_what_its_name_says_is_a_doubt_and_no_failure(client: Client, run: Drill) -> None:
    for name, content in {
        "isa.BAK": os.urandom(2_000_000),  # several parts
        "good.bak": b"TAPE" + os.urandom(2_000_000),
        "zeros.pdf": bytes(5000),
        "letter.docx": b"PK\x03\x04" + os.urandom(5000),
        "own.giw": os.urandom(5000),
    }.items():
        (client.folder / name).write_bytes(content)
    client.backup(at("2026-01-05"))
    result = run()
    assert (result.ok, result.problems) == (True, ())
    where = f"srv, version of 2026-01-05 21:00: {client.folder}"
    assert sorted(result.doubts) == [
        f"{where}/isa.BAK does not look like a backup of SQL Server: it is as random as encrypted data",
        f"{where}/zeros.pdf has nothing but bytes 00",
    ]
    assert drill.status(result).doubts == result.doubts


def test_damaged_data_fail_the_drill(client: Client, run: Drill) -> None:
    fill(client)
    pack = max((client.path / "data").rglob("*/*"), key=lambda path: path.stat().st_size)
    pack.chmod(0o600)
    with pack.open("r+b") as file:
        file.seek(100_000)
        file.write(b"damage")
    result = run()
    assert result.ok is False
    assert any("plain: part " in text or "restic dump failed" in text for text in result.problems)


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
    client: Client, tmp_path: Path
) -> None:
    client.write(today="old")
    client.backup(at("2026-01-05"))
    client.write(today="new")
    newest = client.backup(at("2026-01-06"))
    known = Known("moulin", "PS", 1, 7, 2, {"srv": str(client.path)}, str(client.path.parent))
    settings = Settings(str(tmp_path / "state"), client.restic, 1, 15, 24, patience=0, reserve_megabytes=0)
    state = State(tmp_path / "state" / "moulin" / "srv")
    foretold = maintain([known], lambda _client, _server: PASSWORD, settings, check=True)
    assert foretold.reports["moulin"]["drill"] is None
    assert not state.folder.exists()

    report = maintain([known], lambda _client, _server: PASSWORD, settings, check=False).reports["moulin"]
    assert report["drill"]["ok"] is True
    assert report["drill"]["files"] == len(contents(client.folder))
    [kept] = state.drills()
    assert kept.versions == (newest,)
    assert (
        maintain([known], lambda _client, _server: PASSWORD, settings, check=False).reports["moulin"]["drill"]
        is None
    )

    state.keep_drill(replace(kept, at=datetime(2020, 1, 1).astimezone().isoformat(), ok=True))
    spoils = tmp_path / "restic"
    spoils.write_text(f'#!/bin/sh\ncase "$*" in *dump*) exit 0 ;; esac\nexec {client.restic} "$@"\n')
    spoils.chmod(0o755)
    spoiled = replace(settings, restic=str(spoils))
    told = maintain([known], lambda _client, _server: PASSWORD, spoiled, check=False).worries["moulin"]
    assert any(sentence.startswith("the restore drill failed: srv") for sentence in told)
