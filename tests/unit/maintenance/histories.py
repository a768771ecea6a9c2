"""Short random histories of a hostile client, lived by the real plan, its proof and its order of removal.

The world here knows the truth and hands the code under test only what a repository tells: versions, marks,
arrivals, losses as they are measured, and what a technician said.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from unit.maintenance.checker import Checker, Version
from unit.maintenance.simulation import ONE_DAY, at

PATHS = ("D:\\isagiwf\\backup", "D:\\Bureautique", "D:\\isapawp")


@dataclass
class World:
    """What lies in one repository, and the checker who watches."""

    chance: random.Random
    code: Any
    """The modules under test: Snapshot, Rules, plan, removal_order, and objections or None."""
    checker: Checker
    versions: set[str] = field(default_factory=set)
    marks: dict[str, tuple[str, datetime]] = field(default_factory=dict)
    """The id of a mark -> what it marks, and when it is here, by a clock that is right."""
    wrong: timedelta = timedelta(0)
    """How far the clock of the repository host is off."""
    problem: str = ""
    removals: int = 0
    kills: int = 0
    judged: int = 0

    def arrives(self, version: Version, now: datetime, mark_after: timedelta | None = None) -> None:
        self.checker.versions[version.id] = version
        self.versions.add(version.id)
        if mark_after is not None:
            self.marks[f"mark-of-{version.id}"] = (version.id, now + mark_after)

    def seen(self, now: datetime) -> list[Any]:
        """As the repository host sees it: complete is what has no mark."""
        marked = {name for name, (_, arrival) in self.marks.items() if arrival <= now}
        incomplete = {self.marks[name][0] for name in marked}
        found = [
            self.code.Snapshot(
                **{"id": one.id, "host": one.host, "time": one.time, "arrival": one.arrival},
                **{"paths": one.paths, "complete": one.id not in incomplete},
                losses=("it lost much",) if one.loss and one.counts else (),
            )
            for one in map(self.checker.versions.__getitem__, sorted(self.versions))
        ]
        for name in sorted(marked):
            target, arrival = self.marks[name]
            host = self.checker.versions[target].host if target in self.checker.versions else "srv0"
            found.append(self.code.Snapshot(id=name, host=host, time=arrival, arrival=arrival, marks=target))
        return found

    def rules(self) -> Any:
        said = {
            verdict: frozenset(one.id for one in self.checker.versions.values() if one.verdict == verdict)
            for verdict in ("released", "rejected")
        }
        return self.code.Rules(daily=self.checker.daily, weekly=self.checker.weekly, **said)

    def maintain(self, now: datetime) -> None:
        """One run of the retention, that may be killed between any two removals."""
        seen, rules = self.seen(now), self.rules()
        now += self.wrong
        removed = [
            one.id for one in self.code.plan(seen, now, rules) if one.action is self.code.Action.REMOVE
        ]
        if self.code.objections and (said := self.code.objections(seen, removed, now, rules)):
            self.problem = f"the proof objects: {said[0]}"
            return
        self.remove(self.code.removal_order(removed, seen), now)

    def remove(self, groups: Iterable[Collection[str]], now: datetime) -> None:
        """Group after group, each in an order that restic chooses."""
        order: list[str] = []
        for group in groups:
            order += self.chance.sample(sorted(group), len(group))
        if order and self.chance.random() < 0.4:
            del order[self.chance.randrange(len(order)) :]
            self.kills += 1
        gone = [name for name in order if name not in self.marks]
        for problem in self.checker.wrong_removals(gone, now):
            self.problem = self.problem or problem
        for name in order:
            if name in self.marks:
                target = self.marks.pop(name)[0]
                if target in self.versions:
                    self.problem = self.problem or f"{target} has lost its mark"
            else:
                self.versions.discard(name)
        self.removals += len(order)
        self.checked(now)

    def checked(self, now: datetime, coming: int = 0) -> None:
        self.problem = self.problem or next(self.checker.missing(self.versions, now, coming), "")


def live(seed: int, code: Any, watch: Callable[[World, datetime], None] | None = None) -> World:
    """A history of some weeks, to its end or its first problem; `watch` is called before each run."""
    chance = random.Random(seed)  # noqa: S311 -- repeatable, not secret
    world = World(chance, code, Checker(*chance.choice(((7, 3), (7, 3), (7, 2), (9, 2), (7, 4)))))
    day = date(2026, chance.choice((3, 10)), 8)  # over one of the clock changes
    hosts = ["srv0"] if chance.random() < 0.8 else ["srv0", "srv1"]
    paths = {host: frozenset(PATHS[:2]) for host in hosts}
    missed, several, broken = (chance.choice((0.0, 0.1, 0.5)) for _ in range(3))
    hostile, pause = chance.random() < 0.5, chance.choice((1, 1, 3, 8))
    now, number = at(day), 0
    for number in range(chance.choice((6, 10, 12, 14, 28))):
        today = day + number * ONE_DAY
        events: list[tuple[datetime, int, Callable[[datetime], None]]] = []
        for host in hosts:
            if chance.random() < 0.04:
                paths[host] ^= {chance.choice(PATHS[1:])}
            if chance.random() >= missed:
                for again in range(chance.randint(2, 3) if chance.random() < several else 1):
                    hour = chance.choice((22.0, 23.9)) if not again else chance.uniform(0, 24)
                    one = _honest(f"{host}-{number}-{again}", host, at(today, hour), paths[host], chance)
                    events.append((one.arrival, len(events), _sends(world, one, broken)))
        if hostile and chance.random() < 0.3:
            for again in range(chance.randint(1, 3)):
                moment = at(today, chance.uniform(0, 24))
                events.append((moment, len(events), _forges(world, f"forged-{number}-{again}")))
        if chance.random() < 0.25:
            events.append((at(today, chance.uniform(8, 18)), len(events), _judges(world)))
        if number % pause == 0:
            moment = at(today, chance.choice((6.5, 22.5, 23.99, chance.uniform(0, 24))))
            events.append((moment, len(events), _maintains(world, watch)))
        if chance.random() < 0.03:
            # The clock of the repository host jumps, and stays wrong for a while.
            world.wrong = chance.choice(
                (timedelta(0), timedelta(0), timedelta(days=400), timedelta(hours=5), timedelta(days=-9))
            )
        for moment, _, event in sorted(events, key=lambda event: event[:2]):
            now = moment
            event(moment)
            if world.problem:
                return world
    world.wrong = timedelta(0)
    world.checked(now + timedelta(hours=2), coming=7 * world.checker.weekly)
    return world


def _honest(name: str, host: str, begin: datetime, paths: frozenset[str], chance: random.Random) -> Version:
    return Version(name, host, begin, begin + timedelta(minutes=chance.choice((3, 40, 200))), paths)


def _sends(world: World, one: Version, broken: float) -> Callable[[datetime], None]:
    def event(now: datetime) -> None:
        one.arrival += world.wrong
        chance = world.chance
        one.complete = chance.random() >= broken
        one.loss = chance.random() < 0.02
        world.arrives(one, now, None if one.complete else timedelta(minutes=chance.choice((1, 50))))

    return event


def _forges(world: World, name: str) -> Callable[[datetime], None]:
    """Whatever the client's credentials can add, with times, marks and contents at will."""

    def event(now: datetime) -> None:
        chance, here = world.chance, sorted(world.versions)
        arrival = now + world.wrong
        kind = chance.choice(("ahead", "behind", "far", "far", "mark"))
        if kind == "mark" and here:
            target = chance.choice(here)
            world.checker.versions[target].complete = False
            world.marks[f"mark-{name}"] = (target, now)
            world.checker.changed(world.versions)
            return
        offset = {
            "ahead": timedelta(minutes=chance.uniform(0, 15)),
            "behind": -timedelta(hours=chance.uniform(0, 24)),
        }.get(kind, timedelta(days=chance.choice((-20, -3, 0.1, 3, 30))))
        paths = frozenset(chance.sample(PATHS, chance.randint(1, 3)))
        world.arrives(
            Version(name, "srv0", arrival + offset, arrival, paths, loss=chance.random() < 0.2),
            now,
            timedelta(minutes=1) if chance.random() < 0.2 else None,
        )
        world.checker.versions[name].complete = f"mark-of-{name}" not in world.marks

    return event


