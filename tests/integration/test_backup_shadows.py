"""Shadow copies that Windows refuses: restic itself, a repository on the lab server's own disk, its task."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.prosecours.backup.plugins.plugin_utils import binaries
from ansible_collections.prosecours.backup.plugins.plugin_utils.agent import desired as agent_desired
from lab.wine_host import run
from unit.agent.hosts import request

from windows_lab.machine.task_xml import read
from windows_lab.server import WindowsServer

pytestmark = pytest.mark.lab

FOLDER = "C:\\Agent"
DATA = {"D:\\isagiwf\\backup\\a.bak": 512, "D:\\isagiwf\\B0001.GIW": 512, "E:\\Données partagées": {}}
DATA |= {"E:\\Données partagées\\Élevage & cultures\\x.txt": "x"}


@pytest.fixture(scope="module")
def restic() -> Path:
    wanted = binaries.artefact("restic", "windows/amd64")
    found = binaries.cached(wanted, binaries.default_cache())
    assert found, "tools/setup binaries fetches restic.exe"
    return Path(found.path)


def backed_up(restic: Path, folder: Path, kind: str) -> tuple[dict[str, Any], int]:
    """The status of one run of the task, and the number of snapshots."""
    machine = WindowsServer(
        "srv", folder, {"lab_files": DATA, "lab_shadow_copies": kind}, {"Administrateur": "x"}
    )
    machine.prepare()
    try:
        agent = machine.drives.find(FOLDER)
        agent.mkdir()
        shutil.copy(restic, agent / "restic.exe")
        wanted = agent_desired.desired(request(folder=FOLDER), shadow_copies=True)
        texts = {**wanted.texts, "repository.txt": "C:\\repository\r\n", "password.txt": "x\r\n"}
        texts["rest-password.txt"] = texts.pop("ca.pem") and "x\r\n"
        for name, text in texts.items():
            (agent / name).write_text(text, encoding="utf-8", newline="")
        made = run(machine, f"{FOLDER}\\restic.cmd init")
        assert made.code == 0, made.err
        name = machine.scheduler.create("a", read(("\ufeff" + wanted.task_xml).encode("utf-16-le")))
        machine.scheduler.run(name)
        machine.scheduler.wait()
        found = json.loads((agent / "status.json").read_text("utf-8"))
        return found, len(list(machine.drives.find("C:\\repository\\snapshots").iterdir()))
    finally:
        machine.close()


def test_another_programs_shadow_copy_is_waited_for(restic: Path, tmp_path: Path) -> None:
    status, _ = backed_up(restic, tmp_path, "busy")
    assert (status["exit_code"], status["attempts"], status["degraded"]) == (0, 1, False)
    assert status["summary"]["total_duration"] > 5  # restic tries again after five seconds


def test_a_refused_shadow_copy_is_a_degraded_backup(restic: Path, tmp_path: Path) -> None:
    status, snapshots = backed_up(restic, tmp_path, "denied")
    assert (status["exit_code"], status["degraded"]) == (0, True)
    assert snapshots == 1
