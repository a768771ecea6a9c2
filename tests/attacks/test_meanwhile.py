"""What arrives while a maintenance is under way: nothing of it is lost, and nothing is removed by it.

The provider's restic is a script that first lets the client's server act, at a call of its choice.
"""

from __future__ import annotations

import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.client import run
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.repository import (
    Repository,
    RepositoryError,
)
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.state import State
from attacks.conftest import ORDER, Maintain
from attacks.forger import Forger
from attacks.test_volume import folded
from integration.maintenance.client import PASSWORD, Client, contents

NIGHTLY = {"NEW": "written today, by an accountant"}


def acting(client: Client, repository: Repository, place: Path, when: str, act: str) -> Repository:
    """The repository whose restic has the shell do `act`, once, before its first call of `when`."""
    script, done = place / "restic", place / "acted"
    script.write_text(
        f'#!/bin/sh\ncase " $* " in *" {when} "*) '
        f'[ -e {done} ] || {{ : >{done}; ({act}) >{place}/said 2>&1; }};; esac\nexec {client.restic} "$@"\n'
    )
    script.chmod(stat.S_IRWXU | stat.S_IRGRP | stat.S_IXGRP | stat.S_IROTH | stat.S_IXOTH)
    return replace(repository, restic=str(script))


@pytest.mark.parametrize("when", ["snapshots", "forget"])
def test_a_backup_that_ends_in_the_middle_of_a_maintenance_is_whole(
    settled: Client, repository: Repository, state: State, tmp_path: Path, when: str
) -> None:
    """Before the versions are listed, and between that and the removal, which prunes by the same lock."""
    for number in range(3):  # so that there is something to remove
        settled.write(today=f"later {number}")
        settled.backup(datetime(2026, 1, 25 + number, 21, tzinfo=UTC))
    before = settled.snapshots()
    # What nothing else needs: a prune that did not know the version would throw it away.
    settled.write(**NIGHTLY)
    wanted = contents(settled.folder)
    backup = (
        f"RESTIC_PASSWORD={PASSWORD} {settled.restic} -r {settled.url} --no-cache backup --host srv"
        f" {settled.folder}"
    )
    result = run(ORDER, acting(settled, repository, tmp_path, when, backup), state, check=False)
    assert "saved" in (tmp_path / "said").read_text()
    [new] = settled.snapshots() - before
    assert result["removed"]
    assert result["pruned"]
    assert settled.restored(new, tmp_path / "restored") == wanted
    settled.run("check", "--read-data")


def test_versions_without_room_that_come_before_the_removal_stop_the_pruning(
    settled: Client,
    repository: Repository,
    state: State,
    forger: Forger,
    maintain: Maintain,
    tmp_path: Path,
) -> None:
    """Else the honest version of that moment, hidden with them, would lose its contents."""
    settled.backup(datetime(2026, 1, 25, 21, tzinfo=UTC))
    before = settled.snapshots()
    tree = forger.document("snapshots", max(before))["tree"]
    now = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
    waiting = tmp_path / "waiting"
    waiting.mkdir()
    for number in range(40):
        begin = b'{"time":"%s","tree":"%s","paths":["/%d",' % (now.encode(), tree.encode(), number)
        text = folded(forger, begin, b'"%s",' % (b"x" * 1000), b'"/a"]}', 950_000)
        forger.add("snapshots", text)
    sent = settled.snapshots() - before
    for name in sent:
        (settled.path / "snapshots" / name).rename(waiting / name)
    act = f"mv {waiting}/* {settled.path}/snapshots/"
    with pytest.raises(RepositoryError, match="restic forget left 1 of 1 snapshots"):
        run(ORDER, acting(settled, repository, tmp_path, "forget", act), state, check=False)
    result = maintain()
    without_room = [text[10:18] for text in result["rubbish"] if "until it is rejected" in text]
    assert (len(without_room), result["removed"], result["pruned"]) == (7, [], False)
    settled.run("check", "--read-data")
    assert maintain(reject=tuple(without_room), reject_by="A. Martin", reject_why="forged")["pruned"] is True
