"""Retention (C7): which snapshots of a repository stay, so that the promise holds on every coming day.

The promise, for any day D (Europe/Paris): each of the last `daily` days that had a complete backup keeps its
last version, and each of the last `weekly` weeks (seven days ending on D, the seven before, ...) that had one
keeps at least one. A removal that is right today can break the promise of next week. So a plan asks what any
day from now on needs: a version for every seven days in a row that some coming D calls a week.

What a client sends is not believed where it could shorten history:
- the arrival on the server (the file's own time there) is compared with the time that the snapshot claims;
- a sudden loss holds every older version until a technician releases it;
- days pass only when backups arrive: a server that falls silent, or a repository host whose clock jumps
  ahead, loses nothing.

Pure: standard library, no clock, no file. `retention_proof` checks each plan without using this code.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import Enum
from zoneinfo import ZoneInfo

PARIS = ZoneInfo("Europe/Paris")
WEEK = 7  # days
REJECTED = "rejected by a technician"


@dataclass(frozen=True, slots=True)
class Summary:
    """What a backup says of itself: shown to people, and nothing is decided by it."""

    files: int
    bytes: int
    added_bytes: int
    """What it added to the repository, as stored there."""
    seconds: float


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One snapshot of the repository, as the repository host sees it. Times are aware."""

    id: str
    host: str
    time: datetime
    """What the snapshot claims: when its backup began."""
    arrival: datetime
    """When the server received it; no client can choose it."""
    paths: frozenset[str] = frozenset()
    complete: bool = True
    """False where a mark says that restic could not read all of the perimeter (exit code 3)."""
    marks: str | None = None
    """The id of the snapshot that this one declares incomplete: then it is a mark, no version."""
    losses: tuple[str, ...] = ()
    """How it is a sudden loss against the version before it; see sudden_loss."""
    summary: Summary | None = None
    """None where its restic wrote none."""
    tree: str = ""
    """The id of its topmost folder."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the contract promises, and how far a snapshot's own time may be from its arrival."""

    daily: int = 7
    weekly: int = 2
    ahead: timedelta = timedelta(minutes=15)
    """A client's clock may be wrong by so much."""
    behind: timedelta = timedelta(hours=24)
    """A backup may take so long: the time is that of its beginning, the arrival that of its end."""
    settle: timedelta = timedelta(hours=1)
    """A snapshot replaces no other before it has been here so long: its mark may still be on the way."""
    released: frozenset[str] = frozenset()
    """Snapshots about which a technician has lifted the caution."""
    rejected: frozenset[str] = frozenset()
    """Snapshots found forged by a technician: they count for nothing, and stay until their days are over.
    None of them is released."""

    @property
    def span(self) -> int:
        """Days of which something is promised, today among them."""
        return max(self.daily, WEEK * self.weekly)


class Action(Enum):
    """What becomes of a snapshot."""

    KEEP = "keep"
    REMOVE = "remove"
    SET_ASIDE = "set aside"


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of one snapshot, and why: each reason is a phrase for people."""

    id: str
    action: Action
    reasons: tuple[str, ...]


def day_of(moment: datetime) -> date:
    """The calendar day of an aware moment, in Europe/Paris."""
    return moment.astimezone(PARIS).date()


def disagreement(snapshot: Snapshot, rules: Rules) -> str | None:
    """Why a snapshot's own time is not to be believed; None when it agrees with the arrival."""
    if snapshot.time > snapshot.arrival + rules.ahead:
        return f"claims a time {_span(snapshot.time - snapshot.arrival)} after its arrival"
    if snapshot.arrival > snapshot.time + rules.behind:
        return f"arrived {_span(snapshot.arrival - snapshot.time)} after the time that it claims"
    return None


def counts(snapshot: Snapshot, rules: Rules) -> bool:
    """Whether a version is believed and not rejected: nothing else is promised, compared or shown as one."""
    return snapshot.id not in rules.rejected and disagreement(snapshot, rules) is None


def plan(snapshots: Iterable[Snapshot], now: datetime, rules: Rules) -> tuple[Decision, ...]:
    """One decision for each snapshot, in the order given.

    Servers are independent of each other. What is listed as REMOVE may be removed wholly or in part, versions
    first and marks after them: more versions never break the promise, but a version that has lost its mark is
    taken for a complete one.
    """
    everything = tuple(snapshots)
    hosts: dict[str, list[Snapshot]] = {}
    for snapshot in everything:
        hosts.setdefault(snapshot.host, []).append(snapshot)
    decisions: dict[str, Decision] = {}
    for group in hosts.values():
        decisions.update(_plan_host(group, now, rules))
    for snapshot in everything:
        if snapshot.marks is not None:
            marked = decisions.get(snapshot.marks)
            if marked is None or marked.action is Action.REMOVE:
                mark = Decision(snapshot.id, Action.REMOVE, ("the snapshot that it marks goes or is gone",))
            else:
                mark = Decision(snapshot.id, Action.KEEP, (f"marks {snapshot.marks[:8]} as incomplete",))
            decisions[snapshot.id] = mark
    return tuple(decisions[snapshot.id] for snapshot in everything)


def removal_order(removed: Iterable[str], snapshots: Iterable[Snapshot]) -> tuple[tuple[str, ...], ...]:
    """Groups of ids, to be removed one group after the other, each in whatever order: restic keeps none.

    Marks go last: the next run would take a version that has lost its mark for a complete one, and let the
    complete one of that day go.
    """
    marks = {one.id for one in snapshots if one.marks is not None}
    names = tuple(removed)
    groups = (tuple(name for name in names if (name in marks) is last) for last in (False, True))
    return tuple(group for group in groups if group)


