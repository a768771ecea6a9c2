"""Where the memory of monitoring is kept between two runs: a file beside the report, or a database.

One run at a time has it, to its end: a second one waits, and repeats no news. In the database
of the journal each run adds a version, the newest counts, and only the owner of the table removes one.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ...module_utils.maintenance.files import locked
from ..documents.render import DocumentError
from ..files import CannotWrite, write_whole
from ..journal.database import Connection, Database
from ..journal.stores import JournalError
from .memory import DamagedMemory, Memory

MEMORY = "memory.json"
TABLE = "monitoring_memory"
Keep = Callable[[Memory], None]


@contextmanager
def remembering(
    place: Path, database: Database | None, problems: list[str], check: bool
) -> Iterator[tuple[Memory, Keep]]:
    """The memory of the run before, and how that of this one is kept.

    `place` is the folder of monitoring; with `check` nothing is touched. What goes wrong becomes a sentence
    in `problems`. A memory that cannot be read is empty: all is new again.
    """
    with contextlib.nullcontext() if check else _alone(place, problems), contextlib.ExitStack() as held:
        if database is None:
            yield _in_file(place / MEMORY, problems, check), lambda memory: _to_file(place, memory, problems)
            return
        try:
            if check:
                with database.connection("read") as rows:
                    memory = _in_database(rows, place, problems, check)
            else:
                rows = held.enter_context(database.alone_with(TABLE))
                memory = _in_database(rows, place, problems, check)
        except JournalError as error:
            problems.append(str(error))
            # What could not be read is not followed by a version that knows nothing.
            yield Memory.empty(), lambda _memory: None
            return
        yield memory, lambda memory: _to_database(rows, memory, problems)


# -- a file ---------------------------------------------------------------------------------------------


@contextmanager
def _alone(place: Path, problems: list[str]) -> Iterator[None]:
    """One run at a time; where the folder cannot be written there is nothing to disturb."""
    with ExitStack() as stack:
        with told(place, problems):
            place.mkdir(parents=True, exist_ok=True)
            lock = os.open(place / ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            stack.callback(os.close, lock)
            stack.enter_context(locked(lock))
        yield


def _in_file(path: Path, problems: list[str], check: bool) -> Memory:
    """That of a file; one that is damaged is put aside, and everything is new once more."""
    try:
        return Memory.read(path.read_text("utf-8"))
    except FileNotFoundError:
        return Memory.empty()
    except UnicodeDecodeError:
        reason = "it is no text"
    except DamagedMemory as error:
        reason = str(error)
    except OSError as error:
        problems.append(_cannot(path, "read", error))
        return Memory.empty()
    aside = path.with_name(f"{path.name}.damaged")
    with told(aside, problems):
        if not check:
            path.replace(aside)
        problems.append(_unusable(str(path), reason, f"it was put aside as {aside.name}"))
    return Memory.empty()


def _to_file(place: Path, memory: Memory, problems: list[str]) -> None:
    with told(place / MEMORY, problems):
        write_whole(place / MEMORY, memory.text())


# -- a database -----------------------------------------------------------------------------------------


def _in_database(rows: Connection, place: Path, problems: list[str], check: bool) -> Memory:
    """The newest version; where there is none yet, the file's is taken over. Raises JournalError."""
    line = rows.last(TABLE)
    if line is None:
        return _in_file(place / MEMORY, problems, check)
    try:
        return Memory.read(line.decode("utf-8"))
    except UnicodeDecodeError:
        reason = "it is no text"
    except DamagedMemory as error:
        reason = str(error)
    problems.append(_unusable(f"the newest in {rows.database}", reason, "it stays there as it is"))
    return Memory.empty()


def _to_database(rows: Connection, memory: Memory, problems: list[str]) -> None:
    try:
        rows.insert(TABLE, [memory.text().encode()])
    except JournalError as error:
        problems.append(str(error))


# -- what is said ---------------------------------------------------------------------------------------


def _unusable(which: str, reason: str, rest: str) -> str:
    return (
        f"The memory of monitoring, {which}, could not be used ({reason}): {rest}, and every finding counts"
        " as new."
    )


@contextmanager
def told(path: Path, problems: list[str]) -> Iterator[None]:
    """What keeps a file from being written becomes a sentence."""
    try:
        yield
    except (CannotWrite, DocumentError) as error:
        problems.append(str(error))
    except OSError as error:
        problems.append(_cannot(path, "written", error))


def _cannot(path: Path, what: str, error: OSError) -> str:
    return (
        f"{path} cannot be {what} ({error.strerror}). Make room there, or set"
        " prosecours_report_dir, or prosecours_monitor_metrics, to a place that you may write to."
    )
