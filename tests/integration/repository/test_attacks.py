"""Client credentials can only add: whoever has taken a client's server over cannot touch what is stored.

The attacker has all that lies there: login and password of the repository's server, the restic password, the
authority. He speaks raw HTTP past any client library, and he has the real restic.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from .conftest import ADDRESS, Client, Depot, restic

SQL = "ferme_du_val-sql"
KINDS = ("config", "data", "index", "keys", "snapshots")


def answer(
    depot: Depot,
    client: Client,
    method: str,
    path: str,
    body: bytes | None = None,
    port: int | None = None,
    login: str | None = None,
) -> tuple[int, bytes]:
    """Status and body; `path` goes out as it is, `login` is `name:password`, empty for none."""
    context = ssl.create_default_context(cafile=str(depot.ca))
    connection = http.client.HTTPSConnection(ADDRESS, port or client.port, context=context, timeout=20)
    try:
        connection.putrequest(method, path, skip_accept_encoding=True)
        login = f"{client.server}:{client.password}" if login is None else login
        if login:
            connection.putheader("Authorization", "Basic " + base64.b64encode(login.encode()).decode())
        connection.putheader("Content-Length", str(len(body or b"")))
        connection.endheaders(body)
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()


def stored(root: Path) -> dict[str, str]:
    """Every file of a repository but its locks -> SHA-256."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.parent.name != "locks"
    }


def address(client: Client, root: Path, kind: str) -> str:
    """The path in the URL of one file of this kind that the repository has."""
    if kind == "config":
        return f"/{client.server}/config"
    name = next(path.name for path in sorted((root / kind).rglob("*")) if path.is_file())
    return f"/{client.server}/{kind}/{name}"


@pytest.fixture(scope="module")
def victim(depot: Depot, tmp_path_factory: pytest.TempPathFactory) -> Client:
    """A server with two backups; another client's, and another of the same client, have one each."""
    client = depot.clients["ferme_du_val"]
    source = tmp_path_factory.mktemp("source")
    assert depot.restic(client, "init").returncode == 0
    for night in range(2):
        (source / f"night-{night}").write_bytes(os.urandom(2_000_000))
        done = depot.restic(client, "backup", str(source))
        assert done.returncode == 0, done.stderr
    for neighbour in (depot.clients["ferme_du_bois"], depot.server(client.name, SQL, client.port)):
        assert depot.restic(neighbour, "init").returncode == 0
        assert depot.restic(neighbour, "backup", str(source)).returncode == 0
    return client


@pytest.fixture(scope="module")
def backups(depot: Depot, victim: Client) -> dict[str, set[str]]:
    """The snapshots of both before any attack."""
    return {client.name: snapshot_ids(depot, client) for client in depot.clients.values()}


@pytest.fixture(autouse=True)
def known_before(backups: dict[str, set[str]]) -> None:
    """So that they are listed first, whichever attack begins."""


@pytest.fixture
def root(depot: Depot, victim: Client) -> Iterator[Path]:
    """The victim's repository on disk. After the attack each file that was there is there, byte for byte."""
    root = depot.data(victim.name) / victim.server
    files = stored(root)
    places = (depot.data("ferme_du_bois"), depot.data("ferme_du_val") / SQL)
    neighbours = {place: stored(place) for place in places}
    yield root
    assert files.items() <= stored(root).items()
    for place, before in neighbours.items():
        assert before.items() <= stored(place).items()


def snapshot_ids(depot: Depot, client: Client) -> set[str]:
    listed = json.loads(depot.local_restic(client, "snapshots", "--json", "--no-lock"))
    return {snapshot["id"] for snapshot in listed}


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_deleted(depot: Depot, victim: Client, root: Path, kind: str) -> None:
    assert answer(depot, victim, "DELETE", address(victim, root, kind))[0] == 403


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_overwritten(depot: Depot, victim: Client, root: Path, kind: str) -> None:
    path = address(victim, root, kind)
    same = answer(depot, victim, "GET", path)[1]
    assert same
    for body in (b"", b"rubbish", same):
        assert answer(depot, victim, "POST", path, body)[0] == 403


