"""The journal of interventions (C10): who did what, when, where and on whose instruction, append-only.

A file of JSON objects, one a line, in canonical form: keys sorted, no spaces, UTF-8. Each entry has

    n      its number, from 1
    at     when it was written, UTC
    kind   "begin" and "end" of a run (runs.py has their shapes), "repair", "cut" or "acknowledged"
    prev   the hash of the entry before; of the first, 64 zeros
    hash   SHA-256 over the entry without this key

so that an entry that is changed, removed, moved or added by hand shows. What no chain shows is an end that
was cut off, or a journal that was written anew as a whole: for that the newest number and hash, the *head*,
are kept elsewhere too. `append` keeps one beside the journal (`<journal>.head`), against accidents: a copy
cut short, an older save put back. Where the journal does not hold it any more, the next entry says so for
ever ("cut": `expected` and `found` heads), and `check` repeats it until a technician gave his reason
("acknowledged"). Against someone who may write both, keep heads where he may not: see docs/journal.md.

The file is only ever appended to, under a lock, so that it may be made append-only for the kernel as well
(chattr +a). What a killed writer or a full disk left of a line stays, and the next entry says so ("repair").
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import stat
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ...module_utils.maintenance.files import write_whole
from ...module_utils.maintenance.shape import as_json, read
from ..errors import ProSecoursError

Entry = dict[str, Any]
"""An entry as it is read: JSON types only."""
BEGINNING = "0" * 64
"""What the first entry follows."""
PATIENCE = 60.0
"""Seconds to wait for another writer, who needs milliseconds."""


class JournalError(ProSecoursError):
    """The journal cannot be read or written."""


class SpoiltHead(JournalError):
    """What lies beside the journal is no head."""


@dataclass(frozen=True)
class Head:
    """The newest number and hash, to be kept elsewhere; of an empty journal 0 and None."""

    entries: int
    head: str | None

    def __str__(self) -> str:
        """As people note it and `journal.yml` reads it: 124:3f5a…"""
        return f"{self.entries}:{self.head}" if self.entries else "none"


@dataclass(frozen=True)
class Verdict:
    """What a check of a whole journal found; `problems` and `notes` are sentences that name the entry."""

    entries: Sequence[Entry]
    problems: Sequence[str]
    """Signs that the journal is not as it was written."""
    notes: Sequence[str]
    """What is visible, explained and harmless: lines that an interrupted writer left."""

    @property
    def head(self) -> Head:
        return _head(self.entries[-1] if self.entries else None)


# -- writing --------------------------------------------------------------------------------------------


def append(
    path: Path,
    body: Entry,
    at: datetime | None = None,
    say: Callable[[str], None] = lambda _sentence: None,
) -> Entry:
    """Add an entry and return it; it is on the disk then. `body` has `kind` and what belongs to it. `say` is
    told when the journal is shorter, or another, than it was left: that is written down, and it goes on.

    Several processes may do so at once. Raises JournalError.
    """
    moment = timestamp(at or datetime.now(UTC))
    try:
        _make_folder(path.parent)
        descriptor = _open(path)
        try:
            _lock(descriptor, path)
            mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
            text = _read(descriptor)
            if not text and not _text(_head_file(path)):
                # From its first entry on a journal has a head: one without was robbed of it.
                _keep_head(path, _head(None), mode)
            last, lost, unfinished = _end(text)
            bodies = [{"kind": "repair", "lost": lost}] if lost else []
            cut = _cut(path, text, _head(last))
            entries: list[Entry] = []
            for one in [*bodies, *([cut] if cut else []), body]:
                entries.append(_entry(entries[-1] if entries else last, one, moment))
            data = b"".join(_line(entry) for entry in entries)
            _write(descriptor, (b"\n" if unfinished else b"") + data)
            _keep_head(path, _head(entries[-1]), mode)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise JournalError(
            f"The journal {path} cannot be written ({error.strerror})",
            "Every intervention has to be journalled (C10): make room, or give yourself the right to write"
            " there (docs/journal.md)",
        ) from error
    if cut:
        written = entries[-2]
        say(
            f"The journal {path} is not as it was left: {_cut_said(written)} The run goes on and is"
            " journalled; find out who did it, put back what a copy still has beside the journal, and"
            f" acknowledge it: playbooks/journal.yml -e prosecours_journal_acknowledge={written['n']}"
            ' -e \'{"prosecours_reason": "..."}\' (docs/journal.md).'
        )
    return entries[-1]


def acknowledge(path: Path, number: int, by: str, why: str, heads: Sequence[Head] = ()) -> Entry:
    """Write down that a technician knows of the cut that entry `number` tells of; `heads` are those kept
    elsewhere that it explains too. Raises JournalError for another entry, or without a reason."""
    entries = verify(path).entries
    found = {entry["n"]: entry for entry in entries if entry.get("kind") == "cut"}
    if number not in found:
        known = f"Give one of: {', '.join(map(str, found))}" if found else "There is none in it"
        raise JournalError(f"Entry {number} of the journal {path} tells of no cut", known)
    if not why:
        raise JournalError(
            f"Nobody said why entry {number} of the journal {path}, which tells of a cut, is acknowledged",
            "Set prosecours_reason",
        )
    lost = [one for one in _stamped(path) if any(_against(entries, one))]
    explained = list(dict.fromkeys(str(one) for one in (*heads, *lost)))
    body = {"kind": "acknowledged", "cut": number, "technician": by, "reason": why, "heads": explained}
    return append(path, body)


def _make_folder(folder: Path) -> None:
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)  # another one may be making it right now


def _cut(path: Path, text: bytes, found: Head) -> Entry | None:
    """The entry to write when the journal does not hold the head that was kept beside it."""
    try:
        kept = _kept_head(path)
    except SpoiltHead:
        kept = []
    if not kept:
        return {"kind": "cut", "expected": None, "found": as_json(found)} if text else None
    if not any(_against(_entries(text), kept[0])):
        return None
    return {"kind": "cut", "expected": as_json(kept[0]), "found": as_json(found)}


def _entries(text: bytes) -> list[Entry]:
    return [entry for line in text.split(b"\n") if (entry := _parsed(line))]


def _cut_said(cut: Entry) -> str:
    """What a "cut" entry tells, as a sentence; nothing is taken for granted in one that is read."""
    try:
        expected, found = (read(Head, cut[name]) if cut.get(name) else None for name in ("expected", "found"))
    except ValueError:
        expected = found = None
    last = f"entry {found.entries} was the last" if found and found.entries else "nothing was left of it"
    if expected is None:
        return f"the head that is kept beside it was gone or spoilt ({last})."
    if found and found.entries >= expected.entries:
        return f"entry {expected.entries} was another one than {expected}, the head that was kept ({last})."
    return f"it was cut off: it once had {expected.entries} entries, up to {expected} ({last})."


def _open(path: Path) -> int:
    """The journal, opened to append and read.

    In a folder with the setgid bit a new journal is for the group, as several technicians write it; else for
    its owner alone.
    """
    if not path.exists():
        shared = path.parent.stat().st_mode & stat.S_ISGID
        # Has its rights before it has its name: another technician may open it in the same moment.
        draft, name = tempfile.mkstemp(prefix=".new-", dir=path.parent)
        try:
            os.fchmod(draft, 0o660 if shared else 0o600)  # whatever the umask
            with contextlib.suppress(FileExistsError):
                os.link(name, path)
        finally:
            os.close(draft)
            Path(name).unlink()
    return os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)


def _lock(descriptor: int, path: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise JournalError(
                    f"Another process has held the journal {path} for {PATIENCE:.0f} seconds",
                    f"See which one with `fuser -v {path}`, and start again when it is done",
                ) from None
            time.sleep(0.02)


def _read(descriptor: int) -> bytes:
    with os.fdopen(os.dup(descriptor), "rb") as file:
        file.seek(0)
        return file.read()


def _end(data: bytes) -> tuple[Entry | None, list[dict[str, Any]], bool]:
    """The last entry; the unreadable lines after it, described; whether the last line has no end."""
    *lines, rest = data.split(b"\n")
    if rest:
        lines.append(rest)
    lost: list[dict[str, Any]] = []
    for line in reversed(lines):
        if entry := _parsed(line):
            return entry, lost[::-1], bool(rest)
        lost.append(_described(line))
    return None, lost[::-1], bool(rest)


def _entry(last: Entry | None, body: Entry, at: str) -> Entry:
    number, prev = (last["n"] + 1, last["hash"]) if last else (1, BEGINNING)
    entry = {**body, "n": number, "at": at, "prev": prev}
    return {**entry, "hash": _hash(entry)}


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
    os.fsync(descriptor)


def _keep_head(path: Path, head: Head, mode: int) -> None:
    """After the entry is on the disk, so that the head that is kept is never ahead of the journal. The folder
    follows, and with it the name of a new journal."""
    write_whole(_head_file(path), _canonical(as_json(head)) + b"\n", mode)


# -- the form of an entry -------------------------------------------------------------------------------


def _canonical(value: Entry) -> bytes:
    """A lone surrogate, of a name that is not UTF-8, becomes the escape that JSON has for it."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace")


