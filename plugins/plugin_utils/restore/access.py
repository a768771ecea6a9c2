"""Another server's repository, opened on a host for the time of a restore.

A server holds what opens its own repository and no other. When the data of one are restored to another, the
latter gets the access in a folder of the request, below the agent's and under its rights. The restore takes
it away at its end; what a killed restore leaves is removed by the next run or the night's backup.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..agent.desired import opening, secret_bytes
from ..secret import Secret
from ..windows import delivery
from ..windows.command_line import path
from ..windows.session import Session, SessionError
from .facts import LENT, RestoreError, state_folder


@dataclass(frozen=True)
class Access:
    """Where a server's repository is, and all that opens it."""

    url: str
    username: str
    http_password: Secret
    encryption_password: Secret
    ca: str = ""

    @classmethod
    def from_options(cls, given: Mapping[str, Any] | None) -> Access | None:
        """The option `repository` of an action; None: that of the server itself is meant."""
        if not given:
            return None
        return cls(
            given["url"],
            given["username"],
            Secret(given["password"]),
            Secret(given["encryption_password"]),
            given.get("ca") or "",
        )


def lend(session: Session, folder: str, request: str, access: Access, tar: bool) -> str:
    """Put the access on the host; the folder from which its restic.cmd opens the other repository.

    Raises SessionError, RestoreError.
    """
    place = lent_folder(folder, request)
    texts = opening(access.url, access.username, access.ca, program="..\\..\\..\\restic.exe")
    files = {
        **{name: text.encode() for name, text in texts.items()},
        "password.txt": secret_bytes(access.encryption_password),
        "rest-password.txt": secret_bytes(access.http_password),
    }
    if not delivery.send(session, place, files, tar):
        raise RestoreError(
            session.host,
            "files arrive altered on the host: their SHA-256 differs",
            "See whether an antivirus or a proxy changes them, then run the playbook again",
        )
    return place


def lent_folder(folder: str, request: str) -> str:
    """Of one request."""
    return f"{state_folder(folder, request)}\\{LENT}"


def withdraw(session: Session, folder: str, requests: Iterable[str]) -> None:
    """Take it away again; where the host does not answer any more, the next run will."""
    places = [path(lent_folder(folder, request)) for request in requests]
    if places:
        with contextlib.suppress(SessionError):
            session.run("&".join(f"(if exist {place} rmdir /s /q {place})" for place in places))
