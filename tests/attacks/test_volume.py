"""Sizes that a client claims close no repository, and versions that take long hold up nobody else."""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import zstandard
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance import fleet, status
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.checks import Damaged
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.client import Effort
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.drill import Size
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.fleet import Settings
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.judgement import versions
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.repository import Repository
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.state import State
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.status import part
from attacks.conftest import ORDER, Maintain
from attacks.forger import Forger
from attacks.test_drills import node
from integration.maintenance.client import PASSWORD, Client
from unit.maintenance.simulation import at

LATER, MINUTE = at("2026-01-25"), timedelta(minutes=1)


def forged(
    forger: Forger, client: Client, nodes: list[dict[str, Any]], packed: list[tuple[str, bytes]]
) -> str:
    tree = forger.blob("tree", json.dumps({"nodes": nodes}).encode() + b"\n", packed)
    forger.pack(packed)
    name = forger.snapshot(tree, LATER.isoformat(), paths=["/"])
    return client.arrived(name, LATER + MINUTE)


def maintained(client: Client, state: Path, **changes: Any) -> dict[str, Any]:
    """By the fleet, which also accounts for the volume and moves the gate."""
    known = fleet.Client(
        "farm", "PS-1", 1, 7, 2, {"srv": str(client.path)}, str(client.path.parent / "nothing-to-close")
    )
    settings = Settings(str(state), client.restic, 1, 15, 24, reserve_megabytes=0, **changes)
    outcome = fleet.maintain([known], lambda _client, _server: PASSWORD, settings, check=False)
    assert not outcome.failures
    return outcome.reports["farm"]


def test_five_bytes_that_claim_a_petabyte_are_five_bytes(
    regular: Client, forger: Forger, tmp_path: Path
) -> None:
    packed: list[tuple[str, bytes]] = []
    part = forger.blob("data", b"bytes", packed)
    forged(forger, regular, [node("huge", size=10**15, content=[part])], packed)
    volume = maintained(regular, tmp_path / "state")["volume"]
    assert (volume["newest_bytes"], volume["closed"]) == (5, False)


