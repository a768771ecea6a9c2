"""What the maintenance of one client remembers between two runs: small files on the repository host.

They lie where the client's server cannot reach. Losing them costs time, never a version: measures are taken
again, and what was judged waits for a judgement. Files are replaced whole: a kill leaves the old or the new.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from . import checks, drill
from .admission import Remembered
from .checks import Checked
from .errors import ProSecoursError
from .files import locked, write_whole
from .model import Backup, LastReport
from .perimeter import Ordered
from .retention import Snapshot
from .retired import Sighting
from .shape import NotOfShape, read
from .sudden_loss import Measure
from .volume import Carried, Day, Usage, Use


class Busy(ProSecoursError):
    """Another maintenance of the same client is at work."""

    def __init__(self, folder: Path) -> None:
        super().__init__("another maintenance of this client is running", "Wait until it has ended", folder)


class Unreadable(ProSecoursError):
    """A file of the state cannot be read."""

    def __init__(self, path: Path, problem: str, remedy: str) -> None:
        super().__init__(problem, remedy, path)


class Unwritable(ProSecoursError):
    """The state cannot be written. What stood there stands; the next run finds it so, and does again what
    this one could not remember."""

    def __init__(self, path: Path, error: OSError) -> None:
        remedy = "Make room on its disk, or see to the rights there; then start again"
        super().__init__(f"it cannot be written ({error.strerror or error})", remedy, path)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Raises Unwritable for what the disk refuses."""
    try:
        yield
    except OSError as error:
        raise Unwritable(path, error) from error


@dataclass(frozen=True)
class Known:
    """A version that was once seen: enough to tell later whether the promise was kept."""

    host: str
    time: datetime
    arrival: datetime
    complete: bool
    measure: Measure
    """Against the version before."""
    others: tuple[Measure, ...] = ()
    """Against the last version of an earlier day and the oldest kept one, where these are others."""
    days: tuple[int, ...] = ()
    """Of the older version of each measure."""
    daily: int = 0
    """Which of the measures is against the last version of an earlier day."""
    paths: tuple[str, ...] = ()
    """The perimeter that it had."""
    left: tuple[str, ...] = ()
    """What had left the contract when it was measured."""

    def as_snapshot(self, name: str) -> Snapshot:
        return Snapshot(name, self.host, self.time, self.arrival, frozenset(self.paths), self.complete)

    @property
    def against(self) -> frozenset[str | None]:
        """The ids of the older versions that it was compared with."""
        return frozenset(one.before for one in (self.measure, *self.others))


RELEASED, REJECTED = "released", "rejected"


@dataclass(frozen=True)
class Judgement:
    """What a technician said of a snapshot, for the journal (C10): what, who, why, when (UTC). One for each
    snapshot, the last: so nothing is released and rejected at once."""

    verdict: str
    """RELEASED: the caution about it is lifted. REJECTED: it is forged, and counts for nothing."""
    by: str
    why: str
    on: str


