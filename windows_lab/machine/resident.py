"""Processes inside a Wine prefix, started through resident.exe (forwarder/resident.c says the protocol).

Standard streams are named pipes of Linux that Wine opens itself, so bytes pass untouched.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import socket
import struct
import subprocess
import tempfile
import threading
import time
import zlib
from collections.abc import Mapping
from pathlib import Path

from windows_lab.errors import LabError
from windows_lab.machine.protocol import NotStarted
from windows_lab.machine.template import environment, program

_STARTED, _REFUSED, _ENDED = range(3)
_CHUNK = 65536
_PIPE = 1 << 20  # bytes that a pipe holds; Linux's F_SETPIPE_SZ
_F_SETPIPE_SZ = 1031
_LINGER = 1.0  # seconds that output of children may still follow the end of their parent
START_LIMIT = 120.0  # seconds; the first process boots the prefix, on a machine that may start 50 of them


def _processor(prefix: Path) -> int:
    """The one processor of a prefix. Wine's processes ask wineserver for nearly everything and wait for its
    answer: from one processor to another that costs an interrupt each time, and half of the whole time."""
    ours = sorted(os.sched_getaffinity(0))
    return ours[zlib.crc32(os.fsencode(prefix)) % len(ours)]


class WineProcess:
    """One process; implements `protocol.Process`. Made by Resident.start."""

    def __init__(self, resident: Resident, number: int, folder: Path) -> None:
        self.number = number
        self._resident = resident
        self._code: int | None = None
        self._over: float | None = None  # monotonic time of the end
        self._finished = False
        self.ready = threading.Event()
        self.refused: int | None = None
        self._ended = os.eventfd(0, os.EFD_NONBLOCK)
        self._sending = threading.Lock()
        self._ending = threading.Lock()
        self.paths = [folder / f"{number}.{stream}" for stream in ("in", "out", "err")]
        for path in self.paths:
            os.mkfifo(path, 0o600)
        # Both ends: Wine's own opening must not wait for the other side.
        self._input = os.open(self.paths[0], os.O_RDWR | os.O_NONBLOCK)
        self._streams = {
            os.open(path, os.O_RDONLY | os.O_NONBLOCK): name
            for path, name in zip(self.paths[1:], ("stdout", "stderr"), strict=True)
        }

    def opened(self) -> None:
        """Wine holds its ends of the pipes: keep only the own ones, so that both sides see when one goes."""
        both = self._input
        try:
            self._input = os.open(self.paths[0], os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # already over
            self._input = -1
        os.close(both)
        for path in self.paths:
            path.unlink(missing_ok=True)
        if self._input >= 0:
            with contextlib.suppress(
                OSError
            ):  # the user's share of pipe memory is used up: the default will do
                fcntl.fcntl(self._input, _F_SETPIPE_SZ, _PIPE)

    def ended(self, code: int) -> None:
        """The resident's word that the process has ended."""
        # Who reads may see the end and close everything at any moment: the event goes before, or not at all.
        with self._ending:
            self._code = code
            self._over = time.monotonic()
            if not self._finished:
                os.eventfd_write(self._ended, 1)

    def send(self, data: bytes, end: bool) -> None:
        with self._sending:
            if self._input < 0:
                if data:
                    raise BrokenPipeError("standard input is closed")
                return
            view = memoryview(data)
            while view:
                try:
                    view = view[os.write(self._input, view) :]
                except BlockingIOError:
                    select.select([self._ended], [self._input], [], 5.0)
                    if self._code is not None:
                        raise BrokenPipeError("the process has ended") from None
            if end:
                os.close(self._input)
                self._input = -1

    def receive(self, timeout: float) -> tuple[list[tuple[str, bytes]], int | None]:
        if self._finished:
            return [], self._code
        deadline = time.monotonic() + timeout
        while True:
            chunks = self._read(max(0.0, deadline - time.monotonic()))
            if self._over is not None and (not self._streams or (not chunks and self._lingered())):
                self._finish()
                return chunks, self._code
            if chunks or time.monotonic() >= deadline:
                return chunks, None

    def terminate(self) -> None:
        if self._code is None:
            self._resident.terminate(self.number)

    def terminate_first(self) -> None:
        if self._code is None:
            self._resident.terminate(self.number, children=False)

    def discard(self) -> None:
        """Frees what a process that never started holds."""
        for path in self.paths:
            path.unlink(missing_ok=True)
        self._finish()

    def _lingered(self) -> bool:
        return self._over is not None and time.monotonic() - self._over > _LINGER

    def _read(self, timeout: float) -> list[tuple[str, bytes]]:
        poll = select.poll()
        for stream in self._streams:
            poll.register(stream, select.POLLIN)
        if self._over is None:
            poll.register(self._ended, select.POLLIN)
        else:
            timeout = min(timeout, _LINGER)
        chunks = []
        for stream, _ in poll.poll(timeout * 1000):
            if stream == self._ended:
                continue
            try:
                data = os.read(stream, _CHUNK)
            except BlockingIOError:
                continue
            if data:
                chunks.append((self._streams[stream], data))
            else:
                os.close(stream)
                del self._streams[stream]
        return chunks

    def _finish(self) -> None:
        with self._sending, self._ending:
            self._finished = True
            if self._input >= 0:
                os.close(self._input)
                self._input = -1
            for stream in (*self._streams, self._ended):
                os.close(stream)
            self._streams.clear()


