"""Sudden loss: a version lost, against the one before it, what a working client does not lose in a night.

A client that is encrypted, emptied or half unplugged goes on sending backups, each regular, and in two weeks
the last good version would have expired by rule. What is measured here is read from the repository's own
trees, not from the summary that a client writes into its snapshot. Pure: standard library only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

SMALLER = 0.5
"""A version of less than this share of the size, or of the entries, of the one before it is a loss."""
CHANGED = 0.4
"""So is one in which this share of the entries changed or went. Folders are entries that never count as
changed, so that the half of all files is a little less than the half of all entries."""
USUAL = 7
"""Unless as much is usual: half of it in the middle of the last so many days, not before there are as many.
Days count, not versions: eleven backups of one evening make nothing usual."""
SPARE = 1.5
"""Against an older version, what is usual in a day may have happened on each day since, and half as much."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A version as its trees tell it, and how it differs from the version before."""

    entries: int
    """Files and folders."""
    bytes: int
    """Of all files, as a restore would write them."""
    before: str | None = None
    """The id of the version before; None: it is the first, and nothing below is known."""
    entries_before: int = 0
    bytes_before: int = 0
    changed: int = 0
    """Files that both have, with other contents."""
    removed: int = 0
    """Files that only the version before has."""
    gone: tuple[str, ...] = ()
    """Folders of the perimeter that only the version before has."""
    vanished: int = 0
    """Bytes of contents that only the version before has: a large file counts as what it is."""

    @property
    def share(self) -> float:
        """Of the version before, changed or removed: of its entries, or of its bytes, whichever is more."""
        entries = (self.changed + self.removed) / max(1, self.entries_before)
        return max(entries, min(1.0, self.vanished / max(1, self.bytes_before)))


@dataclass(frozen=True, slots=True)
class Compared:
    """A version against older ones: the one before it, the last of an earlier day, the oldest kept."""

    day: int
    """Its calendar day, by number."""
    measures: tuple[Measure, ...]
    days: tuple[int, ...] = ()
    """Of the older version of each measure."""
    daily: int = 0
    """Which of the measures is against the last version of an earlier day."""


def losses(versions: Iterable[Compared]) -> list[tuple[str, ...]]:
    """For each version of one server, by time: how it is a sudden loss, as phrases; empty when it is none."""
    result: list[tuple[str, ...]] = []
    shares: dict[int, float] = {}  # day -> what its last version lost against an earlier day
    lost_on = (
        None  # the day of the last loss: it holds all that is older, so that nothing is said twice of it
    )
    for one in versions:
        past = [share for day, share in shares.items() if day < one.day][-USUAL:]
        usual = median(past) if len(past) == USUAL else 0.0
        found: list[str] = []
        for number, measure in enumerate(one.measures):
            if measure.before is not None:
                since = one.days[number] if one.days else one.day - 1
                if number in (0, one.daily) or lost_on is None or since >= lost_on:
                    found += _found(measure, usual, one.day - since)
        if found:
            lost_on = one.day
        result.append(tuple(dict.fromkeys(found)))
        if one.measures and one.measures[one.daily].before is not None:
            shares.pop(one.day, None)
            shares[one.day] = one.measures[one.daily].share
    return result


def _found(one: Measure, usual: float, days: int) -> Iterable[str]:
    """Against one older version, `days` older; `usual` is the share of a usual day."""
    yield from (f"{path} is gone" for path in one.gone)
    if one.bytes < SMALLER * one.bytes_before or one.entries < SMALLER * one.entries_before:
        yield (
            f"{one.entries} entries of {_size(one.bytes)} are left "
            f"of {one.entries_before} of {_size(one.bytes_before)}"
        )
    if one.share >= CHANGED and usual < CHANGED / 2 and one.share > SPARE * usual * max(1, days):
        yield f"{one.changed} files changed and {one.removed} went of {one.entries_before}" + (
            f", {_size(one.vanished)} of {_size(one.bytes_before)} vanished" if one.vanished else ""
        )


def _size(count: int) -> str:
    """Decimal units, as the contract's Go."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} B"
