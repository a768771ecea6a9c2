"""What a restore in place leaves of what was there: the rights of the folders above, by a restic that sets
them as restic does on Windows, and live files when robocopy crashes. cmd.exe, icacls and the scheduler are
the lab's own."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.prosecours.backup.plugins.plugin_utils.restore import apply as restore_apply
from ansible_collections.prosecours.backup.plugins.plugin_utils.restore.plan import Item, Keep, Plan, Run
from ansible_collections.prosecours.backup.plugins.plugin_utils.windows import delivery
from lab.wine_host import run
from unit.restore.test_run import IN_PLACE, REQUEST

from windows_lab.server import WindowsServer

pytestmark = pytest.mark.lab

FOLDER = "C:\\Agent"
ABOVE = "D:\\Élevage & co"
ITEM = f"{ABOVE}\\2026!\\a"
Start = Callable[[Plan, str], tuple[Path, int]]


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WindowsServer]:
    files = {f"{ITEM}\\x.txt": "live"}
    machine = WindowsServer(
        "srv", tmp_path_factory.mktemp("r"), {"lab_files": files}, {"Administrateur": "x"}
    )
    machine.prepare()
    yield machine
    machine.close()


def rights(host: WindowsServer, folder: str) -> str:
    answer = run(host, f'icacls "{folder}" /save C:\\seen.acl /q >nul & type C:\\seen.acl')
    return answer.out.decode("utf-16-le")


@pytest.fixture
def started(host: WindowsServer, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Runs a plan with a restic of these lines, as the task; the folder of the restore and its exit code."""
    state = host.drives.find(f"{FOLDER}\\restore\\{REQUEST.id}")
    shutil.rmtree(state, ignore_errors=True)
    sent: dict[str, bytes] = {}
    monkeypatch.setattr(delivery, "send", lambda _session, _folder, files, _tar: sent.update(files) or True)

    class Session:
        host = "srv"

        def run(self, line: str, **_: Any) -> Any:
            return type("Output", (), {"exit_code": 0})

    def start(plan: Plan, restic: str) -> tuple[Path, int]:
        seen = type("Seen", (), {"tar": True})
        request, runs = replace(REQUEST, in_place=True), [Run("", "D:\\", ())]
        restore_apply.start(Session(), request, FOLDER, plan, runs, seen)  # type: ignore[arg-type]
        state.mkdir(parents=True, exist_ok=True)
        (state / "restore.cmd").write_bytes(sent["restore.cmd"])
        (host.drives.find(FOLDER) / "restic.cmd").write_bytes(restic.encode("ascii"))
        host.drives.find("D:\\t.xml").write_bytes(sent["task.xml"])
        assert run(host, "schtasks /create /tn \\ProSecours\\R /xml D:\\t.xml /f").code == 0
        assert run(host, "schtasks /run /tn \\ProSecours\\R").code == 0
        host.scheduler.wait()
        return state, json.loads((state / "status.json").read_text("ascii"))["exit_code"]

    return start


def test_the_folders_above_keep_their_rights(host: WindowsServer, started: Start) -> None:
    plan = replace(IN_PLACE, items=(Item(ITEM, 1, 4, 4, 0),), keep=())
    # The folders' names go by arguments, so that this file need not know their code page.
    spoil = "@icacls D:\\*vage* /grant *S-1-1-0:(OI)(CI)F /q\r\n@icacls D:\\*vage* /remove *S-1-5-18 /q\r\n"
    run(host, f'icacls "{ABOVE}" /inheritance:r /grant:r *S-1-5-18:(OI)(CI)F *S-1-5-32-544:(OI)(CI)F')
    before = [rights(host, folder) for folder in (ABOVE, f"{ABOVE}\\2026!", ITEM)]
    state, code = started(plan, spoil)
    assert code == 0, list(state.iterdir())
    assert (state / "above.log").exists()
    assert [rights(host, folder) for folder in (ABOVE, f"{ABOVE}\\2026!", ITEM)] == before
    run(host, f"{FOLDER}\\restic.cmd")
    assert rights(host, ABOVE) != before[0], "restic has not touched them at all"


def test_a_robocopy_that_crashes_has_kept_nothing_and_the_next_run_keeps_it_in_sight(
    host: WindowsServer, started: Start, tmp_path: Path
) -> None:
    """Its exit code, 0xC0000005, is negative for cmd. A file of a drive's root: its copy would be hidden."""
    live, copies = host.drives.find("D:\\seul.txt"), "D:\\Restauration\\avant\\D"
    live.write_text("live", encoding="ascii")
    keep = Keep("D:\\.", copies, "seul.txt", "/LEV:1", 4)
    plan = replace(IN_PLACE, items=(Item("D:\\seul.txt", 1, 4, 4, 0),), keep=(keep,))
    restic = "@echo restored>D:\\seul.txt\r\n"
    robocopy = host.prefix / "drive_c/windows/system32/robocopy.exe"
    whole = robocopy.rename(tmp_path / "robocopy.exe")
    source = Path(__file__).with_name("crash.c")
    try:
        subprocess.run(["x86_64-w64-mingw32-gcc", "-o", str(robocopy), str(source)], check=True)
        assert started(plan, restic)[1] == 252
        assert live.read_text("ascii") == "live", "it was overwritten, and no copy is kept"
    finally:
        robocopy.unlink(missing_ok=True)
        whole.rename(robocopy)
    assert started(plan, restic)[1] == 0
    assert live.read_text("ascii").strip() == "restored"
    assert run(host, f"dir /b {copies[:-2]}&type {copies}\\seul.txt").text == "D\r\nlive"
