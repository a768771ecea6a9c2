"""The program that a timer of the repository host starts, put together as the role's tasks do it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml
from ansible_collections.prosecours.backup.plugins.plugin_utils.options import documented
from integration.maintenance.client import PASSWORD, Client

ROLE = Path(__file__).resolve().parents[3] / "roles" / "retention"
OWNER = 4244  # of a repository; it needs no name
TASKS: list[dict[str, Any]] = yaml.safe_load((ROLE / "tasks" / "timer.yml").read_text())


def task(name: str) -> dict[str, Any]:
    return next(one for one in TASKS if one["name"] == name)


def install(program: Path) -> None:
    program.mkdir(parents=True)
    pattern = task("Copy the program")["with_fileglob"].replace("{{ role_path }}", str(ROLE))
    for file in Path(pattern).parent.glob(Path(pattern).name):
        shutil.copy(file, program)


def test_the_host_keeps_the_promise_by_itself(regular: Client, tmp_path: Path) -> None:
    """With nothing but what the tasks copy: no Ansible, no collection."""
    program = tmp_path / "lib" / "maintenance"
    install(program)
    given: dict[str, Any] = {
        "state_folder": str(tmp_path / "state"),
        "config": str(tmp_path),
        "restic": regular.restic,
        "side_by_side": 2,
        "patience": 0,
        "clock_minutes": 15,
        "longest_backup_hours": 24,
        "max_unused": "5%",
        "check_cycle_days": 30,
        "drill_files": 20,
        "drill_megabytes": 500,
        "reserve_megabytes": 0,
    }
    # What the action leaves of its arguments, and the task writes.
    judged = {f"{verb}{part}" for verb in ("release", "reject") for part in ("", "_by", "_why")}
    not_settings = {"clients", "client", "data"} | judged
    assert given.keys() == documented("retention").keys() - not_settings
    place = {"subscribed_gb": 1, "daily": 7, "weekly": 2, "reference": "PS-2026-0042"}
    clients = [
        {"client": "moulin", "servers": {"srv": str(regular.path)}, "top": str(tmp_path / "none"), **place},
        {"client": "bois", "servers": {"srv2": str(tmp_path / "nowhere")}, "top": str(tmp_path), **place},
    ]
    for client in clients:
        [server] = client["servers"]
        password = tmp_path / str(client["client"]) / "encryption-passwords" / server
        password.parent.mkdir(parents=True)
        password.write_text(f"{PASSWORD}\n")
    (tmp_path / "settings.json").write_text(json.dumps({"clients": clients, "settings": given}))
    (tmp_path / "state" / "moulin").mkdir(parents=True)  # a deploy has raised the number since
    (tmp_path / "state" / "moulin" / "usage.json").write_text('{"subscribed_gb": 77, "servers": {}}')
    run = subprocess.run(
        [sys.executable, "-m", "maintenance", str(tmp_path / "settings.json")],
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
    assert report["volume"]["subscribed_gb"] == 77
    [drill] = json.loads((tmp_path / "state" / "moulin" / "srv" / "drill.json").read_text())
    assert (drill["ok"], drill["files"]) == (True, 20)


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="needs root, and setpriv")
def test_the_capabilities_of_the_unit_are_enough(regular: Client) -> None:
    """A closed repository of another user: it is opened, checked, pruned, and restored from; and that of a
    server that left goes, with its login."""
    unit = (ROLE / "templates" / "prosecours-retention.service.j2").read_text()
    found = re.search(r"^CapabilityBoundingSet=(.*)$", unit, re.MULTILINE)
    assert found
    kept = ",".join(f"+{name.removeprefix('CAP_').lower()}" for name in found[1].split())
    # Not below pytest's own folder, which is closed to the owner of the repository.
    with tempfile.TemporaryDirectory(prefix="timer-") as name:
        place = Path(name)
        place.chmod(0o711)
        (place / "scratch").mkdir()
        (place / "scratch").chmod(0o1777)
        install(place / "lib" / "maintenance")
        shutil.copy(regular.restic, place / "restic")
        repository = place / "moulin" / "srv"
        shutil.copytree(regular.path, repository)
        left = repository.with_name("old")
        shutil.copytree(repository, left, ignore=lambda *_: ["snapshots", "data", "index"])
        (left / "snapshots").mkdir()
        for path in repository.parent.rglob("*"):
            os.chown(path, OWNER, OWNER)
        os.chown(repository.parent, 0, OWNER)
        repository.parent.chmod(0o550)
        (left / "snapshots").chmod(0o500)
        state = place / "state" / "moulin"
        state.mkdir(parents=True)
        (state / "retired.json").write_text('{"old": {"days": 14, "on": "2026-02-01"}}')
        for path in (repository, *repository.rglob("*")):
            if path.is_dir() and path.name != "locks":
                path.chmod(0o500)
        passwords = place / "config" / "moulin" / "encryption-passwords"
        passwords.mkdir(parents=True)
        (passwords / "srv").write_text(f"{PASSWORD}\n")
        logins = passwords.with_name("htpasswd")
        logins.write_text("old:$2b$10$x\nsrv:$2b$10$y\n")
        os.chown(logins, 0, OWNER)
        logins.chmod(0o640)
        (place / "settings.json").write_text(
            json.dumps(
                {
                    "clients": [
                        {
                            **{"client": "moulin", "reference": "PS-2026-0042"},
                            **{"servers": {"srv": str(repository)}, "top": str(repository.parent)},
                            **{"subscribed_gb": 1, "daily": 7, "weekly": 2},
                        }
                    ],
                    "settings": {
                        **{"state_folder": str(place / "state"), "restic": str(place / "restic")},
                        "config": str(place / "config"),
                        **{"side_by_side": 1, "clock_minutes": 15, "longest_backup_hours": 24},
                        **{"patience": 0},
                    },
                }
            )
        )
        run = subprocess.run(
            [
                *("setpriv", "--bounding-set", f"-all,{kept}", "--inh-caps", "-all", "--"),
                *(sys.executable, "-m", "maintenance", str(place / "settings.json")),
            ],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(place / "lib")},
            cwd=place,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (run.returncode, run.stderr) == (0, ""), run.stdout
        assert run.stdout.splitlines()[-1] == (
            "1 of 1: moulin: 8 versions, 12 removed;"
            " old is in the contract no more: its repository was dropped"
        )
        assert [path.name for path in repository.parent.iterdir()] == ["srv"]
        kept_logins = (logins.read_text(), logins.stat().st_gid, logins.stat().st_mode & 0o777)
        assert kept_logins == ("srv:$2b$10$y\n", OWNER, 0o640)
        assert len(list((repository / "snapshots").iterdir())) == 8
        [drill] = json.loads((place / "state" / "moulin" / "srv" / "drill.json").read_text())
        assert drill["problems"] == []
        assert list((place / "scratch").iterdir()) == []
        assert {path.stat().st_uid for path in repository.rglob("*")} == {OWNER}


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed here")
@pytest.mark.parametrize("key", ["", "AKIA"])
def test_systemd_understands_the_units(tmp_path: Path, key: str) -> None:
    """With buckets to look after the service needs the network and the provider's key; else neither."""
    defaults = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text())
    ansible = jinja2.Environment(autoescape=False)  # noqa: S701 -- no HTML
    ansible.filters["dirname"] = os.path.dirname
    values = {
        **defaults,
        "prosecours_retention_timer": "*-*-* 06:30 Europe/Paris",
        "prosecours_s3_access_key": key,
    }
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
    unit = (tmp_path / "prosecours-retention.service").read_text().splitlines()
    assert ("PrivateNetwork=yes" in unit) is (key == "")
    assert ("EnvironmentFile=/etc/prosecours/.retention/s3.env" in unit) is (key != "")
