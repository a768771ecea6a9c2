"""The validated contracts -> what one repository host has to run and to look after (C15, C20).

A client's repository is on the host itself, behind a rest-server of its own, or in a bucket of its own at a
storage supplier that speaks S3, which the host looks after. One rest-server for each client: its limits
(--append-only, --max-size) are those of a process, not of a user. Pure; nothing secret is in an instance.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from ..module_utils.bucket import place
from ..module_utils.supervision import Instance
from .contract_errors import full_stop, one_of

#: The group of the provider's repository hosts.
REPOSITORIES = "prosecours_repositories"
#: What useradd takes at most (shadow-utils, useradd(8)).
LONGEST_USER_NAME = 32
#: bcrypt reads so many bytes of a password and silently ignores the rest.
LONGEST_PASSWORD = 72
#: The first part of a path that means something else to rest-server (repo.ObjectTypes, repo.FileTypes).
RESERVED = ("config", "data", "index", "keys", "locks", "snapshots")
#: rest-server ignores other names in its password file without failing (htpasswd.go, validUsernameRegexp).
USER_NAME = re.compile(r"[\w@.-]+", re.ASCII)


class Problem(NamedTuple):
    """Why a client cannot have its instance; `remedy` is a sentence."""

    client: str
    variable: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.client}: {self.variable}: {self.problem}. {full_stop(self.remedy)}"


class RepositoryError(Exception):
    """All problems of all clients; its text has one line each."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


@dataclass(frozen=True)
class Settings:
    """What the repository hosts say themselves."""

    #: The host in question, and all of them.
    host: str
    hosts: Sequence[str]
    #: The address to listen at; empty for all.
    address: str = ""
    #: Room above the subscribed volume, where the client says nothing.
    headroom_percent: int = 100


@dataclass(frozen=True)
class Remote:
    """The bucket of one client; see module_utils.bucket."""

    client: str
    location: str
    principal: str
    ca: str = field(default="", repr=False)


def instances(
    clients: Mapping[str, Mapping[str, Any]], variables: Mapping[str, Mapping[str, Any]], settings: Settings
) -> list[Instance]:
    """The instances of the clients of this host, in the order of their names. Raises RepositoryError.

    `clients` is what the contract action returns; `variables` has those of each client that begin with
    prosecours_repository_ (client -> name -> value). Clients of all hosts are checked, at every host.
    """
    problems: list[Problem] = []
    found: list[Instance] = []
    ports: dict[tuple[str, int], str] = {}
    buckets: dict[tuple[str, str], str] = {}
    for client in sorted(clients):
        own = variables[client]
        host = _host(own, settings.hosts)
        mine = list(_host_problems(client, own, settings.hosts))
        if remote(own):
            problems += [*mine, *_bucket_problems(client, own, buckets)]
            continue
        mine += [*_port_problems(client, own), *_login_problems(client, own)]
        other = ports.setdefault((str(host), _port(own)), client)
        if host and other != client:
            mine.append(
                Problem(
                    client,
                    "prosecours_repository_url",
                    f'the client "{other}" has the port {_port(own)} at {host} too',
                    "Give each client of a repository host a port of its own",
                )
            )
        problems += mine
        if not mine and host == settings.host:
            found.append(_instance(client, clients[client]["subscribed_gb"], own, settings))
    if problems:
        raise RepositoryError(problems)
    return found


def remotes(
    clients: Mapping[str, Mapping[str, Any]], variables: Mapping[str, Mapping[str, Any]], settings: Settings
) -> list[Remote]:
    """The buckets that this host looks after; `instances` has found them right."""
    return [
        Remote(
            client,
            own["prosecours_repository_url"].rstrip("/"),
            own.get("prosecours_repository_principal") or own["prosecours_repository_username"],
            own.get("prosecours_repository_ca") or "",
        )
        for client, own in sorted(variables.items())
        if client in clients and remote(own) and _host(own, settings.hosts) == settings.host
    ]


def repositories(
    clients: Mapping[str, Mapping[str, Any]], variables: Mapping[str, Mapping[str, Any]], settings: Settings
) -> list[Instance | Remote]:
    """All that this host looks after. Raises RepositoryError."""
    return [*instances(clients, variables, settings), *remotes(clients, variables, settings)]


def remote(own: Mapping[str, Any]) -> bool:
    """Whether the client's repository is in a bucket."""
    return str(own["prosecours_repository_url"]).startswith("s3:")


def orders(
    mine: Sequence[Instance | Remote], clients: Mapping[str, Mapping[str, Any]], data: PurePosixPath
) -> list[dict[str, Any]]:
    """For the maintenance: where each client's repository is on its host, and what the client is promised."""
    return [
        {
            "client": one.client,
            "reference": clients[one.client]["reference"],
            **_lies(one, data),
            "subscribed_gb": clients[one.client]["subscribed_gb"],
            "hosts": list(clients[one.client]["hosts"]),
            **clients[one.client]["retention"],
        }
        for one in mine
    ]


