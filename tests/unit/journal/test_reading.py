"""The journal as people get it: the table, the export of one client and period, the playbook."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.prosecours.backup.plugins.plugin_utils import journal, journal_export, journal_runs

CHECKOUT = Path(__file__).resolve().parents[3]


def begin(run: str, **more: Any) -> dict[str, Any]:
    entry = {"kind": "begin", "run": run, "playbook": "deploy", "technician": "A. Martin", "login": "martin"}
    entry |= {"controller": "poste-1", "instruction": "", "reason": "", "check": False, "hosts": []}
    return {**entry, "clients": {"moulin": ["moulin-srv1"], "lac": ["lac-srv"]}, **more}


def row(client: str | None, host: str, result: str = "ok", **more: Any) -> dict[str, Any]:
    whole = {"client": client, "host": host, "result": result, "changes": [], "failures": [], "details": {}}
    return {**whole, **more}


@pytest.fixture
def told(tmp_path: Path) -> Path:
    """Three runs: one for two clients, one night run across midnight of Paris, one without an end."""
    path = tmp_path / "journal.jsonl"
    for at, entry in (
        ("2026-11-20T09:00:00", begin("1", instruction="Mme Lefèvre", reason="=1+1")),
        (
            "2026-11-20T10:05:09",
            {
                "kind": "end",
                "run": "1",
                "result": "failed",
                "rows": [
                    row("moulin", "moulin-srv1", "changed", changes=["task altered; registered anew"]),
                    row("lac", "lac-srv", "unreachable", failures=["No answer from lac-srv"]),
                    row("lac", "depot", details={"versions_removed": 3}),
                ],
            },
        ),
        ("2026-11-30T23:30:00", begin("2", playbook="restore", clients={}, check=True)),
        (
            "2026-11-30T23:30:01",
            {**begin("2", clients={"lac": ["lac-srv"]}, instruction="M. Petit"), "kind": "also"},
        ),
        ("2026-11-30T23:31:00", {"kind": "end", "run": "2", "result": "ok", "rows": [row("lac", "lac-srv")]}),
        ("2026-12-02T08:00:00", begin("3", clients={"moulin": ["moulin-srv1"]}, technician="B. Durand")),
    ):
        journal.append(path, entry, datetime.fromisoformat(at).replace(tzinfo=UTC))
    return path


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
    assert [run.begin["n"] for run in found] == chosen


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


# The playbook -------------------------------------------------------------------------------------------


def play(path: Path, *arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        ["ansible-playbook", "-i", "localhost,", "playbooks/journal.yml", *arguments],
        cwd=CHECKOUT,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1", "PROSECOURS_JOURNAL": str(path)},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_the_playbook_shows_checks_and_exports(told: Path, tmp_path: Path) -> None:
    before = told.read_bytes()
    folder = tmp_path / "export"
    wanted = ["-e", "prosecours_journal_client=lac", "-e", f"prosecours_journal_export={folder}"]
    code, printed = play(told, *wanted, "--check")
    assert code == 0, printed
    assert "changed=1" in printed
    assert not folder.exists()
    code, printed = play(told, *wanted)
    assert code == 0, printed
    assert "3  2026-12-01 00:30  0:01:00  A. Martin   restore --check  lac      ok" in printed
    head = journal.head(told)
    assert f"{told} is whole: 6 entries; head 6:{head['head']}" in printed
    exported = json.loads((folder / "journal_lac.json").read_text("utf-8"))
    assert exported["journal"] == head
    assert [run["entry"] for run in exported["runs"]] == [1, 3]
    assert (folder / "journal_lac.csv").read_bytes().startswith(b"\xef\xbb\xbfentry;hash;began;")
    assert (folder / "journal_lac.csv").stat().st_mode & 0o777 == 0o640
    code, printed = play(told, *wanted)
    assert "changed=0" in printed
    assert told.read_bytes() == before, "reading is no intervention"


def test_the_playbook_fails_on_tampering_and_on_a_head_that_is_not_there(told: Path) -> None:
    code, printed = play(told, "-e", f"prosecours_journal_head=9:{'a' * 64}")
    assert code == 2
    assert "it once had 9 entries" in " ".join(printed.split())
    told.write_text(told.read_text("utf-8").replace("Mme Lefèvre", "personne"), "utf-8")
    code, printed = play(told)
    assert code == 2
    assert "Entry 1 (begin of 2026-11-20T09:00:00Z) is not as it was written." in " ".join(printed.split())
    assert "is NOT as it was written" in printed
    assert "Traceback" not in printed


@pytest.mark.parametrize(
    ("variable", "says"),
    [
        ("since=hier", 'since: "hier" is no day. Write it as year-month-day, like 2026-11-30.'),
        ("head=12", 'head: "12" is no head of a journal.'),
        ("export=/proc/nowhere", "The export cannot be written to /proc/nowhere ("),
    ],
)
def test_the_playbook_says_what_is_wrong(told: Path, variable: str, says: str) -> None:
    code, printed = play(told, "-e", f"prosecours_journal_{variable}")
    assert code == 2
    assert says in " ".join(printed.split())
    assert "Traceback" not in printed
