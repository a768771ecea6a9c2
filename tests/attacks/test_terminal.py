"""A client chooses its server's host name, its paths and what its logs say. Nothing of it reaches a
technician's terminal, a mail's subject, a page or a spreadsheet as anything but letters that can be seen."""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.printable import cell, printable
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.volume import Bill, bills_as_csv
from ansible_collections.prosecours.backup.plugins.plugin_utils.ansible_adapter import CoreAction
from ansible_collections.prosecours.backup.plugins.plugin_utils.documents import mail
from ansible_collections.prosecours.backup.plugins.plugin_utils.documents.render import render
from ansible_collections.prosecours.backup.plugins.plugin_utils.errors import ProSecoursError
from ansible_collections.prosecours.backup.plugins.plugin_utils.journal import entries as journal
from ansible_collections.prosecours.backup.plugins.plugin_utils.journal import export, runs
from ansible_collections.prosecours.backup.plugins.plugin_utils.monitoring.findings import make
from ansible_collections.prosecours.backup.plugins.plugin_utils.repository import status
from ansible_collections.prosecours.backup.plugins.plugin_utils.restore import find
from unit.journal.history import begin, row
from unit.monitoring import fleet

ATTACKS = {
    "title": "\x1b]0;owned\x07",
    "csi": "\x1b[2J\x1b[1;1H\x1b[32mok",
    "8-bit csi": "\x9b2J",
    "right to left": "exe.\N{RIGHT-TO-LEFT OVERRIDE}fdp",
    "isolate": "\N{RIGHT-TO-LEFT ISOLATE}x",
    "zero width": "a\N{ZERO WIDTH SPACE}b\N{ZERO WIDTH JOINER}c\N{ZERO WIDTH NO-BREAK SPACE}",
    "newline": "srv\nall          well",
    "carriage return": "srv\rall well",
    "line separator": "srv\N{LINE SEPARATOR}all well",
    "nul": "a\x00b",
    "backspace": "bad\x08\x08\x08ok",
    "lone surrogate": "caf\udce9",
    "tag letters": "a\U000e0041",
}
attack = pytest.mark.parametrize("text", ATTACKS.values(), ids=ATTACKS)


def hidden(text: str) -> set[str]:
    """What in a text is not to be seen, by Unicode's own word; the lines of the whole are its own."""
    bad = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    return {f"U+{ord(char):04X}" for char in text.replace("\n", "") if unicodedata.category(char) in bad}


@attack
def test_a_text_is_one_line_that_can_be_seen_and_told_from_its_like(text: str) -> None:
    shown = printable(text)
    assert hidden(shown) == set()
    assert "\n" not in shown
    shown.encode()  # no terminal can refuse it
    for char in text:
        assert f"<U+{ord(char):04X}>" in shown or char in shown


@pytest.mark.parametrize("text", ["Élevage « Œillet »\u202f: 12\u00a0Go", r"D:\Été\€uro — ½", "日本 😀"])
def test_honest_names_stay_as_they_are(text: str) -> None:
    assert printable(text) == text


@attack
def test_the_status_table(text: str) -> None:
    told = json.loads(json.dumps(fleet.STATUS))
    told["servers"][text] = told["servers"].pop(fleet.HOST)
    answer = status.answer({"clients": {"moulin": told}, "problems": {"moulin": [f"look at {text}"]}})
    table = status.table(status.combine({"depot": answer}, ["moulin"]))
    assert hidden(table) == set()
    assert len(table.splitlines()) == 6, "the head, its rule, one server, an empty line, one thing to look at"


@attack
def test_findings_in_both_languages(text: str) -> None:
    found = make(fleet.client(), "missing_directory", text, path=f"D:\\{text}", at=fleet.NOW)
    log = make(fleet.client(), "incomplete", "srv", at=fleet.NOW, log=f" restic says: {text}")
    for one in (found, log):
        for sentence in (one.sentence, one.remedy, one.sentence_fr, one.remedy_fr):
            assert hidden(sentence) == set()
            assert "\n" not in sentence


@attack
def test_the_list_of_what_a_restore_can_find(text: str) -> None:
    item = find.Found(
        text, f"D:\\{text}", "file", 3, "2026-11-20T10:00:00+00:00", "ab", "2026-11-20T22:00:00+00:00", True
    )
    table = find.table("x", [item])
    assert hidden(table) == set()
    assert len(table.splitlines()) == 2


