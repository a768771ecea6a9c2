"""Opens or closes a client's repository as its volume says; documented in plugins/modules/volume.py."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from ..plugin_utils import repository
from ..plugin_utils.ansible_adapter import CoreAction, resolve
from ..plugin_utils.contract_errors import one_of
from ..plugin_utils.repository_action import supplier_key


class ActionModule(CoreAction):
    """Tells the module of the same name where the client's repository is and what was subscribed."""

    ARGUMENTS = {
        "clients": {"type": "dict", "required": True},
        "client": {"type": "str", "required": True},
        "host": {"type": "str", "required": True},
        "measured": {"type": "dict", "default": {}},
        "data": {"type": "str", "default": "/srv/prosecours"},
        "state_folder": {"type": "str", "default": "/var/lib/prosecours"},
    }
    EXPECTED = (repository.RepositoryError,)

    def act(self, arguments: dict[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
        clients, client = arguments["clients"], arguments["client"]
        if client not in clients:
            return {
                "failed": True,
                "msg": f'There is no client "{client}". {one_of(client, sorted(clients))}.',
            }
        contract = clients[client]
        own = resolve(variables["hostvars"], contract["hosts"][0], "prosecours_repository_")[0]
        # Of this client alone: what is wrong with another one's repository does not concern its deploy.
        settings = repository.Settings(
            arguments["host"], variables["groups"].get(repository.REPOSITORIES, [])
        )
        here = repository.repositories({client: contract}, {client: own}, settings)
        for order in repository.orders(here, clients, PurePosixPath(arguments["data"])):
            result: dict[str, Any] = self._execute_module(
                module_name="prosecours.backup.volume",
                module_args={
                    "order": order,
                    "state": str(PurePosixPath(arguments["state_folder"], client)),
                    "measured": arguments["measured"],
                    "s3": supplier_key(variables, arguments["host"]),
                },
                task_vars=variables,
            )
            return result
        return {"failed": True, "msg": f'The repository of "{client}" is not on {arguments["host"]}.'}
