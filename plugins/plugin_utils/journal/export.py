"""What people and files get of the journal: the choice, the text on the screen, CSV and JSON."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import NamedTuple

from ...module_utils.maintenance.printable import printable_lines
from ..errors import ProSecoursError
from ..files import write_whole
from ..wording import one_of
from .entries import Head, Verdict
from .runs import Run, as_csv, as_json, select, table
from .runs import runs as runs_of
from .stores import Store


class ExportError(ProSecoursError):
    """What was asked for cannot be done."""


class Written(NamedTuple):
    """The files of an export, and those of them that were (in check mode: would be) written."""

    files: Sequence[Path]
    changed: Sequence[Path]


def head_from(text: str) -> Head:
    """A head as reports give it, `124:3f5a…`: the number of entries and the last hash. Raises ExportError."""
    if not (found := re.fullmatch(r"(\d+):([0-9a-f]{64})", text.strip())):
        raise ExportError(
            f'head: "{text}" is no head of a journal',
            "Write the number of entries, a colon and the 64 digits of the last hash, as the table or a"
            " report gave them",
        )
    return Head(int(found[1]), found[2])


def choose(
    verdict: Verdict, client: str | None = None, since: date | None = None, until: date | None = None
) -> list[Run]:
    """The runs asked for. A client that the journal does not know is an error: it may be misspelt."""
    runs = runs_of(verdict.entries)
    known = sorted({name for run in runs for name in run.clients})
    if client and client not in known:
        remedy = one_of(client, known) if known else "The journal names no client yet"
        raise ExportError(f'The journal has nothing about a client "{client}"', remedy)
    if since and until and until < since:
        raise ExportError(f"The period ends on {until}, before it begins on {since}", "Exchange the two")
    return select(runs, client, since, until)


def text(store: Store, verdict: Verdict, runs: Sequence[Run]) -> str:
    """The table, what is wrong with the journal, and its head to keep."""
    parts = [table(runs) if runs else "No intervention in this period.", ""]
    parts += [f"note: {note}" for note in verdict.notes]
    parts += [f"PROBLEM: {problem}" for problem in verdict.problems]
    state = "is NOT as it was written" if verdict.problems else "is whole"
    head = verdict.head
    kept = f"; head {head.entries}:{head.head}" if head.entries else ""
    parts.append(f"{store} {state}: {head.entries} entries{kept}")
    return printable_lines("\n".join(parts))


def write(folder: Path, name: str, verdict: Verdict, runs: Sequence[Run], check: bool) -> Written:
    """`folder`/`name`.csv and .json. Raises CannotWrite, ExportError."""
    contents = {
        # With the mark that spreadsheets know UTF-8 by.
        folder / f"{name}.csv": as_csv(runs).encode("utf-8-sig", "backslashreplace"),
        folder / f"{name}.json": as_json(runs, verdict.head).encode("utf-8", "backslashreplace"),
    }
    try:
        changed = [path for path, data in contents.items() if not path.exists() or path.read_bytes() != data]
    except OSError as error:
        raise ExportError(
            f"The export before this one, in {folder}, cannot be read ({error.strerror})",
            "Name a folder that you may write to",
        ) from error
    for path in [] if check else changed:
        write_whole(path, contents[path], remedy="Name a folder that you may write to")
    return Written(list(contents), changed)
