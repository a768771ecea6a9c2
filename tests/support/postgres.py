"""A PostgreSQL of the tests' own: a real server, in a folder and at a loopback address that nobody else has.

It refuses to run as root, and then runs as Debian's user `postgres`. What is asked of it here goes through
psql, and so through nothing of the collection.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.addresses import address
from support.playbook import CHECKOUT
from windows_lab.certificates import Authority

SCHEMA = CHECKOUT / "schemas" / "journal.sql"
PASSWORDS = {"martin": "mot-de-passe-1", "durand": "mot-de-passe-2", "nobody": "mot-de-passe-3"}
"""Technicians' logins, members of prosecours_writer but for the last."""
PROGRAMS = max(
    Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name), default=Path()
)


@dataclass
class Server:
    """Started and stopped as often as a test likes; its data stay."""

    folder: Path
    authority: Authority
    """Of its certificate."""
    host: str = field(default_factory=address)
    """A loopback address that no other test has; the port is PostgreSQL's own."""
    process: subprocess.Popen[bytes] | None = None
    _count: int = 0

    def create(self) -> None:
        assert PROGRAMS.name, "PostgreSQL is not installed: tools/setup tests"
        if os.getuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
        encoded = ["-E", "UTF8", "--locale=C", "--no-sync"]
        login = ["-U", "postgres", "--auth-local=trust", "--auth-host=scram-sha-256"]
        certificate, key = self.authority.issue("postgres", [self.host])
        for path, name in ((certificate, "server.crt"), (key, "server.key")):
            shutil.copy(path, self.folder / name)
            if os.getuid() == 0:
                shutil.chown(self.folder / name, "postgres", "postgres")
        (self.folder / "server.key").chmod(0o600)
        self._run("initdb", "-D", str(self.folder / "data"), *encoded, *login)

    def start(self) -> None:
        settings = {
            "listen_addresses": self.host,
            "unix_socket_directories": str(self.folder),
            "fsync": "off",
            "ssl": "on",
            "ssl_cert_file": str(self.folder / "server.crt"),
            "ssl_key_file": str(self.folder / "server.key"),
        }
        words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(PROGRAMS / "postgres"), "-D", str(self.folder / "data"), *words],
                stdout=log,
                stderr=log,
                **self._user(),
            )
        end = time.monotonic() + 30
        while self._psql("postgres", "-c", "SELECT").returncode:
            assert time.monotonic() < end, (self.folder / "log").read_text("utf-8")
            time.sleep(0.05)

    def stop(self) -> None:
        if self.process:
            self.process.send_signal(signal.SIGINT)  # the connections that there are end, too
            self.process.wait(30)
            self.process = None

    def database(self, schema: bool = True) -> Database:
        """A new one, with the technicians' logins and, as the documents say, the tables."""
        self._count += 1
        made = Database(self, f"prosecours{self._count}")
        self.ask("postgres", f"CREATE DATABASE {made.name}")
        if schema:
            made.apply()
        if schema:
            made.ask("GRANT prosecours_writer TO martin, durand")
        return made

    def ask(self, database: str, sql: str) -> list[str]:
        """The lines of an answer to the server's administrator."""
        done = self._psql(database, "-c", sql)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    def _psql(self, database: str, *words: str, user: str = "postgres") -> subprocess.CompletedProcess[str]:
        place = ["-h", str(self.folder), "-U", user, "-d", database]
        return subprocess.run(
            [str(PROGRAMS / "psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", *place, *words],
            capture_output=True,
            text=True,
            check=False,
        )

    def _run(self, program: str, *words: str) -> None:
        done = subprocess.run(
            [str(PROGRAMS / program), *words], capture_output=True, text=True, check=False, **self._user()
        )
        assert done.returncode == 0, done.stderr

    def _user(self) -> dict[str, Any]:
        own = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.getuid() == 0 else {}
        return {"cwd": self.folder, **own}


@dataclass(frozen=True)
class Database:
    """One of the server's."""

    server: Server
    name: str

    def address(self, user: str = "martin") -> str:
        return f"postgresql://{user}@{self.server.host}/{self.name}"

    def passwords(self, folder: Path) -> Path:
        """A password file of libpq for all logins."""
        path = folder / "pgpass"
        path.write_text("".join(f"*:*:*:{name}:{word}\n" for name, word in PASSWORDS.items()), "utf-8")
        path.chmod(0o600)
        return path

    def apply(self) -> None:
        """schemas/journal.sql, as its own comment says."""
        done = self.server._psql(self.name, "--single-transaction", "-f", str(SCHEMA))
        assert done.returncode == 0, done.stderr

    def ask(self, sql: str) -> list[str]:
        return self.server.ask(self.name, sql)

    def attempt(self, user: str, sql: str) -> str:
        """What the server says to another login's statement; empty if it carried it out."""
        return self.server._psql(self.name, "-c", sql, user=user).stderr

    def lines(self, table: str = "journal") -> list[bytes]:
        """Those of a table, in order."""
        query = "SELECT encode(line, 'hex') FROM prosecours.{} ORDER BY number"
        return [bytes.fromhex(line) for line in self.ask(query.format(table))]

    def writers(self, table: str) -> set[str]:
        """The logins that the database noted."""
        query = "SELECT DISTINCT stored_by FROM prosecours.{}"
        return set(self.ask(query.format(table)))


@contextmanager
def running() -> Iterator[Server]:
    folder = Path(tempfile.mkdtemp(prefix="prosecours-postgres-"))  # pytest's own may be closed to its user
    secrets = Path(tempfile.mkdtemp(prefix="prosecours-authority-"))
    server = Server(folder, Authority(secrets))
    try:
        server.create()
        server.start()
        for name, password in PASSWORDS.items():
            server.ask("postgres", f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)
        shutil.rmtree(secrets)
