"""The table of refusals against the pinned restic itself, and servers that refuse."""

from __future__ import annotations

import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.refusals import meaning
from support.addresses import address

from .client import PASSWORD, Client


def refused(
    restic: str, repository: str, *arguments: str, password: str = PASSWORD
) -> tuple[int | None, str]:
    """restic's exit code and words; of one that would try again for 15 minutes its first words, and None."""
    with subprocess.Popen(
        [restic, "--repo", repository, "--no-cache", "--json", *arguments],
        env={"RESTIC_PASSWORD": password, "PATH": "/usr/bin:/bin"},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stderr is not None
        first = process.stderr.readline()
        if "retrying after" in first:
            process.kill()
            return None, first
        return process.wait(), first + process.stderr.read()


@contextmanager
def answering(code: int, certificate: Path | None = None) -> Iterator[str]:
    """The address of a server that answers all with a status; by HTTPS with a certificate and its key."""

    class Refusing(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.send_response(code)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_HEAD = do_POST = answer  # noqa: N815 -- the names that the library asks for

        def log_message(self, *_: object) -> None:
            """Nothing on the tests' output."""

    with ThreadingHTTPServer((address(), 0), Refusing) as server:
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"{server.server_address[0]}:{server.server_port}/moulin/"
        server.shutdown()


@pytest.mark.parametrize(
    ("status", "name"), [(401, "login"), (403, "another's"), (507, "full"), (500, "server")]
)
def test_what_a_server_answers(restic: str, status: int, name: str) -> None:
    with answering(status) as place:
        found = meaning(*refused(restic, f"rest:http://{place}", "cat", "config"))
    assert found is not None
    assert found.name == name


def test_servers_that_are_not_reached_or_not_trusted(restic: str, tmp_path: Path) -> None:
    certificate = tmp_path / "both.pem"
    made = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=x -keyout {0} -out {1}"
    key, own = tmp_path / "key.pem", tmp_path / "own.pem"
    subprocess.run(made.format(key, own).split(), check=True, capture_output=True)
    certificate.write_text(key.read_text() + own.read_text())
    names = []
    with answering(200, certificate) as secure, answering(200) as plain:
        nobody = f"{address()}:9/moulin/"
        for place in (secure, plain, nobody):
            found = meaning(*refused(restic, f"rest:https://{place}", "cat", "config"))
            names.append(found and found.name)
    assert names == ["certificate", "no HTTPS", "unreached"]


def damaged_pack(client: Client) -> None:
    for pack in client.path.glob("data/*/*"):
        pack.chmod(0o600)
        data = bytearray(pack.read_bytes())
        data[10] ^= 1
        pack.write_bytes(data)


def lost_pack(client: Client) -> None:
    for pack in client.path.glob("data/*/*"):
        pack.unlink()


def lost_config(client: Client) -> None:
    (client.path / "config").unlink()


def foreign_config(client: Client) -> None:
    """As after two `restic init` at once: of two master keys the config fits one."""
    config = client.path / "config"
    config.chmod(0o600)
    data = bytearray(config.read_bytes())
    data[20] ^= 1
    config.write_bytes(data)


@pytest.mark.parametrize(
    ("harm", "arguments", "name"),
    [
        (damaged_pack, ("ls", "latest"), "damaged"),
        (lost_pack, ("ls", "latest"), "damaged"),
        (lost_config, ("cat", "config"), "absent"),
        (lost_config, ("init",), "half made"),
        (foreign_config, ("cat", "config"), "half made"),
    ],
)
def test_what_a_repository_is_like(
    client: Client, harm: Callable[[Client], None], arguments: tuple[str, ...], name: str
) -> None:
    client.write(ledger="1")
    client.run("backup", str(client.folder))
    harm(client)
    found = meaning(*refused(client.restic, str(client.path), *arguments))
    assert found is not None
    assert found.name == name
