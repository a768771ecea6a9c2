"""The WinRM session over a scripted protocol: what is sent, what faults become, one login only."""

from __future__ import annotations

import re
import signal
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from ansible_collections.prosecours.backup.plugins.plugin_utils.windows import session
from ansible_collections.prosecours.backup.plugins.plugin_utils.windows import winrm as winrm_session
from ansible_collections.prosecours.backup.plugins.plugin_utils.windows.command_line import SYSTEM_PATH
from winrm.exceptions import (
    InvalidCredentialsError,
    WinRMOperationTimeoutError,
    WinRMTransportError,
    WSManFaultError,
)


def fault(code: int = 0, wmi: int | None = None) -> WSManFaultError:
    return WSManFaultError(500, "Bad HTTP response", "<xml/>", "a reason.", "s:Receiver", None, code, wmi)


class Protocol:
    """pywinrm's Protocol as the session uses it: answers come from lists, an exception in one is raised."""

    def __init__(self) -> None:
        self.operation_timeout_sec = 20
        self.transport = SimpleNamespace(session=SimpleNamespace(hooks={"response": []}))
        self.commands: list[Any] = []
        self.replies: list[Any] = [(b"out", b"err", 3, True)]
        self.sends: list[Any] = []
        self.sent: list[tuple[bytes, bool]] = []
        self.log: list[str] = []
        self.waits: list[int] = []

    def run_command(self, shell: str, line: str, console_mode_stdin: bool) -> str:
        self.log.append(f"run {shell} {line} {console_mode_stdin}")
        return str(self._next(self.commands, "command"))

    def send_command_input(self, shell: str, command: str, data: bytes, end: bool) -> None:
        self._next(self.sends, None)
        self.sent.append((data, end))

    def get_command_output_raw(self, shell: str, command: str) -> Any:
        self.waits.append(self.operation_timeout_sec)
        return self._next(self.replies, (b"", b"", -1, False))

    def cleanup_command(self, shell: str, command: str) -> None:
        self.log.append("signal")

    def close_shell(self, shell: str, close_session: bool) -> None:
        self.log.append(f"close {shell} {close_session}")

    def open_shell(self, codepage: int) -> str:
        self.log.append(f"open {codepage}")
        return "shell2"

    @staticmethod
    def _next(answers: list[Any], default: Any) -> Any:
        answer = answers.pop(0) if answers else default
        if isinstance(answer, BaseException):
            raise answer
        return answer


class Connection:
    transport = "winrm"
    shell_id = "shell1"

    def __init__(self, error: Exception | None = None) -> None:
        self.protocol = Protocol()
        self.error = error
        self.logins = 0

    def _connect(self) -> None:
        self.logins += 1
        if self.error:
            raise self.error

    def get_option(self, name: str) -> Any:
        return {"remote_addr": "srv.moulin.lan", "port": 5986, "remote_user": "noc"}[name]


def begin() -> tuple[winrm_session.WinRMSession, Protocol]:
    connection = Connection()
    return winrm_session.WinRMSession(connection, "moulin-srv1"), connection.protocol


def test_a_command_is_run_received_and_signalled() -> None:
    opened, protocol = begin()
    protocol.replies = [(b"o1", b"", -1, False), WinRMOperationTimeoutError(), (b"o2", b"e", 12, True)]
    assert opened.run("ver") == session.Output(12, b"o1o2", b"e")
    assert protocol.log == [f"run shell1 {SYSTEM_PATH}ver True", "signal"]


def test_input_goes_out_in_blocks_and_the_last_one_ends_it() -> None:
    opened, protocol = begin()
    opened.run("tar", stdin=[b"", b"a" * winrm_session.CHUNK, b"b", b"c"])
    assert protocol.log[0] == f"run shell1 {SYSTEM_PATH}tar False"
    assert protocol.sent == [(b"a" * winrm_session.CHUNK, False), (b"bc", True)]


def test_a_busy_host_gets_the_block_again_and_a_slow_one_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    opened, protocol = begin()
    protocol.sends = [fault(170), None, WinRMOperationTimeoutError(), None]
    block = b"x" * winrm_session.CHUNK
    opened.run("tar", stdin=[block, block, block])
    assert [end for _, end in protocol.sent] == [False, True]


