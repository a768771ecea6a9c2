"""What the network half of the lab needs of a host: start a command line, feed it, read it, end it."""

from __future__ import annotations

from typing import Protocol

UTF8 = 65001
"""The code page by which clients that know better than 437 open their shells."""
WINDOWS = "2022"
"""The Windows of a host whose inventory does not say lab_windows."""


class NotStarted(Exception):
    """Windows refuses to start a process; `number` is its error (winerror.h)."""

    def __init__(self, number: int, what: str) -> None:
        super().__init__(f"Windows error {number} when starting {what}")
        self.number = number


class Process(Protocol):
    """One command started by a WS-Man Command."""

    def send(self, data: bytes, end: bool) -> None:
        """Writes to standard input; `end` closes it. Raises OSError once the process has gone."""

    def receive(self, timeout: float) -> tuple[list[tuple[str, bytes]], int | None]:
        """Waits up to `timeout` seconds for output or the end: chunks ("stdout" or "stderr", data), and the
        exit code once the process has ended and all its output was returned, else None."""

    def terminate(self) -> None:
        """Ends the process and its children."""


class TaskProcess(Process, Protocol):
    """The first process of a scheduled task."""

    def terminate_first(self) -> None:
        """Ends the process itself; its children live on."""


class Machine(Protocol):
    """One lab host."""

    name: str
    users: dict[str, str]  # login: password

    def start(self, line: str, cwd: str | None, environment: dict[str, str], codepage: int = UTF8) -> Process:
        """Runs ``cmd.exe /c <line>`` in a console of this code page. Raises NotStarted."""
