"""The promise C7 as an outsider reads it in contract.md and docs/retention.md, with data and code of its own.

It knows what a version *is* (whether it is complete, what a technician said), where the code under
test sees only what lies in a repository. It imports nothing of the collection.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

PARIS = ZoneInfo("Europe/Paris")


@dataclass
class Version:
    """A backup that arrived. Times are aware."""

    id: str
    host: str
    time: datetime
    arrival: datetime
    paths: frozenset[str]
    complete: bool = True
    """In truth; the repository learns it from a mark."""
    loss: bool = False
    """It lost what no client loses in a night."""
    verdict: str = ""
    """Of a technician: released, rejected."""

    @cached_property
    def day(self) -> int:
        return self.time.astimezone(PARIS).toordinal()

    @cached_property
    def believable(self) -> bool:
        """At most 15 minutes ahead of its arrival and 24 hours behind."""
        return timedelta(minutes=-15) <= self.arrival - self.time <= timedelta(hours=24)

    @property
    def counts(self) -> bool:
        return self.believable and self.verdict != "rejected"

    @property
    def holds(self) -> bool:
        return self.loss and self.counts and self.verdict != "released"


@dataclass
class Checker:
    """All that ever arrived, but for what was removed before a judgement or a mark changed what counts."""

    daily: int
    weekly: int
    versions: dict[str, Version] = field(default_factory=dict)
    passed: dict[tuple[str, str], int] = field(default_factory=dict)
    """The last day that has been today: a clock that falls back brings none again."""
    latest: datetime | None = None
    """Likewise of the clock."""

    def changed(self, left: Collection[str]) -> None:
        """Something counts otherwise from now on: what went before went by what was known then."""
        self.versions = {name: one for name, one in self.versions.items() if name in left}
        self.passed.clear()

    def wrong_removals(self, removed: Iterable[str], now: datetime) -> Iterator[str]:
        """Whatever else the promise says: what must not go now. Before any of it goes."""
        for name in removed:
            one = self.versions[name]
            mine = [other for other in self.versions.values() if other.host == one.host]
            if one.counts and one.arrival > now - timedelta(hours=1):
                yield f"{name} arrived within the hour"
            if not one.counts:
                if not one.verdict:
                    yield f"{name} is set aside and nobody judged it"
                passed = min([now.astimezone(PARIS).toordinal(), *_newest(mine)])
                oldest = passed - max(self.daily, 7 * self.weekly)
                if not _newest(mine) or one.arrival.astimezone(PARIS).toordinal() > oldest:
                    yield f"{name} was judged, but its days are not over"
            for loss in mine:
                if one.counts and loss.holds and (one.time <= loss.time or one.arrival <= loss.arrival):
                    yield f"{name} is held by the loss {loss.id}"

    def missing(self, left: Collection[str], now: datetime, coming: int = 0) -> Iterator[str]:
        """What the promise lacks today, and on so many days to come on which nothing arrives."""
        self.latest = max(now, self.latest or now)
        for host in sorted({one.host for one in self.versions.values()}):
            counting = sorted(
                (one for one in self.versions.values() if one.host == host and one.counts),
                key=lambda one: (one.time, one.id),
            )
            # What has just arrived may be marked yet, so that it replaces nothing.
            settled = [one for one in counting if one.arrival <= self.latest - timedelta(hours=1)]
            complete = [one for one in settled if one.complete]
            honest = [one for one in complete if not one.holds]
            for what, some in (("any", settled), ("complete", complete), ("honest", honest)):
                if not some:
                    continue
                # No day passes for a server that sends nothing.
                today = min(now.astimezone(PARIS).toordinal(), *_newest(some))
                today = self.passed[host, what] = max(today, self.passed.get((host, what), today))
                for path, versions in _files(some, left):
                    for day in range(today, today + coming + 1):
                        for problem in self._lacks(versions, left, day):
                            yield f"{host}, {path}, {what}: on day {day} {problem}"

    def _lacks(self, versions: dict[int, list[str]], left: Collection[str], day: int) -> Iterator[str]:
        for one in versions:
            if day - self.daily < one <= day and versions[one][-1] not in left:
                yield f"the last version of {one}"
        for number in range(self.weekly):
            last = day - 7 * number
            week = [name for one in versions if last - 7 < one <= last for name in versions[one]]
            if week and not any(name in left for name in week):
                yield f"the week to {last}"


def _files(some: Collection[Version], left: Collection[str]) -> Iterator[tuple[str, dict[int, list[str]]]]:
    """For each path its versions, day -> ids by time, where any of them is gone."""
    seen = set()
    for path in sorted({path for one in some for path in one.paths}):
        mine = [one for one in some if path in one.paths]
        names = tuple(one.id for one in mine)
        if names in seen or all(name in left for name in names):
            continue
        seen.add(names)
        versions: dict[int, list[str]] = {}
        for one in mine:
            versions.setdefault(one.day, []).append(one.id)
        yield path, versions


def _newest(versions: Collection[Version]) -> list[int]:
    """The day of the newest that counts; nothing when there is none."""
    return [max(days)] if (days := [one.day for one in versions if one.counts]) else []
