"""Where a new client goes: the repository host with the most room, and a port that is free there. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from ...module_utils.repository_host.supervision import Instance
from ..errors import ProSecoursError
from ..repository.instances import Access
from ..wording import one_of, rough_size

LAST_PORT = 65535


class NoPlace(ProSecoursError):
    """No repository host takes the client."""


@dataclass(frozen=True)
class Room:
    """What a repository host says of itself."""

    bytes_free: int
    bytes_total: int
    ports: frozenset[int]
    """Those at which something listens, or is to."""

    def left(self, promised: int) -> int:
        """What is free less what its clients may still fill; below zero: more was promised than there is."""
        return min(self.bytes_free, self.bytes_total - promised)


@dataclass(frozen=True)
class Place:
    """A port on a repository host."""

    host: str
    name: str
    """By which the agents reach it."""
    port: int
    left: int
    """Bytes, before the client."""

    @classmethod
    def of(cls, host: str, url: str) -> Place:
        """The place of a client that is there already."""
        found = urlsplit(url.removeprefix("rest:"))
        return cls(host, str(found.hostname), found.port or 443, 0)

    @property
    def url(self) -> str:
        return f"rest:https://{self.name}:{self.port}/"

    def told(self, bytes_wanted: int) -> str:
        """For the technician, in a sentence."""
        room = f"{rough_size(max(0, self.left))} are neither used there nor promised to others"
        return (
            room
            if bytes_wanted <= self.left
            else f"{room}, less than the {rough_size(bytes_wanted)} it may fill"
        )


def choose(
    rooms: Mapping[str, Room],
    served: Mapping[str, Sequence[Instance]],
    accesses: Iterable[Access],
    first_port: int,
    wanted: str = "",
) -> Place:
    """The place with the most room, or the one on the host that is `wanted`. `served`: host -> its instances.

    No port of the whole inventory is given twice, so that a client can move from one host to another.
    """
    if wanted and wanted not in rooms:
        raise NoPlace(
            f'The repository host "{wanted}" is unknown, or did not answer', one_of(wanted, [*rooms])
        )
    if not rooms:
        raise NoPlace("No repository host answers", "Start it, or add one: docs/repository.md, A first host")
    limits = {host: sum(one.max_bytes for one in served[host]) for host in rooms}
    host = wanted or max(sorted(rooms), key=lambda one: rooms[one].left(limits[one]))
    known = [one for one in accesses if not one.remote]
    urls = {urlsplit(one.url.removeprefix("rest:")).port or 443 for one in known}
    forwarded = {int(one.port) for one in known if one.port}
    taken = urls | forwarded | rooms[host].ports
    port = next((one for one in range(first_port, LAST_PORT + 1) if one not in taken), None)
    if port is None:
        raise NoPlace(f"No port from {first_port} on is free at {host}", "Lower prosecours_first_port")
    names = Counter(one.name for one in served[host])
    name = names.most_common(1)[0][0] if names else host
    return Place(host, name, port, rooms[host].left(limits[host]))
