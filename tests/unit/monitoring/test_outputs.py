"""A whole run on the controller: files, faults of the disk, what a scheduler is told."""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import signal
import stat
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.shape import as_json
from ansible_collections.prosecours.backup.plugins.plugin_utils.documents.model import Report
from ansible_collections.prosecours.backup.plugins.plugin_utils.journal import entries as journal
from ansible_collections.prosecours.backup.plugins.plugin_utils.monitoring import fleet as monitoring
from ansible_collections.prosecours.backup.plugins.plugin_utils.monitoring.facts import of_result
from ansible_collections.prosecours.backup.plugins.plugin_utils.monitoring.findings import Limits, judge
from ansible_collections.prosecours.backup.plugins.plugin_utils.monitoring.fleet import Outputs, Way
from ansible_collections.prosecours.backup.plugins.plugin_utils.monitoring.memory import Memory
from ansible_collections.prosecours.backup.plugins.plugin_utils.repository.status import answer

from .fleet import CONTRACT, HOST, HOSTS, NOW, STATUS, TASK, client, drift, server, status

DISABLED = client(server(**drift("task", TASK, "disabled"), watched={TASK: "xx"}))


def run(folder: Path, of: Any = DISABLED, **settings: Any) -> monitoring.Round:
    return monitoring.run([of], Limits(), str(folder), Outputs(settings.pop("metrics", "")), NOW, **settings)


def test_what_a_run_leaves(tmp_path: Path) -> None:
    outcome = run(tmp_path / "new" / "monitoring")
    assert outcome.problems == ()
    assert outcome.worst() == "critical"
    folder = tmp_path / "new" / "monitoring"
    report = json.loads((folder / "report.json").read_text("utf-8"))
    assert report == as_json(outcome.report)
    [of] = report["clients"]
    assert (of["id"], of["state"], of["repository"]) == ("gaec_du_moulin", "critical", STATUS)
    assert [finding["kind"] for finding in of["findings"]] == ["task_disabled"]
    assert set(of["servers"][0]) == {
        "host", "address", "reachable", "failure", "last_status", "free_bytes", "clock_offset_seconds",
    }  # fmt: skip
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert modes == {
        ".lock": 0o600,
        "memory.json": 0o640,
        "report.json": 0o640,
        "surveillance.html": 0o640,
        "prosecours.prom": 0o644,
    }


def test_check_mode_writes_nothing(tmp_path: Path) -> None:
    outcome = run(tmp_path / "monitoring", check=True)
    assert outcome.worst() == "critical"
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file_costs_sentences_and_not_the_run(tmp_path: Path) -> None:
    (tmp_path / "monitoring").write_text("x")
    announced: list[Report] = []

    def announce(report: Report, files: dict[str, str]) -> list[str]:
        announced.append(report)
        return []

    outcome = run(tmp_path / "monitoring", metrics=str(tmp_path / "m" / "a.prom"), ways=[Way(announce)])
    assert outcome.report.clients[0].state == "critical"
    assert list(outcome.files) == ["metrics"]
    assert announced == [outcome.report]
    for problem in outcome.problems:
        assert str(tmp_path) in problem
        assert problem.endswith(".")
    assert "cannot be" in monitoring.verdict(outcome, "never")


def test_a_damaged_memory_is_put_aside(tmp_path: Path) -> None:
    run(tmp_path)
    (tmp_path / "memory.json").write_text('{"format": 1', "utf-8")
    outcome = run(tmp_path)
    [problem] = outcome.problems
    assert "memory.json.damaged" in problem
    assert (tmp_path / "memory.json.damaged").read_text("utf-8") == '{"format": 1'
    assert [finding.status for finding in outcome.report.clients[0].findings] == ["new"]
    assert run(tmp_path).problems == ()


def refused(report: Report, files: dict[str, str]) -> list[str]:
    return ["smtp.example refuses the login. Correct it."]


def test_one_way_that_works_does_not_repeat_itself_for_one_that_does_not(tmp_path: Path) -> None:
    first = run(tmp_path, ways=[Way(refused), Way(lambda report, files: [])])
    assert first.problems == ("smtp.example refuses the login. Correct it.",)
    second = run(tmp_path, ways=[Way(refused), Way(refused)])
    assert [one.status for one in second.report.clients[0].findings] == ["open"]


