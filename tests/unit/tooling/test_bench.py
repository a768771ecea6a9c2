"""The benchmark's machines: one recorded host speaks for all."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from bench.machines import RECORDED, RECORDING, SETTINGS, Replay, Swallow


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Replay:
    monkeypatch.setenv(RECORDING, str(tmp_path))
    printed = (
        f"##abc1:name\r\n{RECORDED} https://{RECORDED}/\r\n".encode()
        + RECORDED.encode("utf-16-le")
        + b"##abc1:"
    )
    entry = {
        "line": f"echo ##abc1:name&type {RECORDED}.txt >abc1.txt",
        "stdout": base64.b64encode(printed).decode(),
        "stderr": "",
        "exit_code": 3,
        "input": False,
    }
    (tmp_path / "0000.json").write_text(json.dumps(entry), "utf-8")
    (tmp_path / SETTINGS).write_text(json.dumps({"name": RECORDED, "url": f"https://{RECORDED}/"}), "utf-8")
    return Replay("bench-42", tmp_path, {"url": "https://other/"}, {})


def test_a_recorded_command_is_answered_under_the_hosts_own_name(machine: Replay) -> None:
    process = machine.start("echo ##f00:name&type bench-42.txt >f00.txt", None, {})
    chunks, exit_code = process.receive(1)
    assert exit_code == 3
    text = b"##f00:name\r\nbench-42 https://other/\r\n" + "bench-42".encode("utf-16-le") + b"##f00:"
    assert chunks == [("stdout", text)]


def test_what_was_never_recorded_fails(machine: Replay) -> None:
    chunks, exit_code = machine.start("ver", None, {}).receive(1)
    assert (chunks, exit_code) == ([("stderr", b"never recorded: ver")], 1)


def test_the_swallower_waits_for_the_end_of_its_input(tmp_path: Path) -> None:
    process = Swallow("a", tmp_path, {}, {}).start("powershell", None, {})
    process.send(b"x" * 100, False)
    assert process.receive(0.01) == ([], None)
    process.send(b"", True)
    assert process.receive(0.01)[1] == 0
