"""The journal as a file: its chain is computed here once more, and every way to tamper with it is tried."""

from __future__ import annotations

import fcntl
import hashlib
import json
import multiprocessing
import os
import re
import resource
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.prosecours.backup.plugins.plugin_utils.journal import entries as journal
from ansible_collections.prosecours.backup.plugins.plugin_utils.journal import stores
from support.writers import write_at_once

AT = datetime(2026, 11, 23, 15, 30, tzinfo=UTC)


def write(path: Path, count: int = 6, at: datetime = AT) -> Path:
    """So many entries, as `count / 2` runs give them."""
    for number in range(count):
        kind = "begin" if number % 2 == 0 else "end"
        journal.append(path, {"kind": kind, "run": f"run-{number // 2}", "what": f"Élevage n°{number}"}, at)
    return path


@pytest.fixture
def written(tmp_path: Path) -> Path:
    return write(tmp_path / "journal.jsonl")


def lines(path: Path) -> list[str]:
    return path.read_text("utf-8").splitlines()


def problems(path: Path) -> list[str]:
    return list(journal.verify(path).problems)


# -- the form -------------------------------------------------------------------------------------------


def canonical(value: dict[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def test_the_chain_can_be_followed_with_nothing_but_sha256(written: Path) -> None:
    prev = "0" * 64
    for number, line in enumerate(lines(written), 1):
        entry = json.loads(line)
        own = entry.pop("hash")
        assert own == hashlib.sha256(canonical(entry).encode()).hexdigest()
        assert (entry["n"], entry["prev"], entry["at"]) == (number, prev, "2026-11-23T15:30:00Z")
        prev = own
    assert journal.head(written) == journal.Head(6, prev)


def test_what_is_written_is_read_back(written: Path) -> None:
    found = journal.verify(written)
    assert (found.problems, found.notes) == ([], [])
    assert [entry["what"] for entry in found.entries] == [f"Élevage n°{number}" for number in range(6)]
    assert found.head == journal.head(written)


def test_names_that_are_not_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal.append(path, {"kind": "begin", "name": os.fsdecode(b"caf\xe9"), "more": "line\nend\x00\u2028"})
    found = journal.verify(path)
    assert found.problems == []
    assert found.entries[0]["name"] == os.fsdecode(b"caf\xe9")
    assert path.read_bytes().count(b"\n") == 1


def test_no_journal_is_an_empty_one(tmp_path: Path) -> None:
    assert journal.head(tmp_path / "none.jsonl") == journal.Head(0, None)
    assert journal.verify(tmp_path / "none.jsonl").problems == []


# -- tampering ------------------------------------------------------------------------------------------


def forged(line: str, **changes: Any) -> str:
    """What a forger who knows the form writes: a changed entry with its right hash."""
    body = {**json.loads(line), **changes}
    del body["hash"]
    return canonical({**body, "hash": hashlib.sha256(canonical(body).encode()).hexdigest()})


Tamper = Callable[[list[str]], list[str]]

TAMPERED: dict[str, tuple[Tamper, str]] = {
    "a word": (
        lambda x: [*x[:2], x[2].replace("n°2", "n°9"), *x[3:]],
        r"Entry 3 .* is not as it was written",
    ),
    "a space": (lambda x: [*x[:2], x[2].replace(":", ": ", 1), *x[3:]], r"Entry 3 .* not as it was written"),
    "a hash": (
        lambda x: [*x[:2], x[2].replace('"hash":"', '"hash":"0'), *x[3:]],
        r"Entry 3 .* not as it was",
    ),
    "rehashed": (
        lambda x: [*x[:2], forged(x[2], what="nothing"), *x[3:]],
        r"Entry 3 .* is not what entry 4 was written after",
    ),
    "one removed": (lambda x: [*x[:2], *x[3:]], r"Entry 3 is missing before entry 4"),
    "two removed": (lambda x: [*x[:2], *x[4:]], r"Entries 3 to 4 are missing before entry 5"),
    "the first removed": (lambda x: x[1:], r"Entry 1 is missing before entry 2"),
    "swapped": (lambda x: [x[0], x[2], x[1], *x[3:]], r"Entry 2 .* stands after entry 3, out of order"),
    "doubled": (lambda x: [*x[:3], x[2], *x[3:]], r"Entry 3 .* stands after entry 3, out of order"),
    "a line added": (lambda x: [*x[:3], "nothing to see", *x[3:]], r"Line 4 is no entry, and entry 4"),
    "a line blanked": (lambda x: [*x[:3], "", *x[4:]], r"Line 4 is no entry, and entry 5"),
    "the last cut off": (lambda x: x[:-1], r"cut off after entry 5 .*: it once had 6 entries"),
    "the end cut off": (lambda x: x[:2], r"cut off after entry 2 .*: it once had 6 entries"),
    "all cut off": (lambda x: [], r"cut off as a whole: it once had 6 entries"),
    "the last rewritten": (lambda x: [*x[:-1], forged(x[-1], what="ok")], r"Entry 6 .* is another one"),
    "the last is rubbish": (lambda x: [*x[:-1], "{"], r"Line 6 is no entry"),
}
AT_THE_END = [name for name in TAMPERED if "cut off" in name or "the last" in name]
"""Where only the head that is kept tells: written on, the journal is whole again but for that head."""


def tamper(path: Path, name: str) -> str:
    change, says = TAMPERED[name]
    path.write_text("".join(f"{line}\n" for line in change(lines(path))), "utf-8")
    return says


@pytest.mark.parametrize("name", TAMPERED)
def test_tampering_is_named_with_its_entry(written: Path, name: str) -> None:
    says = tamper(written, name)
    assert any(re.search(says, problem) for problem in problems(written)), problems(written)


@pytest.mark.parametrize("name", [name for name in TAMPERED if name not in AT_THE_END])
def test_what_is_written_later_hides_nothing(written: Path, name: str) -> None:
    says = tamper(written, name)
    write(written, 4)
    assert any(re.search(says, problem) for problem in problems(written)), problems(written)


@pytest.mark.parametrize("name", AT_THE_END)
def test_an_end_that_was_written_anew_shows_against_a_head_kept_elsewhere(written: Path, name: str) -> None:
    kept = journal.head(written)
    tamper(written, name)
    write(written, 8, AT + timedelta(days=1))
    assert journal.verify(written, [kept]).problems


def test_a_journal_written_anew_shows_against_a_head_kept_elsewhere(written: Path, tmp_path: Path) -> None:
    kept = journal.head(written)
    again = tmp_path / "again" / "journal.jsonl"
    for line in lines(written):
        journal.append(again, {"kind": "begin", "what": json.loads(line)["what"].upper()})
    shutil.copy(again, written)
    shutil.copy(f"{again}.head", f"{written}.head")
    assert journal.verify(written).problems == []
    [problem] = journal.verify(written, [kept]).problems
    assert re.search(r"Entry 6 .* the journal was rewritten", problem)


def test_a_head_that_is_spoilt_is_said(written: Path) -> None:
    Path(f"{written}.head").write_text("{}", "utf-8")
    with pytest.raises(
        journal.JournalError, match=r"journal\.jsonl\.head is not what the journal keeps there"
    ):
        journal.verify(written)


# -- writers that are killed, and disks that are full ---------------------------------------------------


@pytest.mark.parametrize("left", [1, 20, -2])
def test_a_line_cut_short_is_repaired_visibly(written: Path, left: int) -> None:
    """A killed writer left a part of its line. The part stays, and the next entry describes it."""
    whole, kept = written.read_bytes(), Path(f"{written}.head").read_bytes()
    journal.append(written, {"kind": "begin", "run": "killed"})
    torn = written.read_bytes()[len(whole) :][:left]
    written.write_bytes(whole + torn)
    Path(f"{written}.head").write_bytes(kept)  # written only after the entry
    before = journal.verify(written)
    assert before.problems == []
    assert "The last line was cut short" in before.notes[0]
    journal.append(written, {"kind": "begin", "run": "next"})
    after = journal.verify(written)
    assert after.problems == []
    assert re.search(rf"Line 7 was cut short \({len(torn)} bytes\).*entry 7 \(repair", after.notes[0])
    text = written.read_bytes()
    assert text.startswith(whole + torn + b"\n"), "what was there is never touched"
    # The part cannot be taken away, or be put in another's place, unnoticed.
    for instead in (b"", b"x" * len(torn) + b"\n"):
        written.write_bytes(whole + instead + text[len(whole) + len(torn) + 1 :])
        assert problems(written)


def test_a_line_that_lacks_its_end_only_is_whole(written: Path) -> None:
    written.write_bytes(written.read_bytes()[:-1])
    journal.append(written, {"kind": "begin", "run": "next"})
    assert problems(written) == []
    assert journal.head(written).entries == 7


def test_a_full_disk_is_one_sentence_and_the_journal_goes_on_later(written: Path) -> None:
    """The limit of a process on the size of files stands for the disk: the line is written in part."""
    size = written.stat().st_size
    child = multiprocessing.get_context("fork").Process(target=_on_a_full_disk, args=(written, size + 30))
    child.start()
    child.join(60)
    assert child.exitcode == 0
    assert written.stat().st_size == size + 30
    journal.append(written, {"kind": "begin", "run": "next"})
    found = journal.verify(written)
    assert found.problems == []
    assert "Line 7 was cut short (30 bytes)" in found.notes[0]


def _on_a_full_disk(path: Path, limit: int) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    said = ""
    try:
        journal.append(path, {"kind": "begin", "run": "full"})
    except journal.JournalError as error:
        said = str(error)
    os._exit(0 if said.startswith(f"The journal {path} cannot be written (") and "C10" in said else 1)


def test_a_place_that_cannot_be_written_is_one_sentence() -> None:
    with pytest.raises(
        journal.JournalError, match=r"^The journal /proc/none/journal\.jsonl cannot be written"
    ):
        journal.append(Path("/proc/none/journal.jsonl"), {"kind": "begin"})


# -- several technicians --------------------------------------------------------------------------------

WRITER = """
import sys
from pathlib import Path
from ansible_collections.prosecours.backup.plugins.plugin_utils.journal import entries as journal
print("ready", flush=True)
sys.stdin.readline()
for number in range(int(sys.argv[2])):
    entry = {"kind": "begin", "who": sys.argv[3], "number": number, "x": "y" * 9000}
    journal.append(Path(sys.argv[1]), entry)
"""


def test_processes_at_once_do_not_corrupt_it(tmp_path: Path) -> None:
    path, writers, each = tmp_path / "journal.jsonl", 4, 40
    write_at_once(WRITER, [(str(path), str(each), str(who)) for who in range(writers)])
    found = journal.verify(path)
    assert (found.problems, found.notes) == ([], [])
    assert len(found.entries) == writers * each
    for who in range(writers):
        mine = [entry["number"] for entry in found.entries if entry["who"] == str(who)]
        assert mine == list(range(each)), "an entry is lost, or out of order"


def test_a_killed_writer_holds_nobody_up(written: Path) -> None:
    """kill -9 while it holds the lock: the kernel lets go of it."""
    holder = subprocess.Popen(
        [sys.executable, "-c", "import fcntl,sys,time\nf=open(sys.argv[1],'a')\nfcntl.flock(f,2)\n"
         "print('held',flush=True)\ntime.sleep(600)", str(written)],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    holder.kill()
    holder.communicate()
    assert journal.append(written, {"kind": "begin"})["n"] == 7


def test_a_lock_that_is_never_let_go_is_one_sentence(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "PATIENCE", 0.1)
    with written.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(journal.JournalError, match=r"Another process has held the journal .* `fuser"):
            journal.append(written, {"kind": "begin"})


def test_rights(tmp_path: Path) -> None:
    """Alone, for its owner; in a folder with the setgid bit, for the group, whatever the umask."""
    mask = os.umask(0o077)
    try:
        write(tmp_path / "own" / "journal.jsonl", 1)
        shared = tmp_path / "shared"
        shared.mkdir()
        shared.chmod(0o2770)
        write(shared / "journal.jsonl", 1)
    finally:
        os.umask(mask)
    modes = {
        str(file.relative_to(tmp_path)): stat.S_IMODE(file.stat().st_mode) for file in tmp_path.rglob("*.*")
    }
    assert modes == {
        "own/journal.jsonl": 0o600,
        "own/journal.jsonl.head": 0o600,
        "shared/journal.jsonl": 0o660,
        "shared/journal.jsonl.head": 0o660,
    }
    assert stat.S_IMODE((tmp_path / "own").stat().st_mode) == 0o700


# -- a tail that is cut off -----------------------------------------------------------------------------


def keep_on(path: Path) -> list[str]:
    """One more run, and what its technician is told."""
    said: list[str] = []
    journal.append(path, {"kind": "begin", "run": "next"}, AT, said.append)
    journal.append(path, {"kind": "end", "run": "next"}, AT, said.append)
    return said


def cuts(path: Path) -> list[dict[str, Any]]:
    """Those that tell of one; what is no entry is not asked for here."""
    whole = [json.loads(line) for line in lines(path) if line.endswith("}")]
    return [entry for entry in whole if entry["kind"] == "cut"]


CUT = {
    "the tail": (lambda path: path.write_text("\n".join(lines(path)[:4]) + "\n", "utf-8"), (6, 4)),
    "the last and a bit": (
        lambda path: path.write_text("\n".join(lines(path)[:5]) + '\n{"k', "utf-8"),
        (6, 5),
    ),
    "the whole file": (lambda path: path.unlink(), (6, 0)),
    "all that is in it": (lambda path: path.write_text(""), (6, 0)),
    "the last, by another": (lambda path: tamper(path, "the last rewritten"), (6, 6)),
    "the tail and the head": (
        lambda path: (tamper(path, "the end cut off"), Path(f"{path}.head").unlink()),
        (None, 2),
    ),
    "the head, emptied": (lambda path: Path(f"{path}.head").write_text(""), (None, 6)),
    "the head, spoilt": (lambda path: Path(f"{path}.head").write_text("{}"), (None, 6)),
    "the head, of another journal": (
        lambda path: Path(f"{path}.head").write_text(json.dumps({"entries": 6, "head": "0" * 64})),
        (6, 6),
    ),
    "the head, of a longer one": (
        lambda path: Path(f"{path}.head").write_text(json.dumps({"entries": 9, "head": "0" * 64})),
        (9, 6),
    ),
}


@pytest.mark.parametrize(("cut", "numbers"), CUT.values(), ids=CUT)
def test_an_end_that_was_cut_off_is_not_forgiven_by_the_next_run(
    written: Path, cut: Callable[[Path], Any], numbers: tuple[int | None, int]
) -> None:
    was = journal.head(written)
    cut(written)
    [sentence] = keep_on(written)
    assert str(written) in sentence
    assert "prosecours_journal_acknowledge=" in sentence
    [entry] = cuts(written)
    expected, found = entry["expected"], entry["found"]
    assert (expected and expected["entries"], found["entries"]) == numbers
    if expected and numbers[0] == 6 and "0" * 64 not in expected["head"]:
        assert expected["head"] == was.head
    assert keep_on(written) == [], "said once"
    for _day in range(3):
        [problem] = problems(written)
        assert re.search(rf"Entry {entry['n']} \(cut of .*Nobody has acknowledged it", problem)
        keep_on(written)


def test_a_cut_is_reported_until_a_technician_says_why(written: Path) -> None:
    was, elsewhere = journal.head(written), journal.Head(5, json.loads(lines(written)[4])["hash"])
    tamper(written, "the end cut off")
    keep_on(written)
    assert any(f"6:{was.head}" in one for one in journal.verify(written, [was]).problems)
    for number, why, says in ((2, "restored", "Entry 2 .* tells of no cut"), (3, "", "Nobody said why")):
        with pytest.raises(journal.JournalError, match=says):
            journal.acknowledge(written, number, "A. Martin", why)
    journal.acknowledge(written, 3, "A. Martin", "the save of Sunday")
    found = journal.verify(written, [was])
    assert found.problems == []
    assert re.search(r"Entry 3 \(cut .* A\. Martin acknowledged it .*: the save of Sunday", found.notes[0])
    assert journal.verify(written, [elsewhere]).problems, "only what the entry names is explained"
    journal.acknowledge(written, 3, "A. Martin", "the report is of before", [elsewhere])
    assert journal.verify(written, [elsewhere, was]).problems == []
    # It explains the past, and no second cut.
    written.write_text("\n".join(lines(written)[:-1]) + "\n", "utf-8")
    keep_on(written)
    assert len(problems(written)) == 1


def test_a_writer_killed_between_the_entry_and_its_head_is_no_cut(written: Path) -> None:
    kept = Path(f"{written}.head").read_bytes()
    journal.append(written, {"kind": "begin", "run": "killed"})
    Path(f"{written}.head").write_bytes(kept)
    assert keep_on(written) == []
    assert problems(written) == []


def test_a_first_writer_killed_before_its_entry_is_no_cut(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.touch()
    assert keep_on(path) == []
    (tmp_path / "again").mkdir()
    path = write(tmp_path / "again" / "journal.jsonl", 1)
    path.write_text("")
    Path(f"{path}.head").write_text(json.dumps({"entries": 0, "head": None}))
    assert keep_on(path) == []


def test_two_technicians_after_a_cut_write_it_down_once(written: Path) -> None:
    tamper(written, "the end cut off")
    start = multiprocessing.get_context("fork")
    running = [start.Process(target=keep_on, args=(written,)) for _one in range(4)]
    for one in running:
        one.start()
    for one in running:
        one.join(60)
        assert one.exitcode == 0
    assert len(cuts(written)) == 1
    assert len(lines(written)) == 2 + 1 + 2 * 4


def test_technicians_who_make_its_folder_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the look for the folder and its making another one made it."""
    path, is_dir, mkdir = tmp_path / "new" / "journal.jsonl", Path.is_dir, Path.mkdir

    def late(folder: Path) -> bool:
        there = is_dir(folder)
        if not there:
            mkdir(folder)
        return there

    monkeypatch.setattr(Path, "is_dir", late)
    assert journal.append(path, {"kind": "begin"})["n"] == 1


def test_a_full_disk_leaves_no_new_journal_by_halves(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    child = multiprocessing.get_context("fork").Process(target=_on_a_full_disk, args=(path, 10))
    child.start()
    child.join(60)
    assert child.exitcode == 0
    assert keep_on(path) == []
    found = journal.verify(path)
    assert found.problems == []
    assert {one.name for one in tmp_path.iterdir()} == {"journal.jsonl", "journal.jsonl.head"}
