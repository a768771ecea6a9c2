"""A version on a disk is believed to be of its day by what is in it, and not by what somebody names it."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance import disks
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.repository import Repository
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.state import State
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.storage import Folder
from support.sealed import PASSWORD, Seals, empty_repository, only_key

FILLED = datetime(2026, 11, 2, 12, tzinfo=UTC)


def test_a_name_that_is_not_its_content_s_vouches_for_no_later_upload(tmp_path: Path) -> None:
    empty_repository(tmp_path / "repository")
    state = State(tmp_path / "state")
    repository = Repository(
        tmp_path / "repository", PASSWORD, "restic", lies=Folder(tmp_path / "repository"), server="srv"
    )
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
