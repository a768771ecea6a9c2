"""A backup of one server now, and its outcome; documented in plugins/modules/backup.py."""

from __future__ import annotations

from typing import Any

from ..plugin_utils.agent import backup as agent_backup
from ..plugin_utils.ansible_adapter import Variables
from ..plugin_utils.windows_action import WindowsAction


class ActionModule(WindowsAction):
    """Starts the scheduled task, so that a backup by hand is the same as every night's."""

    def act(self, arguments: dict[str, Any], variables: Variables) -> dict[str, Any]:
        session = self.session(variables)
        result = agent_backup.back_up(
            session, arguments["folder"].rstrip("\\"), arguments["timeout"], self._task.check_mode, self.show
        )
        code = (result["status"] or {}).get("exit_code", 0)
        if self._task.check_mode or code in (0, 3):
            return result
        return {
            **result,
            "failed": True,
            "msg": f"{session.host}: the backup {result['outcome']}. See its log.",
        }
