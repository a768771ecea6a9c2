"""The backup agent of one server, deployed or repaired; documented in plugins/modules/agent.py."""

from __future__ import annotations

from typing import Any

from ..plugin_utils.agent import deploy as agent
from ..plugin_utils.ansible_adapter import CoreAction, Variables
from ..plugin_utils.windows.winrm import WinRMSession


class ActionModule(CoreAction):
    """One session a host; with nothing to change, one command."""

    def act(self, arguments: dict[str, Any], variables: Variables) -> dict[str, Any]:
        request = agent.request_from(arguments)
        session = WinRMSession(self._connection, str(variables["inventory_hostname"]))
        result = agent.deploy(session, request, check=self._task.check_mode, say=self.show)
        for sentence in result["changes"]:
            self.show(f"{session.host}: {sentence}", color="yellow")
        return result
