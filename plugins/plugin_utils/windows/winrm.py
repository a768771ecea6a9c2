"""The session over the user's own `winrm` connection: Ansible sets it up, then we drive its pywinrm protocol.

Ansible resolves every `ansible_winrm_*` variable, Kerberos ticket, certificate and CA path when it connects;
from then on a command is Command, Send, Receive and Signal (MS-WSMV 3.1.4) in the one shell of the
connection, with no PowerShell. There is one login and never a second: domains lock accounts after a few.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import threading
import time
from collections.abc import Iterable, Iterator
from email.utils import parsedate_to_datetime
from types import FrameType
from typing import Any

from ..libraries import from_pypi
from .command_line import SYSTEM_PATH
from .session import (
    CertificateRefused,
    ConnectionLost,
    LoginRefused,
    OtherConnection,
    Output,
    ProtocolFault,
    QuotaExceeded,
    SessionError,
    TimedOut,
    Unreachable,
)

with from_pypi():
    import requests
    from winrm.exceptions import (
        AuthenticationError,
        WinRMOperationTimeoutError,
        WSManFaultError,
    )


CHUNK = 256 * 1024
"""Bytes of standard input in one Send. In base64 it stays well under the default MaxEnvelopeSizekb of 500."""

QUOTA_OPERATIONS = 0x803381A6  # ERROR_WSMAN_QUOTA_MAX_OPERATIONS: this shell has run its share of commands
_QUOTAS = {QUOTA_OPERATIONS, 0x803381A4, 0x803381A5, 0x80338104, 0x80338168, 0x80338169, 0x803381AC}
_BUSY = 170  # ERROR_BUSY: the previous Send is still being taken in
_UTF8 = 65001
_FAREWELL = 10  # seconds that Ctrl-C may take to end what runs on the host


class WinRMSession:
    """`connection` is Ansible's winrm connection plugin; `host` the inventory name. See `session.Session`."""

    def __init__(self, connection: Any, host: str) -> None:
        self.host = host
        self._connection = connection
        self._offset: float | None = None
        self._renewed = False
        self._command: str | None = None
        if connection.transport != "winrm":
            raise OtherConnection(
                host,
                f"its ansible_connection is {connection.transport}, and a Windows server is asked over winrm",
                "Set ansible_connection: ansible.builtin.winrm for prosecours_clients in the inventory",
            )
        try:
            connection._connect()
        except Exception as error:
            if _is_a_bug(error):
                raise
            raise self._refused(error) from error
        connection.protocol.transport.session.hooks["response"].append(self._read_clock)

    @property
    def clock_offset(self) -> float | None:
        return self._offset

    def run(self, line: str, stdin: Iterable[bytes] = (), timeout: float = 120.0) -> Output:
        deadline = time.monotonic() + timeout
        blocks = _blocks(stdin)
        first = next(blocks, None)
        stdout, stderr = bytearray(), bytearray()
        with self._ended_by_signals():
            try:
                self._command = self._start(line, console=first is None)
                if first is not None:
                    self._send(self._command, first, blocks, deadline)
                while (left := deadline - time.monotonic()) > 0:
                    out, err, code, done = self._receive(self._command, left)
                    stdout += out
                    stderr += err
                    if done:
                        return Output(code, bytes(stdout), bytes(stderr))
            except Exception as error:
                if _is_a_bug(error):
                    raise
                raise self._broken(error) from error
            finally:
                # It ends a command that still runs and frees the slot of one that is done.
                self._end(self._command)
                self._command = None
        raise TimedOut(
            self.host,
            f"a command did not end within {timeout:.0f} s and was stopped",
            "See on the host what keeps it busy, then run the playbook again",
            Output(-1, bytes(stdout), bytes(stderr)),
        )

    def put_file(self, source: str, target: str) -> None:
        try:
            with self._ended_by_signals():
                self._connection.put_file(source, target)
        except Exception as error:
            if _is_a_bug(error):
                raise
            if type(error).__module__.startswith("ansible."):
                raise ProtocolFault(
                    self.host,
                    f"PowerShell did not take {target} in ({_reason(error)})",
                    "It is needed where Windows has no tar.exe (Server 2016): see that no policy blocks it",
                ) from error
            raise self._broken(error) from error

    # -- one message each -------------------------------------------------------------------------------

    def _start(self, line: str, console: bool) -> str:
        protocol, line = self._connection.protocol, SYSTEM_PATH + line
        try:
            return str(protocol.run_command(self._connection.shell_id, line, console_mode_stdin=console))
        except WSManFaultError as fault:
            if self._renewed or QUOTA_OPERATIONS not in _codes(fault):
                raise
        # WinRS never counts commands down: only a new shell helps. It opens in the same login.
        self._renewed = True
        protocol.close_shell(self._connection.shell_id, close_session=False)
        self._connection.shell_id = protocol.open_shell(codepage=_UTF8)
        return str(protocol.run_command(self._connection.shell_id, line, console_mode_stdin=console))

    def _send(self, command: str, block: bytes, rest: Iterator[bytes], deadline: float) -> None:
        """Send all blocks, the last marked as the end. A command that ended early is left to `_receive`."""
        protocol, shell = self._connection.protocol, self._connection.shell_id
        following = next(rest, None)
        while time.monotonic() < deadline:
            try:
                protocol.send_command_input(shell, command, block, end=following is None)
            except WinRMOperationTimeoutError:
                pass  # The host is slow; what it was sent is in its queue all the same.
            except WSManFaultError as fault:
                if _BUSY not in _codes(fault):
                    return  # The pipe is closed: the command's own output and exit code say why.
                time.sleep(1)
                continue
            if following is None:
                return
            block, following = following, next(rest, None)

    def _receive(self, command: str, left: float) -> tuple[bytes, bytes, int, bool]:
        protocol = self._connection.protocol
        usual = protocol.operation_timeout_sec
        protocol.operation_timeout_sec = max(1, min(usual, int(left) + 1))
        try:
            out, err, code, done = protocol.get_command_output_raw(self._connection.shell_id, command)
            return bytes(out), bytes(err), int(code), bool(done)
        except WinRMOperationTimeoutError:
            return b"", b"", -1, False
        finally:
            protocol.operation_timeout_sec = usual

    def _end(self, command: str | None) -> None:
        if command is not None:
            # The outcome is known by now, and a connection that broke here shows at the next command.
            with contextlib.suppress(Exception):
                self._connection.protocol.cleanup_command(self._connection.shell_id, command)

    @contextlib.contextmanager
    def _ended_by_signals(self) -> Iterator[None]:
        """While this lasts, Ctrl-C (SIGINT) and SIGTERM end what runs on the host before they end us.

        Ansible's workers die of them on the spot: no `finally` is reached, and the command would wait for its
        input, with its files open, until the shell has been idle for two hours.
        """
        if threading.current_thread() is not threading.main_thread():
            yield  # signals arrive elsewhere, and Python lets only the main thread say what they do
            return
        owner = os.getpid()
        # One that is ignored stays so: a run in the background survives the Ctrl-C of what runs before it.
        signals = [
            number
            for number in (signal.SIGINT, signal.SIGTERM)
            if signal.getsignal(number) is not signal.SIG_IGN
        ]
        before = {number: signal.getsignal(number) for number in signals}

        def end(number: int, frame: FrameType | None) -> None:
            for one in signals:
                signal.signal(one, signal.SIG_IGN)
            if os.getpid() == owner:  # and not in a child that has inherited this
                self._farewell()
            for one, handler in before.items():
                signal.signal(one, handler)
            usual = before[signal.Signals(number)]
            if callable(usual):
                usual(number, frame)
            else:
                os.kill(os.getpid(), number)

        for number in signals:
            signal.signal(number, end)
        try:
            yield
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)

    def _farewell(self) -> None:
        """End the command, and the shell with all that it holds: also a command whose id has not come back.

        What was under way stopped in the middle of a message, so this goes over a connection of its own, with
        the login that was accepted before. Somebody waits for us: it takes at most `_FAREWELL` seconds.
        """
        protocol = self._connection.protocol
        with _ended_after(_FAREWELL):
            # Not closed: the locks of its connection pool may be held where the signal came in between.
            protocol.transport.session = protocol.transport.encryption = None
            self._end(self._command)
            with contextlib.suppress(Exception):
                protocol.close_shell(self._connection.shell_id, close_session=False)

    def _read_clock(self, response: requests.Response, *_: Any, **__: Any) -> None:
        if date := response.headers.get("Date"):
            try:
                # The header has whole seconds: on average it is half a second old.
                self._offset = parsedate_to_datetime(date).timestamp() + 0.5 - time.time()
            except ValueError:
                return

    # -- errors -----------------------------------------------------------------------------------------

    @property
    def _address(self) -> str:
        option = self._connection.get_option
        return f"{option('remote_addr')} port {option('port')}"

    def _refused(self, error: Exception) -> SessionError:
        """Why there is no connection, from the text of Python's error: the plugin keeps no more of it."""
        text = _reason(error)
        if re.search(r"credentials were rejected|Code 40[13]\b|requires a (user|pass)|Kerberos auth", text):
            return self._login(text)
        if re.search(r"certificate|\[SSL:|SSLError|SSLEOFError", text, re.IGNORECASE):
            return self._certificate(text)
        if any(f"{code:X}" in text.upper() or str(code) in text for code in _QUOTAS):
            return self._quota(text)
        if re.search(r"Code \d{3}|fault|not well-formed|not installed|support", text):
            return self._fault(text)
        return Unreachable(
            self.host,
            f"no answer from {self._address} ({text})",
            "Check ansible_host and ansible_port, that WinRM runs and that the client's firewall lets it in",
        )

    def _broken(self, error: Exception) -> SessionError:
        """Why a session that had begun well does not go on."""
        if isinstance(error, SessionError):
            return error
        text = _reason(error)
        if isinstance(error, AuthenticationError) or getattr(error, "code", None) in (401, 403):
            return self._login(text)
        if isinstance(error, requests.exceptions.SSLError):
            return self._certificate(text)
        if isinstance(error, WSManFaultError):
            return self._quota(text) if _QUOTAS & _codes(error) else self._fault(text)
        if isinstance(error, (requests.exceptions.RequestException, OSError)):
            return ConnectionLost(
                self.host,
                f"the connection to {self._address} broke ({text})",
                "Nothing that was in place has been lost: check the link and run the playbook again",
            )
        return self._fault(text)

    def _login(self, text: str) -> LoginRefused:
        user = self._connection.get_option("remote_user")
        return LoginRefused(
            self.host,
            f"{self._address} refused the login of {user!r} ({text})",
            "Check ansible_user, ansible_password, ansible_winrm_transport and that the user is an"
            " administrator; the login was tried once, so as not to lock the account",
        )

    def _certificate(self, text: str) -> CertificateRefused:
        return CertificateRefused(
            self.host,
            f"the HTTPS certificate of {self._address} was refused ({text})",
            "Set ansible_winrm_ca_trust_path to the CA that signed it, or correct ansible_host or"
            " ansible_port; ansible_winrm_server_cert_validation=ignore gives up the check",
        )

    def _quota(self, text: str) -> QuotaExceeded:
        return QuotaExceeded(
            self.host,
            f"a WinRM quota of {self._address} is used up ({text})",
            "Wait until this user's other sessions end, or raise MaxShellsPerUser and MaxProcessesPerShell",
        )

    def _fault(self, text: str) -> ProtocolFault:
        return ProtocolFault(
            self.host,
            f"{self._address} answered with a fault ({text})",
            "Check that ansible_port is WinRM's (5986 or 5985) and look at the host's WinRM event log",
        )


