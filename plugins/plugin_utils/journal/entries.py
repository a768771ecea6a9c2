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

Where it is kept is a store's matter (stores.py, database.py). It is only ever appended to; what a killed
writer or a full disk left of a line of a file stays, and the next entry says so ("repair"). An entry that
could not be written in its time, since the database was gone, has the key `late`: when it was (late.py).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ...module_utils.maintenance.shape import as_json, read
from . import late
from .stores import FileStore, Head, JournalError, Say, SpoiltHead, Store, Writing

__all__ = ["Head", "JournalError", "SpoiltHead"]
Entry = dict[str, Any]
"""An entry as it is read: JSON types only."""
BEGINNING = "0" * 64
"""What the first entry follows."""
Place = Path | Store
"""A store, or the path of a file that is one."""


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


def append(place: Place, body: Entry, at: datetime | None = None, say: Say = lambda _sentence: None) -> Entry:
    """Add an entry and return it; it is on the disk then. `body` has `kind` and what belongs to it. `say` is
    told when the journal is shorter, or another, than it was left: that is written down, and it goes on.

    Several processes may do so at once. What waited since an earlier run goes first. Raises JournalError.
    """
    store, now = store_of(place), timestamp(at or datetime.now(UTC))
    with late.taken(store.waiting) as waited, store.writing(say) as writing:
        lines = writing.backwards()
        last, lost = _end(lines)
        cut = _cut(writing, last, bool(lost))
        bodies = [
            *([{"kind": "repair", "lost": lost}] if lost else []),
            *([cut] if cut else []),
            *({**one, "late": now} for one in waited),
            {**body, "at": now},
        ]
        entries: list[Entry] = []
        for one in bodies:
            entries.append(_entry(entries[-1] if entries else last, {"at": now, **one}))
        writing.add([_canonical(entry) for entry in entries], _head(entries[-1]))
    if cut:
        written = next(entry for entry in entries if entry["kind"] == "cut")
        say(
            f"The journal {store} is not as it was left: {_cut_said(written)} The run goes on and is"
            " journalled; find out who did it, put back what a copy still has beside the journal, and"
            f" acknowledge it: playbooks/journal.yml -e prosecours_journal_acknowledge={written['n']}"
            ' -e \'{"prosecours_reason": "..."}\' (docs/journal.md).'
        )
    return entries[-1]


def store_of(place: Place) -> Store:
    """That of a path is its file."""
    return FileStore(place) if isinstance(place, Path) else place


def acknowledge(place: Place, number: int, by: str, why: str, heads: Sequence[Head] = ()) -> Entry:
    """Write down that a technician knows of the cut that entry `number` tells of; `heads` are those kept
    elsewhere that it explains too. Raises JournalError for another entry, or without a reason."""
    store = store_of(place)
    entries = verify(store).entries
    found = {entry["n"]: entry for entry in entries if entry.get("kind") == "cut"}
    if number not in found:
        known = f"Give one of: {', '.join(map(str, found))}" if found else "There is none in it"
        raise JournalError(f"Entry {number} of the journal {store} tells of no cut", known)
    if not why:
        raise JournalError(
            f"Nobody said why entry {number} of the journal {store}, which tells of a cut, is acknowledged",
            "Set prosecours_reason",
        )
    lost = [one for one in _stamped(store) if any(_against(entries, one))]
    explained = list(dict.fromkeys(str(one) for one in (*heads, *lost)))
    body = {"kind": "acknowledged", "cut": number, "technician": by, "reason": why, "heads": explained}
    return append(store, body)


def _cut(writing: Writing, last: Entry | None, more: bool) -> Entry | None:
    """The entry to write when the journal does not hold the head that was kept beside it. `more`: there is
    something in it beside its last entry."""
    found = _head(last)
    try:
        kept = writing.heads()
    except SpoiltHead:
        kept = []
    if not kept:
        return {"kind": "cut", "expected": None, "found": as_json(found)} if last or more else None
    if kept[0] == found or not any(_against(_entries([*writing.backwards()][::-1]), kept[0])):
        return None
    return {"kind": "cut", "expected": as_json(kept[0]), "found": as_json(found)}


def _entries(lines: Iterable[bytes]) -> list[Entry]:
    return [entry for line in lines if (entry := _parsed(line))]


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


def _end(backwards: Iterable[bytes]) -> tuple[Entry | None, list[dict[str, Any]]]:
    """The last entry, and the unreadable lines after it, described."""
    lost: list[dict[str, Any]] = []
    for line in backwards:
        if entry := _parsed(line):
            return entry, lost[::-1]
        lost.append(_described(line))
    return None, lost[::-1]


def _entry(last: Entry | None, body: Entry) -> Entry:
    number, prev = (last["n"] + 1, last["hash"]) if last else (1, BEGINNING)
    entry = {**body, "n": number, "prev": prev}
    return {**entry, "hash": _hash(entry)}


# -- the form of an entry -------------------------------------------------------------------------------


def _canonical(value: Entry) -> bytes:
    """A lone surrogate, of a name that is not UTF-8, becomes the escape that JSON has for it."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace")


def _hash(entry: Entry) -> str:
    body = {key: value for key, value in entry.items() if key != "hash"}
    return hashlib.sha256(_canonical(body)).hexdigest()


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


# -- reading --------------------------------------------------------------------------------------------


def head(place: Place) -> Head:
    """The head of a journal, which may not be there. Raises JournalError."""
    return _head(_end(reversed(store_of(place).text().split(b"\n")))[0])


def verify(place: Place, heads: Iterable[Head] = ()) -> Verdict:
    """Check a whole journal, and that it still holds the `heads` that were kept.

    The one beside the journal is among them, and those that were stamped, true or not. Raises JournalError
    when there is something that cannot be read.
    """
    store = store_of(place)
    # First the heads: what another process appends meanwhile only makes the journal longer.
    kept = [*heads, *store.heads(), *_stamped(store)]
    return check(store.text(), kept)


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


def _stamped(store: Store) -> list[Head]:
    """The heads that were stamped, as the lines say; what is none is for `elsewhere` to tell."""
    found = []
    for line in store.stamps():
        with contextlib.suppress(ValueError, AttributeError, LookupError, TypeError):
            number, _colon, digits = json.loads(line)["head"].partition(":")
            found.append(Head(int(number), digits))
    return found
