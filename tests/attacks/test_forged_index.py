"""A forged index makes a prune throw the true packs away, and rubbish that blocks everything.

Everything goes through a real append-only rest-server; the maintenance is the project's, with a real restic.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
import zstandard
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.checks import Damaged
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.repository import RepositoryError
from attacks.conftest import Maintain
from attacks.forger import Forger
from integration.maintenance.client import Client, contents, days


def restorable(client: Client, target: Path) -> None:
    """Every version that is left comes back whole: each file of it, by restic's own verification."""
    for name in sorted(client.snapshots()):
        client.run("restore", name, "--target", str(target / name), "--verify")


def take_away(client: Client, pack: str, index: bytes) -> None:
    """As the technician does with what was forged."""
    for path in client.path.rglob("*"):
        if path.name == pack or (path.parent.name == "index" and path.read_bytes() == index):
            path.unlink()


def test_a_false_copy_of_everything_is_named_and_nothing_is_pruned(
    regular: Client, forger: Forger, maintain: Maintain, tmp_path: Path
) -> None:
    before = regular.snapshots()
    packs = {path.name for path in (regular.path / "data").rglob("*/*")}
    pack, index = forger.false_copy(forger.listing())
    forger.add("index", index)
    # By what was read here: restic, which reads copies too, is never shown it.
    with pytest.raises(Damaged, match=rf"the pack {pack} \(arrived .*Nothing is removed"):
        maintain()
    assert regular.snapshots() == before
    assert packs <= {path.name for path in (regular.path / "data").rglob("*/*")}
    # It stays so at the next run, and ends when what was forged is taken away.
    with pytest.raises(Damaged, match=pack):
        maintain()
    take_away(regular, pack, index)
    assert len(maintain()["removed"]) == 12
    restorable(regular, tmp_path / "restored")


@pytest.mark.parametrize(
    "spoil",
    [lambda frame: frame[:-1], lambda frame: frame + zstandard.compress(b"more"), lambda frame: frame + b"x"],
    ids=["ends early", "another frame", "a byte"],
)
def test_a_copy_that_only_this_program_could_read_is_named_and_nothing_is_pruned(
    regular: Client, forger: Forger, maintain: Maintain, tmp_path: Path, spoil: Callable[[bytes], bytes]
) -> None:
    """What restic's zstd refuses, another may read: a frame that is cut, or followed by something."""
    pack, index = forger.spoiled_copy(spoil)
    forger.add("index", index)
    with pytest.raises(Damaged, match=f"the pack {pack} .*cannot be decompressed.*Nothing is removed"):
        maintain()
    take_away(regular, pack, index)
    assert len(maintain()["removed"]) == 12
    restorable(regular, tmp_path / "restored")


def one_block_more(frame: bytes) -> bytes:
    """An empty one after the last of several, which libzstd reads and the decompressor of restic does not."""
    begin = at = zstandard.frame_header_size(frame)
    more = b"\x05\x00\x00"
    while True:
        head = int.from_bytes(frame[at : at + 3], "little")
        end = at + 3 + (1 if head >> 1 & 3 == 1 else head >> 3)
        if head & 1:
            if at == begin:
                return frame
            return frame[:at] + bytes([frame[at] & ~1]) + frame[at + 1 : end] + more + frame[end:]
        at = end


def test_a_copy_that_another_decompressor_reads_is_named_by_restic_and_nothing_is_pruned(
    regular: Client, forger: Forger, maintain: Maintain, tmp_path: Path
) -> None:
    regular.write(ledger="x" * 300_000)
    days(regular, 1, start=20)
    pack, index = forger.spoiled_copy(one_block_more)
    forger.add("index", index)
    named = f"the pack {pack} .in the index {sha256(index).hexdigest()[:8]}. holds copies that restic cannot"
    for _night in range(2):
        with pytest.raises(Damaged, match=f"{named} read.*Nothing is removed"):
            maintain()
    take_away(regular, pack, index)
    assert len(maintain()["removed"]) == 13
    restorable(regular, tmp_path / "restored")


def test_a_true_copy_of_everything_is_read_by_restic_once_and_holds_nothing_up(
    regular: Client, forger: Forger, maintain: Maintain, tmp_path: Path
) -> None:
    _pack, index = forger.spoiled_copy(lambda frame: frame)
    forger.add("index", index)
    assert len(maintain()["removed"]) == 12
    assert maintain()["check"]["read_bytes"] == 0
    restorable(regular, tmp_path / "restored")


