"""Office hours of the clients (C5, C8); documented in plugins/modules/office_hours.py."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ..plugin_utils import office_hours
from ..plugin_utils.ansible_adapter import CoreAction, Variables
from ..plugin_utils.contract.model import ClientContract, contracts_of


class ActionModule(CoreAction):
    """Works on the controller, by its clock; no host is touched."""

    _requires_connection = False

    def act(self, arguments: dict[str, Any], variables: Variables) -> dict[str, Any]:
        now, hosts = datetime.now(UTC), arguments["hosts"]
        clients = {
            client: contract.alsace_moselle
            for client, contract in contracts_of(ClientContract, arguments["clients"]).items()
            if hosts is None or set(hosts) & set(contract.hosts)
        }
        shut, sentence = office_hours.refusal(now, clients)
        closed = {
            client: {"why": found.why, "next_opening": found.opens.isoformat()}
            for client, found in shut.items()
        }
        result = {"changed": False, "sentence": sentence, "closed": closed}
        if not shut:
            return result
        reason = office_hours.real_reason(arguments["reason"])
        if reason:
            self.show(f"{sentence} It goes on, because: {reason}", color="yellow")
            outside = {"outside_office_hours": sentence, "reason": reason}
            return {**result, "journal": {"clients": dict.fromkeys(closed, outside)}}
        if self._task.check_mode:
            self.show(f"{sentence} Without --check this would be refused.", color="yellow")
            return result
        return {
            **result,
            "failed": True,
            "msg": f"{sentence} No server was touched. Start it again then, or with the reason why it cannot"
            " wait, which goes to the journal: -e 'prosecours_reason=\"...\"'.",
        }
