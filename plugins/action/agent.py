"""The backup agent of one server, deployed or repaired; documented in plugins/modules/agent.py."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ..plugin_utils import office_hours
from ..plugin_utils.agent import deploy as agent
from ..plugin_utils.agent import handover
from ..plugin_utils.ansible_adapter import Variables
from ..plugin_utils.windows_action import WindowsAction


class ActionModule(WindowsAction):
    """One session a host; with nothing to change, one command, or none where preflight has just looked."""

    def act(self, arguments: dict[str, Any], variables: Variables) -> dict[str, Any]:
        request = agent.request_from(arguments)
        contract, hours = request.contract, arguments["first_backup_hours"]
        if hours and request.first_backup == "now":
            now, work = datetime.now(UTC), f"The first backup of {contract.host}"
            if late := office_hours.work_past_closing(now, hours, contract.alsace_moselle, work):
                self.show(late, color="yellow")
        seen = handover.take(arguments["observed"], contract.host, request.folder)
        if seen and (settled := agent.settled(request, seen)):
            return settled
        session = self.session(variables)
        result = agent.deploy(session, request, check=self._task.check_mode, say=self.show)
        for sentence in result["changes"]:
            self.show(f"{session.host}: {sentence}", color="yellow")
        return result
