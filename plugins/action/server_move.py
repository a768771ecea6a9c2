"""A server's repository goes to its new name; documented in plugins/modules/server_move.py."""

from __future__ import annotations

from typing import Any

from ..plugin_utils.ansible_adapter import CoreAction, Variables


class ActionModule(CoreAction):
    """Hands its arguments to the module of the same name, on the host."""

    def act(self, arguments: dict[str, Any], variables: Variables) -> dict[str, Any]:
        result: dict[str, Any] = self._execute_module(
            module_name="prosecours.backup.server_move", module_args=arguments, task_vars=variables
        )
        return result
