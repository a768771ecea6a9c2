"""Processes that write in the same moment."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable


def write_at_once(program: str, arguments: Iterable[Iterable[str]]) -> None:
    """Run a Python program once with each of the arguments. It prints "ready", waits for a line and begins:
    all stand ready before the first does."""
    running = [
        subprocess.Popen(
            [sys.executable, "-c", program, *each],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        for each in arguments
    ]
    for one in running:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    for one in running:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    for one in running:
        one.communicate(timeout=120)
        assert one.returncode == 0
