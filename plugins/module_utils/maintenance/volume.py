"""The subscribed volume (C15): what counts, how much of it is used, when it will be full, and what is billed.

The clause: "Le volume total des fichiers sauvegardés en ligne est limité au volume souscrit". Read here: the
*files* count, each once, as large as it is on the client's server; so the newest version of every server is
added up. The older versions are the provider's part (C7 promises them without a price), and what restic saves
by compression and by storing equal data once is his as well. It is the reading that the client can check with
Explorer, and a clause drafted by one side is read in favour of the other (Code civil, art. 1190). The bytes
that are really stored are told beside it: the provider's disks and the server's quota are about those.

Go (GB) are decimal: 10^9 bytes. Pure: standard library only.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import date, datetime, timedelta
from itertools import combinations, pairwise
from statistics import median

from .printable import cell

GB = 10**9
THRESHOLDS = (80, 95, 100)  # percent of the subscribed volume
ENOUGH = 14  # days of history that a forecast needs
LONG, RECENT = 90, 30  # days that a forecast looks back
DELETED = 0.02  # a fall by this share in a step is a deletion, not the way things go
STOPPED = 0.1  # less than this share of the long growth in the recent days: it has stopped
HORIZON = 3650  # days: later than that is not a forecast


@dataclass(frozen=True, slots=True)
class Day:
    """What one client used on one day, in bytes."""

    date: date
    newest: int
    """The newest versions of all servers: what counts."""
    stored: int
    """What the repository takes on disk."""
    subscribed_gb: int

    @property
    def percent(self) -> float:
        """Of the subscribed volume."""
        return 100 * self.newest / (self.subscribed_gb * GB)

    @property
    def threshold(self) -> int:
        """The highest threshold reached, in percent; 0 below all."""
        return max((level for level in THRESHOLDS if self.percent >= level), default=0)


@dataclass(frozen=True, slots=True)
class Use:
    """What one server is known to have: in its newest version, or as a deploy measured it there since."""

    bytes: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Counted:
    """What one server's repository says of its client's volume."""

    use: Use | None
    """None: there is no version."""
    stored: int
    """Bytes on disk."""
    forged: frozenset[datetime] = frozenset()
    """When those versions arrived that have been rejected since: what they said was never so."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What decides whether a client may send more: what was subscribed, and what was last learned of each
    server.

    A server that is over cannot send the smaller version that would show that it no longer is. So a deploy,
    which measures the perimeter there, counts as well.
    """

    subscribed_gb: int
    servers: Mapping[str, Use]

    @property
    def bytes(self) -> int:
        return sum(use.bytes for use in self.servers.values())

    @property
    def over(self) -> bool:
        return self.bytes > self.subscribed_gb * GB

    def learned(self, found: Mapping[str, Use]) -> Usage:
        """With what was found later than what is known."""
        known = self.servers
        later = {host: use for host, use in found.items() if host not in known or use.at >= known[host].at}
        return replace(self, servers={**known, **later})


def full_on(history: Sequence[Day]) -> date | None:
    """When the volume will be full: by the faster of two lines, of three months and of the last one.

    `history` is by date, one entry a day, days may be missing. None: not in sight, or too little is known.
    """
    if not history:
        return None
    last = history[-1]
    if last.newest >= last.subscribed_gb * GB:
        return last.date
    levels, deleted = [float(history[0].newest)], 0
    for before, after in pairwise(history):
        fall = before.newest - after.newest
        deleted += fall if fall > DELETED * before.newest else 0
        levels.append(after.newest + deleted)
    points = [((day.date - last.date).days, level) for day, level in zip(history, levels, strict=True)]
    long, recent = (_growth([one for one in points if one[0] > -days]) for days in (LONG, RECENT))
    if long is None or recent is None or recent <= 0 or recent < STOPPED * long:
        return None
    # From where the volume stands today, not from the line: a step up yesterday is not averaged away.
    days = (last.subscribed_gb * GB - last.newest) / max(long, recent)
    return last.date + timedelta(days=round(days)) if days <= HORIZON else None


def _growth(points: Sequence[tuple[int, float]]) -> float | None:
    """Bytes a day, by Theil and Sen: the median of the slopes between any two days. None: too few days."""
    if not points or points[-1][0] - points[0][0] < ENOUGH - 1:
        return None
    return median(
        (level - before) / (day - earlier) for (earlier, before), (day, level) in combinations(points, 2)
    )


@dataclass(frozen=True)
class Volume:
    """How much of what was subscribed is used (C15)."""

    newest_bytes: int
    """The newest versions of all servers: what counts."""
    stored_bytes: int
    subscribed_gb: int
    percent: float
    threshold: int
    """The highest one reached, in percent; 0 below all."""
    full_on: date | None
    """By the forecast; None: not in sight."""
    closed: bool
    """New backups are refused."""


def figures(history: Sequence[Day], closed: bool) -> Volume:
    """Where the volume stands on the last day of `history`, and when it will be full."""
    day = history[-1]
    return Volume(
        day.newest,
        day.stored,
        day.subscribed_gb,
        round(day.percent, 1),
        day.threshold,
        full_on(history),
        closed,
    )


@dataclass(frozen=True)
class Carried:
    """What a disk brought into a server's repository, or took from it (C16)."""

    on: date
    bytes: int
    """Of the files on the disk, as they were counted here."""
    taken: bool = False


@dataclass(frozen=True, slots=True)
class Bill:
    """A row of the monthly CSV: one client, one month, in GB with three decimals."""

    month: str
    client: str
    reference: str
    days: int
    """Days of the month that were measured: the figures rest on them."""
    subscribed_gb: int
    """On the last of them."""
    average_gb: str
    highest_gb: str
    over_gb: str
    """The highest excess over what was subscribed on its day."""
    stored_gb: str
    """The most that the repository took on disk."""
    imported_gb: str = "0.000"
    """Loaded from disks (C16)."""
    exported_gb: str = "0.000"
    """Given away on disks."""


def bill(
    client: str, reference: str, month: str, history: Iterable[Day], carried: Iterable[Carried] = ()
) -> Bill | None:
    """The row of `month` ("2026-11"); None when nothing was measured in it."""
    days = [day for day in history if day.date.isoformat().startswith(f"{month}-")]
    if not days:
        return None
    disks = [one for one in carried if one.on.isoformat().startswith(f"{month}-")]
    return Bill(
        month=month,
        client=client,
        reference=reference,
        days=len(days),
        subscribed_gb=days[-1].subscribed_gb,
        average_gb=_gb(sum(day.newest for day in days) / len(days)),
        highest_gb=_gb(max(day.newest for day in days)),
        over_gb=_gb(max(0, *(day.newest - day.subscribed_gb * GB for day in days))),
        stored_gb=_gb(max(day.stored for day in days)),
        imported_gb=_gb(sum(one.bytes for one in disks if not one.taken)),
        exported_gb=_gb(sum(one.bytes for one in disks if one.taken)),
    )


def bills_as_csv(bills: Iterable[Bill]) -> str:
    """With a header and semicolons, as a French Excel opens it; numbers keep their point."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(Bill)], delimiter=";", lineterminator="\n")
    writer.writeheader()
    for one in bills:
        writer.writerow({name: cell(x) if isinstance(x, str) else x for name, x in asdict(one).items()})
    return text.getvalue()


def _gb(count: float) -> str:
    return f"{count / GB:.3f}"