@pytest.fixture
def journalled(tmp_path: Path) -> Callable[[str], tuple[Path, journal.Verdict]]:
    def write(text: str) -> tuple[Path, journal.Verdict]:
        path = tmp_path / "journal.jsonl"
        done = row("moulin", text, "changed", changes=["fine", text], failures=[text], details={"x": text})
        journal.append(path, begin("1", reason=text, technician=text, clients={"moulin": [text]}))
        journal.append(path, {"kind": "end", "run": "1", "result": "changed", "rows": [done]})
        return path, journal.verify(path)

    return write


@attack
def test_the_table_of_the_journal_and_its_export(
    text: str, journalled: Callable[[str], tuple[Path, journal.Verdict]], tmp_path: Path
) -> None:
    path, verdict = journalled(text)
    assert verdict.problems == []
    found = export.choose(verdict)
    shown = export.text(path, verdict, found)
    assert hidden(shown) == set()
    plain = runs.table(export.choose(journalled("x")[1])[:1])
    assert len(runs.table(found).splitlines()) == len(plain.splitlines()), "a text makes no line of its own"
    assert hidden(runs.as_csv(found)) == set()
    written = export.write(tmp_path / "export", "all", verdict, found, check=False)
    exact = json.loads(written.files[1].read_text("utf-8", "surrogateescape"))["runs"][0]["rows"][0]
    assert len(exact["changes"]) == 2, "the export for programs has all, as it was"


@attack
def test_a_mail_has_the_subject_that_is_seen(text: str) -> None:
    message = mail.Message(("a@moulin.example",), f"Sauvegardes : {text}", "x")
    assert hidden(str(mail.compose("b@prosecours.example", message)["Subject"])) == set()


@attack
def test_a_page(text: str) -> None:
    page = render(
        "findings_mail.txt.j2",
        at=fleet.NOW,
        title="T",
        parts=[("Nouveau", [_told(text)])],
        names={"moulin": text},
        counts={"critical": 1, "warning": 0, "notice": 0, "ok": 0},
        attached=[text],
        elsewhere={"systems": text},
    )
    assert hidden(page) == set()


def _told(text: str) -> SimpleNamespace:
    return SimpleNamespace(
        client="moulin", host=text, severity="critical", clause="C6", sentence_fr=text, remedy_fr=text,
        sentence=text, remedy=text, since=fleet.NOW, last_seen=fleet.NOW, status="new", kind="silent",
        id=text,
    )  # fmt: skip


class _Action(CoreAction):
    def act(self, arguments: dict[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
        raise NotImplementedError


@attack
def test_what_an_action_shows_and_how_it_fails(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    action = _Action.__new__(_Action)
    display = SimpleNamespace(display=lambda said, **_unused: shown.append(said))
    monkeypatch.setattr(action, "_display", display, raising=False)
    action.show(f"a table\n{text}")
    assert hidden("".join(shown)) == set()
    assert shown[0].startswith("a table\n"), "its own lines stay"
    assert hidden(str(ProSecoursError(f"{text} is not there", f"Look at {text}", text))) == set()


def test_no_action_shows_anything_in_another_way() -> None:
    actions = Path(__file__).resolve().parents[2] / "plugins" / "action"
    assert [path.name for path in actions.glob("*.py") if "_display" in path.read_text("utf-8")] == []


# -- spreadsheets ---------------------------------------------------------------------------------------

FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "=cmd|' /C calc'!A0"]


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_of_the_journal_is_computed(
    text: str, journalled: Callable[[str], tuple[Path, journal.Verdict]]
) -> None:
    """Neither a text, nor the first or a later one of a list: who splits the list has texts again."""
    _path, verdict = journalled(text)
    [line] = csv.DictReader(io.StringIO(runs.as_csv(export.choose(verdict))), delimiter=";")
    for name in ("technician", "reason", "host", "failures"):
        assert line[name].startswith("'"), name
    assert all(part == "fine" or part.startswith("'") for part in line["changes"].split(" | "))
    assert cell(text).startswith("'")


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_of_a_bill_is_computed(text: str) -> None:
    bill = Bill(month="2026-11", client=text, reference=text, days=1, subscribed_gb=10, average_gb="1.000",
                highest_gb="1.000", over_gb="0.000", stored_gb="1.000")  # fmt: skip
    [line] = csv.DictReader(io.StringIO(bills_as_csv([bill])), delimiter=";")
    assert line["client"].startswith("'")
    assert line["reference"].startswith("'")
    assert (line["month"], line["days"], line["average_gb"]) == ("2026-11", "1", "1.000")
