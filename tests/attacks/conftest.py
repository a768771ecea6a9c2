"""A client's repository behind a real rest-server that is append-only, and whoever attacks it there."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.client import Order, run
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.repository import Repository
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.retention import Rules
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.state import State
from ansible_collections.prosecours.backup.plugins.plugin_utils import binaries
from attacks.forger import Forger
from integration.maintenance.client import PASSWORD, Client

# The client, its restic and its twenty regular days.
from integration.maintenance.conftest import client, folder, regular, repository, restic, template  # noqa: F401
from support.addresses import address

Maintain = Callable[..., dict[str, Any]]
ADDRESS = address()
ORDER = Order("srv", Rules())


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
def forger(client: Client) -> Iterator[Forger]:  # noqa: F811
    """Has all that lies on the client's server."""
    wanted = binaries.artefact("rest-server", "linux/amd64")
    found = binaries.cached(wanted, binaries.default_cache())
    if found is None:
        pytest.fail(f"{wanted} is not in the cache: run make setup")
    with socket.create_server((ADDRESS, 0)) as free:
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [found.path, "--path", client.path, "--listen", f"{ADDRESS}:{port}", "--append-only", "--no-auth"],
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
        yield Forger(f"http://{ADDRESS}:{port}/", PASSWORD)
    finally:
        server.terminate()
        server.wait()
