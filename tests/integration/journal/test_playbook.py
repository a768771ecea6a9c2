"""playbooks/journal.yml: what it shows, exports and refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import support.playbook
from ansible_collections.prosecours.backup.plugins.plugin_utils.journal import entries as journal
from unit.journal.history import tell

from windows_lab.certificates import Authority


@pytest.fixture
def told(tmp_path: Path) -> Path:
    return tell(tmp_path)


def play(path: Path, *arguments: str, **environment: str) -> tuple[int, str]:
    journal = {"PROSECOURS_JOURNAL": str(path), **environment}
    played = support.playbook.play("localhost,", "journal", *arguments, environment=journal)
    return played.code, played.output


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
    assert f"{told} is whole: 6 entries; head 6:{head.head}" in printed
    exported = json.loads((folder / "journal_lac.json").read_text("utf-8"))
    assert exported["journal"] == {"entries": 6, "head": head.head}
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


def test_the_playbook_fails_on_a_stamp_that_is_not_true(told: Path, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    head = journal.head(told)
    told.with_name(f"{told.name}.stamps").write_text(json.dumps({"head": str(head), "token": "AAAA"}) + "\n")
    code, printed = play(told)
    assert code == 0, printed
    assert "note: 1 time stamps were not checked: journal_timestamp_ca is not set." in printed
    roots = str(authority.certificate_path)
    code, printed = play(told, PROSECOURS_JOURNAL_TIMESTAMP_CA=roots)
    assert code == 2
    assert f"The time stamp of the head {head} is not true" in " ".join(printed.split())


@pytest.mark.parametrize(
    ("variable", "says"),
    [
        ("since=hier", 'since: "hier" is no day. Write it as year-month-day, like 2026-11-30.'),
        ("head=12", 'head: "12" is no head of a journal.'),
        ("export=/proc/nowhere", "/proc/nowhere/journal.csv cannot be written: "),
    ],
)
def test_the_playbook_says_what_is_wrong(told: Path, variable: str, says: str) -> None:
    code, printed = play(told, "-e", f"prosecours_journal_{variable}")
    assert code == 2
    assert says in " ".join(printed.split())
    assert "Traceback" not in printed


def test_a_cut_fails_until_the_playbook_acknowledges_it(told: Path) -> None:
    told.write_text("".join(told.read_text("utf-8").splitlines(keepends=True)[:4]), "utf-8")
    journal.append(told, {"kind": "begin", "run": "later"})
    acknowledge = ["-e", "prosecours_journal_acknowledge=5", "-e", "prosecours_technician=Durand"]
    code, printed = play(told, *acknowledge)
    assert code == 2
    assert "Nobody said why entry 5" in " ".join(printed.split())
    code, printed = play(told, *acknowledge, "-e", "prosecours_reason=restored")
    assert code == 0, printed
    last = json.loads(told.read_text("utf-8").splitlines()[-1])
    assert {name: last[name] for name in ("kind", "cut", "technician", "reason")} == {
        "kind": "acknowledged",
        "cut": 5,
        "technician": "Durand",
        "reason": "restored",
    }