def _hash(entry: Entry) -> str:
    body = {key: value for key, value in entry.items() if key != "hash"}
    return hashlib.sha256(_canonical(body)).hexdigest()


def _line(entry: Entry) -> bytes:
    return _canonical(entry) + b"\n"


def _parsed(line: bytes) -> Entry | None:
    """The entry of a line, None if it is none; whether it is true is not asked here."""
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(entry, dict) or not isinstance(entry.get("n"), int):
        return None
    return entry if isinstance(entry.get("hash"), str) else None


def _described(line: bytes) -> dict[str, Any]:
    return {"bytes": len(line), "sha256": hashlib.sha256(line).hexdigest()}


def timestamp(at: datetime) -> str:
    """As entries and exports have it."""
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _head(entry: Entry | None) -> Head:
    return Head(entry["n"], entry["hash"]) if entry else Head(0, None)


def head_of(entry: Entry) -> Head:
    """That of a journal that ends with this entry."""
    return _head(entry)


def _head_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.head")


def stamps_file(path: Path) -> Path:
    """Where the heads that an authority stamped are kept (elsewhere.py)."""
    return path.with_name(f"{path.name}.stamps")


# -- reading --------------------------------------------------------------------------------------------


def head(path: Path) -> Head:
    """The head of a journal, which may not be there. Raises JournalError."""
    return _head(_end(_text(path))[0])


