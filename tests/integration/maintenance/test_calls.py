"""How often the maintenance calls restic, and as whom: a script in its place writes each call down."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.client import Order, run
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.repository import Repository
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.retention import Rules
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.state import State
from integration.maintenance.client import PASSWORD, Client

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
