"""What a repository host pays for caution: bytes read a night, calls of restic, bytes stored twice.

Beside restic's own check and prune. docs/checks.md says what is read, and why; docs/retention.md how often
restic is called; docs/repository.md why each server has a repository of its own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance import drill, fleet
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.admission import Remembered
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.repository import Repository
from ansible_collections.prosecours.backup.plugins.plugin_utils import binaries
from support.sealed import PASSWORD, empty_repository

from windows_lab.machine.drives import Drives

NIGHTLY, DAYS = 500, 30
"""Clients for which a night is reckoned; each has a drill once in so many days."""
NAMES = {"first": "the first day", "drill": "a drill", "steady": "a steady day"}
EXAMPLE = Path(__file__).resolve().parents[2] / "inventories" / "lab" / "clients" / "gaec_du_moulin.yml"


def measured(first: int = 300, then: int = 3) -> list[dict[str, Any]]:
    """Two nights of a server: `first` MB that nothing compresses, and `then` more in the next one."""
    nights: list[dict[str, Any]] = []
    remembered, stored = Remembered(), 0
    with tempfile.TemporaryDirectory(prefix="night-") as name:
        place, files = Path(name, "repository"), Path(name, "files")
        empty_repository(place, PASSWORD)
        files.mkdir()
        for number, megabytes in enumerate((first, then)):
            for part in range(megabytes):
                (files / f"{number}-{part}").write_bytes(os.urandom(10**6))
            _backup(place, files)
            before, stored = stored, _size(place / "data")
            begun = time.monotonic()
            repository = Repository(place, PASSWORD, str(_restic()))
            with repository.admitted(remembered, writable=False) as (_unused, admission):
                if not admission.verify():
                    raise SystemExit("A repository that restic has made is not believed.")
                remembered = admission.remembered
            nights.append(
                {
                    "arrived_bytes": stored - before,
                    "read_bytes": admission.read_bytes,
                    "seconds": round(time.monotonic() - begun, 2),
                }
            )
    return nights


def shared() -> dict[str, int]:
    """Bytes of the two servers of the lab's gaec_du_moulin, where the office folders of one lie on both:
    these folders (`shared`), and all that is stored in `one` repository and in `two`."""
    example = yaml.safe_load(EXAMPLE.read_text("utf-8"))["prosecours_clients"]["children"]["gaec_du_moulin"]
    servers = example["hosts"]
    office = servers["moulin-srv1"]["prosecours_office"]
    own = {name: dict(server["lab_files"]) for name, server in servers.items()}
    both = {path: own["moulin-srv1"][path] for path in office}
    with tempfile.TemporaryDirectory(prefix="shared-") as name:
        top = Path(name)
        for place in ("one", *own):
            empty_repository(top / "repositories" / place, PASSWORD)
        for server, files in own.items():
            folders = {letter: top / server / letter for letter in "DE"}
            for folder in folders.values():
                folder.mkdir(parents=True)
            Drives(folders).seed(files | both)
            for place in (server, "one"):
                # The lab's contents repeat themselves, as no client's do.
                _backup(top / "repositories" / place, top / server, "--compression", "off")
        sizes = {place: _size(top / "repositories" / place) for place in ("one", *own)}
        drives = Drives({letter: top / "moulin-srv1" / letter for letter in "DE"})
        return {
            "shared": sum(_size(drives.find(drives.absolute(path, ""))) for path in office),
            "one": sizes["one"],
            "two": sum(sizes[server] for server in own),
        }


# -- calls of restic ------------------------------------------------------------------------------------


def called(versions: int = 30, files: int = 20_000, clients: int = 20) -> dict[str, Any]:
    """restic's calls by kind, and CPU seconds, of a `large` client of so many versions and files, and of
    `small` ones together: on a `first` day, on which all is new and drills are due, on a `steady` one, with a
    version that came and one that goes, and in one `drill`. `bare`: seconds of one `restic snapshots`."""
    with tempfile.TemporaryDirectory(prefix="called-") as name:
        found: dict[str, Any] = {"clients": clients}
        for kind, host in (
            ("large", _Host(Path(name, "large"), 1, versions, files)),
            ("small", _Host(Path(name, "small"), clients, 13, 60)),
        ):
            found["bare"] = host.bare()
            found[kind] = {"first": host.night(), "drill": host.drilled(), "steady": host.another_night()}
        return found


def costs(found: Mapping[str, Any]) -> Iterator[tuple[str, float, str, float]]:
    """For a table: what, how much, compared with what, how much that is."""

    def beside(calls: float) -> tuple[str, float]:
        return f"{round(calls)} bare `restic snapshots`", round(calls * found["bare"], 1)

    for kind, who in (("large", "a large client"), ("small", f"{found['clients']} small ones")):
        for what, one in found[kind].items():
            whose = "a small one" if (kind, what) == ("small", "drill") else who
            said = f"{one['calls'].total()} calls of restic: {NAMES[what]} of {whose}"
            yield f"CPU s in {said}", round(one["seconds"], 1), *beside(one["calls"].total())
    steady, drill = found["small"]["steady"], found["small"]["drill"]
    many, some = NIGHTLY / found["clients"], NIGHTLY / DAYS
    seconds = many * steady["seconds"] + some * drill["seconds"]
    calls = many * steady["calls"].total() + some * drill["calls"].total()
    yield f"CPU s of {NIGHTLY} small ones a night, reckoned", round(seconds), *beside(calls)


@dataclass
class _Host:
    """Clients of one server each, all with the same backups, one a day: each changes 1 % of the files."""

    top: Path
    clients: int
    versions: int
    files: int

    def __post_init__(self) -> None:
        self.sources, self.log = self.top / "files", self.top / "calls"
        self.restic = self.top / "restic"
        clients = [self.top / "repositories" / f"client-{number}" for number in range(self.clients)]
        self.places = [client / "srv" for client in clients]
        clients[0].mkdir(parents=True)
        # From outside: each call is written down before it is made.
        self.restic.write_text(f'#!/bin/sh\necho "$4" >>{self.log}\nexec {_restic()} "$@"\n')
        self.restic.chmod(0o755)
        # As restic makes it: with a key that takes half a second to open.
        _restic_on(self.places[0], "init")
        self.first_day = datetime.now(UTC).replace(hour=12) - timedelta(days=self.versions + 2)
        for day in range(self.versions):
            self._change(day)
            self._send(self.places[0], day)
        for client in clients[1:]:
            shutil.copytree(clients[0], client)

    def bare(self) -> float:
        return _seconds(lambda: _restic_on(self.places[0], "snapshots"))

    def night(self) -> dict[str, Any]:
        known = [
            fleet.Client(place.parent.name, "PS", 1, 7, 2, {"srv": str(place)}, str(place.parent))
            for place in self.places
        ]
        settings = fleet.Settings(str(self.top / "state"), str(self.restic), 2, 15, 24, reserve_megabytes=0)

        def maintained() -> None:
            done = fleet.maintain(known, lambda _client, _server: PASSWORD, settings, check=False)
            if done.failures or not all(report["removed"] for report in done.reports.values()):
                raise SystemExit(f"A maintenance that should remove a version did not: {done.failures}")

        return self._counted(maintained)

    def another_night(self) -> dict[str, Any]:
        self._change(self.versions)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(lambda place: self._send(place, self.versions), self.places))
        return self.night()

    def drilled(self) -> dict[str, Any]:
        repository = Repository(self.places[0], PASSWORD, str(self.restic), server="srv")
        with repository.admitted(Remembered(), writable=False) as (seen, _unused):
            newest = max(seen.snapshots(), key=lambda one: one.time)
            result: list[drill.Result] = []
            counted = self._counted(
                lambda: result.append(
                    drill.drill("srv", {"srv": newest}, seen, drill.Size(), datetime.now(UTC))
                )
            )
        if not result[0].ok:
            raise SystemExit(f"A drill failed: {result[0].problems}")
        return counted

    def _counted(self, work: Callable[[], None]) -> dict[str, Any]:
        self.log.write_text("")
        seconds = _seconds(work)
        return {"calls": Counter(self.log.read_text().split()), "seconds": seconds}

    def _change(self, day: int) -> None:
        """All files on the first day; they lie in folders of a hundred, and what changes lies together."""
        some = -(-self.files // 100)
        for number in range(some * (day % 100), some * (day % 100 + 1)) if day else range(self.files):
            path = self.sources / f"{number // 100}" / f"{number}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(os.urandom(500))

    def _send(self, place: Path, day: int) -> None:
        at = self.first_day + timedelta(days=day)
        before = {*place.glob("snapshots/*")}
        _backup(place, self.sources, "--time", f"{at.astimezone():%Y-%m-%d %H:%M:%S}", "--host", "srv")
        [new] = {*place.glob("snapshots/*")} - before
        os.utime(new, (at.timestamp() + 120,) * 2)


def _seconds(work: Callable[[], object]) -> float:
    """Of all processors, in this program and in what it starts."""
    begun = os.times()
    work()
    ended = os.times()
    return sum(ended[:4]) - sum(begun[:4])


def _restic_on(place: Path, *arguments: str | Path) -> None:
    subprocess.run(
        [_restic(), "--repo", place, "--no-cache", "--quiet", *arguments],
        env=os.environ | {"RESTIC_PASSWORD": PASSWORD},
        check=True,
        stdout=subprocess.DEVNULL,
    )


def _restic() -> Path:
    wanted = binaries.artefact("restic", "linux/amd64")
    return binaries.obtain(wanted, binaries.default_cache(), print).path


def _backup(repository: Path, files: Path, *options: str) -> None:
    _restic_on(repository, *options, "backup", files)


def _size(folder: Path) -> int:
    """Bytes of all files in it."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
