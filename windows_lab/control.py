"""The control socket between command line and daemon: a Unix socket in the state folder, JSON lines.

One connection is one request, ``{"verb": ..., ...}``. The daemon answers with any number of
``{"progress": text}`` or ``{"stdout"|"stderr": base64}`` lines, and ends with ``{"result": ...}``
or ``{"error": sentence}``.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import socket
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from windows_lab.errors import LabError

NOT_RUNNING = "The lab is not running: start it with `python -m windows_lab up`."


@contextlib.contextmanager
def socket_address(state: Path) -> Iterator[str]:
    """A path of the control socket that is short enough, however deep the state folder lies."""
    folder = os.open(state, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/control"
    finally:
        os.close(folder)


def running_pid(state: Path) -> int | None:
    """The daemon of this state folder, by the lock that it holds while it lives; None when there is none."""
    try:
        lock = (state / "daemon.lock").open("rb")
    except FileNotFoundError:
        return None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)  # two who ask are not in each other's way
        except BlockingIOError:
            return int(lock.read() or 0) or None
    return None


class Control:
    """The client's side; also for tests: ``Control(state).ask("fault", host="moulin-srv1", kind="cut")``."""

    def __init__(self, state: Path) -> None:
        self._state = state

    def ask(
        self,
        verb: str,
        *,
        progress: Callable[[str], None] | None = None,
        output: Callable[[str, bytes], None] | None = None,
        patience: float | None = None,
        **arguments: Any,
    ) -> Any:
        """Does one thing and returns its result. Raises LabError with the daemon's sentence, or when it says
        nothing for `patience` seconds (None: for ever)."""
        if not self._state.is_dir():
            raise LabError(NOT_RUNNING)
        with socket.socket(socket.AF_UNIX) as connection:
            try:
                with socket_address(self._state) as address:
                    connection.connect(address)
            except OSError:
                raise LabError(NOT_RUNNING) from None
            connection.settimeout(patience)
            connection.sendall(json.dumps({"verb": verb, **arguments}).encode() + b"\n")
            with connection.makefile("rb") as answers:
                try:
                    return _final(answers, progress, output)
                except TimeoutError:
                    raise LabError(f"The daemon of the lab did not answer within {patience:.0f} s.") from None


def _final(
    lines: Iterable[bytes],
    progress: Callable[[str], None] | None,
    output: Callable[[str, bytes], None] | None,
) -> Any:
    for line in lines:
        answer = json.loads(line)
        match answer:
            case {"result": result}:
                return result
            case {"error": sentence}:
                raise LabError(sentence)
            case {"progress": text} if progress:
                progress(text)
            case {"stdout": data} | {"stderr": data} if output:
                output(next(iter(answer)), base64.b64decode(data))
    raise LabError("The daemon of the lab ended in the middle of an answer; its daemon.log says why.")
