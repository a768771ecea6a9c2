"""The validated contracts -> what one repository host has to run and to look after (C15, C20).

A client's repositories, one for each server, are on the host itself, behind a rest-server of its own, or in a
bucket of its own at a storage supplier that speaks S3, which the host looks after. One rest-server for each
client: its limits (--append-only, --max-size) are those of a process, not of a user. In it each server has a
login, by its own name, and reaches its own repository only. Pure; nothing secret is in an instance.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import SplitResult, urlsplit

from ...module_utils.maintenance.bucket import place
from ...module_utils.repository_host.supervision import Instance
from ..contract.model import ClientContract
from ..errors import ProSecoursError, SeveralErrors
from ..secret import Secret
from ..wording import one_of

REPOSITORIES = "prosecours_repositories"
"""The group of the provider's repository hosts."""
LONGEST_USER_NAME = 32
"""What useradd takes at most (shadow-utils, useradd(8))."""
LONGEST_PASSWORD = 72
"""bcrypt reads so many bytes of a password and silently ignores the rest."""


class Problem(NamedTuple):
    """Why a client, or a server of one, cannot have its repository; `remedy` is a sentence."""

    client: str
    variable: str
    problem: str
    remedy: str

    @property
    def where(self) -> str:
        return f"{self.client}: {self.variable}"


class RepositoryError(SeveralErrors):
    """All problems of all clients; its text has one line each."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__([ProSecoursError(one.problem, one.remedy, one.where) for one in problems])
        self.problems = tuple(problems)


@dataclass(frozen=True)
class Login:
    """How a server signs in."""

    username: str
    """By its own name; in a bucket by the id of its key."""
    password: Secret
    principal: str
    """Whom the supplier of a bucket knows."""


@dataclass(frozen=True)
class Access:
    """A client's variables prosecours_repository_*: where its repositories are, and each server's login."""

    url: str
    logins: Mapping[str, Login]
    """By the names of the servers, in the order of the contract."""
    ca: str = ""
    host: str = ""
    """The inventory name of the repository host; empty: the only one."""
    port: str = ""
    """Where the instance listens, if another machine forwards to it; else the port of the URL."""
    headroom_percent: int | None = None
    """Room above the subscribed volume; None: what the repository host says."""

    @classmethod
    def from_variables(cls, servers: Mapping[str, Mapping[str, object]]) -> Access:
        """From the variables of a client's servers, which the contract's validation found right: what is the
        client's is the same at all of them."""

        def text(own: Mapping[str, object], name: str) -> str:
            value = own.get(f"prosecours_repository_{name}")
            return "" if value is None else str(value)

        def login(server: str, own: Mapping[str, object]) -> Login:
            username = text(own, "username") or server
            return Login(username, Secret(text(own, "password")), text(own, "principal") or username)

        first = next(iter(servers.values()))
        headroom = text(first, "headroom_percent")
        return cls(
            url=text(first, "url"),
            logins={server: login(server, own) for server, own in servers.items()},
            ca=text(first, "ca"),
            host=text(first, "host"),
            port=text(first, "port"),
            headroom_percent=int(headroom) if headroom else None,
        )

    @property
    def remote(self) -> bool:
        """Whether the repositories are in a bucket."""
        return self.url.startswith("s3:")


@dataclass(frozen=True)
class Settings:
    """What the repository hosts say themselves."""

    host: str
    """The host in question, and all of them."""
    hosts: Sequence[str]
    address: str = ""
    """The address to listen at; empty for all."""
    headroom_percent: int = 100
    """Room above the subscribed volume, where the client says nothing."""


@dataclass(frozen=True)
class Remote:
    """The bucket of one client; see maintenance.bucket."""

    client: str
    location: str
    keys: Mapping[str, str]
    """Server -> its key, as the supplier names it."""
    ca: str = field(default="", repr=False)


def instances(
    clients: Mapping[str, ClientContract], accesses: Mapping[str, Access], settings: Settings
) -> list[Instance]:
    """The instances of the clients of this host, in the order of their names. Raises RepositoryError.

    `clients` and `accesses` are by the names of clients. Clients of all hosts are checked, at every host.
    """
    problems: list[Problem] = []
    found: list[Instance] = []
    ports: dict[tuple[str, int], str] = {}
    buckets: dict[tuple[str, str], str] = {}
    for client in sorted(clients):
        own = accesses[client]
        host = _host(own, settings.hosts)
        mine = list(_host_problems(client, own, settings.hosts))
        if own.remote:
            problems += [*mine, *_bucket_problems(client, own, buckets)]
            continue
        mine += [*_port_problems(client, own), *_login_problems(own)]
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
            found.append(_instance(client, clients[client].subscribed_gb, own, settings))
    if problems:
        raise RepositoryError(problems)
    return found


