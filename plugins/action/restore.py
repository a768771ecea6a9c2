"""A restore on request, carried out on one server; documented in plugins/modules/restore.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..plugin_utils import restore, restore_record
from ..plugin_utils.ansible_adapter import CoreAction
from ..plugin_utils.documents import DocumentError
from ..plugin_utils.restore_request import Request
from ..plugin_utils.winrm_session import WinRMSession


class ActionModule(CoreAction):
    """One session; the restore itself runs on the server and outlives it."""

    ARGUMENTS = {
        "request": {"type": "dict", "required": True},
        "contract": {"type": "dict", "required": True},
        "folder": {"type": "str", "default": r"C:\Program Files\ProSecours"},
        "poll": {"type": "int", "default": 10},
        "timeout": {"type": "int", "default": 86400},
        "limit_kib": {"type": "int", "default": 0},
        "report_directory": {"type": "str", "required": True},
        "technician": {"type": "str", "default": ""},
    }
    EXPECTED = (*restore.FAILURES, DocumentError)

    def act(self, arguments: dict[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
        request = Request.from_data(arguments["request"])
        settings = restore.Settings(
            arguments["folder"].rstrip("\\"), arguments["poll"], arguments["timeout"], arguments["limit_kib"]
        )
        session = WinRMSession(self._connection, str(variables["inventory_hostname"]))
        result = restore.restore(
            session, request, arguments["contract"], settings, self._task.check_mode, self._display.display
        )
        if "outcome" in result:
            result["record"] = restore_record.write(
                request, result, arguments["technician"], arguments["report_directory"]
            )
        if result.get("failure"):
            return {**result, "failed": True, "msg": result["failure"]}
        return result
