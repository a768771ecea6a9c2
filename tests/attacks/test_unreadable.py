"""A version at which restic stops: it is set aside and named, and the maintenance goes on.

Everything goes through a real append-only rest-server; the maintenance is the project's, with a real restic.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance import forged as forged_versions
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.admission import Remembered
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.checks import Damaged
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.forged import suspects
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.judgement import versions
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.repository import Repository
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.state import State
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.status import part
from attacks.conftest import ORDER, Maintain
from attacks.forger import Forger
from integration.maintenance.client import Client
from unit.maintenance.simulation import at

FILE = {"name": "a", "type": "file", "mode": 0o644, "content": []}
# A folder as it lies in the repository -> why restic cannot read it.
UNREADABLE: dict[str, bytes] = {
    "no JSON": b"rubbish",
    "no folder": b"[]",
    "no nodes": b'{"node":[]}',
    "nodes are none": b'{"nodes":null}',
    "an entry is none": b'{"nodes":[5]}',
    **{
        name: json.dumps({"nodes": [{**FILE, **fields}]}).encode()
        for name, fields in {
            "a name that ends in the middle": {"name": "a\\"},
            "a name with a quote": {"name": 'a"b'},
            "no name": {"name": ""},
            "a number as a name": {"name": 5},
            "a text as a size": {"size": "x"},
            "a negative size": {"size": -1},
            "a day that is none": {"mtime": "yesterday"},
            "no type": {"type": ""},
            "a type of tomorrow": {"type": "portal"},
            "an id that is none": {"content": ["ab"]},
            "a file without content": {"content": None},
            "a folder without entries": {"type": "dir"},
            "a field in capitals": {"Size": "x"},
            "a thirteenth month": {"mtime": "2026-13-01T00:00:00Z"},
            "digits of another script": {"mtime": "2026-01-01T00:00:0\u0660Z"},
            "a byte beyond 255": {"name": "a\\777"},
            "half a letter": {"name": "a\\ud800"},
            "a letter beyond all": {"name": "a\\U00110000"},
            "an escape in capitals": {"name": "a\\N"},
            "a number as attributes": {"extended_attributes": 5},
            "attributes that are none": {"extended_attributes": [{"name": 5}]},
            "an attribute that is no base64": {"extended_attributes": [{"name": "a", "value": "%%"}]},
            "Windows' attributes as a list": {"generic_attributes": [1]},
            "a raw target that is no base64": {"linktarget_raw": "%%"},
        }.items()
    },
}


def sent(forger: Forger, client: Client, packed: list[tuple[str, bytes]], tree: str, hour: float) -> str:
    forger.pack(packed)
    name = forger.snapshot(tree, at("2026-01-24", hour).isoformat())
    return client.arrived(name, at("2026-01-24", hour + 0.01))


def test_versions_whose_folders_cannot_be_read_are_named_and_hold_nothing_up(
    regular: Client,
    forger: Forger,
    maintain: Maintain,
    foretell: Maintain,
    repository: Repository,
    state: State,
) -> None:
    honest = regular.snapshots()
    forged = {}
    for number, text in enumerate(UNREADABLE.values()):
        packed: list[tuple[str, bytes]] = []
        tree = forger.blob("tree", text, packed)
        if number % 2:  # deeper: the folder above is sound
            above = {"nodes": [{"name": "x", "type": "dir", "mode": 0o755, "subtree": tree}]}
            tree = forger.blob("tree", json.dumps(above).encode(), packed)
        name = sent(forger, regular, packed, tree, 22.5 + number / 100)
        forged[name] = list(UNREADABLE)[number]
    # Foretold before any maintenance has been here, and without a trace.
    foretold = foretell()
    assert {name for name in forged if any(name[:8] in text for text in foretold["rubbish"])}
    result = maintain()
    assert foretold["removed"] == result["removed"]
    named = {text.partition(" ")[0].removeprefix("snapshots/") for text in result["rubbish"]}
    assert {why for name, why in forged.items() if name[:8] not in named} == set()
    assert len(result["rubbish"]) == len(forged)
    assert all("(arrived 2026-01-24 2" in text for text in result["rubbish"])
    assert (len(result["removed"]), result["pruned"], result["check"]["ok"]) == (12, True, True)
    assert result["drill"]["ok"] is True
    assert regular.snapshots() == honest - set(result["removed"]) | forged.keys()
    # Those of which restic can say nothing count for nothing in the status and in a restore either.
    told = part(ORDER, repository, state, at("2026-01-26"))
    assert (told.server.versions, len(told.rubbish)) == (8, len(forged))
    assert not forged.keys() & {one.id for one in versions(ORDER, repository, state)}
    assert foretell()["changed"] is False
    for name in forged:
        (regular.path / "snapshots" / name).unlink()
    regular.run("check", "--read-data")
    assert maintain()["rubbish"] == []


def test_what_only_restic_cannot_read_is_named_and_nothing_is_removed(
    regular: Client, forger: Forger, maintain: Maintain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list of what restic reads in a folder may lack something: here, all."""
    monkeypatch.setattr(forged_versions, "FIELDS", {})
    before = regular.snapshots()
    packed: list[tuple[str, bytes]] = []
    tree = forger.blob("tree", UNREADABLE["a thirteenth month"], packed)
    name = sent(forger, regular, packed, tree, 22.5)
    [named] = (result := maintain())["rubbish"]
    assert named.startswith(f"snapshots/{name[:8]} (arrived 2026-01-24 ")
    assert named.endswith("cannot be read by restic: nothing is removed while it is there")
    assert (result["removed"], regular.snapshots()) == ([], {*before, name})
    assert result["servers"]["srv"]["versions"] == 20, "all else goes on"


