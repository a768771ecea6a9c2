"""How the backups of a repository host's clients stand; documented in plugins/modules/status.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..plugin_utils.repository_action import RepositoryAction


class ActionModule(RepositoryAction):
    """See plugins/modules/status.py for the arguments. Never changed, and the same in check mode."""

    ARGUMENTS = RepositoryAction.COMMON

    def act(self, arguments: dict[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
        return self.on_host("status", arguments, variables)
