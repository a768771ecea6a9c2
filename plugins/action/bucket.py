"""The buckets of a repository host's clients; documented in plugins/modules/bucket.py."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import PurePosixPath
from typing import Any

from ..plugin_utils.ansible_adapter import CoreAction, Variables
from ..plugin_utils.contract.model import ClientContract, contracts_of
from ..plugin_utils.repository import instances as repository
from ..plugin_utils.repository.action import accesses_of, supplier_key


class ActionModule(CoreAction):
    """Tells the module of the same name which buckets its host looks after."""

    def act(self, arguments: dict[str, Any], variables: Variables) -> dict[str, Any]:
        clients = contracts_of(ClientContract, arguments["clients"])
        accesses = accesses_of(clients, variables)
        settings = repository.Settings(
            variables["inventory_hostname"], variables["groups"].get(repository.REPOSITORIES, [])
        )
        repository.instances(clients, accesses, settings)  # finds what is wrong with any of them
        buckets = repository.remotes(clients, accesses, settings)
        if not buckets:
            return {"changed": False, "buckets": [], "changes": []}
        folder = PurePosixPath(arguments["state_folder"])
        result: dict[str, Any] = self._execute_module(
            module_name="prosecours.backup.bucket",
            module_args={
                "buckets": [{**asdict(one), "state": str(folder / one.client)} for one in buckets],
                "s3": supplier_key(variables),
            },
            task_vars=variables,
        )
        return result
