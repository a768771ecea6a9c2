"""Both sides of one client, what each tells when the other is down, and what is remembered between runs."""

from __future__ import annotations

from datetime import datetime

import pytest
from monitoring import REPORTS, Run, lab, monitor, play
from prometheus_client.parser import text_string_to_metric_families
from verifier import Repository, Server


@pytest.fixture(scope="module")
def well(server: Server) -> Run:
    run = monitor()
    assert run.code == 0, run.output
    return run


def test_a_client_that_is_well(well: Run, server: Server, repository: Repository) -> None:
    assert [finding for finding in well.client["findings"] if finding["severity"] != "notice"] == []
    [snapshot] = [one for one in repository.snapshots() if one["hostname"] == server.name]
    history = well.client["repository"]["servers"][server.name]["history"]
    assert [version["id"] for version in history] == [snapshot["id"]]
    [seen] = well.client["servers"]
    assert seen["reachable"]
    assert seen["last_status"]["exit_code"] == server.status()["exit_code"] == 0
    assert seen["free_bytes"] > 0
    assert abs(seen["clock_offset_seconds"]) < 60


def test_every_output_is_written(well: Run, server: Server, repository: Repository) -> None:
    samples = {
        (sample.name, sample.labels.get("host", "")): sample.value
        for family in text_string_to_metric_families((REPORTS / "prosecours.prom").read_text("utf-8"))
        for sample in family.samples
    }
    newest = max(datetime.fromisoformat(one["time"]).timestamp() for one in repository.snapshots())
    told = samples["prosecours_last_complete_backup_timestamp_seconds", server.name]
    assert abs(told - newest) < 1
    assert samples["prosecours_server_reachable", server.name] == 1
    page = (REPORTS / "surveillance.html").read_text("utf-8")
    assert 'lang="fr"' in page
    assert "GAEC des Tilleuls" in page


def test_a_server_that_is_down_is_a_finding_and_its_repository_is_still_told(
    well: Run, server: Server
) -> None:
    found = monitor("-e", "ansible_port=9")
    assert found.code != 0
    assert set(found.findings("new")) == {"unreachable"}
    assert found.client["repository"]["servers"][server.name]["last"]


def test_a_repository_host_that_is_down_is_a_finding_and_the_server_is_still_told(well: Run) -> None:
    found = monitor("-e", "prosecours_retention_restic=/nonexistent/restic")
    assert found.code != 0
    assert "repository_unread" in found.findings("new")
    assert found.client["servers"][0]["last_status"]["exit_code"] == 0
    assert "unreachable" in found.closed


def test_a_server_that_fell_silent_is_found_the_next_working_day(well: Run, server: Server) -> None:
    """Two nights later, by the clock of this machine alone: the server's own goes on."""
    found = monitor(before=("faketime", "-f", "+2d"))
    assert found.code != 0
    assert found.findings()["silent"]["clause"] == "C6"
    assert server.name in found.findings()["silent"]["sentence"]
    assert "repository_unread" in found.closed


def test_an_incomplete_backup_and_the_directory_that_is_missing(well: Run, server: Server) -> None:
    server.expect(r"move D:\isapawp D:\ailleurs")
    lab("clock", "--advance", "1d")
    found = monitor()
    assert found.code != 0
    findings = found.findings("new")
    assert {"incomplete", "missing_directory"} <= set(findings)
    assert "silent" in found.closed
    assert r"D:\isapawp" in findings["missing_directory"]["sentence"]
    assert findings["missing_directory"]["clause"] == "C1"
    blind = monitor("-e", "ansible_port=9")
    for kind in ("incomplete", "missing_directory"):
        assert blind.findings()[kind]["status"] == "open", (
            "announced twice, or closed by a look that saw nothing"
        )
        assert blind.findings()[kind]["since"] == findings[kind]["since"]
    server.expect(r"move D:\ailleurs D:\isapawp")
    lab("clock", "--advance", "1d")
    assert monitor().closed >= {"incomplete", "missing_directory", "unreachable"}


def test_a_report_folder_that_cannot_be_written_is_a_sentence_and_the_rest_is_told(well: Run) -> None:
    done = play("monitor", "-e", "prosecours_report_dir=/proc/nowhere")
    printed = done.stdout + done.stderr
    assert done.returncode != 0
    assert "gaec_des_tilleuls  GAEC des Tilleuls" in printed
    assert "prosecours_report_dir" in printed
    assert "Traceback" not in printed
