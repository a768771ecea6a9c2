"""Checks: every pack is read in time, damage is named and removals wait, and the documented repair works."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance import checks
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.checks import (
    CATCH_UP,
    Cycle,
    Damaged,
)
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.client import Order, run
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.drill import Size
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.repository import Repository
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.retention import Rules
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.state import State
from integration.maintenance.client import PASSWORD, Client, contents
from unit.maintenance.simulation import ONE_DAY, at

ORDER = Order("srv", Rules(), drill=Size(files=0))
DOCS = Path(__file__).resolve().parents[3] / "docs" / "checks.md"
FIRST = date(2026, 1, 5)


# -- the slices -----------------------------------------------------------------------------------------


def data_packs(client: Client) -> dict[str, list[dict[str, Any]]]:
    """Pack -> its blobs, as restic's index has them; packs of files only."""
    found = {}
    for name in client.run("list", "index").split():
        for pack in json.loads(client.run("cat", "index", name))["packs"]:
            if all(blob["type"] == "data" for blob in pack["blobs"]):
                found[pack["id"]] = pack["blobs"]
    return found


def damage(client: Client, pack: str, offset: int = 40) -> None:
    path = client.path / "data" / pack[:2] / pack
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1]))


def test_the_slices_of_restic_are_all_packs_and_each_only_once(
    regular: Client, repository: Repository
) -> None:
    """With every pack damaged, what a slice names is what it has read."""
    packs = data_packs(regular)
    for pack in packs:
        damage(regular, pack)
    read = [repository.check(f"{number}/4").broken_packs for number in range(1, 5)]
    assert sorted(pack for slice_ in read for pack in slice_) == sorted(packs)
    assert [{int(pack[:2], 16) % 4 + 1 for pack in slice_} for slice_ in read] == [{1}, {2}, {3}, {4}]


@pytest.mark.parametrize("seed", range(20))
def test_every_pack_is_read_within_a_cycle_of_its_arrival(seed: int) -> None:
    """Backups and repacking add packs and take others away; some days have no maintenance, some have two."""
    chance = random.Random(seed)  # noqa: S311
    slices = chance.choice((1, 7, 30, 97))
    missed_days = chance.choice((0.0, 0.1, 0.3))
    cycle: Cycle | None = None
    waiting: dict[int, list[date]] = {}  # first byte -> since when packs of it wait to be read
    missed = 0
    for number in range(6 * slices + 60):
        today = FIRST + number * ONE_DAY
        for _ in range(3):
            waiting.setdefault(chance.randrange(256), []).append(today)
        if chance.random() < missed_days and number < 5 * slices:
            missed += 1
            continue
        for _ in range(chance.choice((1, 2))):
            cycle = checks.begin(cycle, slices, today)
            now = checks.due(cycle, today)
            assert len(now) <= CATCH_UP
            for slice_ in now:
                for byte in [byte for byte in waiting if byte % slices == slice_ - 1]:
                    waited = max((today - since).days for since in waiting.pop(byte))
                    assert waited < slices + missed
            if now:
                cycle = replace(cycle, read=now[-1], last=today)
        assert not checks.due(checks.begin(cycle, slices, today), today) or missed
    assert max((today - since).days for times in [*waiting.values(), [today]] for since in times) < slices


def test_days_without_maintenance_are_made_good() -> None:
    cycle = Cycle(FIRST, 30, 5, FIRST + 4 * ONE_DAY)
    back = FIRST + 12 * ONE_DAY  # after seven days away
    read = []
    for number in range(6):
        now = checks.due(cycle, back + number * ONE_DAY)
        read.append(list(now))
        cycle = replace(cycle, read=now[-1], last=back)
    assert read == [[6, 7, 8], [9, 10, 11], [12, 13, 14], [15, 16], [17], [18]]


@pytest.mark.parametrize("cycle", [Cycle(date(2031, 1, 1), 30, 9), Cycle(FIRST, 30, 9, date(2031, 1, 1))])
def test_a_clock_that_was_wrong_does_not_end_the_checks(cycle: Cycle) -> None:
    assert list(checks.due(checks.begin(cycle, 30, FIRST), FIRST)) == [1]
    assert checks.begin(Cycle(FIRST, 30, 9, FIRST), 20, FIRST) == Cycle(FIRST, 20, 0)