@pytest.mark.parametrize("kind", KINDS[1:])
def test_a_file_has_the_name_of_its_content(depot: Depot, victim: Client, root: Path, kind: str) -> None:
    """So none can take the place of a file that is still to come."""
    name = hashlib.sha256(b"expected").hexdigest()
    status, _ = answer(depot, victim, "POST", f"/{victim.server}/{kind}/{name}", b"something else")
    assert status == 400
    assert not [path for path in root.rglob(f"{name}*") if path.is_file()]


@pytest.mark.parametrize("method", ["PUT", "PATCH", "MOVE", "COPY", "TRACE", "PROPFIND"])
def test_no_other_verb_is_known(depot: Depot, victim: Client, root: Path, method: str) -> None:
    for kind in KINDS:
        assert answer(depot, victim, method, address(victim, root, kind), b"rubbish")[0] == 405


@pytest.mark.parametrize("method", ["DELETE", "POST", "CONNECT"])
def test_no_way_round_by_the_path(depot: Depot, victim: Client, root: Path, method: str) -> None:
    """Only locks may go; a path that begins as a lock and leads elsewhere does not."""
    pack = address(victim, root, "data").removeprefix(f"/{victim.server}/")
    snapshot = address(victim, root, "snapshots").removeprefix(f"/{victim.server}/")
    for inner in (pack, snapshot, "config"):
        for path in (
            f"/{victim.server}/locks/../{inner}",
            f"/{victim.server}/locks/%2e%2e/{inner}",
            f"/{victim.server}/locks/..%2f{inner}",
            f"/{victim.server}/locks/%2e%2e%2f{inner}",
            f"/{victim.server}//{inner}",
            f"/{victim.server}/./{inner}",
            f"/{victim.server}/locks%00/../{inner}",
        ):
            status, _ = answer(depot, victim, method, path, b"rubbish" if method == "POST" else None)
            assert status >= 300, path


def test_locks_can_be_removed(depot: Depot, victim: Client, root: Path) -> None:
    """Else a backup that was cut would keep out all later ones."""
    body = b"a lock"
    path = f"/{victim.server}/locks/{hashlib.sha256(body).hexdigest()}"
    assert answer(depot, victim, "POST", path, body)[0] == 200
    assert answer(depot, victim, "DELETE", path)[0] == 200
    assert answer(depot, victim, "GET", path)[0] == 404


def test_another_clients_repository_is_out_of_reach(depot: Depot, victim: Client, root: Path) -> None:
    """By the path at the own port; at the other's port; with a path that leads there."""
    other = depot.clients["ferme_du_bois"]
    there = depot.data(other.name) / other.server
    for kind in KINDS:
        path = address(other, there, kind)
        inner = path.removeprefix(f"/{other.server}/")
        for method in ("GET", "HEAD", "POST", "DELETE"):
            assert answer(depot, victim, method, path)[0] == 401
            assert answer(depot, victim, method, path, port=other.port)[0] == 401
            mine = f"/{victim.server}/{inner}"
            assert answer(depot, victim, method, mine, port=other.port)[0] == 401
            for way in ("..", "%2e%2e"):
                path_up = f"/{victim.server}/{way}/{way}/{other.name}/{other.server}/{inner}"
                assert answer(depot, victim, method, path_up)[0] >= 300
    for kind in ("data", "index", "keys", "locks", "snapshots"):
        assert answer(depot, victim, "GET", f"/{other.server}/{kind}/")[0] == 401
        assert answer(depot, victim, "GET", f"/{other.server}/{kind}/", port=other.port)[0] == 401


