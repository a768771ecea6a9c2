"""A storage supplier on this machine: versitygw with accounts, policies and versions, TLS, at 127.0.32.1.

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
from windows_lab.certificates import Authority

CHECKOUT = Path(__file__).resolve().parents[3]
ADDRESS = "127.0.32.1"
PROVIDER = ("PROVIDER", "secret-of-the-provider")

HOSTS = """
prosecours_repositories:
  hosts:
    depot:
  vars:
    ansible_connection: local
    ansible_python_interpreter: "{{{{ ansible_playbook_python }}}}"
    ansible_become: false
    prosecours_repository_data: {folder}/data
    prosecours_repository_config: {folder}/config
    prosecours_repository_program: {folder}/bin/rest-server
    prosecours_repository_packages: []
    prosecours_repository_supervisord: /bin/false
    prosecours_retention_state: {folder}/state
    prosecours_retention_restic: {folder}/bin/restic
    prosecours_retention_patience: 0
    prosecours_retention_packages: []
    prosecours_s3_access_key: {access_key}
    prosecours_s3_secret_key: {secret_key}
"""

CLIENT = r"""
prosecours_clients:
  children:
    {name}:
      vars:
        prosecours_client_name: {name}
        prosecours_contract_reference: PS-{name}
        prosecours_subscribed_gb: 1
        prosecours_contact_main:
          title: M.
          first_name: Jean
          name: Martin
          email: jean.martin@ferme.example.com
          mobile: "06 12 34 56 78"
        prosecours_repository_url: {url}
        prosecours_repository_username: {name}
        prosecours_repository_password: key-of-{name}
        prosecours_encryption_password: encryption-of-{name}
        prosecours_repository_ca: "{{{{ lookup('ansible.builtin.file', '{folder}/ca.pem') }}}}"
      hosts:
        {name}-srv:
          prosecours_root: 'D:\'
          prosecours_software: [isapawp]
"""


@dataclass(frozen=True)
class Client:
    """What lies on a client's server: all that an attacker there has."""

    name: str
    url: str
    ca: Path
    cache: Path

    @property
    def files(self) -> Path:
        return self.cache.with_name(f"files-of-{self.name}")

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
                "RESTIC_PASSWORD": f"encryption-of-{self.name}",
                "RESTIC_CACERT": str(self.ca),
                "AWS_ACCESS_KEY_ID": self.name,
                "AWS_SECRET_ACCESS_KEY": f"key-of-{self.name}",
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
        return self.key(client.name, f"key-of-{client.name}")

    @property
    def provider(self) -> Any:
        return self.key(*PROVIDER)

    def add(self, name: str, prefix: str = "") -> Client:
        """A key at the supplier, as its console makes one, and a file in the inventory."""
        client = Client(
            name,
            f"s3:{self.endpoint}/{name.replace('_', '-')}{prefix}",
            self.ca,
            self.folder / f"cache-{name}",
        )
        subprocess.run(
            [
                *(str(versitygw()), "admin", "--access", PROVIDER[0], "--secret", PROVIDER[1]),
                *("--endpoint-url", self.endpoint, "--allow-insecure"),
                *("create-user", "--access", name, "--secret", f"key-of-{name}", "--role", "user"),
            ],
            check=True,
            capture_output=True,
            timeout=60,
        )
        path = self.folder / "inventory" / f"{name}.yml"
        path.write_text(CLIENT.format(name=name, url=client.url, folder=self.folder).lstrip(), "utf-8")
        return client

    def play(self, playbook: str, *arguments: str, code: int = 0) -> str:
        done = subprocess.run(
            [
                "ansible-playbook",
                "-i",
                self.folder / "inventory",
                f"playbooks/{playbook}.yml",
                "--diff",
                *arguments,
            ],
            cwd=CHECKOUT,
            env=os.environ | {"ANSIBLE_NOCOLOR": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        said = done.stdout + done.stderr
        assert done.returncode == code, said
        assert not [secret for secret in (PROVIDER[1], "key-of-", "encryption-of-") if secret in said]
        return said


def changed(said: str) -> int:
    line = next(line for line in said.splitlines() if line.startswith("depot ") and "ok=" in line)
    return int(line.split("changed=")[1].split()[0])


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
        hosts = HOSTS.format(folder=folder, access_key=PROVIDER[0], secret_key=PROVIDER[1])
        (folder / "inventory" / "repositories.yml").write_text(hosts.lstrip(), "utf-8")
        with (folder / "log").open("w") as log:
            server = subprocess.Popen(
                [
                    *(str(versitygw()), "--port", f"{ADDRESS}:{made.port}", "--quiet"),
                    *("--cert", str(pair[0]), "--key", str(pair[1]), "--iam-dir", str(folder / "accounts")),
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
