"""How the backups of a client stand, typed: the maintenance writes it, monitoring and reports read it.

plugins/modules/status.py shows it as JSON. Sizes are bytes, GB decimal; instants keep their own offset.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from .volume import Day, Volume

UNKNOWN_KEY = "is a key that nobody knows"
"""What is said in `rubbish` of a key that a client added: with it he could come back."""


@dataclass(frozen=True)
class Promise:
    """Whether the contract's retention is kept (C7), and what of it is not."""

    kept: bool
    problems: tuple[str, ...]


@dataclass(frozen=True)
class Versions:
    """What there is of one server; without a version, None."""

    versions: int
    """Complete ones."""
    incomplete: int
    last: datetime | None
    """Of the newest complete one."""
    last_any: datetime | None
    oldest_day: date | None
    """Of the oldest complete one."""


@dataclass(frozen=True)
class Backup:
    """A backup that once arrived, whether its version is still there or not; what is None nobody said."""

    time: datetime
    arrival: datetime
    complete: bool
    bytes: int | None
    files: int | None
    added_bytes: int | None
    seconds: float | None


@dataclass(frozen=True)
class Arrival(Backup):
    """With its snapshot."""

    id: str


@dataclass(frozen=True)
class ServerStatus(Versions):
    """One server, with all that it sent in 400 days, by time."""

    history: tuple[Arrival, ...]


@dataclass(frozen=True)
class VolumeWithDays(Volume):
    """With each day that was measured."""

    history: tuple[Day, ...]


@dataclass(frozen=True)
class HeldLock:
    """Who works on the repository, or died while working."""

    host: str
    since: datetime
    stale: bool


@dataclass(frozen=True)
class LastRetention:
    """When retention last ended well, and why it has not since."""

    at: datetime | None
    failure: str | None


@dataclass(frozen=True)
class LastCheck:
    """The last check of the repository (C19), and how far the reading of all data has come."""

    at: datetime
    ok: bool
    problems: tuple[str, ...]
    cycle_days: int
    slices: int
    slice: int
    """The last one that was read."""
    read_whole_on: datetime | None


@dataclass(frozen=True)
class LastDrill:
    """The last restore drill (C19)."""

    at: datetime
    ok: bool
    files: int
    bytes: int
    problems: tuple[str, ...]
    doubts: tuple[str, ...] = ()
    """Files that may not be what their names say, a phrase each: for a person to look at, no verdict."""


@dataclass(frozen=True)
class Retired:
    """A repository of which no server sends any more. It counts for nothing, and is kept until nothing that
    lies in it is promised."""

    last: datetime | None
    """When its last snapshot arrived; None: there is none."""
    goes_on: date | None
    """The day on which the maintenance drops it; None: not before somebody has looked."""
    held: tuple[str, ...] = ()
    """Ids of its snapshots that somebody has to judge first."""


@dataclass(frozen=True)
class Worries:
    """What a status and the report of a maintenance have in common: all that somebody may have to look at."""

    promise: Promise
    volume: Volume
    set_aside: tuple[str, ...]
    """Ids of snapshots that are not believed."""
    losses: Mapping[str, tuple[str, ...]]
    """Id of a snapshot -> how it is a sudden loss."""
    rubbish: tuple[str, ...]
    """What a client sent that no restic writes."""
    check: LastCheck | None
    drill: LastDrill | None
    unmeasured: tuple[str, ...] = field(default=(), kw_only=True)
    """Ids of versions that could not be measured within what a run may take: nothing is removed."""
    retired: Mapping[str, Retired] = field(default_factory=dict, kw_only=True)
    """Servers that are in the contract no more, and whose repositories are still there."""


@dataclass(frozen=True)
class Maintained(Worries):
    """What is read again of the report of a maintenance; plugins/modules/retention.py has the whole of it."""

    servers: Mapping[str, Versions]
    removed: tuple[str, ...]
    released: tuple[str, ...]
    rejected: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    """Servers whose repositories went, all of them."""
    fence_put_up: bool = False
    """Keys, configurations or further repositories could be added until this run."""


@dataclass(frozen=True)
class Dumps:
    """A folder into which the client's software writes its own backups (VI.2), as a version has it."""

    path: str
    days: int
    """So old its newest file may be."""
    newest: datetime | None
    """The time of that file; None: there is none."""
    at: datetime
    """Of the version."""

    @property
    def stale(self) -> bool:
        """Against the version, not against today: a server that is silent is told of as such."""
        return self.newest is None or self.at - self.newest > timedelta(days=self.days)


@dataclass(frozen=True)
class LastReport:
    """What is remembered of the last maintenance that ended well; there may have been none."""

    at: datetime | None = None
    dumps: tuple[Dumps, ...] = ()
    losses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unmeasured: tuple[str, ...] = ()
    aside: Mapping[str, str] = field(default_factory=dict)
    """Id of a version that was set aside for its folders -> why."""
    seen: tuple[str, ...] = ()
    """Ids of all snapshots that it looked at, whatever it made of them; what arrived during it is none."""


@dataclass(frozen=True)
class Status(Worries):
    """One client, as its repository and what was remembered of it say at one moment."""

    client: str
    reference: str
    at: datetime
    servers: Mapping[str, ServerStatus]
    """Those of the contract."""
    volume: VolumeWithDays
    locks: tuple[HeldLock, ...]
    retention: LastRetention
    dumps: Mapping[str, tuple[Dumps, ...]] = field(default_factory=dict)
    """Server -> its folders of dumps in its newest complete version."""
