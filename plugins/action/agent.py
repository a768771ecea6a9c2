"""The backup agent of one server, deployed or repaired; documented in plugins/modules/agent.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..plugin_utils import agent
from ..plugin_utils.ansible_adapter import CoreAction
from ..plugin_utils.winrm_session import WinRMSession


class ActionModule(CoreAction):
    """One session a host; with nothing to change, one command."""

    ARGUMENTS = {
        **agent.ARGUMENTS,
        "wait": {"type": "int", "default": 600},
        "first_backup": {"type": "str", "choices": ["night", "now"], "default": "night"},
    }
    EXPECTED = agent.FAILURES

    def act(self, arguments: dict[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
        request = agent.request_from(arguments)
        session = WinRMSession(self._connection, str(variables["inventory_hostname"]))
        result = agent.deploy(session, request, check=self._task.check_mode)
        for sentence in result["changes"]:
            self._display.display(f"{session.host}: {sentence}", color="yellow")
        return result