def verify(path: Path, heads: Iterable[Head] = ()) -> Verdict:
    """Check a whole journal, and that it still holds the `heads` that were kept.

    The one beside the journal is among them, and those that were stamped, true or not. Raises JournalError
    when there is something that cannot be read.
    """
    # First the heads: what another process appends meanwhile only makes the journal longer.
    kept = [*heads, *_kept_head(path), *_stamped(path)]
    return check(_text(path), kept)


def check(data: bytes, heads: Iterable[Head] = ()) -> Verdict:
    """The same for the bytes of a journal. Pure."""
    *lines, rest = data.split(b"\n")
    entries: list[Entry] = []
    problems: list[str] = []
    notes: list[str] = []
    unreadable: list[tuple[int, bytes]] = []
    for number, line in enumerate([*lines, rest] if rest else lines, 1):
        entry = _parsed(line)
        if entry is None:
            unreadable.append((number, line))
            continue
        found, said = _lost_lines(entry, unreadable)
        problems += found
        notes += said
        problems += _own(entry, line)
        problems += _following(entries[-1] if entries else None, entry)
        entries.append(entry)
        unreadable = []
    for number, _unused in unreadable:
        if rest and number == len(lines) + 1:
            notes.append(f"The last line was cut short ({len(rest)} bytes); the next entry will say so.")
        else:
            problems.append(f"Line {number} is no entry.")
    explained: set[str] = set()
    acknowledged = {entry.get("cut"): entry for entry in entries if entry.get("kind") == "acknowledged"}
    for cut in (entry for entry in entries if entry.get("kind") == "cut"):
        story = f"{named(cut, 'E')} says: {_cut_said(cut)}"
        by = acknowledged.get(cut["n"])
        if by is None:
            problems.append(
                f"{story} Nobody has acknowledged it (prosecours_journal_acknowledge={cut['n']})."
            )
            continue
        notes.append(f"{story} {by.get('technician')} acknowledged it in entry {by['n']}: {by.get('reason')}")
        expected = cut.get("expected")
        explained |= {*by.get("heads", ()), f"{expected['entries']}:{expected['head']}" if expected else ""}
    for kept in heads:
        if str(kept) not in explained:
            problems += _against(entries, kept)
    return Verdict(entries, list(dict.fromkeys(problems)), notes)


