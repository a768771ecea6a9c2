"""What a valid contract is, typed. Ansible hands contracts from task to task as plain dicts; each boundary
reads them here, once, and from there to the end they are these.

What may go *in* is stated by schemas/client.schema.json alone: nothing here judges a value.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Self, TypeVar

from ...module_utils.maintenance import shape
from ..errors import ProSecoursError


class NoContract(ProSecoursError):
    """An action was handed something else than a contract."""


@dataclass(frozen=True)
class Contact:
    """A person of Annexe 2 (C17)."""

    title: str
    first_name: str
    name: str
    email: str
    mobile: str


@dataclass(frozen=True)
class Contacts:
    """Whom to write to, and who may ask for a restore (C3); iterates over those there are."""

    main: Contact
    substitute: Contact | None

    def __iter__(self) -> Iterator[Contact]:
        yield self.main
        if self.substitute:
            yield self.substitute


@dataclass(frozen=True)
class Retention:
    """What is promised (C7): days of which the last version is kept, and weeks of which one is."""

    daily: int
    weekly: int


@dataclass(frozen=True)
class Schedule:
    """When the daily backup starts (C6): HH:MM of the server's clock, put off by up to so many minutes."""

    time: str
    spread_minutes: int


@dataclass(frozen=True)
class Entry:
    """One path of a server's perimeter and the box of Annexe 1 that it comes from, or "office" (C1)."""

    box: str
    path: str
    kind: str
    """A "directory", or a "pattern": that has ? and * in its last name, and is looked up at every backup."""

    @property
    def pattern(self) -> bool:
        """Whether it stands for files that are looked up by name."""
        return self.kind == "pattern"


@dataclass(frozen=True)
class PostalAddress:
    """Where letters go, below the names of the client and of its main contact."""

    lines: tuple[str, ...]
    postal_code: str
    city: str


@dataclass(frozen=True)
class Signed:
    """The copy of the annexes that came back signed (C21)."""

    fingerprint: str
    """As `agreed.fingerprint` gives it."""
    date: date
    signatory: str


@dataclass(frozen=True)
class Paper:
    """What a client file says of the contract's paper: letters (C13) and the signed copy (C21)."""

    address: PostalAddress | None = None
    by_mail: bool = False
    """The yearly letter goes by mail too."""
    signed: Signed | None = None


@dataclass(frozen=True)
class Form:
    """Part A of Annexe 1 as it was filled in for a server: what its perimeter was made from (C1)."""

    root: str = ""
    """<racine>; empty where no box needs one."""
    boxes: Mapping[str, str] = field(default_factory=dict)
    """The ticked boxes by id, each with its printed line, in the order of the annex."""
    variants: tuple[str, ...] = ()


@dataclass(frozen=True)
class Party:
    """Whose server it is: the name in the inventory, the name in the contract, its reference."""

    id: str
    name: str
    reference: str


class _Plain:
    """To and from what Ansible carries: dict, list, str, int, float, bool and None."""

    @classmethod
    def from_plain(cls, plain: Any) -> Self:
        """The contract of a result of the action `contract`. Raises NoContract."""
        try:
            return shape.read(cls, plain)
        except shape.NotOfShape as error:
            raise NoContract(
                f"What was given as a contract is not what the action contract returns: {error}",
                "Run prosecours.backup.contract first and hand over the part of its result",
            ) from error

    def plain(self) -> dict[str, Any]:
        """The same as a result has it."""
        return shape.as_json(self)


@dataclass(frozen=True)
class ClientContract(_Plain):
    """One client as the annexes have it; the order of the fields is that of a result."""

    id: str
    name: str
    reference: str
    subscribed_gb: int
    retention: Retention
    options: tuple[str, ...]
    alsace_moselle: bool
    monthly_report: bool
    contacts: Contacts
    hosts: tuple[str, ...]
    """The names of its servers."""
    dumps: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Server -> its folders of dumps, as HostContract has them."""
    perimeters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Server -> the paths of its perimeter."""
    retired: Mapping[str, date] = field(default_factory=dict)
    """Server that has left -> the day."""
    paper: Paper = field(default_factory=Paper)


@dataclass(frozen=True)
class HostContract(_Plain):
    """One server of a client, with its perimeter. Rates are in the units of their names, None if unknown."""

    client: Party
    host: str
    repository: str
    """The address of the server's own repository, as restic takes it."""
    subscribed_gb: int
    retention: Retention
    options: tuple[str, ...]
    alsace_moselle: bool
    monthly_report: bool
    contacts: Contacts
    perimeter: tuple[Entry, ...]
    excludes: tuple[str, ...]
    schedule: Schedule
    upload_limit_kib: int
    """0 is no limit."""
    uplink_mbit: float | None
    downlink_mbit: float | None
    dumps: Mapping[str, int] = field(default_factory=dict)
    """Folder of its perimeter into which software writes its own backups (VI.2) -> how many days old the
    newest file in it may be."""
    paper: Paper = field(default_factory=Paper)
    form: Form = field(default_factory=Form)
    retired: Mapping[str, date] = field(default_factory=dict)
    """Servers of its client that have left -> the day."""

    @property
    def starts_at(self) -> str:
        """HH:MM: the client's time plus the host's own share of the spread, so that a client's servers do not
        start as one.

        The share comes from a hash of the names: it stays the same for ever and on every controller.
        """
        spread = self.schedule.spread_minutes
        name = f"{self.client.id}/{self.host}"
        share = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) % spread if spread > 0 else 0
        hours, minutes = self.schedule.time.split(":")
        at = (int(hours) * 60 + int(minutes) + share) % (24 * 60)
        return f"{at // 60:02d}:{at % 60:02d}"


Kind = TypeVar("Kind", ClientContract, HostContract)


def contracts_of(kind: type[Kind], plain: Mapping[str, Any]) -> dict[str, Kind]:
    """The contracts of a result's `clients` or `hosts`, by name. Raises NoContract."""
    return {name: kind.from_plain(one) for name, one in plain.items()}