def remotes(
    clients: Mapping[str, ClientContract], accesses: Mapping[str, Access], settings: Settings
) -> list[Remote]:
    """The buckets that this host looks after; `instances` has found them right."""
    return [
        Remote(
            client,
            own.url.rstrip("/"),
            {server: login.principal for server, login in own.logins.items()},
            own.ca,
        )
        for client, own in sorted(accesses.items())
        if client in clients and own.remote and _host(own, settings.hosts) == settings.host
    ]


def repositories(
    clients: Mapping[str, ClientContract], accesses: Mapping[str, Access], settings: Settings
) -> list[Instance | Remote]:
    """All that this host looks after. Raises RepositoryError."""
    return [*instances(clients, accesses, settings), *remotes(clients, accesses, settings)]


def orders(
    mine: Sequence[Instance | Remote], clients: Mapping[str, ClientContract], data: PurePosixPath
) -> list[dict[str, Any]]:
    """For the maintenance: where the repositories of each client are on its host, and what it is promised."""
    return [
        {
            "client": one.client,
            "reference": clients[one.client].reference,
            "subscribed_gb": clients[one.client].subscribed_gb,
            **asdict(clients[one.client].retention),
            "dumps": clients[one.client].dumps,
            "perimeters": clients[one.client].perimeters,
            **_lies(one, data),
        }
        for one in mine
    ]


def _lies(one: Instance | Remote, data: PurePosixPath) -> dict[str, Any]:
    if isinstance(one, Remote):
        return {
            "servers": {server: f"{one.location}/{server}" for server in one.keys},
            "top": one.location,
            "bucket": {"location": one.location, "keys": dict(one.keys), "ca": one.ca},
        }
    folder = data / one.client
    return {"servers": {server: str(folder / server) for server in one.servers}, "top": str(folder)}


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


def _instance(client: str, subscribed_gb: int, own: Access, settings: Settings) -> Instance:
    url = _url(own)
    headroom = settings.headroom_percent if own.headroom_percent is None else own.headroom_percent
    return Instance(
        client=client,
        user=user_name(client),
        servers=tuple(own.logins),
        listen=f"{settings.address}:{_port(own)}",
        name=str(url.hostname),
        max_bytes=max_bytes(subscribed_gb, headroom),
    )


def _host_problems(client: str, own: Access, hosts: Sequence[str]) -> Iterator[Problem]:
    named = own.host
    if named and named not in hosts:
        problem = f'"{named}" is not in the group {REPOSITORIES}'
        yield Problem(client, "prosecours_repository_host", problem, one_of(named, hosts))
    elif not named and len(hosts) != 1:
        remedy = f"Write one of: {', '.join(hosts)}"
        yield Problem(client, "prosecours_repository_host", "there are several repository hosts", remedy)


def _bucket_problems(client: str, own: Access, buckets: dict[tuple[str, str], str]) -> Iterator[Problem]:
    """Versions and rules are those of a bucket, not of a part of it."""
    try:
        where = place(own.url)
    except ValueError:
        problem, remedy = "it names no bucket", "Write s3:https://<server>/<bucket>"
        yield Problem(client, "prosecours_repository_url", problem, remedy)
        return
    other = buckets.setdefault((where.endpoint, where.bucket), client)
    if other != client:
        problem = f'the client "{other}" has the bucket {where.bucket} too'
        yield Problem(client, "prosecours_repository_url", problem, "Give each client a bucket of its own")


def _port_problems(client: str, own: Access) -> Iterator[Problem]:
    port = _port(own)
    if not 1024 <= port <= 65535:
        yield Problem(
            client,
            "prosecours_repository_url",
            f"the instance would listen at port {port}, which only root may",
            "Write a port from 1024 to 65535 in the URL, or in prosecours_repository_port if another "
            "machine forwards to it",
        )


def _login_problems(own: Access) -> Iterator[Problem]:
    for server, login in own.logins.items():
        if len(login.password.reveal().encode()) > LONGEST_PASSWORD:
            problem, remedy = (
                f"it is longer than {LONGEST_PASSWORD} bytes, which bcrypt ignores",
                "Write a shorter one",
            )
            yield Problem(server, "prosecours_repository_password", problem, remedy)


def _host(own: Access, hosts: Sequence[str]) -> str | None:
    named = own.host or (hosts[0] if len(hosts) == 1 else None)
    return str(named) if named in hosts else None


def _url(own: Access) -> SplitResult:
    return urlsplit(own.url.removeprefix("rest:"))


def _port(own: Access) -> int:
    """Where the instance listens: another port than the URL's only behind something that forwards."""
    try:
        return int(own.port or _url(own).port or 443)
    except ValueError:  # urlsplit of a port above 65535
        return 0
