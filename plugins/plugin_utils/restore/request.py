"""A request to restore, from its file to what is to be done, or all that is wrong with it (C3). Pure.

Layers, as for the contract: the file, the shape (schemas/restore.schema.json), each value, and last what only
the contract tells: is the requester a contact of Annexe 2, does each item lie in the perimeter?
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from functools import cache
from pathlib import Path
from typing import Any

from ...module_utils.maintenance import shape
from ..clock import PARIS
from ..contract.model import ClientContract, Contact, Entry, HostContract
from ..files import COLLECTION
from ..validation.lines import document, placed
from ..validation.mistakes import Mistake, PlacedMistake
from ..validation.schema import mistakes, validator_of
from ..windows import paths as windows_paths
from ..wording import one_of

SCHEMA = COLLECTION / "schemas" / "restore.schema.json"


@dataclass(frozen=True)
class Target:
    """Where to, as the file has it: None where it says nothing."""

    server: str | None = None
    folder: str | None = None
    in_place: bool = False


@dataclass(frozen=True)
class Written:
    """A request as its file has it; what may stand there is stated by the schema alone."""

    client: str
    requester: str
    mail_date: str
    main_backup_failed: bool
    server: str
    date: str
    items: tuple[str, ...] = ()
    whole_server: bool = False
    accept_incomplete: bool = False
    target: Target = Target()


@dataclass(frozen=True)
class Request:
    """What is to be restored. `id` tells two requests apart: the same file is carried out once."""

    id: str
    client: str
    client_name: str
    reference: str
    requester: Contact
    """The contact of Annexe 2."""
    mail_date: str
    server: str
    """Whose data is wanted."""
    wanted: str
    """Up to when, ISO 8601 with offset; the end of the day when only a day was asked for."""
    asked: str
    """The date as the request has it."""
    items: tuple[str, ...]
    whole_server: bool
    accept_incomplete: bool
    host: str
    """Where it is restored to."""
    folder: str
    """A folder there, or empty: a fresh one beside the data."""
    in_place: bool
    live: tuple[str, ...]
    """The perimeter of that host: nothing is restored over it unless in place."""

    @property
    def moment(self) -> datetime:
        """`wanted` as a datetime."""
        return datetime.fromisoformat(self.wanted)

    def data(self) -> dict[str, Any]:
        """Plain types, for a result; `from_data` takes them back."""
        return shape.as_json(self)

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> Request:
        """Raises shape.NotOfShape."""
        return shape.read(cls, data)


@cache
def _validator(schema: Path) -> Any:
    return validator_of(schema)


def read(
    path: Path,
    text_of: Callable[[Path], str],
    schema: Path,
    further: Callable[[Any], Iterable[Mistake]],
) -> tuple[Any, list[PlacedMistake]]:
    """What a request's file says, or None and its errors in the order of its lines. `further` is asked about
    what has the right shape."""
    scope, value, errors = document(path, text_of)
    if scope is None:
        return None, errors
    wrong = list(mistakes(_validator(schema), value))
    if not (wrong or errors):
        wrong = list(further(value))
    errors += [placed(scope, mistake) for mistake in wrong]
    return None if errors else value, sorted(errors, key=lambda error: (error.line or 0, error.key))


def digest(value: Any) -> str:
    """What is asked for, not how it is written: another order of keys is the same request."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]


def load(
    path: Path,
    text_of: Callable[[Path], str],
    clients: Mapping[str, ClientContract],
    hosts: Mapping[str, HostContract],
    now: datetime,
) -> tuple[Request | None, list[PlacedMistake]]:
    """The request of a file, or its errors in the order of its lines. `clients` and `hosts` are by
    their names; `now` has a time zone."""

    def further(value: Any) -> Iterator[Mistake]:
        written = shape.read(Written, value)
        yield from values(written, now)
        yield from against_contract(written, clients, hosts)

    value, errors = read(path, text_of, SCHEMA, further)
    if errors:
        return None, errors
    return request_of(digest(value), shape.read(Written, value), clients, hosts), []


# -- layer 3: each value --------------------------------------------------------------------------------


def values(value: Written, now: datetime) -> Iterator[Mistake]:
    if not value.main_backup_failed:
        remedy = (
            "Restore from the main backup; once that has failed, have the contact write so in the request"
        )
        problem = "the main backup has not failed, and only then is anything restored from here (C3, III.2)"
        yield Mistake(("main_backup_failed",), problem, remedy)
    today = now.astimezone(PARIS).date()
    for name, text in (("mail_date", value.mail_date), ("date", value.date)):
        try:
            day = moment(text).date()
        except ValueError:
            yield Mistake((name,), f'"{text}" is no date', "Correct it; a day is written YYYY-MM-DD")
            continue
        if day > today:
            yield Mistake((name,), f"{text} is in the future", f"Write a day up to {today}")
    if value.whole_server and value.items:
        remedy = "Keep one of the two: with whole_server all of the contract's directories are restored"
        yield Mistake(("whole_server",), "there are items too", remedy)
    elif not value.whole_server and not value.items:
        remedy = "Add the paths that the e-mail names, or whole_server: true"
        yield Mistake(("server",), "nothing is asked for: there are no items", remedy)
    for index, item in enumerate(value.items):
        if found := windows_paths.problem(item, pattern=True) or _everything(item):
            yield Mistake(("items", index), found.what, found.remedy)
    target = value.target
    if target.folder and (found := windows_paths.problem(target.folder)):
        yield Mistake(("target", "folder"), found.what, found.remedy)
    if target.in_place:
        for name in [one for one in ("folder", "server") if getattr(target, one) is not None]:
            remedy = f"Remove in_place to restore beside the data, or remove {name}"
            yield Mistake(("target", name), f"in place there is no other {name}", remedy)