def test_a_command_that_ends_before_its_input_tells_its_own_exit_code() -> None:
    opened, protocol = begin()
    protocol.sends = [fault(232)]
    assert opened.run("tar", stdin=[b"x" * 300_000]).exit_code == 3


def test_the_wall_clock_limit_stops_the_command_and_keeps_what_it_printed() -> None:
    opened, protocol = begin()
    protocol.replies = [(b"part", b"why", -1, False)]
    with pytest.raises(session.TimedOut) as caught:
        opened.run("ping -t", timeout=0.05)
    assert caught.value.partial == session.Output(-1, b"part", b"why")
    assert protocol.log[-1] == "signal"
    assert set(protocol.waits) == {1}
    assert protocol.operation_timeout_sec == 20


def test_a_used_up_shell_is_renewed_once_in_the_same_login() -> None:
    opened, protocol = begin()
    protocol.commands = [fault(wmi=0x803381A6), "command"]
    assert opened.run("ver").exit_code == 3
    assert protocol.log[1:4] == ["close shell1 False", "open 65001", f"run shell2 {SYSTEM_PATH}ver True"]
    protocol.commands = [fault(0x803381A6)]
    with pytest.raises(session.QuotaExceeded):
        opened.run("ver")
    assert opened._connection.logins == 1


def test_ctrl_c_stops_the_command() -> None:
    opened, protocol = begin()
    protocol.replies = [KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):
        opened.run("ver")
    assert protocol.log[-1] == "signal"


@pytest.mark.parametrize(
    ("error", "kind", "remedy"),
    [
        (requests.exceptions.ConnectionError("Remote end closed"), session.ConnectionLost, "check the link"),
        (requests.exceptions.ReadTimeout("timed out"), session.ConnectionLost, "check the link"),
        (requests.exceptions.SSLError("bad"), session.CertificateRefused, "ansible_winrm_ca_trust_path"),
        (InvalidCredentialsError("rejected"), session.LoginRefused, "ansible_password"),
        (WinRMTransportError("http", 403, ""), session.LoginRefused, "ansible_password"),
        (WinRMTransportError("http", 500, ""), session.ProtocolFault, "ansible_port"),
        (fault(5), session.ProtocolFault, "event log"),
        (fault(0x803381A6), session.QuotaExceeded, "MaxShellsPerUser"),
    ],
)
def test_what_breaks_in_a_session_has_one_family_and_a_remedy(
    error: Exception, kind: type[session.SessionError], remedy: str
) -> None:
    opened, protocol = begin()
    protocol.replies = [error]
    with pytest.raises(kind) as caught:
        opened.run("ver")
    assert str(caught.value).startswith("moulin-srv1: ")
    assert "srv.moulin.lan port 5986" in caught.value.problem
    assert remedy in caught.value.remedy
    assert opened._connection.logins == 1


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("ssl: HTTPSConnectionPool(host='x', port=5986): Max retries exceeded (Caused by NewConnectionError("
         "'<urllib3.connection.HTTPSConnection object at 0x7f>: [Errno 111] Connection refused'))",
         session.Unreachable),
        ("ntlm: HTTPSConnectionPool: (Caused by NameResolutionError('[Errno -2] Name or service not known'))",
         session.Unreachable),
        ("the connection attempt timed out", session.Unreachable),
        ("ssl: (Caused by SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] self-signed",
         session.CertificateRefused),
        ("ssl: (Caused by SSLError(SSLError(1, '[SSL: WRONG_VERSION_NUMBER] wrong version (_ssl.c:992)')))",
         session.CertificateRefused),
        ("ntlm: the specified credentials were rejected by the server", session.LoginRefused),
        ("ssl: Bad HTTP response returned from server. Code 403", session.LoginRefused),
        ("Kerberos auth failure for principal noc: ...", session.LoginRefused),
        ("ssl: Bad HTTP response returned from server. Code 404", session.ProtocolFault),
    ],
)  # fmt: skip
def test_what_prevents_a_login_has_one_family_and_is_tried_once(
    text: str, kind: type[session.SessionError]
) -> None:
    refusal = type("AnsibleConnectionFailure", (Exception,), {"__module__": "ansible.errors"})
    connection = Connection(refusal(text))
    with pytest.raises(kind) as caught:
        winrm_session.WinRMSession(connection, "moulin-srv1")
    assert "srv.moulin.lan port 5986" in str(caught.value)
    assert "0x7f" not in str(caught.value)
    assert "Max retries" not in str(caught.value)
    assert connection.logins == 1


