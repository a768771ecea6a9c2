"""What the core asks of a connection to a Windows host, and the one family of errors that it can answer with.

The core knows nothing of Ansible or WinRM: it is given an object with this shape. `winrm.py` provides the
real one; tests provide their own.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol

from ..errors import ProSecoursError


class Output(NamedTuple):
    """What one command left behind. Bytes are as the host sent them: see `probe.decode` for text."""

    exit_code: int
    stdout: bytes
    stderr: bytes


class Session(Protocol):
    """One login on one host. Commands share no state: no working directory, no environment."""

    host: str
    """The host's inventory name, for sentences."""

    def run(self, line: str, stdin: Iterable[bytes] = (), timeout: float = 120.0) -> Output:
        """Run `line` through the host's cmd.exe, where programs without a path are those of Windows.

        `timeout` is wall-clock seconds. Raises SessionError.
        """

    def put_file(self, source: str, target: str) -> None:
        """Copy the local file `source` to the host's `target`, by PowerShell: all that Server 2016 has."""

    @property
    def clock_offset(self) -> float | None:
        """Seconds by which the host's clock is ahead of ours, from its last reply; None before the first."""


class SessionError(ProSecoursError):
    """The host could not be asked, or did not answer. `problem` and `remedy` do not name it."""

    def __init__(self, host: str, problem: str, remedy: str) -> None:
        super().__init__(problem, remedy, host)


class OtherConnection(SessionError):
    """The inventory has another connection than WinRM for the host."""


class Unreachable(SessionError):
    """No connection at all: wrong name, wrong port, closed firewall, WinRM not listening."""


class CertificateRefused(SessionError):
    """The host's HTTPS certificate is not one that we trust, or TLS could not be agreed on."""


class LoginRefused(SessionError):
    """401 or 403. Never retried: three tries can lock an account of the domain."""


class TimedOut(SessionError):
    """The command ran into its wall-clock limit and was told to stop. `partial` is what it had printed."""

    def __init__(self, host: str, problem: str, remedy: str, partial: Output) -> None:
        super().__init__(host, problem, remedy)
        self.partial = partial


class ConnectionLost(SessionError):
    """The connection broke between two messages of a session that had begun well."""


class QuotaExceeded(SessionError):
    """The host refuses more shells, processes or memory to this user (WinRM quotas)."""


class ProtocolFault(SessionError):
    """Any other answer that WS-Management calls a fault, or that is not WS-Management at all."""
