"""The two halves of the lab together: pywinrm, WS-Man, Wine; and nothing of it left after `down`."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.addresses import address
from winrm.protocol import Protocol

from windows_lab import daemon
from windows_lab.control import Control, running_pid

pytestmark = [pytest.mark.lab, pytest.mark.slow]

CHECKOUT = Path(__file__).resolve().parents[3]
ADDRESS = address()
USER, PASSWORD = "technicien", "secret"
INVENTORY = f"""\
prosecours_clients:
  children:
    ferme:
      hosts:
        ferme-srv:
          ansible_host: {ADDRESS}
          ansible_user: {USER}
          ansible_password: {PASSWORD}
          lab_drives: [D]
"""


def lab(state: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    verb, *rest = arguments
    command = [sys.executable, "-m", "windows_lab", verb, "--state", str(state), *rest]
    variables = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("lab")
    (folder / "inventory.yml").write_text(INVENTORY)
    state = folder / "state"
    result = lab(state, "up", "--inventory", str(folder / "inventory.yml"))
    assert result.returncode == 0, result
    yield state
    lab(state, "down")


@pytest.fixture(params=["http", "https"])
def protocol(state: Path, request: pytest.FixtureRequest) -> Protocol:
    port = {"http": 5985, "https": 5986}[request.param]
    return Protocol(
        f"{request.param}://{ADDRESS}:{port}/wsman",
        transport="ntlm",
        username=USER,
        password=PASSWORD,
        ca_trust_path=str(state / "ca.pem"),
    )


def run(protocol: Protocol, line: str, stdin: bytes | None = None) -> tuple[bytes, bytes, int]:
    shell = protocol.open_shell(codepage=65001)
    command = protocol.run_command(shell, line, console_mode_stdin=stdin is None)
    if stdin is not None:
        for start in range(0, len(stdin), 200_000):
            part = stdin[start : start + 200_000]
            protocol.send_command_input(shell, command, part, end=start + 200_000 >= len(stdin))
    output: tuple[bytes, bytes, int] = protocol.get_command_output(shell, command)
    protocol.cleanup_command(shell, command)
    protocol.close_shell(shell)
    return output


def test_output_errors_and_exit_codes(protocol: Protocol) -> None:
    stdout, stderr, code = run(protocol, "echo sortie& echo erreur 1>&2& exit 7")
    assert (stdout.strip(), stderr.strip(), code) == (b"sortie", b"erreur", 7)


def test_accents_and_quotes(protocol: Protocol) -> None:
    line = r'mkdir "D:\Élevage & cultures" 2>nul & dir /b D:\ '
    assert "Élevage & cultures" in run(protocol, line)[0].decode()


def test_input_reaches_programs_byte_for_byte(protocol: Protocol, tmp_path: Path) -> None:
    """Through tar on standard input, as the binary is delivered, and certutil's hash."""
    content = bytes(range(256)) * 4000 + b"\x1a\r\n\n" * 1000
    (tmp_path / "donnees.bin").write_bytes(content)
    archive = subprocess.run(
        ["tar", "-czf", "-", "-C", str(tmp_path), "donnees.bin"], capture_output=True, check=True
    ).stdout
    assert run(protocol, r"tar -xzf - -C D:\ ".strip(), archive)[2] == 0
    stdout, _, code = run(protocol, r"certutil -hashfile D:\donnees.bin SHA256")
    assert code == 0
    hashes = re.findall(rb"(?m)^[0-9a-f]{64}\r?$", stdout)
    assert [value.strip().decode() for value in hashes] == [hashlib.sha256(content).hexdigest()]


def test_terminate_ends_a_program_that_waits_for_input(protocol: Protocol) -> None:
    shell = protocol.open_shell()
    command = protocol.run_command(shell, "more", console_mode_stdin=False)
    protocol.cleanup_command(shell, command)
    protocol.close_shell(shell)


def test_a_killed_daemon_leaves_nothing_after_down(state: Path) -> None:
    assert lab(state, "run", "ferme-srv", r"echo comptes>D:\gardes.txt").returncode == 0
    pid = running_pid(state)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert lab(state, "down").returncode == 0  # what it has to end may have ended by itself
    assert daemon._owned(state) == []
    inventory = str(state.parent / "inventory.yml")
    result = lab(state, "up", "--inventory", inventory)
    assert result.returncode == 0, result
    assert lab(state, "run", "ferme-srv", r"if exist D:\gardes.txt exit 5").returncode == 5
    assert Control(state).ask("status")["hosts"][0]["name"] == "ferme-srv"
