"""The journal of interventions (C10): who did what, when, where and on whose instruction, append-only.

A file of JSON objects, one a line, in canonical form: keys sorted, no spaces, UTF-8. Each entry has

    n      its number, from 1
    at     when it was written, UTC
    kind   "begin" and "end" of a run (journal_runs.py has their shapes), or "repair"
    prev   the hash of the entry before; of the first, 64 zeros
    hash   SHA-256 over the entry without this key

so that an entry that is changed, removed, moved or added by hand shows. What no chain shows is an end that
was cut off, or a journal that was written anew as a whole: for that the newest number and hash, the *head*,
are kept elsewhere too. `append` keeps one beside the journal (`<journal>.head`), against accidents: a copy
cut short, an older save put back. Against someone who may write both, keep heads where he may not: see
docs/journal.md.

The file is only ever appended to, under a lock, so that it may be made append-only for the kernel as well
(chattr +a). What a killed writer or a full disk left of a line stays, and the next entry says so ("repair").
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import stat
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

#: An entry as it is read: JSON types only.
Entry = dict[str, Any]
#: What the first entry follows.
BEGINNING = "0" * 64
#: Seconds to wait for another writer, who needs milliseconds.
PATIENCE = 60.0


class JournalError(Exception):
    """The journal cannot be read or written. One sentence, and what to do."""


@dataclass(frozen=True)
class Verdict:
    """What a check of a whole journal found; `problems` and `notes` are sentences that name the entry."""

    entries: Sequence[Entry]
    #: Signs that the journal is not as it was written.
    problems: Sequence[str]
    #: What is visible, explained and harmless: lines that an interrupted writer left.
    notes: Sequence[str]

    @property
    def head(self) -> dict[str, Any]:
        return _head(self.entries[-1] if self.entries else None)


# -- writing ------------------------------------------------------------------------------------------


def append(path: Path, body: Mapping[str, Any], at: datetime | None = None) -> Entry:
    """Add an entry and return it; it is on the disk then. `body` has `kind` and what belongs to it.

    Several processes may do so at once. Raises JournalError.
    """
    moment = _timestamp(at or datetime.now(UTC))
    try:
        made = _make_folder(path.parent)
        descriptor, new = _open(path)
        try:
            _lock(descriptor, path)
            last, lost, unfinished = _end(_read(descriptor))
            entries = []
            if lost:
                entries.append(_entry(last, {"kind": "repair", "lost": lost}, moment))
            entries.append(_entry(entries[-1] if entries else last, body, moment))
            data = b"".join(_line(entry) for entry in entries)
            _write(descriptor, (b"\n" if unfinished else b"") + data)
            _keep_head(path, entries[-1], stat.S_IMODE(os.fstat(descriptor).st_mode))
        finally:
            os.close(descriptor)
        if new or made:
            _sync_folder(path.parent)
    except OSError as error:
        raise JournalError(
            f"The journal {path} cannot be written ({error.strerror}). Every intervention has to be"
            " journalled (C10): make room, or give yourself the right to write there (docs/journal.md)."
        ) from error
    return entries[-1]


def _make_folder(folder: Path) -> bool:
    if folder.is_dir():
        return False
    folder.mkdir(parents=True, mode=0o700)
    return True


def _open(path: Path) -> tuple[int, bool]:
    """The journal, opened to append and read; and whether it is new.

    In a folder with the setgid bit a new journal is for the group, as several technicians write it; else for
    its owner alone.
    """
    shared = path.parent.stat().st_mode & stat.S_ISGID
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC), False
    if shared:
        os.fchmod(descriptor, 0o660)  # whatever the umask
    return descriptor, True


def _lock(descriptor: int, path: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise JournalError(
                    f"Another process has held the journal {path} for {PATIENCE:.0f} seconds. See which one"
                    f" with `fuser -v {path}`, and start again when it is done."
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


def _entry(last: Entry | None, body: Mapping[str, Any], at: str) -> Entry:
    number, prev = (last["n"] + 1, last["hash"]) if last else (1, BEGINNING)
    entry = {**body, "n": number, "at": at, "prev": prev}
    return {**entry, "hash": _hash(entry)}


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
    os.fsync(descriptor)


def _keep_head(path: Path, entry: Entry, mode: int) -> None:
    """After the entry is on the disk, so that the head that is kept is never ahead of the journal."""
    target = _head_file(path)
    draft = target.with_name(f"{target.name}.{os.getpid()}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.fchmod(descriptor, mode)
            _write(descriptor, _canonical(_head(entry)) + b"\n")
        finally:
            os.close(descriptor)
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# -- the form of an entry -----------------------------------------------------------------------------


def _canonical(value: Mapping[str, Any]) -> bytes:
    """A lone surrogate, of a name that is not UTF-8, becomes the escape that JSON has for it."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace")


