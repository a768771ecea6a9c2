"""How the backups of each client stand, as the repository host sees it; nothing is changed and no lock taken.

What the repository says now is put together with what the maintenance has remembered. So it is quick, works
while a backup or a maintenance runs, and needs no server of a client.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any

from . import drill
from .admission import sentences
from .client import Order, backups, broken_promises, counting, judged, put_aside, server_of, versions_of
from .errors import ProSecoursError, contained, sentence
from .fleet import (
    Client,
    PasswordOf,
    Settings,
    door_of,
    last_check,
    last_drill,
    order_of,
    repository_of,
    retired_of,
    state_of,
    worries,
)
from .model import (
    Arrival,
    Backup,
    Dumps,
    HeldLock,
    LastCheck,
    LastDrill,
    LastRetention,
    Promise,
    ServerStatus,
    Status,
    Versions,
    VolumeWithDays,
)
from .repository import NotARepository, Repository
from .retention import counts, day_of
from .state import State
from .volume import Day, Volume, figures

LATE = timedelta(hours=36)
"""A server whose last complete backup is older than that has missed a night."""


def statuses(
    clients: Sequence[Client], password_of: PasswordOf, settings: Settings, now: datetime
) -> tuple[dict[str, Status], dict[str, str]]:
    """client -> its status, over those servers that can be read; client -> why that is not all of them.

    A client that cannot be read stops no other one, nor does a server.
    """
    found: dict[str, Status] = {}
    failures: dict[str, str] = {}

    def one(client: Client) -> None:
        parts: dict[str, Part] = {}
        failed: list[str] = []
        for server in client.servers:
            try:
                repository = repository_of(client, server, password_of(client.client, server), settings)
                order, state = order_of(client, server, settings), state_of(client, settings, server)
                with contained():
                    parts[server] = part(order, repository, state, now)
            except (ProSecoursError, OSError) as error:
                failed.append(f"{server}: {sentence(error)}")
        try:
            if parts:
                with contained():
                    found[client.client] = status(client, parts, settings, now)
        except (ProSecoursError, OSError) as error:
            failed.append(sentence(error))
        if failed:
            failures[client.client] = "\n".join(failed)

    with ThreadPoolExecutor(max(1, settings.side_by_side)) as pool:
        list(pool.map(one, clients))
    return dict(sorted(found.items())), dict(sorted(failures.items()))


@dataclass(frozen=True)
class Part:
    """What one server's repository, and what is remembered of it, say; see Status for the words."""

    server: ServerStatus
    promise: Promise
    use: int
    """Bytes that count for the volume."""
    stored: int
    set_aside: tuple[str, ...]
    losses: Mapping[str, tuple[str, ...]]
    locks: tuple[HeldLock, ...]
    retention: LastRetention
    check: LastCheck | None
    rubbish: tuple[str, ...]
    drill: LastDrill | None
    dumps: tuple[Dumps, ...]
    unmeasured: tuple[str, ...]


def part(order: Order, repository: Repository, state: State, now: datetime) -> Part:
    """Of one server. Raises RepositoryError, Unreadable."""
    versions, report = state.versions(), state.report()
    rubbish: tuple[str, ...] = ()
    try:
        with repository.admitted(state.remembered(), writable=False) as (seen, admission):
            put_aside(admission, report.aside)
            snapshots, locks = seen.snapshots(), admission.locks()
            rubbish = tuple(sentences(admission))
        stored = repository.stored_bytes()
    except NotARepository:
        # Before the first backup there is none. Later it is a disk that is not mounted, or worse.
        if state.known:
            raise
        snapshots, locks, stored = (), [], 0
    judgements = state.judgements()
    rules = judged(order.rules, judgements)
    history = backups(state.history(), rules, snapshots, versions)
    checked, drills = state.checked(), state.drills()
    here = {one.id for one in snapshots}
    broken = broken_promises(rules, snapshots, versions, now)
    counts_as = counting(rules, snapshots)
    return Part(
        server=_server(server_of(versions_of(snapshots, rules)), history),
        promise=Promise(not broken, broken),
        use=(history[counts_as.id].bytes or 0) if counts_as else 0,
        stored=stored,
        set_aside=tuple(
            one.id
            for one in snapshots
            if one.marks is None and not counts(one, rules) and one.id not in judgements
        ),
        losses={name: texts for name, texts in report.losses.items() if name in here},
        locks=tuple(HeldLock(one.host, one.since, one.stale(now)) for one in locks),
        retention=LastRetention(report.at, state.failure()),
        check=checked.status() if checked else None,
        rubbish=rubbish,
        drill=drill.status(drills[-1]) if drills else None,
        dumps=report.dumps,
        unmeasured=tuple(one for one in report.unmeasured if one in here),
    )


