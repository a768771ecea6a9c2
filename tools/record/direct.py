"""A server without Ansible and its inventory: by pywinrm itself, as Windows' own Python can do it.

What Ansible's winrm connection does between the session and pywinrm is done here, and no more: the same
login (NTLM over HTTPS, the certificate checked), the same shell in UTF-8, pywinrm's own limits. A test holds
the two against each other.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ansible_collections.prosecours.backup.plugins.plugin_utils.errors import ProSecoursError
from winrm.protocol import Protocol

VARIABLES = {
    "ansible_host": "PROSECOURS_WINDOWS_HOST",
    "ansible_port": "PROSECOURS_WINDOWS_PORT",
    "ansible_user": "PROSECOURS_WINDOWS_USER",
    "ansible_password": "PROSECOURS_WINDOWS_PASSWORD",
    "ansible_winrm_ca_trust_path": "PROSECOURS_WINDOWS_CA",
}
"""What an inventory says in these -> where it stands here: never on a command line, which others see."""
_PORT = "5986"
_UTF8 = 65001


class NotSaid(ProSecoursError):
    """The environment does not tell how the server is reached."""


class NoPowerShell(ProSecoursError):
    """A server without tar.exe is brought its files by Ansible's PowerShell."""


def variables(host: str, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """How the server is reached, by the names that an inventory has for it. Raises NotSaid."""
    said = {"PROSECOURS_WINDOWS_PORT": _PORT, **{name: text for name, text in environment.items() if text}}
    if missing := [name for name in VARIABLES.values() if name not in said]:
        raise NotSaid(f"the environment lacks {', '.join(missing)}", "Set it: docs/molecule.md", host)
    return {name: said[variable] for name, variable in VARIABLES.items()}


class Connection:
    """What `WinRMSession` drives: as much of Ansible's winrm connection as it touches."""

    transport = "winrm"

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        self.protocol: Any = None
        self.shell_id = ""

    def _connect(self) -> None:
        self.protocol = Protocol(
            f"https://{self._values['ansible_host']}:{self._values['ansible_port']}/wsman",
            transport="ntlm",
            username=self._values["ansible_user"],
            password=self._values["ansible_password"],
            ca_trust_path=self._values["ansible_winrm_ca_trust_path"],
        )
        self.shell_id = self.protocol.open_shell(codepage=_UTF8)

    def get_option(self, name: str) -> str:
        """For the sentences of errors."""
        variable = {"remote_addr": "ansible_host", "port": "ansible_port", "remote_user": "ansible_user"}[
            name
        ]
        return self._values[variable]

    def put_file(self, source: str, target: str) -> None:
        """Nothing here speaks PowerShell."""
        raise NoPowerShell(
            f"{target} is brought to a server without tar.exe by PowerShell ({source})",
            "Record a Server 2016 with Ansible: without --direct",
        )

    def close(self) -> None:
        """Ends the login."""
        if self.protocol and self.shell_id:
            self.protocol.close_shell(self.shell_id)
        self.protocol, self.shell_id = None, ""
