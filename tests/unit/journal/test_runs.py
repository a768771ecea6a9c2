"""The journal as people get it: the table and the export of one client and period."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.prosecours.backup.plugins.plugin_utils.journal import entries as journal
from ansible_collections.prosecours.backup.plugins.plugin_utils.journal import export as journal_export
from ansible_collections.prosecours.backup.plugins.plugin_utils.journal import runs as journal_runs

from .history import begin, row, tell


@pytest.fixture
def told(tmp_path: Path) -> Path:
    return tell(tmp_path)


def test_the_table(told: Path) -> None:
    table = journal_runs.table(journal_runs.runs(journal.verify(told).entries)).splitlines()
    assert table == [
        "n  began             lasted   technician  playbook         clients      result",
        "-  ----------------  -------  ----------  ---------------  -----------  ------",
        "1  2026-11-20 10:00  1:05:09  A. Martin   deploy           lac, moulin  failed",
        "   on the instruction of: Mme Lefèvre",
        "   reason: =1+1",
        "   moulin-srv1: task altered; registered anew",
        "   lac-srv: No answer from lac-srv",
        "3  2026-12-01 00:30  0:01:00  A. Martin   restore --check  lac          ok",
        "   on the instruction of: M. Petit",
        "6  2026-12-02 09:00           B. Durand   deploy           moulin       no end",
    ]


@pytest.mark.parametrize(
    ("client", "since", "until", "chosen"),
    [
        (None, None, None, [1, 3, 6]),
        ("lac", None, None, [1, 3]),
        ("moulin", None, None, [1, 6]),
        (None, "2026-12-01", None, [3, 6]),  # half past midnight in Paris
        (None, None, "2026-11-30", [1]),
        ("lac", "2026-11-01", "2026-12-01", [1, 3]),
        ("moulin", "2026-11-21", "2026-12-01", []),
    ],
)
def test_clients_and_periods(
    told: Path, client: str | None, since: str | None, until: str | None, chosen: list[int]
) -> None:
    days = [date.fromisoformat(day) if day else None for day in (since, until)]
    found = journal_export.choose(journal.verify(told), client, *days)
    assert [run.begin.n for run in found] == chosen


def test_an_export_about_one_client_holds_nothing_of_another(told: Path) -> None:
    verdict = journal.verify(told)
    found = journal_export.choose(verdict, "lac")
    for text in (
        journal_runs.as_csv(found),
        journal_runs.as_json(found, verdict.head),
        journal_runs.table(found),
    ):
        assert "lac-srv" in text
        assert "moulin" not in text
    mine = journal_runs.table(journal_export.choose(verdict, "moulin"))
    assert "lac" not in mine


def test_the_csv_is_a_row_for_each_run_and_host(told: Path) -> None:
    text = journal_runs.as_csv(journal_export.choose(journal.verify(told)))
    rows = list(csv.DictReader(io.StringIO(text), delimiter=";"))
    assert [(one["entry"], one["client"], one["host"], one["result"]) for one in rows] == [
        ("1", "moulin", "moulin-srv1", "changed"),
        ("1", "lac", "lac-srv", "unreachable"),
        ("1", "lac", "depot", "ok"),
        ("3", "lac", "lac-srv", "ok"),
        ("6", "moulin", "moulin-srv1", "no end"),
    ]
    assert rows[0]["changes"] == "task altered; registered anew"
    assert rows[2]["details"] == '{"versions_removed": 3}'
    assert rows[0]["reason"] == "'=1+1", "a spreadsheet would compute it"
    assert [one["run_result"] for one in rows] == ["failed", "failed", "failed", "ok", "no end"]
    assert [one["check"] for one in rows] == ["no", "no", "no", "yes", "no"]
    assert rows[0]["hash"] == journal.verify(told).entries[0]["hash"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"client": "moulim"}, 'nothing about a client "moulim". Did you mean "moulin"?'),
        ({"since": date(2026, 12, 1), "until": date(2026, 11, 1)}, "ends on 2026-11-01, before it begins"),
    ],
)
def test_a_slip_is_one_sentence(told: Path, arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(journal_export.ExportError, match=re.escape(says)):
        journal_export.choose(journal.verify(told), **arguments)


@pytest.mark.parametrize("key", ["run", "rows", "at", "technician", "clients"])
def test_an_entry_that_misses_a_part_is_named_and_breaks_nothing(told: Path, key: str) -> None:
    lines = [json.loads(line) for line in told.read_text("utf-8").splitlines()]
    told.write_text(
        "".join(
            json.dumps({name: value for name, value in line.items() if name != key or line["n"] > 2}) + "\n"
            for line in lines
        ),
        "utf-8",
    )
    verdict = journal.verify(told)
    assert verdict.problems
    assert journal_runs.table(journal_export.choose(verdict))


def test_entries_of_other_years_stay_readable(tmp_path: Path) -> None:
    """Of an older version, that knew no details; of a newer one, that has parts which this does not know."""
    path = tmp_path / "journal.jsonl"
    journal.append(path, begin("1", weather="rain"))
    old = row("moulin", "moulin-srv1", "changed", changes=["task altered"])
    del old["details"]
    journal.append(path, {"kind": "end", "run": "1", "result": "changed", "rows": [old], "mood": 3})
    verdict = journal.verify(path)
    assert verdict.problems == []
    [run] = journal_export.choose(verdict, "moulin")
    assert (run.result, run.rows[0].changes, run.rows[0].details) == ("changed", ("task altered",), {})
