"""How the backups of a repository host's clients stand; documented in plugins/modules/status.py."""

from __future__ import annotations

from typing import Any

from ..plugin_utils.ansible_adapter import Variables
from ..plugin_utils.repository.action import RepositoryAction


class ActionModule(RepositoryAction):
    """See plugins/modules/status.py for the arguments. Never changed, and the same in check mode."""

    def act(self, arguments: dict[str, Any], variables: Variables) -> dict[str, Any]:
        return self.on_host("status", arguments, variables)
