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
    snapshots: Iterable[Snapshot],
    removed: Collection[str],
    now: datetime,
    rules: Rules,
    already_gone: bool = False,
) -> tuple[str, ...]:
    """Everything that speaks against removing the ids `removed` from `snapshots`; nothing: the promise holds.

    It is checked for today and for each later day until all known versions are older than what is promised.
    That no backup may come any more is the hardest case: one more backup adds an obligation together with
    the version that meets it.

    `already_gone` judges what was removed in the past: the days that a version let pass which was rejected
    since have passed, and what left on them left rightly.
    """
    known, gone = list(snapshots), set(removed)
    if not gone:
        return ()
    here = {one.id for one in known}
    found = [f"{name[:8]} is not in the repository" for name in sorted(gone - here)]
    found += [
        f"{one.marks[:8]} would lose its mark, and pass for complete"
        for one in known
        if one.marks is not None and one.id in gone and one.marks in here - gone
    ]
    for host in sorted({one.host for one in known}):
        mine = [one for one in known if one.host == host and one.marks is None]
        found += [f"{host}: {problem}" for problem in _of_host(mine, gone, now, rules, already_gone)]
    return tuple(dict.fromkeys(found))


def _of_host(
    snapshots: list[Snapshot], removed: set[str], now: datetime, rules: Rules, already_gone: bool
) -> Iterator[str]:
    believed = [one for one in snapshots if _agrees(one, rules) and one.id not in rules.rejected]
    today = _number(now)
    passed = [
        _number(one.time)
        for one in snapshots
        if already_gone and one.id in rules.rejected and _agrees(one, rules)
    ]

    # What arrived within the last hour may be marked incomplete yet: it stands for nothing and stays.
    settled = [one for one in believed if one.arrival <= now - rules.settle]
    for one in believed:
        if one.id in removed and one.arrival > now - rules.settle:
            yield f"{one.id[:8]} has only just arrived"

    # A sudden loss serves nothing that an honest version can serve, an incomplete one nothing that a
    # complete one can: so the promise holds among the honest alone, and among all.
    losses = [one for one in believed if one.losses and one.id not in rules.released]
    lost = {one.id for one in losses}
    honest = [one for one in settled if one.complete and one.id not in lost]
    for kind in filter(None, (honest, settled)):
        if max(kind, key=lambda one: (one.time, one.id)).id in removed:
            yield "the newest version would go"
        newest = max(_number(one.time) for one in kind)
        first = min(today, max([newest, *passed]))
        for path, versions in _of_paths(kind, removed):
            left = {number for number, names in versions.items() if not removed.issuperset(names)}
            for day in range(first, newest + max(rules.daily, 7 * rules.weekly) + 1):
                for problem in _on(day, versions, left, removed, rules):
                    yield problem + path

    since = min(today, max([_number(one.time) for one in believed] + passed, default=0))
    names = {one.id for one in believed}
    for one in snapshots:
        if one.id in removed and one.id not in names:
            if one.id not in rules.released and one.id not in rules.rejected:
                yield f"{one.id[:8]} is set aside, not to be removed"
            elif since - _number(one.arrival) < max(rules.daily, 7 * rules.weekly):
                yield f"{one.id[:8]} was judged, but its days are not over"
    going = [one for one in believed if one.id in removed]
    for loss in losses:
        for one in going:
            if one.time <= loss.time or one.arrival <= loss.arrival:
                yield f"{one.id[:8]} is held by the sudden loss in {loss.id[:8]}"


def _of_paths(versions: list[Snapshot], removed: set[str]) -> Iterator[tuple[str, dict[int, list[str]]]]:
    """For all versions, and for those that have a path which not all have (the contract speaks of *files*):
    how to name it, and day -> ids by time. Without those of which none would go."""
    by_time = sorted(versions, key=lambda one: (one.time, one.id))
    groups: dict[tuple[str, ...], str] = {tuple(one.id for one in by_time): ""}
    having: dict[str, list[str]] = {}
    for one in by_time:
        for path in one.paths:
            having.setdefault(path, []).append(one.id)
    for path, ids_of_it in sorted(having.items()):
        groups.setdefault(tuple(ids_of_it), f", with {path}")
    days = {one.id: _number(one.time) for one in by_time}
    for ids, path in groups.items():
        if removed.isdisjoint(ids):
            continue
        calendar: dict[int, list[str]] = {}
        for name in ids:
            calendar.setdefault(days[name], []).append(name)
        yield path, calendar


def _on(
    day: int, versions: dict[int, list[str]], left: set[int], removed: set[str], rules: Rules
) -> Iterator[str]:
    """What the promise lacks on `day`; `left` are the days of which a version stays."""
    # every day of D-6 ... D that had a complete backup keeps its last version
    for number in range(day - rules.daily + 1, day + 1):
        if number in versions and versions[number][-1] in removed:
            yield f"on {_date(day)} the last version of {_date(number)} would be missing"
    # of the days D-13 ... D-7, at least one version is kept if any of them had one; likewise of D-6 ... D
    for end in range(day, day - 7 * rules.weekly, -7):
        week = range(end - 6, end + 1)
        if not versions.keys().isdisjoint(week) and left.isdisjoint(week):
            yield f"on {_date(day)} the week that ends on {_date(end)} would have no version"


def _number(moment: datetime) -> int:
    """The calendar day in Europe/Paris, counted."""
    return moment.astimezone(ZoneInfo("Europe/Paris")).toordinal()


def _date(number: int) -> str:
    return date.fromordinal(number).isoformat()


def _agrees(one: Snapshot, rules: Rules) -> bool:
    """Own time and arrival are as near to each other as a real backup's."""
    return -rules.ahead <= one.arrival - one.time <= rules.behind
