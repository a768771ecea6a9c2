"""One server as monitoring knows it (C9, C12): `server` looks at it, the action `monitor` hands it on,
the action `findings` reads it here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...module_utils.maintenance.shape import NotOfShape, read
from ..documents.model import LastRun


@dataclass(frozen=True)
class Drift:
    """Something that deploy would change."""

    kind: str
    name: str
    state: str
    """gone, disabled or altered"""
    sentence: str


@dataclass(frozen=True)
class ServerFacts:
    """What was seen of a server; of one that could not be asked, why. Bytes and seconds; None: not known."""

    host: str
    reachable: bool
    address: str | None = None
    failure: str | None = None
    remedy: str | None = None
    error: str | None = None
    """The kind of the failure."""
    last_status: LastRun | None = None
    free_bytes: int | None = None
    clock_offset_seconds: float | None = None
    """By so many the server's clock is ahead."""
    running: bool = False
    """A backup is."""
    shadow_copies: bool = False
    drift: tuple[Drift, ...] = ()
    watched: Mapping[str, str] = field(default_factory=dict)
    """Resource -> digest of what it is now, to tell next time on which side it changed."""
    log: tuple[str, ...] = ()
    """The last errors of a backup that was not well, as restic wrote them."""


def unreached(host: str, error: Exception) -> ServerFacts:
    """The facts of a server that could not be asked: why, and nothing else."""
    return ServerFacts(
        host,
        reachable=False,
        failure=getattr(error, "problem", str(error)),
        remedy=getattr(error, "remedy", "Run the playbook again; if it comes back, report it"),
        error=type(error).__name__,
    )


@dataclass(frozen=True)
class _Failed:
    """What Ansible has for a task that failed before it could ask."""

    msg: str = "the task told nothing"


def of_result(host: str, result: Mapping[str, Any]) -> ServerFacts:
    """A result of the action `monitor`. A server that was not looked at is one that could not be asked."""
    try:
        if "reachable" in result:
            return read(ServerFacts, result)
        said = " ".join(read(_Failed, result).msg.split())
    except NotOfShape as error:
        said = f"what was registered for it is not what the action monitor returns: {error}"
    return unreached(host, RuntimeError(said))
