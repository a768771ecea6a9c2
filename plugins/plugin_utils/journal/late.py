"""What could not be journalled in its time: the end of a run whose database was gone meanwhile.

It is kept in a local file, a line of JSON each: the entry, and `at`, when it happened. The next run of this
user on this machine journals it before its own beginning. One that is killed in that moment may have it
journalled twice, never not at all: the second end of a run says what the first one said.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ...module_utils.maintenance.files import locked
from .stores import JournalError, write_all

FOLDER = Path("~/.local/state/prosecours")
"""Where it is, by default with the journal that is a file."""


def keep(path: Path, body: Mapping[str, Any], at: str) -> None:
    """Keep an entry that is to be written later; only its owner may read it. Raises JournalError."""
    line = json.dumps({**body, "at": at}, sort_keys=True, separators=(",", ":")).encode("ascii")
    with _locked(path, os.O_CREAT) as descriptor:
        torn = (
            os.fstat(descriptor).st_size
            and os.pread(descriptor, 1, os.fstat(descriptor).st_size - 1) != b"\n"
        )
        write_all(descriptor, b"\n" * bool(torn) + line + b"\n")


@contextmanager
def taken(path: Path | None) -> Iterator[list[dict[str, Any]]]:
    """What waits, oldest first; it waits no more when the block has ended well. Raises JournalError."""
    if path is None or not path.exists():
        yield []
        return
    with _locked(path) as descriptor:
        size = os.fstat(descriptor).st_size
        text = b""
        while len(text) < size and (part := os.pread(descriptor, size - len(text), len(text))):
            text += part
        yield [_read(line) for line in text.splitlines()]
        os.ftruncate(descriptor, 0)


def _read(line: bytes) -> dict[str, Any]:
    """Of a line that a full disk cut short at least its length and hash are journalled."""
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    if isinstance(found, dict) and isinstance(found.get("kind"), str) and isinstance(found.get("at"), str):
        return found
    return {"kind": "lost", "bytes": len(line), "sha256": hashlib.sha256(line).hexdigest()}


@contextmanager
def _locked(path: Path, flags: int = 0) -> Iterator[int]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC | flags, mode=0o600)
        try:
            with locked(descriptor):
                yield descriptor
        finally:
            os.close(descriptor)
    except OSError as error:
        raise JournalError(
            f"{path}, where the journal keeps what could not be written in its time, cannot be used"
            f" ({error.strerror})",
            "Make room, or give yourself the right to write there",
        ) from error
