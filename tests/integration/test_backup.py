"""Backups as they go wrong on a lab server, and deploys that meet one; what is left is read past WinRM."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.addresses import address
from support.inventory import write

from .conftest import AGENT, Site, farm

pytestmark = pytest.mark.lab


def status(site: Site) -> dict[str, Any]:
    """What the last backup wrote of itself."""
    found: dict[str, Any] = json.loads(site.expect(f'type "{AGENT}\\status.json"'))
    return found


def night(site: Site) -> None:
    """The server's own scheduler starts the backup that is due."""
    site.control.ask("clock", host=site.host, advance=86400.0, to=None)


def wait_until(what: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.5)


def test_an_incomplete_backup_is_marked_in_the_repository(bare: Site) -> None:
    """The mark is what retention tells complete versions by (C7): nothing in the snapshot itself tells."""
    assert bare.play("deploy").code == 0
    night(bare)
    complete = {one["id"] for one in bare.snapshots()}
    bare.expect(r"ren D:\isapawp isapawp.away")
    try:
        night(bare)
        assert (status(bare)["exit_code"], status(bare)["missing"]) == (3, 1)
        assert r"D:\isapawp" in bare.expect(f'type "{AGENT}\\missing.txt"')
        added = {one["id"]: one.get("tags") for one in bare.snapshots() if one["id"] not in complete}
        (version,) = (name for name, tags in added.items() if tags == ["PS-2026-0500"])
        (mark,) = (name for name in added if name != version)
        assert added[mark] == [f"incomplete={version}"]

        # A mark that cannot be sent waits; the next run sends it, and its own.
        night(bare)
        second = status(bare)["summary"]["snapshot_id"]
        bare.expect(f'cd /d "{AGENT}" & echo {"0" * 64}>incomplete.txt')
    finally:
        bare.expect(r"ren D:\isapawp.away isapawp")
    night(bare)
    assert status(bare)["exit_code"] == 0
    marks = {
        tag for one in bare.snapshots() for tag in one.get("tags") or () if tag.startswith("incomplete=")
    }
    assert {f"incomplete={second}", f"incomplete={'0' * 64}"} <= marks
    assert bare.run(f'if exist "{AGENT}\\incomplete.txt" (exit 1)')[0] == 0
    # It went on from the last version, not from a mark: nothing was read that was known.
    assert status(bare)["summary"]["files_unmodified"] > 0


def test_a_restic_that_crashes_is_no_success(bare: Site, tmp_path: Path) -> None:
    """Its exit code, 0xC0000005, is negative for cmd, and `if errorlevel 1` false."""
    assert bare.play("deploy").code == 0
    folder = bare.state / "hosts" / bare.host / "wine" / "drive_c" / "Program Files" / "ProSecours"
    waiting = folder / "incomplete.txt"
    waiting.write_text(f"{'a' * 64}\r\n", encoding="ascii")
    crash = tmp_path / "restic.exe"
    source = Path(__file__).with_name("crash.c")
    subprocess.run(["x86_64-w64-mingw32-gcc", "-o", str(crash), str(source)], check=True)
    shutil.copy(crash, folder / "restic.exe")
    night(bare)
    assert (status(bare)["exit_code"], status(bare)["summary"]) == (-1073741819, None)
    assert waiting.exists(), "the mark was taken for sent"


def test_a_backup_without_shadow_copies_is_called_degraded(site: Site) -> None:
    added = site.inventory / "sans_cliche.yml"
    own = address()
    write(added, farm("sans_cliche", "cliche-srv", own, "PS-2026-0502", lab_shadow_copies="broken"))
    other = Site(site.state, site.inventory, "cliche-srv", "sans_cliche", own, site.environment)
    try:
        other.up()
        done = other.play("deploy", "--limit", "sans_cliche")
        assert done.code == 0, done.output
        night(other)
        assert (status(other)["exit_code"], status(other)["degraded"]) == (0, True)
        assert len(other.snapshots()) == 1, "the live files were not backed up"
        told = other.play("backup", "--limit", "sans_cliche")
        assert "degraded" in told.output
    finally:
        added.unlink()


def test_a_deploy_that_meets_a_backup_says_so_or_waits(bare: Site, tmp_path: Path) -> None:
    slow = ("-e", '{"prosecours_upload_limit_kib": 64}')
    assert bare.play("deploy", *slow).code == 0
    data = bare.state / "hosts" / bare.host / "drives" / "D" / "isapawp" / "volume.bin"
    data.write_bytes(os.urandom(3_000_000))  # over 40 seconds at 64 KiB/s
    try:
        bare.expect(r"schtasks /run /tn \ProSecours\Sauvegarde")
        wait_until(lambda: bare.run(f'cd /d "{AGENT}" & echo 1 2>>backup.lock')[1].strip() != "1")
        newer = (*slow, "-e", '{"prosecours_agent_log_days": 20}')

        refused = bare.play("deploy", *newer, "-e", "prosecours_agent_wait=1")
        assert refused.code != 0
        assert "a backup still runs" in re.sub(r"\s+", " ", refused.output)
        assert "log_days" not in refused.output
        assert "Traceback" not in refused.output

        waited = bare.play("deploy", *newer)
        assert waited.code == 0, waited.output
        assert status(bare)["exit_code"] == 0, "the backup was disturbed"
        assert "/d -20 " in bare.expect(f'type "{AGENT}\\backup.cmd"')
        again = bare.play("deploy", *newer)
        assert again.recap["changed"] == 0, again.output
    finally:
        data.unlink()
