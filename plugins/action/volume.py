"""Opens or closes a client's repository as its volume says; documented in plugins/modules/volume.py."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from ..plugin_utils.ansible_adapter import CoreAction, Variables
from ..plugin_utils.contract.model import ClientContract, contracts_of
from ..plugin_utils.repository import instances as repository
from ..plugin_utils.repository.action import accesses_of, supplier_key
from ..plugin_utils.wording import one_of


class ActionModule(CoreAction):
    """Tells the module of the same name where the client's repository is and what was subscribed."""

    def act(self, arguments: dict[str, Any], variables: Variables) -> dict[str, Any]:
        clients = contracts_of(ClientContract, arguments["clients"])
        client = arguments["client"]
        if client not in clients:
            return {
                "failed": True,
                "msg": f'There is no client "{client}". {one_of(client, sorted(clients))}.',
            }
        mine = {client: clients[client]}
        # Of this client alone: what is wrong with another one's repository does not concern its deploy.
        settings = repository.Settings(
            arguments["host"], variables["groups"].get(repository.REPOSITORIES, [])
        )
        here = repository.repositories(mine, accesses_of(mine, variables), settings)
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
