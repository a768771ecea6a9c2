"""The WS-Man server, spoken to by clients we did not write, and by hand where those are too polite."""

from __future__ import annotations

import base64
import json
import socket
import ssl
import threading
import time
import uuid
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import requests
import spnego
from lab.linux_machine import PASSWORD, USER, LabHost, serve
from requests.auth import HTTPBasicAuth
from winrm.exceptions import (
    InvalidCredentialsError,
    WinRMOperationTimeoutError,
    WinRMTransportError,
    WSManFaultError,
)
from winrm.protocol import Protocol

from windows_lab.winrm.authentication import ENCRYPTED_TYPE, ntlm_type
from windows_lab.winrm.faults import Fault
from windows_lab.winrm.journal import describe
from windows_lab.winrm.shells import Limits
from windows_lab.winrm.soap import ADDRESSING, FAULT

SHELL = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
TRANSFER = "http://schemas.xmlsoap.org/ws/2004/09/transfer"
SHELL_GONE, TIMED_OUT, BUSY, PIPE_CLOSED, INVALID = 2150858843, 2150858793, 170, 232, 87


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabHost]:
    with serve(tmp_path_factory.mktemp("host")) as host:
        yield host


@pytest.fixture
def lab(shared: LabHost) -> Iterator[LabHost]:
    """The host of the module, as new."""
    shared.journal.reset()
    shared.host.accounts.unlock()
    yield shared
    shared.faults.clear()
    shared.host.shells.close()


def client(lab: LabHost, url: str = "", transport: str = "basic", **options: Any) -> Protocol:
    options = {"username": USER, "password": PASSWORD, "ca_trust_path": str(lab.ca), **options}
    return Protocol(url or lab.https, transport=transport, **options)


def run(protocol: Protocol, line: str, stdin: bytes | None = None) -> tuple[bytes, bytes, int]:
    """One command in a shell of its own, as Ansible and testinfra do it."""
    shell = protocol.open_shell(codepage=65001)
    command = protocol.run_command(shell, line, console_mode_stdin=stdin is None)
    if stdin is not None:
        protocol.send_command_input(shell, command, stdin, end=True)
    output: tuple[bytes, bytes, int] = protocol.get_command_output(shell, command)
    protocol.cleanup_command(shell, command)
    protocol.close_shell(shell)
    return output


def events(lab: LabHost, kind: str) -> list[dict[str, Any]]:
    entries = map(json.loads, lab.journal.path.read_text(encoding="utf-8").splitlines())
    return [entry for entry in entries if entry["event"] == kind]


# -- pywinrm --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scheme", "transport", "options"),
    [
        ("https", "basic", {}),
        ("https", "ssl", {}),
        ("https", "ntlm", {}),
        ("https", "ntlm", {"send_cbt": False}),
        ("https", "ntlm", {"message_encryption": "always"}),
        ("http", "ntlm", {}),
        ("http", "ntlm", {"username": f"LINUX\\{USER}"}),
        ("http", "ntlm", {"username": f".\\{USER}"}),
    ],
)
def test_pywinrm_runs_a_command(lab: LabHost, scheme: str, transport: str, options: dict[str, Any]) -> None:
    stdin = bytes(range(256)) * 700
    protocol = client(lab, getattr(lab, scheme), transport, **options)
    assert run(protocol, "cat; echo erreur >&2; exit 3", stdin) == (stdin, b"erreur\n", 3)


def test_a_session_with_one_command_is_five_requests(lab: LabHost) -> None:
    run(client(lab), "echo un; echo deux")
    counters = lab.journal.counters()
    assert counters["actions"] == {"Create": 1, "Command": 1, "Receive": 1, "Signal": 1, "Delete": 1}
    assert counters["requests"] == counters["authenticated_requests"] == 5
    assert counters["body_bytes"] == counters["soap_bytes"] < 10_000


def test_ntlm_over_http_adds_three_requests_of_which_one_is_authenticated(lab: LabHost) -> None:
    run(client(lab, lab.http, "ntlm"), "true")
    counters = lab.journal.counters()
    assert (counters["requests"], counters["authenticated_requests"]) == (8, 6)
    assert counters["body_bytes"] > counters["soap_bytes"] > 0


def test_output_larger_than_the_clients_envelope_comes_in_parts(lab: LabHost) -> None:
    stdout, _, code = run(client(lab, lab.http, "ntlm"), "head -c 1000000 /dev/zero")
    assert (len(stdout), code) == (1_000_000, 0)
    assert lab.journal.counters()["actions"]["Receive"] >= 9


