"""Power cuts and full disks in the middle of a maintenance: nothing is lost, and the next run finishes.

What a night has to do before anything is removed (measures of twenty versions, a first check) is done once,
and each night of the soak begins from a copy of that: so a night is some ten calls of restic. `make test`
lets nights die six times, `make soak` thirty; the places are drawn by a seed, the first are the same in both.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.client import Order, run
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.drill import Size
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.errors import ProSecoursError
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.repository import (
    DiskFull,
    Repository,
)
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.retention import Rules
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.state import State
from integration.maintenance.client import PASSWORD, Client

ORDER = Order("srv", Rules(), drill=Size(files=2))
DEATHS = int(os.environ.get("PROSECOURS_SOAK", "6"))
IN_A_NIGHT = 3
"""So often a night dies, each time at another place, before it may finish."""
LONGEST = 0.3
"""Seconds of a call of restic: it dies so long after its beginning at most."""


@dataclass
class Night:
    """A repository and its state of before a maintenance that removes twelve versions of twenty."""

    client: Client
    state: State
    calls: Path
    """Where its restic writes a line as each call begins."""

    @property
    def repository(self) -> Repository:
        return Repository(
            self.client.path, PASSWORD, str(self.calls.parent / "restic"), patience=30, server="srv"
        )

    def copied(self, place: Path, hook: str = "") -> Night:
        """To another place, with a restic that does `hook` first."""
        place.mkdir()
        shutil.copytree(self.client.path, place / "repository")
        shutil.copytree(self.state.folder, place / "state")
        return night(replace(self.client, path=place / "repository"), place, hook)

    def begin(self) -> int:
        """A maintenance in a process group of its own; its process."""
        self.calls.write_text("")
        child = os.fork()
        if child:
            return child
        try:
            os.setsid()
            run(ORDER, self.repository, self.state, check=False)
            os._exit(0)
        finally:
            os._exit(1)

    def finish(self) -> None:
        run(ORDER, self.repository, self.state, check=False)


def night(client: Client, place: Path, hook: str = "") -> Night:
    restic, calls = place / "restic", place / "calls"
    restic.write_text(f'#!/bin/sh\necho "$*" >>{calls}\n{hook}\nexec {client.restic} "$@"\n')
    restic.chmod(0o755)
    return Night(client, State(place / "state"), calls)


@pytest.fixture(scope="module")
def evening(template: Client, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Night:
    """Stopped at the first removal, with all that was measured."""
    place = tmp_path_factory.mktemp("evening")
    shutil.copytree(template.path, place / "repository")
    made = night(Client(template.restic, place / "repository", folder), place)

    class Stopped(Exception):
        pass

    class Stops(Repository):
        def prune(self, max_unused: str = "", ids: object = ()) -> None:
            raise Stopped

    with pytest.raises(Stopped):
        run(ORDER, Stops(**vars(made.repository)), made.state, check=False)
    made.state.finish()
    assert len(made.client.snapshots()) == 20
    return made


@pytest.fixture(scope="module")
def morning(evening: Night, tmp_path_factory: pytest.TempPathFactory) -> tuple[set[str], int]:
    """What is left after an undisturbed night, and how many calls of restic it takes."""
    quiet = evening.copied(tmp_path_factory.mktemp("morning") / "night")
    quiet.calls.write_text("")
    quiet.finish()
    left = quiet.client.snapshots()
    assert len(left) == 8
    return left, len(quiet.calls.read_text().splitlines())


def whole(one: Night, left: set[str]) -> None:
    """As after an undisturbed night, and every byte of it can be read."""
    assert one.client.snapshots() == left
    assert not one.state.unfinished
    one.client.run("check", "--read-data")


def died(one: Night, call: int, after: float) -> bool:
    """Whether the night died `after` seconds into its call of restic number `call`; else it ended before."""
    process = one.begin()
    end = time.monotonic() + 120
    while len(one.calls.read_text().splitlines()) < call:
        ended, code = os.waitpid(process, os.WNOHANG)
        if ended:
            assert os.waitstatus_to_exitcode(code) == 0
            return False
        assert time.monotonic() < end
        time.sleep(0.005)
    time.sleep(after)
    ended, code = os.waitpid(process, os.WNOHANG)
    if ended:
        assert os.waitstatus_to_exitcode(code) == 0
        return False
    os.killpg(process, signal.SIGKILL)
    os.waitpid(process, 0)
    gone(one)
    return True


def gone(one: Night) -> None:
    """A child that was about to become restic has the state's lock too, and is nobody's to wait for."""
    end = time.monotonic() + 30
    with (one.state.folder / "lock").open("w") as lock:
        while True:
            try:
                return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                assert time.monotonic() < end
                time.sleep(0.01)


@pytest.mark.slow
def test_nights_that_die_anywhere_lose_nothing_and_the_next_one_finishes(
    evening: Night, morning: tuple[set[str], int], tmp_path: Path
) -> None:
    """As by a power cut: the maintenance and its restic die together."""
    left, calls = morning
    chance = random.Random(20261126)  # noqa: S311
    deaths = nights = 0
    while deaths < DEATHS:
        nights += 1
        assert nights <= 2 * DEATHS
        one = evening.copied(tmp_path / str(nights))
        for _ in range(IN_A_NIGHT):
            deaths += died(one, chance.randint(1, calls), chance.uniform(0, LONGEST))
            assert one.client.snapshots() >= left
        one.finish()
        whole(one, left)
    assert run(ORDER, one.repository, one.state, check=False)["changed"] is False
    for name in left:
        assert one.client.restored(name, tmp_path / "out" / name) == evening.client.restored(
            name, tmp_path / "wanted" / name
        )


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 4 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", disk], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("only root may mount a small disk")
    yield disk
    subprocess.run(["umount", disk], check=True)


@pytest.mark.parametrize(
    ("on_it", "when", "room", "said"),
    [
        ("repository", "check", 0, "the repository is full. Make room"),
        ("repository", "forget", 0, "the repository is full. Make room"),
        # A lock finds room, and no new pack: whole packs go without; or it is said.
        ("repository", "forget", 12288, ""),
        ("state", "snapshots", 0, "versions.json: it cannot be written (No space left on device). Make room"),
        ("state", "forget", 0, "it cannot be written (No space left on device). Make room"),
    ],
)
def test_a_disk_that_fills_up_is_told_and_a_little_room_is_enough(
    evening: Night,
    morning: tuple[set[str], int],
    small_disk: Path,
    tmp_path: Path,
    on_it: str,
    when: str,
    room: int,
    said: str,
) -> None:
    left, _calls = morning
    other = small_disk / "other"
    fills = (
        f'case " $* " in *" {when} "*) [ -e {other} ]'
        f" || {{ cat /dev/zero >{other} 2>/dev/null; truncate -s -{room} {other}; }} ;; esac"
    )
    one = evening.copied(tmp_path / "night", fills)
    moved = tmp_path / "night" / on_it
    shutil.copytree(moved, small_disk / on_it)
    shutil.rmtree(moved)
    moved.symlink_to(small_disk / on_it)
    one.client.path = one.client.path.resolve()
    one = replace(one, state=State(one.state.folder.resolve()))
    if said:
        with pytest.raises(ProSecoursError, match=re.escape(said)):
            one.finish()
    else:
        with contextlib.suppress(DiskFull):
            one.finish()
    assert other.exists()
    assert one.client.snapshots() >= left
    if (on_it, when) == ("repository", "check"):
        assert len(one.client.snapshots()) == 20
        assert len(run(ORDER, one.repository, one.state, check=True)["removed"]) == 12
    os.truncate(other, other.stat().st_size - 65536)
    one.finish()
    whole(one, left)
