"""Checks of a repository (C19): its structure at each maintenance, its data in slices, one a day.

restic puts a pack into the slice that the first byte of its id tells, modulo the number of slices. So all
slices in turn read every pack that was there when the cycle began; a pack that was written since, by a backup
or by repacking, is read at the latest one cycle after it was written. A day without maintenance delays a
slice and loses none: the next runs read up to three until the cycle is on time again.

What is damaged is remembered, and read again at each run, until a check finds it sound; meanwhile nothing is
removed from the repository.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any

from .errors import ProSecoursError
from .model import LastCheck
from .repository import Check, Repository
from .retention import day_of

MOST_SLICES = 256
"""restic looks at one byte of a pack's id."""
CATCH_UP = 3
"""Slices that one run reads at most."""
MOST_PACKS = 8
"""Damaged packs that are read again one by one; if there are more, everything is."""
SHOWN = 20
"""Files that are named for each version, and problems for each check."""
REMEMBERED = timedelta(days=400)


class Damaged(ProSecoursError):
    """The last check found the repository damaged: nothing is removed from it."""


@dataclass(frozen=True)
class Cycle:
    """How far the reading of all data has come."""

    begun: date
    slices: int
    read: int
    """Slices 1 to this one are read."""
    last: date | None = None
    """The day of the last slice."""

    @property
    def whole(self) -> bool:
        return self.read == self.slices


def begin(cycle: Cycle | None, slices: int, today: date) -> Cycle:
    """The cycle to go on with: a new one after the last slice, or when the number of days was changed."""
    if cycle is None or cycle.slices != slices or max(cycle.begun, cycle.last or cycle.begun) > today:
        return Cycle(today, slices, 0)  # never begun, or by a clock that was wrong
    if cycle.whole and cycle.last is not None and cycle.last < today:
        return Cycle(cycle.last + timedelta(days=1), slices, 0)
    return cycle


def due(cycle: Cycle, today: date) -> range:
    """The slices to read now, by number from 1; none when today's are read."""
    elapsed = min(cycle.slices, (today - cycle.begun).days + 1)
    return range(cycle.read + 1, min(elapsed, cycle.read + CATCH_UP) + 1)


@dataclass(frozen=True)
class Touched:
    """What a version lost by damage."""

    id: str
    host: str
    time: str
    files: tuple[str, ...]
    """The first of them."""
    count: int
    unreadable: bool
    """Its folders cannot be read, so that nobody can tell all files."""


@dataclass(frozen=True)
class Damage:
    """What was found, and which versions it touches; all others are intact."""

    found: str
    packs: tuple[str, ...]
    problems: tuple[str, ...]
    touched: tuple[Touched, ...]
    versions: int | None
    """How many there are; None: it cannot be told which are touched."""

    def sentences(self) -> list[str]:
        """What is wrong, then each version that is touched, then the others."""
        touched = [
            f"{one.host}, version of {one.time[:16].replace('T', ' ')}: "
            + ("its folders cannot be read" if one.unreadable else _named(one))
            for one in self.touched
        ]
        others = (
            "which versions it touches cannot be told before the repair"
            if self.versions is None
            else f"{self.versions - len(self.touched)} of {self.versions} versions are intact"
        )
        return [*self.problems, *touched, others]


@dataclass(frozen=True)
class Result:
    """One check, as it is kept and shown."""

    at: str
    ok: bool
    problems: tuple[str, ...]
    read: tuple[int, ...]
    """Slices of the data that were read, besides the structure."""


@dataclass(frozen=True)
class Checked:
    """All that is remembered of the checks of a client."""

    cycle: Cycle
    results: tuple[Result, ...] = ()
    """By time; the last 400 days."""
    whole_on: str | None = None
    """When all data was last read as a whole."""
    damage: Damage | None = None

    def status(self) -> LastCheck | None:
        """For the status table; None: no check yet."""
        if not self.results:
            return None
        last = self.results[-1]
        return LastCheck(
            datetime.fromisoformat(last.at),
            last.ok,
            last.problems,
            cycle_days=self.cycle.slices,
            slices=self.cycle.slices,
            slice=self.cycle.read,
            read_whole_on=datetime.fromisoformat(self.whole_on) if self.whole_on else None,
        )


