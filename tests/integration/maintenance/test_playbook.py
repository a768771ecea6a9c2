"""playbooks/retention.yml on a repository host that is this machine: the module runs as it would over ssh.

What only the playbook shows: contracts in, a repository each, check mode and diff, failures side by side, and
nothing left that the repository's server could not read.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from ansible_collections.prosecours.backup.plugins.plugin_utils import binaries
from integration.maintenance.client import PASSWORD, Client, days, new_client
from support import inventory
from support.addresses import address
from support.playbook import CHECKOUT, Played, play
from unit.maintenance.simulation import ONE_DAY, at

SERVER = 4242  # the uid of a system user of the repository's server; it needs no name
AS_ROOT = os.geteuid() == 0


class Kept(NamedTuple):
    """Exit code, the result of the retention task, the lines of its diff, all that was printed."""

    code: int
    result: dict[str, Any]
    diff: list[str]
    output: str


@dataclass
class Depot:
    """A repository host with its inventory."""

    folder: Path
    restic: str
    ports: int = 8000

    def add(self, name: str, password: str = "") -> Client:
        """A client with a file in the inventory, and an empty repository; no two have the same password."""
        self.ports += 1
        own = f"{PASSWORD}-of-{name}"
        content = inventory.client(
            name,
            f"rest:https://depot.example.com:{self.ports}/",
            prosecours_encryption_password=password or own,
        )
        inventory.write(self.folder / "inventory" / "clients" / f"{name}.yml", content)
        path = self.folder / "data" / name / f"{name}-srv"
        return new_client(self.restic, path, self.folder / "files" / name, own)

    def run(self, playbook: str, *arguments: str, **environment: str) -> Played:
        return play(self.folder / "inventory", playbook, *arguments, environment=environment)

    def play(self, *arguments: str) -> Kept:
        done = self.run(
            *("retention", "--diff", "-v", *arguments),
            ANSIBLE_CALLBACK_RESULT_FORMAT="json",
            ANSIBLE_CALLBACK_FORMAT_PRETTY="false",
        )
        assert "Keep what is promised" in done.output, done.output
        lines = done.output.partition("Keep what is promised")[2].partition("\nTASK [")[0].splitlines()
        result = next(line.partition("=> ")[2] for line in lines if "[depot]" in line and "=> {" in line)
        diff = [line for line in lines if line.startswith(("+", "-"))]
        return Kept(done.code, json.loads(result), diff, done.output)


@pytest.fixture
def depot() -> Iterator[Depot]:
    wanted = binaries.artefact("restic", "linux/amd64")
    found = binaries.cached(wanted, binaries.default_cache())
    restic = os.environ.get("PROSECOURS_RESTIC") or (str(found.path) if found else "")
    if not restic:
        pytest.fail(f"{wanted} is not in the cache: run make setup")
    # Not below pytest's own folder, which is closed to the user that restic runs as.
    with tempfile.TemporaryDirectory(prefix="depot-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        host = inventory.repository_host(
            folder, prosecours_retention_restic_path=restic, prosecours_retention_bill_folder=str(folder)
        )
        inventory.write(folder / "inventory" / "hosts.yml", host)
        yield Depot(folder, restic)


def _owned(path: Path) -> None:
    for one in (path, *path.rglob("*")):
        os.chown(one, SERVER, SERVER)


@pytest.mark.slow
def test_the_playbook_keeps_what_is_promised(depot: Depot) -> None:
    """Two clients; check mode foretells what is then done, the second run changes nothing."""
    moulin, tilleuls = depot.add("moulin"), depot.add("tilleuls")
    depot.add("bois")  # deployed today: its repository is not there yet
    shutil.rmtree(depot.folder / "data" / "bois")
    days(moulin, 17)
    for number in range(3):
        tilleuls.backup(at(date(2026, 1, 5) + number * ONE_DAY))
    if AS_ROOT:
        _owned(depot.folder / "data")

    fresh = depot.play("--check")
    assert (fresh.code, "restic is not on this host yet" in fresh.output) == (0, True)
    (depot.folder / "bin").mkdir()
    shutil.copy(depot.restic, depot.folder / "bin" / "restic")
    foretold = depot.play("--check")
    assert (foretold.code, foretold.result["changed"]) == (0, True), foretold.output
    assert len(moulin.snapshots()) == 17
    assert not (depot.folder / "state").exists()

    done = depot.play()
    assert done.code == 0, done.output
    assert foretold.diff == done.diff
    # Two headers and what goes; of both clients, that their fences are put up.
    assert len(done.diff) == 2 + 8 + 1 + 2 + 1
    moulins = done.result["clients"]["moulin"]
    assert moulins["removed"] == foretold.result["clients"]["moulin"]["removed"]
    assert moulins["promise"] == {"kept": True, "problems": []}
    assert done.result["clients"]["tilleuls"]["removed"] == []
    assert done.result["empty"] == ["bois"]
    assert len(moulin.snapshots()) == 9
    assert PASSWORD not in done.output
    if AS_ROOT:  # whatever restic wrote, the server's user can read
        assert {path.stat().st_uid for path in (depot.folder / "data").rglob("*/*")} == {SERVER}

    [bill] = depot.folder.glob("volume-*-depot.csv")  # nothing was measured in the month before
    head, *rows = bill.read_text().splitlines()
    assert head.startswith("month;client;reference;days;subscribed_gb;")
    assert [row.split(";")[1:5] for row in rows] == [
        ["moulin", "PS-moulin", "1", "1"],
        ["tilleuls", "PS-tilleuls", "1", "1"],
    ]

    assert "tail -f " in done.output
    lines = (depot.folder / "state" / "progress.log").read_text().splitlines()
    assert {line.partition(" ")[2] for line in lines} >= {"moulin: begins", "tilleuls: begins"}

    again = depot.play()
    assert (again.code, again.result["changed"], again.diff) == (0, False, [])

    # Whoever leaves the inventory keeps all; only playbooks/remove_client.yml removes.
    days(moulin, 3, start=17)
    (depot.folder / "inventory" / "clients" / "moulin.yml").unlink()
    kept = moulin.snapshots()
    gone = depot.play()
    assert (gone.code, gone.result["changed"]) == (0, False)
    assert moulin.snapshots() == kept
    assert [one["client"] for one in gone.result["orders"]] == ["bois", "tilleuls"]


@pytest.mark.slow
def test_a_client_that_fails_does_not_stop_the_others(depot: Depot) -> None:
    moulin, tilleuls = depot.add("moulin", password="not-the-password"), depot.add("tilleuls")
    days(moulin, 1)
    days(tilleuls, 9)
    shutil.rmtree(tilleuls.folder)
    loss = tilleuls.backup(at("2026-01-14"), depot.folder / "inventory")
    played = depot.play()
    assert played.code == 2
    message = played.result["msg"]
    assert message.startswith("moulin: moulin-srv: ")
    assert message.endswith(
        "the repository refuses the encryption password: it was initialised with another one."
        " Give the password of the client's inventory file."
    )
    assert list(played.result["clients"]["tilleuls"]["losses"]) == [loss]
    assert "is a sudden loss" in played.output

    release: dict[str, Any] = {"prosecours_retention_release": [loss[:8]]}
    played = depot.play("-e", json.dumps(release))
    assert (played.code, "A release needs its client" in played.result["msg"]) == (2, True)
    release |= {
        "prosecours_retention_client": "tilleuls",
        "prosecours_retention_release_by": "A. Martin",
        "prosecours_retention_release_why": "moved to another folder",
    }
    played = depot.play("-e", json.dumps(release))
    assert (played.code, played.result["clients"]["tilleuls"]["released"]) == (0, [loss])

    reject: dict[str, Any] = {
        "prosecours_retention_client": "tilleuls",
        "prosecours_retention_reject": [loss[:8]],
    }
    played = depot.play("-e", json.dumps(reject))
    assert (played.code, "A rejection needs its client" in played.result["msg"]) == (2, True)
    reject |= {
        "prosecours_retention_reject_by": "A. Martin",
        "prosecours_retention_reject_why": "nobody moved anything",
    }
    played = depot.play("-e", json.dumps(reject))
    assert (played.code, played.result["clients"]["tilleuls"]["rejected"]) == (0, [loss])
    assert played.result["journal"]["clients"]["tilleuls"] == {
        "rejected": {"versions": [loss[:8]], "by": "A. Martin", "why": "nobody moved anything"}
    }


def test_the_status_is_a_table_and_a_file(depot: Depot) -> None:
    """A client that is well, one whose password is wrong, and a repository host that is not there."""
    moulin, tilleuls = depot.add("moulin"), depot.add("tilleuls", password="not-the-password")
    for client in (moulin, tilleuls):
        client.backup(datetime.now(UTC) - timedelta(hours=3))
    (depot.folder / "bin").mkdir()
    shutil.copy(depot.restic, depot.folder / "bin" / "restic")
    away = {"prosecours_repositories": {"hosts": {"away": {"ansible_host": address(), "ansible_port": 9}}}}
    inventory.write(depot.folder / "inventory" / "away.yml", away)
    bois = depot.folder / "inventory" / "clients" / "bois.yml"
    depot.add("bois")
    bois.write_text(bois.read_text().replace("vars:", "vars:\n        prosecours_repository_host: away"))
    for name in ("moulin", "tilleuls"):
        file = depot.folder / "inventory" / "clients" / f"{name}.yml"
        file.write_text(file.read_text().replace("vars:", "vars:\n        prosecours_repository_host: depot"))

    reports = os.path.relpath(
        depot.folder / "reports", CHECKOUT
    )  # of the directory where Ansible was started
    done = depot.run("status", "-e", f"prosecours_report_dir={reports}")
    assert done.code == 2, done.output
    lines = [re.split(r"  +", line.strip()) for line in done.output.splitlines()]
    assert next(line for line in lines if line[:2] == ["moulin", "moulin-srv"])[3:] == [
        *("1", "kept", "0.0 % of 1 GB", "not yet", "not yet")
    ]
    assert "tilleuls: " in done.output
    assert "the repository refuses the encryption password" in done.output
    assert "bois: away: " in done.output
    assert "bois, tilleuls: the table above says what to look at." in done.output
    written = json.loads((depot.folder / "reports" / "status.json").read_text())
    assert sorted(written["clients"]) == ["moulin"]
    assert sorted(written["failures"]) == ["bois", "tilleuls"]
    assert written["clients"]["moulin"]["servers"]["moulin-srv"]["history"][0]["id"] in moulin.snapshots()
    assert not (depot.folder / "state").exists()