def _hash(entry: Mapping[str, Any]) -> str:
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


def _timestamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _head(entry: Entry | None) -> dict[str, Any]:
    return {"entries": entry["n"], "head": entry["hash"]} if entry else {"entries": 0, "head": None}


def _head_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.head")


# -- reading ------------------------------------------------------------------------------------------


def head(path: Path) -> dict[str, Any]:
    """{"entries": number of the newest entry, "head": its hash}, to be kept elsewhere.

    Of a journal that is not there, 0 and None. Raises JournalError.
    """
    return _head(_end(_text(path))[0])


def verify(path: Path, heads: Iterable[Mapping[str, Any]] = ()) -> Verdict:
    """Check a whole journal, and that it still holds the `heads` that were kept (in the form of `head`).

    The one beside the journal is among them. Raises JournalError when there is something that cannot be read.
    """
    # First the head: what another process appends meanwhile only makes the journal longer.
    kept = [*heads, *_kept_head(path)]
    return check(_text(path), kept)


def check(data: bytes, heads: Iterable[Mapping[str, Any]] = ()) -> Verdict:
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
    for number, _ in unreadable:
        if rest and number == len(lines) + 1:
            notes.append(f"The last line was cut short ({len(rest)} bytes); the next entry will say so.")
        else:
            problems.append(f"Line {number} is no entry.")
    for kept in heads:
        problems += _against(entries, kept)
    return Verdict(entries, list(dict.fromkeys(problems)), notes)


def _lost_lines(entry: Entry, lines: Sequence[tuple[int, bytes]]) -> tuple[list[str], list[str]]:
    """(problems, notes) about the unreadable lines before an entry; a repair has to describe them truly."""
    described = entry.get("lost", []) if entry.get("kind") == "repair" else []
    if described == [_described(line) for _, line in lines]:
        return [], [
            f"Line {number} was cut short ({len(line)} bytes) by an interrupted run or a full disk;"
            f" {named(entry)} says so."
            for number, line in lines
        ]
    if not lines:
        return [f"The unreadable lines that {named(entry)} describes are no longer there."], []
    return [f"Line {number} is no entry, and {named(entry)} does not explain it." for number, _ in lines], []


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


def _against(entries: Sequence[Entry], kept: Mapping[str, Any]) -> Iterator[str]:
    number, there = kept["entries"], {entry["n"]: entry for entry in entries}
    if number and number not in there:
        last = f"after {named(entries[-1])}" if entries else "as a whole"
        yield f"The journal was cut off {last}: it once had {number} entries."
    elif number and there[number]["hash"] != kept["head"]:
        entry = named(there[number], "E")
        yield f"{entry} is another one than when its hash was kept: the journal was rewritten."


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
            f"The journal {path} cannot be read ({error.strerror}). Give yourself the right to read it."
        ) from error


def _kept_head(path: Path) -> list[dict[str, Any]]:
    file = _head_file(path)
    text = _text(file)
    if not text:
        return []
    try:
        kept = json.loads(text)
        return [{"entries": int(kept["entries"]), "head": str(kept["head"])}]
    except (ValueError, KeyError, TypeError) as error:
        raise JournalError(
            f"{file} is not what the journal keeps there. Compare the journal with a head that was kept"
            " elsewhere (docs/journal.md), then remove the file."
        ) from error
