"""Announced once, reminded daily, closed when gone, dated: runs one after another."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from ansible_collections.prosecours.backup.plugins.plugin_utils.monitoring.findings import (
    ClientFacts,
    Limits,
    judge,
)
from ansible_collections.prosecours.backup.plugins.plugin_utils.monitoring.memory import (
    DamagedMemory,
    Memory,
    Step,
)

from .fleet import CONTRACT, HOST, NOW, TASK, client, drift, server, status

DISABLED = server(**drift("task", TASK, "disabled"), watched={**server()["watched"], TASK: "xx"})
OFF = server(reachable=False, failure="no answer", remedy="See that it runs", error="Unreachable")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def run(memory: Memory, of: ClientFacts, now: datetime = NOW) -> Step:
    """One run; what it remembers goes through the state file."""
    step = memory.step([of], judge(of, memory, Limits(), now), now)
    return replace(step, memory=Memory.read(step.memory.text()))


def untold(step: Step, *concerns: str) -> Memory:
    """What is remembered when nobody could be told of what concerns these."""
    return Memory.read(step.without(concerns).text())


def told(step: Step, kind: str = "task_disabled") -> list[str]:
    return [finding.status for finding in (*step.open, *step.closed) if finding.kind == kind]


def test_a_finding_is_announced_once_reminded_daily_and_closed() -> None:
    first = run(Memory.empty(), client(DISABLED))
    assert told(first) == ["new"]
    second = run(first.memory, client(DISABLED), NOW + HOUR)
    assert told(second) == ["open"]
    third = run(second.memory, client(DISABLED), NOW + DAY)
    assert told(third) == ["reminded"]
    fourth = run(third.memory, client(DISABLED), NOW + DAY + HOUR)
    assert told(fourth) == ["open"]
    [finding] = [one for one in fourth.open if one.kind == "task_disabled"]
    assert (finding.since, finding.last_seen) == (NOW, NOW + DAY + HOUR)
    fifth = run(fourth.memory, client(), NOW + DAY + 2 * HOUR)
    assert told(fifth) == ["closed"]
    assert told(run(fifth.memory, client(), NOW + DAY + 3 * HOUR)) == []
    again = run(fifth.memory, client(DISABLED), NOW + DAY + 4 * HOUR)
    assert told(again) == ["new"]


def test_the_day_of_a_reminder_is_that_of_paris() -> None:
    evening = datetime(2026, 11, 24, 23, 30, tzinfo=NOW.tzinfo)
    first = run(Memory.empty(), client(DISABLED), evening)
    assert told(run(first.memory, client(DISABLED), evening + HOUR)) == ["reminded"]


def test_what_gets_worse_is_announced_again() -> None:
    def volume(percent: float) -> ClientFacts:
        return client(repository=status(volume__percent=percent))

    first = run(Memory.empty(), volume(81.0))
    second = run(first.memory, volume(94.0), NOW + HOUR)
    third = run(second.memory, volume(96.0), NOW + 2 * HOUR)
    fourth = run(third.memory, volume(82.0), NOW + 3 * HOUR)
    fifth = run(fourth.memory, volume(96.0), NOW + 4 * HOUR)
    assert [told(step, "volume") for step in (first, second, third, fourth, fifth)] == [
        ["new"], ["open"], ["new"], ["open"], ["open"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("blind", "why"),
    [
        (client(OFF), "the server does not answer"),
        (client(None, None), "a run with --limit on others"),
    ],
)
def test_what_cannot_be_looked_at_is_not_closed(blind: ClientFacts, why: str) -> None:
    first = run(Memory.empty(), client(DISABLED))
    second = run(first.memory, blind, NOW + HOUR)
    assert told(second) == ["open"], why
    [finding] = [one for one in second.open if one.kind == "task_disabled"]
    assert finding.last_seen == NOW
    assert told(run(second.memory, client(), NOW + 2 * HOUR)) == ["closed"]


def test_a_repository_that_cannot_be_read_closes_nothing_of_it() -> None:
    first = run(Memory.empty(), client(repository=status(volume__percent=97.0)))
    second = run(first.memory, client(repository=None, failure="depot: no route"), NOW + HOUR)
    assert told(second, "volume") == ["open"]
    assert told(second, "repository_unread") == ["new"]
    third = run(second.memory, client(), NOW + 2 * HOUR)
    assert told(third, "volume") == told(third, "repository_unread") == ["closed"]


def test_a_client_or_server_that_left_the_inventory_is_closed() -> None:
    first = run(Memory.empty(), client(OFF))
    assert run(first.memory, ClientFacts(replace(CONTRACT, hosts=()), {}), NOW).closed[0].host == HOST
    gone = first.memory.step([], [], NOW)
    assert [finding.status for finding in gone.closed] == ["closed"]
    assert gone.memory == Memory.empty()


def test_what_nobody_could_be_told_is_told_the_next_time() -> None:
    first = run(Memory.empty(), client(DISABLED))
    second = run(untold(first, "systems"), client(DISABLED), NOW + HOUR)
    assert told(second) == ["new"]
    assert second.open[0].since == NOW
    third = run(second.memory, client(), NOW + 2 * HOUR)
    assert told(third) == ["closed"]
    assert told(run(untold(third, "systems"), client(), NOW + 3 * HOUR)) == ["closed"]
    assert told(run(untold(third, "applications"), client(), NOW + 3 * HOUR)) == []
    assert told(run(third.memory, client(), NOW + 3 * HOUR)) == []


def test_what_one_contact_was_told_is_not_repeated_since_the_other_was_not() -> None:
    both = client(DISABLED, status(volume__percent=97.0))
    first = run(Memory.empty(), both)
    second = run(untold(first, "applications"), both, NOW + HOUR)
    assert (told(second), told(second, "volume")) == (["open"], ["new"])
    worse = client(DISABLED, status(volume__percent=100.0))
    third = run(second.memory, worse, NOW + 2 * HOUR)
    fourth = run(untold(third, "applications"), worse, NOW + 3 * HOUR)
    assert (told(fourth), told(fourth, "volume")) == (["open"], ["new"])
    last = untold(run(fourth.memory, client(), NOW + 4 * HOUR), "systems")
    assert [one.kind for one in last.closed] == ["task_disabled"]


def test_the_past_of_a_resource_is_when_it_was_last_in_order() -> None:
    first = run(Memory.empty(), client())
    second = run(first.memory, client(), NOW + HOUR)
    third = run(second.memory, client(DISABLED), NOW + 2 * HOUR)
    fourth = run(third.memory, client(DISABLED), NOW + 3 * HOUR)
    assert fourth.memory.in_order(HOST, TASK) == ("cc", NOW + HOUR)
    assert fourth.memory.in_order(HOST, "perimeter.txt") == ("bb", NOW + 3 * HOUR)
    for step in (third, fourth):
        assert "in order until 2026-11-24 10:00" in step.open[0].sentence


def test_of_a_folder_that_is_gone_no_file_is_in_order() -> None:
    first = run(Memory.empty(), client())
    gone = server(**drift("folder", "C:\\x", "gone"), watched={"folder": "", "perimeter.txt": "", TASK: "cc"})
    second = run(first.memory, client(gone), NOW + HOUR)
    assert second.memory.in_order(HOST, "perimeter.txt") == ("bb", NOW)
    assert second.memory.in_order(HOST, TASK) == ("cc", NOW + HOUR)


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "null", '{"format": 2}', '{"format": 1}', Memory.empty().text()[:-20]),
        *(
            Memory.empty().text().replace(f'"{part}": {{}}', f'"{part}": {content}')
            for part, content in {
                "names": '{"a": "yesterday"}',
                "watched": '{"a": {"b": ["c"]}}',
                "findings": '{"a": {"severity": "critical"}}',
                "announced": '{"a": ["2026-11-24T09:00:00+01:00", "awful"]}',
            }.items()
        ),
    ],
)
def test_a_damaged_state_file_is_recognised(text: str) -> None:
    with pytest.raises(DamagedMemory):
        Memory.read(text)


def test_a_state_file_of_another_version_is_told_from_a_damaged_one() -> None:
    with pytest.raises(DamagedMemory, match="its format is 2, not 1"):
        Memory.read('{"format": 2, "people": []}')


def test_a_finding_is_kept_with_all_that_a_report_needs() -> None:
    step = run(Memory.empty(), client(OFF))
    assert set(json.loads(step.memory.text())["findings"][step.open[0].id]) == {
        "id", "kind", "client", "host", "severity", "clause", "sentence", "remedy", "sentence_fr",
        "remedy_fr", "since", "last_seen", "status", "concern",
    }  # fmt: skip
