"""What a client's server says of its versions has no part in a restore, and no crafted folder is restored."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.judgement import (
    Judged,
    objection,
    versions,
)
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.repository import Repository
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.state import State
from ansible_collections.prosecours.backup.plugins.plugin_utils.restore.plan import (
    Judgement,
    choose,
    versions_of,
)
from attacks.conftest import ORDER, Maintain
from attacks.forger import Forger
from attacks.test_drills import node
from integration.maintenance.client import Client
from unit.maintenance.simulation import ONE_DAY, at
from unit.restore.requests import REQUEST

NOW = at("2026-01-25", 12)


def chosen(judged: tuple[Judged, ...]) -> str:
    """What a request of the next day gets."""
    request = replace(REQUEST, server="srv", wanted=(NOW + ONE_DAY).isoformat())
    return choose(versions_of(Judgement(judged), "srv"), request).version.id


def test_versions_that_are_set_aside_or_rejected_are_not_restored(
    regular: Client, maintain: Maintain, repository: Repository, state: State
) -> None:
    good = max(versions(ORDER, repository, state), key=lambda one: one.time).id
    regular.write(ledger="encrypted")
    back = regular.backup(NOW - timedelta(hours=1), arrival=NOW + 2 * ONE_DAY)
    ahead = regular.backup(NOW + timedelta(hours=1), arrival=NOW - 3 * ONE_DAY)
    forged = regular.backup(NOW)
    assert set(maintain()["set_aside"]) == {back, ahead}
    assert chosen(versions(ORDER, repository, state)) == forged
    maintain(reject=(forged,), reject_by="A. Martin", reject_why="sent while the server was off")
    judged = versions(ORDER, repository, state)
    assert chosen(judged) == good
    against = {one.id: one.against for one in judged if one.against}
    assert against.keys() == {back, ahead, forged}
    assert against[forged] == "rejected by a technician"


def test_a_mark_names_a_whole_version_or_none(regular: Client, repository: Repository, state: State) -> None:
    """Sixteen of them, `incomplete=0` to `=f`, made all versions incomplete, and restore refused each."""
    real = {one.id for one in versions(ORDER, repository, state)}
    newest = max(versions(ORDER, repository, state), key=lambda one: one.time).id
    for tag in [f"incomplete={digit}" for digit in "0123456789abcdef"] + [f"incomplete={newest[:63]}"]:
        regular.backup(NOW - ONE_DAY, arrival=NOW + ONE_DAY, tag=tag)
    judged = versions(ORDER, repository, state)
    assert {one.id for one in judged if one.complete} >= real
    assert chosen(judged) == newest


def version_of(forger: Forger, nodes: list[dict[str, Any]], packed: list[tuple[str, bytes]]) -> str:
    tree = forger.blob("tree", json.dumps({"nodes": nodes}).encode() + b"\n", packed)
    forger.pack(packed)
    return forger.snapshot(tree, NOW.isoformat())


CRAFTED: dict[str, tuple[list[dict[str, Any]], str]] = {
    "a link and a folder of one name": (
        [node("a", type="symlink", linktarget="C:\\Windows"), node("a", type="dir", subtree="INNER")],
        "has a name twice",
    ),
    "the same in another case": (
        [node("A", type="symlink", linktarget="C:\\Windows"), node("a", type="dir", subtree="INNER")],
        "has a name twice",
    ),
    "out of order": ([node("b"), node("a")], "out of order"),
    "a way up": ([node("..", type="dir", subtree="INNER")], "has a name that Windows has not"),
    "a path for a name": ([node("a\\\\b")], "has a name that Windows has not"),
    "a stream of another file": ([node("a:b")], "has a name that Windows has not"),
    "two halves of letters": ([node("a\ud800"), node("a\ud801")], "has a name that Windows has not"),
    "a field that Go reads and Python does not": ([{**node("a"), "Name": "b"}], "cannot be read"),
    "a field of the folder in another case": ([{**node("a"), "SUBTREE": "0" * 64}], "cannot be read"),
    "a folder that is none": ([node("a", type="dir")], "cannot be read"),
    "a folder in no pack": ([node("a", type="dir", subtree="0" * 64)], "is in no pack"),
    "a link": ([node("a", type="symlink", linktarget="C:\\Windows")], "a is a symlink"),
    "a pipe": ([node("a", type="fifo")], "a is a fifo"),
}


@pytest.mark.parametrize("name", CRAFTED)
def test_a_crafted_folder_is_not_restored_to_another_server(
    regular: Client, forger: Forger, repository: Repository, state: State, name: str
) -> None:
    nodes, says = CRAFTED[name]
    packed: list[tuple[str, bytes]] = []
    inner = forger.blob("tree", json.dumps({"nodes": [node("x")]}).encode() + b"\n", packed)
    nodes = [{**one, **({"subtree": inner} if one.get("subtree") == "INNER" else {})} for one in nodes]
    found = objection(repository, state, version_of(forger, nodes, packed), bare=["/"])
    assert found
    assert says in found


def test_a_field_that_stands_twice_is_not_restored(
    regular: Client, forger: Forger, repository: Repository, state: State
) -> None:
    """Of a field that is a list Go keeps what the first one had where the last one has nothing."""
    packed: list[tuple[str, bytes]] = []
    inner = forger.blob("tree", json.dumps({"nodes": [node("x")]}).encode() + b"\n", packed)
    entry = json.dumps(node("a", type="dir", subtree=inner))
    text = f'{{"nodes": [{json.dumps(node("b", type="symlink"))}], "nodes": [{entry}]}}\n'
    tree = forger.blob("tree", text.encode(), packed)
    forger.pack(packed)
    found = objection(repository, state, forger.snapshot(tree, NOW.isoformat()), ["/"])
    assert "cannot be read" in str(found)


def test_restic_alone_sets_rights_through_a_link_and_writes_nothing_else_elsewhere(
    regular: Client, forger: Forger, repository: Repository, state: State, tmp_path: Path
) -> None:
    """So where nobody judges a version, none of its links is restored to another server (docs/restore.md)."""
    victim = tmp_path / "victim"
    victim.write_text("true")
    victim.chmod(0o600)
    packed: list[tuple[str, bytes]] = []
    content = forger.blob("data", b"planted", packed)
    planted = {"size": 7, "content": [content], "mode": 0o777, "uid": os.getuid(), "gid": os.getgid()}
    inner = forger.blob(
        "tree", json.dumps({"nodes": [node(victim.name, **planted)]}).encode() + b"\n", packed
    )
    nodes = [
        node("a", type="symlink", linktarget=str(victim), mode=0o777 | 1 << 27),
        node("a", **planted),
        node("b", type="symlink", linktarget=str(tmp_path), mode=0o777 | 1 << 27),
        node("b", type="dir", subtree=inner, mode=0o755 | 1 << 31),
        node("..", type="dir", subtree=inner, mode=0o755 | 1 << 31),
    ]
    times = dict.fromkeys(("mtime", "atime", "ctime"), NOW.isoformat())
    version = version_of(forger, [{**one, **times} for one in nodes], packed)
    assert "has a name twice" in str(objection(repository, state, version, ["/"]))
    before = {path for path in tmp_path.rglob("*") if regular.path not in path.parents}
    regular.run("restore", version, "--target", str(tmp_path / "target"), check=False)
    after = {path for path in tmp_path.rglob("*") if regular.path not in path.parents}
    assert {path for path in after - before if not path.is_relative_to(tmp_path / "target")} == set()
    assert victim.read_text() == "true"
    assert victim.stat().st_mode & 0o777 == 0o777, "restic does not set them any more: the documents say so"


def test_folders_that_restic_made_are_restored(regular: Client, repository: Repository, state: State) -> None:
    (regular.folder / "office" / "link").symlink_to("plan")
    for index, name in enumerate(("É t é", "été", "$(x) & ^b!", "'q'", "tab le", "z" * 200)):
        regular.write(**{f"office__{name}": str(index)})
    version = regular.backup(NOW)
    assert objection(repository, state, version, bare=()) is None
    assert "link is a symlink" in str(objection(repository, state, version, bare=["/"]))
    (regular.folder / "office" / "link").unlink()
    assert objection(repository, state, regular.backup(NOW), bare=["/"]) is None


def test_what_windows_adds_to_an_entry_is_no_forgery(
    regular: Client, forger: Forger, repository: Repository, state: State
) -> None:
    """As restic.exe writes it: the only fields with capitals."""
    added = {
        "windows.creation_time": {"LowDateTime": 2218062336, "HighDateTime": 31236545},
        "windows.file_attributes": 32,
        "windows.security_descriptor": "AQAUjBQAAAAwAAAA",
    }
    version = version_of(forger, [{**node("a"), "generic_attributes": added}], [])
    assert objection(repository, state, version, ["/"]) is None


@pytest.mark.parametrize(
    ("bare", "refused"),
    [
        ((), False),
        (["/c"], False),
        (["/a"], True),
        (["/B"], True),
        (["/b/x/deep"], False),
        (["/b/link"], True),
    ],
)
def test_a_link_is_refused_where_it_would_be_restored_only(
    regular: Client, forger: Forger, repository: Repository, state: State, bare: list[str], refused: bool
) -> None:
    """One folder stands in two places, as equal folders do in restic."""
    packed: list[tuple[str, bytes]] = []
    inner = json.dumps({"nodes": [node("link", type="symlink", linktarget="C:\\Windows")]}).encode() + b"\n"
    folder = forger.blob("tree", inner, packed)
    nodes = [node(name, type="dir", subtree=folder) for name in ("a", "b")]
    found = objection(repository, state, version_of(forger, nodes, packed), bare)
    assert ("link is a symlink" in (found or "")) is refused


def test_names_that_differ_in_more_than_case_are_two(
    regular: Client, repository: Repository, state: State
) -> None:
    for name in ("Straße", "Strasse", "Ménage", "menage"):
        regular.write(**{name: "x"})
    assert objection(repository, state, regular.backup(NOW), ["/"]) is None