def test_an_index_that_lies_about_a_pack_that_was_read_is_named(
    settled: Client, forger: Forger, maintain: Maintain
) -> None:
    days(settled, 10, start=20)
    true = max((settled.path / "data").rglob("*/*"), key=lambda path: path.stat().st_size).name
    blobs = forger.listing()
    forger.add("index", forger.index(true, [{**blob, "offset": 0, "length": 40} for blob in blobs]))
    before = settled.snapshots()
    with pytest.raises(Damaged, match=f"of the pack {true} what is not so"):
        maintain()
    assert settled.snapshots() == before


def test_an_index_that_comes_while_the_prune_has_its_lock_is_not_believed(
    settled: Client, forger: Forger, maintain: Maintain, tmp_path: Path
) -> None:
    """The lock is his signal: he needs no luck, restic waits 0.2 s before it goes on to the indexes."""
    days(settled, 10, start=20)
    pack, index = forger.false_copy(forger.listing())
    locks, seen = settled.path / "locks", threading.Event()

    def strike() -> None:
        end = time.monotonic() + 60
        while time.monotonic() < end and not any(locks.iterdir()) and not seen.is_set():
            time.sleep(0.002)
        forger.add("index", index)

    attack = threading.Thread(target=strike)
    attack.start()
    try:
        with pytest.raises(RepositoryError, match="restic forget failed"):
            maintain()
    finally:
        seen.set()
        attack.join()
    with pytest.raises(Damaged, match=pack):
        maintain()
    restorable(settled, tmp_path / "restored")


@pytest.mark.parametrize(
    ("kind", "rubbish"),
    [
        ("keys", b"{}"),
        ("keys", b'{"kdf":"scrypt","N":1073741824,"r":8,"p":1,"salt":"AA==","data":"AA=="}'),
        ("index", b"x" * 100),
        ("snapshots", b"rubbish"),
    ],
)
def test_a_few_bytes_of_rubbish_are_named_and_hold_nothing_up(
    regular: Client, forger: Forger, maintain: Maintain, tmp_path: Path, kind: str, rubbish: bytes
) -> None:
    name = forger.add(kind, rubbish)
    result = maintain()
    [named] = result["rubbish"]
    assert named.startswith(f"{kind}/{name[:8]} (arrived ")
    assert len(result["removed"]) == 12
    (regular.path / kind / name).unlink()
    restorable(regular, tmp_path / "restored")


def test_a_snapshot_that_is_sealed_and_none_is_named_and_holds_nothing_up(
    regular: Client, forger: Forger, maintain: Maintain
) -> None:
    for fields in ({"paths": 5}, {"tree": None}, {"Tree": 5}, {"time": "2026-02-31T00:00:00Z"}, {"uid": -1}):
        forger.snapshot(**{"tree": "0" * 64, "time": "2026-01-24T22:00:00Z", **fields})
    result = maintain()
    assert len(result["rubbish"]) == 5
    assert len(result["removed"]) == 12


def test_a_key_of_his_own_is_named(settled: Client, maintain: Maintain, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("mine")
    settled.run("key", "add", "--new-password-file", str(password))
    [named] = maintain()["rubbish"]
    assert named.endswith("is a key that nobody knows")


def test_a_flood_of_rubbish_is_counted_and_hides_no_key(
    settled: Client, forger: Forger, maintain: Maintain, tmp_path: Path
) -> None:
    for number in range(150):
        forger.add("snapshots", b"rubbish %d" % number)
    password = tmp_path / "password"
    password.write_text("mine")
    settled.run("key", "add", "--new-password-file", str(password))
    result = maintain()
    first, *_others, last = result["rubbish"]
    assert first.endswith("is a key that nobody knows")
    assert (len(result["rubbish"]), last) == (101, "more (51 files) that is not shown to restic")


def test_only_what_is_new_is_read(regular: Client, maintain: Maintain) -> None:
    first = maintain()["check"]["read_bytes"]
    assert first > 20 * 400
    assert maintain()["check"]["read_bytes"] == 0
    days(regular, 1, start=20)
    assert 0 < maintain()["check"]["read_bytes"] < first / 4
    assert contents(regular.folder)
