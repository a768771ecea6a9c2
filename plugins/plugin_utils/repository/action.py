"""What the actions share that run on a repository host for all of its clients: status and retention."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from ..ansible_adapter import CoreAction, Variables, resolve
from ..contract.model import ClientContract, contracts_of
from ..errors import ProSecoursError
from ..wording import one_of
from . import instances as repository


class UnknownClient(ProSecoursError):
    """The client that was asked for is not in the inventory."""


def supplier_key(variables: Variables, host: str | None = None) -> dict[str, str]:
    """The provider's own key at the storage supplier, as the variables of the repository host say it."""
    found = resolve(variables["hostvars"], host or variables["inventory_hostname"], "prosecours_s3_")[0]
    return {name: found.get(f"prosecours_s3_{name}") or "" for name in ("access_key", "secret_key", "region")}


def accesses_of(clients: Mapping[str, ClientContract], variables: Variables) -> dict[str, repository.Access]:
    """Where each client's repositories are, and as whom its servers sign in."""
    return {
        name: repository.Access.from_variables(
            {
                server: resolve(variables["hostvars"], server, "prosecours_repository_")[0]
                for server in client.hosts
            }
        )
        for name, client in clients.items()
    }


def encryption_passwords(client: ClientContract, variables: Variables) -> dict[str, str]:
    """Server -> what restic needs to read its repository, for the arguments of a module that hides it."""
    name = "prosecours_encryption_password"
    return {server: str(resolve(variables["hostvars"], server, name)[0][name]) for server in client.hosts}


def module_arguments(
    clients: Mapping[str, ClientContract],
    client: str,
    server: str,
    arguments: Mapping[str, Any],
    variables: Variables,
) -> dict[str, Any] | None:
    """What a module is told that looks after one server's repository on the host `arguments["host"]`; None
    where that host does not. `arguments` are those of the fragment repository_host."""
    mine = {client: clients[client]}
    settings = repository.Settings(arguments["host"], variables["groups"].get(repository.REPOSITORIES, []))
    here = repository.repositories(mine, accesses_of(mine, variables), settings)
    if not here:
        return None
    return {
        "order": repository.orders(here, clients, PurePosixPath(arguments["data"]))[0],
        "server": server,
        "password": encryption_passwords(mine[client], variables)[server],
        "s3": supplier_key(variables, arguments["host"]),
        "settings": {
            **{name: arguments[name] for name in ("state_folder", "restic")},
            **{name: arguments[name] for name in ("clock_minutes", "longest_backup_hours")},
            "side_by_side": 1,
        },
    }


class RepositoryAction(CoreAction):
    """Tells the module of the same name which clients its host has, and what they are promised."""

    def on_host(self, module: str, arguments: dict[str, Any], variables: Variables) -> dict[str, Any]:
        """Run the module there. It gets `orders` and `passwords` for clients, client and data.

        The other arguments are its `settings`.
        """
        clients = contracts_of(ClientContract, arguments.pop("clients"))
        only = arguments.pop("client")
        data = PurePosixPath(arguments.pop("data"))
        if only and only not in clients:
            raise UnknownClient(f'There is no client "{only}"', one_of(only, sorted(clients)))
        accesses = accesses_of(clients, variables)
        settings = repository.Settings(
            variables["inventory_hostname"], variables["groups"].get(repository.REPOSITORIES, [])
        )
        here = repository.repositories(clients, accesses, settings)
        mine = [one for one in here if only in (None, one.client)]
        result: dict[str, Any] = self._execute_module(
            module_name=f"prosecours.backup.{module}",
            module_args={
                "settings": arguments,
                "orders": repository.orders(mine, clients, data),
                "passwords": {
                    one.client: encryption_passwords(clients[one.client], variables) for one in mine
                },
                "s3": supplier_key(variables),
            },
            task_vars=variables,
        )
        return result