def _everything(item: str) -> windows_paths.Problem | None:
    name = item.replace("/", "\\").rpartition("\\")[2]
    if name and not name.strip("*.?") and any(c in name for c in windows_paths.WILDCARDS):
        return windows_paths.Problem(
            f'"{name}" stands for everything in the directory',
            "Write only the directory: it is restored with all it holds",
        )
    return None


def moment(text: str) -> datetime:
    """The end of a day, or the given time of it, in Europe/Paris. Raises ValueError."""
    if len(text) == len("2026-11-23"):
        return datetime.combine(date.fromisoformat(text), time.max, PARIS)
    return datetime.fromisoformat(text).replace(tzinfo=PARIS)


# -- layer 4: against the contract ----------------------------------------------------------------------


def against_contract(
    value: Written,
    clients: Mapping[str, ClientContract],
    hosts: Mapping[str, HostContract],
) -> Iterator[Mistake]:
    name = value.client
    if name not in clients:
        yield Mistake(("client",), f'"{name}" is no client of this inventory', one_of(name, list(clients)))
        return
    client = clients[name]
    yield from requester(value.requester, client, clients)
    servers = {("server",): value.server, ("target", "server"): value.target.server}
    for way, server in servers.items():
        if server is not None and server not in client.hosts:
            yield Mistake(way, *foreign(server, client, hosts))
    if value.server not in client.hosts:
        return
    perimeter = hosts[value.server].perimeter
    for index, item in enumerate(value.items):
        if not windows_paths.problem(item, pattern=True) and not _lies_in(item, perimeter):
            ticked = ", ".join(entry.path for entry in perimeter)
            problem = f"{item} lies outside the perimeter of {value.server} (Annexe 1)"
            yield Mistake(("items", index), problem, f"Write what lies in {ticked}")
    yield from _overlapping(value.items)
    folder, host = value.target.folder, value.target.server or value.server
    if folder and host in client.hosts:
        for entry in hosts[host].perimeter:
            if _touch(folder, entry.path):
                problem = f"{folder} lies over live data: {entry.path} is in the perimeter of {host}"
                remedy = "Name a folder outside the perimeter, or none: then a fresh one is made"
                yield Mistake(("target", "folder"), problem, remedy)
                break


def requester(
    address: str, client: ClientContract, clients: Mapping[str, ClientContract]
) -> Iterator[Mistake]:
    own = _addresses(client)
    if address.strip().lower() in own:
        return
    others = [other.name for other in clients.values() if address.strip().lower() in _addresses(other)]
    known = f", but of {others[0]}" if others else ""
    yield Mistake(
        ("requester",),
        f'"{address}" is no contact of {client.name} (Annexe 2){known}',
        f"Have the request confirmed from {' or '.join(own)}; contacts are changed by a new Annexe 2 only",
    )


def _addresses(client: ClientContract) -> list[str]:
    return [contact.email.lower() for contact in client.contacts]


def foreign(server: str, client: ClientContract, hosts: Mapping[str, HostContract]) -> tuple[str, str]:
    owner = f", but of {hosts[server].client.name}" if server in hosts else ""
    return f'"{server}" is no server of {client.name}{owner}', one_of(server, list(client.hosts))


def _lies_in(item: str, perimeter: Sequence[Entry]) -> bool:
    folder = item.replace("/", "\\").rpartition("\\")[0]
    for entry in perimeter:
        if windows_paths.inside(item, entry.path):
            return True
        # From a directory with a ticked pattern, only what the pattern names is in the backup.
        pattern = entry.pattern and any(c in item for c in windows_paths.WILDCARDS)
        if pattern and windows_paths.same(folder + "\\", entry.path.rpartition("\\")[0] + "\\"):
            return True
    return False


def _touch(path: str, other: str) -> bool:
    return windows_paths.inside(path, other) or windows_paths.inside(other, path)


def _overlapping(items: Sequence[str]) -> Iterator[Mistake]:
    legal = [
        (index, item) for index, item in enumerate(items) if not windows_paths.problem(item, pattern=True)
    ]
    for index, item in legal:
        for other, outer in legal:
            if index == other or not windows_paths.inside(item, outer):
                continue
            if index > other or not windows_paths.same(item, outer):
                yield Mistake(("items", index), f"{item} is part of {outer} already", "Remove one of the two")
                break


def request_of(
    digest: str,
    value: Written,
    clients: Mapping[str, ClientContract],
    hosts: Mapping[str, HostContract],
) -> Request:
    client, target = clients[value.client], value.target
    host = target.server or value.server
    named = [entry.path for entry in hosts[value.server].perimeter] if value.whole_server else value.items
    address = value.requester.strip().lower()
    return Request(
        id=digest,
        client=value.client,
        client_name=client.name,
        reference=client.reference,
        requester=next(contact for contact in client.contacts if contact.email.lower() == address),
        mail_date=value.mail_date,
        server=value.server,
        wanted=moment(value.date).isoformat(),
        asked=value.date,
        items=tuple(windows_paths.normalise(item) for item in named),
        whole_server=value.whole_server,
        accept_incomplete=value.accept_incomplete,
        host=host,
        folder=windows_paths.normalise(target.folder) if target.folder else "",
        in_place=target.in_place,
        live=tuple(entry.path for entry in hosts[host].perimeter),
    )
