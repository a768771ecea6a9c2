"""What repository hosts answer, of whatever kind, as one report."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.shape import as_json, read
from ansible_collections.prosecours.backup.plugins.plugin_utils.repository import status
from ansible_collections.prosecours.backup.plugins.plugin_utils.repository.status import Statuses
from unit.documents import fleet

MOULIN, TILLEULS = (fleet.client(number)["repository"] for number in (0, 1))


def combined(results: dict[str, dict[str, Any]], *clients: str) -> Statuses:
    return status.combine({host: status.answer(one) for host, one in results.items()}, clients)


def told(**clients: Any) -> dict[str, Any]:
    return {"changed": False, "clients": clients, "problems": {}, "failures": {}}


def test_two_hosts_are_one_report_which_a_variable_can_carry() -> None:
    report = combined({"b": told(moulin=MOULIN), "a": told(tilleuls=TILLEULS)}, "moulin", "tilleuls")
    assert list(report.clients) == ["moulin", "tilleuls"]
    assert (status.wrong(report), report.failures) == ([], {})
    assert read(Statuses, as_json(report)) == report
    assert "Nothing needs a look." in status.table(report)


def test_a_status_that_is_none_is_a_sentence_about_its_client_and_stops_no_other() -> None:
    hostile = copy.deepcopy(TILLEULS)
    hostile["locks"] = [{"host": "x", "since": "0001-01-01T00:00:00+14:00", "stale": True}]
    report = combined({"depot": told(moulin=MOULIN, tilleuls=hostile)}, "moulin", "tilleuls")
    assert list(report.clients) == ["moulin"]
    assert status.wrong(report) == ["tilleuls"]
    assert report.failures["tilleuls"] == (
        'What its repository host told of it is no status ("locks.0.since" is missing from it, or of another'
        " type). Look at this repository host."
    )
    assert "cannot be read" in status.table(report)


@pytest.mark.parametrize(
    ("result", "sentence"),
    [
        ({"unreachable": True, "msg": "Refused.\nReally."}, "depot: Refused. Really. Look at"),
        ({"failed": True}, "depot: it did not answer. Look at"),
        ({"failures": {}, "clients": "none"}, "depot: it did not answer. Look at"),
        (
            {"failures": {"moulin": 3}, "clients": {}},
            'depot: what it answered is no status ("failures.moulin" is missing from it, or of another type).'
            " Look at",
        ),
    ],
)
def test_a_host_that_tells_nothing_is_named(result: dict[str, Any], sentence: str) -> None:
    report = combined({"depot": result}, "moulin")
    assert report.failures == {"moulin": f"{sentence} this repository host."}
