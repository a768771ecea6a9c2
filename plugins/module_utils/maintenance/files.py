"""A file that others read whole or not at all, whatever happens meanwhile; and one that a single process has.
The one place that writes the first and locks the second.

It stands in this package because the package is copied alone to the repository host; the controller's side
(`plugin_utils/files.py`) and `repository_host` write by it too.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

with contextlib.suppress(ImportError):
    # Windows has none. All that imports this there is the recorder, which locks nothing and writes by itself.
    import fcntl


def write_whole(path: Path, content: bytes, mode: int, owner: tuple[int, int] | None = None) -> None:
    """Replace or make `path`; its folder is there. `owner`: user and group id, None for this process's.

    When it returns, content and name have reached the disk: without the first fsync a power cut may leave the
    new name with nothing in it, without the second the old file. When it raises OSError, the old file stands,
    or the new one whole.
    """
    descriptor, name = tempfile.mkstemp(prefix=".new-", dir=path.parent)
    draft = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            if owner:
                os.fchown(file.fileno(), *owner)
            os.fchmod(file.fileno(), mode)  # after the change of owner, which may clear bits
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise
    sync_folder(path.parent)


@contextlib.contextmanager
def locked(file: int | IO[Any], refused: Exception | None = None, seconds: float = 0) -> Iterator[None]:
    """An open file, held by one process at a time until it lets go or dies (flock(2)). Whoever comes
    meanwhile waits: for ever, or so many `seconds` before `refused` is raised. Raises OSError.

    It is given back by name. A process that is forked meanwhile has the file too: to start a program for
    another thread, or as one of Ansible's workers. Closing ours alone would leave the lock with that one.
    """
    if refused:
        deadline = time.monotonic() + seconds
        while not _taken(file):
            if time.monotonic() >= deadline:
                raise refused
            time.sleep(0.02)
    else:
        fcntl.flock(file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)


def _taken(file: int | IO[Any]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def sync_folder(folder: Path) -> None:
    """The names in a folder, on the disk. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
