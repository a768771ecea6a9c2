"""What people and files get of the journal: the choice, the text on the screen, CSV and JSON."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

from . import journal_runs
from .contract_errors import one_of
from .journal import Verdict
from .journal_runs import Run


class ExportError(Exception):
    """What was asked for cannot be done. One sentence, and what to do."""


class Written(NamedTuple):
    """The files of an export, and those of them that were (in check mode: would be) written."""

    files: Sequence[Path]
    changed: Sequence[Path]


def head_from(text: str) -> dict[str, Any]:
    """A head as reports give it, `124:3f5a…`: the number of entries and the last hash. Raises ExportError."""
    if not (found := re.fullmatch(r"(\d+):([0-9a-f]{64})", text.strip())):
        raise ExportError(
            f'head: "{text}" is no head of a journal. Write the number of entries, a colon and the 64 digits'
            " of the last hash, as the table or a report gave them."
        )
    return {"entries": int(found[1]), "head": found[2]}


def choose(
    verdict: Verdict, client: str | None = None, since: date | None = None, until: date | None = None
) -> list[Run]:
    """The runs asked for. A client that the journal does not know is an error: it may be misspelt."""
    runs = journal_runs.runs(verdict.entries)
    known = sorted({name for run in runs for name in run.clients})
    if client and client not in known:
        remedy = one_of(client, known) if known else "The journal names no client yet."
        raise ExportError(f'The journal has nothing about a client "{client}". {remedy}')
    if since and until and until < since:
        raise ExportError(f"The period ends on {until}, before it begins on {since}. Exchange the two.")
    return journal_runs.select(runs, client, since, until)


def text(path: Path, verdict: Verdict, runs: Sequence[Run]) -> str:
    """The table, what is wrong with the journal, and its head to keep."""
    parts = [journal_runs.table(runs) if runs else "No intervention in this period.", ""]
    parts += [f"note: {note}" for note in verdict.notes]
    parts += [f"PROBLEM: {problem}" for problem in verdict.problems]
    state = "is NOT as it was written" if verdict.problems else "is whole"
    head = verdict.head
    kept = f"; head {head['entries']}:{head['head']}" if head["entries"] else ""
    parts.append(f"{path} {state}: {head['entries']} entries{kept}")
    return "\n".join(parts)


def write(folder: Path, name: str, verdict: Verdict, runs: Sequence[Run], check: bool) -> Written:
    """`folder`/`name`.csv and .json, each whole or not at all. Raises ExportError."""
    contents = {
        # With the mark that spreadsheets know UTF-8 by.
        folder / f"{name}.csv": journal_runs.as_csv(runs).encode("utf-8-sig", "backslashreplace"),
        folder / f"{name}.json": journal_runs.as_json(runs, verdict.head).encode("utf-8", "backslashreplace"),
    }
    try:
        changed = [path for path, data in contents.items() if not path.exists() or path.read_bytes() != data]
        for path in [] if check else changed:
            folder.mkdir(parents=True, exist_ok=True)
            draft = path.with_name(f".{path.name}.{os.getpid()}")
            draft.touch(0o600)
            draft.write_bytes(contents[path])
            draft.chmod(0o640)
            draft.replace(path)
    except OSError as error:
        raise ExportError(
            f"The export cannot be written to {folder} ({error.strerror})."
            " Name a folder that you may write to."
        ) from error
    return Written(list(contents), changed)
