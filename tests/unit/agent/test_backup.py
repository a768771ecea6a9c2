"""A backup by hand: started, joined, waited for, and what its outcome is called."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.prosecours.backup.plugins.plugin_utils.agent import backup as agent_backup
from ansible_collections.prosecours.backup.plugins.plugin_utils.agent import desired as agent_desired
from ansible_collections.prosecours.backup.plugins.plugin_utils.agent.facts import Facts
from ansible_collections.prosecours.backup.plugins.plugin_utils.agent.refusals import AgentError
from ansible_collections.prosecours.backup.plugins.plugin_utils.windows.probe import Garbled
from ansible_collections.prosecours.backup.plugins.plugin_utils.windows.session import Output

from .hosts import FOLDER, Host, answers_of, in_order, request, sections

IDLE = in_order(agent_desired.desired(request(), shadow_copies=False))
IDLE = replace(IDLE, names=IDLE.names | {"backup.lock", "status.json"})
RUNNING = replace(IDLE, running=True)
DONE = replace(IDLE, status={"exit_code": 0, "end": "2026-11-23T22:40:00Z", "missing": []})


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every look at the clock is 10 seconds after the one before."""
    now = iter(range(0, 100_000, 10))
    monkeypatch.setattr("time.monotonic", lambda: float(next(now)))
    monkeypatch.setattr("time.sleep", lambda _: None)


def back_up(
    *states: Facts, check: bool = False, timeout: float = 600, rule: Any = None, said: list[str] | None = None
) -> tuple[Any, Host]:
    """The result on a host that is in these states, the last one for ever."""
    left = list(states)

    def answer(line: str) -> Output:
        return sections(answers_of(left.pop(0) if len(left) > 1 else left[0]))(line)

    host = Host(*([rule] if rule else []), (":exists&", answer))
    return agent_backup.back_up(
        host, FOLDER, timeout, check, [].append if said is None else said.append
    ), host


def test_a_backup_is_started_and_waited_for() -> None:
    result, host = back_up(IDLE, IDLE, RUNNING, RUNNING, DONE)
    assert (result["changed"], result["outcome"], result["status"]) == (True, "complete", DONE.status)
    assert host.commands("schtasks /run") == ["schtasks /run /tn \\ProSecours\\Sauvegarde"]


def test_each_minute_it_is_said_that_it_goes_on() -> None:
    said: list[str] = []
    back_up(*[RUNNING] * 15, DONE, said=said)
    assert [line.rpartition(": ")[2] for line in said] == [
        "the backup is under way, waited for about 1 min so far",
        "the backup is under way, waited for about 2 min so far",
    ]


def test_a_running_backup_is_joined() -> None:
    result, host = back_up(RUNNING, RUNNING, DONE)
    assert not result["changed"]
    assert host.commands("schtasks /run") == []


def test_check_mode_starts_nothing() -> None:
    result, host = back_up(IDLE, check=True)
    assert (result["changed"], result["outcome"]) == (True, "none yet")
    assert len(host.lines) == 1


@pytest.mark.parametrize(
    ("states", "says"),
    [
        ((Facts(),), "no agent is deployed"),
        ((replace(IDLE, task_xml=""),), "no agent is deployed"),
        ((IDLE,), "no backup runs"),
        ((RUNNING,), "has not ended after 600 s; it goes on"),
    ],
)
def test_what_goes_wrong_is_said(states: tuple[Facts, ...], says: str) -> None:
    with pytest.raises(AgentError, match=says):
        back_up(*states)


def test_a_task_that_cannot_start_is_said() -> None:
    with pytest.raises(AgentError, match="could not be started"):
        back_up(IDLE, rule=("schtasks /run", Output(1, b"", b"")))


def test_a_cut_answer_is_said() -> None:
    with pytest.raises(Garbled, match="without the expected end"):
        back_up(IDLE, rule=("##[^(]*exists(?!.*:task&)", Output(1, b"", b"")))


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (None, "none yet"),
        ({"exit_code": 0}, "complete"),
        ({"exit_code": 0, "degraded": True}, "complete, degraded: without shadow copy"),
        ({"exit_code": 3}, "incomplete: part of the perimeter could not be read"),
        ({"exit_code": 99}, "failed with code 99"),
        ({}, "unreadable"),
    ],
)
def test_every_outcome_has_a_name(status: Any, words: str) -> None:
    assert agent_backup.outcome(status) == words
