"""A client that sends backups by a real restic to a repository on disk, on any day of the past."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from support.sealed import PASSWORD, empty_repository
from unit.maintenance.simulation import ONE_DAY, at


@dataclass
class Client:
    """Sends `folder` to the repository at `path` by a restic of its own."""

    restic: str
    path: Path
    folder: Path
    password: str = PASSWORD
    url: str = ""
    """Of a rest-server in front of it, through which all goes then."""

    def run(self, *arguments: str, check: bool = True) -> str:
        done = subprocess.run(
            [self.restic, "--repo", self.url or str(self.path), "--no-cache", *arguments],
            env={**os.environ, "RESTIC_PASSWORD": self.password},
            capture_output=True,
            text=True,
            check=False,
        )
        assert not check or done.returncode == 0, done.stderr
        return done.stdout

    def write(self, **files: str) -> None:
        for name, text in files.items():
            target = self.folder / name.replace("__", "/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)

    def backup(
        self,
        begin: datetime,
        *paths: Path,
        host: str = "srv",
        arrival: datetime | None = None,
        tag: str = "PS-2026-0042",
    ) -> str:
        """The id of a snapshot that claims to have begun at `begin`; arrival: two minutes later."""
        lines = self.run(
            *("backup", "--json", "--host", host, "--tag", tag),
            *("--time", begin.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")),
            *map(str, paths or (self.folder,)),
        ).splitlines()
        name = str(json.loads(lines[-1])["snapshot_id"])
        return self.arrived(name, arrival or begin + timedelta(minutes=2))

    def arrived(self, name: str, at: datetime) -> str:
        """The snapshot `name`, which the repository host has written at a time of the past."""
        os.utime(self.path / "snapshots" / name, (at.timestamp(),) * 2)
        return name

    def snapshots(self) -> set[str]:
        return {path.name for path in (self.path / "snapshots").iterdir()}

    def restored(self, name: str, target: Path) -> dict[str, str]:
        self.run("restore", name, "--target", str(target))
        return contents(target / self.folder.relative_to("/"))


def contents(folder: Path) -> dict[str, str]:
    """Relative path -> SHA-256 of every file."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def days(client: Client, count: int, first: str = "2026-01-05", start: int = 0) -> list[str]:
    """A backup at 22:00 on so many days; each day has a file of its own and one that changes."""
    names = []
    for number in range(start, start + count):
        client.write(today=f"day {number}", **{f"journal__{number}": f"entry {number}"})
        names.append(client.backup(at(date.fromisoformat(first) + number * ONE_DAY)))
    return names


def new_client(restic: str, path: Path, folder: Path, password: str = PASSWORD) -> Client:
    """A client with three files in `folder` and an empty repository at `path`."""
    empty_repository(path, password)
    shutil.rmtree(folder, ignore_errors=True)
    one = Client(restic, path, folder, password)
    one.write(ledger="accounts", office__letter="Madame, Monsieur", office__plan="x" * 100_000)
    return one
