"""What the verifiers look through: a server over WinRM, and its repository with a Linux restic.

None of this is code under test: the server is reached by testinfra's own winrm backend, the repository by
restic itself, the inventory is resolved by stock Ansible when the scenario is created. Loaded by molecule as
a pytest plugin, and usable from a shell as `python molecule/shared/verifier.py HOST LINE` to run one line.

Environment: PROSECOURS_SERVERS (what `create` wrote: the resolved variables of each server),
REQUESTS_CA_BUNDLE (the authority of the servers and of the repository), PROSECOURS_RESTIC (a Linux restic,
else from PATH).
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import testinfra

AGENT = r"C:\Program Files\ProSecours"
TASK = r"\ProSecours\Sauvegarde"
TASK_NAMESPACE = {"t": "http://schemas.microsoft.com/windows/2004/02/mit/task"}


def resolved_inventory() -> dict[str, dict[str, Any]]:
    """Return the variables of every server of the scenario, as Ansible resolved them at `create`."""
    variables: dict[str, dict[str, Any]] = json.loads(
        Path(os.environ["PROSECOURS_SERVERS"]).read_text("utf-8")
    )
    return variables


@dataclass(frozen=True)
class Result:
    """What one line left."""

    rc: int
    stdout: str
    stderr: str
    stdout_bytes: bytes


def _text(data: bytes) -> str:
    """testinfra opens shells of code page 437, in which Windows answers; a file that is typed is UTF-8."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp437")


@dataclass(frozen=True)
class Server:
    """One Windows server of the scenario, seen over WinRM."""

    name: str
    variables: dict[str, Any]

    @cached_property
    def backend(self) -> Any:
        """A testinfra host; TLS is checked against the authority in REQUESTS_CA_BUNDLE."""
        login = quote(self.variables["ansible_user"], safe="")
        password = quote(self.variables["ansible_password"], safe="")
        address = f"{self.variables['ansible_host']}:{self.variables.get('ansible_port', 5986)}"
        return testinfra.get_host(f"winrm://{login}:{password}@{address}")

    def run(self, line: str) -> Result:
        """Run one line of cmd.exe."""
        done = self.backend.run(line)
        return Result(done.rc, _text(done.stdout_bytes), _text(done.stderr_bytes), done.stdout_bytes)

    def expect(self, line: str) -> str:
        """Run one line that has to succeed and return its text."""
        result = self.run(line)
        assert result.rc == 0, f"{self.name}: {line}: exit {result.rc}: {result.stdout}{result.stderr}"
        return str(result.stdout)

    def sha256(self, path: str) -> str:
        """Return the SHA-256 of a file, as the server's own certutil computes it."""
        digest = _digest(self.expect(f'certutil -hashfile "{path}" SHA256'))
        assert digest, path
        return digest

    def hashes(self, directory: str) -> dict[str, str]:
        """Return the SHA-256 of each file right in a directory, by name."""
        listing = self.expect(
            f'cd /d "{directory}"&for %f in (*) do @(echo ##%f&certutil -hashfile "%f" SHA256)'
        )
        blocks = listing.split("##")[1:]
        return {block.splitlines()[0].strip(): _digest(block) for block in blocks}

    def files(self, directory: str) -> list[str]:
        """Return the full paths of all files below a directory."""
        return [line for line in self.expect(f'dir /s /b /a-d "{directory}"').splitlines() if line]

    def sddl(self, path: str) -> str:
        """Return the discretionary ACL of one file or folder, in SDDL."""
        (acl,) = self._saved(path).values()
        return acl

    def rights(self, directory: str) -> dict[str, str]:
        """Return the discretionary ACL of each file and folder right in a directory, by name."""
        return self._saved(f"{directory}\\*")

    def _saved(self, path: str) -> dict[str, str]:
        saved = r"%TEMP%\verifier.acl"
        raw = self.run(
            f'icacls "{path}" /save "{saved}" /c /q >nul & type "{saved}" & del "{saved}"'
        ).stdout_bytes
        lines = raw.decode("utf-16-le").split("\r\n")
        return dict(zip(lines[::2], lines[1::2], strict=False))

    def task(self) -> ElementTree.Element:
        """Return the registered task, as Windows itself writes it."""
        text = self.expect(f'schtasks /query /tn "{TASK}" /xml')
        return ElementTree.fromstring(text[text.index("<Task") :])  # noqa: S314 (the scenario's own server)

    def status(self) -> dict[str, Any]:
        """Return the status file that the last backup left."""
        content: dict[str, Any] = json.loads(self.expect(f'type "{AGENT}\\status.json"'))
        return content


def _digest(certutil: str) -> str:
    """The line of 64 hex digits; older Windows puts spaces between bytes, and hashes no empty file: ""."""
    lines = [re.sub(r"\s", "", line) for line in certutil.splitlines()]
    return next((line.lower() for line in lines if re.fullmatch(r"[0-9a-fA-F]{64}", line)), "")


@dataclass(frozen=True)
class Repository:
    """A server's repository, read with a Linux restic and the server's own password."""

    server: str
    variables: dict[str, Any]
    restic: str = os.environ.get("PROSECOURS_RESTIC", "restic")

    def run(self, *arguments: str) -> str:
        """Run restic on the repository; it has to succeed."""
        environment = os.environ | {
            "RESTIC_REPOSITORY": f"rest:{self.address()}",
            "RESTIC_REST_USERNAME": self.server,
            "RESTIC_REST_PASSWORD": self.variables["prosecours_repository_password"],
            "RESTIC_PASSWORD": self.variables["prosecours_encryption_password"],
            "RESTIC_CACERT": os.environ["REQUESTS_CA_BUNDLE"],
        }
        done = subprocess.run(
            [self.restic, "--no-cache", *arguments],
            env=environment,
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"restic {arguments[0]}: exit {done.returncode}: {done.stderr}"
        return done.stdout

    def snapshots(self) -> list[dict[str, Any]]:
        """Return all snapshots, oldest first."""
        found: list[dict[str, Any]] = json.loads(self.run("snapshots", "--json"))
        return sorted(found, key=lambda snapshot: snapshot["time"])

    def address(self) -> str:
        """Return the repository's URL without restic's prefix and without credentials."""
        return f"{self.variables['prosecours_repository_url'].removeprefix('rest:')}{self.server}/"


@pytest.fixture(scope="session")
def servers() -> dict[str, Server]:
    """All servers of the scenario by inventory name."""
    return {name: Server(name, variables) for name, variables in resolved_inventory().items()}


@pytest.fixture(scope="session")
def server(servers: dict[str, Server]) -> Server:
    """The scenario's first server."""
    return next(iter(servers.values()))


@pytest.fixture(scope="session")
def repository(server: Server) -> Repository:
    """The repository of the scenario's first server."""
    return Repository(server.name, server.variables)


@pytest.fixture(scope="session")
def restored(repository: Repository, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Restore the newest snapshot into a fresh folder; below it stand `<drive letter>/<path>`."""
    target = tmp_path_factory.mktemp("restored")
    repository.run("restore", "latest", "--target", str(target), "--verify")
    return target


def main(arguments: list[str]) -> int:
    """Run one line on one server and print what it printed."""
    name, line = arguments
    result = Server(name, resolved_inventory()[name]).run(line)
    sys.stdout.write(result.stdout)
    sys.stderr.write(result.stderr)
    return int(result.rc)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
