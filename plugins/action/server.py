"""A server is retired or renamed; documented in plugins/modules/server.py."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from ..plugin_utils.ansible_adapter import CoreAction, Variables, next_run, sealed
from ..plugin_utils.clients import server
from ..plugin_utils.clients.client_file import shown
from ..plugin_utils.clients.draft import Inventory
from ..plugin_utils.clients.new_client import Mistaken
from ..plugin_utils.clients.server import Asked, Plan
from ..plugin_utils.clock import local


class ActionModule(CoreAction):
    """Checks and writes on the controller."""

    _requires_connection = False

    def act(self, arguments: dict[str, Any], variables: Variables) -> dict[str, Any]:
        asked = Asked.of(arguments)
        inventory = Inventory.of(variables, arguments["documents"])
        today = local(datetime.now(UTC)).date()
        try:
            if arguments["write"]:
                planned = server.write(inventory, asked, today, sealed, self._task.check_mode)
            else:
                planned = server.plan(inventory, asked, today, sealed)
        except Mistaken as error:
            return self.listed(error.errors, str(error))
        result = {
            "changed": False,
            "client": planned.client,
            "host": planned.host,
            "name": asked.name,
            "next": [],
        }
        if not arguments["write"]:
            return result
        if not planned.changed:
            now = f"{asked.name} is there" if asked.name else "it has left"
            self.show(f"{asked.server}: {now} already. Nothing was changed.")
            return result
        return result | self._written(planned, asked, inventory)

    def _written(self, planned: Plan, asked: Asked, inventory: Inventory) -> dict[str, Any]:
        steps = _steps(planned.client, asked, next_run(inventory.playbook, inventory.sources))
        self.show("\n".join(["", f"{planned.path}. Next:", *(f"  {one}" for one in steps)]))
        result: dict[str, Any] = {"changed": True, "next": steps}
        header = str(planned.path)
        result["diff"] = [
            {
                "before_header": header,
                "after_header": header,
                "before": shown(planned.before),
                "after": shown(planned.after),
            }
        ]
        if not self._task.check_mode:
            kept = {"renamed_to": asked.name} if asked.name else {"retired": True}
            result["journal"] = {"client": planned.client, "server": asked.server, **kept}
        return result


def _steps(client: str, asked: Asked, line: Callable[[str], str]) -> list[str]:
    printed = f"{line('documents')} -e prosecours_documents_client={client}"
    gone = f"On {asked.server}, if it still runs: schtasks /delete /tn \\ProSecours\\Sauvegarde /f"
    if asked.name:
        deployed = [line("repository"), f"{line('deploy')} --limit {asked.name}", printed]
        return [*deployed, gone] if asked.address else deployed
    return [line("repository"), printed, gone]
