"""The memory of monitoring in a real PostgreSQL: two who monitor at once, faults, and how it gets there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.prosecours.backup.plugins.plugin_utils.documents.model import Report
from ansible_collections.prosecours.backup.plugins.plugin_utils.journal.database import Database as Store
from ansible_collections.prosecours.backup.plugins.plugin_utils.monitoring import fleet
from ansible_collections.prosecours.backup.plugins.plugin_utils.monitoring.findings import Limits
from integration.journal.test_database import Controller
from support.postgres import Database
from unit.monitoring.fleet import NOW
from unit.monitoring.test_outputs import DISABLED


def run(folder: Path, shared: Database, **settings: Any) -> fleet.Round:
    outputs = fleet.Outputs(journal=Store(shared.address()))
    return fleet.run([DISABLED], Limits(), str(folder), outputs, NOW, **settings)


def statuses(outcome: fleet.Round) -> list[str]:
    return [finding.status for client in outcome.report.clients for finding in client.findings]


def versions(shared: Database) -> list[dict[str, Any]]:
    return [json.loads(line) for line in shared.lines("monitoring_memory")]


def test_another_controller_knows_what_was_announced(shared: Database, tmp_path: Path) -> None:
    first = run(tmp_path / "one", shared)
    second = run(tmp_path / "two", shared)
    assert (statuses(first), statuses(second)) == (["new"], ["open"])
    assert first.problems == second.problems == ()
    assert [list(one["announced"]) for one in versions(shared)] == [list(versions(shared)[0]["findings"])] * 2
    assert shared.writers("monitoring_memory") == {"martin"}
    assert not list(tmp_path.rglob("memory.json"))


def test_the_playbook_goes_on_where_another_controller_stopped(shared: Database, tmp_path: Path) -> None:
    both = [Controller(tmp_path / user, shared, user) for user in ("martin", "durand")]
    reports = [["-e", f"prosecours_report_dir={one.folder / 'reports'}"] for one in both]
    first, second = (one.play("monitor", *report) for one, report in zip(both, reports, strict=True))
    assert "Traceback" not in first.output + second.output
    found = [json.loads((one.folder / "reports/monitoring/report.json").read_text("utf-8")) for one in both]
    told = [{each["status"] for of in report["clients"] for each in of["findings"]} for report in found]
    assert told == [{"new"}, {"open"}]
    assert shared.writers("monitoring_memory") == {"martin", "durand"}


def test_a_look_in_check_mode_keeps_nothing(shared: Database, tmp_path: Path) -> None:
    assert statuses(run(tmp_path / "one", shared, check=True)) == ["new"]
    assert versions(shared) == []
    assert not (tmp_path / "one").exists()


def test_what_a_file_remembers_is_taken_over(shared: Database, tmp_path: Path) -> None:
    fleet.run([DISABLED], Limits(), str(tmp_path / "one"), fleet.Outputs(), NOW)
    before = (tmp_path / "one" / "memory.json").read_text("utf-8")
    assert statuses(run(tmp_path / "one", shared)) == ["open"]
    assert len(versions(shared)) == 1
    assert (tmp_path / "one" / "memory.json").read_text("utf-8") == before


MONITOR = """
import sys, time
from ansible_collections.prosecours.backup.plugins.plugin_utils.journal.database import Database as Store
from ansible_collections.prosecours.backup.plugins.plugin_utils.monitoring import fleet
from ansible_collections.prosecours.backup.plugins.plugin_utils.monitoring.findings import Limits
from unit.monitoring.fleet import NOW
from unit.monitoring.test_outputs import DISABLED

def announce(report, files):
    new = [one.id for client in report.clients for one in client.findings if one.status == "new"]
    print("told", len(new), flush=True)
    time.sleep(float(sys.argv[3]))
    return []

outputs = fleet.Outputs(journal=Store(sys.argv[1]))
outcome = fleet.run([DISABLED], Limits(), sys.argv[2], outputs, NOW, ways=[fleet.Way(announce)])
print(*outcome.problems)
"""


def monitor(shared: Database, folder: Path, seconds: float, user: str = "martin") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", MONITOR, shared.address(user), str(folder), str(seconds)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def test_two_who_monitor_at_once_tell_each_thing_once(shared: Database, tmp_path: Path) -> None:
    """The second waits until the first has told and kept; what it knows then is no news."""
    first = monitor(shared, tmp_path / "one", 3)
    assert first.stdout is not None
    assert first.stdout.readline() == "told 1\n"
    second = monitor(shared, tmp_path / "two", 0, "durand")
    assert second.communicate(timeout=60)[0] == "told 0\n\n"
    assert first.communicate(timeout=60)[0] == "\n"
    assert len(versions(shared)) == 2
    assert shared.writers("monitoring_memory") == {"martin", "durand"}


def test_one_that_is_killed_holds_nobody_up_and_its_news_is_told_again(
    shared: Database, tmp_path: Path
) -> None:
    first = monitor(shared, tmp_path / "one", 600)
    assert first.stdout is not None
    assert first.stdout.readline() == "told 1\n"
    first.kill()
    first.communicate()
    assert monitor(shared, tmp_path / "two", 0).communicate(timeout=60)[0] == "told 1\n\n"


def test_a_database_that_goes_meanwhile_costs_a_sentence(
    own: Database, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def announce(_report: Report, _files: dict[str, str]) -> list[str]:
        own.server.stop()
        return []

    [problem] = run(tmp_path / "one", own, ways=[fleet.Way(announce)]).problems
    assert problem.startswith(f"What is in prosecours.monitoring_memory of {own.address()} cannot be used: ")
    assert "Traceback" not in "".join(capfd.readouterr())
    down = run(tmp_path / "one", own)
    assert statuses(down) == ["new"]
    assert any("monitoring_memory" in problem for problem in down.problems)
    own.server.start()
    assert versions(own) == []
    assert run(tmp_path / "one", own).problems == ()
    assert len(versions(own)) == 1


@pytest.mark.parametrize("text", ["rubbish", '{"format": 1}', "\\377"])
def test_a_version_that_is_none_is_said_and_stays(shared: Database, tmp_path: Path, text: str) -> None:
    run(tmp_path / "one", shared)
    statement = "INSERT INTO prosecours.monitoring_memory (line) VALUES ('{}')"
    assert shared.attempt("martin", statement.format(text)) == ""
    outcome = run(tmp_path / "one", shared)
    [problem] = outcome.problems
    assert f"the newest in {shared.address()}, could not be used" in problem
    assert statuses(outcome) == ["new"]
    assert len(shared.lines("monitoring_memory")) == 3
    assert statuses(run(tmp_path / "one", shared)) == ["open"]


def test_a_login_that_could_change_it_is_refused(shared: Database, tmp_path: Path) -> None:
    shared.ask("GRANT DELETE ON prosecours.monitoring_memory TO martin")
    [problem] = run(tmp_path / "one", shared).problems
    assert "with this login what is in it could be changed" in problem
    assert versions(shared) == []