@contextlib.contextmanager
def _ended_after(seconds: int) -> Iterator[None]:
    """What takes longer ends the process. Windows, where the recorder may run, has no alarm: there each
    message's own limit has to do."""
    if not hasattr(signal, "alarm"):
        yield
        return
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(seconds)
    yield
    signal.alarm(0)


def _blocks(parts: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in blocks of CHUNK, the last one shorter; nothing at all for no bytes."""
    held = bytearray()
    for part in parts:
        held += part
        while len(held) >= CHUNK:
            yield bytes(held[:CHUNK])
            del held[:CHUNK]
    if held:
        yield bytes(held)


def _is_a_bug(error: Exception) -> bool:
    """Whether the error comes from none of the libraries and systems in between, so that it is ours."""
    outside = ("ansible.", "winrm.", "requests.", "urllib3.", "spnego.", "requests_")
    return not isinstance(error, OSError) and not type(error).__module__.startswith(outside)


def _codes(fault: WSManFaultError) -> set[int]:
    """The fault's numbers: WSManFault@Code and the WMI error that some quotas hide in."""
    return {code & 0xFFFFFFFF for code in (fault.wsman_fault_code, fault.wmierror_code) if code is not None}


# What matters in an error that urllib3 wraps in addresses of objects and repetitions.
_CORE = re.compile(
    r"certificate verify failed: [^()\"']+|\[SSL: \w+\] [^()\"']+"
    r"|\[Errno -?\d+\] [^()\"']+|Connection aborted"
)


def _reason(error: Exception) -> str:
    """What the error says, in one line without full stop, to be part of a sentence."""
    text = " ".join(str(error).split())
    if core := _CORE.search(text):
        text = core.group()
    return (text or type(error).__name__).rstrip(" .,")[:300]
