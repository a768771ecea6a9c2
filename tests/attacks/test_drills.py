"""A drill that restored what a client crafted let him write into the repository, and hang."""

from __future__ import annotations

import json
import time

from attacks.conftest import Maintain
from attacks.forger import Forger
from integration.maintenance.client import Client
from unit.maintenance.simulation import at


def node(name: str, **fields: object) -> dict[str, object]:
    return {"name": name, "mode": 0o644, "type": "file", "content": [], **fields}


def crafted(forger: Forger, client: Client) -> str:
    """A version whose folder has a link to `snapshots/`, a folder of the same name with files of the names of
    all snapshots, a pipe and a file of one name, and two files of one name."""
    packed: list[tuple[str, bytes]] = []
    false = forger.blob("data", b"replaced", packed)
    victims = [node(name, size=8, content=[false]) for name in sorted(client.snapshots())]
    inner = forger.blob("tree", json.dumps({"nodes": victims}).encode() + b"\n", packed)
    nodes = [
        node("a", type="symlink", linktarget=str(client.path / "snapshots"), mode=0o777),
        node("a", type="dir", subtree=inner, mode=0o755),
        node("b", type="fifo"),
        node("b", size=8, content=[false]),
        node("c", size=8, content=[false]),
        node("d", size=8, content=[false]),
        node("d", size=8, content=[forger.blob("data", b"anything", packed)]),
    ]
    tree = forger.blob("tree", json.dumps({"nodes": nodes}).encode() + b"\n", packed)
    forger.pack(packed)
    return forger.snapshot(tree, at("2026-01-25").isoformat(), paths=["/a", "/b", "/c", "/d"])


def test_a_crafted_tree_is_named_and_nothing_is_written_nor_opened(
    regular: Client, forger: Forger, maintain: Maintain
) -> None:
    before = {path.name: path.read_bytes() for path in (regular.path / "snapshots").iterdir()}
    name = crafted(forger, regular)
    regular.arrived(name, at("2026-01-25", 22.1))
    begun = time.monotonic()
    result = maintain()
    assert time.monotonic() - begun < 120
    assert result["drill"]["ok"] is False
    told = result["drill"]["problems"]
    assert any("no restic made" in text for text in told), told
    after = {path.name: path.read_bytes() for path in (regular.path / "snapshots").iterdir()}
    assert {known: before[known] for known in after if known in before}.items() <= after.items()
    assert after.keys() >= before.keys() - set(result["removed"])


def test_of_two_files_of_one_name_the_one_that_restic_reads_is_compared(
    regular: Client, forger: Forger, maintain: Maintain
) -> None:
    packed: list[tuple[str, bytes]] = []
    parts = [forger.blob("data", text, packed) for text in (b"replaced", b"anything")]
    nodes = [node("d", size=8, content=[part]) for part in parts]
    tree = forger.blob("tree", json.dumps({"nodes": nodes}).encode() + b"\n", packed)
    forger.pack(packed)
    regular.arrived(forger.snapshot(tree, at("2026-01-25").isoformat()), at("2026-01-25", 22.1))
    [told] = maintain()["drill"]["problems"]
    assert "/: has a name twice: no restic made this folder" in told
