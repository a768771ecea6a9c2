"""Files of a repository that lies elsewhere, each fetched once in a run.

restic asks for a folder at each call anew, by a request of its own: thousands a night in a bucket. Here a
file that bears the hash of its content is fetched whole when a part of it is asked for. For this run alone it
lies in a file without a name: nobody else can open that, and nothing is left of it, however the run ends.

So nothing is proven by what an earlier night has read: what a check, a proof or a drill sees was fetched in
its own run, and is what its name says. What is *there* is not answered here: the place lists its files anew
each time. Standard library only.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
import weakref
from typing import NamedTuple

from .storage import Storage

LARGEST = 64 * 1024 * 1024
"""Bytes of a file that is kept: restic's indexes and packs of folders are smaller."""
ROOM = 512 * 1024 * 1024
"""Bytes of all that a run keeps; what comes later is fetched each time."""
PLACE = "/var/tmp"  # noqa: S108 -- a file without a name; /tmp is often in memory


class _Copy(NamedTuple):
    at: int
    """Where it begins in the file of all copies."""
    size: int


class Copies:
    """Of one repository. Methods raise what the place does; used by several threads."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        with tempfile.TemporaryFile(dir=os.environ.get("TMPDIR", PLACE)) as file:
            self._file = os.dup(file.fileno())
        weakref.finalize(self, os.close, self._file)
        self._copies: dict[tuple[str, str], _Copy | None] = {}
        """None: it is not to be kept."""
        self._used = 0
        self._lock = threading.Lock()

    def read(self, kind: str, name: str, start: int = 0, size: int | None = None) -> bytes:
        """Of a file whose name is the hash of its content, as Storage.read."""
        copy = self._copies.get((kind, name)) or self._fetched(kind, name)
        if copy is None:
            return self._storage.read(kind, name, start, size)
        left = max(0, copy.size - start)
        return os.pread(self._file, left if size is None else min(size, left), copy.at + start)

    def drop(self, kind: str, name: str) -> None:
        """It was removed."""
        self._copies.pop((kind, name), None)

    def _fetched(self, kind: str, name: str) -> _Copy | None:
        with self._lock:  # one at a time: that many bytes are in memory
            if (kind, name) not in self._copies:
                self._copies[kind, name] = self._kept(name, self._storage.read(kind, name, 0, LARGEST))
            return self._copies[kind, name]

    def _kept(self, name: str, data: bytes) -> _Copy | None:
        if self._used + len(data) > ROOM or hashlib.sha256(data).hexdigest() != name:
            return None
        try:
            written = os.pwrite(self._file, data, self._used)
        except OSError:
            return None
        if written < len(data):  # the disk is full
            return None
        copy = _Copy(self._used, len(data))
        self._used += len(data)
        return copy
