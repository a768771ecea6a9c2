"""Over the subscribed volume the server refuses new backups, and nothing else: by real programs (C15)."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance import volume
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.fleet import Client as Known
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.fleet import (
    Settings,
    door_of,
    maintain,
)
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.gate import Gate
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.state import Busy, State
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.subscription import settle
from ansible_collections.prosecours.backup.plugins.plugin_utils import binaries
from integration.maintenance.client import PASSWORD, Client, new_client
from support.addresses import address

ADDRESS = address()
AS_ROOT = os.geteuid() == 0
SERVER = 4242 if AS_ROOT else os.geteuid()
"""The user of the server and owner of the repository; it needs no name."""


@dataclass
class Served:
    """A repository on disk behind a rest-server, as the client's server sees it and as the host does."""

    client: Client
    url: str
    known: Known
    folder: Path

    @property
    def state(self) -> State:
        """Of the client."""
        return State(self.folder / self.known.client)

    @property
    def closed(self) -> bool | None:
        return door_of(self.known).closed

    def restic(self, *arguments: str, ends: int = 0) -> str:
        done = subprocess.run([*self._command, *arguments], **self._how, timeout=120, check=False)
        assert done.returncode == ends, done.stderr
        return str(done.stdout)

    def refused(self) -> None:
        """A backup is refused until it is given up: restic itself tries for a quarter of an hour."""
        before = self.client.snapshots()
        self.client.write(new=os.urandom(8).hex())
        command = [*self._command, "backup", "--host", "srv", str(self.client.folder)]
        with subprocess.Popen(
            command, **(self._how | {"stderr": subprocess.STDOUT, "stdout": subprocess.PIPE})
        ) as process:
            assert process.stdout
            assert any(
                "returned error, retrying after" in line and "(500)" in line for line in process.stdout
            )
            process.terminate()
            process.stdout.read()
        assert process.returncode != 0
        assert self.client.snapshots() == before

    def sent(self, size: int = 100) -> str:
        """Back up through the server; the new snapshot."""
        before = self.client.snapshots()
        self.client.write(new=os.urandom(8).hex(), office__plan="x" * size)
        self.restic("backup", "--host", "srv", str(self.client.folder))
        [new] = self.client.snapshots() - before
        return new

    def maintain(self, check: bool = False, reject: tuple[str, ...] = (), **changes: Any) -> dict[str, Any]:
        settings = Settings(str(self.folder), self.client.restic, 1, 15, 24, patience=60, reserve_megabytes=0)
        if reject:
            settings = replace(settings, reject=reject, reject_by="A. Martin", reject_why="forged")
        known = replace(self.known, **changes)
        outcome = maintain([known], lambda _client, _server: PASSWORD, settings, check)
        assert not outcome.failures
        return outcome.reports[known.client]

    def settle(self, subscribed_gb: int = 1, check: bool = False, **measured: int) -> dict[str, Any]:
        return settle(door_of(self.known), self.state, subscribed_gb, self.known.servers, measured, check)

    def modes(self) -> dict[str, int]:
        folders = (path for path in (self.client.path, *self.client.path.rglob("*")) if path.is_dir())
        return {str(path): stat.S_IMODE(path.stat().st_mode) for path in folders}

    @property
    def _command(self) -> list[str]:
        return [self.client.restic, "--repo", self.url, "--no-cache"]

    @property
    def _how(self) -> dict[str, Any]:
        return {"env": {**os.environ, "RESTIC_PASSWORD": PASSWORD}, "text": True, "stdout": -1, "stderr": -1}