def test_results_are_kept(client: Client, repository: Repository, tmp_path: Path) -> None:
    client.backup(at("2026-01-05"))
    state = State(tmp_path / "state")
    state.folder.mkdir()
    before = None
    for number in range(3):
        before = checks.check(repository, before, 2, at(FIRST + number * ONE_DAY))
        state.keep_checked(before)
        assert state.checked() == before
    assert before is not None
    assert [one.read for one in before.results] == [(1,), (2,), (1,)]
    status = before.status()
    assert status is not None
    assert status.read_whole_on == at("2026-01-06").replace(microsecond=0)
    assert (status.ok, status.slice, status.slices) == (True, 1, 2)


# -- damage ---------------------------------------------------------------------------------------------


Maintain = Callable[..., dict[str, Any]]


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(tmp_path / "state")


@pytest.fixture
def maintain(repository: Repository, state: State) -> Maintain:
    def once(check: bool = False, cycle_days: int = 1) -> dict[str, Any]:
        return run(replace(ORDER, cycle_days=cycle_days), repository, state, check)

    return once


def pack_of(client: Client, name: str, snapshot: str) -> tuple[str, int]:
    """The pack that holds a file of the snapshot, and where in it the file's data are."""
    place = f"{snapshot}:{(client.folder / name).parent}"
    nodes = json.loads(client.run("cat", "tree", place))["nodes"]
    [blob] = next(node["content"] for node in nodes if node["name"] == Path(name).name)
    return next(
        (pack, entry["offset"] + 20)
        for pack, blobs in data_packs(client).items()
        for entry in blobs
        if entry["id"] == blob
    )


def test_damage_is_named_with_what_it_touches_and_nothing_is_removed(
    client: Client, maintain: Maintain, state: State, repository: Repository
) -> None:
    """A file that is in two of three versions; retention would remove one version."""
    old = client.backup(at("2026-01-05", 8))
    client.write(secret="of the second version")
    second, third = client.backup(at("2026-01-05", 12)), client.backup(at("2026-01-05", 22))
    pack, offset = pack_of(client, "secret", second)
    assert maintain(check=True)["removed"] == [old, second]
    damage(client, pack, offset)
    with pytest.raises(Damaged) as told:
        maintain()
    file = client.folder / "secret"
    assert str(told.value) == (
        f"{client.path}: the check found damage: the pack {pack} is damaged or gone; "
        f"srv, version of 2026-01-05 11:00: {file}; srv, version of 2026-01-05 21:00: {file}; "
        "1 of 3 versions are intact. Nothing is removed until a check finds it repaired. "
        'Follow "When a check fails" in docs/checks.md.'
    )
    assert client.snapshots() == {old, second, third}
    with pytest.raises(Damaged):
        maintain(check=True)
    # No slice is due any more today, and in the next days other ones are: what was damaged is read again.
    for _ in range(2):
        with pytest.raises(Damaged, match=pack):
            maintain(cycle_days=200)
    damage(client, pack, offset)  # the bit is as it was
    assert maintain(cycle_days=200)["removed"] == [old, second]
    checked = state.checked()
    assert checked is not None
    assert [one.ok for one in checked.results] == [False, False, False, True]


def gone(client: Client, pack: str) -> None:
    (client.path / "data" / pack[:2] / pack).unlink()


def cut(client: Client, pack: str) -> None:
    path = client.path / "data" / pack[:2] / pack
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.truncate(30)


@pytest.mark.parametrize("harm", [gone, cut], ids=["gone", "cut"])
def test_a_pack_that_is_gone_or_cut_is_found_by_the_structure_alone(
    client: Client, maintain: Maintain, harm: Callable[[Client, str], None]
) -> None:
    version = client.backup(at("2026-01-05"))
    maintain()
    pack, _ = pack_of(client, "ledger", version)
    harm(client, pack)
    with pytest.raises(Damaged, match=f"the pack {pack} is damaged or gone; srv, version of .*ledger"):
        maintain()


