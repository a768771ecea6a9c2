"""A server leaves its client's contract, or gets another name there: the edit of the client's file.

the inventory (facts) -> plan -> write. The order is that of what can be cut: the repository is moved to the
new name first, then the file says so; a second run of each finds what the first one did.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from ..ansible_adapter import read_text, resolve
from ..contract.contracts import RETIRED
from ..errors import ProSecoursError
from ..files import write_whole
from ..repository.instances import REPOSITORIES
from ..secret import Secret
from ..validation.mistakes import PlacedMistake
from ..wording import one_of
from .answers import refusal
from .client_file import PASSWORDS, ClientFile, Vault, differences
from .draft import Inventory, Read, held
from .new_client import REMEDY, Mistaken

FOLDER = "host_vars"
"""Where variables of a server may stand that no client's file has (Ansible's name)."""


class Refused(ProSecoursError):
    """The change cannot be made so."""


@dataclass(frozen=True)
class Asked:
    """What is to become of a server: it goes, unless it has another name from now on."""

    server: str
    name: str = ""
    address: str = ""

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> Asked:
        """Raises Refused."""
        retire, name, address = arguments["retire"], arguments["name"], arguments["address"]
        if retire == bool(name):
            raise Refused(
                f"What is to become of {arguments['server']} is not clear",
                "Give either prosecours_server_retire=true or prosecours_server_name",
            )
        if address and retire:
            raise Refused(
                "A server that is retired has no new address", "Leave prosecours_server_address away"
            )
        for text in (name, address, arguments["instruction"]):
            if wrong := refusal(text):
                raise Refused(*wrong)
        if not arguments["instruction"].strip():
            raise Refused(
                "On whose instruction a server leaves or is renamed is not said (C10)",
                "Give prosecours_instruction: the client's e-mail, with its day",
            )
        return cls(arguments["server"], name, address)


@dataclass(frozen=True)
class Plan:
    """The text that the client's file has, and the one that it is to have: the same if it is so already."""

    client: str
    path: Path
    before: str
    after: str
    host: str = ""
    """Where the repository is to be moved."""

    @property
    def changed(self) -> bool:
        return self.before != self.after


def plan(inventory: Inventory, asked: Asked, today: date, vault: Vault) -> Plan:
    """What is to be written. Raises Mistaken, Refused, CannotEdit, RepositoryError, what `vault` raises."""
    before = inventory.read()
    if before.contract.errors:
        raise Mistaken(before.contract.errors)
    if done := _done(before, asked):
        return done
    client = str(before.contract.hosts[asked.server]["client"]["id"])
    path = Path(str(before.hostvars.raw_get(asked.server)["inventory_file"]))  # type: ignore[attr-defined]
    file = ClientFile.read(path, read_text(before.loader, path))
    beside = [one for source in inventory.sources for one in _beside(source, asked.server)]
    if beside:
        raise Refused(
            f"{beside[0]} has variables of {asked.server} too", "Move them into the client's file first"
        )
    if asked.name:
        text = _renamed(file, asked, before, vault)
        host = _keeper(before, client)
    else:
        if len(before.clients[client].hosts) == 1:
            raise Refused(
                f"{asked.server} is the only server of {client}: without it there is no contract",
                "At the end of a contract take the file away, and see playbooks/remove_client.yml",
            )
        text, host = _retired(file, asked.server, before, today, vault), ""
    after = inventory.read(path, text)
    if after.contract.errors:
        raise Mistaken(_of_draft(one, path) for one in after.contract.errors)
    if asked.server in after.groups["all"]:
        raise Refused(
            f"{asked.server} stands in another file of the inventory too, in a group that would keep it",
            "Move what it has by that group into the client's file, and take it out there first",
        )
    if asked.name and _known(after, asked.name) != _known(before, asked.server):
        raise Refused(
            f"The passwords of {asked.server} are made of its name: {asked.name} would have others",
            "Write them below the server as they are, in the vault (ansible-vault encrypt_string)",
        )
    for one in after.repository_hosts:
        after.instances(one)
    return Plan(client, path, file.text, text, host)


def write(inventory: Inventory, asked: Asked, today: date, vault: Vault, check: bool) -> Plan:
    """Plan alone, and write. Raises what `plan` does, Busy, CannotWrite."""
    with held(inventory.clients):
        planned = plan(inventory, asked, today, vault)
        if planned.changed and not check:
            mode = planned.path.stat().st_mode & 0o777
            write_whole(planned.path, planned.after, mode, REMEDY)
    return planned


def _done(before: Read, asked: Asked) -> Plan | None:
    """Nothing to do, where it is so already; None where something is. Raises Refused."""
    hosts = before.contract.hosts
    if asked.server in hosts:
        if asked.name in hosts and asked.name != asked.server:
            raise Refused(f"There is a server {asked.name} already", "Give another name")
        taken = [one.id for one in before.clients.values() if asked.name in one.retired]
        if asked.name and taken:
            raise Refused(
                f"A server {asked.name} of {taken[0]} has left, and its repository is kept by that name",
                "Give another name",
            )
        return None
    for one in before.clients.values():
        if (not asked.name and asked.server in one.retired) or (asked.name and asked.name in one.hosts):
            return Plan(one.id, Path(), "", "")
    raise Refused(
        f"There is no server {asked.server!a} in the inventory", one_of(asked.server, sorted(hosts))
    )


def _beside(source: Path, server: str) -> list[Path]:
    folder = (source if source.is_dir() else source.parent) / FOLDER
    return sorted(
        one
        for one in folder.glob("*")
        if one.name in (server, *(server + end for end in (".yml", ".yaml", ".json")))
    )


def _keeper(before: Read, client: str) -> str:
    """The repository host of a client. Raises Refused where there is none, and for a bucket."""
    access = before.accesses[client]
    if access.remote:
        raise Refused(
            f"The repositories of {client} are in a bucket, where nothing can be moved to another name",
            "Retire the server, and add the new one by its own name",
        )
    if not before.repository_hosts:
        raise Refused(
            f"The inventory has no repository host, where what {client} has sent could be moved",
            f"Add it to {REPOSITORIES} (docs/repository.md): by its new name the server would begin anew",
        )
    return access.host or before.repository_hosts[0]


def _renamed(file: ClientFile, asked: Asked, before: Read, vault: Vault) -> str:
    """The passwords stay what they are, also where they were made of the name that is gone."""
    missing = [name for name in PASSWORDS if name not in file.variables(asked.server)]
    known = _known(before, asked.server)
    text = file.renamed(
        asked.server, asked.name, asked.address, {name: vault(known[name].reveal()) for name in missing}
    )
    differences(file, text).only_renamed(asked.server, asked.name)
    return text


def _retired(file: ClientFile, server: str, before: Read, today: date, vault: Vault) -> str:
    """What encrypts the backups stays, also where it was made of the server's name."""
    text = file.retired(
        server, today.isoformat(), lambda: vault(_known(before, server)[PASSWORDS[1]].reveal())
    )
    differences(file, text).only_retired(server, RETIRED)
    return text


def _known(before: Read, server: str) -> dict[str, Secret]:
    values, _failures = resolve(before.hostvars, server, *PASSWORDS)
    return {name: Secret(str(value)) for name, value in values.items()}


def _of_draft(one: PlacedMistake, path: Path) -> PlacedMistake:
    """The file on the disk does not have that line yet."""
    if one.file != path:
        return one
    return PlacedMistake(path, None, one.who, one.key, one.problem, one.remedy)
