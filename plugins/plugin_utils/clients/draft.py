"""The inventory as it would be with one file more, or another text of one: the same check as check.yml's."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ...module_utils.maintenance.files import locked
from ...module_utils.repository_host.supervision import Instance
from ..ansible_adapter import (
    Drafted,
    Variables,
    documents_folder,
    inventory_with,
    read_text,
    resolve,
    servers_of,
)
from ..contract.contracts import Contract, load
from ..contract.model import ClientContract, contracts_of
from ..files import Busy, CannotWrite
from ..repository.action import accesses_of
from ..repository.instances import REPOSITORIES, Access, Settings, instances

PATIENCE = 30
"""Seconds to wait for another run that writes in the same inventory; it takes one or two."""


@dataclass(frozen=True)
class Inventory:
    """Where it is, as the run was given it."""

    sources: tuple[Path, ...]
    playbook: Path
    documents: Path

    @classmethod
    def of(cls, variables: Variables, documents: str | None) -> Inventory:
        return cls(
            tuple(Path(str(source)).absolute() for source in variables["ansible_inventory_sources"]),
            Path(str(variables["playbook_dir"])),
            documents_folder(documents, variables),
        )

    @property
    def clients(self) -> Path:
        """The folder of the clients' files."""
        first = self.sources[0]
        return (first if first.is_dir() else first.parent) / "clients"

    def read(self, path: Path | None = None, text: str = "") -> Read:
        """With a file of such a text, as the disk has the rest now."""
        groups, hostvars, loader = inventory_with(self.sources, path, text)

        def text_of(one: Path) -> str:
            return text if one == path else read_text(loader, one)

        found = load(self.sources, self.playbook, text_of, servers_of(groups, hostvars), self.documents, path)
        return Read(found, groups, hostvars, loader)


@dataclass(frozen=True)
class Read:
    """An inventory that was read, and what its check found."""

    contract: Contract
    groups: Mapping[str, Sequence[str]]
    hostvars: Variables
    loader: Drafted

    @property
    def clients(self) -> dict[str, ClientContract]:
        return contracts_of(ClientContract, self.contract.clients)

    @property
    def accesses(self) -> Mapping[str, Access]:
        return accesses_of(self.clients, {"hostvars": self.hostvars})

    @property
    def repository_hosts(self) -> Sequence[str]:
        return self.groups.get(REPOSITORIES, [])

    def instances(self, host: str) -> list[Instance]:
        """What a repository host is to run. Raises RepositoryError for what is wrong with any."""
        own, _failures = resolve(self.hostvars, host, "prosecours_repository_headroom")
        headroom = int(own.get("prosecours_repository_headroom_percent", Settings(host, ()).headroom_percent))
        return instances(
            self.clients, self.accesses, Settings(host, self.repository_hosts, headroom_percent=headroom)
        )


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Whoever writes in an inventory waits for another one who does. Raises Busy, CannotWrite."""
    place = folder
    while not place.is_dir():  # the root is one
        place = place.parent
    try:
        lock = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise CannotWrite(f"{place} cannot be read: {error.strerror}", "See to the rights there") from error
    busy = Busy(f"Another run writes in {folder}", "Start again when it has ended")
    try:
        with locked(lock, busy, PATIENCE):
            yield
    finally:
        os.close(lock)
