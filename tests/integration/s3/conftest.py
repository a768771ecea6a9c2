"""A storage supplier on this machine: versitygw with accounts, policies and versions, TLS.

The role runs over ansible_connection=local; what the client's server has is used with a real restic, and with
boto3 as an attacker would.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from ansible_collections.prosecours.backup.plugins.plugin_utils import binaries
from botocore.config import Config
from support import inventory
from support.addresses import address
from support.playbook import Played, play

from windows_lab.certificates import Authority

ADDRESS = address()
PROVIDER = ("PROVIDER", "secret-of-the-provider")


@dataclass(frozen=True)
class Client:
    """What lies on a server of a client: all that an attacker there has."""

    name: str
    server: str
    base: str
    ca: Path
    cache: Path

    @property
    def key(self) -> str:
        """The id of the server's key at the supplier."""
        return self.server.replace("-", "_")

    @property
    def url(self) -> str:
        return f"{self.base}/{self.server}"

    @property
    def files(self) -> Path:
        return self.cache.with_name(f"files-of-{self.server}")

    @property
    def bucket(self) -> str:
        return self.name.replace("_", "-")

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [restic(), *arguments],
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.cache),
                "RESTIC_CACHE_DIR": str(self.cache),
                "RESTIC_REPOSITORY": self.url,
                "RESTIC_PASSWORD": f"encryption-of-{self.server}",
                "RESTIC_CACERT": str(self.ca),
                "AWS_ACCESS_KEY_ID": self.key,
                "AWS_SECRET_ACCESS_KEY": f"key-of-{self.key}",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def restic(self, *arguments: str, code: int = 0) -> str:
        with self.start(*arguments) as process:
            said, _ = process.communicate(timeout=120)
        assert process.returncode == code, said
        return said


@dataclass(frozen=True)
class Supplier:
    """The S3 server, and the inventory of the provider who has clients there."""

    folder: Path
    port: int

    @property
    def endpoint(self) -> str:
        return f"https://{ADDRESS}:{self.port}"

    @property
    def ca(self) -> Path:
        return self.folder / "ca.pem"

    def key(self, name: str, secret: str) -> Any:
        """boto3, as whoever has that key."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=name,
            aws_secret_access_key=secret,
            region_name="us-east-1",
            verify=str(self.ca),
            config=Config(retries={"max_attempts": 1}, signature_version="s3v4"),
        )

    def of(self, client: Client) -> Any:
        """boto3, with what lies on the client's server."""
        return self.key(client.key, f"key-of-{client.key}")

    @property
    def provider(self) -> Any:
        return self.key(*PROVIDER)

    def add(self, name: str, *servers: str, prefix: str = "") -> list[Client]:
        """A key for each server at the supplier, as its console makes one, and a file in the inventory."""
        base = f"s3:{self.endpoint}/{name.replace('_', '-')}{prefix}"
        clients = [Client(name, server, base, self.ca, self.folder / f"cache-{server}") for server in servers]
        hosts = {}
        for client in clients:
            secret = f"key-of-{client.key}"
            subprocess.run(
                [
                    *(str(versitygw()), "admin", "--access", PROVIDER[0], "--secret", PROVIDER[1]),
                    *("--endpoint-url", self.endpoint, "--allow-insecure"),
                    *("create-user", "--access", client.key, "--secret", secret, "--role", "user"),
                ],
                check=True,
                capture_output=True,
                timeout=60,
            )
            hosts[client.server] = {
                "prosecours_root": "D:\\",
                "prosecours_software": ["isapawp"],
                "prosecours_repository_username": client.key,
                "prosecours_repository_password": secret,
            }
        content = inventory.client(
            name, base, hosts, prosecours_repository_ca=inventory.read_when_asked(self.ca)
        )
        inventory.write(self.folder / "inventory" / f"{name}.yml", content)
        return clients

    def asked(self) -> list[tuple[str, str]]:
        """Each request so far, as the supplier wrote it down: what for, and the object's name or "-"."""
        lines = (self.folder / "requests").read_text().splitlines()
        return [(words[7].removeprefix("s3_"), words[8]) for line in lines[1:] if (words := line.split())]

    def play(self, playbook: str, *arguments: str, code: int = 0) -> str:
        played = play(self.folder / "inventory", playbook, "--diff", *arguments)
        assert played.code == code, played.output
        assert not [
            secret for secret in (PROVIDER[1], "key-of-", "encryption-of-") if secret in played.output
        ]
        return played.output


def changed(said: str) -> int:
    return Played(0, said).counters("depot")["changed"]


def versitygw() -> Path:
    wanted = binaries.artefact("versitygw", "linux/amd64")
    return binaries.obtain(wanted, binaries.default_cache(), print).path


def restic() -> str:
    wanted = binaries.artefact("restic", "linux/amd64")
    return str(binaries.obtain(wanted, binaries.default_cache(), print).path)


@pytest.fixture(scope="module")
def supplier() -> Iterator[Supplier]:
    with tempfile.TemporaryDirectory(prefix="supplier-") as name:
        folder = Path(name)
        for part in ("objects", "versions", "accounts", "inventory", "bin"):
            (folder / part).mkdir()
        pair = Authority(folder).issue("supplier", [ADDRESS])
        shutil.copy(restic(), folder / "bin" / "restic")
        with socket.create_server((ADDRESS, 0)) as taken:
            made = Supplier(folder, taken.getsockname()[1])
        hosts = inventory.repository_host(
            folder, prosecours_s3_access_key=PROVIDER[0], prosecours_s3_secret_key=PROVIDER[1]
        )
        inventory.write(folder / "inventory" / "repositories.yml", hosts)
        with (folder / "log").open("w") as log:
            server = subprocess.Popen(
                [
                    *(str(versitygw()), "--port", f"{ADDRESS}:{made.port}", "--quiet"),
                    *("--cert", str(pair[0]), "--key", str(pair[1]), "--iam-dir", str(folder / "accounts")),
                    *("--access-log", str(folder / "requests")),
                    *("posix", "--versioning-dir", str(folder / "versions"), str(folder / "objects")),
                ],
                env=os.environ | {"ROOT_ACCESS_KEY": PROVIDER[0], "ROOT_SECRET_KEY": PROVIDER[1]},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            deadline = time.monotonic() + 60
            while socket.socket().connect_ex((ADDRESS, made.port)):
                assert time.monotonic() < deadline, (folder / "log").read_text()
                assert server.poll() is None, (folder / "log").read_text()
                time.sleep(0.05)
            yield made
        finally:
            server.terminate()
            server.wait(60)
