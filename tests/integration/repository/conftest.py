"""Repository hosts on this machine: the role runs over ansible_connection=local, in folders of its own.

Where the tests run as root each client has its own system user, as on a real host.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from ansible_collections.prosecours.backup.plugins.plugin_utils import binaries
from support import inventory
from support.addresses import address
from support.playbook import Played, play

ADDRESS = address()
TWO = "ferme_du_val"
"""The client that has two servers."""
SUPERVISORCTL = Path(sys.executable).with_name("supervisorctl")


@dataclass(frozen=True)
class Client:
    """What lies on a server of a client: all that an attacker there has."""

    name: str
    port: int
    password: str
    encryption: str
    server: str

    @property
    def url(self) -> str:
        return f"https://{ADDRESS}:{self.port}/{self.server}/"


@dataclass
class Depot:
    """One repository host with its inventory."""

    folder: Path
    clients: dict[str, Client] = field(default_factory=dict)

    @property
    def ca(self) -> Path:
        return self.folder / "ca.pem"

    def data(self, name: str) -> Path:
        return self.folder / "data" / name

    def config(self, name: str) -> Path:
        return self.folder / "config" / name

    def add(
        self, name: str, subscribed_gb: int = 1, password: str = "", port: int = 0, host: str = ""
    ) -> Client:
        """Write (or write anew) a client's file; the port stays."""
        known = self.clients.get(name)
        port = port or (known.port if known else free_port())
        client = self.server(name, f"{name}-srv", port, password)
        own = {"prosecours_root": "D:\\", "prosecours_software": ["isapawp"]}
        hosts = {client.server: {**own, "prosecours_repository_password": client.password}}
        if name == TWO:
            hosts[f"{name}-sql"] = own
        content = inventory.client(
            name,
            f"rest:https://{ADDRESS}:{port}/",
            hosts,
            prosecours_contract_reference=f"contract-of-{name}",
            prosecours_subscribed_gb=subscribed_gb,
            prosecours_repository_ca=inventory.read_when_asked(self.ca, errors="ignore"),
            **({"prosecours_repository_host": host} if host else {}),
        )
        inventory.write(self.folder / "inventory" / "clients" / f"{name}.yml", content)
        self.clients[name] = client
        return client

    @staticmethod
    def server(name: str, server: str, port: int, password: str = "") -> Client:
        """What lies on a server, with the passwords that the inventory makes of its name."""
        return Client(name, port, password or f"repository-of-{server}", f"encryption-of-{server}", server)

    def describe(self, name: str, folder: Path) -> None:
        """Write a host's file: it has a disk of its own, and shares the programs."""
        content = inventory.repository_host(
            folder,
            name,
            ansible_become=os.geteuid() == 0,
            prosecours_repository_program=f"{self.folder}/bin/rest-server",
            prosecours_repository_address=ADDRESS,
            prosecours_repository_supervisord=str(SUPERVISORCTL.with_name("supervisord")),
            prosecours_repository_ca_file=f"{folder}/ca.pem",
        )
        inventory.write(self.folder / "inventory" / f"{name}.yml", content)

    def add_host(self) -> None:
        """From now on there are two hosts, and each client has to name its own."""
        (self.folder / "west").mkdir(mode=0o755)
        self.describe("west", self.folder / "west")

    def forget(self, name: str) -> None:
        """Take a client out of the inventory, as at the end of a contract."""
        (self.folder / "inventory" / "clients" / f"{name}.yml").unlink()

    def play(self, *arguments: str, playbook: str = "repository", diff: bool = True) -> Played:
        return play(self.folder / "inventory", playbook, *(["--diff"] if diff else []), *arguments)

    def brought_up(self, *arguments: str) -> Played:
        played = self.play(*arguments)
        assert played.code == 0, played.output
        return played

    def left_alone(self, *arguments: str) -> None:
        """A run that finds nothing to change."""
        played = self.brought_up(*arguments)
        assert (played.counters("depot")["changed"], played.changes) == (0, []), played.output

    def pids(self) -> dict[str, int]:
        """client -> pid of its running instance."""
        found = {}
        for entry in Path("/proc").iterdir():
            try:
                line = (entry / "cmdline").read_bytes().decode().split("\0")
            except OSError:
                continue
            if line[0] == f"{self.folder}/bin/rest-server":
                found[Path(line[line.index("--path") + 1]).name] = int(entry.name)
        return found

    def restic(
        self, client: Client, *arguments: str, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """The real restic, over TLS, with what lies on the client's server."""
        return run_restic(*arguments, **self.environment(client))

    def environment(self, client: Client) -> dict[str, str]:
        """restic's."""
        return {
            "RESTIC_REPOSITORY": f"rest:{client.url}",
            "RESTIC_REST_USERNAME": client.server,
            "RESTIC_REST_PASSWORD": client.password,
            "RESTIC_PASSWORD": client.encryption,
            "RESTIC_CACERT": str(self.ca),
        }

    def local_restic(self, client: Client, *arguments: str) -> str:
        """The same on the host's own disk, past rest-server; it has to succeed."""
        repository = str(self.data(client.name) / client.server)
        done = run_restic(*arguments, RESTIC_REPOSITORY=repository, RESTIC_PASSWORD=client.encryption)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def end(self) -> None:
        """Stop what the role started, and forget the users that it made."""
        for control in self.folder.rglob(".supervisor/supervisord.conf"):
            subprocess.run([SUPERVISORCTL, "-c", control, "shutdown"], capture_output=True, check=False)
        deadline = time.monotonic() + 60
        while self.pids() and time.monotonic() < deadline:
            time.sleep(0.1)
        for entry in pwd.getpwall():
            if entry.pw_dir.startswith(f"{self.folder}/"):
                subprocess.run(["userdel", entry.pw_name], capture_output=True, check=True)
        shutil.rmtree(self.folder)


def run_restic(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [restic(), "--no-cache", "--retry-lock=0s", *arguments],
        env={"PATH": os.environ["PATH"], "HOME": tempfile.gettempdir(), **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def restic() -> str:
    """A Linux restic: the one on PATH, else the pinned one."""
    wanted = binaries.artefact("restic", "linux/amd64")
    return shutil.which("restic") or str(binaries.obtain(wanted, binaries.default_cache(), print).path)


def free_port() -> int:
    with socket.create_server((ADDRESS, 0)) as server:
        return int(server.getsockname()[1])


def make_depot() -> Depot:
    """Not below pytest's own folder: that is closed to the instances' users."""
    folder = Path(tempfile.mkdtemp(prefix="depot-"))
    folder.chmod(0o755)
    made = Depot(folder)
    made.describe("depot", folder)
    return made


@pytest.fixture(scope="session")
def alone() -> Iterator[None]:
    """The machine's users belong to one run of the tests at a time: another run waits here."""
    with (Path(tempfile.gettempdir()) / f"depot-{os.geteuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture
def empty_depot(alone: None) -> Iterator[Depot]:
    """A host where the role has never run, and one client in the inventory."""
    depot = make_depot()
    depot.add("ferme_neuve")
    yield depot
    depot.end()


@pytest.fixture(scope="module")
def depot(alone: None) -> Iterator[Depot]:
    """A host that runs the instances of two clients."""
    made = make_depot()
    made.add("ferme_du_val")
    made.add("ferme_du_bois")
    try:
        made.brought_up()
        yield made
    finally:
        made.end()