def _plan_host(group: Sequence[Snapshot], now: datetime, rules: Rules) -> dict[str, Decision]:
    versions: list[Snapshot] = []
    aside: list[Snapshot] = []
    for snapshot in group:
        if snapshot.marks is None:
            (versions if counts(snapshot, rules) else aside).append(snapshot)
    versions.sort(key=lambda version: (version.time, version.id))
    days = {version.id: day_of(version.time).toordinal() for version in versions}

    today = day_of(now).toordinal()
    settled = [version for version in versions if version.arrival <= now - rules.settle]
    kept = {version.id: "has just arrived" for version in versions if version.arrival > now - rules.settle}
    # First what is promised; then the same over all versions, so that a day on which no backup was complete,
    # or on which a mark is wrong, keeps the best there is.
    # A sudden loss that nobody has released comes last: it serves no week that an honest one can serve.
    lost = {one.id for one in versions if one.losses and one.id not in rules.released}
    whole = [version for version in settled if version.complete]
    honest = [version for version in whole if version.id not in lost]
    for candidates in (honest, whole, settled):
        if candidates:
            # Not today, when the newest version is older: no day passes for a server that sends none.
            reference = min(today, days[candidates[-1].id])
            for part in _parts(candidates):
                _select(part, days, reference, rules, kept)

    reasons = {name: [reason] for name, reason in kept.items()}
    for loss in versions:
        if loss.losses and loss.id not in rules.released:
            reasons.setdefault(loss.id, []).extend(f"sudden loss: {text}" for text in loss.losses)
    # One reason for each version, however many losses hold it: else the report grows with their square.
    holding = [one for one in versions if one.id in lost]
    if holding:
        last_time, last_arrival = (
            max(holding, key=lambda one: one.time),
            max(holding, key=lambda one: one.arrival),
        )
        for older in versions:
            by = next(
                (
                    loss
                    for loss, before in (
                        (last_time, older.time <= last_time.time),
                        (last_arrival, older.arrival <= last_arrival.arrival),
                    )
                    if before and loss is not older
                ),
                None,
            )
            if by is not None:
                reasons.setdefault(older.id, []).append(f"held by the sudden loss in {by.id[:8]}")

    decisions = {name: Decision(name, Action.KEEP, tuple(texts)) for name, texts in reasons.items()}
    last_of_day = {days[version.id]: version for version in versions if version.id in reasons}
    for version in versions:
        if version.id not in decisions:
            later = last_of_day.get(days[version.id])
            reason = (
                f"{later.id[:8]} is a later version of {_date(days[version.id])}"
                if later is not None and later.time >= version.time
                else "no coming day asks for it"
            )
            decisions[version.id] = Decision(version.id, Action.REMOVE, (reason,))
    reference = min(today, max(days.values(), default=0))
    for snapshot in aside:
        decisions[snapshot.id] = _aside(snapshot, reference, rules)
    return decisions


def _parts(candidates: Sequence[Snapshot]) -> Iterable[Sequence[Snapshot]]:
    """All candidates, and for each path that not all of them have, those that have it.

    The contract speaks of versions of a *file*: where a perimeter changed between two backups of a day or of
    a week, the files that left it have their last version in the earlier one.
    """
    yield candidates
    common = frozenset.intersection(*(candidate.paths for candidate in candidates))
    owners: dict[str, list[int]] = {}
    for number, candidate in enumerate(candidates):
        for path in candidate.paths - common:
            owners.setdefault(path, []).append(number)
    # Most paths come and go together: each set of snapshots once.
    parts = dict.fromkeys(tuple(owners[path]) for path in sorted(owners))
    yield from ([candidates[number] for number in part] for part in parts)


def _select(
    candidates: Sequence[Snapshot],
    days: Mapping[str, int],
    reference: int,
    rules: Rules,
    kept: dict[str, str],
) -> None:
    """Add to `kept`, id -> why, what `candidates` (by time) need on the day `reference` and on later days."""
    last: dict[int, Snapshot] = {}
    served = set()  # days of which a candidate stays
    for candidate in candidates:
        last[days[candidate.id]] = candidate
        if candidate.id in kept:
            served.add(days[candidate.id])
    for day, version in last.items():
        if day > reference - rules.daily:
            kept.setdefault(version.id, f"last version of {_date(day)}")
            served.add(day)
    # Every week of this day and of later ones ends on `reference - 7 * (weekly - 1)` or later. From the last
    # to the first, each that has versions but none that stays gets its *oldest*: that serves the longest.
    for end in range(reference + WEEK - 1, reference - WEEK * (rules.weekly - 1) - 1, -1):
        week = range(end - WEEK + 1, end + 1)
        if served.isdisjoint(week):
            for day in week:
                if day in last:
                    kept.setdefault(last[day].id, f"a version of the week {_date(week[0])} to {_date(end)}")
                    served.add(day)
                    break


def _aside(snapshot: Snapshot, reference: int, rules: Rules) -> Decision:
    """Set aside; only once judged does it leave, when its arrival is older than all that is promised."""
    reasons = [REJECTED] if snapshot.id in rules.rejected else []
    reasons += [text] if (text := disagreement(snapshot, rules)) else []
    reasons += ["released by a technician"] if snapshot.id in rules.released else []
    judged = snapshot.id in rules.released | rules.rejected
    over = day_of(snapshot.arrival).toordinal() <= reference - rules.span
    return Decision(snapshot.id, Action.REMOVE if judged and over else Action.SET_ASIDE, tuple(reasons))


def _date(ordinal: int) -> str:
    return date.fromordinal(ordinal).isoformat()


def _span(length: timedelta) -> str:
    minutes = round(length.total_seconds() / 60)
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 72 * 60 else f"{minutes // (24 * 60)} days"