def test_folders_that_cannot_be_read_are_told(client: Client, maintain: Maintain) -> None:
    client.backup(at("2026-01-05"))
    [pack] = {path.name for path in (client.path / "data").rglob("*/*")} - data_packs(client).keys()
    gone(client, pack)
    with pytest.raises(
        Damaged, match=r"srv, version of 2026-01-05 21:00: its folders cannot be read; 0 of 1"
    ):
        maintain()


def test_a_damaged_index_tells_what_cannot_be_told(client: Client, maintain: Maintain) -> None:
    client.backup(at("2026-01-05"))
    [index] = (client.path / "index").iterdir()
    index.chmod(0o600)
    whole = index.read_bytes()
    index.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))  # another one, whichever it was
    with pytest.raises(Damaged, match=rf"{index.name}.*which versions it touches cannot be told"):
        maintain()


def test_rubbish_from_the_client_is_named_and_harms_nothing(client: Client, maintain: Maintain) -> None:
    """Whoever has the client's credentials can add a file that is no snapshot."""
    sent = [client.backup(at("2026-01-05", hour)) for hour in (8, 22)]
    rubbish = os.urandom(300)
    name = hashlib.sha256(rubbish).hexdigest()
    (client.path / "snapshots" / name).write_bytes(rubbish)
    result = maintain()
    assert result["removed"] == sent[:1]
    assert [text[:18] for text in result["rubbish"]] == [f"snapshots/{name[:8]}"]
    assert client.snapshots() == {sent[1], name}


def test_what_only_looks_like_damage_for_a_moment_is_none(
    client: Client, repository: Repository, tmp_path: Path
) -> None:
    """A backup that ends between restic's reading of the index and that of the snapshots."""
    client.backup(at("2026-01-05"))
    [index] = (client.path / "index").iterdir()
    away = tmp_path / "index"
    shutil.move(index, away)
    late = tmp_path / "restic"
    late.write_text(f'#!/bin/sh\n{client.restic} "$@"\ncode=$?\nmv {away} {index} 2>&-\nexit $code\n')
    late.chmod(0o755)
    seen = replace(repository, restic=str(late))
    assert checks.check(seen, None, 30, at("2026-01-06")).damage is None


def test_the_documented_repair_works_step_by_step(client: Client, maintain: Maintain, tmp_path: Path) -> None:
    """The commands of docs/checks.md, as they stand there."""
    client.backup(at("2026-01-05"))
    client.write(secret="of the second version")
    version = client.backup(at("2026-01-06"))
    pack, offset = pack_of(client, "secret", version)
    damage(client, pack, offset)
    with pytest.raises(Damaged):
        maintain()

    section = DOCS.read_text("utf-8").partition("## When a check fails")[2].partition("\n## ")[0]
    commands = re.findall(r"^    +(?:sudo -u \S+ )?((?:restic|cp) .*)$", section, re.MULTILINE)
    assert [command.split()[:3] for command in commands if command.startswith("restic")] == [
        ["restic", "repair", "packs"],
        ["restic", "repair", "index"],
        ["restic", "repair", "snapshots"],
        ["restic", "check", "--read-data"],
    ]
    for command in commands:
        line = (
            command.replace("<pack>", pack)
            .replace("/srv/prosecours/<client>/<client>", str(client.path))
            .replace("/srv/copies", str(tmp_path))
        )
        words = shlex.split(line)
        if words[0] == "restic":
            words[:1] = [client.restic, "--repo", str(client.path), "--no-cache"]
        done = subprocess.run(
            words,
            cwd=tmp_path,
            env={"RESTIC_PASSWORD": PASSWORD},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (command, done.stderr)

    result = maintain()
    assert result["check"]["ok"] is True
    # The repaired version has what was not damaged, and came long after its own time: so it is set aside.
    [repaired] = result["set_aside"]
    assert repaired in client.snapshots()
    assert version not in client.snapshots()
    whole = contents(client.folder)
    assert client.restored(repaired, tmp_path / "out") == {**whole, "secret": hashlib.sha256(b"").hexdigest()}
    # The next backup uploads again what the client still has.
    again = client.backup(datetime.now().astimezone() - timedelta(minutes=5))
    assert client.restored(again, tmp_path / "again") == whole
