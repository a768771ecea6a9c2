"""What a backup leaves that Windows ends by its first process, and what the next ones make of it. The lab's
own scheduler, cmd.exe and sharing violations; restic is a program that hangs, and the watch is short."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from ansible_collections.prosecours.backup.plugins.plugin_utils.agent import desired as agent_desired
from lab.wine_host import run
from unit.agent.hosts import request

from windows_lab.machine.task_xml import read
from windows_lab.server import WindowsServer

pytestmark = pytest.mark.lab

FOLDER = "C:\\Agent"
TASK = "\\ProSecours\\Sauvegarde"
DAY = 86_400
# Programs of others before Windows' own; a folder for temporary files that is not there.
OTHERS = r"C:\outils\usr\bin"
ODD = {
    "lab_files": {
        OTHERS: dict.fromkeys(("find.exe", "findstr.exe", "forfiles.exe", "ping.exe", "robocopy.exe"), "x")
    },
    "lab_environment": {"Path": rf"{OTHERS};C:\Windows\system32;C:\Windows", "TEMP": r"Q:\nulle part"},
}


@pytest.fixture(scope="module")
def sleeper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tmp_path_factory.mktemp("program") / "restic.exe"
    source = Path(__file__).with_name("sleeper.c")
    subprocess.run(["x86_64-w64-mingw32-gcc", "-o", str(program), str(source)], check=True)
    return program


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory, sleeper: Path) -> Iterator[WindowsServer]:
    machine = WindowsServer("srv", tmp_path_factory.mktemp("ends"), ODD, {"Administrateur": "x"})
    machine.prepare()
    folder = machine.drives.find(FOLDER)
    folder.mkdir()
    shutil.copy(sleeper, folder / "restic.exe")
    wanted = agent_desired.desired(request(folder=FOLDER), shadow_copies=False)
    for name, text in wanted.texts.items():
        (folder / name).write_text(text, encoding="utf-8", newline="")
    for name in ("password.txt", "rest-password.txt"):
        (folder / name).write_text("x\r\n", encoding="ascii")
    machine.scheduler.create(TASK, read(("\ufeff" + wanted.task_xml).encode("utf-16-le")))
    yield machine
    machine.close()


def agent(host: WindowsServer) -> Path:
    return host.drives.find(FOLDER)


def watch(host: WindowsServer, looks: int, tries: int = 2) -> None:
    """backup.cmd with a watch of so many looks (two seconds each, in the lab), and tries for the lock."""
    file = agent(host) / "backup.cmd"
    wanted = agent_desired.desired(request(folder=FOLDER), shadow_copies=False).texts["backup.cmd"]
    minutes = str(agent_desired.watch_minutes(request().time_limit_hours))
    assert f"(1,1,{minutes})" in wanted
    shorter = wanted.replace(f"(1,1,{minutes})", f"(1,1,{looks})").replace(
        "%TRY% geq 5", f"%TRY% geq {tries}"
    )
    file.write_text(shorter, encoding="ascii", newline="")


def start(host: WindowsServer) -> None:
    """A run that holds the lock, and hangs in its restic."""
    host.scheduler.run(TASK)
    until(lambda: not free(host))
    hanging(host)


def hanging(host: WindowsServer) -> None:
    """Until the run is in its restic: its log is there."""
    before = time.time() - 5
    until(lambda: any(log.stat().st_mtime > before for log in agent(host).glob("logs/*.log")))
    time.sleep(1)


def free(host: WindowsServer) -> bool:
    return run(host, f"cd /d {FOLDER}&&echo 1 2>>backup.lock").out.strip() == b"1"


def until(what: Callable[[], bool], seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.2)


def test_a_program_that_is_gone_is_said_and_one_that_hangs_is_ended(host: WindowsServer) -> None:
    """The first as an antivirus does it, after the delivery: to try again would bring nothing back. It meets
    somebody who looks whether the lock is free, and waits for that."""
    watch(host, 4, tries=5)
    program = (agent(host) / "restic.exe").rename(agent(host) / "away")
    with ThreadPoolExecutor(1) as looking:
        looking.submit(
            run, host, f"cd /d {FOLDER}&%SystemRoot%\\System32\\ping -n 3 127.0.0.1 2>>backup.lock"
        )
        until(lambda: not free(host))
        host.scheduler.run(TASK)
        host.scheduler.wait()
    status = json.loads((agent(host) / "status.json").read_text("ascii"))
    assert (status["exit_code"], status["attempts"], status["summary"]) == (252, 1, None)
    assert status["start"].startswith("20"), "the time is robocopy's, of Windows"
    assert host.scheduler.tasks[TASK].last_result == 252
    assert "antivirus" in (agent(host) / status["log"]).read_text("ascii")
    assert free(host)
    program.rename(agent(host) / "restic.exe")
    start(host)
    until(lambda: not host.scheduler.running())
    status = json.loads((agent(host) / "status.json").read_text("ascii"))
    assert (status["exit_code"], status["attempts"], status["freed"]) == (253, 1, False)
    assert free(host)
    assert not list(agent(host).glob("run-*.tmp"))
    assert not (agent(host) / "restic-backup.exe").exists()


def test_what_an_ended_task_leaves_ends_with_the_watch(host: WindowsServer) -> None:
    watch(host, 6)
    start(host)
    assert host.scheduler.end(TASK)
    assert not host.scheduler.running()
    assert not free(host), "restic was ended with the task, which Windows does not do"
    until(lambda: free(host))


def test_a_lock_older_than_the_limit_is_broken_and_said_so(host: WindowsServer) -> None:
    watch(host, 4000)
    start(host)
    host.scheduler.end(TASK)
    (mark,) = agent(host).glob("run-*.tmp")
    host.scheduler.run(
        TASK
    )  # the next night, and the file is young: a backup that may still run is let alone
    until(lambda: not host.scheduler.running())
    assert host.scheduler.tasks[TASK].last_result == 251
    old = time.time() - 5 * DAY
    os.utime(mark, (old, old))
    host.scheduler.run(TASK)
    until(lambda: not mark.exists())
    hanging(host)
    (newer,) = agent(host).glob("run-*.tmp")
    newer.unlink()  # what its watch would do
    run(host, "taskkill /f /im restic-backup.exe")
    until(lambda: not host.scheduler.running())
    status = json.loads((agent(host) / "status.json").read_text("ascii"))
    assert (status["exit_code"], status["freed"]) == (253, True)
