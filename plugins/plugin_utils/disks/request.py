"""A request for a first backup on a disk, from its file to what is asked for, or what is wrong with it. Pure.

Layers, as for a restore: the file, the shape (schemas/seed.schema.json), each value, and last what only the
contract tells: was the option subscribed, is the requester a contact of Annexe 2?
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from ...module_utils.maintenance import shape
from ...module_utils.maintenance.disks import Volume
from ..clock import PARIS
from ..contract.model import ClientContract, Contact, HostContract
from ..files import COLLECTION
from ..restore.request import foreign, moment, placed, requester
from ..validation.lines import document
from ..validation.mistakes import Mistake, PlacedMistake
from ..validation.schema import mistakes, validator_of
from ..wording import one_of

SCHEMA = COLLECTION / "schemas" / "seed.schema.json"
OPTION = "import"
"""Of Annexe 1."""


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
    """A disk that is to bring the first backup of a server. `id` is that of what is asked for."""

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


@cache
def _validator() -> Any:
    return validator_of(SCHEMA)


def load(
    path: Path,
    text_of: Callable[[Path], str],
    clients: Mapping[str, ClientContract],
    hosts: Mapping[str, HostContract],
    now: datetime,
) -> tuple[Request | None, list[PlacedMistake]]:
    """The request of a file, or its errors in the order of its lines. `now` has a time zone."""
    scope, value, errors = document(path, text_of)
    if scope is None:
        return None, errors
    wrong = list(mistakes(_validator(), value))
    written = None if wrong or errors else shape.read(Written, value)
    if written:
        wrong = [*_values(written, now), *_against_contract(written, clients, hosts)]
    errors += [placed(scope, mistake) for mistake in wrong]
    if errors or not written:
        return None, sorted(errors, key=lambda error: (error.line or 0, error.key))
    client, address = clients[written.client], written.requester.strip().lower()
    return Request(
        hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12],
        written.client,
        client.name,
        client.reference,
        written.server,
        next(contact for contact in client.contacts if contact.email.lower() == address),
        written.mail_date,
        written.disk,
    ), []


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
    if OPTION not in client.options:
        problem = f"{client.name} has not subscribed to the import from an external medium (Annexe 1)"
        yield Mistake(
            ("client",), problem, f"Have Annexe 1 signed with it, then add {OPTION} to prosecours_options"
        )
    yield from requester(value.requester, client, clients)
    if value.server not in client.hosts:
        yield Mistake(("server",), *foreign(value.server, client, hosts))