def check(
    repository: Repository,
    before: Checked | None,
    days: int,
    now: datetime,
    lies: Sequence[str] = (),
    broken: Collection[str] = (),
) -> Checked:
    """Check the structure, the slices that are due, and what was damaged. Raises RepositoryError.

    `lies` are sentences about packs that are not what an index says: damage that restic would not see.
    `broken` are packs that were found spoiled already.
    """
    today = day_of(now)
    cycle = begin(before.cycle if before else None, days, today)
    # restic is not asked then: what it is lied to about could be made to take all memory, or to mislead it.
    slices = range(0) if lies else due(cycle, today)
    damage = before.damage if before else None
    subsets = [f"{number}/{days}" for number in slices] + _slices(damage.packs if damage else ())
    found = [] if lies else [_confirmed(repository, subset) for subset in subsets or (None,)]

    at = now.isoformat(timespec="seconds")
    found.append(Check(tuple(f"the pack {pack} is damaged or gone" for pack in broken), tuple(broken)))
    errors = _once([*lies, *(error for one in found for error in one.errors)])[:SHOWN]
    packs = _once(pack for one in found for pack in one.broken_packs)
    since = damage.found if damage else at
    damage = None
    if errors:
        known = not lies and all(one.packs_only for one in found if one.errors)
        touched, versions = _touched(repository, packs) if known else ((), None)
        damage = Damage(since, tuple(packs), tuple(errors), touched, versions)
    if slices:
        cycle = Cycle(cycle.begun, days, slices[-1], today)
    result = Result(at, not errors, tuple(damage.sentences()) if damage else (), tuple(slices))
    return Checked(
        cycle,
        (*_recent(before.results if before else (), now), result),
        at if slices and cycle.whole else before.whole_on if before else None,
        damage,
    )


def _confirmed(repository: Repository, subset: str | None) -> Check:
    """Without a lock, so as to disturb no backup: one that ends in that moment can look like damage, once."""
    found = repository.check(subset)
    return repository.check(subset) if found.errors else found


def _slices(packs: Collection[str]) -> list[str]:
    """The smallest that hold the packs."""
    if len(packs) > MOST_PACKS:
        return ["100%"]
    return sorted({f"{int(pack[:2], 16) + 1}/{MOST_SLICES}" for pack in packs})


def unreadable(repository: Repository, packs: Collection[str]) -> set[str]:
    """Those of the packs that restic cannot read, of whole slices that it reads. Raises RepositoryError."""
    found = [_confirmed(repository, subset) for subset in _slices(packs)]
    return {pack for one in found for pack in one.broken_packs}.intersection(packs)


def _touched(repository: Repository, packs: Collection[str]) -> tuple[tuple[Touched, ...], int]:
    """The versions that need the packs, by time; and how many versions there are."""
    versions = sorted((one for one in repository.snapshots() if one.marks is None), key=lambda one: one.time)
    blobs = repository.blobs_of(packs)
    found = []
    for one in versions:
        files = repository.files_with(one.id, blobs)
        if files is None or files:
            named = tuple((files or ())[:SHOWN])
            moment = one.time.isoformat()
            found.append(Touched(one.id, one.host, moment, named, len(files or ()), files is None))
    return tuple(found), len(versions)


def _named(one: Touched) -> str:
    more = f" and {one.count - len(one.files)} more" if one.count > len(one.files) else ""
    return f"{', '.join(one.files)}{more}"


def _recent(results: Sequence[Result], now: datetime) -> tuple[Result, ...]:
    return tuple(one for one in results if datetime.fromisoformat(one.at) > now - REMEMBERED)


def _once(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))


def as_json(checked: Checked) -> dict[str, Any]:
    """For a file; `from_json` reads it."""
    return asdict(checked)


def from_json(entry: dict[str, Any] | None) -> Checked | None:
    """What `as_json` made; None: there was no check yet."""
    if entry is None:
        return None
    cycle, damage = entry["cycle"], entry["damage"]
    return Checked(
        Cycle(
            date.fromisoformat(cycle["begun"]),
            cycle["slices"],
            cycle["read"],
            date.fromisoformat(cycle["last"]) if cycle["last"] else None,
        ),
        tuple(
            Result(one["at"], one["ok"], tuple(one["problems"]), tuple(one["read"]))
            for one in entry["results"]
        ),
        entry["whole_on"],
        damage
        and Damage(
            damage["found"],
            tuple(damage["packs"]),
            tuple(damage["problems"]),
            tuple(Touched(**{**one, "files": tuple(one["files"])}) for one in damage["touched"]),
            damage["versions"],
        ),
    )
