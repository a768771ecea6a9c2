"""Which version a restore is made of: judged by the repository host, chosen here.

Documented in plugins/modules/restore_version.py.
"""

from __future__ import annotations

from typing import Any

from ..module_utils.maintenance.shape import as_json, read
from ..plugin_utils.ansible_adapter import CoreAction, Variables
from ..plugin_utils.contract.model import ClientContract, contracts_of
from ..plugin_utils.repository.action import module_arguments
from ..plugin_utils.restore.facts import RestoreError
from ..plugin_utils.restore.plan import Judgement, Refused, bare, choose, versions_of
from ..plugin_utils.restore.request import Request


class ActionModule(CoreAction):
    """Asks the module of the same name for all versions, chooses one, and has its folders judged."""

    def act(self, arguments: dict[str, Any], variables: Variables) -> dict[str, Any]:
        request, host = Request.from_data(arguments["request"]), arguments["host"]
        clients = contracts_of(ClientContract, arguments["clients"])
        given = module_arguments(clients, request.client, request.server, arguments, variables)
        if given is None:
            return {"failed": True, "msg": f'The repository of "{request.client}" is not on {host}.'}
        told = self._asked(given, variables)
        if told.get("failed"):
            return told
        try:
            choice = choose(versions_of(read(Judgement, told), request.server), request)
        except Refused as refusal:
            raise RestoreError(host, refusal.problem, refusal.remedy) from refusal
        judged = self._asked({**given, "version": choice.version.id, "bare": bare(request)}, variables)
        if judged.get("failed"):
            return judged
        if judged["objection"]:
            raise RestoreError(
                host,
                f"the version {choice.version.id[:8]} of {request.server} is not to be restored"
                f" ({judged['objection']})",
                "Reject it (docs/retention.md), then run the playbook again: an older version is chosen",
            )
        return {"changed": False, "choice": as_json(choice)}

    def _asked(self, given: dict[str, Any], variables: Variables) -> dict[str, Any]:
        result: dict[str, Any] = self._execute_module(
            module_name="prosecours.backup.restore_version", module_args=given, task_vars=variables
        )
        return result