@pytest.mark.parametrize(
    ("module", "kind", "says"),
    [
        ("ansible.errors", session.ProtocolFault, "PowerShell did not take C:\\x in"),
        ("winrm.exceptions", session.ProtocolFault, "answered with a fault"),
    ],
)
def test_a_file_that_is_not_taken_in_is_said(
    module: str, kind: type[session.SessionError], says: str
) -> None:
    opened, _ = begin()

    def put_file(source: str, target: str) -> None:
        raise type("AnsibleError", (Exception,), {"__module__": module})("failed to transfer file")

    opened._connection.put_file = put_file
    with pytest.raises(kind, match=re.escape(says)):
        opened.put_file("/x", "C:\\x")


def test_another_connection_is_told_and_not_tried() -> None:
    connection = Connection()
    connection.transport = "ssh"  # Ansible's own choice where an inventory says nothing
    with pytest.raises(session.OtherConnection, match="moulin-srv1: its ansible_connection is ssh, and"):
        winrm_session.WinRMSession(connection, "moulin-srv1")
    assert connection.logins == 0


def test_a_bug_stays_one() -> None:
    with pytest.raises(KeyError):
        winrm_session.WinRMSession(Connection(KeyError("_extras")), "moulin-srv1")
    opened, protocol = begin()
    protocol.replies = [AttributeError("x")]
    with pytest.raises(AttributeError):
        opened.run("ver")
    assert protocol.log[-1] == "signal"


def test_the_clock_comes_from_the_date_header(monkeypatch: pytest.MonkeyPatch) -> None:
    opened, protocol = begin()
    assert opened.clock_offset is None
    monkeypatch.setattr("time.time", lambda: 1_000_000_000.0)
    response = requests.Response()
    (hook,) = protocol.transport.session.hooks["response"]
    hook(response)
    assert opened.clock_offset is None
    response.headers["Date"] = "Sun, 09 Sep 2001 01:51:40 GMT"
    hook(response, timeout=3)
    assert opened.clock_offset == pytest.approx(300.5)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment", ["run_command", "send_command_input", "get_command_output_raw"])
def test_a_signal_ends_what_runs_on_the_host_before_it_ends_us(
    number: signal.Signals, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ansible's workers exit in their signal handler: what is to be done has to be done before that."""
    opened, protocol = begin()

    class Exited(BaseException):
        pass

    def worker_dies(*_: object) -> None:
        protocol.log.append("died")
        raise Exited

    def interrupted(*_: object, **__: object) -> None:
        signal.raise_signal(number)

    before = signal.signal(number, worker_dies)
    monkeypatch.setattr(protocol, moment, interrupted)
    try:
        with pytest.raises(Exited):
            opened.run("tar", stdin=[b"x"])
        handler = signal.getsignal(number)
    finally:
        signal.signal(number, before)
    ended = protocol.log[: protocol.log.index("died")]
    known = [] if moment == "run_command" else ["signal"]
    assert [entry for entry in ended if not entry.startswith("run ")] == [*known, "close shell1 False"]
    assert handler is worker_dies, "the handlers that were there are there again"
    assert protocol.transport.session is None, "a connection that was cut in the middle was used again"


def test_a_signal_that_is_ignored_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the background of a shell script: the run goes on, and so does its shell on the host."""
    opened, protocol = begin()
    send = protocol.send_command_input

    def interrupted(*given: Any, **named: Any) -> Any:
        signal.raise_signal(signal.SIGINT)
        return send(*given, **named)

    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    monkeypatch.setattr(protocol, "send_command_input", interrupted)
    try:
        opened.run("tar", stdin=[b"x"])
    finally:
        signal.signal(signal.SIGINT, before)
    assert not [entry for entry in protocol.log if entry.startswith("close")]
