"""The collection's session over Ansible's own winrm connection, against the lab's server and its faults."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.playbook.play_context import PlayContext
from ansible.plugins.loader import connection_loader
from ansible_collections.prosecours.backup.plugins.plugin_utils.windows import session
from ansible_collections.prosecours.backup.plugins.plugin_utils.windows.winrm import WinRMSession
from lab.linux_machine import PASSWORD, USER, LabHost, serve

from windows_lab.winrm.faults import Fault
from windows_lab.winrm.shells import Limits


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[LabHost]:
    with serve(tmp_path) as host:
        yield host


def connect(lab: LabHost, **options: Any) -> tuple[WinRMSession, Any]:
    """A session, and the connection to close."""
    connection = connection_loader.get("ansible.builtin.winrm", PlayContext(), os.devnull)
    extras = {
        "ansible_winrm_server_cert_validation": "validate",
        "ansible_winrm_ca_trust_path": str(lab.ca),
        **options.pop("extras", {}),
    }
    direct = {
        "remote_addr": "127.0.0.1",
        "remote_user": USER,
        "remote_password": PASSWORD,
        "port": lab.https_port,
        "transport": ["ntlm"],
        **options,
    }
    connection.set_options(direct=direct, var_options={"_extras": extras})
    return WinRMSession(connection, "moulin-srv1"), connection


@pytest.mark.parametrize("transport", ["ntlm", "basic"])
def test_bytes_go_in_and_come_out_untouched(lab: LabHost, transport: str) -> None:
    opened, connection = connect(lab, transport=[transport])
    data = bytes(range(256)) * 4000
    output = opened.run("cat; echo oups >&2; exit 7", stdin=[data[:10], data[10:]])
    connection.close()
    assert output == session.Output(7, data, b"oups\n")


def test_messages_are_encrypted_over_plain_http(lab: LabHost) -> None:
    port = int(lab.http.rsplit(":", 1)[1].split("/")[0])
    opened, connection = connect(lab, port=port, scheme="http")
    assert opened.run("printf é; cat", stdin=[b"!" * 300_000]).stdout == "é".encode() + b"!" * 300_000
    connection.close()


def test_one_question_is_five_requests(lab: LabHost) -> None:
    before = lab.journal.counters()["authenticated_requests"]
    opened, connection = connect(lab)
    assert opened.run("echo").exit_code == 0
    connection.close()
    assert lab.journal.counters()["authenticated_requests"] - before == 5


def test_the_clock_is_known_after_the_first_command(lab: LabHost) -> None:
    lab.faults.clock_offset = -400.0
    opened, connection = connect(lab)
    assert opened.clock_offset is None
    opened.run("true")
    connection.close()
    assert opened.clock_offset == pytest.approx(-400, abs=2)


def test_a_command_that_hangs_is_stopped_in_time(lab: LabHost) -> None:
    opened, connection = connect(lab)
    begin = time.monotonic()
    with pytest.raises(session.TimedOut) as caught:
        opened.run("echo so far; sleep 60", timeout=2)
    assert time.monotonic() - begin < 5
    assert caught.value.partial.stdout == b"so far\n"
    assert opened.run("echo on we go").stdout == b"on we go\n"
    connection.close()


def test_a_command_that_reads_no_input_tells_its_exit_code(lab: LabHost) -> None:
    opened, connection = connect(lab)
    assert opened.run("exit 3", stdin=[b"x" * 1_000_000]).exit_code == 3
    connection.close()


def test_a_used_up_shell_is_renewed_once(lab: LabHost) -> None:
    opened, connection = connect(lab)
    lab.faults.arm(Fault("quota"))
    assert opened.run("echo on").stdout == b"on\n"
    lab.faults.arm(Fault("quota"))
    with pytest.raises(session.QuotaExceeded, match="MaxProcessesPerShell"):
        opened.run("echo on")
    connection.close()


@pytest.mark.parametrize("kind", ["cut", "cut-reply"])
@pytest.mark.parametrize("action", ["Command", "Send", "Receive"])
def test_a_cut_connection_is_said_and_no_login_is_tried_again(lab: LabHost, kind: str, action: str) -> None:
    opened, _ = connect(lab)
    logins = lab.journal.counters()["refused_logins"]
    lab.faults.arm(Fault(kind, on=action))
    with pytest.raises(
        session.ConnectionLost, match=r"^moulin-srv1: the connection to 127.0.0.1 port \d+ broke"
    ):
        opened.run("cat", stdin=[b"x" * 600_000])
    assert lab.journal.counters()["refused_logins"] == logins


@pytest.mark.parametrize(
    ("options", "kind", "says"),
    [
        ({"remote_password": "faux"}, session.LoginRefused, "ansible_password"),
        ({"port": 1}, session.Unreachable, "ansible_port"),
        ({"remote_addr": "no.such.host.invalid"}, session.Unreachable, "ansible_host"),
        (
            {"extras": {"ansible_winrm_ca_trust_path": None}},
            session.CertificateRefused,
            "ansible_winrm_ca_trust_path",
        ),
    ],
)
def test_what_prevents_a_login_is_one_sentence(
    lab: LabHost, options: dict[str, Any], kind: type[session.SessionError], says: str
) -> None:
    with pytest.raises(kind) as caught:
        connect(lab, **options)
    assert says in caught.value.remedy
    assert "\n" not in str(caught.value)
    assert lab.journal.counters()["refused_logins"] <= 1


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault("401"), session.LoginRefused),
        (Fault("shells"), session.QuotaExceeded),
        (Fault("503", on="Create"), session.ProtocolFault),
        (Fault("500", on="Create"), session.ProtocolFault),
    ],
)
def test_a_host_on_a_bad_day_is_named(lab: LabHost, fault: Fault, kind: type[session.SessionError]) -> None:
    lab.faults.arm(fault)
    with pytest.raises(kind):
        connect(lab)


def test_a_busy_shell_limit_is_a_quota(tmp_path: Path) -> None:
    with serve(tmp_path, limits=Limits(shells_per_user=1)) as lab:
        _, connection = connect(lab)
        with pytest.raises(session.QuotaExceeded, match="MaxShellsPerUser"):
            connect(lab)
        connection.close()
