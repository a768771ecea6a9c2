"""The server spoken to by Ansible's own winrm connection and by testinfra's winrm backend."""

from __future__ import annotations

import os
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import testinfra
from ansible.errors import AnsibleConnectionFailure
from ansible.playbook.play_context import PlayContext
from ansible.plugins.loader import connection_loader
from lab.linux_machine import PASSWORD, USER, LabHost, serve

from windows_lab.winrm.faults import Fault

# What exec_command starts; it shows that standard input and the exit code make the whole way.
POWERSHELL = '#!/bin/sh\ncat\necho "arguments: $#" >&2\nexit 4\n'


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabHost]:
    with serve(tmp_path_factory.mktemp("host")) as host:
        yield host


def connection(url: str, transport: str, **extra: Any) -> Any:
    """Ansible's winrm connection, with options as inventory variables would set them."""
    address = urllib.parse.urlsplit(url)
    plugin = connection_loader.get("ansible.builtin.winrm", PlayContext(), os.devnull)
    plugin.set_options(
        direct={
            "remote_addr": address.hostname,
            "port": address.port,
            "scheme": address.scheme,
            "remote_user": USER,
            "remote_password": PASSWORD,
            "transport": [transport],
            "connection_timeout": 5,
            **extra,
        },
        var_options={"_extras": {"ansible_winrm_server_cert_validation": "ignore"}},
    )
    return plugin


@pytest.mark.parametrize(
    ("scheme", "transport"), [("http", "ntlm"), ("https", "ntlm"), ("https", "ssl"), ("https", "basic")]
)
def test_ansible_winrm_connection(
    lab: LabHost, scheme: str, transport: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    powershell = tmp_path / "powershell"
    powershell.write_text(POWERSHELL)
    powershell.chmod(0o755)
    (tmp_path / "PowerShell").symlink_to(powershell)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    plugin = connection(getattr(lab, scheme), transport)
    data = b"entr\xc3\xa9e " * 60_000  # several Send requests
    code, stdout, stderr = plugin.exec_command("Write-Output 1", in_data=data, sudoable=False)
    assert (code, stdout) == (4, data)
    assert stderr.startswith(b"arguments: ")
    plugin.close()
    assert lab.host.shells.count() == 0


def test_ansible_recreates_the_shell_when_its_quota_is_used_up(lab: LabHost) -> None:
    plugin = connection(lab.http, "ntlm")
    plugin._connect()
    first = plugin.shell_id
    lab.faults.arm(Fault("quota"))
    assert plugin._winrm_exec("echo", ("un",))[:2] == (0, b"un\n")
    assert plugin.shell_id != first
    plugin.close()


def test_ansible_is_told_of_a_wrong_password(lab: LabHost) -> None:
    with pytest.raises(AnsibleConnectionFailure, match="credentials were rejected"):
        connection(lab.http, "ntlm", remote_password="faux")._connect()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_testinfra_winrm_backend(lab: LabHost, scheme: str) -> None:
    address = urllib.parse.urlsplit(getattr(lab, scheme))
    secret = urllib.parse.quote(PASSWORD, safe="")
    flag = "no_ssl=true" if scheme == "http" else "no_verify_ssl=true"
    host = testinfra.get_host(f"winrm://{USER}:{secret}@{address.netloc}?{flag}")
    result = host.run("echo sortie; echo erreur >&2; exit 5")
    assert (result.rc, result.stdout, result.stderr) == (5, "sortie\n", "erreur\n")
