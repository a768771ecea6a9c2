"""All versions of an item whose path is not known exactly; documented in plugins/modules/find.py."""

from __future__ import annotations

from typing import Any

from ..plugin_utils.ansible_adapter import Variables
from ..plugin_utils.restore import find as restore_find
from ..plugin_utils.restore.access import Access
from ..plugin_utils.windows_action import WindowsAction


class ActionModule(WindowsAction):
    """One session, on the server itself or on one that stands in for it."""

    def act(self, arguments: dict[str, Any], variables: Variables) -> dict[str, Any]:
        session = self.session(variables)
        folder = arguments["folder"].rstrip("\\")
        server = arguments["server"] or session.host
        access = Access.from_options(arguments["repository"])
        found = restore_find.find(session, folder, arguments["name"], server, access)
        self.show(restore_find.table(arguments["name"], found))
        kept = restore_find.write(found, server, arguments["report_directory"])
        return {"changed": False, "matches": [item._asdict() for item in found], "path": str(kept)}