@pytest.fixture
def served(template: Client, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """A client with twenty days of backups and a little over 100 kB; a "GB" has 10 kB here."""
    monkeypatch.setattr(volume, "GB", 10**4)
    wanted = binaries.artefact("rest-server", "linux/amd64")
    program = binaries.cached(wanted, binaries.default_cache())
    if program is None:
        pytest.skip(f"{wanted} is not in the cache: run make setup")
    # Not below pytest's own folder, which is closed to the user of the server.
    with tempfile.TemporaryDirectory(prefix="gate-") as name:
        place = Path(name)
        place.chmod(0o711)
        for source in (template.restic, program.path):
            shutil.copy(source, place / Path(source).name)
        client = new_client(str(place / Path(template.restic).name), place / "data" / "farm", folder)
        for source, target in ((template.path, client.path), (template.folder, folder)):
            shutil.rmtree(target)
            shutil.copytree(source, target)
        for path in (place / "data", *(place / "data").rglob("*")):
            os.chown(path, SERVER, SERVER)
        with socket.create_server((ADDRESS, 0)) as taken:
            port = taken.getsockname()[1]
        server = subprocess.Popen(
            [
                *(str(place / program.path.name), "--path", str(place / "data")),
                *("--listen", f"{ADDRESS}:{port}", "--append-only", "--no-auth"),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            **({"user": SERVER, "group": SERVER, "extra_groups": []} if AS_ROOT else {}),
        )
        assert server.stdout
        assert any(b"start server on" in line for line in server.stdout)
        known = Known(
            "tilleuls", "PS-2026-0100", 1, 7, 2, {"farm": str(client.path)}, str(client.path.parent)
        )
        yield Served(client, f"rest:http://{ADDRESS}:{port}/farm/", known, place / "state")
        server.terminate()
        server.communicate()


@pytest.mark.slow
def test_over_the_volume_new_backups_are_refused_and_nothing_else(served: Served, tmp_path: Path) -> None:
    before = served.modes()
    foretold = served.maintain(check=True)
    assert foretold["volume"]["closed"] is True
    assert served.modes() == before
    done = served.maintain()
    # What is stored shrinks by what is pruned; check mode neither checks nor restores.
    told_apart = {"volume": {}, "bills": [], "check": None, "drill": None}
    assert foretold | told_apart == done | told_apart
    assert len(done["removed"]) == 12
    assert "new backups are refused: over the subscribed volume\n" in done["diff"]["after"]

    served.refused()
    served.restic("restore", "latest", "--target", str(tmp_path))
    restored = tmp_path / served.client.folder.relative_to("/")
    assert (restored / "office" / "plan").stat().st_size == 100_000
    served.restic("check", "--read-data")  # takes a lock, and removes it
    (served.client.path / "locks" / ("0" * 64)).write_text("not a lock any more")
    served.restic("unlock", "--remove-all")
    assert list((served.client.path / "locks").iterdir()) == []
    elsewhere = served.url.replace("/farm/", "/farm/other/")
    subprocess.run(  # a second repository below the same login is no way around it
        [served.client.restic, "--repo", elsewhere, "init"],
        env={**os.environ, "RESTIC_PASSWORD": PASSWORD},
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert not (served.client.path / "other").exists()

    again = served.maintain()
    assert again["changed"] is False
    assert again["volume"]["closed"] is True

    lifted = served.maintain(check=True, subscribed_gb=20)
    assert (lifted["changed"], lifted["volume"]["closed"]) == (True, False)
    served.refused()
    assert served.maintain(subscribed_gb=20)["volume"]["closed"] is False
    served.sent()
    if AS_ROOT:
        assert {path.stat().st_uid for path in served.client.path.rglob("*")} == {SERVER}


@pytest.mark.slow
def test_retention_works_in_a_closed_repository_and_closes_it_again(served: Served) -> None:
    assert served.settle(farm=200_000)["closed"] is True
    served.refused()
    done = served.maintain()
    assert len(done["removed"]) == 12
    assert (done["pruned"], done["volume"]["closed"]) == (True, True)
    served.refused()
    served.client.run("check", "--read-data")


@pytest.mark.slow
def test_a_client_that_deleted_files_is_let_in_by_the_next_deploy(served: Served) -> None:
    """It could not send the smaller version that would show it."""
    served.maintain()
    served.refused()
    for check in (True, False):
        result = served.settle(check=check, farm=9_000)
        assert (result["changed"], result["closed"]) == (True, False)
        assert served.closed is check
    assert served.settle(farm=9_000)["changed"] is False
    # The night's retention comes before the night's backup: it believes what was measured later.
    assert served.maintain()["volume"]["closed"] is False
    served.sent(size=50)
    assert served.maintain()["volume"]["closed"] is False
    # Whoever said that he had less, and sends more, is closed out again.
    served.settle(farm=9_000)
    served.sent(size=120_000)
    assert served.maintain()["volume"]["closed"] is True
    served.refused()


def test_a_version_that_is_rejected_closes_no_longer(served: Served) -> None:
    assert served.maintain(subscribed_gb=15)["volume"]["closed"] is False
    forged = served.sent(size=200_000)
    assert served.maintain(subscribed_gb=15)["volume"]["closed"] is True
    assert served.maintain(subscribed_gb=15)["volume"]["closed"] is True
    assert served.maintain(subscribed_gb=15, reject=(forged,))["volume"]["closed"] is False
    assert served.maintain(subscribed_gb=15)["volume"]["closed"] is False
    served.sent()


def test_all_servers_of_a_client_are_closed_together(served: Served) -> None:
    """The sum is over; whoever sent it. Locks of each go on, also of one that is in the contract no more."""
    second = new_client(
        served.client.restic, served.client.path.parent / "barn", served.client.folder.parent / "other"
    )
    second.backup(datetime.now(UTC))
    for path in (second.path, *second.path.rglob("*")):
        os.chown(path, SERVER, SERVER)
    shutil.copytree(served.client.path, served.client.path.parent / "gone")
    both = {name: str(served.client.path.parent / name) for name in ("farm", "barn")}
    one = served.maintain(subscribed_gb=15, servers={"farm": both["farm"]})["volume"]
    assert (one["closed"], served.closed) == (False, False)
    two = served.maintain(subscribed_gb=15, servers=both)["volume"]
    assert two["newest_bytes"] > 15 * 10**4 > one["newest_bytes"]
    assert (two["closed"], served.closed) == (True, True)
    for name in (*both, "gone"):
        place = served.client.path.parent / name
        modes = {
            path.name: stat.S_IMODE(path.stat().st_mode) & 0o200 for path in place.iterdir() if path.is_dir()
        }
        assert modes == {"data": 0, "index": 0, "keys": 0, "locks": 0o200, "snapshots": 0}
    assert served.maintain(subscribed_gb=25, servers=both)["volume"]["closed"] is False
    assert served.closed is False


def test_a_deploy_lifts_it_when_more_was_subscribed(served: Served) -> None:
    served.maintain()
    foretold = served.settle(subscribed_gb=20, check=True)
    assert served.state.usage().subscribed_gb == 1  # type: ignore[union-attr]
    assert served.settle(subscribed_gb=20) == foretold
    assert foretold["diff"] == {
        "before": "subscribed: 1 GB\nnew backups: refused\n",
        "after": "subscribed: 20 GB\nnew backups: accepted\n",
    }
    assert served.closed is False
    assert served.settle(subscribed_gb=20)["changed"] is False
    # The timer has the number of the last playbook: it asks the state.
    usage = served.state.usage()
    assert usage
    assert (usage.subscribed_gb, usage.over) == (20, False)


def test_a_run_that_was_killed_in_between_is_made_good(served: Served) -> None:
    served.maintain()
    closed = served.modes()
    (served.client.path / "snapshots").chmod(0o755)
    assert served.closed is None
    foretold = served.maintain(check=True)
    assert "refused in part" in foretold["diff"]["before"]
    assert served.maintain()["changed"] is True
    assert served.modes() == closed
    (served.client.path / "snapshots").chmod(0o755)
    assert served.settle()["changed"] is True
    assert served.modes() == closed


def test_no_deploy_meets_a_maintenance(served: Served) -> None:
    served.maintain()
    with served.state.locked():
        assert served.settle()["changed"] is False
        with pytest.raises(Busy, match="another maintenance"):
            served.settle(subscribed_gb=20)
    assert served.closed is True


def test_the_gate_never_leads_elsewhere(tmp_path: Path) -> None:
    """Whoever breaks into the server owns its folders, and could put a link in the place of one."""
    path, victim = tmp_path / "farm", tmp_path / "victim"
    for one in (path / "data" / "00", path / "locks", victim):
        one.mkdir(parents=True)
        one.chmod(0o750)
    (path / "snapshots").symlink_to(victim)
    (path / "data" / "01").symlink_to(victim)
    gate = Gate(path, (path,))
    gate.move(closed=True)
    modes = {
        one.name: stat.S_IMODE(one.stat().st_mode) for one in (path / "data" / "00", path / "locks", victim)
    }
    assert modes == {"00": 0o550, "locks": 0o750, "victim": 0o750}
    assert gate.closed is True
    gate.move(closed=False)
    assert stat.S_IMODE((path / "data" / "00").stat().st_mode) == 0o750


def test_a_repository_that_is_not_there_yet_is_open(tmp_path: Path) -> None:
    gate, state = Gate(tmp_path / "a", (tmp_path / "a" / "b",)), State(tmp_path / "state")
    assert gate.closed is False
    assert settle(gate, state, 1, {"srv"}, {"srv": 1}, check=False)["changed"] is False
    assert not state.folder.exists()


def test_what_was_learned_last_counts() -> None:
    then, now = datetime(2026, 1, 5, tzinfo=UTC), datetime(2026, 1, 5, tzinfo=UTC) + timedelta(hours=1)
    usage = volume.Usage(1, {"a": volume.Use(10**9, then), "b": volume.Use(1, now)})
    assert usage.over
    assert usage.learned({"a": volume.Use(5, now), "b": volume.Use(10**9, then)}).servers == {
        "a": volume.Use(5, now),
        "b": volume.Use(1, now),
    }
    assert not volume.Usage(1, {"a": volume.Use(10**9, then)}).over  # full is not over