def test_a_defect_that_one_server_finds_stops_no_other(
    regular: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a name that was looked up and not there: it ended the maintenance of all clients."""

    def found(original: Any) -> Any:
        def either(*given: Any) -> Any:
            return {}["abab"] if given[1].server == "a" else original(*given)

        return either

    monkeypatch.setattr(fleet, "run", found(fleet.run))
    monkeypatch.setattr(status, "part", found(status.part))
    top = str(regular.path.parent / "nothing-to-close")
    one = fleet.Client("farm", "PS-1", 1, 7, 2, {"a": "/nowhere", "srv": str(regular.path)}, top)
    settings = Settings(str(tmp_path / "state"), regular.restic, 1, 15, 24, reserve_megabytes=0)
    outcome = fleet.maintain([one], lambda _client, _server: PASSWORD, settings, check=False)
    assert outcome.failures["farm"].startswith(
        "a: a defect of this program (KeyError: 'abab', test_volume.py:"
    )
    assert list(outcome.reports["farm"]["servers"]) == ["srv"]
    told, failures = status.statuses([one], lambda _client, _server: PASSWORD, settings, LATER)
    assert list(told["farm"].servers) == ["srv"]
    assert failures["farm"].startswith("a: a defect of this program (KeyError: 'abab', ")


def test_a_defect_that_one_client_finds_stops_no_other(
    regular: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a day that was there twice, between which a forecast divided."""

    def found(original: Any, client: Callable[..., str]) -> Any:
        def either(*given: Any) -> Any:
            return 1 / 0 if client(*given) == "farm" else original(*given)

        return either

    monkeypatch.setattr(
        fleet, "account", found(fleet.account, lambda _door, state, *_rest: state.folder.name)
    )
    monkeypatch.setattr(status, "status", found(status.status, lambda client, *_rest: client.client))
    top = str(regular.path.parent / "nothing-to-close")
    both = [
        fleet.Client(name, "PS-1", 1, 7, 2, {"srv": str(regular.path)}, top) for name in ("farm", "other")
    ]
    settings = Settings(str(tmp_path / "state"), regular.restic, 1, 15, 24, reserve_megabytes=0)
    outcome = fleet.maintain(both, lambda _client, _server: PASSWORD, settings, check=False)
    said = "a defect of this program (ZeroDivisionError: division by zero, test_volume.py:"
    assert outcome.failures["farm"].startswith(said)
    assert list(outcome.reports) == ["other"]
    told, failures = status.statuses(both, lambda _client, _server: PASSWORD, settings, LATER)
    assert list(told) == ["other"]
    assert failures["farm"].startswith(said)


def test_one_part_that_is_listed_100_000_times_closes_until_a_technician_rejects_it(
    regular: Client, forger: Forger, tmp_path: Path
) -> None:
    """It is as large as that, restored."""
    packed: list[tuple[str, bytes]] = []
    part = forger.blob("data", b"x" * 100_000, packed)
    name = forged(forger, regular, [node("huge", size=5, content=[part] * 10**5)], packed)
    volume = maintained(regular, tmp_path / "state")["volume"]
    assert (volume["newest_bytes"], volume["closed"]) == (10**10, True)
    rejected = {"reject": (name,), "reject_by": "A. Martin", "reject_why": "no file of theirs"}
    after = maintained(regular, tmp_path / "state", **rejected)["volume"]
    assert after["newest_bytes"] < 10**6
    assert after["closed"] is False


def bomb(forger: Forger, packed: list[tuple[str, bytes]], floors: int) -> str:
    """Folders that hold the folder below twice: 2**floors files, by a few bytes each floor."""
    part = forger.blob("data", b"x" * 1000, packed)
    tree = forger.blob(
        "tree", json.dumps({"nodes": [node("f", size=1000, content=[part])]}).encode() + b"\n", packed
    )
    for _ in range(floors):
        both = [node(name, type="dir", subtree=tree) for name in ("a", "b")]
        tree = forger.blob("tree", json.dumps({"nodes": both}).encode() + b"\n", packed)
    return tree


def test_folders_that_hold_each_other_by_the_billion_end_in_time_and_are_named(
    regular: Client, forger: Forger, maintain: Maintain
) -> None:
    packed: list[tuple[str, bytes]] = []
    tree = bomb(forger, packed, 40)
    forger.pack(packed)
    name = regular.arrived(forger.snapshot(tree, LATER.isoformat(), paths=["/"]), LATER + MINUTE)
    begun = time.monotonic()
    result = maintain(effort=Effort(seconds=40), drill=Size(seconds=3))
    assert time.monotonic() - begun < 120
    assert result["unmeasured"] == [name]
    assert result["removed"] == []
    # A technician rejects it, and all goes on.
    after = maintain(
        effort=Effort(seconds=8),
        drill=Size(seconds=3),
        reject=(name,),
        reject_by="A. Martin",
        reject_why="no restic made it",
    )
    assert after["unmeasured"] == []
    assert len(after["removed"]) == 12


def test_thousands_of_versions_are_measured_some_a_day_and_nothing_is_removed_before(
    regular: Client, maintain: Maintain
) -> None:
    first = maintain(effort=Effort(versions=15))
    assert (len(first["unmeasured"]), first["removed"]) == (5, [])
    assert any("stays until all versions are measured" in one["reasons"] for one in first["decisions"])
    second = maintain(effort=Effort(versions=15))
    assert (second["unmeasured"], len(second["removed"])) == ([], 12)


def folded(forger: Forger, begin: bytes, part: bytes, end: bytes, size: int) -> bytes:
    """A file of `size` bytes in clear."""
    text = begin + part * (size // len(part)) + end
    return forger.sealed(b"\x02" + zstandard.ZstdCompressor().compress(text))


def test_a_few_bytes_that_unfold_to_gigabytes_and_paths_without_end_are_rubbish(
    regular: Client, forger: Forger, maintain: Maintain
) -> None:
    """1,400 bytes of an index took 14 GB, of the process that maintains all clients; each path is proven for
    itself, and a million of them took hours."""

    snapshot = b'{"time":"2026-01-24T22:00:00Z","tree":"%s","paths":[' % (b"0" * 64)
    forged = [
        forger.add("index", folded(forger, b'{"packs":[', b"{},", b"{}]}", 33 << 20)),
        forger.add("snapshots", folded(forger, snapshot, b'"/a",', b'"/a"]}', 2 << 20)),
        forger.add("snapshots", folded(forger, snapshot, b'"/a",', b'"/b"]}', 50_001)),
    ]
    begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result = maintain()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - begun < 300_000, "kB"
    named = {text.partition(" ")[0].partition("/")[2] for text in result["rubbish"]}
    assert named == {name[:8] for name in forged}
    assert len(result["removed"]) == 12


def test_versions_that_say_very_much_push_no_honest_one_out_and_hold_removals_until_rejected(
    regular: Client,
    forger: Forger,
    maintain: Maintain,
    foretell: Maintain,
    repository: Repository,
    state: State,
) -> None:
    """Forty of nearly a megabyte of paths, of which each could be restic's, and which are 250 bytes as sent:
    all that restic lists of a repository at once is bounded. Then the honest one of the night comes."""
    tree = forger.document("snapshots", max(regular.snapshots()))["tree"]
    before, forged = regular.snapshots(), []
    for number in range(40):
        text = folded(
            forger,
            b'{"time":"%s","tree":"%s","paths":["/%d",' % (LATER.isoformat().encode(), tree.encode(), number),
            b'"%s",' % (b"x" * 1000),
            b'"/a"]}',
            950_000,
        )
        forged.append(regular.arrived(forger.add("snapshots", text), LATER))
    honest = regular.backup(LATER + MINUTE)
    foretold, result = foretell(), maintain()
    fit = 32_000_000 // 951_000
    for told in (foretold, result):
        assert (len(told["rubbish"]), told["removed"], told["pruned"]) == (40 - fit, [], False)
        assert all("nothing is removed until it is rejected" in text for text in told["rubbish"])
    assert regular.snapshots() == {*before, *forged, honest}
    assert honest in {one["id"] for one in result["decisions"]}
    # What has no room is in the status, from which monitoring has it, and a restore takes the honest ones.
    assert len(part(ORDER, repository, state, LATER + 2 * MINUTE).rubbish) == 40 - fit
    assert {*before, honest} <= {one.id for one in versions(ORDER, repository, state)}
    # One who comes later is not pushed out either, and all goes on once a technician has judged.
    second = regular.backup(LATER + timedelta(days=1))
    judged = {"reject_by": "A. Martin", "reject_why": "no perimeter has such paths"}
    after = maintain(reject=tuple(name[:12] for name in forged), **judged)
    assert sorted(after["rejected"]) == sorted(forged)
    assert (len(after["removed"]), after["pruned"]) == (14, True)
    assert {honest, second, *forged} <= regular.snapshots()
    assert after["promise"]["kept"] is True
    regular.run("check", "--read-data")
    for name in (honest, second):
        regular.run("restore", name, "--target", str(state.folder / name), "--verify")


def test_a_folder_that_unfolds_in_memory_is_named_before_restic_reads_it(
    regular: Client, forger: Forger, maintain: Maintain, foretell: Maintain
) -> None:
    """22 million entries, 6 kB as they are sent: restic took 20 GB for them, on the host of all."""
    clear = b'{"nodes":[' + b"{}," * 1_100_000 + b"{}]}\n"
    tree = forger.folded("tree", clear)
    name = regular.arrived(forger.snapshot(tree, LATER.isoformat()), LATER + MINUTE)
    before = regular.snapshots()
    begun = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    foretold = foretell()
    assert foretold["removed"] == []
    assert [text for text in foretold["rubbish"] if name[:8] in text and "more in it than any has" in text]
    with pytest.raises(Damaged, match=r"more in it than any has.*Nothing is removed"):
        maintain()
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss - begun < 300_000, "kB"
    assert regular.snapshots() == before
