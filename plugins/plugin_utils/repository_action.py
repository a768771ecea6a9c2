"""What the actions share that run on a repository host for all of its clients: status and retention."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, ClassVar

from . import repository
from .ansible_adapter import CoreAction, resolve
from .contract_errors import full_stop, one_of


class UnknownClient(Exception):
    """The client that was asked for is not in the inventory."""


def supplier_key(variables: Mapping[str, Any], host: str | None = None) -> dict[str, str]:
    """The provider's own key at the storage supplier, as the variables of the repository host say it."""
    found = resolve(variables["hostvars"], host or variables["inventory_hostname"], "prosecours_s3_")[0]
    return {name: found.get(f"prosecours_s3_{name}") or "" for name in ("access_key", "secret_key", "region")}


class RepositoryAction(CoreAction):
    """Tells the module of the same name which clients its host has, and what they are promised."""

    #: Common to all; an action adds its own.
    COMMON: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "clients": {"type": "dict", "required": True},
        "client": {"type": "str"},
        "data": {"type": "str", "default": "/srv/prosecours"},
        "state_folder": {"type": "str", "default": "/var/lib/prosecours"},
        "restic": {"type": "str", "default": "/usr/local/lib/prosecours/restic"},
        "side_by_side": {"type": "int", "default": 4},
        "clock_minutes": {"type": "int", "default": 15},
        "longest_backup_hours": {"type": "int", "default": 24},
    }
    EXPECTED = (repository.RepositoryError, UnknownClient)

    def on_host(self, module: str, arguments: dict[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
        """Run the module there. It gets `orders` and `passwords` in the place of clients, client and data."""
        clients, only = arguments.pop("clients"), arguments.pop("client")
        data = PurePosixPath(arguments.pop("data"))
        if only and only not in clients:
            raise UnknownClient(f'There is no client "{only}". {full_stop(one_of(only, sorted(clients)))}')
        own = {
            client: resolve(
                variables["hostvars"],
                contract["hosts"][0],
                "prosecours_repository_",
                "prosecours_encryption_password",
            )[0]
            for client, contract in clients.items()
        }
        settings = repository.Settings(
            variables["inventory_hostname"], variables["groups"].get(repository.REPOSITORIES, [])
        )
        here = repository.repositories(clients, own, settings)
        mine = [one for one in here if only in (None, one.client)]
        result: dict[str, Any] = self._execute_module(
            module_name=f"prosecours.backup.{module}",
            module_args={
                **arguments,
                "orders": repository.orders(mine, clients, data),
                "passwords": {one.client: own[one.client]["prosecours_encryption_password"] for one in mine},
                "s3": supplier_key(variables),
            },
            task_vars=variables,
        )
        return result