def test_environment_and_working_directory_of_a_shell(lab: LabHost, tmp_path: Path) -> None:
    protocol = client(lab)
    shell = protocol.open_shell(working_directory=str(tmp_path), env_vars={"LAB": "là"}, codepage=65001)
    command = protocol.run_command(shell, "echo", ["$LAB;", "pwd"])
    assert protocol.get_command_output(shell, command)[0].decode().split() == ["là", str(tmp_path)]


def test_a_slow_command_makes_receive_time_out_and_goes_on(lab: LabHost) -> None:
    protocol = client(lab, operation_timeout_sec=1, read_timeout_sec=5)
    shell = protocol.open_shell()
    command = protocol.run_command(shell, "sleep 1.3; echo fini")
    with pytest.raises(WinRMOperationTimeoutError):
        protocol.get_command_output_raw(shell, command)
    assert protocol.get_command_output(shell, command) == (b"fini\n", b"", 0)


def test_terminate_ends_the_process(lab: LabHost) -> None:
    protocol = client(lab)
    shell = protocol.open_shell()
    command = protocol.run_command(shell, "sleep 60")
    protocol.cleanup_command(shell, command)
    with pytest.raises(WSManFaultError) as refusal:
        protocol.get_command_output_raw(shell, command)
    assert refusal.value.wsman_fault_code == INVALID
    ended = [entry for entry in events(lab, "command") if entry["state"] == "ended"]
    assert ended[-1]["exit_code"] is None


def test_a_full_pipe_times_the_send_out_then_says_busy(lab: LabHost) -> None:
    protocol = client(lab, operation_timeout_sec=1, read_timeout_sec=5)
    shell = protocol.open_shell()
    command = protocol.run_command(shell, "sleep 60", console_mode_stdin=False)
    with pytest.raises(WinRMOperationTimeoutError):
        protocol.send_command_input(shell, command, b"x" * 200_000)
    with pytest.raises(WSManFaultError) as refusal:
        protocol.send_command_input(shell, command, b"x")
    assert refusal.value.wsman_fault_code == BUSY
    protocol.cleanup_command(shell, command)


def test_input_after_its_end_or_after_the_process_is_refused(lab: LabHost) -> None:
    protocol = client(lab)
    shell = protocol.open_shell()
    command = protocol.run_command(shell, "cat")
    protocol.send_command_input(shell, command, b"", end=True)
    with pytest.raises(WSManFaultError) as refusal:
        protocol.send_command_input(shell, command, b"x")
    assert refusal.value.wsman_fault_code == PIPE_CLOSED


def test_console_input_ends_at_control_z_and_piped_input_does_not(lab: LabHost) -> None:
    protocol = client(lab)
    shell = protocol.open_shell()
    for console, expected in ((True, b"avant"), (False, b"avant\x1aapres")):
        command = protocol.run_command(shell, "cat", console_mode_stdin=console)
        protocol.send_command_input(shell, command, b"avant\x1aapres", end=True)
        assert protocol.get_command_output(shell, command) == (expected, b"", 0)


def test_a_line_over_8191_characters_is_refused_as_cmd_does_it(lab: LabHost) -> None:
    assert run(client(lab), "echo " + "a" * 8186)[2] == 0
    stdout, stderr, code = run(client(lab), "echo " + "a" * 8187)
    assert (stdout, code) == (b"", 1)
    assert stderr.decode() == "La ligne de commande est trop longue.\r\n"


def test_quota_of_commands_is_given_back_by_a_new_shell_only(lab: LabHost) -> None:
    protocol = client(lab)
    shell = protocol.open_shell()
    for _ in range(25):
        protocol.cleanup_command(shell, protocol.run_command(shell, "true"))
    with pytest.raises(WSManFaultError) as refusal:
        protocol.run_command(shell, "true")
    assert refusal.value.wmierror_code == 0x803381A6
    protocol.close_shell(shell)
    assert run(protocol, "true")[2] == 0


def test_quota_of_shells_is_per_user(lab: LabHost) -> None:
    protocol = client(lab)
    shells = [protocol.open_shell() for _ in range(30)]
    with pytest.raises(WSManFaultError) as refusal:
        protocol.open_shell()
    assert refusal.value.wsman_fault_code == 0x803381A5
    protocol.close_shell(shells[0], close_session=False)
    assert protocol.open_shell()


