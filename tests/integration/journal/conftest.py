"""A PostgreSQL for the tests of this folder, and a database of it for each that asks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.postgres import Database, Server, running


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with running() as one:
        yield one


@pytest.fixture
def shared(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    """A database of the common server."""
    return _of_a_technician(server, tmp_path, monkeypatch)


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """A database of a server that the test may stop."""
    with running() as server:
        yield _of_a_technician(server, tmp_path, monkeypatch)


def _of_a_technician(server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    made = server.database()
    monkeypatch.setenv("PGPASSFILE", str(made.passwords(folder)))
    monkeypatch.setenv("HOME", str(folder))  # what waits
    return made
