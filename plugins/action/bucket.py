"""The buckets of a repository host's clients; documented in plugins/modules/bucket.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import PurePosixPath
from typing import Any

from ..plugin_utils import repository
from ..plugin_utils.ansible_adapter import CoreAction, resolve
from ..plugin_utils.repository_action import supplier_key


class ActionModule(CoreAction):
    """Tells the module of the same name which buckets its host looks after."""

    ARGUMENTS = {
        "clients": {"type": "dict", "required": True},
        "state_folder": {"type": "str", "default": "/var/lib/prosecours"},
    }
    EXPECTED = (repository.RepositoryError,)

    def act(self, arguments: dict[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
        clients = arguments["clients"]
        own = {
            client: resolve(variables["hostvars"], contract["hosts"][0], "prosecours_repository_")[0]
            for client, contract in clients.items()
        }
        settings = repository.Settings(
            variables["inventory_hostname"], variables["groups"].get(repository.REPOSITORIES, [])
        )
        repository.instances(clients, own, settings)  # finds what is wrong with any of them
        buckets = repository.remotes(clients, own, settings)
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
