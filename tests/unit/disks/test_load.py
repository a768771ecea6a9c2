"""What is on a disk may be anybody's: names that are not their content's, and files without end."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance import disks
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.admission import (
    Admission,
    Remembered,
)
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.repository import Repository
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.state import State
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.storage import Folder
from support.sealed import PASSWORD, Seals, empty_repository, only_key

FILLED = datetime(2026, 11, 2, 12, tzinfo=UTC)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    empty_repository(tmp_path / "repository")
    return Repository(
        tmp_path / "repository", PASSWORD, "restic", lies=Folder(tmp_path / "repository"), server="srv"
    )


def test_a_name_that_is_not_its_content_s_vouches_for_no_later_upload(
    repository: Repository, tmp_path: Path
) -> None:
    state = State(tmp_path / "state")
    seals = Seals.of_repository(PASSWORD, only_key(tmp_path / "repository"))
    says = {"tree": "0" * 64, "time": FILLED.isoformat(), "paths": ["D:\\x"], "hostname": "srv"}
    file = seals.closed(json.dumps(says).encode())
    own, later = hashlib.sha256(file).hexdigest(), "a" * 64
    folder = tmp_path / "disk" / "ProSecours" / "srv" / "snapshots"
    folder.mkdir(parents=True)

    def load(name: str) -> None:
        (folder / name).write_bytes(file)
        files = {f"snapshots/{name}": len(file)}
        told = disks.Manifest(files, FILLED - timedelta(hours=1), FILLED + timedelta(hours=1))
        disks.load(repository, state, tmp_path / "disk", told, "r1")

    with pytest.raises(disks.DiskError, match="its content is not that of its name; it was not loaded"):
        load(later)
    assert state.arrivals() == {}
    load(own)
    assert state.arrivals() == {own: FILLED}
    assert [one.name for one in (tmp_path / "repository" / "snapshots").iterdir()] == [own]


def without_end(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.truncate(2**40)
    return path


def test_files_without_end_on_a_disk_are_not_read(repository: Repository, tmp_path: Path) -> None:
    disk, state = tmp_path / "disk", State(tmp_path / "state")
    config = without_end(disk / "ProSecours" / "srv" / "config")
    with pytest.raises(disks.DiskError, match="holds another repository"):
        disks.prepare(repository, state, disk, check=False)
    assert config.stat().st_size == 2**40
    place = disk / "ProSecours" / "restauration-srv"
    for path in (place / "keys" / ("a" * 64), place / "config", place.parent / "LISEZMOI.html"):
        without_end(path)
    admission = Admission(repository.storage, PASSWORD, Remembered())
    disks._finish(place, admission, "a-code", {"LISEZMOI.html": b"how"})
    assert (place.parent / "LISEZMOI.html").read_bytes() == b"how"
    assert (place / "config").read_bytes() == (repository.path / "config").read_bytes()
    assert len([*(place / "keys").iterdir()]) == 2
    disks._finish(place, admission, "a-code", {})
    assert len([*(place / "keys").iterdir()]) == 2
