"""A new client: what was said of it, its place and its secrets -> its file, checked with the whole inventory.

answers, rooms and the inventory (facts) -> plan -> write. The plan is made anew while no other run writes in
the inventory, so that of two technicians at once the second one gets another port, or is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..ansible_adapter import read_text
from ..contract.files import CLIENTS
from ..errors import ProSecoursError
from ..files import write_whole
from ..repository.instances import max_bytes
from ..validation.lines import Scope
from ..validation.mistakes import PlacedMistake
from ..wording import plural
from . import client_file, placement
from .answers import SERVERS, Wanted
from .client_file import HOST, URL, ClientFile, Credentials, Vault
from .draft import Inventory, Read, held
from .placement import Place, Room

REMEDY = "Make room, or see to the rights there: nothing was written"


class Refused(ProSecoursError):
    """The client cannot be added so."""


class Mistaken(Exception):
    """Errors of the answers, or of the inventory, which people get as a list."""

    def __init__(self, errors: Iterable[PlacedMistake]) -> None:
        self.errors = sorted(set(errors), key=lambda one: (str(one.file or ""), one.line or 0, one.key))
        super().__init__(f"{plural(len(self.errors), 'error')}, listed above. Nothing was written.")


@dataclass(frozen=True)
class Source:
    """Where the answers come from, so that an error of the file that is going to be is told there."""

    told: Wanted
    scope: Scope | None = None

    def error(self, one: PlacedMistake) -> PlacedMistake:
        name = one.key.partition(",")[0].partition(".")[0]
        if name in self.told.servers.get(one.who, ()):
            way: tuple[str, ...] = (SERVERS, one.who, name)
        elif name in self.told.shared:
            way = (name,)
        else:
            way = (SERVERS, one.who)
        file, line = (self.scope.file, self.scope.line(way)) if self.scope else (None, None)
        return replace(one, file=file, line=line)


@dataclass(frozen=True)
class Plan:
    """A file to write; what `known` says is there already."""

    wanted: Wanted
    path: Path
    place: Place
    text: str
    known: str | None

    @property
    def changed(self) -> bool:
        return self.known != self.text

    @property
    def shown(self) -> str:
        """Its text for people."""
        masked = dict.fromkeys(self.wanted.servers, client_file.MASKED)
        return client_file.render(self.wanted, self.path, masked)

    @property
    def limit(self) -> int:
        """The bytes that the client may fill on its host."""
        return max_bytes(int(self.wanted.shared["prosecours_subscribed_gb"]), 100)

    @property
    def tight(self) -> bool:
        return self.changed and self.limit > self.place.left


def write(
    inventory: Inventory,
    source: Source,
    rooms: Mapping[str, Room],
    first_port: int,
    vault: Vault,
    check: bool,
) -> Plan:
    """Plan once more, alone, and write what is to be written. Raises what `plan` does, Busy, CannotWrite."""
    with held(inventory.clients):
        planned = plan(inventory, source, rooms, first_port, vault)
        if planned.changed and not check:
            write_whole(planned.path, planned.text, 0o640, REMEDY)
    return planned


def plan(
    inventory: Inventory, source: Source, rooms: Mapping[str, Room], first_port: int, vault: Vault
) -> Plan:
    """What is to be written. Raises Mistaken, Refused, NoPlace, RepositoryError, and what `vault` raises."""
    told = source.told
    path = inventory.clients / f"{told.client}.yml"
    before = inventory.read()
    started = bool(before.groups.get(CLIENTS))
    if started and before.contract.errors:
        raise Mistaken(before.contract.errors)
    if path.exists():
        return _again(told, path, before)
    served = {host: before.instances(host) if started else [] for host in rooms}
    accesses = before.accesses.values() if started else ()
    wanted = str(told.shared.get(HOST) or "")
    place = placement.choose(rooms, served, accesses, first_port, wanted)
    placed = _placed(told, place, before.repository_hosts)
    credentials = {server: Credentials.made(vault) for server in told.servers}
    text = client_file.render(placed, path, credentials)
    after = inventory.read(path, text)
    if after.contract.errors:
        raise Mistaken(source.error(one) if one.file == path else one for one in after.contract.errors)
    after.instances(place.host)
    return Plan(placed, path, place, text, None)


def _again(told: Wanted, path: Path, before: Read) -> Plan:
    """The file is there: made from the same answers, or not to be touched."""
    known = read_text(before.loader, path)
    there = ClientFile.read(path, known)
    url, host = str(there.value(URL)), str(there.value(HOST) or next(iter(before.repository_hosts), ""))
    placed = _placed(told, Place.of(host, url), before.repository_hosts)
    own = {server: there.secrets(server) for server in told.servers}
    text = (
        client_file.render(placed, path, {name: one for name, one in own.items() if one})
        if all(own.values())
        else ""
    )
    if text != known:
        raise Refused(
            f"The client {told.client} is there already, in {path}, and its file says something else",
            "Edit the file, or give the new client another name; nothing was written",
        )
    return Plan(placed, path, Place.of(host, url), text, known)


def _placed(told: Wanted, place: Place, hosts: Sequence[str]) -> Wanted:
    """With its address; with the name of its host where there are several."""
    where = {HOST: place.host} if len(hosts) > 1 else {}
    return replace(told, shared={**told.shared, **where, URL: place.url})
