"""One Wine host for the tests of the lab's Windows half, and how to run a command on it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import NamedTuple

from windows_lab.machine.protocol import UTF8
from windows_lab.server import WindowsServer

LIMIT = 60.0  # seconds for one command


class Answer(NamedTuple):
    """What a command left."""

    code: int
    out: bytes
    err: bytes

    @property
    def text(self) -> str:
        """Standard output, as WinRM's code page has it."""
        return self.out.decode("utf-8")


def run(
    machine: WindowsServer,
    line: str,
    stdin: bytes = b"",
    environment: Mapping[str, str] | None = None,
    codepage: int = UTF8,
) -> Answer:
    """Runs ``cmd.exe /c <line>`` to its end."""
    process = machine.start(line, None, environment or {}, codepage)
    process.send(stdin, True)
    parts: dict[str, bytes] = {"stdout": b"", "stderr": b""}
    deadline = time.monotonic() + LIMIT
    code = None
    while code is None:
        chunks, code = process.receive(1.0)
        for name, data in chunks:
            parts[name] += data
        if time.monotonic() > deadline:
            process.terminate()
            raise AssertionError(f"{line} did not end; it printed {parts}")
    return Answer(code, parts["stdout"], parts["stderr"])
