"""All versions of an item whose path is not known exactly; documented in plugins/modules/find.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..plugin_utils import restore, restore_find
from ..plugin_utils.ansible_adapter import CoreAction
from ..plugin_utils.documents import DocumentError
from ..plugin_utils.winrm_session import WinRMSession


class ActionModule(CoreAction):
    """One session on any server of the client: they share the repository."""

    ARGUMENTS = {
        "name": {"type": "str", "required": True},
        "client": {"type": "str", "required": True},
        "server": {"type": "str", "default": ""},
        "folder": {"type": "str", "default": r"C:\Program Files\ProSecours"},
        "report_directory": {"type": "str", "required": True},
    }
    EXPECTED = (*restore.FAILURES, DocumentError)

    def act(self, arguments: dict[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
        session = WinRMSession(self._connection, str(variables["inventory_hostname"]))
        folder = arguments["folder"].rstrip("\\")
        found = restore_find.find(session, folder, arguments["name"], arguments["server"])
        self._display.display(restore_find.table(arguments["name"], found))
        kept = restore_find.write(found, arguments["client"], arguments["report_directory"])
        return {"changed": False, "matches": [item._asdict() for item in found], "path": str(kept)}