def _judges(world: World) -> Callable[[datetime], None]:
    """A technician releases or rejects a version, right or wrong, and may think better of it later."""

    def event(_: datetime) -> None:
        if world.versions:
            doubtful = [
                name
                for name in sorted(world.versions)
                if world.checker.versions[name].loss or not world.checker.versions[name].believable
            ]
            forged = [name for name in sorted(world.versions) if name.startswith("forged")]
            name = world.chance.choice(doubtful or forged or sorted(world.versions))
            world.checker.versions[name].verdict = world.chance.choice(("released", "rejected", "rejected"))
            world.checker.changed(world.versions)
            world.judged += 1

    return event


def _maintains(world: World, watch: Callable[[World, datetime], None] | None) -> Callable[[datetime], None]:
    def event(now: datetime) -> None:
        if watch:
            watch(world, now)
        world.maintain(now)

    return event


def verdicts(world: World, now: datetime, objections: Callable[..., tuple[str, ...]]) -> tuple[bool, bool]:
    """Of a removal drawn at random, near what the plan wants: whether the proof objects, and the checker."""
    seen, rules = world.seen(now), world.rules()
    now += world.wrong
    chance = world.chance
    names = sorted(one.id for one in seen)
    gone = {one.id for one in world.code.plan(seen, now, rules) if one.action is world.code.Action.REMOVE}
    gone ^= set(chance.sample(names, min(len(names), chance.choice((0, 1, 1, 2, 5)))))
    checker = Checker(world.checker.daily, world.checker.weekly)
    marks = {one.id: one.marks for one in seen if one.marks is not None}
    for one in seen:
        if one.id not in marks:
            true = world.checker.versions[one.id]
            checker.versions[one.id] = replace(true, complete=one.complete)
    left = {*names} - gone
    wrong = any(mark in gone and target in left for mark, target in marks.items())
    wrong = wrong or any(checker.wrong_removals(sorted(gone - marks.keys()), now))
    wrong = wrong or any(checker.missing(left, now, coming=45))
    return bool(objections(seen, gone, now, rules)), wrong


def modules(retention: Any, objections: Callable[..., tuple[str, ...]] | None, **others: Any) -> Any:
    """The code under test, some of it replaced."""
    names = ("Snapshot", "Rules", "Action", "plan", "removal_order")
    code = SimpleNamespace(**{name: getattr(retention, name) for name in names}, objections=objections)
    code.__dict__.update(others)
    return code
