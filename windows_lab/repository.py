"""The repositories of a client: a real rest-server, one each, as on a repository host of the provider.

TLS, append-only, a private repository and a bcrypt password for each server. They can be stopped, started
and filled (--max-size).
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import bcrypt

from windows_lab.certificates import Authority
from windows_lab.errors import LabError
from windows_lab.inventory import RepositorySpec

ENVIRONMENT = "PROSECOURS_REST_SERVER"
START_SECONDS = 10.0


def find_program(given: str | None = None) -> Path:
    """The rest-server program: given, from the environment, on PATH, or by this Python. Raises LabError."""
    named = given or os.environ.get(ENVIRONMENT)
    found = shutil.which(named or "rest-server")
    if named is None and found is None:
        found = shutil.which("rest-server", path=str(Path(sys.executable).parent))
    if found is None:
        where = f"{named} cannot be run" if named else "there is none on PATH"
        raise LabError(f"The lab needs rest-server, but {where}: set {ENVIRONMENT} to the program.")
    return Path(found).resolve()


class Repository:
    """One rest-server. Password file and log live in `folder`, the repositories of the client in `data`."""

    def __init__(
        self, spec: RepositorySpec, folder: Path, data: Path, authority: Authority, program: Path
    ) -> None:
        self.spec = spec
        self.folder = folder
        self.data = data
        self.max_size: int | None = None  # bytes, None: no limit
        self._authority = authority
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Of the running server, None when it is down."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> None:
        """Starts it and waits until it listens. Raises LabError with one sentence."""
        if self.pid is not None:
            return
        spec = self.spec
        for folder in (self.folder, self.data):
            folder.mkdir(parents=True, exist_ok=True)
        _refuse_taken(spec)
        certificate, key = self._authority.issue(f"repository-{spec.client}", [spec.host])
        arguments = [
            str(self._program),
            *("--path", str(self.data)),
            *("--listen", f"{spec.host}:{spec.port}"),
            *("--tls", "--tls-cert", str(certificate), "--tls-key", str(key)),
            "--append-only",
            "--private-repos",
            *("--htpasswd-file", str(self._password_file())),
        ]
        if self.max_size is not None:
            arguments += ["--max-size", str(self.max_size)]
        with (self.folder / "rest-server.log").open("ab") as log:
            self._process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while not _listens(spec):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                lines = (self.folder / "rest-server.log").read_text(errors="replace").strip().splitlines()
                reason = lines[-1] if lines else "it said nothing"
                raise LabError(f"The rest-server of client {spec.client} did not start: {reason}")
            time.sleep(0.02)

    def stop(self) -> None:
        """Ends it; a repository that is down refuses connections."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def limit(self, max_size: int | None) -> None:
        """Starts it anew with this limit in bytes; one below `size` makes a full repository."""
        self.stop()
        self.max_size = max_size
        self.start()

    def size(self) -> int:
        """Bytes of all its files."""
        return sum(path.stat().st_size for path in self.data.rglob("*") if path.is_file())

    def _password_file(self) -> Path:
        path = self.folder / "htpasswd"
        # The lowest cost that bcrypt has: the lab guards nothing, and rest-server checks it at every request.
        lines = [
            f"{name}:{bcrypt.hashpw(password.encode(), bcrypt.gensalt(rounds=4)).decode()}\n"
            for name, password in self.spec.logins.items()
        ]
        path.write_text("".join(lines), encoding="utf-8")
        return path


def _listens(spec: RepositorySpec) -> bool:
    try:
        socket.create_connection((spec.host, spec.port), 1).close()
    except OSError:
        return False
    return True


def _refuse_taken(spec: RepositorySpec) -> None:
    try:
        with socket.create_server((spec.host, spec.port)):
            pass
    except OSError as problem:
        reason = os.strerror(problem.errno) if problem.errno else problem.strerror
        raise LabError(
            f"The repository of client {spec.client} cannot listen on {spec.host}:{spec.port} "
            f"({reason}): stop what uses it, or change prosecours_repository_url."
        ) from None
