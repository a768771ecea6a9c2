"""What the lab takes from an Ansible inventory: the hosts of group prosecours_clients and their repositories.

`ansible-inventory --list` leaves templates as they are, so the values are resolved here with Ansible's Python
API: lookups and vaults work, with the vault settings of ansible.cfg and of the environment.
"""

from __future__ import annotations

import ipaddress
import json
import os
import subprocess
import sys
import urllib.parse
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from windows_lab.errors import LabError

GROUP = "prosecours_clients"
REQUIRED = frozenset(
    {"ansible_host", "ansible_user", "ansible_password"}
    | {f"prosecours_repository_{part}" for part in ("url", "password")}
)
SECRET = frozenset({"prosecours_repository_password", "prosecours_encryption_password"})
CHECKOUT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class HostSpec:
    """One lab host. `settings`: its lab_* and prosecours_* variables, by their own names, without secrets."""

    name: str
    address: str  # a loopback IPv4 address
    users: dict[str, str]  # login: password
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RepositorySpec:
    """One rest-server: one client, one address and port, a login and a repository for each of its servers."""

    client: str  # the server's group
    host: str  # as the URL has it
    port: int
    logins: dict[str, str]  # the server's name, which is also its repository's: password


@dataclass(frozen=True)
class Plan:
    """Everything that shall run."""

    hosts: list[HostSpec]
    repositories: list[RepositorySpec]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types, passwords included: for the control socket only."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Plan:
        """The opposite of `to_json`."""
        return cls(
            [HostSpec(**host) for host in values["hosts"]],
            [RepositorySpec(**repository) for repository in values["repositories"]],
        )


def read(sources: Iterable[str], only: str | None = None) -> Plan:
    """Resolves the inventory. `only` is a group or pattern of hosts. Raises LabError with one sentence."""
    problems: list[str] = []
    hosts: list[HostSpec] = []
    repositories: dict[str, RepositorySpec] = {}
    for name, variables in _resolved(list(sources), only):
        try:
            hosts.append(_host(name, variables))
            repository = _repository(name, variables)
        except LabError as problem:
            problems.append(str(problem))
            continue
        if repository is not None:
            known = repositories.setdefault(repository.client, repository)
            if (known.host, known.port) != (repository.host, repository.port):
                problems.append(
                    f"{name}: the repository of client {repository.client} has another address on another "
                    "host of this client. Give it once, for the client's group."
                )
            known.logins.update(repository.logins)
    problems += _taken_twice(hosts, repositories.values())
    if problems:
        raise LabError("\n".join(problems))
    if not hosts:
        wanted = f"group {GROUP}" + (f" and {only}" if only else "")
        raise LabError(f"The inventory has no host in {wanted}: describe one, or give another --inventory.")
    return Plan(hosts, list(repositories.values()))


def _resolved(sources: list[str], only: str | None) -> list[tuple[str, dict[str, Any]]]:
    """Name and plain variables of each host, in the order of the inventory."""
    for source in sources:
        if not Path(source).exists() and "," not in source:
            raise LabError(f"There is no inventory {source}. Give a folder or a file with --inventory.")
    environment = dict(os.environ)
    if (CHECKOUT / "ansible.cfg").exists():
        environment.setdefault("ANSIBLE_CONFIG", str(CHECKOUT / "ansible.cfg"))
    # A file that cannot be read is a client that would be missing without a word.
    environment.setdefault("ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED", "true")
    # In a process of its own: Ansible keeps its settings and its vault in globals that are set once.
    arguments = [sys.executable, "-m", "windows_lab.inventory", json.dumps([sources, only])]
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(CHECKOUT), environment.get("PYTHONPATH")]))
    done = subprocess.run(arguments, stdout=subprocess.PIPE, env=environment, check=False)
    answer = json.loads(done.stdout or b"null")
    if done.returncode != 0 or answer is None:
        raise LabError("The inventory cannot be read; Ansible says why above.")
    if "problem" in answer:
        raise LabError(answer["problem"])
    return [(name, variables) for name, variables in answer["hosts"]]


def vaults_opened() -> Any:
    """Ansible's DataLoader with the vault passwords that its settings name; nobody is asked for one."""
    from ansible import constants
    from ansible.cli import CLI
    from ansible.parsing.dataloader import DataLoader

    loader = DataLoader()
    password_file = constants.DEFAULT_VAULT_PASSWORD_FILE
    loader.set_vault_secrets(
        CLI.setup_vault_secrets(
            loader,
            constants.DEFAULT_VAULT_IDENTITY_LIST,
            vault_password_files=[password_file] if password_file else None,
            auto_prompt=False,
        )
    )
    return loader


