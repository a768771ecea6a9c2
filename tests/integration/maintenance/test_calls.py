"""How often the maintenance calls restic, and as whom: a script in its place writes each call down."""

from __future__ import annotations

import socket
import subprocess
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.client import Order, run
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.repository import Repository
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.retention import Rules
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.state import State
from integration.maintenance.client import PASSWORD, Client, days
from integration.maintenance.restic_lock import leave_lock

ORDER = Order("srv", Rules(), max_unused="0")


@dataclass(frozen=True)
class Call:
    """As the script saw it."""

    arguments: tuple[str, ...]
    """Less those of all calls."""
    password: str

    @property
    def verb(self) -> str:
        return self.arguments[0]


Night = Callable[[], list[Call]]


def listening(folder: Path, then: str) -> tuple[Path, Callable[[], list[Call]]]:
    """A program in restic's place that goes on with `then`; and what tells its calls since the last time."""
    script, log = folder / "restic", folder / "calls"
    script.write_text(
        f'#!/bin/sh\n( shift 3; printf "%s\\037" "$RESTIC_PASSWORD" "$@"; echo ) >>{log}\n{then}\n'
    )
    script.chmod(0o755)

    def calls() -> list[Call]:
        rows = [line.split("\037")[:-1] for line in log.read_text().splitlines()]
        log.unlink()
        return [Call(tuple(row[1:]), row[0]) for row in rows]

    return script, calls


@pytest.fixture
def night(regular: Client, repository: Repository, tmp_path: Path) -> Night:
    """A maintenance; the calls that it made."""
    script, calls = listening(tmp_path, f'exec {regular.restic} "$@"')

    def once() -> list[Call]:
        run(ORDER, replace(repository, restic=str(script)), State(tmp_path / "state"), check=False)
        return calls()

    return once


def verbs(calls: list[Call]) -> Counter[str]:
    return Counter(call.verb for call in calls)


def test_a_steady_day_takes_five_calls_and_still_frees_what_it_removes(regular: Client, night: Night) -> None:
    night()
    kept = regular.snapshots()
    regular.write(only_then="x" * 50_000)
    days(regular, 1, start=20)
    calls = night()
    assert verbs(calls) == {"check": 1, "snapshots": 1, "diff": 2, "forget": 1}
    [forget] = (call.arguments for call in calls if call.verb == "forget")
    gone = kept - regular.snapshots()
    assert gone
    assert forget == ("forget", *forget[1 : 1 + len(gone)], "--prune", "--max-unused", "0")
    assert set(forget[1 : 1 + len(gone)]) == gone
    assert "0 B" in regular.run("prune", "--dry-run", "--max-unused", "0").partition("total prune:")[2]


def test_a_drill_takes_one_call_for_the_list_and_one_for_each_file(regular: Client, night: Night) -> None:
    calls = verbs(night())
    files = sum(path.is_file() for path in regular.folder.rglob("*"))
    assert files > 20
    assert (calls["ls"], calls["dump"]) == (1, 20)
    assert calls.keys() == {"check", "snapshots", "diff", "forget", "ls", "dump"}


def test_where_a_disk_has_no_room_for_new_packs_whole_ones_go(repository: Repository, tmp_path: Path) -> None:
    """restic prunes after a removal only where it removed something: the first try may have done that."""
    script, calls = listening(
        tmp_path, 'case "$*" in *--prune*) echo "no space left on device" >&2; exit 1 ;; esac'
    )
    ids = [f"{number:064x}" for number in range(501)]
    replace(repository, restic=str(script)).prune("5%", ids)
    assert [call.arguments for call in calls()] == [
        ("forget", *ids[:500]),
        ("forget", ids[500], "--prune", "--max-unused", "5%"),
        ("forget", ids[500]),
        ("prune", "--max-unused", "unlimited", "--max-repack-size", "0"),
    ]


@pytest.mark.parametrize(("process", "lifted"), [(2**22 + 1, 1), (None, 0)])
def test_locks_are_lifted_where_there_are_any(
    regular: Client, night: Night, process: int | None, lifted: int
) -> None:
    """A process of that number there is never: Linux has none above 2^22."""
    if process:
        leave_lock(regular.path, PASSWORD, socket.gethostname(), process, datetime.now(UTC))
    calls = night()
    assert verbs(calls)["unlock"] == lifted
    assert len(regular.snapshots()) == 8
    assert list((regular.path / "locks").iterdir()) == []


def test_the_password_is_asked_for_once_and_nothing_else_opens_the_repository_later(
    regular: Client, night: Night
) -> None:
    """Each other call would cost half a second to derive the key anew."""
    keys = [path.read_bytes() for path in (regular.path / "keys").iterdir()]
    first, second = night(), night()
    words = []
    for calls in (first, second):
        assert {call.verb for call in calls if call.password == PASSWORD} == {"check"}
        [word] = {call.password for call in calls if call.verb != "check"}
        assert len(word) == 64
        words.append(word)
    assert words[0] != words[1]
    assert [path.read_bytes() for path in (regular.path / "keys").iterdir()] == keys
    for word in words:
        refused = subprocess.run(
            [regular.restic, "--repo", regular.path, "--no-cache", "snapshots"],
            env={"RESTIC_PASSWORD": word},
            capture_output=True,
            check=False,
        )
        assert refused.returncode == 12