def test_another_server_of_the_same_client_is_out_of_reach(depot: Depot, victim: Client, root: Path) -> None:
    """They share a process and its port, and nothing else."""
    other = depot.server(victim.name, SQL, victim.port)
    there = depot.data(other.name) / other.server
    for kind in KINDS:
        path = address(other, there, kind)
        inner = path.removeprefix(f"/{other.server}/")
        for method in ("GET", "HEAD", "POST", "DELETE"):
            assert answer(depot, victim, method, path)[0] == 401
            for way in ("..", "%2e%2e", "..%2f"):
                around = f"/{victim.server}/{way}/{other.server}/{inner}"
                assert answer(depot, victim, method, around)[0] >= 300
    for kind in ("data", "index", "keys", "locks", "snapshots"):
        assert answer(depot, victim, "GET", f"/{other.server}/{kind}/")[0] == 401
    body = b"a lock"
    lock = hashlib.sha256(body).hexdigest()
    assert answer(depot, victim, "POST", f"/{other.server}/locks/{lock}", body)[0] == 401
    assert not (there / "locks" / lock).exists()
    # With its own login, and the other one's path, restic gets no further.
    as_other = replace(victim, server=other.server)
    assert depot.restic(as_other, "snapshots").returncode != 0
    # The passwords of the one open nothing of the other.
    assert answer(depot, other, "GET", f"/{other.server}/config", login=f"{SQL}:{victim.password}")[0] == 401


def test_a_server_that_works_locks_no_other_one_out(depot: Depot, victim: Client, root: Path) -> None:
    """An exclusive lock of the one, as of a forget: the other backs up, and would wait for its own only."""
    other = depot.server(victim.name, SQL, victim.port)
    lock = depot.data(victim.name) / victim.server / "locks"
    assert depot.restic(victim, "unlock", "--remove-all").returncode == 0
    with subprocess.Popen(
        [restic(), "--no-cache", "backup", "--stdin"],
        env={**os.environ, **depot.environment(victim)},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    ) as backup:
        while not any(lock.iterdir()):
            assert backup.poll() is None
        assert "repository is already locked" in depot.restic(victim, "check").stderr
        assert depot.restic(other, "check").returncode == 0
        backup.kill()
    assert depot.restic(victim, "unlock", "--remove-all").returncode == 0


@pytest.mark.parametrize(
    "login", ["", "ferme_du_val-srv:", "ferme_du_val-srv:wrong", "nobody:repository-of-nobody"]
)
def test_nothing_without_the_login(depot: Depot, victim: Client, root: Path, login: str) -> None:
    for path in ("/", f"/{victim.server}/", address(victim, root, "config"), f"/{victim.server}/snapshots/"):
        for method in ("GET", "POST", "DELETE"):
            assert answer(depot, victim, method, path, login=login)[0] == 401


@pytest.mark.parametrize(
    "path",
    [
        "/?create=true",
        "/ferme_du_bois-srv/?create=true",
        "/elsewhere/?create=true",
        "/ferme_du_val-sql/new/?create=true",
        "/../elsewhere/?create=true",
        "/ferme_du_val-srv/../elsewhere/?create=true",
        "/ferme_du_val-srv/%2e%2e/elsewhere/?create=true",
        "/ferme_du_val-srv/..%2felsewhere/?create=true",
        "/ferme_du_val-srv%2f..%2f..%2felsewhere/?create=true",
        "/ferme_du_val-srv/%00/?create=true",
    ],
)
def test_nothing_is_created_outside(depot: Depot, victim: Client, root: Path, path: str) -> None:
    before = sorted(depot.folder.rglob("*"))
    assert answer(depot, victim, "POST", path)[0] >= 300
    assert sorted(depot.folder.rglob("*")) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="instances have no users of their own")
def test_nothing_but_backups_is_added_once_the_playbook_has_seen_the_repository(
    depot: Depot, victim: Client, root: Path
) -> None:
    """A size limit counts neither configurations nor folders; this is what counts them: none."""
    predicted = depot.play("--check").changes
    assert depot.brought_up().changes == predicted
    assert any(change.endswith("(fence) (ferme_du_val)") for change in predicted)
    depot.left_alone()
    before = sorted(path for path in depot.folder.rglob("*") if path.is_dir())
    key = b"a key of his own"
    for path in (
        f"/{victim.server}/new/?create=true",
        f"/{victim.server}/new/config",
        f"/{victim.server}/data/new/?create=true",
        f"/{victim.server}/keys/{hashlib.sha256(key).hexdigest()}",
    ):
        assert answer(depot, victim, "POST", path, key)[0] >= 400, path
    assert sorted(path for path in depot.folder.rglob("*") if path.is_dir()) == before
    done = depot.restic(victim, "backup", "--stdin-from-command", "echo", "again")
    assert done.returncode == 0, done.stderr