@dataclass(frozen=True)
class State:
    """The state of one client in its own folder; what is not there yet is empty."""

    folder: Path

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Held by one maintenance at a time, until it ends or dies. Raises Busy, Unwritable."""
        with _writing(self.folder):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = (self.folder / "lock").open("w")
        with lock, locked(lock, Busy(self.folder)):
            yield

    def versions(self) -> dict[str, Known]:
        """Snapshot id -> what was seen of it."""
        return {
            name: Known(
                entry["host"],
                datetime.fromisoformat(entry["time"]),
                datetime.fromisoformat(entry["arrival"]),
                entry["complete"],
                _measure(entry["measure"]),
                tuple(_measure(one) for one in entry.get("others", ())),
                tuple(entry.get("days", ())),
                entry.get("daily", 0),
                tuple(entry.get("paths", ())),
                tuple(entry.get("left", ())),
            )
            for name, entry in self._load("versions.json", {}).items()
        }

    def keep_versions(self, versions: dict[str, Known]) -> None:
        self._store("versions.json", {name: asdict(known) for name, known in versions.items()})

    def judgements(self) -> dict[str, Judgement]:
        """Snapshot id -> what a technician said of it last."""
        return {name: Judgement(**entry) for name, entry in self._load("judgements.json", {}).items()}

    def keep_judgements(self, judgements: dict[str, Judgement]) -> None:
        self._store("judgements.json", {name: asdict(one) for name, one in judgements.items()})

    @property
    def known(self) -> bool:
        """A maintenance has seen the repository."""
        return (self.folder / "versions.json").exists()

    @property
    def kept(self) -> bool:
        """There is something in it that no later run finds out again: a disk was loaded, say."""
        return any(
            (self.folder / name).exists() for name in ("versions.json", "arrivals.json", "carried.json")
        )

    @property
    def unfinished(self) -> bool:
        """A removal was begun whose data may not all be pruned."""
        return (self.folder / "unfinished.json").exists()

    def begin(self, ids: list[str]) -> None:
        """Called before the first snapshot goes."""
        self._store("unfinished.json", ids)

    def finish(self) -> None:
        with _writing(self.folder / "unfinished.json"):
            (self.folder / "unfinished.json").unlink(missing_ok=True)

    def volume(self) -> list[Day]:
        """By date."""
        return [
            Day(**{**entry, "date": date.fromisoformat(entry["date"])})
            for entry in self._load("volume.json", [])
        ]

    def volume_with(self, today: Day) -> list[Day]:
        """Likewise with `today`, whose last figures replace earlier ones."""
        return [day for day in self.volume() if day.date != today.date] + [today]

    def keep_volume(self, history: Sequence[Day]) -> None:
        self._store("volume.json", [asdict(day) for day in history])

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

    def report(self) -> LastReport:
        """Of the last maintenance that ended well; empty: there was none."""
        try:
            return read(LastReport, self._load("retention.json", {}))
        except NotOfShape:
            raise _damaged(self.folder / "retention.json") from None

    def keep_report(self, report: dict[str, Any], now: datetime) -> None:
        """The last report and its time, for status tables; a failure before it is over."""
        self._store("retention.json", {"at": now.isoformat(timespec="seconds"), **report})
        with _writing(self.folder / "failure.json"):
            (self.folder / "failure.json").unlink(missing_ok=True)

    def ordered(self) -> Ordered:
        """The server's perimeter, as the inventory had it last."""
        known = self._load("perimeter.json", {})
        return Ordered(tuple(known.get("paths", ())), tuple(known.get("left", ())))

    def order(self, paths: Iterable[str]) -> None:
        """Remember the perimeter that the inventory has now. Raises Unwritable."""
        before = self.ordered()
        if (now := before.now(paths)) != before:
            with _writing(self.folder):
                self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._store("perimeter.json", asdict(now))

    def sightings(self) -> dict[str, Sighting]:
        """Of servers that have left the inventory, by name."""
        return {
            name: Sighting(**{**entry, "on": date.fromisoformat(entry["on"])})
            for name, entry in self._load("retired.json", {}).items()
        }

    def keep_sightings(self, sightings: dict[str, Sighting]) -> None:
        if sightings != self.sightings():
            self._store("retired.json", {name: asdict(one) for name, one in sightings.items()})

    def checked(self) -> Checked | None:
        """All about the checks of the repository; None: there was none."""
        return checks.from_json(self._load("check.json", None))

    def keep_checked(self, checked: Checked) -> None:
        self._store("check.json", checks.as_json(checked))

    def remembered(self) -> Remembered:
        """What was seen of the repository's packs and key, and which snapshots were rejected."""
        rejected = {name for name, one in self.judgements().items() if one.verdict == REJECTED}
        return Remembered(**self._load("packs.json", {}), rejected=frozenset(rejected))

    def keep_remembered(self, remembered: Remembered) -> None:
        self._store("packs.json", {"packs": remembered.packs, "key": remembered.key})

    def arrivals(self) -> dict[str, datetime]:
        """Snapshot id -> when it was made, of those that were loaded from a disk later."""
        return {name: datetime.fromisoformat(at) for name, at in self._load("arrivals.json", {}).items()}

    def keep_arrivals(self, arrivals: dict[str, datetime]) -> None:
        self._store("arrivals.json", {name: at.isoformat() for name, at in arrivals.items()})

    def carried(self) -> dict[str, Carried]:
        """What disks brought or took, by the id of the request: it is billed (C16)."""
        return {
            name: Carried(**{**entry, "on": date.fromisoformat(entry["on"])})
            for name, entry in self._load("carried.json", {}).items()
        }

    def keep_carried(self, request: str, one: Carried) -> None:
        """The same request is billed once, by its last figures."""
        known = {name: asdict(other) for name, other in self.carried().items()}
        self._store("carried.json", {**known, request: asdict(one)})

    def drills(self) -> tuple[drill.Result, ...]:
        """The restore drills of the last 400 days, by time."""
        return tuple(
            drill.Result(
                **{
                    **one,
                    "problems": tuple(one["problems"]),
                    "versions": tuple(one["versions"]),
                    "doubts": tuple(one.get("doubts", ())),
                }
            )
            for one in self._load("drill.json", [])
        )

    def keep_drill(self, result: drill.Result) -> None:
        self._store("drill.json", [asdict(one) for one in drill.remembered(self.drills(), result)])

    def failure(self) -> str | None:
        """Why the last maintenance failed; None: it did not."""
        failure: str | None = self._load("failure.json", None)
        return failure

    def keep_failure(self, sentence: str) -> None:
        with _writing(self.folder):
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
            raise _damaged(path) from None

    def _store(self, name: str, value: Any) -> None:
        text = json.dumps(value, indent=1, default=str) + "\n"
        with _writing(self.folder / name):
            write_whole(self.folder / name, text.encode(), mode=0o600)


def _damaged(path: Path) -> Unreadable:
    return Unreadable(
        path, "it is damaged", "Move it away: no version is lost by that, measures are taken anew"
    )


def _measure(entry: dict[str, Any]) -> Measure:
    return Measure(**{**entry, "gone": tuple(entry["gone"])})
