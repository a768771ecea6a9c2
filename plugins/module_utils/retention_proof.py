"""An independent check of a removal against the words of the promise (C7), before anything is removed.

Written from the words of the promise, not from the plan: it knows no greedy choice and no reasons, it walks
the calendar day by day and asks the two questions of the text. It shares with the plan the data types and
nothing else, so that one mistake cannot hide in both.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import date, datetime
from zoneinfo import ZoneInfo

from .retention import Rules, Snapshot


def objections(
    snapshots: Iterable[Snapshot], removed: Collection[str], now: datetime, rules: Rules
) -> tuple[str, ...]:
    """Everything that speaks against removing the ids `removed` from `snapshots`; nothing: the promise holds.

    It is checked for today and for each later day until all known versions are older than what is promised.
    That no backup may come any more is the hardest case: one more backup adds an obligation together with
    the version that meets it.
    """
    known = list(snapshots)
    if not removed:
        return ()
    return tuple(
        [f"{name[:8]} is not in the repository" for name in sorted(set(removed) - {one.id for one in known})]
        + [
            f"{host}: {problem}"
            for host in sorted({snapshot.host for snapshot in known})
            for problem in _of_host([one for one in known if one.host == host], set(removed), now, rules)
        ]
    )


def _of_host(snapshots: list[Snapshot], removed: set[str], now: datetime, rules: Rules) -> Iterator[str]:
    paris = ZoneInfo("Europe/Paris")
    believed = [one for one in snapshots if one.marks is None and _agrees(one, rules)]

    # daily version: the last complete backup of a calendar day in Europe/Paris; days are numbered
    versions: dict[int, list[str]] = {}
    for one in sorted(believed, key=lambda one: (one.time, one.id)):
        if one.complete:
            versions.setdefault(one.time.astimezone(paris).toordinal(), []).append(one.id)
    if versions:
        newest = max(versions)
        if versions[newest][-1] in removed:
            yield "the newest version would go"
        first = min(now.astimezone(paris).toordinal(), newest)
        for day in range(first, newest + max(rules.daily, 7 * rules.weekly) + 1):
            yield from _on(day, versions, removed, rules)

    names = {one.id for one in believed}
    for one in snapshots:
        if one.id in removed and one.id not in names and one.id not in rules.released and one.marks is None:
            yield f"{one.id[:8]} is set aside, not to be removed"
    for loss in believed:
        if loss.losses and loss.id not in rules.released:
            for one in believed:
                if one.id in removed and (one.time <= loss.time or one.arrival <= loss.arrival):
                    yield f"{one.id[:8]} is held by the sudden loss in {loss.id[:8]}"


def _on(day: int, versions: dict[int, list[str]], removed: set[str], rules: Rules) -> Iterator[str]:
    """What the promise lacks on `day`."""
    # every day of D-6 ... D that had a complete backup keeps its last version
    for number in range(day - rules.daily + 1, day + 1):
        if number in versions and versions[number][-1] in removed:
            yield f"on {_date(day)} the last version of {_date(number)} would be missing"
    # of the days D-13 ... D-7, at least one version is kept if any of them had one; likewise of D-6 ... D
    for end in range(day, day - 7 * rules.weekly, -7):
        had = [name for number in range(end - 6, end + 1) for name in versions.get(number, ())]
        if had and removed.issuperset(had):
            yield f"on {_date(day)} the week that ends on {_date(end)} would have no version"


def _date(number: int) -> str:
    return date.fromordinal(number).isoformat()


def _agrees(one: Snapshot, rules: Rules) -> bool:
    """Own time and arrival are as near to each other as a real backup's."""
    return -rules.ahead <= one.arrival - one.time <= rules.behind
