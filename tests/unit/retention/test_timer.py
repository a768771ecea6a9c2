"""The program that a timer of the repository host starts, put together as the role's tasks do it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml
from unit.retention.client import PASSWORD, Client

ROLE = Path(__file__).resolve().parents[3] / "roles" / "retention"
MODULES = Path(__file__).resolve().parents[3] / "plugins" / "module_utils"
TASKS: list[dict[str, Any]] = yaml.safe_load((ROLE / "tasks" / "timer.yml").read_text())


def task(name: str) -> dict[str, Any]:
    return next(one for one in TASKS if one["name"] == name)


def test_the_host_keeps_the_promise_by_itself(regular: Client, tmp_path: Path) -> None:
    """With nothing but what the tasks copy: no Ansible, no collection."""
    program = tmp_path / "lib" / "maintenance"
    program.mkdir(parents=True)
    for name in task("Copy the program")["loop"]:
        shutil.copy(MODULES / f"{name}.py", program)
    settings = task("Write who is promised what")["vars"]["retention_settings"]["settings"]
    given = {
        "state_folder": str(tmp_path / "state"),
        "restic": regular.restic,
        "side_by_side": 2,
        "patience": 0,
        "clock_minutes": 15,
        "longest_backup_hours": 24,
        "max_unused": "5%",
        "check_cycle_days": 30,
        "drill_files": 20,
        "drill_megabytes": 500,
        "drill_folder": str(tmp_path),
    }
    assert given.keys() == settings.keys()
    place = {"subscribed_gb": 1, "daily": 7, "weekly": 2, "reference": "PS-2026-0042"}
    clients = [
        {"client": "moulin", "path": str(regular.path), **place},
        {"client": "bois", "path": str(tmp_path / "nowhere"), **place},
    ]
    for client in clients:
        password = tmp_path / str(client["client"]) / "encryption-password"
        password.parent.mkdir()
        password.write_text(f"{PASSWORD}\n")
    (tmp_path / "settings.json").write_text(
        json.dumps({"config": str(tmp_path), "clients": clients, "settings": given})
    )
    run = subprocess.run(
        [sys.executable, "-m", "maintenance.maintenance_of_all", str(tmp_path / "settings.json")],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(program.parent)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")
    assert [line for line in run.stdout.splitlines() if line.endswith("begins")] == [
        "bois: begins",
        "moulin: begins",
    ]
    assert {line.partition(": ")[2] for line in run.stdout.splitlines()} == {
        "begins",
        "moulin: 8 versions, 12 removed",
        "bois: nothing sent yet",
    }
    assert len(regular.snapshots()) == 8
    report = json.loads((tmp_path / "state" / "moulin" / "retention.json").read_text())
    assert datetime.fromisoformat(report["at"]) <= datetime.now(UTC)
    assert report["promise"] == {"kept": True, "problems": []}
    [drill] = json.loads((tmp_path / "state" / "moulin" / "drill.json").read_text())
    assert (drill["ok"], drill["files"]) == (True, 20)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed here")
def test_systemd_understands_the_units(tmp_path: Path) -> None:
    defaults = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text())
    ansible = jinja2.Environment(autoescape=False)  # noqa: S701 -- no HTML
    ansible.filters["dirname"] = os.path.dirname
    values = {**defaults, "prosecours_retention_timer": "*-*-* 06:30 Europe/Paris"}
    for name in task("Describe the service and its timer")["loop"]:
        text = (ROLE / "templates" / f"{name}.j2").read_text()
        (tmp_path / name).write_text(ansible.from_string(text).render(values))
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / "prosecours-retention.timer")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (verified.returncode, verified.stderr) == (0, "")
