"""What is fetched once in a run, and what must not be taken from a copy."""

from __future__ import annotations

import errno
import hashlib
import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import pytest
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance import copies
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.copies import Copies

CONTENT = os.urandom(5000)
NAME = hashlib.sha256(CONTENT).hexdigest()


class Place:
    """Of a Storage what Copies asks."""

    def __init__(self) -> None:
        self.files = {NAME: CONTENT}
        self.asked: Counter[str] = Counter()

    def read(self, kind: str, name: str, start: int = 0, size: int | None = None) -> bytes:
        self.asked[name] += 1
        if name not in self.files:
            raise FileNotFoundError(name)
        return self.files[name][start:][:size]


@pytest.fixture
def place() -> Place:
    return Place()


@pytest.fixture
def kept(place: Place) -> Copies:
    return Copies(cast(Any, place))


def test_each_file_is_fetched_once_whatever_part_of_it_is_asked_for(place: Place, kept: Copies) -> None:
    for start, size in ((0, None), (10, 20), (4990, 100), (6000, 10), (100, None), (0, 0)):
        assert kept.read("data", NAME, start, size) == CONTENT[start:][:size]
    assert place.asked == {NAME: 1}


def test_at_once_too(place: Place, kept: Copies) -> None:
    with ThreadPoolExecutor(8) as pool:
        parts = list(pool.map(lambda number: kept.read("data", NAME, number, 100), range(200)))
    assert parts == [CONTENT[number:][:100] for number in range(200)]
    assert place.asked == {NAME: 1}


def test_what_is_not_what_its_name_says_is_asked_for_each_time(place: Place, kept: Copies) -> None:
    """It may be true the next time, or be somebody's else then; and it is not fetched whole again."""
    place.files[NAME] = b"another content"
    assert kept.read("data", NAME, 2, 3) == b"oth"
    place.files[NAME] = CONTENT
    assert kept.read("data", NAME, 2, 3) == CONTENT[2:5]
    assert place.asked == {NAME: 3}


def test_what_is_not_there_is_not_there_until_it_came(place: Place, kept: Copies) -> None:
    del place.files[NAME]
    with pytest.raises(FileNotFoundError):
        kept.read("data", NAME)
    place.files[NAME] = CONTENT
    assert kept.read("data", NAME) == CONTENT


def test_what_was_removed_is_gone(place: Place, kept: Copies) -> None:
    kept.read("data", NAME)
    del place.files[NAME]
    kept.drop("data", NAME)
    with pytest.raises(FileNotFoundError):
        kept.read("data", NAME)


@pytest.mark.parametrize("bound", ["LARGEST", "ROOM"])
def test_there_are_bounds(place: Place, kept: Copies, bound: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, bound, 4999)
    assert kept.read("data", NAME) == CONTENT
    assert kept.read("data", NAME, 1, 2) == CONTENT[1:3]
    assert place.asked == {NAME: 3}


def test_a_full_disk_costs_requests_only(place: Place, kept: Copies, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_unused: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    assert kept.read("data", NAME) == CONTENT
    monkeypatch.setattr(os, "pwrite", lambda _file, data, _at: len(data) - 1)
    assert Copies(cast(Any, place)).read("data", NAME) == CONTENT


def test_nothing_of_it_has_a_name_and_it_ends_with_the_run(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    one = Copies(cast(Any, place))
    before = len([*Path("/proc/self/fd").iterdir()])
    one.read("data", NAME)
    assert list(tmp_path.iterdir()) == []
    del one
    assert len([*Path("/proc/self/fd").iterdir()]) == before - 1
