"""Room on a repository host's disk that only the maintenance gives free.

On a full disk nobody can take a lock: neither the client that filled it nor all the others. A file holds back
enough for locks, and for the first prune to free more. Standard library only.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

NAME = ".reserve"
"""In the folder with the data of all clients, which is root's."""


def free(folder: Path) -> int:
    """Bytes on its disk."""
    return shutil.disk_usage(folder).free


@contextmanager
def given_up(folder: Path, size: int, close: Callable[[], None]) -> Iterator[bool]:
    """Where fewer than `size` bytes are left, the reserve is given free for as long as the context lasts,
    after `close`: else whoever filled the disk would fill that too. Afterwards it is made again, once there
    is room twice over. Yields whether the disk was full.
    """
    path = folder / NAME
    full = size > 0 and free(folder) < size
    if full:
        close()
        path.unlink(missing_ok=True)
    try:
        yield full
    finally:
        if size == 0:
            path.unlink(missing_ok=True)
        elif (not path.exists() or path.stat().st_size != size) and free(folder) >= 2 * size:
            _made(path, size)


def _made(path: Path, size: int) -> None:
    """Really on the disk, and whole or not at all; where it cannot be, the next run tries again."""
    part = path.with_name(f"{NAME}-tmp")
    with suppress(OSError):
        try:
            handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
            try:
                os.posix_fallocate(handle, 0, size)
            finally:
                os.close(handle)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
