"""How the backups of each client stand, as the repository host sees it; nothing is changed and no lock taken.

What the repository says now is put together with what the maintenance has remembered. So it is quick, works
while a backup or a maintenance runs, and needs no server of a client.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from . import drill
from .maintenance import Order, backups, broken_promises, counting, hosts_of, server_of, versions_of
from .maintenance_of_all import FAILURES, Client, Settings, order_of, repository_of, worries
from .maintenance_state import Backup, State
from .restic_repository import Lock, NotARepository, Repository
from .retention import Snapshot, day_of, disagreement
from .volume import Day, figures

LATE = timedelta(hours=36)
"""A server whose last complete backup is older than that has missed a night."""


def statuses(
    clients: Sequence[Client], password_of: Callable[[str], str], settings: Settings, now: datetime
) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """client -> its status; client -> why it has none. A client that cannot be read stops no other one."""
    found: dict[str, dict[str, Any]] = {}
    failures: dict[str, str] = {}

    def one(client: Client) -> None:
        state = State(Path(settings.state_folder, client.client))
        repository = repository_of(client, password_of(client.client), settings)
        try:
            found[client.client] = status(order_of(client, settings), client.hosts, repository, state, now)
        except FAILURES as error:
            failures[client.client] = str(error)

    with ThreadPoolExecutor(max(1, settings.side_by_side)) as pool:
        list(pool.map(one, clients))
    return dict(sorted(found.items())), dict(sorted(failures.items()))


def status(
    order: Order, hosts: Sequence[str], repository: Repository, state: State, now: datetime
) -> dict[str, Any]:
    """Plain types, times in ISO 8601; `hosts` are the servers of the contract, whatever they have sent.

    Raises RepositoryError, Unreadable.
    """
    versions, report = state.versions(), state.report()
    try:
        snapshots, locks = repository.snapshots(), repository.locks()
        stored = repository.stored_bytes()
    except NotARepository:
        # Before the first backup there is none. Later it is a disk that is not mounted, or worse.
        if state.known:
            raise
        snapshots, locks, stored = (), (), 0
    closed = repository.storage.door.closed is not False  # in part, after a kill: a backup fails there too
    history = backups(state.history(), order, snapshots, versions)
    checked, drills = state.checked(), state.drills()
    here = {one.id for one in snapshots}
    broken = broken_promises(order, snapshots, versions, now)
    return {
        "client": order.client,
        "reference": order.reference,
        "at": _iso(now),
        "servers": {
            host: {
                **server_of(versions_of(snapshots, host, order.rules)),
                "history": [_entry(name, one) for name, one in history.items() if one.host == host],
            }
            for host in sorted({*hosts, *hosts_of(snapshots)})
        },
        "promise": {"kept": not broken, "problems": list(broken)},
        "volume": _volume(order, snapshots, history, state.volume(), stored, closed, now),
        "set_aside": [
            one.id for one in snapshots if one.marks is None and disagreement(one, order.rules) is not None
        ],
        "losses": {name: texts for name, texts in report.get("losses", {}).items() if name in here},
        "locks": [_lock(one, now) for one in locks],
        "retention": {"at": report.get("at"), "failure": state.failure()},
        "check": checked.status() if checked else None,
        "drill": drill.status(drills[-1] if drills else None),
    }


def problems(found: Mapping[str, Any]) -> list[str]:
    """All that is wrong with a client, a sentence each; none: nobody needs to look."""
    return [*_silent(found), *worries(found)]


def _silent(found: Mapping[str, Any]) -> Iterator[str]:
    now = datetime.fromisoformat(found["at"])
    for host, server in found["servers"].items():
        if server["last"] is None:
            yield f"{host} has no complete backup yet"
        elif now - datetime.fromisoformat(server["last"]) > LATE:
            yield f"the last complete backup of {host} is of {day_of(datetime.fromisoformat(server['last']))}"
    if found["retention"]["failure"]:
        yield f"the last maintenance failed: {found['retention']['failure']}"


def _volume(
    order: Order,
    snapshots: Sequence[Snapshot],
    history: Mapping[str, Backup],
    measured: Sequence[Day],
    stored: int,
    closed: bool,
    now: datetime,
) -> dict[str, Any]:
    newest = sum(history[one.id].bytes or 0 for one in counting(order, snapshots))
    today = Day(day_of(now), newest, stored, order.subscribed_gb)
    days = [*(day for day in measured if day.date < today.date), today]
    return {
        **figures(days),
        "closed": closed,
        "history": [{**asdict(day), "date": day.date.isoformat()} for day in days],
    }


def _entry(name: str, one: Backup) -> dict[str, Any]:
    entry = asdict(one)
    del entry["host"]
    return {"id": name, **entry, "time": one.time.isoformat(), "arrival": one.arrival.isoformat()}


def _lock(one: Lock, now: datetime) -> dict[str, Any]:
    return {"host": one.host, "since": one.since.isoformat(), "stale": one.stale(now)}


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")
