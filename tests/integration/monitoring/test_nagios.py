"""A real Nagios runs the program as its plugin, and says what it understood."""

from __future__ import annotations

import calendar
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from unit.documents import fleet

PROGRAM = Path(__file__).resolve().parents[3] / "roles" / "monitor" / "files" / "check_prosecours.py"
CACHE = Path(os.environ.get("PROSECOURS_CACHE", Path.home() / ".cache" / "prosecours"))

MAIN = """
log_file={folder}/nagios.log
cfg_file={folder}/objects.cfg
object_cache_file={folder}/objects.cache
precached_object_file={folder}/objects.precache
status_file={folder}/status.dat
temp_file={folder}/nagios.tmp
temp_path={folder}
lock_file={folder}/nagios.pid
check_result_path={folder}/results
query_socket={folder}/query
state_retention_file={folder}/retention.dat
status_update_interval=1
interval_length=1
check_for_updates=0
enable_notifications=0
use_syslog=0
nagios_user={user}
nagios_group={group}
"""
OBJECTS = """
define timeperiod {{
    timeperiod_name always
    alias           always
    {days}
}}
define command {{
    command_name check_prosecours
    command_line {python} -I {program} --client $ARG1$ {report}
}}
define command {{
    command_name up
    command_line /bin/true
}}
define contact {{
    contact_name                  nobody
    host_notification_period      always
    service_notification_period   always
    host_notification_commands    up
    service_notification_commands up
}}
define host {{
    contacts           nobody
    notification_period always
    host_name          provider
    address            127.0.0.1
    check_command      up
    max_check_attempts 1
    check_period       always
}}
"""
SERVICE = """
define service {{
    host_name           provider
    service_description {client}
    check_command       check_prosecours!{client}
    max_check_attempts  1
    check_interval      1
    retry_interval      1
    check_period        always
    contacts            nobody
    notification_period always
}}
"""


@pytest.fixture(scope="module")
def program() -> Path:
    [found] = CACHE.glob("nagios-*/usr/sbin/nagios4")
    return found


@contextmanager
def nagios(program: Path, folder: Path, report: dict[str, Any]) -> Iterator[subprocess.Popen[bytes]]:
    """One that runs, and checks each client every second."""
    (folder / "results").mkdir()
    (folder / "report.json").write_text(json.dumps(report), "utf-8")
    names = {"folder": folder, "user": os.getuid(), "group": os.getgid()}
    days = "\n    ".join(f"{day.lower()} 00:00-24:00" for day in calendar.day_name)
    text = OBJECTS.format(days=days, python=sys.executable, program=PROGRAM, report=folder / "report.json")
    text += "".join(SERVICE.format(client=client["id"]) for client in report["clients"])
    (folder / "objects.cfg").write_text(text, "utf-8")
    (folder / "nagios.cfg").write_text(MAIN.format(**names), "utf-8")
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen([program, folder / "nagios.cfg"], stdout=output, stderr=output)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(30)


def understood(status: Path) -> dict[str, dict[str, str]]:
    """service -> what Nagios' status file says of it, once it was checked."""
    text = status.read_text("utf-8") if status.exists() else ""
    blocks = re.findall(r"^servicestatus \{\n(.*?)^\t\}", text, re.MULTILINE | re.DOTALL)
    found = {}
    for block in blocks:
        values = dict(line.strip().split("=", 1) for line in block.splitlines() if "=" in line)
        if values["has_been_checked"] == "1":
            found[values["service_description"]] = values
    return found


def test_nagios_has_the_state_the_line_and_the_figures_of_each_client(program: Path) -> None:
    report = fleet.report(8)
    report["at"] = datetime.now(UTC).isoformat()
    hostile = next(client for client in report["clients"] if client["findings"])
    hostile["findings"][0]["sentence"] = "a | b\nCRITICAL | c=1;;;\x1b[2J"
    folder = Path(
        tempfile.mkdtemp(prefix="nagios-")
    )  # short: the path of a socket has 107 characters at most
    try:
        with nagios(program, folder, report) as process:
            limit = time.monotonic() + 60
            while len(found := understood(folder / "status.dat")) < len(report["clients"]):
                if process.poll() is not None or time.monotonic() > limit:
                    break
                time.sleep(0.2)
            said = (folder / "nagios.log").read_text("utf-8", "replace")
    finally:
        shutil.rmtree(folder)
    assert found.keys() == {client["id"] for client in report["clients"]}, said
    for client in report["clients"]:
        seen = found[client["id"]]
        wanted = {"ok": 0, "notice": 0, "warning": 1, "critical": 2}[client["state"]]
        assert seen["current_state"] == str(wanted), client["id"]
        assert seen["plugin_output"].startswith("PROSECOURS ")
        figures = dict(re.findall(r"'(\w+)'=([\d.]+)", seen["performance_data"]))
        severities = [one["severity"] for one in client["findings"]]
        counted = {name: severities.count(name) for name in ("critical", "warning", "notice")}
        assert {name: int(figures[name]) for name in counted} == counted
        assert "c" not in figures, "what a client wrote is no figure"
        assert len(seen["long_plugin_output"].split("\\n")) >= len(client["findings"])
