"""What the maintenance of one client remembers between two runs: small files on the repository host.

They lie where the client's server cannot reach. Losing them costs time, never a version: measures are taken
again, and a caution that was lifted stands again. Files are replaced whole: a kill leaves the old or the new.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from . import checks, drill
from .checks import Checked
from .retention import Snapshot
from .sudden_loss import Measure
from .volume import Day, Usage, Use


class Busy(Exception):
    """Another maintenance of the same client is at work."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"{folder}: another maintenance of this client is running. Wait until it has ended.")


class Unreadable(Exception):
    """A file of the state cannot be read."""

    def __init__(self, path: Path, problem: str, remedy: str) -> None:
        super().__init__(f"{path}: {problem}. {remedy}.")


@dataclass(frozen=True)
class Known:
    """A version that was once seen: enough to tell later whether the promise was kept."""

    host: str
    time: datetime
    arrival: datetime
    complete: bool
    measure: Measure

    def as_snapshot(self, name: str) -> Snapshot:
        return Snapshot(name, self.host, self.time, self.arrival, complete=self.complete)


@dataclass(frozen=True)
class Backup:
    """A backup that once arrived, for the curves of a report; what is None nobody said."""

    host: str
    time: datetime
    arrival: datetime
    complete: bool
    bytes: int | None
    files: int | None
    added_bytes: int | None
    seconds: float | None


@dataclass(frozen=True)
class Release:
    """A caution that a technician lifted, for the journal (C10): who, why, when (UTC)."""

    by: str
    why: str
    on: str


@dataclass(frozen=True)
class State:
    """The state of one client in its own folder; what is not there yet is empty."""

    folder: Path

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Held by one maintenance at a time, until it ends or dies. Raises Busy."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Busy(self.folder) from None
            yield

    def versions(self) -> dict[str, Known]:
        """Snapshot id -> what was seen of it."""
        return {
            name: Known(
                entry["host"],
                datetime.fromisoformat(entry["time"]),
                datetime.fromisoformat(entry["arrival"]),
                entry["complete"],
                Measure(**{**entry["measure"], "gone": tuple(entry["measure"]["gone"])}),
            )
            for name, entry in self._load("versions.json", {}).items()
        }

    def keep_versions(self, versions: dict[str, Known]) -> None:
        self._store("versions.json", {name: asdict(known) for name, known in versions.items()})

    def releases(self) -> dict[str, Release]:
        """Snapshot id -> who lifted the caution about it."""
        return {name: Release(**entry) for name, entry in self._load("releases.json", {}).items()}

    def keep_releases(self, releases: dict[str, Release]) -> None:
        self._store("releases.json", {name: asdict(release) for name, release in releases.items()})

    @property
    def known(self) -> bool:
        """A maintenance has seen the repository."""
        return (self.folder / "versions.json").exists()

    @property
    def unfinished(self) -> bool:
        """A removal was begun whose data may not all be pruned."""
        return (self.folder / "unfinished.json").exists()

    def begin(self, ids: list[str]) -> None:
        """Called before the first snapshot goes."""
        self._store("unfinished.json", ids)

    def finish(self) -> None:
        (self.folder / "unfinished.json").unlink(missing_ok=True)

    def volume(self) -> list[Day]:
        """By date."""
        return [
            Day(**{**entry, "date": date.fromisoformat(entry["date"])})
            for entry in self._load("volume.json", [])
        ]

    def keep_volume(self, today: Day) -> list[Day]:
        """The history with `today`; the last figures of a day replace earlier ones."""
        history = [day for day in self.volume() if day.date != today.date] + [today]
        self._store("volume.json", [asdict(day) for day in history])
        return history

    def history(self) -> dict[str, Backup]:
        """Snapshot id -> the backup, by time; also of those whose versions are gone."""
        return {
            name: Backup(
                **{
                    **entry,
                    "time": datetime.fromisoformat(entry["time"]),
                    "arrival": datetime.fromisoformat(entry["arrival"]),
                }
            )
            for name, entry in self._load("history.json", {}).items()
        }

    def keep_history(self, backups: dict[str, Backup]) -> None:
        self._store("history.json", {name: asdict(one) for name, one in backups.items()})

    def usage(self) -> Usage | None:
        """As the last run or deploy knew it; None before the first."""
        known = self._load("usage.json", None)
        if known is None:
            return None
        servers = known["servers"].items()
        return Usage(
            known["subscribed_gb"],
            {host: Use(one["bytes"], datetime.fromisoformat(one["at"])) for host, one in servers},
        )

    def keep_usage(self, usage: Usage) -> None:
        self._store("usage.json", asdict(usage))

    def report(self) -> dict[str, Any]:
        """Of the last maintenance that ended well, with its time under "at"; empty: there was none."""
        report: dict[str, Any] = self._load("retention.json", {})
        return report

    def keep_report(self, report: dict[str, Any], now: datetime) -> None:
        """The last report and its time, for status tables; a failure before it is over."""
        self._store("retention.json", {"at": now.isoformat(timespec="seconds"), **report})
        (self.folder / "failure.json").unlink(missing_ok=True)

    def checked(self) -> Checked | None:
        """All about the checks of the repository; None: there was none."""
        return checks.from_json(self._load("check.json", None))

    def keep_checked(self, checked: Checked) -> None:
        self._store("check.json", checks.as_json(checked))

    def drills(self) -> tuple[drill.Result, ...]:
        """The restore drills of the last 400 days, by time."""
        return tuple(
            drill.Result(**{**one, "problems": tuple(one["problems"]), "versions": tuple(one["versions"])})
            for one in self._load("drill.json", [])
        )

    def keep_drill(self, result: drill.Result) -> None:
        self._store("drill.json", [asdict(one) for one in drill.remembered(self.drills(), result)])

    def failure(self) -> str | None:
        """Why the last maintenance failed; None: it did not."""
        failure: str | None = self._load("failure.json", None)
        return failure

    def keep_failure(self, sentence: str) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._store("failure.json", sentence)

    def _load(self, name: str, default: Any) -> Any:
        path = self.folder / name
        try:
            return json.loads(path.read_text("utf-8"))
        except FileNotFoundError:
            return default
        except PermissionError:
            raise Unreadable(path, "it cannot be read", "Run as root or its owner") from None
        except ValueError:
            raise Unreadable(
                path, "it is damaged", "Move it away: no version is lost by that, measures are taken anew"
            ) from None

    def _store(self, name: str, value: Any) -> None:
        new = self.folder / f"{name}.new"
        with new.open("w", encoding="utf-8") as file:
            json.dump(value, file, indent=1, default=str)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.folder / name)
