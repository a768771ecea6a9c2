"""How old the dumps in a version are, in a real restic's repository, and how its folders are read."""

from __future__ import annotations

import json
import os
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.admission import Remembered
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.client import Order, run
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.dumps import Folders
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.model import Dumps
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.repository import Repository
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.retention import Rules
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.state import State
from integration.maintenance.client import Client
from unit.maintenance.simulation import ONE_DAY, at

NIGHT = at("2026-01-24")


def written(folder: Path, days: dict[str, float]) -> None:
    """Dumps that are so many days old on NIGHT."""
    for name, age in days.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
        stamp = (NIGHT - timedelta(days=age)).timestamp()
        os.utime(path, (stamp, stamp))


def found(client: Client, repository: Repository, state: State, folder: Path) -> list[Dumps]:
    client.backup(NIGHT)
    order = Order("srv", Rules(), dumps={str(folder): 4})
    return [*state_after(order, repository, state)]


def state_after(order: Order, repository: Repository, state: State) -> tuple[Dumps, ...]:
    run(order, repository, state, check=False)
    return state.report().dumps


@pytest.mark.parametrize(
    ("days", "newest", "stale"),
    [
        ({"a.bak": 0.1, "b.bak": 30}, 0.1, False),
        ({"a.bak": 5, "old/deep/b.bak": 3.9}, 3.9, False),
        ({"a.bak": 5, "old/deep/b.bak": 4.1}, 4.1, True),
        ({"a.bak": 30, "Zukünftig.bak": -300}, 30, True),  # a time that is to come is no proof
        ({}, None, True),
    ],
)
def test_the_newest_dump_of_the_newest_version(
    client: Client,
    repository: Repository,
    tmp_path: Path,
    days: dict[str, float],
    newest: float | None,
    stale: bool,
) -> None:
    folder = client.folder / "isagiwf" / "backup"
    folder.mkdir(parents=True)
    written(folder, days)
    [one] = found(client, repository, State(tmp_path / "state"), folder)
    assert one.stale == stale
    assert one.at == NIGHT
    expected = None if newest is None else NIGHT - timedelta(days=newest)
    assert (one.newest and one.newest.replace(microsecond=0)) == (
        expected and expected.replace(microsecond=0)
    )


def test_dumps_that_go_on_end_the_finding_and_a_folder_that_is_gone_is_told_elsewhere(
    client: Client, repository: Repository, tmp_path: Path
) -> None:
    folder, state = client.folder / "dumps", State(tmp_path / "state")
    written(folder, {"a.bak": 9})
    assert [one.stale for one in found(client, repository, state, folder)] == [True]
    stamp = (NIGHT + ONE_DAY).timestamp()
    os.utime(folder / "a.bak", (stamp, stamp))
    client.backup(NIGHT + ONE_DAY)
    order = Order("srv", Rules(), dumps={str(folder): 4, str(client.folder / "nowhere"): 4})
    assert [one.stale for one in state_after(order, repository, state)] == [False]
    assert state_after(Order("srv", Rules()), repository, state) == ()


def test_it_reads_what_restic_reads(regular: Client, repository: Repository) -> None:
    """Every folder of every version, against restic's own listing."""
    with repository.admitted(Remembered(), writable=False) as (seen, admission):
        seen.snapshots()
        assert seen.trees
        inside = Folders(seen.trees)
        for name in sorted(regular.snapshots())[:5]:
            listed = [json.loads(line) for line in regular.run("ls", "--json", name).splitlines()]
            wanted = sorted(
                (node["name"], datetime.fromisoformat(node["mtime"])) for node in listed if "path" in node
            )
            nodes = [node for some in inside.below(admission.trees[name]) for node in some]
            assert sorted((one.name, datetime.fromisoformat(one.mtime)) for one in nodes) == wanted
