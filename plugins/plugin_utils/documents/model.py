"""What pages, mails and metrics are made of: the report of a run of monitoring, typed.

docs/monitoring.md shows it as JSON. `monitoring` makes it; what a later run makes of it, such as the monthly
reports, reads it from its file.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ...module_utils.maintenance.model import Status
from ...module_utils.maintenance.shape import NotOfShape, read
from ..contract.model import Contacts, Retention
from ..journal.entries import Head

FORMAT = 1
_MANY, _LONG = 1000, 1000  # entries that a server may say to be missing, and characters of one


@dataclass(frozen=True)
class LastRun:
    """What the agent of a server says of its last backup; None where it says nothing that can be read."""

    start: datetime | None = None
    end: datetime | None = None
    exit_code: int | None = None
    errors: int | None = None
    missing: tuple[str, ...] = ()
    """Entries of the perimeter that are not there."""
    degraded: bool | None = None
    """Without a shadow copy."""
    log: str | None = None
    """Its path in the agent's folder."""

    @property
    def well(self) -> bool:
        return not (self.exit_code or self.errors or self.degraded)


def last_run(status: Mapping[str, Any] | None) -> LastRun | None:
    """The agent's status file, read. It lies on a server of the client, whose administrator may write what he
    likes: of a part that is none nothing is known, and the others are believed."""
    if not status:
        return None
    known = {}
    for name in LastRun.__dataclass_fields__:
        value = status.get(name)
        if name == "missing" and isinstance(value, (list, tuple)):
            value = [str(entry)[:_LONG] for entry in value[:_MANY]]
        with contextlib.suppress(NotOfShape):
            read(LastRun, {name: value})
            known[name] = value
    return read(LastRun, known)


@dataclass(frozen=True)
class ServerLine:
    """A server of the contract as it was seen; what is not known is None."""

    host: str
    address: str | None
    reachable: bool
    failure: str | None
    last_status: LastRun | None
    free_bytes: int | None
    clock_offset_seconds: float | None


@dataclass(frozen=True)
class Told:
    """A finding as it is told: dated, and with its status (new, open, reminded, closed)."""

    id: str
    kind: str
    client: str
    host: str | None
    severity: str
    clause: str
    sentence: str
    remedy: str
    sentence_fr: str
    remedy_fr: str
    since: datetime
    last_seen: datetime
    status: str
    concern: str = "systems"
    """Which of the provider's contacts it concerns, applications or systems; older versions wrote none."""


@dataclass(frozen=True)
class ClientLine:
    """A client: who it is, both sides of it, and what was found."""

    id: str
    name: str
    reference: str
    contacts: Contacts
    retention: Retention
    state: str
    """The worst severity, or "ok"."""
    repository: Status | None
    repository_failure: str | None
    """Why there is none; both are None when it was not asked."""
    servers: tuple[ServerLine, ...]
    findings: tuple[Told, ...]


@dataclass(frozen=True)
class Report:
    """A run of monitoring."""

    at: datetime
    clients: tuple[ClientLine, ...]
    closed: tuple[Told, ...]
    journal: Head | None
    format: int = FORMAT
    provider: Mapping[str, str] = field(default_factory=dict)
    """Concern of a finding -> e-mail address of whoever is told of it; none where nobody is."""