@pytest.mark.parametrize("lacking", ["its folder", "the part"])
def test_a_version_without_a_part_that_never_came_is_named_and_nothing_is_removed(
    regular: Client, forger: Forger, maintain: Maintain, lacking: str
) -> None:
    before = regular.snapshots()
    never = "ab" * 32
    node: dict[str, Any] = {**FILE, "content": [never], "size": 5}
    packed: list[tuple[str, bytes]] = []
    made = forger.blob("tree", json.dumps({"nodes": [node]}).encode(), packed)
    name = sent(forger, regular, packed, never if lacking == "its folder" else made, 22.5)
    for _night in range(2):
        result = maintain()
        [named] = result["rubbish"]
        assert named.startswith(f"snapshots/{name[:8]} (arrived 2026-01-24 ")
        assert f"lacks {lacking} abababab" in named
        assert named.endswith("nothing is removed while it is there")
        assert (result["removed"], result["pruned"]) == ([], False)
        assert regular.snapshots() == {*before, name}
    assert result["servers"]["srv"]["versions"] == 20, "all else goes on"
    (regular.path / "snapshots" / name).unlink()
    assert len(maintain()["removed"]) == 12


@pytest.mark.parametrize("by", ["a disk", "a forger in a bucket"])
def test_a_version_that_is_not_what_its_name_says_is_named_and_nothing_is_removed(
    regular: Client,
    maintain: Maintain,
    foretell: Maintain,
    repository: Repository,
    state: State,
    by: str,
) -> None:
    """A rest-server compares both; a disk spoils what it likes, and a supplier takes any name."""
    newest = max((regular.path / "snapshots").iterdir(), key=lambda path: path.stat().st_mtime)
    wrong = newest if by == "a disk" else newest.with_name("ab" * 32)
    content = newest.read_bytes()
    newest.chmod(0o600)
    wrong.write_bytes(content[:-1] + bytes([content[-1] ^ 1]) if by == "a disk" else content)
    before = regular.snapshots()
    for told in (foretell(), maintain(), maintain()):
        [named] = told["rubbish"]
        assert named.startswith(f"snapshots/{wrong.name[:8]} (arrived ")
        assert named.endswith(
            "is damaged: its content is not that of its name: nothing is removed while it is there"
        )
        assert (told["removed"], told["pruned"]) == ([], False)
    assert regular.snapshots() == before
    # The others are in the status, and are restored, all the same.
    whole = 20 if by == "a forger in a bucket" else 19
    assert part(ORDER, repository, state, at("2026-01-26")).server.versions == whole
    assert len(versions(ORDER, repository, state)) == whole


def test_what_a_version_that_was_whole_lacks_stays_damage(regular: Client, maintain: Maintain) -> None:
    maintain()
    min((regular.path / "index").iterdir()).unlink()
    before = regular.snapshots()
    with pytest.raises(Damaged, match="Nothing is removed"):
        maintain()
    assert regular.snapshots() == before


def test_nothing_that_restic_makes_is_suspected(client: Client, repository: Repository) -> None:
    odd = client.folder / 'é "q" \\ \u202f\x01[1] %'
    odd.mkdir()
    (odd / "empty").touch()
    (odd / "link").symlink_to("nowhere é")
    (odd / "hard").hardlink_to(client.folder / "ledger")
    os.mkfifo(odd / "pipe")
    os.setxattr(odd / "empty", "user.x", b"\x00\xff")
    os.utime(odd / "empty", ns=(1, 1_700_000_000_123_456_789))
    (Path(os.fsencode(odd).decode("utf-8", "surrogateescape")) / "b\udcffd").touch()
    client.backup(at("2026-01-05"))
    with repository.admitted(Remembered(), writable=False) as (seen, admission):
        [version] = seen.snapshots()
        assert suspects(admission, {version.id}) == {}