def _lost_lines(entry: Entry, lines: Sequence[tuple[int, bytes]]) -> tuple[list[str], list[str]]:
    """(problems, notes) about the unreadable lines before an entry; a repair has to describe them truly."""
    described = entry.get("lost", []) if entry.get("kind") == "repair" else []
    if described == [_described(line) for _unused, line in lines]:
        return [], [
            f"Line {number} was cut short ({len(line)} bytes) by an interrupted run or a full disk;"
            f" {named(entry)} says so."
            for number, line in lines
        ]
    if not lines:
        return [f"The unreadable lines that {named(entry)} describes are no longer there."], []
    return [
        f"Line {number} is no entry, and {named(entry)} does not explain it." for number, _unused in lines
    ], []


def _own(entry: Entry, line: bytes) -> Iterator[str]:
    if _hash(entry) != entry["hash"] or _canonical(entry) != line:
        yield f"{named(entry, 'E')} is not as it was written."


def _following(last: Entry | None, entry: Entry) -> Iterator[str]:
    number = last["n"] + 1 if last else 1
    if entry["n"] > number:
        one = entry["n"] == number + 1
        missing = f"Entry {number} is" if one else f"Entries {number} to {entry['n'] - 1} are"
        yield f"{missing} missing before {named(entry)}."
    elif entry["n"] < number:
        yield f"{named(entry, 'E')} stands after entry {number - 1}, out of order."
    elif entry.get("prev") != (last["hash"] if last else BEGINNING):
        before = f"{named(last, 'E')} is" if last else "The beginning of the journal is"
        yield f"{before} not what entry {entry['n']} was written after: one of them was replaced."


def _against(entries: Sequence[Entry], kept: Head) -> Iterator[str]:
    number, there = kept.entries, {entry["n"]: entry for entry in entries}
    if number and number not in there:
        last = f"after {named(entries[-1])}" if entries else "as a whole"
        yield f"The journal was cut off {last}: it once had {number} entries ({kept})."
    elif number and there[number]["hash"] != kept.head:
        entry = named(there[number], "E")
        yield f"{entry} is another one than when its hash was kept ({kept}): the journal was rewritten."


def named(entry: Entry, first: str = "e") -> str:
    """An entry for people: its number, its kind and its time."""
    return f"{first}ntry {entry['n']} ({entry.get('kind')} of {entry.get('at')})"


def _text(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise JournalError(
            f"The journal {path} cannot be read ({error.strerror})", "Give yourself the right to read it"
        ) from error


def _stamped(path: Path) -> list[Head]:
    """The heads that were stamped, as the lines say; what is none is for `elsewhere` to tell."""
    found = []
    for line in _text(stamps_file(path)).splitlines():
        with contextlib.suppress(ValueError, AttributeError):
            number, _colon, digits = json.loads(line)["head"].partition(":")
            found.append(Head(int(number), digits))
    return found


def _kept_head(path: Path) -> list[Head]:
    file = _head_file(path)
    text = _text(file)
    if not text:
        return []
    try:
        return [read(Head, json.loads(text))]
    except ValueError as error:
        raise SpoiltHead(
            f"{file} is not what the journal keeps there",
            "Compare the journal with a head that was kept elsewhere (docs/journal.md); the next run writes"
            " down that this one was spoilt, and keeps a new one",
        ) from error
