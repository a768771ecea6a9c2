"""Years of simulated backups, and the promise (C7) judged with the whole history in view.

A retention policy sees the repository as it left it; the judge here sees all that ever arrived, and knows
which snapshots were forged because it forged them. It uses nothing of the code under test.
"""

from __future__ import annotations

import random
from bisect import insort
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.retention import Rules, Snapshot

PARIS = ZoneInfo("Europe/Paris")
ONE_DAY = timedelta(days=1)
EVERY_PATH = frozenset({r"D:\isagiwf\backup", r"D:\Bureautique", r"D:\isapawp", r"D:\isabanq", r"D:\x"})

Policy = Callable[[tuple[Snapshot, ...], datetime, Rules], set[str]]
"""Snapshots in the repository, the time, the rules -> ids that stay."""


@dataclass
class History:
    """What a client sent, in the order of arrival; `real` are the ids of complete backups of the agent."""

    rules: Rules
    first: date
    last: date
    sent: list[Snapshot]
    real: set[str]
    runs: list[datetime]
    """When retention runs on the repository host."""


@dataclass
class Judge:
    """Says whether the promise holds on a day, given what is left; from the words of contract.md."""

    history: History
    days: dict[str, dict[int, list[tuple[datetime, str]]]] = field(default_factory=dict)

    def arrived(self, snapshot: Snapshot) -> None:
        if snapshot.id in self.history.real:
            day = snapshot.time.astimezone(PARIS).toordinal()
            by_day = self.days.setdefault(snapshot.host, {})
            insort(by_day.setdefault(day, []), (snapshot.time, snapshot.id))

    def broken(self, date_of_judgement: date, left: set[str]) -> str | None:
        today, rules = date_of_judgement.toordinal(), self.history.rules
        for host, by_day in self.days.items():
            for day in range(today - rules.daily + 1, today + 1):
                if day in by_day and by_day[day][-1][1] not in left:
                    return f"{date_of_judgement}: {host} lacks the last version of {date.fromordinal(day)}"
            for end in range(today, today - 7 * rules.weekly, -7):
                had = [name for day in range(end - 6, end + 1) for _, name in by_day.get(day, ())]
                if had and left.isdisjoint(had):
                    return f"{date_of_judgement}: {host} lacks the week that ends {date.fromordinal(end)}"
        return None


def live(history: History, policy: Policy) -> tuple[str | None, int]:
    """Let the year pass: the first broken promise, and the greatest number of snapshots a run left."""
    judge, repository, left, most = Judge(history), {}, set[str](), 0
    events: list[tuple[datetime, int, Snapshot | None]] = [(one.arrival, 0, one) for one in history.sent]
    events += [(run, 1, None) for run in history.runs]
    events += [
        (datetime(day.year, day.month, day.day, 23, 59, 59, tzinfo=PARIS).astimezone(UTC), 2, None)
        for day in _days(history.first, history.last)
    ]
    for moment, kind, snapshot in sorted(events, key=lambda event: event[:2]):
        if snapshot is not None:
            judge.arrived(snapshot)
            repository[snapshot.id] = snapshot
            left.add(snapshot.id)
        elif kind == 1:
            stay = policy(tuple(repository.values()), moment, history.rules)
            repository = {name: one for name, one in repository.items() if name in stay}
            left, most = set(repository), max(most, len(repository))
        if snapshot is None and (problem := judge.broken(moment.astimezone(PARIS).date(), left)):
            return problem, most
    return None, most


def simulate(seed: int) -> History:
    """A year of one client: every kind of irregularity, some of them in any one history."""
    chance = random.Random(seed)  # noqa: S311 -- repeatable, not secret
    first = date(2026, chance.randint(1, 12), chance.randint(1, 28))
    last = first + 365 * ONE_DAY
    rules = Rules() if chance.random() < 0.6 else Rules(chance.randint(1, 20), chance.randint(0, 6))
    history = History(rules, first, last, [], set(), [])
    for number in range(chance.choice((1, 1, 1, 2, 3))):
        _server(history, f"srv{number}", chance)
    if chance.random() < 0.3:
        _forge(history, chance)
    history.sent.sort(key=lambda one: one.arrival)
    # Days between two runs of retention, in the middle.
    [every] = chance.choices((1, 4, 9, 16, 30), (1, 4, 8, 8, 6))
    day = first
    while day <= last:
        history.runs.append(_moment(day, chance.uniform(0, 24)))
        day += chance.randint(1, 2 * every - 1) * ONE_DAY
    return history


