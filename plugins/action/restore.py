"""A restore on request, carried out on one server; documented in plugins/modules/restore.py."""

from __future__ import annotations

from typing import Any

from ..module_utils.maintenance.shape import read
from ..plugin_utils.ansible_adapter import Variables
from ..plugin_utils.contract.model import HostContract
from ..plugin_utils.restore import record as restore_record
from ..plugin_utils.restore import run as restore
from ..plugin_utils.restore.access import Access
from ..plugin_utils.restore.plan import Choice
from ..plugin_utils.restore.request import Request
from ..plugin_utils.windows_action import WindowsAction


class ActionModule(WindowsAction):
    """One session; the restore itself runs on the server and outlives it."""

    def act(self, arguments: dict[str, Any], variables: Variables) -> dict[str, Any]:
        request = Request.from_data(arguments["request"])
        contract = HostContract.from_plain(arguments["contract"])
        settings = restore.Settings(
            arguments["folder"].rstrip("\\"), arguments["poll"], arguments["timeout"], arguments["limit_kib"]
        )
        if request.host != request.server and not arguments["choice"]:
            self.show(
                f"[{request.host}] No repository host has judged the version: only {request.server} says"
                " that it is honest (docs/restore.md)"
            )
        session = self.session(variables)
        result = restore.restore(
            session,
            request,
            contract,
            settings,
            self._task.check_mode,
            self.show,
            Access.from_options(arguments["repository"]),
            read(Choice, arguments["choice"]) if arguments["choice"] else None,
        )
        if "outcome" in result:
            result["record"] = restore_record.write(
                request,
                read(restore_record.Restored, result),
                arguments["technician"],
                arguments["report_directory"],
            )
        if result.get("failure"):
            return {**result, "failed": True, "msg": result["failure"]}
        return result
