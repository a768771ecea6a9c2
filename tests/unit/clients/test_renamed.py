"""A server's repository goes to another name on its host: whole, from wherever a run was cut, or not."""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import UTC, datetime
from itertools import product
from pathlib import Path

import pytest
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.renamed import (
    CannotRename,
    rename,
)
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.state import State
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.volume import Usage, Use

PLACES = ("data", "state", "config/encryption-passwords")
HAS = ("data/old/config", "state/old/versions.json", "config/encryption-passwords/old")


def host(folder: Path, *files: str) -> None:
    for name in (*files, "data/lock", "state/lock", "config/encryption-passwords/lock"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def run(folder: Path, check: bool = False) -> list[str]:
    moves = rename(folder / "data", folder / "state", folder / "config", "old", "new", check)
    return [str(one.source.relative_to(folder)) for one in moves]


def there(folder: Path) -> set[str]:
    return {str(one.relative_to(folder)) for one in folder.rglob("*") if one.is_file() and one.name != "lock"}


@pytest.mark.parametrize("moved", [*product((False, True), repeat=3)])
def test_wherever_a_run_was_cut_the_next_one_finishes(moved: tuple[bool, ...], tmp_path: Path) -> None:
    host(
        tmp_path, *(one.replace("old", "new") if done else one for one, done in zip(HAS, moved, strict=True))
    )
    (tmp_path / "data" / "new").mkdir(exist_ok=True)  # playbooks/repository.yml makes it
    before = there(tmp_path)
    foretold = run(tmp_path, check=True)
    assert there(tmp_path) == before
    assert (run(tmp_path), len(foretold)) == (foretold, moved.count(False))
    assert there(tmp_path) == {one.replace("old", "new") for one in HAS}
    assert run(tmp_path) == []


@pytest.mark.parametrize("steps", range(6))
def test_a_maintenance_after_a_cut_stands_in_no_way(
    steps: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut before each change of the disk; then a maintenance remembers what it finds by the old name."""
    host(tmp_path, *HAS, "state/new/perimeter.json")
    (tmp_path / "data" / "new").mkdir()
    left = iter(range(steps))

    def cut(name: str) -> None:
        real = getattr(Path, name)

        def until_then(*arguments: Path) -> object:
            if next(left, None) is None:
                raise KeyboardInterrupt
            return real(*arguments)

        monkeypatch.setattr(Path, name, until_then)

    with suppress(KeyboardInterrupt):
        cut("rename")
        cut("rmdir")
        run(tmp_path)
    monkeypatch.undo()
    if (tmp_path / "data/old/config").exists():
        (tmp_path / "state/old").mkdir(exist_ok=True)
        (tmp_path / "state/old/versions.json").write_text(HAS[1])
    run(tmp_path)
    assert set(HAS).isdisjoint(there(tmp_path))
    assert {one.replace("old", "new") for one in HAS} <= there(tmp_path)
    assert (tmp_path / "state/new/versions.json").read_text() == HAS[1]
    assert run(tmp_path) == []


@pytest.mark.parametrize(
    "also",
    [
        "data/new/config",
        "data/new/x",
        "data/old/locks/a",
        "state/new/versions.json",
        "state/new/arrivals.json",
    ],
)
def test_nothing_is_put_over_anything(also: str, tmp_path: Path) -> None:
    host(tmp_path, *HAS, also)
    before = there(tmp_path)
    with pytest.raises(CannotRename, match="nothing was moved"):
        run(tmp_path)
    assert there(tmp_path) == before


def test_a_lock_that_nobody_renews_stands_in_no_way(tmp_path: Path) -> None:
    host(tmp_path, *HAS, "data/old/locks/a")
    os.utime(tmp_path / "data/old/locks/a", (0, 0))
    assert len(run(tmp_path)) == 3


def test_a_server_that_has_sent_nothing_has_nothing_to_move(tmp_path: Path) -> None:
    host(tmp_path)
    (tmp_path / "data" / "old").mkdir()
    assert run(tmp_path) == []


@pytest.mark.parametrize("name", ["arrivals.json", "carried.json"])
def test_what_a_disk_brought_goes_along_before_the_first_maintenance(name: str, tmp_path: Path) -> None:
    host(tmp_path, f"state/old/{name}", "state/new/perimeter.json")
    (tmp_path / "state" / "lock").unlink()
    assert run(tmp_path) == ["state/new", "state/old"]
    assert (tmp_path / "state" / "new" / name).read_text() == f"state/old/{name}"
    assert not (tmp_path / "state" / "lock").exists()  # nothing is left that was not there


def test_a_server_counts_once_for_its_client_s_volume(tmp_path: Path) -> None:
    host(tmp_path, *HAS)
    client, use = State(tmp_path / "state"), Use(600, datetime(2026, 11, 2, tzinfo=UTC))
    client.keep_usage(Usage(1, {"old": use, "other": use}))
    run(tmp_path, check=True)
    assert client.usage() == Usage(1, {"old": use, "other": use})
    run(tmp_path)
    run(tmp_path)
    assert client.usage() == Usage(1, {"new": use, "other": use})
