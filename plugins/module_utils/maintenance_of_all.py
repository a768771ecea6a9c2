"""The maintenance of all clients of a repository host, some at a time; also a program for a timer there.

    python3 -m maintenance.maintenance_of_all /etc/prosecours/.retention/settings.json

The program needs no controller: it reads what the playbook left there (who has which repository, what is
promised) and each client's encryption password from a file of its own. It says a line for each client.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from .bucket import Bucket, BucketError
from .checks import Damaged
from .drill import Size
from .maintenance import Order, Refused, run
from .maintenance_state import Busy, State, Unreadable
from .restic_repository import NotARepository, Repository, RepositoryError
from .retention import Rules
from .storage import Folder, Storage

FAILURES = (RepositoryError, BucketError, Damaged, Refused, Busy, Unreadable, OSError)
"""What goes wrong with one client; each says what and what to do."""


@dataclass(frozen=True)
class Client:
    """One client of the host: where its repository is, and what it is promised."""

    client: str
    reference: str
    path: str
    subscribed_gb: int
    daily: int
    weekly: int
    hosts: tuple[str, ...] = ()
    """Its servers, by their names in the inventory."""
    top: str = ""
    """The folder that the server in front gives to the client, if it is not `path`."""
    bucket: Mapping[str, str] | None = None
    """Where a repository is that is not on the host: the fields of Bucket."""


@dataclass(frozen=True)
class Settings:
    """What holds for all clients of the host; the module's documentation describes each."""

    state_folder: str
    restic: str
    side_by_side: int
    clock_minutes: int
    longest_backup_hours: int
    patience: int = 600
    max_unused: str = "5%"
    check_cycle_days: int = 30
    drill_files: int = 20
    drill_megabytes: int = 500
    drill_folder: str = "/tmp"  # noqa: S108 -- a new folder in it, closed to others
    release: tuple[str, ...] = ()
    release_by: str = ""
    release_why: str = ""


@dataclass(frozen=True)
class Outcome:
    """client -> report, client -> sentence of its failure, and those who have not sent anything yet."""

    reports: dict[str, dict[str, Any]]
    failures: dict[str, str]
    empty: tuple[str, ...]


def maintain(
    clients: list[Client],
    password_of: Callable[[str], str],
    settings: Settings,
    check: bool,
    say: Callable[[str], None] | None = None,
) -> Outcome:
    """A client that fails stops no other one.

    Those whose last good maintenance is the longest ago come first: when a night is too short for all, or a
    host goes down on the way, it is not always the same ones that go without.
    """
    reports: dict[str, dict[str, Any]] = {}
    failures: dict[str, str] = {}
    empty: list[str] = []

    def one(client: Client) -> None:
        state = _state(client, settings)
        if say:
            say(f"{client.client}: begins")
        try:
            report = _maintain(client, password_of(client.client), settings, state, check)
        except FAILURES as error:
            # Before the first backup there is none. Later it is a disk that is not mounted, or worse.
            if isinstance(error, NotARepository) and not state.known:
                empty.append(client.client)
            else:
                failures[client.client] = str(error)
                # Not one of the run that is under way, and it may be the state itself that cannot be written.
                if not check and not isinstance(error, Busy):
                    with contextlib.suppress(OSError):
                        state.keep_failure(str(error))
        else:
            reports[client.client] = report
        if say:
            done = len(reports) + len(failures) + len(empty)
            said = failures.get(client.client) or _said(reports.get(client.client))
            say(f"{done} of {len(clients)}: {client.client}: {said}")

    with ThreadPoolExecutor(max(1, settings.side_by_side)) as pool:
        list(pool.map(one, sorted(clients, key=lambda client: (_last(client, settings), client.client))))
    return Outcome(dict(sorted(reports.items())), dict(sorted(failures.items())), tuple(sorted(empty)))


def _state(client: Client, settings: Settings) -> State:
    return State(Path(settings.state_folder, client.client))


