"""The status file of an agent lies where the client's administrator may write: what is believed of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from ansible_collections.prosecours.backup.plugins.plugin_utils.documents.model import LastRun, last_run

AT = datetime(2026, 11, 23, 21, 0, 5, tzinfo=UTC)


def test_a_status_file_as_the_agent_writes_it() -> None:
    status = {
        "format": 1, "start": "2026-11-23T21:00:05Z", "end": "2026-11-23T21:00:05Z", "exit_code": 3,
        "attempts": 1, "errors": 2, "missing": ["D:\\a"], "degraded": True, "log": "logs/a.log",
        "summary": {},
    }  # fmt: skip
    run = last_run(status)
    assert run == LastRun(AT, AT, 3, 2, ("D:\\a",), True, "logs/a.log")
    assert not run.well


@pytest.mark.parametrize(
    ("wrong", "known"),
    [
        ({"exit_code": "0"}, LastRun(AT)),
        ({"exit_code": True}, LastRun(AT)),
        ({"exit_code": 10**30}, LastRun(AT)),
        ({"end": "0000-00-00T00:00:00Z"}, LastRun(AT)),
        ({"end": ["x"]}, LastRun(AT)),
        ({"missing": 7}, LastRun(AT)),
        ({"missing": [None, {"a": 1}]}, LastRun(AT, missing=("None", "{'a': 1}"))),
        ({"log": {}}, LastRun(AT)),
    ],
)
def test_a_part_that_is_none_costs_no_other(wrong: dict[str, Any], known: LastRun) -> None:
    assert last_run({"start": "2026-11-23T21:00:05Z", **wrong}) == known


def test_what_is_missing_has_an_end() -> None:
    run = last_run({"missing": ["x" * 10_000] * 10_000})
    assert run is not None
    assert sum(map(len, run.missing)) == 1_000_000


@pytest.mark.parametrize("status", [None, {}])
def test_no_status_is_no_run(status: Any) -> None:
    assert last_run(status) is None
