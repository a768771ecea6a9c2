"""A backup of one server now, and its outcome; documented in plugins/modules/backup.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..plugin_utils import agent, agent_backup
from ..plugin_utils.ansible_adapter import CoreAction
from ..plugin_utils.winrm_session import WinRMSession


class ActionModule(CoreAction):
    """Starts the scheduled task, so that a backup by hand is the same as every night's."""

    ARGUMENTS = {
        "folder": {"type": "str", "default": r"C:\Program Files\ProSecours"},
        "timeout": {"type": "int", "default": 14400},
    }
    EXPECTED = agent.FAILURES

    def act(self, arguments: dict[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
        session = WinRMSession(self._connection, str(variables["inventory_hostname"]))
        result = agent_backup.back_up(
            session, arguments["folder"].rstrip("\\"), arguments["timeout"], check=self._task.check_mode
        )
        code = (result["status"] or {}).get("exit_code", 0)
        if self._task.check_mode or code in (0, 3):
            return result
        return {
            **result,
            "failed": True,
            "msg": f"{session.host}: the backup {result['outcome']}. See its log.",
        }
