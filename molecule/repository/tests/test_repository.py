"""A repository host after the role: who runs what, who may read what, and what a client can do with it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
import requests
import testinfra
from verifier import Repository, Server

DEPOT = Path(os.environ["PROSECOURS_DEPOT"])
# The signed contracts of the scenario: client, port, and the subscribed GB twice, in bytes.
CLIENTS = (("gaec_des_saules", 28701, "10000000000"), ("earl_du_gue", 28702, "20000000000"))
AS_ROOT = os.geteuid() == 0


@pytest.fixture(scope="module")
def machine() -> Any:
    """This machine, as testinfra sees it."""
    return testinfra.get_host("local://")


def server_of(client: str) -> str:
    """The one server of a client."""
    return f"{client.replace('_', '-')}-srv"


def process(machine: Any, client: str) -> Any:
    """The one rest-server of a client."""
    running = machine.process.filter(comm="rest-server")
    (found,) = [one for one in running if f"--path {DEPOT}/data/{client} " in one.args]
    return found


@pytest.mark.parametrize(("client", "port", "limit"), CLIENTS)
def test_each_client_has_a_process_of_its_own(machine: Any, client: str, port: int, limit: str) -> None:
    found = process(machine, client)
    if AS_ROOT:
        assert machine.user(f"ps-{client}").shell == "/usr/sbin/nologin"
        assert machine.check_output("stat -c %%U /proc/%s", str(found.pid)) == f"ps-{client}"
    for flag in ("--append-only", "--private-repos", "--tls ", f"--max-size {limit}"):
        assert flag in found.args
    assert machine.socket(f"tcp://{os.environ['PROSECOURS_NETWORK']}.1:{port}").is_listening
    assert f"repository-of-{server_of(client)}" not in found.args


@pytest.mark.parametrize(("client", "port", "limit"), CLIENTS)
def test_nobody_else_reads_its_files(machine: Any, client: str, port: int, limit: str) -> None:
    folder, config = machine.file(f"{DEPOT}/data/{client}"), f"{DEPOT}/config/{client}"
    assert folder.mode == (0o750 if AS_ROOT else 0o700)
    password = machine.file(f"{config}/htpasswd")
    assert re.fullmatch(rf"{server_of(client)}:\$2b\$10\$[./A-Za-z0-9]{{53}}\n", password.content_string)
    for name in ("htpasswd", "tls.key"):
        file = machine.file(f"{config}/{name}")
        assert file.mode == (0o640 if AS_ROOT else 0o600)
        if AS_ROOT:
            assert (file.user, file.group) == ("root", f"ps-{client}")
    if AS_ROOT:  # no instance makes a folder beside those of its servers
        assert (folder.user, folder.group) == ("root", f"ps-{client}")
    assert machine.file(f"{DEPOT}/config/.authority/ca.key").mode == 0o600


def test_a_client_backs_up_and_cannot_take_back(servers: dict[str, Server], tmp_path: Path) -> None:
    """With the authority that the role kept on the controller: REQUESTS_CA_BUNDLE is that file."""
    (tmp_path / "accounts").write_text("accounts", encoding="utf-8")
    for server in servers.values():
        repository = Repository(server.name, server.variables)
        if not (DEPOT / "data" / server.variables["prosecours_client_name"]).is_dir():
            pytest.fail("no folder for the client")
        repository.run("init")
        repository.run("backup", str(tmp_path))
        (snapshot,) = repository.snapshots()
        login = (server.name, server.variables["prosecours_repository_password"])
        refused = requests.delete(f"{repository.address()}snapshots/{snapshot['id']}", auth=login, timeout=10)
        assert refused.status_code == 403
        repository.run("check", "--read-data")
        assert repository.snapshots() == [snapshot]


def test_a_client_reads_no_other_client(servers: dict[str, Server]) -> None:
    first, second = servers.values()
    login = (first.name, first.variables["prosecours_repository_password"])
    for path in ("config", "keys/", "snapshots/"):
        for base in (first, second):
            root = base.variables["prosecours_repository_url"].removeprefix("rest:")
            url = f"{root}{second.name}/{path}"
            assert requests.get(url, auth=login, timeout=10).status_code == 401


def test_an_instance_that_is_killed_comes_back(machine: Any) -> None:
    before = process(machine, "earl_du_gue").pid
    machine.check_output("kill -9 %s", str(before))
    machine.check_output(
        "for i in $(seq 100); do sleep 0.1; pid=$(pgrep -f %s); "
        '[ -n "$pid" ] && [ "$pid" != %s ] && exit 0; done; exit 1',
        f"^{DEPOT}/bin/rest-server --path {DEPOT}/data/earl_du_gue ",
        str(before),
    )
