"""A lab host whose commands are run by /bin/sh: the network half of the lab is tested without Wine."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from windows_lab.certificates import Authority
from windows_lab.winrm.authentication import Accounts
from windows_lab.winrm.faults import Faults
from windows_lab.winrm.journal import Journal
from windows_lab.winrm.shells import Limits, Shells
from windows_lab.winrm.wsman import Host, Listener

USER, PASSWORD = "Administrateur", "mot:de passe é!"


class LinuxProcess:
    """One /bin/sh, its two outputs gathered in one queue."""

    def __init__(self, line: str, cwd: str | None, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", line],
            cwd=cwd,
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._chunks: queue.Queue[tuple[str, bytes]] = queue.Queue()
        self._readers = [
            threading.Thread(target=self._read, args=(name, stream), daemon=True)
            for name, stream in (("stdout", self._process.stdout), ("stderr", self._process.stderr))
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, name: str, stream: IO[bytes]) -> None:
        while data := os.read(stream.fileno(), 65536):
            self._chunks.put((name, data))
        self._chunks.put((name, b""))

    def send(self, data: bytes, end: bool) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(data)
        self._process.stdin.flush()
        if end:
            self._process.stdin.close()

    def receive(self, timeout: float) -> tuple[list[tuple[str, bytes]], int | None]:
        deadline = time.monotonic() + timeout
        chunks: list[tuple[str, bytes]] = []
        while not chunks and (any(reader.is_alive() for reader in self._readers) or not self._chunks.empty()):
            try:
                name, data = self._chunks.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                return [], None
            if data:
                chunks.append((name, data))
        if chunks:
            return chunks, None
        return [], self._process.wait()

    def terminate(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)


class LinuxMachine:
    """The machine protocol of the lab."""

    def __init__(
        self,
        name: str = "linux",
        folder: Path | None = None,
        settings: dict[str, Any] | None = None,
        users: dict[str, str] | None = None,
    ) -> None:
        self.name = name
        self.users = users or {USER: PASSWORD}
        self.free_bytes: int | None = None
        self._now = datetime(2026, 1, 5, 12, tzinfo=UTC)

    def prepare(self) -> None:
        """Nothing to make."""

    def close(self) -> None:
        """Nothing runs."""

    def now(self) -> datetime:
        return self._now

    def advance(self, to: datetime) -> None:
        self._now = to

    def tasks(self) -> list[dict[str, Any]]:
        return []

    def limit_disk(self, free_bytes: int | None) -> None:
        self.free_bytes = free_bytes

    def start(
        self, line: str, cwd: str | None, environment: dict[str, str], codepage: int = 65001
    ) -> LinuxProcess:
        return LinuxProcess(line, cwd, environment)


@dataclass
class LabHost:
    """A running host with ports that the system chose."""

    host: Host
    http: str  # URL of the plain endpoint
    https: str
    https_port: int
    ca: Path

    @property
    def journal(self) -> Journal:
        return self.host.journal

    @property
    def faults(self) -> Faults:
        return self.host.faults


@contextmanager
def serve(
    folder: Path, *, limits: Limits | None = None, allow_unencrypted: bool = False
) -> Iterator[LabHost]:
    """The two listeners of a host on 127.0.0.1."""
    machine = LinuxMachine()
    limits = limits or Limits()
    journal = Journal(machine.name, folder / "journal.jsonl")
    accounts = Accounts(machine.name, machine.users, folder / "users")
    shells = Shells(machine, journal, "127.0.0.1", limits)
    host = Host(machine.name, accounts, shells, journal, Faults(), limits, allow_unencrypted)
    authority = Authority(folder)
    plain = Listener(host, ("127.0.0.1", 0), None)
    secure = Listener(host, ("127.0.0.1", 0), authority.server_context("linux", ["127.0.0.1", "localhost"]))
    for listener in (plain, secure):
        listener.start()
    try:
        yield LabHost(
            host,
            f"http://127.0.0.1:{plain.server_address[1]}/wsman",
            f"https://127.0.0.1:{secure.server_address[1]}/wsman",
            secure.server_address[1],
            authority.certificate_path,
        )
    finally:
        plain.stop()
        secure.stop()
        shells.close()
        journal.close()
