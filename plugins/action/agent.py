"""The backup agent of one server, deployed or repaired; documented in plugins/modules/agent.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..plugin_utils import agent
from ..plugin_utils.ansible_adapter import CoreAction
from ..plugin_utils.winrm_session import WinRMSession

_TEXT = {"type": "str", "required": True}
_SECRET = {**_TEXT, "no_log": True}


class ActionModule(CoreAction):
    """One session a host; with nothing to change, one command."""

    ARGUMENTS = {
        "contract": {"type": "dict", "required": True},
        "repository": {
            "type": "dict",
            "required": True,
            "options": {
                "url": _TEXT,
                "username": _TEXT,
                "password": _SECRET,
                "encryption_password": _SECRET,
                "ca": {"type": "str", "default": ""},
            },
        },
        "restic": {
            "type": "dict",
            "required": True,
            "options": {"path": _TEXT, "version": _TEXT, "sha256": {"type": "str"}},
        },
        "folder": {"type": "str", "default": r"C:\Program Files\ProSecours"},
        "wait": {"type": "int", "default": 600},
        "first_backup": {"type": "str", "choices": ["night", "now"], "default": "night"},
        "attempts": {"type": "int", "default": 3},
        "retry_minutes": {"type": "int", "default": 10},
        "time_limit_hours": {"type": "int", "default": 72},
        "log_days": {"type": "int", "default": 30},
        "log_kib": {"type": "int", "default": 1024},
    }
    EXPECTED = agent.FAILURES

    def act(self, arguments: dict[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
        request = agent.request_from(arguments)
        session = WinRMSession(self._connection, str(variables["inventory_hostname"]))
        result = agent.deploy(session, request, check=self._task.check_mode)
        for sentence in result["changes"]:
            self._display.display(f"{session.host}: {sentence}", color="yellow")
        return result