def test_no_plain_http(depot: Depot, victim: Client, root: Path) -> None:
    connection = http.client.HTTPConnection(ADDRESS, victim.port, timeout=20)
    connection.request("GET", f"/{victim.server}/config")
    reply = connection.getresponse()
    assert (reply.status, b"HTTPS" in reply.read()) == (400, True)
    connection.close()


@pytest.mark.parametrize(
    "arguments",
    [
        ("forget", "latest"),
        ("forget", "--keep-last", "1", "--group-by", "", "--prune"),
        ("forget", "latest", "--unsafe-allow-remove-all", "--prune"),
        ("tag", "--set", "hidden"),
        ("rewrite", "--forget", "--exclude", "*"),
        ("repair", "snapshots", "--forget"),
        ("init",),
    ],
    ids=lambda arguments: "-".join(arguments[:2]),
)
def test_restic_is_refused(depot: Depot, victim: Client, root: Path, arguments: tuple[str, ...]) -> None:
    done = depot.restic(victim, *arguments)
    said = done.stdout + done.stderr
    # tag goes on after what it was refused, and ends with 0; nothing is broken, so repair asks for nothing.
    assert done.returncode != 0 or "403 Forbidden" in said or "no snapshots were modified" in said, said


def test_a_key_cannot_be_removed(depot: Depot, victim: Client, root: Path) -> None:
    """The provider's way in stays, also against whoever got a key of his own before the fence was up."""
    (depot.folder / "new-password").write_text("taken over", "utf-8")
    [first] = (root / "keys").iterdir()
    depot.local_restic(victim, "key", "add", "--new-password-file", str(depot.folder / "new-password"))
    for path in (root / "keys").iterdir():
        shutil.chown(path, first.owner(), first.group())
    assert len(list((root / "keys").iterdir())) == 2
    taken_over = replace(victim, encryption="taken over")
    assert depot.restic(taken_over, "key", "remove", first.name).returncode != 0
    assert first.exists()
    depot.local_restic(victim, "cat", "masterkey", "--no-lock")


def test_pruning_cannot_be_forced(depot: Depot, victim: Client, root: Path) -> None:
    """prune and repair index write a new index and then fail to remove the old one."""
    for arguments in (("prune", "--max-unused", "0"), ("repair", "index", "--read-all-packs")):
        depot.restic(victim, *arguments)
        depot.restic(victim, "unlock", "--remove-all")


def test_after_all_of_this_every_backup_is_whole(
    depot: Depot, victim: Client, backups: dict[str, set[str]]
) -> None:
    """Last of the attacks: restic reads every byte, past rest-server, and finds both nights."""
    for client in (victim, depot.clients["ferme_du_bois"]):
        depot.local_restic(client, "check", "--read-data", "--no-lock")
        assert backups[client.name] <= snapshot_ids(depot, client)
    assert len(backups[victim.name]) == 2


def test_rubbish_can_be_added_and_hides_nothing(depot: Depot, root: Path, tmp_path: Path) -> None:
    """What append-only does not stop. It is named by check, and every real version still restores."""
    client = depot.clients["ferme_du_bois"]
    (tmp_path / "accounts").write_bytes(b"accounts")
    assert depot.restic(client, "backup", str(tmp_path / "accounts")).returncode == 0
    real = json.loads(depot.local_restic(client, "snapshots", "latest", "--json", "--no-lock"))[0]["id"]
    body = b"rubbish"
    name = hashlib.sha256(body).hexdigest()
    placed = depot.data(client.name) / client.server / "snapshots" / name
    assert answer(depot, client, "POST", f"/{client.server}/snapshots/{name}", body)[0] == 200
    try:
        depot.local_restic(client, "restore", real, "--target", str(tmp_path / "restored"), "--no-lock")
        assert (tmp_path / "restored" / str(tmp_path / "accounts").lstrip("/")).read_bytes() == b"accounts"
    finally:
        placed.unlink()
