"""The product's own session to a server of the inventory, as Ansible would connect it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

from ansible import constants
from ansible.errors import AnsibleError
from ansible.inventory.manager import InventoryManager
from ansible.playbook.play_context import PlayContext
from ansible.plugins.loader import connection_loader
from ansible.template import Templar
from ansible.vars.manager import VariableManager
from ansible_collections.prosecours.backup.plugins.plugin_utils.errors import ProSecoursError
from ansible_collections.prosecours.backup.plugins.plugin_utils.windows.session import Output, SessionError
from ansible_collections.prosecours.backup.plugins.plugin_utils.windows.winrm import WinRMSession

from windows_lab.inventory import vaults_opened

_WINRM = "ansible.builtin.winrm"
_COMMANDS = 40  # that one connection runs: a shell allows 25, and the session opens a second one


class Unknown(ProSecoursError):
    """The inventory does not tell how the server is reached."""


def variables(host: str, sources: Sequence[str]) -> dict[str, Any]:
    """The variables by which Ansible's winrm connection is set up, resolved: ansible_*. Raises Unknown."""
    try:
        loader = vaults_opened()
        inventory = InventoryManager(loader=loader, sources=list(sources) or constants.DEFAULT_HOST_LIST)
        found = inventory.get_host(host)
        if found is None:
            raise Unknown(
                "the inventory has no such host",
                "Name it as the inventory does, or give another with -i",
                host,
            )
        known = VariableManager(loader=loader, inventory=inventory).get_vars(host=found)
        templar = Templar(loader=loader, variables=known)
        wanted = known.keys() & _wanted(known)
        values = {name: templar.template(known[name]) for name in wanted}
    except AnsibleError as error:
        raise Unknown(
            f"the inventory cannot be read: {' '.join(str(error).split())}", "Correct it", host
        ) from error
    kind = str(values.get("ansible_connection", ""))
    if kind.rpartition(".")[2] != "winrm":
        raise Unknown(
            f"ansible_connection is {kind or 'not set'}, not winrm",
            "Choose a Windows server of the inventory",
            host,
        )
    return values


def _wanted(known: Iterable[str]) -> set[str]:
    """Names of the variables that the connection reads: its options', and those that it hands to pywinrm."""
    # Ansible knows the options of a plugin once it is loaded.
    plugin = connection_loader.get(_WINRM, PlayContext(), os.devnull)
    options = constants.config.get_plugin_vars("connection", plugin._load_name)
    return {*options, "ansible_connection", *(name for name in known if name.startswith("ansible_winrm_"))}


class Server:
    """The server: each line through the session of the product, in as many logins as their number needs."""

    def __init__(self, host: str, values: dict[str, Any]) -> None:
        self.host = host
        self.values = values
        self._open: dict[int, tuple[WinRMSession, Any, int]] = {}

    def run(
        self, line: str, stdin: Iterable[bytes] = (), timeout: float = 120.0, codepage: int = 65001
    ) -> Output:
        """Raises SessionError. A shell of another code page is opened in the session's place."""
        session, connection, count = self._open.get(codepage) or self._connect(codepage)
        if count == _COMMANDS:
            del self._open[codepage]  # first: nothing is sent through one whose end was interrupted
            connection.close()
            session, connection, count = self._connect(codepage)
        self._open[codepage] = session, connection, count + 1
        try:
            return session.run(line, stdin, timeout)
        except (SessionError, KeyboardInterrupt):
            self._open.pop(codepage)  # what is left of it is not to be relied on
            raise

    def put_file(self, source: str, target: str) -> None:
        """See `session.Session`."""
        session, *_unused = self._open.get(65001) or self._connect(65001)
        session.put_file(source, target)

    @property
    def clock_offset(self) -> float | None:
        """See `session.Session`."""
        return next((session.clock_offset for session, *_unused in self._open.values()), None)

    def close(self) -> None:
        """Ends the logins."""
        for _unused, connection, _count in self._open.values():
            connection.close()
        self._open.clear()

    def _connect(self, codepage: int) -> tuple[WinRMSession, Any, int]:
        connection = connection_loader.get(_WINRM, PlayContext(), os.devnull)
        extras = {name: value for name, value in self.values.items() if name.startswith("ansible_winrm_")}
        connection.set_options(var_options={**self.values, "_extras": extras})
        session = WinRMSession(connection, self.host)
        if codepage != 65001:
            protocol = connection.protocol
            protocol.close_shell(connection.shell_id, close_session=False)
            connection.shell_id = protocol.open_shell(codepage=codepage)
        self._open[codepage] = session, connection, 0
        return session, connection, 0
