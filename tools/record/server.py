"""A server, line by line through the session of the product, in as many logins as their number needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible_collections.prosecours.backup.plugins.plugin_utils.windows.session import Output, SessionError
from ansible_collections.prosecours.backup.plugins.plugin_utils.windows.winrm import WinRMSession

_COMMANDS = 40  # that one connection runs: a shell allows 25, and the session opens a second one


class Server:
    """`connection` makes what the session drives: Ansible's winrm connection, or the recorder's own.

    `values`: the ansible_* variables by which the server is reached, which no recording is to hold.
    """

    def __init__(self, host: str, values: Mapping[str, Any], connection: Callable[[], Any]) -> None:
        self.host = host
        self.values = values
        self._connection = connection
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
        connection = self._connection()
        session = WinRMSession(connection, self.host)
        if codepage != 65001:
            protocol = connection.protocol
            protocol.close_shell(connection.shell_id, close_session=False)
            connection.shell_id = protocol.open_shell(codepage=codepage)
        self._open[codepage] = session, connection, 0
        return session, connection, 0
