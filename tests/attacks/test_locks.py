"""Locks that a hostile server adds, as any backup does: no restic lifts them, or restic falls over them."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from ansible_collections.prosecours.backup.plugins.module_utils.maintenance import fleet
from attacks.conftest import Maintain
from attacks.forger import Forger
from integration.maintenance.client import PASSWORD, Client, days
from unit.maintenance.simulation import at

LOCK = {"hostname": "srv", "username": "SYSTEM", "pid": 4, "uid": 0, "gid": 0}


def locked(forger: Forger, **fields: object) -> str:
    entry = {"time": "2099-01-01T00:00:00Z", "exclusive": False, **LOCK, **fields}
    return forger.add("locks", forger.sealed(json.dumps(entry).encode()))


def test_a_lock_of_a_far_day_and_rubbish_are_lifted(
    regular: Client, forger: Forger, maintain: Maintain
) -> None:
    """The one would hold for seventy years; over the other every restic panics."""
    far = [locked(forger), locked(forger, exclusive=True)]
    half_an_hour_ago = time.time() - 1860
    for name in far:
        os.utime(regular.path / "locks" / name, (half_an_hour_ago,) * 2)
    rubbish = [forger.add("locks", b"rubbish"), locked(forger, pid="four")]
    result = maintain()
    assert (len(result["removed"]), result["pruned"]) == (12, True)
    assert {text.partition(" ")[0] for text in result["rubbish"]} == {f"locks/{one[:8]}" for one in rubbish}
    assert list((regular.path / "locks").iterdir()) == []


def test_one_that_is_renewed_hides_nothing_of_what_was_sent(
    regular: Client, forger: Forger, tmp_path: Path
) -> None:
    known = fleet.Client("farm", "PS-1", 1, 7, 2, {"srv": str(regular.path)}, str(regular.path.parent))
    settings = fleet.Settings(
        str(tmp_path / "state"), regular.restic, 1, 15, 24, patience=0, reserve_megabytes=0
    )

    def maintained() -> fleet.Outcome:
        return fleet.maintain([known], lambda _client, _server: PASSWORD, settings, check=False)

    before = regular.snapshots()
    [honest] = days(regular, 1, start=20)
    for path in regular.folder.rglob("*"):
        if path.is_file():
            path.write_bytes(os.urandom(200_000))
    sent = [
        regular.backup(at(*when)) for when in (("2026-01-26", 22), ("2026-01-27", 21), ("2026-01-27", 22))
    ]
    lock = locked(forger)
    outcome = maintained()
    assert "the repository is locked by another program" in outcome.failures["farm"]
    report = outcome.reports["farm"]
    assert list(report["losses"]) == sent[:1]
    assert report["volume"]["newest_bytes"] > 200_000 * 20
    assert report["drill"] is not None
    assert (report["removed"], report["pruned"]) == ([], False)
    assert regular.snapshots() == {*before, honest, *sent}
    # It is renewed no more.
    half_an_hour_ago = time.time() - 1860
    os.utime(regular.path / "locks" / lock, (half_an_hour_ago,) * 2)
    outcome = maintained()
    assert outcome.failures == {}
    assert outcome.reports["farm"]["removed"] == [sent[1]], "the loss holds all that is older"
