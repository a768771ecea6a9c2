"""Whether the server in front of a repository may add to it: closed while a client is over its volume (C15).

A rest-server has no switch for this. Its --max-size refuses locks too, and with them restores and
maintenance. So the folders that a backup adds to lose their write permission: rest-server runs as their
owner, never changes permissions, and answers 500 to each upload (tried with 0.14.0). Locks can still be added
and removed, everything can still be read. Standard library only.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

LOCKS = "locks"
WRITE = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True)
class Gate:
    """Of the repository in the folder `path`. All folders in it count but that of the locks, and so do those
    beside it below `top`: a login may make another repository there.
    """

    path: Path
    top: Path

    @property
    def closed(self) -> bool | None:
        """None when it is so in part, after a kill. A repository that is not there yet is open."""
        return next((closed for closed in (False, True) if not any(self._differing(closed))), None)

    def move(self, closed: bool) -> None:
        """Close or open it. May be killed at any point, and called again."""
        for handle, mode in self._differing(closed):
            os.fchmod(handle, mode & ~WRITE if closed else mode | stat.S_IWUSR)

    @contextmanager
    def open_for_maintenance(self, then_closed: bool) -> Iterator[None]:
        """Open while the host itself writes.

        A kill in between leaves it open. The next run closes it again; until then --max-size is the limit.
        """
        self.move(closed=False)
        try:
            yield
        finally:
            self.move(then_closed)

    def _differing(self, closed: bool) -> Iterator[tuple[int, int]]:
        """Open descriptor and mode of each folder that has to change: the server owns what is in there, and
        could put a link in the place of a folder between a look and a change."""
        if not self.path.is_dir():
            return
        for folder, names, _, handle in os.fwalk(self.top):
            if Path(folder) == self.path and LOCKS in names:
                names.remove(LOCKS)
            mode = stat.S_IMODE(os.fstat(handle).st_mode)
            if closed != (mode & WRITE == 0):
                yield handle, mode
