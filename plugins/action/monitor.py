"""One server as monitoring sees it; documented in plugins/modules/monitor.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..plugin_utils import agent, monitoring_server
from ..plugin_utils.ansible_adapter import CoreAction, resolve
from ..plugin_utils.winrm_session import WinRMSession


class ActionModule(CoreAction):
    """Never changed, the same in check mode; a server that cannot be asked is an answer, and no failure."""

    ARGUMENTS = agent.ARGUMENTS
    EXPECTED = agent.FAILURES

    def act(self, arguments: dict[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
        request = agent.request_from(arguments)
        host = str(variables["inventory_hostname"])
        try:
            facts = monitoring_server.look(WinRMSession(self._connection, host), request)
        except monitoring_server.FAILURES as error:
            facts = monitoring_server.unreached(host, error)
        own, _ = resolve(variables["hostvars"], host, "ansible_host")
        return {"changed": False, **facts, "address": str(own.get("ansible_host") or host)}
