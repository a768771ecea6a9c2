"""A client may send files as large as his volume: what restic makes small is not read whole to be judged."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.admission import (
    Admission,
    Remembered,
)
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.sealed import Blob, Rubbish
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.storage import Folder
from support.sealed import PASSWORD, empty_repository

NAME = "a" * 64


@pytest.fixture
def place(tmp_path: Path) -> Path:
    empty_repository(tmp_path / "repository")
    return tmp_path / "repository"


def without_end(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**40)


@pytest.mark.parametrize("kind", ["index", "locks", "snapshots"])
def test_a_file_without_end_is_named_and_not_read(kind: str, place: Path) -> None:
    without_end(place / kind / NAME)
    admission = Admission(Folder(place), PASSWORD, Remembered())
    assert admission.names(kind) == set()
    assert [one.why for one in admission.aside.values()] == ["is larger than restic makes any"]


def test_a_key_without_end_is_none_and_the_true_one_opens(place: Path) -> None:
    [true] = (place / "keys").iterdir()
    without_end(place / "keys" / NAME)
    admission = Admission(Folder(place), PASSWORD, Remembered(key=NAME))
    assert admission.names("keys") == {true.name}
    assert [(one.kind, one.name) for one in admission.aside.values()] == [("keys", NAME)]


def test_a_configuration_without_end_opens_nothing(place: Path) -> None:
    without_end(place / "config")
    assert Admission(Folder(place), PASSWORD, Remembered()).key_name is None


def test_a_part_is_not_read_at_the_length_that_an_index_claims(place: Path) -> None:
    (place / "data" / "aa").mkdir(parents=True, exist_ok=True)
    without_end(place / "data" / "aa" / NAME)
    admission = Admission(Folder(place), PASSWORD, Remembered())
    with pytest.raises(Rubbish, match="is larger than restic makes any"):
        admission.part(NAME, Blob(0, 2**32 - 1, "tree", "b" * 64, 0))
