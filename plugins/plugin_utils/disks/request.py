"""A request for a disk, from its file to what is asked for, or all that is wrong with it (C16). Pure.

Layers, as for a restore: the file, the shape (schemas/seed.schema.json, export.schema.json), each value, and
last what only the contract tells: was the option subscribed, is the requester a contact of Annexe 2?
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ...module_utils.maintenance import shape
from ...module_utils.maintenance.disks import Volume
from ..clock import PARIS
from ..contract.model import ClientContract, Contact, HostContract
from ..files import COLLECTION
from ..restore import request as restore_request
from ..restore.request import foreign, moment, requester
from ..validation.mistakes import Mistake, PlacedMistake
from ..wording import one_of

SEED, EXPORT = (COLLECTION / "schemas" / f"{name}.schema.json" for name in ("seed", "export"))


@dataclass(frozen=True)
class Written:
    """A request as its file has it; what may stand there is stated by the schema alone."""

    client: str
    server: str
    requester: str
    mail_date: str
    disk: Volume


@dataclass(frozen=True)
class Request:
    """A disk and what it is for. `id` is that of what is asked for."""

    id: str
    client: str
    client_name: str
    reference: str
    server: str
    requester: Contact
    """The contact of Annexe 2."""
    mail_date: str
    disk: Volume

    def data(self) -> dict[str, Any]:
        """Plain types, for a result; `from_data` takes them back."""
        return shape.as_json(self)

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> Request:
        """Raises shape.NotOfShape."""
        return shape.read(cls, data)


@dataclass(frozen=True)
class Export:
    """A version that a disk is to take to its server."""

    disk: Request
    wanted: restore_request.Request
    """As a request to restore has it, whose version is chosen in the same way."""

    def data(self) -> dict[str, Any]:
        """Plain types, for a result; `from_data` takes them back."""
        return shape.as_json(self)

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> Export:
        """Raises shape.NotOfShape."""
        return shape.read(cls, data)


def load(
    path: Path,
    text_of: Callable[[Path], str],
    clients: Mapping[str, ClientContract],
    hosts: Mapping[str, HostContract],
    now: datetime,
) -> tuple[Request | None, list[PlacedMistake]]:
    """The request of a file, or its errors in the order of its lines. `now` has a time zone."""

    def further(value: Any) -> Iterator[Mistake]:
        written = shape.read(Written, value)
        yield from _values(written, now)
        yield from _against_contract(written, clients, hosts)

    value, errors = restore_request.read(path, text_of, SEED, further)
    if errors:
        return None, errors
    return _request(value, clients), []


def load_export(
    path: Path,
    text_of: Callable[[Path], str],
    clients: Mapping[str, ClientContract],
    hosts: Mapping[str, HostContract],
    now: datetime,
) -> tuple[Export | None, list[PlacedMistake]]:
    """The same for a request to take a version to its server: one to restore, with a disk."""

    def further(value: Any) -> Iterator[Mistake]:
        asked = _asked(value)
        yield from restore_request.values(asked, now)
        yield from restore_request.against_contract(asked, clients, hosts)
        if asked.client in clients:
            yield from _subscribed("export", asked.client, clients)

    value, errors = restore_request.read(path, text_of, EXPORT, further)
    if errors:
        return None, errors
    disk = _request(value, clients)
    return Export(disk, restore_request.request_of(disk.id, _asked(value), clients, hosts)), []


def _asked(value: Any) -> restore_request.Written:
    return shape.read(restore_request.Written, {**value, "whole_server": True})


def _request(value: Any, clients: Mapping[str, ClientContract]) -> Request:
    written = shape.read(Written, value)
    client, address = clients[written.client], written.requester.strip().lower()
    return Request(
        restore_request.digest(value),
        written.client,
        client.name,
        client.reference,
        written.server,
        next(contact for contact in client.contacts if contact.email.lower() == address),
        written.mail_date,
        written.disk,
    )


def _values(value: Written, now: datetime) -> Iterator[Mistake]:
    try:
        day = moment(value.mail_date).date()
    except ValueError:
        yield Mistake(
            ("mail_date",), f'"{value.mail_date}" is no date', "Correct it; a day is written YYYY-MM-DD"
        )
        return
    if day > (today := now.astimezone(PARIS).date()):
        yield Mistake(("mail_date",), f"{value.mail_date} is in the future", f"Write a day up to {today}")


def _against_contract(
    value: Written, clients: Mapping[str, ClientContract], hosts: Mapping[str, HostContract]
) -> Iterator[Mistake]:
    if value.client not in clients:
        problem = f'"{value.client}" is no client of this inventory'
        yield Mistake(("client",), problem, one_of(value.client, list(clients)))
        return
    client = clients[value.client]
    yield from _subscribed("import", value.client, clients)
    yield from requester(value.requester, client, clients)
    if value.server not in client.hosts:
        yield Mistake(("server",), *foreign(value.server, client, hosts))


def _subscribed(option: str, name: str, clients: Mapping[str, ClientContract]) -> Iterator[Mistake]:
    client, way = clients[name], {"import": "from", "export": "to"}[option]
    if option not in client.options:
        problem = f"{client.name} has not subscribed to the {option} {way} an external medium (Annexe 1)"
        remedy = f"Have Annexe 1 signed with it, then add {option} to prosecours_options"
        yield Mistake(("client",), problem, remedy)
