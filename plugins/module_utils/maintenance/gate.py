"""What the server in front of repositories may add: no key, configuration or further repository once there is
one; and nothing but locks while its client is over its volume (C15).

A rest-server has no switch for either. Its --max-size refuses locks too, and with them restores and
maintenance; and it counts no configuration: `POST /srv/x/config` filled the disk under any new path. So
folders lose their write permission: rest-server runs as their owner, never changes permissions, and answers
500 to each upload (tried with 0.14.0). Locks can still be added and removed, everything can still be read.
Standard library only.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

LOCKS = "locks"
ADDED_TO = ("data", "index", "snapshots")
"""Folders of a repository that a backup adds to. All others are fenced once it has a configuration."""
WRITE = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True)
class Gate:
    """Of the repositories at `paths`. All folders below `top` count but those of their locks: a login may
    make other repositories beside its own.
    """

    top: Path
    paths: tuple[Path, ...]

    @property
    def closed(self) -> bool | None:
        """None when it is so in part, after a kill. A repository that is not there yet is open."""
        return next(
            (closed for closed in (False, True) if not any(self._differing(closed, fence=False))), None
        )

    @property
    def fenced(self) -> bool:
        """Nothing but what a backup adds can be added. Somebody opened it, or there was no maintenance since
        a repository was made."""
        return not any(self._differing(True, fence=True))

    def move(self, closed: bool) -> None:
        """Close or open it, and put up the fence. May be killed at any point, and called again."""
        self.fence()
        self._set(closed)

    def fence(self) -> None:
        """Put it up alone."""
        for handle, mode in self._differing(True, fence=True):
            os.fchmod(handle, mode & ~WRITE)

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Open while the host itself writes, then as it was.

        A kill in between leaves it open. The next run closes it again; until then --max-size is the limit.
        """
        then_closed = self.closed is not False
        self._set(closed=False)
        try:
            yield
        finally:
            self._set(then_closed)

    def _set(self, closed: bool) -> None:
        for handle, mode in self._differing(closed, fence=False):
            os.fchmod(handle, mode & ~WRITE if closed else mode | stat.S_IWUSR)

    def _differing(self, closed: bool, fence: bool) -> Iterator[tuple[int, int]]:
        """Open descriptor and mode of each folder that has to change, of those of the fence or of the others.

        The server owns what is in there, and could put a link in a folder's place after a look at it.
        """
        if not self.top.is_dir():
            return
        made = [path for path in self.paths if os.path.lexists(path / "config")]
        for folder, names, _unused, handle in os.fwalk(self.top):
            path = Path(folder)
            if path in self.paths and LOCKS in names:
                names.remove(LOCKS)
            inside = next((path.relative_to(one).parts for one in made if path.is_relative_to(one)), None)
            fenced = inside is not None and inside[:1] not in [(name,) for name in ADDED_TO]
            mode = stat.S_IMODE(os.fstat(handle).st_mode)
            if fenced is fence and closed != (mode & WRITE == 0):
                yield handle, mode
