"""The retention of a repository host's clients; documented in plugins/modules/retention.py."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from ..module_utils.volume import Bill, bills_as_csv
from ..plugin_utils import repository
from ..plugin_utils.ansible_adapter import CoreAction, resolve
from ..plugin_utils.contract_errors import one_of


class ActionModule(CoreAction):
    """Tells the module of the same name which clients its host has, and what they are promised."""

    ARGUMENTS = {
        "clients": {"type": "dict", "required": True},
        "client": {"type": "str"},
        "data": {"type": "str", "default": "/srv/prosecours"},
        "state_folder": {"type": "str", "default": "/var/lib/prosecours"},
        "restic": {"type": "str", "default": "/usr/local/lib/prosecours/restic"},
        "side_by_side": {"type": "int", "default": 4},
        "patience": {"type": "int", "default": 600},
        "clock_minutes": {"type": "int", "default": 15},
        "longest_backup_hours": {"type": "int", "default": 24},
        "max_unused": {"type": "str", "default": "5%"},
        "release": {"type": "list", "elements": "str", "default": []},
        "release_by": {"type": "str"},
        "release_why": {"type": "str"},
    }
    EXPECTED = (repository.RepositoryError,)

    def act(self, arguments: dict[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
        clients, only = arguments.pop("clients"), arguments.pop("client")
        data = PurePosixPath(arguments.pop("data"))
        if only and only not in clients:
            return {"failed": True, "msg": f'There is no client "{only}". {one_of(only, sorted(clients))}.'}
        if arguments["release"] and not (only and arguments["release_by"] and arguments["release_why"]):
            return {
                "failed": True,
                "msg": "A release needs its client, who lifts the caution, and why: give all.",
            }
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
        for name in ("release_by", "release_why"):
            arguments[name] = arguments[name] or ""
        mine = [one for one in repository.instances(clients, own, settings) if only in (None, one.client)]
        result: dict[str, Any] = self._execute_module(
            module_name="prosecours.backup.retention",
            module_args={
                **arguments,
                "orders": [
                    {
                        "client": one.client,
                        "reference": clients[one.client]["reference"],
                        "path": str(data / one.client / one.repository),
                        "subscribed_gb": clients[one.client]["subscribed_gb"],
                        **clients[one.client]["retention"],
                    }
                    for one in mine
                ],
                "passwords": {one.client: own[one.client]["prosecours_encryption_password"] for one in mine},
            },
            task_vars=variables,
        )
        rows = [
            Bill(**row) for report in result.get("clients", {}).values() for row in report.pop("bills", ())
        ]
        result["bills"] = {
            month: bills_as_csv(row for row in rows if row.month == month)
            for month in sorted({row.month for row in rows})
        }
        return result
