"""One server as monitoring sees it; documented in plugins/modules/monitor.py."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..module_utils.maintenance.shape import as_json
from ..plugin_utils.agent import deploy as agent
from ..plugin_utils.ansible_adapter import Variables, resolve
from ..plugin_utils.errors import ProSecoursError
from ..plugin_utils.monitoring import server as monitoring_server
from ..plugin_utils.monitoring.facts import unreached
from ..plugin_utils.windows_action import WindowsAction


class ActionModule(WindowsAction):
    """Never changed, the same in check mode; a server that cannot be asked is an answer, and no failure."""

    def act(self, arguments: dict[str, Any], variables: Variables) -> dict[str, Any]:
        request = agent.request_from(arguments)
        host = str(variables["inventory_hostname"])
        try:
            facts = monitoring_server.look(self.session(variables), request)
        except ProSecoursError as error:
            facts = unreached(host, error)
        own, _unused = resolve(variables["hostvars"], host, "ansible_host")
        address = str(own.get("ansible_host") or host)
        return {"changed": False, **as_json(replace(facts, address=address))}
