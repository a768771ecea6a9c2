"""What disks carried is billed in its month, also of a server that has left since."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.fleet import (
    Client,
    Settings,
    carried_by,
    state_of,
)
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.volume import Carried


def test_a_server_that_left_is_billed_for_its_disk(tmp_path: Path) -> None:
    client = Client("ferme", "PS-1", 100, 7, 3, {"here": str(tmp_path / "here")}, str(tmp_path))
    settings = Settings(str(tmp_path / "state"), "restic", 1, 60, 24)
    brought, took = Carried(date(2026, 11, 2), 5), Carried(date(2026, 11, 9), 7, taken=True)
    for server, one in (("here", brought), ("gone", took)):
        state = state_of(client, settings, server)
        state.folder.mkdir(parents=True)
        state.keep_carried("r1", one)
    assert carried_by(("here", "gone", "never"), client, settings) == [brought, took]