def _lies(one: Instance | Remote, data: PurePosixPath) -> dict[str, Any]:
    if isinstance(one, Remote):
        bucket = {"location": one.location, "principal": one.principal, "ca": one.ca}
        return {"path": one.location, "bucket": bucket}
    folder = data / one.client
    return {"path": str(folder / one.repository), "top": str(folder / one.username)}


def user_name(client: str) -> str:
    """The system user of a client: the same for ever, whatever other clients there are."""
    name = f"ps-{client}"
    if len(name) <= LONGEST_USER_NAME:
        return name
    digest = hashlib.sha256(client.encode()).hexdigest()[:8]
    return f"{name[: LONGEST_USER_NAME - 9]}-{digest}"


def max_bytes(subscribed_gb: int, headroom_percent: int) -> int:
    """The limit of an instance (GB are 10^9 bytes).

    Above the subscribed volume lie the older versions that the contract promises (C7), what waits for the
    next prune, and locks: a full rest-server refuses even those. It is the last line of defence of the other
    clients' disk, not the measure of Annexe 1.
    """
    return subscribed_gb * 10**7 * (100 + headroom_percent)


def _instance(client: str, subscribed_gb: int, own: Mapping[str, Any], settings: Settings) -> Instance:
    url = _url(own)
    headroom = own.get("prosecours_repository_headroom_percent")
    return Instance(
        client=client,
        user=user_name(client),
        username=own["prosecours_repository_username"],
        listen=f"{settings.address}:{_port(own)}",
        name=str(url.hostname),
        repository=url.path.strip("/"),
        max_bytes=max_bytes(subscribed_gb, settings.headroom_percent if headroom is None else int(headroom)),
    )


def _host_problems(client: str, own: Mapping[str, Any], hosts: Sequence[str]) -> Iterator[Problem]:
    named = own.get("prosecours_repository_host")
    if named and named not in hosts:
        problem = f'"{named}" is not in the group {REPOSITORIES}'
        yield Problem(client, "prosecours_repository_host", problem, one_of(named, hosts))
    elif not named and len(hosts) != 1:
        remedy = f"Write one of: {', '.join(hosts)}"
        yield Problem(client, "prosecours_repository_host", "there are several repository hosts", remedy)


def _bucket_problems(
    client: str, own: Mapping[str, Any], buckets: dict[tuple[str, str], str]
) -> Iterator[Problem]:
    """Versions and rules are those of a bucket, not of a part of it."""
    try:
        where = place(own["prosecours_repository_url"])
    except ValueError:
        problem, remedy = "it names no bucket", "Write s3:https://<server>/<bucket>"
        yield Problem(client, "prosecours_repository_url", problem, remedy)
        return
    other = buckets.setdefault((where.endpoint, where.bucket), client)
    if other != client:
        problem = f'the client "{other}" has the bucket {where.bucket} too'
        yield Problem(client, "prosecours_repository_url", problem, "Give each client a bucket of its own")


def _port_problems(client: str, own: Mapping[str, Any]) -> Iterator[Problem]:
    port = _port(own)
    if not 1024 <= port <= 65535:
        yield Problem(
            client,
            "prosecours_repository_url",
            f"the instance would listen at port {port}, which only root may",
            "Write a port from 1024 to 65535 in the URL, or in prosecours_repository_port if another "
            "machine forwards to it",
        )


def _login_problems(client: str, own: Mapping[str, Any]) -> Iterator[Problem]:
    username, parts = own["prosecours_repository_username"], _url(own).path.strip("/").split("/")
    if not USER_NAME.fullmatch(username) or username in RESERVED:
        problem, remedy = "rest-server does not take it as a name", "Write letters, digits and _ - . @ only"
        yield Problem(client, "prosecours_repository_username", problem, remedy)
    if parts[0] != username or len(parts) > 2 or set(parts[1:]) & {*RESERVED, ".", "..", ""}:
        yield Problem(
            client,
            "prosecours_repository_url",
            "its path is not private to the client",
            f"Let the path be /{username}/, the login of the client",
        )
    if len(own["prosecours_repository_password"].encode()) > LONGEST_PASSWORD:
        problem, remedy = (
            f"it is longer than {LONGEST_PASSWORD} bytes, which bcrypt ignores",
            "Write a shorter one",
        )
        yield Problem(client, "prosecours_repository_password", problem, remedy)


def _host(own: Mapping[str, Any], hosts: Sequence[str]) -> str | None:
    named = own.get("prosecours_repository_host") or (hosts[0] if len(hosts) == 1 else None)
    return str(named) if named in hosts else None


def _url(own: Mapping[str, Any]) -> Any:
    return urlsplit(own["prosecours_repository_url"].removeprefix("rest:"))


def _port(own: Mapping[str, Any]) -> int:
    """Where the instance listens: another port than the URL's only behind something that forwards."""
    try:
        return int(own.get("prosecours_repository_port") or _url(own).port or 443)
    except ValueError:  # urlsplit of a port above 65535
        return 0