def status(client: Client, parts: Mapping[str, Part], settings: Settings, now: datetime) -> Status:
    """Of a client, from its servers and what is remembered of all. Raises ProSecoursError, OSError."""
    state = state_of(client, settings)
    ordered = dict(sorted(parts.items()))
    # There is nothing to maintain of a server that has not sent anything yet.
    ends = [one.retention.at for one in ordered.values() if one.server.history]
    failures = [f"{name}: {one.retention.failure}" for name, one in ordered.items() if one.retention.failure]
    broken = tuple(text for one in ordered.values() for text in one.promise.problems)
    return Status(
        client=client.client,
        reference=client.reference,
        at=now.astimezone(UTC).replace(microsecond=0),
        servers={name: one.server for name, one in ordered.items()},
        promise=Promise(not broken, broken),
        volume=_volume(client, ordered, state.volume(), now),
        set_aside=tuple(name for one in ordered.values() for name in one.set_aside),
        losses={name: texts for one in ordered.values() for name, texts in one.losses.items()},
        locks=tuple(lock for one in ordered.values() for lock in one.locks),
        retention=LastRetention(
            None if None in ends else min((one for one in ends if one), default=None),
            "; ".join(failures) or None,
        ),
        check=last_check({name: one.check for name, one in ordered.items() if one.check}),
        rubbish=tuple(f"{name}: {text}" for name, one in ordered.items() for text in one.rubbish),
        unmeasured=tuple(name for one in ordered.values() for name in one.unmeasured),
        drill=last_drill({name: one.drill for name, one in ordered.items() if one.drill}),
        retired=retired_of(client, settings, now),
        dumps={name: one.dumps for name, one in ordered.items() if one.dumps},
    )


def problems(found: Status) -> list[str]:
    """All that is wrong with a client, a sentence each; none: nobody needs to look."""
    return [*_silent(found), *worries(found), *_stale(found)]


def _stale(found: Status) -> Iterator[str]:
    for host, folders in found.dumps.items():
        for one in folders:
            if one.stale:
                newest = f"is of {day_of(one.newest)}" if one.newest else "does not exist"
                yield (
                    f"the newest dump in {one.path} of {host} {newest}, in the version of {day_of(one.at)}:"
                    " the client's own backup may have stopped"
                )


def _silent(found: Status) -> Iterator[str]:
    for host, server in found.servers.items():
        if server.last is None:
            yield f"{host} has no complete backup yet"
        elif found.at - server.last > LATE:
            yield f"the last complete backup of {host} is of {day_of(server.last)}"
    if found.retention.failure:
        yield f"the last maintenance failed: {found.retention.failure}"


def _volume(
    client: Client, parts: Mapping[str, Part], measured: Sequence[Day], now: datetime
) -> VolumeWithDays:
    closed = door_of(client).closed is not False  # in part, after a kill: a backup fails there too
    newest, stored = sum(one.use for one in parts.values()), sum(one.stored for one in parts.values())
    today = Day(day_of(now), newest, stored, client.subscribed_gb)
    days = (*(day for day in measured if day.date < today.date), today)
    return VolumeWithDays(**_fields(figures(days, closed)), history=days)


def _server(versions: Versions, history: Mapping[str, Backup]) -> ServerStatus:
    arrived = tuple(Arrival(id=name, **_fields(one)) for name, one in history.items())
    return ServerStatus(**_fields(versions), history=arrived)


def _fields(one: Versions | Volume | Backup) -> dict[str, Any]:
    """For one that has them, too."""
    return {part.name: getattr(one, part.name) for part in fields(one)}
