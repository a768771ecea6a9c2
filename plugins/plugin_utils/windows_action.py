"""What the actions have in common that work on a Windows server."""

from __future__ import annotations

from .ansible_adapter import CoreAction, Variables
from .windows.winrm import WinRMSession


class WindowsAction(CoreAction):
    """Has one session with its host."""

    CONNECTION = "ansible.builtin.winrm"

    def session(self, variables: Variables) -> WinRMSession:
        """The session with the task's host, logged in. Raises SessionError."""
        return WinRMSession(self._connection, str(variables["inventory_hostname"]))