def test_each_way_is_told_what_concerns_it_and_only_that_is_new_again(tmp_path: Path) -> None:
    heard: dict[str, list[str]] = {}

    def way(concern: str, *problems: str) -> Way:
        def announce(report: Report, files: dict[str, str]) -> list[str]:
            told = [one for of in report.clients for one in of.findings if one.status == "new"]
            heard[concern] = [one.kind for one in told]
            assert report.clients[0].state == "critical"
            return list(problems)

        return Way(announce, (concern,))

    both = client(server(**drift("task", TASK, "disabled")), status(volume__percent=97.0))
    run(tmp_path, both, ways=[way("applications", "refused."), way("systems")])
    assert heard == {"applications": ["volume"], "systems": ["task_disabled"]}
    run(tmp_path, both, ways=[way("applications"), way("systems")])
    assert heard == {"applications": ["volume"], "systems": []}
    run(tmp_path, both, ways=[way("applications"), way("systems")])
    assert heard == {"applications": [], "systems": []}


def test_what_could_not_be_announced_is_new_again(tmp_path: Path) -> None:
    first = run(tmp_path, ways=[Way(refused)])
    assert first.problems == ("smtp.example refuses the login. Correct it.",)
    second = run(tmp_path)
    assert [one.status for one in second.report.clients[0].findings] == ["new"]
    third = run(tmp_path)
    assert [one.status for one in third.report.clients[0].findings] == ["open"]


def test_a_journal_that_was_cut_is_told_at_each_run_until_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "journal" / "journal.jsonl"
    outputs = Outputs(journal=path)

    def again() -> monitoring.Round:
        return monitoring.run([client()], Limits(), str(tmp_path), outputs, NOW)

    assert again().report.journal is None
    for number in range(3):
        journal.append(path, {"kind": "begin", "run": str(number)})
    first = again()
    assert first.problems == ()
    assert first.report.journal == journal.head(path)
    whole = path.read_bytes()
    path.write_bytes(b"".join(whole.splitlines(keepends=True)[:1]))
    for beside in path.parent.glob("*.head"):
        beside.unlink()
    for _ in range(2):
        [problem] = again().problems
        assert "cut off" in problem
    path.write_bytes(whole)
    assert again().problems == ()


def _many(folder: Path) -> None:
    for _ in range(10):
        assert run(folder).problems == ()


def test_two_runs_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_many, args=(tmp_path,)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    json.loads((tmp_path / "memory.json").read_text("utf-8"))
    assert not list(tmp_path.glob("*.damaged"))


@pytest.mark.parametrize(
    ("fail_on", "fails"), [("notice", True), ("warning", True), ("critical", True), ("never", False)]
)
def test_what_a_scheduler_is_told(tmp_path: Path, fail_on: str, fails: bool) -> None:
    sentence = monitoring.verdict(run(tmp_path), fail_on)
    assert bool(sentence) == fails
    assert not fails or "gaec_du_moulin (1)" in sentence


def test_a_notice_fails_nothing_unless_asked(tmp_path: Path) -> None:
    outcome = run(tmp_path, client(server(**drift("staging", "C:\\x\\staging"))))
    assert monitoring.verdict(outcome, "warning") == ""
    assert "1 finding of severity notice" in monitoring.verdict(outcome, "notice")


def test_the_table_names_client_finding_and_remedy_once(tmp_path: Path) -> None:
    first, second = (monitoring.table(run(tmp_path).report) for _ in range(2))
    assert "CRITICAL  gaec_du_moulin  GAEC du Moulin  PS-2026-0042" in first
    assert "deploy.yml --limit moulin-srv1" in first
    assert "is disabled" in second
    assert "deploy.yml" not in second
    closed = monitoring.table(run(tmp_path, client()).report)
    assert closed.splitlines()[0].startswith("OK ")
    assert closed.splitlines()[1].startswith("closed ")