def test_idle_shells_are_closed(lab: LabHost) -> None:
    protocol = client(lab)
    idle = protocol.open_shell(idle_timeout="PT0.1S")
    time.sleep(0.2)
    protocol.open_shell()
    with pytest.raises(WSManFaultError) as refusal:
        protocol.run_command(idle, "true")
    assert refusal.value.wsman_fault_code == SHELL_GONE


def test_many_clients_at_once(lab: LabHost) -> None:
    results: list[tuple[bytes, bytes, int]] = []

    def one(number: int) -> None:
        protocol = client(lab, lab.http if number % 2 else lab.https, "ntlm")
        results.append(run(protocol, f"cat; exit {number}", b"%d" % number))

    threads = [threading.Thread(target=one, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results, key=lambda result: result[2]) == [(b"%d" % n, b"", n) for n in range(20)]


# -- logins ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("scheme", "transport"), [("https", "basic"), ("https", "ntlm"), ("http", "ntlm")])
@pytest.mark.parametrize("wrong", [{"password": "faux"}, {"username": "inconnu"}])
def test_a_wrong_login_is_refused_once_and_journalled(
    lab: LabHost, scheme: str, transport: str, wrong: dict[str, str]
) -> None:
    before = len(events(lab, "login"))
    with pytest.raises(InvalidCredentialsError):
        client(lab, getattr(lab, scheme), transport, **wrong).open_shell()
    (login,) = events(lab, "login")[before:]
    assert (login["accepted"], login["user"]) == (False, wrong.get("username", USER))
    assert lab.journal.counters()["refused_logins"] == 1
    assert lab.journal.counters()["authenticated_requests"] == 0


def test_ten_refused_logins_lock_the_account(lab: LabHost) -> None:
    for _ in range(10):
        with pytest.raises(InvalidCredentialsError):
            client(lab, password="faux").open_shell()
    with pytest.raises(InvalidCredentialsError):
        client(lab).open_shell()
    assert events(lab, "login")[-1]["locked"]
    lab.host.accounts.unlock()
    assert client(lab).open_shell()


def test_basic_over_plain_http_is_refused(lab: LabHost) -> None:
    with pytest.raises(InvalidCredentialsError):
        client(lab, lab.http, "basic").open_shell()
    answer = requests.post(lab.http, timeout=5)
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Negotiate")
    answer = requests.post(lab.https, timeout=5, verify=str(lab.ca))
    assert answer.headers["WWW-Authenticate"] == 'Negotiate, Basic realm="WSMAN"'


def test_allow_unencrypted_opens_basic_and_plain_messages(tmp_path: Path) -> None:
    with serve(tmp_path, allow_unencrypted=True) as lab:
        assert run(client(lab, lab.http, "basic"), "true")[2] == 0
        assert run(client(lab, lab.http, "ntlm", message_encryption="never"), "true")[2] == 0


def test_a_plain_message_after_ntlm_over_http_is_refused(lab: LabHost) -> None:
    with pytest.raises(WinRMTransportError) as refusal:
        client(lab, lab.http, "ntlm", message_encryption="never").open_shell()
    assert refusal.value.code == 500


def test_spnego_wrapped_ntlm_with_sealing(lab: LabHost) -> None:
    """As Windows clients and pypsrp log in: the NTLM messages are inside SPNEGO."""
    context = spnego.client(
        USER, PASSWORD, protocol="negotiate", options=spnego.NegotiateOptions.use_negotiate
    )
    session = requests.Session()
    token = context.step()
    answer: requests.Response | None = None
    while token:
        header = {"Authorization": "Negotiate " + base64.b64encode(token).decode()}
        answer = session.post(lab.http, headers=header, timeout=5)
        challenge = answer.headers.get("WWW-Authenticate", "").removeprefix("Negotiate").strip()
        token = context.step(base64.b64decode(challenge)) if answer.status_code == 401 else None
    assert answer is not None
    assert answer.status_code == 200
    sealed = context.wrap_winrm(envelope("Create", body="<rsp:Shell/>"))
    boundary = b"--Encrypted Boundary"
    length = len(envelope("Create", body="<rsp:Shell/>"))
    message = (
        boundary
        + b"\r\n\tContent-Type: application/HTTP-SPNEGO-session-encrypted\r\n"
        + b"\tOriginalContent: type=application/soap+xml;charset=UTF-8;Length=%d\r\n" % length
        + boundary
        + b"\r\n\tContent-Type: application/octet-stream\r\n"
        + len(sealed.header).to_bytes(4, "little")
        + sealed.header
        + sealed.data
        + boundary
        + b"--\r\n"
    )
    answer = session.post(lab.http, data=message, headers={"Content-Type": ENCRYPTED_TYPE}, timeout=5)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == ENCRYPTED_TYPE
    tampered = message.replace(sealed.data[:8], b"\0" * 8)
    answer = session.post(lab.http, data=tampered, headers={"Content-Type": ENCRYPTED_TYPE}, timeout=5)
    assert answer.status_code == 400


def test_a_certificate_of_another_authority_is_refused_by_clients(lab: LabHost, tmp_path: Path) -> None:
    with serve(tmp_path) as other, pytest.raises(requests.exceptions.SSLError):
        client(lab, other.https).open_shell()
    deadline = time.monotonic() + 10
    while not events(other, "tls"):  # the server writes it down once the client has hung up
        assert time.monotonic() < deadline
        time.sleep(0.02)
    context = ssl.create_default_context(cafile=str(lab.ca))
    with (
        socket.create_connection(("127.0.0.1", lab.https_port), 5) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secure,
    ):
        assert secure.version() == "TLSv1.3"


# -- by hand: what no polite client sends ---------------------------------------------------------------


def envelope(action: str, body: str = "", **changes: str) -> bytes:
    """A request as pywinrm writes it; `changes` replace header values, "" leaves the header out."""
    uri = f"{TRANSFER}/{action}" if action in ("Create", "Delete") else f"{SHELL}/{action}"
    header = {
        "a:To": "http://windows-host:5985/wsman",
        "a:ReplyTo": "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous",
        "w:MaxEnvelopeSize": "153600",
        "a:MessageID": f"uuid:{uuid.uuid4()}",
        "w:OperationTimeout": "PT5S",
        "w:ResourceURI": f"{SHELL}/cmd",
        "a:Action": uri,
        "shell": str(uuid.uuid4()),
    }
    for name, value in changes.items():
        (key,) = [key for key in header if key.rpartition(":")[2] == name]
        header[key] = value
    shell = header.pop("shell")
    reply_to = header.pop("a:ReplyTo")
    parts = [f"<{key}>{value}</{key}>" for key, value in header.items() if value]
    parts.append(f"<a:ReplyTo><a:Address>{reply_to}</a:Address></a:ReplyTo>")
    parts.append(
        f'<w:SelectorSet><w:Selector Name="ShellId">{shell}</w:Selector></w:SelectorSet>' * bool(shell)
    )
    return (
        '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" '
        'xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" '
        'xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd" '
        f'xmlns:rsp="{SHELL}"><s:Header>{"".join(parts)}</s:Header><s:Body>{body}</s:Body></s:Envelope>'
    ).encode()


def post(lab: LabHost, data: bytes, **headers: str) -> requests.Response:
    return requests.post(
        lab.https,
        data=data,
        headers={"Content-Type": "application/soap+xml;charset=UTF-8", **headers},
        auth=HTTPBasicAuth(USER.encode(), PASSWORD.encode()),
        verify=str(lab.ca),
        timeout=5,
    )


def fault_of(answer: requests.Response) -> int:
    """The code of the WSManFault that an answer carries."""
    assert answer.status_code == 500
    root = ElementTree.fromstring(answer.content)  # noqa: S314 (our own server)
    fault = root.find(f".//{{{FAULT}}}WSManFault")
    assert fault is not None
    return int(fault.attrib["Code"])


COMMAND = "<rsp:CommandLine><rsp:Command>true</rsp:Command></rsp:CommandLine>"


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (b"<pas du xml", 2150858817),
        (b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>', 2150858817),
        (envelope("Create", MessageID=""), 2150858769),
        (envelope("Create", ReplyTo="http://ailleurs/"), 2150858769),
        (envelope("Create", Action="http://schemas.xmlsoap.org/ws/2004/09/transfer/Get"), 2150858753),
        (envelope("Create", ResourceURI="http://schemas.microsoft.com/powershell/x"), 2150858752),
        (envelope("Create", OperationTimeout="20"), 2150858881),
        (envelope("Create", MaxEnvelopeSize="100"), 2150858878),
        (envelope("Create", body="<rsp:Autre/>"), 2150858817),
        (envelope("Command", COMMAND), SHELL_GONE),
        (envelope("Command", "<rsp:CommandLine/>"), INVALID),
        (envelope("Command", COMMAND, shell=""), 2150858842),
        (envelope("Delete"), SHELL_GONE),
        (envelope("Signal", f"<rsp:Signal CommandId='{uuid.uuid4()}'/>"), SHELL_GONE),
        (
            envelope("Create", "<rsp:Shell/>").replace(
                b"<a:To>", b'<a:Neuf s:mustUnderstand="true">1</a:Neuf><a:To>'
            ),
            2150858768,
        ),
    ],
)
def test_what_windows_refuses_is_refused(lab: LabHost, request_: bytes, code: int) -> None:
    answer = post(lab, request_)
    assert fault_of(answer) == code
    assert answer.headers["Content-Type"] == "application/soap+xml;charset=UTF-8"


