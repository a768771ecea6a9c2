"""The contract of every server, or all errors of the inventory; documented in plugins/modules/contract.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..plugin_utils.ansible_adapter import (
    CoreAction,
    Variables,
    documents_folder,
    inventory_files,
    read_text,
    servers_of,
)
from ..plugin_utils.contract import contracts as contract
from ..plugin_utils.validation.mistakes import sentence, summary


class ActionModule(CoreAction):
    """Reads and validates on the controller; no host is touched."""

    _requires_connection = False

    def act(self, arguments: dict[str, Any], variables: Variables) -> dict[str, Any]:
        """The result's `clients` and `hosts`; with errors, their list is shown and counted."""
        elsewhere = arguments["inventory"]
        playbook = Path(str(variables["playbook_dir"]))
        found = contract.load(
            inventory_files(elsewhere, variables),
            playbook,
            lambda path: read_text(self._loader, path),
            servers_of(variables["groups"], variables["hostvars"], placed=not elsewhere),
            documents_folder(arguments["documents"], variables),
            imported=bool(elsewhere),
        )
        if found.errors:
            return self.listed(found.errors, f"{summary(found.errors)}, listed above. No server was touched.")
        result = {"changed": False, "clients": found.clients, "hosts": found.hosts}
        if found.warnings:
            result["warnings"] = [sentence(one, Path.cwd()) for one in found.warnings]
        return result