def _server(history: History, host: str, chance: random.Random) -> None:
    at_night = chance.random() < 0.3  # backups that straddle midnight
    missed = chance.choice((0.0, 0.02, 0.1, 0.4, 0.8))
    several = chance.choice((0.0, 0.1, 0.5))
    paths = frozenset({r"D:\isagiwf\backup", r"D:\Bureautique"})
    off: set[date] = set()
    for _ in range(chance.choice((0, 0, 1, 3))):
        start = history.first + chance.randint(0, 365) * ONE_DAY
        off.update(_days(start, start + chance.randint(3, 40) * ONE_DAY))
    for number, day in enumerate(_days(history.first, history.last)):
        if chance.random() < 0.01:
            paths = paths ^ {chance.choice((r"D:\isapawp", r"D:\isabanq", r"D:\isagiwf\backup"))} | {r"D:\x"}
        if day in off or chance.random() < missed:
            continue
        for again in range(chance.randint(2, 4) if chance.random() < several else 1):
            hour = chance.uniform(23.3, 24.6) if at_night else chance.uniform(0, 24) if again else 22.0
            begin = _moment(day, hour)
            complete = chance.random() > 0.05
            name = f"{host}-{number}-{again}"
            length = timedelta(minutes=chance.choice((0.1, 3, 40, 200)))
            history.sent.append(Snapshot(name, host, begin, begin + length, paths, complete))
            if complete:
                history.real.add(name)


def _forge(history: History, chance: random.Random) -> None:
    """Someone who holds the client's credentials adds snapshots at will, with times at will."""
    for number in range(chance.randint(1, 60)):
        day = history.first + chance.randint(20, 365) * ONE_DAY
        arrival = _moment(day, chance.uniform(0, 24))
        if chance.random() < 0.5:
            claimed = arrival + timedelta(days=chance.uniform(0.02, 30))
        else:  # the last minute of a past day, to be its last version
            claimed = _moment(day - chance.randint(2, 9) * ONE_DAY, 23.99)
        history.sent.append(Snapshot(f"forged-{number}", "srv0", claimed, arrival, EVERY_PATH))


def history_of(sent: Iterable[Snapshot], runs: Iterable[datetime], rules: Rules | None = None) -> History:
    """A history written by hand; every snapshot whose id does not begin with `forged` is real."""
    snapshots = sorted(sent, key=lambda one: one.arrival)
    days = [one.arrival.astimezone(PARIS).date() for one in snapshots]
    real = {one.id for one in snapshots if one.complete and not one.id.startswith("forged")}
    return History(rules or Rules(), min(days), max(days), snapshots, real, list(runs))


def backup(name: str, begin: datetime, **fields: object) -> Snapshot:
    """A version that took three minutes, of one server, unless `fields` say otherwise."""
    given = {"host": "srv", "time": begin, **fields}
    if "arrival" not in given:
        given["arrival"] = begin + timedelta(minutes=3)
    return Snapshot(id=name, **given)  # type: ignore[arg-type]


def at(day: date | str, hour: float = 22.0) -> datetime:
    """`hour` o'clock in Paris on a day."""
    return _moment(date.fromisoformat(day) if isinstance(day, str) else day, hour)


def _moment(day: date, hour: float) -> datetime:
    """In UTC. 24.5 is half past midnight of the next day."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=PARIS)
    return (midnight + timedelta(hours=hour)).astimezone(UTC)


def _days(first: date, last: date) -> Iterable[date]:
    return (first + number * ONE_DAY for number in range((last - first).days + 1))
