"""A client's repository behind a real rest-server that is append-only, and whoever attacks it there."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import bcrypt
import pytest
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.client import Order, run
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.repository import Repository
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.retention import Rules
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.state import State
from ansible_collections.prosecours.backup.plugins.plugin_utils import binaries
from attacks.forger import Forger
from integration.maintenance.client import PASSWORD, Client, new_client

# The client's restic and its twenty regular days.
from integration.maintenance.conftest import folder, regular, repository, restic, template  # noqa: F401
from support.addresses import address

Maintain = Callable[..., dict[str, Any]]
ADDRESS = address()
LOGIN = ("srv", "login-of-the-server")
ORDER = Order("srv", Rules())


@contextmanager
def rest_server(top: Path) -> Iterator[str]:
    """Its address. As each client has one: append-only, and a login reaches its own path only."""
    wanted = binaries.artefact("rest-server", "linux/amd64")
    found = binaries.cached(wanted, binaries.default_cache())
    if found is None:
        pytest.fail(f"{wanted} is not in the cache: run make setup")
    name, word = LOGIN
    passwords = top.with_name("htpasswd")
    passwords.write_text(f"{name}:{bcrypt.hashpw(word.encode(), bcrypt.gensalt(4)).decode()}\n")
    with socket.create_server((ADDRESS, 0)) as free:
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [
            *(found.path, "--path", top, "--listen", f"{ADDRESS}:{port}"),
            *("--append-only", "--private-repos", "--htpasswd-file", passwords),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(200):
            try:
                socket.create_connection((ADDRESS, port), 1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield f"{ADDRESS}:{port}"
    finally:
        server.terminate()
        server.wait()


@pytest.fixture
def client(restic: str, folder: Path, tmp_path: Path) -> Iterator[Client]:  # noqa: F811
    """With an empty repository, to which it has no other way than the rest-server."""
    made = new_client(restic, tmp_path / "farm" / LOGIN[0], folder)
    with rest_server(made.path.parent) as where:
        yield replace(made, url=f"rest:http://{':'.join(LOGIN)}@{where}/{LOGIN[0]}/")


@pytest.fixture(scope="session")
def after_a_maintenance(template: Client, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: F811
    """The repository of the twenty days and its state, as a first maintenance leaves them."""
    place = tmp_path_factory.mktemp("maintained")
    shutil.copytree(template.path, place / "repository")
    one = Repository(place / "repository", PASSWORD, template.restic, patience=0, server=ORDER.server)
    run(ORDER, one, State(place / "state"), check=False)
    return place


@pytest.fixture
def settled(regular: Client, state: State, after_a_maintenance: Path) -> Client:  # noqa: F811
    """The client after twenty regular days and a maintenance."""
    shutil.rmtree(regular.path)
    shutil.copytree(after_a_maintenance / "repository", regular.path)
    shutil.copytree(after_a_maintenance / "state", state.folder)
    return regular


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(tmp_path / "state")


@pytest.fixture
def maintain(repository: Repository, state: State) -> Maintain:  # noqa: F811
    def once(**changes: Any) -> dict[str, Any]:
        return run(replace(ORDER, **changes), repository, state, check=False)

    return once


@pytest.fixture
def foretell(repository: Repository, state: State) -> Maintain:  # noqa: F811
    """The same with --check."""
    return lambda **changes: run(replace(ORDER, **changes), repository, state, check=True)


@pytest.fixture
def forger(client: Client) -> Forger:
    """Has all that lies on the client's server."""
    return Forger(f"http://{client.url.rpartition('@')[2]}", PASSWORD, LOGIN)