def _resolve(sources: list[str], only: str | None) -> dict[str, Any]:
    """What `_resolved` asks for, with Ansible in this process: {"hosts": ...} or {"problem": sentence}."""
    try:
        from ansible.errors import AnsibleError
        from ansible.inventory.manager import InventoryManager
        from ansible.plugins.loader import init_plugin_loader
        from ansible.template import Templar
        from ansible.vars.manager import VariableManager
    except ImportError:
        return {"problem": "The lab reads inventories with ansible-core: install it for this Python."}
    init_plugin_loader()
    hosts: list[tuple[str, dict[str, Any]]] = []
    name = ""
    try:
        loader = vaults_opened()
        inventory = InventoryManager(loader=loader, sources=sources)
        manager = VariableManager(loader=loader, inventory=inventory)
        for host in inventory.get_hosts(f"{GROUP}:&{only}" if only else GROUP):
            name = str(host.name)
            variables = manager.get_vars(host=host)
            templar = Templar(loader=loader, variables=variables)
            clients = [group for group in variables["group_names"] if group != GROUP]
            wanted: dict[str, Any] = {"client": clients[0] if clients else name}
            for key, value in variables.items():
                if key not in REQUIRED and (key in SECRET or not key.startswith(("lab_", "prosecours_"))):
                    continue
                try:
                    wanted[key] = templar.template(value)
                except AnsibleError:
                    # A variable may need what only this lab makes, such as the certificate of its authority.
                    if key in REQUIRED:
                        raise
            hosts.append((name, wanted))
    except AnsibleError as problem:
        first_line = str(problem).strip().splitlines()[0]
        return {"problem": f"The inventory cannot be read{f', host {name}' * bool(name)}: {first_line}"}
    return {"hosts": hosts}


def _host(name: str, variables: dict[str, Any]) -> HostSpec:
    missing = [key for key in ("ansible_host", "ansible_user", "ansible_password") if not variables.get(key)]
    if missing:
        raise LabError(f"{name}: the inventory lacks {', '.join(missing)}; the lab needs it to be this host.")
    address = str(variables["ansible_host"])
    if not _is_loopback(address):
        raise LabError(
            f"{name}: ansible_host is {address}. The lab only plays hosts on loopback addresses, 127.x.x.x: "
            "give it one, or choose other hosts with --only."
        )
    settings = {
        key: value
        for key, value in variables.items()
        if key.startswith(("lab_", "prosecours_")) and key not in SECRET
    }
    users = {str(variables["ansible_user"]): str(variables["ansible_password"])}
    return HostSpec(name, address, users, settings)


def _repository(name: str, variables: dict[str, Any]) -> RepositorySpec | None:
    url = str(variables.get("prosecours_repository_url") or "")
    if not url:
        return None
    parts = urllib.parse.urlsplit(url.removeprefix("rest:"))
    try:
        port = parts.port or 8000
    except ValueError:
        port = 0
    if not url.startswith("rest:https://") or not parts.hostname or parts.path.strip("/") or not port:
        raise LabError(f"{name}: prosecours_repository_url {url!r} is not rest:https://host:port/.")
    password = str(variables.get("prosecours_repository_password") or "")
    if not password:
        raise LabError(
            f"{name}: prosecours_repository_password is missing; the repository of the lab needs it."
        )
    return RepositorySpec(variables["client"], parts.hostname, port, {name: password})


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.IPv4Address(address).is_loopback
    except ValueError:
        return False


def _taken_twice(hosts: Iterable[HostSpec], repositories: Iterable[RepositorySpec]) -> list[str]:
    problems = []
    owners: dict[str, str] = {}
    for place, owner in [(host.address, host.name) for host in hosts] + [
        (f"{repository.host}:{repository.port}", f"the repository of {repository.client}")
        for repository in repositories
    ]:
        if place in owners:
            problems.append(f"{owner}: {place} already belongs to {owners[place]}. Give each its own.")
        owners.setdefault(place, owner)
    return problems


if __name__ == "__main__":
    print(json.dumps(_resolve(*json.loads(sys.argv[1]))))