REPOSITORIES: dict[str, tuple[dict[str, Any], tuple[Any, Any]]] = {
    "no host was asked": ({}, (None, None)),
    "told": ({"depot": {"clients": {"gaec_du_moulin": STATUS}, "failures": {}}}, (STATUS, None)),
    "told by one of two": (
        {"a": {"failed": True, "msg": "down"}, "b": {"clients": {"gaec_du_moulin": STATUS}, "failures": {}}},
        (STATUS, None),
    ),
    "this client failed": (
        {"depot": {"failed": True, "msg": "1 client", "failures": {"gaec_du_moulin": "the disk is gone"}}},
        (None, "the disk is gone"),
    ),
    "the host is down": (
        {"depot": {"unreachable": True, "msg": "Failed to connect\n to the host"}},
        (None, "depot: Failed to connect to the host"),
    ),
    "the action failed": ({"depot": {"failed": True}}, (None, "depot: it did not answer")),
    "nobody knows it": (
        {"a": {"clients": {}, "failures": {}}, "b": {"clients": {}, "failures": {}}},
        (None, "none of a, b knows it"),
    ),
    "what is told of this client is no status": (
        {"depot": {"clients": {"gaec_du_moulin": {**STATUS, "locks": [{"host": HOST}]}}, "failures": {}}},
        (
            None,
            "What its repository host told of it is no status (\"locks.0.since\" is missing from it, or of"
            " another type). Look at this repository host.",
        ),
    ),
    "the host is not what it was": (
        {"depot": {"clients": {}, "failures": ["no"]}},
        (None, 'depot: what it answered is no status ("failures" is missing from it, or of another type)'),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("results", "expected"), REPOSITORIES.values(), ids=REPOSITORIES.keys())
def test_which_repository_host_tells_of_a_client(results: dict[str, Any], expected: tuple[Any, Any]) -> None:
    contracts = {"gaec_du_moulin": CONTRACT}
    answers = {host: answer(result) for host, result in results.items()}
    facts = {HOST: of_result(HOST, server())}
    [made] = monitoring.clients_of(contracts, HOSTS, facts, answers, "C:\\x")
    assert (made.status and as_json(made.status), made.failure) == expected
    assert set(made.servers) == {HOST}


def test_a_server_whose_task_failed_is_a_finding_and_one_that_was_not_asked_is_none() -> None:
    contracts = {"gaec_du_moulin": CONTRACT}
    failed = {HOST: of_result(HOST, {"failed": True, "msg": "'agent_restic' is\nundefined"})}
    [asked] = monitoring.clients_of(contracts, HOSTS, failed, {}, "C:\\x")
    [finding] = judge(asked, Memory.empty(), Limits(), NOW)
    assert (finding.kind, finding.sentence) == (
        "no_answer",
        "moulin-srv1 could not be looked at: 'agent_restic' is undefined.",
    )
    [idle] = monitoring.clients_of(contracts, HOSTS, {}, {}, "C:\\x")
    assert judge(idle, Memory.empty(), Limits(), NOW) == []
    assert idle.servers == {}


def test_a_cut_that_a_run_went_on_after_is_told_until_a_technician_acknowledged_it(tmp_path: Path) -> None:
    path = tmp_path / "journal" / "journal.jsonl"

    def problems() -> tuple[str, ...]:
        outputs = Outputs(journal=path)
        return monitoring.run([client()], Limits(), str(tmp_path), outputs, NOW).problems

    for number in range(3):
        journal.append(path, {"kind": "begin", "run": str(number)})
    assert problems() == ()
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:1]))
    for number in range(3):
        journal.append(path, {"kind": "begin", "run": f"later-{number}"})
        [problem] = problems()
        assert "Entry 2 (cut of" in problem
        assert "it once had 3 entries" in problem
    journal.acknowledge(path, 2, "A. Martin", "the save of Sunday was put back")
    assert problems() == ()


def test_a_full_disk_is_a_sentence_for_each_file_and_the_next_run_goes_on(tmp_path: Path) -> None:
    """The limit of a process on the size of files stands for the disk."""
    assert run(tmp_path).problems == ()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    context = multiprocessing.get_context("fork")
    process = context.Process(target=_on_a_full_disk, args=(tmp_path,))
    process.start()
    process.join(60)
    assert process.exitcode == 0
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    later = run(tmp_path)
    assert later.problems == ()
    assert [one.status for one in later.report.clients[0].findings] == ["open"]


def _on_a_full_disk(folder: Path) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
    said = run(folder).problems
    places = {"report.json", "memory.json", "prosecours.prom", "surveillance.html"}
    good = all(any(place in one and "room" in one for one in said) for place in places)
    os._exit(0 if good else 1)