def test_faults_and_replies_relate_to_their_request(lab: LabHost) -> None:
    for request in (
        envelope("Create", "<rsp:Shell/>", MessageID="uuid:UN"),
        envelope("Delete", MessageID="uuid:UN"),
    ):
        reply = ElementTree.fromstring(post(lab, request).content)  # noqa: S314 (our own server)
        assert reply.findtext(f".//{{{ADDRESSING}}}RelatesTo") == "uuid:UN"


def test_an_unknown_command_of_a_known_shell_is_refused(lab: LabHost) -> None:
    shell = client(lab).open_shell()
    unknown = str(uuid.uuid4())
    stream = f"<rsp:Stream Name='stdin' CommandId='{unknown}'>YQ==</rsp:Stream>"
    desired = f"<rsp:DesiredStream CommandId='{unknown}'>stdout</rsp:DesiredStream>"
    assert fault_of(post(lab, envelope("Send", f"<rsp:Send>{stream}</rsp:Send>", shell=shell))) == INVALID
    receive = envelope("Receive", f"<rsp:Receive>{desired}</rsp:Receive>", shell=shell)
    assert fault_of(post(lab, receive)) == INVALID


def test_an_envelope_over_500_kb_is_answered_413_without_a_body(lab: LabHost) -> None:
    padding = f"<!--{'x' * 512_000}-->"
    answer = post(lab, envelope("Create", "<rsp:Shell/>" + padding))
    assert (answer.status_code, answer.content) == (413, b"")
    fitting = envelope("Create", "<rsp:Shell/>" + "<!---->" * ((512_000 - 2000) // 7))
    assert post(lab, fitting).status_code == 200
    protocol = client(lab, lab.http, "ntlm")
    shell = protocol.open_shell()
    command = protocol.run_command(shell, "cat")
    with pytest.raises(WinRMTransportError) as refusal:
        protocol.send_command_input(shell, command, b"x" * 384_000)
    assert refusal.value.code == 413


def test_http_around_wsman_is_strict(lab: LabHost) -> None:
    assert requests.get(lab.http, timeout=5).status_code == 405
    assert requests.post(lab.http.replace("wsman", "autre"), timeout=5).status_code == 404
    assert post(lab, b"<x/>", **{"Content-Type": "text/xml"}).status_code == 415
    answer = post(lab, envelope("Create", "<rsp:Shell/>"))
    assert answer.headers["Server"] == "Microsoft-HTTPAPI/2.0"
    assert abs(parsedate_to_datetime(answer.headers["Date"]).timestamp() - time.time()) < 3


# -- armed faults ---------------------------------------------------------------------------------------


def test_a_delivery_is_cut_after_so_many_bytes(lab: LabHost) -> None:
    lab.faults.arm(Fault("cut", after_bytes=250_000))
    protocol = client(lab, lab.http, "ntlm")
    shell = protocol.open_shell()
    command = protocol.run_command(shell, "cat >/dev/null", console_mode_stdin=False)
    protocol.send_command_input(shell, command, b"x" * 100_000)
    protocol.send_command_input(shell, command, b"x" * 100_000)
    with pytest.raises(requests.exceptions.ConnectionError):
        protocol.send_command_input(shell, command, b"x" * 100_000)
    assert not lab.faults.armed()
    # The journal's line follows the cut, which the client may notice before it is written.
    deadline = time.monotonic() + 60
    while events(lab, "request")[-1]["status"] and time.monotonic() < deadline:
        time.sleep(0.02)
    assert events(lab, "request")[-1]["status"] == 0
    assert run(client(lab), "true")[2] == 0  # struck once


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_nth_request_of_a_kind_is_cut(lab: LabHost, scheme: str) -> None:
    lab.faults.arm(Fault("cut", on="Create", nth=2, times=2))
    protocol = client(lab, getattr(lab, scheme), "ntlm")
    assert run(protocol, "true")[2] == 0
    for _ in range(2):
        with pytest.raises(requests.exceptions.ConnectionError):
            client(lab, getattr(lab, scheme), "ntlm").open_shell()
    assert run(client(lab, getattr(lab, scheme), "ntlm"), "true")[2] == 0


def test_a_lost_reply_leaves_the_work_done(lab: LabHost, tmp_path: Path) -> None:
    lab.faults.arm(Fault("cut-reply"))
    protocol = client(lab)
    shell = protocol.open_shell()
    with pytest.raises(requests.exceptions.ConnectionError):
        protocol.run_command(shell, f"touch {tmp_path}/fait")
    deadline = time.monotonic() + 5
    while not (tmp_path / "fait").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert (tmp_path / "fait").exists()


def test_refusals_and_delays(lab: LabHost) -> None:
    for fault, code in ((Fault("500"), 500), (Fault("503"), 503)):
        lab.faults.arm(fault)
        with pytest.raises(WinRMTransportError) as refusal:
            client(lab).open_shell()
        assert refusal.value.code == code
    lab.faults.arm(Fault("401"))
    with pytest.raises(InvalidCredentialsError):
        client(lab).open_shell()
    lab.faults.arm(Fault("delay", seconds=2.5))
    with pytest.raises(requests.exceptions.ReadTimeout):
        client(lab, operation_timeout_sec=1, read_timeout_sec=2).open_shell()


def test_quota_faults(lab: LabHost) -> None:
    lab.faults.arm(Fault("quota"))
    lab.faults.arm(Fault("shells"))
    protocol = client(lab)
    with pytest.raises(WSManFaultError) as refusal:
        protocol.open_shell()
    assert refusal.value.wsman_fault_code == 0x803381A5
    shell = protocol.open_shell()
    with pytest.raises(WSManFaultError) as refusal:
        protocol.run_command(shell, "true")
    assert refusal.value.wmierror_code == 0x803381A6
    assert protocol.run_command(shell, "true")


def test_a_killed_command_says_so_by_its_exit_code(lab: LabHost) -> None:
    lab.faults.arm(Fault("kill"))
    assert run(client(lab), "sleep 60")[2] != 0


def test_input_is_corrupted_or_truncated(lab: LabHost) -> None:
    lab.faults.arm(Fault("corrupt"))
    assert run(client(lab), "cat", b"abc")[0] == b"`bc"
    lab.faults.arm(Fault("truncate", times=1))
    assert run(client(lab), "cat", b"abc")[0] == b""
    assert run(client(lab), "cat", b"abc")[0] == b"abc"


def test_a_wrong_clock(lab: LabHost) -> None:
    lab.faults.clock_offset = -3600
    answer = requests.post(lab.http, timeout=5)
    assert abs(parsedate_to_datetime(answer.headers["Date"]).timestamp() + 3600 - time.time()) < 3


@pytest.mark.parametrize(
    "values",
    [
        {"kind": "inconnu"},
        {"kind": "cut", "on": "Get"},
        {"kind": "cut", "nth": 0},
        {"kind": "cut", "autre": 1},
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w+"):
        Fault.from_mapping(values)


# -- journal --------------------------------------------------------------------------------------------


def test_the_journal_names_commands_and_never_input_or_passwords(lab: LabHost) -> None:
    run(client(lab), "cat >/dev/null", b"SECRET-7")
    text = lab.journal.path.read_text(encoding="utf-8")
    assert "SECRET-7" not in text
    assert base64.b64encode(b"SECRET-7").decode() not in text
    assert PASSWORD not in text
    last = [entry for entry in events(lab, "command") if entry["state"] == "ended"][-1]
    assert (last["line"], last["exit_code"], last["stdin"]) == ("cat >/dev/null", 0, 8)
    for line in text.splitlines():
        assert lab.journal.host in describe(line)


def test_ntlm_messages_are_told_apart() -> None:
    token = spnego.client(USER, PASSWORD, protocol="ntlm").step()
    assert token is not None
    assert (ntlm_type(token), ntlm_type(b""), ntlm_type(b"\x60rien")) == (1, 0, 0)


def test_limits_are_those_of_windows() -> None:
    limits = Limits()
    assert (limits.envelope, limits.shells_per_user, limits.processes_per_shell) == (512_000, 30, 25)