def _last(client: Client, settings: Settings) -> str:
    """When the client was last maintained with success, as text in UTC; empty for never."""
    try:
        return str(_state(client, settings).report().get("at", ""))
    except FAILURES:
        return ""


def _maintain(client: Client, password: str, settings: Settings, state: State, check: bool) -> dict[str, Any]:
    return run(order_of(client, settings), repository_of(client, password, settings), state, check)


def order_of(client: Client, settings: Settings) -> Order:
    """What is asked for a client."""
    return Order(
        client=client.client,
        reference=client.reference,
        rules=Rules(
            daily=client.daily,
            weekly=client.weekly,
            ahead=timedelta(minutes=settings.clock_minutes),
            behind=timedelta(hours=settings.longest_backup_hours),
        ),
        subscribed_gb=client.subscribed_gb,
        max_unused=settings.max_unused,
        cycle_days=settings.check_cycle_days,
        drill=Size(settings.drill_files, settings.drill_megabytes * 10**6),
        drill_folder=settings.drill_folder,
        release=settings.release,
        release_by=settings.release_by,
        release_why=settings.release_why,
    )


def repository_of(client: Client, password: str, settings: Settings) -> Repository:
    """Where a client's backups are."""
    return Repository(
        Path(client.path), password, settings.restic, settings.patience, lies=storage_of(client)
    )


def storage_of(client: Client) -> Storage:
    """The place itself."""
    if client.bucket:
        return Bucket(**client.bucket)
    return Folder(Path(client.path), Path(client.top or client.path))


def worries(report: Mapping[str, Any]) -> list[str]:
    """What a technician should look at, a sentence each."""
    volume = report["volume"]
    found = [f"the promise is not kept: {problem}" for problem in report["promise"]["problems"]]
    for name, losses in report["losses"].items():
        found.append(f"{name[:8]} is a sudden loss ({'; '.join(losses)}): older versions are held")
    if report["set_aside"]:
        names = ", ".join(name[:8] for name in report["set_aside"])
        found.append(f"{names} set aside: own time and arrival disagree")
    if volume["threshold"]:
        full = f", full on {volume['full_on']}" if volume["full_on"] and volume["percent"] < 100 else ""
        refused = "; new backups are refused" if volume["closed"] else ""
        found.append(f"{volume['percent']} % of {volume['subscribed_gb']} GB are used{full}{refused}")
    for name, text in (("drill", "the restore drill failed"), ("check", "the check found damage")):
        if report[name] and not report[name]["ok"]:
            found.append(f"{text}: {'; '.join(report[name]['problems'])}")
    return found


def _said(report: Mapping[str, Any] | None) -> str:
    if report is None:
        return "nothing sent yet"
    kept = sum(server["versions"] for server in report["servers"].values())
    return "; ".join([f"{kept} versions, {len(report['removed'])} removed", *worries(report)])


def main() -> int:
    """Exit code 1 when a client failed, or needs a look."""
    if len(sys.argv) != 2:
        print("Usage: maintenance_of_all SETTINGS.json", file=sys.stderr)
        return 2
    given = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    clients = [Client(**one) for one in given["clients"]]
    passwords = Path(given["config"])

    def password_of(client: str) -> str:
        return (passwords / client / "encryption-password").read_text("utf-8").rstrip("\n")

    def say(text: str) -> None:
        print(text, flush=True)

    # A deploy may have raised the number since the settings were written here.
    for number, client in enumerate(clients):
        usage = State(Path(given["settings"]["state_folder"], client.client)).usage()
        if usage:
            clients[number] = replace(client, subscribed_gb=usage.subscribed_gb)
    outcome = maintain(clients, password_of, Settings(**given["settings"]), check=False, say=say)
    return int(bool(outcome.failures) or any(worries(report) for report in outcome.reports.values()))


if __name__ == "__main__":
    sys.exit(main())
