"""Fixtures: a real restic, a client, and its repository as the maintenance sees it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.repository import Repository
from ansible_collections.prosecours.backup.plugins.plugin_utils import binaries
from integration.maintenance.client import PASSWORD, Client, days, new_client


@pytest.fixture(scope="session")
def restic() -> str:
    """PROSECOURS_RESTIC, else the pinned one that `make setup` puts into the cache."""
    if given := os.environ.get("PROSECOURS_RESTIC"):
        return given
    wanted = binaries.artefact("restic", "linux/amd64")
    found = binaries.cached(wanted, binaries.default_cache())
    if found is None:
        pytest.fail(f"{wanted} is not in the cache: run make setup")
    return str(found.path)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client's files: at one place for all tests, since snapshots hold it."""
    return tmp_path_factory.mktemp("client") / "files"


@pytest.fixture(scope="session")
def template(restic: str, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Client:
    """Twenty days of backups. Each restic that takes a lock waits for 0.2 s, so they are made once."""
    place = tmp_path_factory.mktemp("template")
    one = new_client(restic, place / "repository", folder)
    days(one, 20)
    shutil.copytree(folder, place / "files")
    return Client(restic, one.path, place / "files")


@pytest.fixture
def client(restic: str, folder: Path, tmp_path: Path) -> Client:
    """A client with three files and an empty repository."""
    return new_client(restic, tmp_path / "repository", folder)


@pytest.fixture
def regular(client: Client, template: Client) -> Client:
    """The client after twenty regular days, from 5 to 24 January 2026."""
    for source, target in ((template.path, client.path), (template.folder, client.folder)):
        shutil.rmtree(target)
        shutil.copytree(source, target)
    return client


@pytest.fixture
def repository(client: Client) -> Repository:
    """The same repository, as the maintenance sees it; it never waits for a lock."""
    return Repository(client.path, PASSWORD, client.restic, patience=0, server="srv")