class Resident:
    """resident.exe of one prefix, with a console of one code page. Raises LabError when Wine fails."""

    def __init__(self, prefix: Path, codepage: int) -> None:
        self._folder = tempfile.TemporaryDirectory(
            prefix="streams-", dir=prefix.parent, ignore_cleanup_errors=True
        )
        self._lock = threading.Lock()
        self._processes: dict[int, WineProcess] = {}
        self._count = 0
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(START_LIMIT)
            port = server.getsockname()[1]
            with Path(os.devnull).open("r+b") as nothing:
                self._launcher = subprocess.Popen(
                    ["taskset", "--cpu-list", str(_processor(prefix)),
                     program("wine64"), r"C:\windows\system32\lab.exe", str(port), str(codepage)],
                    env=environment(prefix), cwd=prefix, stdin=nothing, stdout=nothing, stderr=nothing,
                    start_new_session=True,
                )  # fmt: skip
            try:
                self._socket, _ = server.accept()
            except TimeoutError:
                self._launcher.kill()
                raise LabError(f"Wine did not start within {START_LIMIT:.0f} s in {prefix}.") from None
        self._launcher.wait()
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=self._listen, daemon=True).start()

    def start(self, line: str, cwd: str, variables: Mapping[str, str]) -> WineProcess:
        """Starts a command line (CreateProcess). Raises NotStarted; LabError when Wine is gone."""
        with self._lock:
            self._count += 1
            number = self._count
            process = self._processes[number] = WineProcess(self, number, Path(self._folder.name))
        block = "".join(
            f"{name}={value}\0" for name, value in sorted(variables.items(), key=lambda v: v[0].upper())
        )
        paths = [f"\\\\?\\unix{path}".replace("/", "\\") for path in process.paths]
        try:
            self._send(b"S", number, "\0".join([line, cwd, *paths, block + "\0"]))
        except OSError as error:
            raise LabError(f"Wine of {self._folder.name} is gone: {error}") from None
        if process.ready.wait(START_LIMIT) and process.refused is None:
            return process
        with self._lock:
            self._processes.pop(number, None)
        process.discard()
        if process.refused is None:
            raise LabError(f"Wine did not start within {START_LIMIT:.0f} s: {line[:80]}")
        raise NotStarted(process.refused, line[:80])

    def terminate(self, number: int, children: bool = True) -> None:
        """Ends a process, with its children or without."""
        self._send(b"T" if children else b"F", number, "")

    def close(self) -> None:
        """Ends resident.exe; what it started goes with the prefix."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(
                socket.SHUT_RDWR
            )  # else the listening thread might go on with another socket
        self._socket.close()
        self._folder.cleanup()

    def _send(self, verb: bytes, number: int, text: str) -> None:
        body = struct.pack("<II", verb[0], number) + text.encode("utf-16-le", "surrogatepass")
        with self._lock:
            self._socket.sendall(struct.pack("<I", len(body)) + body)

    def _listen(self) -> None:
        while message := self._message():
            number, kind, value = message
            with self._lock:
                process = self._processes.get(number) if kind != _ENDED else self._processes.pop(number, None)
            if process is None:
                continue
            try:
                self._tell(process, kind, value)
            except OSError:  # its streams are closed already: nobody waits for it any more
                process.terminate()
        with self._lock:
            lost, self._processes = self._processes, {}
        for process in lost.values():
            process.ended(1)
            process.ready.set()

    @staticmethod
    def _tell(process: WineProcess, kind: int, value: int) -> None:
        if kind == _ENDED:
            process.ended(value)
            return
        if kind == _REFUSED:
            process.refused = value
        else:
            process.opened()
        process.ready.set()

    def _message(self) -> tuple[int, int, int] | None:
        data = b""
        while len(data) < 12:
            try:
                part = self._socket.recv(12 - len(data))
            except OSError:
                return None
            if not part:
                return None
            data += part
        number, kind, value = struct.unpack("<III", data)
        return number, kind, value
