"""What is written down of a disk: steps in their order, the manifest, and the page that both sides sign."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.disks import Volume
from ansible_collections.prosecours.backup.plugins.plugin_utils.disks import custody as disk_custody
from ansible_collections.prosecours.backup.plugins.plugin_utils.disks.custody import (
    Custody,
    CustodyError,
    Step,
)
from ansible_collections.prosecours.backup.plugins.plugin_utils.disks.request import Request
from unit.contract import contracts

AT = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
REQUEST = Request(
    id="1a2b3c4d5e6f",
    client="moulin",
    client_name="GAEC du Moulin",
    reference="PS-1",
    server="moulin-srv1",
    requester=contracts.client().contacts.main,
    mail_date="2026-11-22",
    disk=Volume("1A2B-3C4D", "AMORCE"),
)
FILES = {f"data/{'ab' * 32}": 1_000_000, f"index/{'cd' * 32}": 2000, f"snapshots/{'ef' * 32}": 300}
FILLED = Custody(
    REQUEST, {"prepare": Step(AT, "A. Martin"), "fill": Step(AT + timedelta(days=1), "<b>Durand")}, AT
)
HANDED = replace(FILLED, files=FILES).with_step(
    "hand_over", Step(AT + timedelta(days=2), "A. Martin", 3, 1_002_300)
)


def test_steps_come_in_their_order_and_once() -> None:
    new = Custody(REQUEST)
    assert new.require("prepare") is None
    for step, due in (("fill", "prepare"), ("load", "prepare"), ("finish", "prepare")):
        with pytest.raises(
            CustodyError, match=f"1A2B-3C4D has not been prepared yet.* prosecours_seed_step={due}"
        ):
            new.require(step)
    assert FILLED.require("hand_over") is None
    with pytest.raises(CustodyError, match="moulin-srv1: the disk 1A2B-3C4D has not been handed over yet"):
        FILLED.require("load")
    done = FILLED.require("fill")
    assert done
    assert disk_custody.done("fill", done) == (
        "this disk was filled on 2026-11-24 11:00 by <b>Durand; nothing is left to do"
    )


def test_the_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = disk_custody.place(tmp_path, REQUEST)
    assert path == tmp_path / "disks" / "moulin" / "2026-11-22-1a2b3c4d5e6f.json"
    assert disk_custody.known(path, REQUEST) == Custody(REQUEST)
    disk_custody.keep(path, HANDED)
    assert disk_custody.known(path, REQUEST) == HANDED
    assert path.stat().st_mode & 0o007 == 0
    path.write_text(path.read_text("utf-8")[:-20], "utf-8")
    with pytest.raises(CustodyError, match=f"{path}: it cannot be read .* Take it from the backup"):
        disk_custody.known(path, REQUEST)


def test_the_manifest_says_when_the_backup_was_made() -> None:
    assert HANDED.manifest.begun == AT
    assert HANDED.manifest.ended == AT + timedelta(days=1)
    assert HANDED.manifest.files == FILES


def test_the_page_can_be_held_against_the_record() -> None:
    """The fingerprint is that of the lines that anybody can write from the record with other programs."""
    lines = "".join(f"{name} {size}\n" for name, size in sorted(FILES.items()))
    page = disk_custody.document(HANDED)
    for says in (
        hashlib.sha256(lines.encode()).hexdigest(),
        "1A2B-3C4D",
        "GAEC du Moulin",
        "courriel du dimanche 22 novembre 2026",
        "Mme Jeanne Martin",
        "3 fichiers",
        "&lt;b&gt;Durand",
        "mercredi 25 novembre 2026" if "mercredi" in page else "25 novembre 2026",
    ):
        assert says in page.replace("\N{NO-BREAK SPACE}", " ").replace("\N{NARROW NO-BREAK SPACE}", " "), says
    assert "Disque chargé" not in page


def test_what_the_journal_keeps() -> None:
    kept = disk_custody.journal(HANDED, "hand_over")
    assert json.loads(json.dumps(kept)) == kept
    assert (kept["step"], kept["requester"], kept["disk"]) == (
        "hand_over",
        "jeanne@moulin.example",
        "1A2B-3C4D",
    )
    assert (kept["files"], kept["bytes"]) == (3, 1_002_300)
