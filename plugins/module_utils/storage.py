"""Where a repository lies: what the maintenance needs to know of a folder, beside restic.

`bucket.Bucket` answers the same questions of a repository at a storage supplier. Standard library only.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from .gate import Gate


class Unusable(Exception):
    """The place cannot be used; `problem` and `remedy` are a sentence each."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem}. {remedy}.")
        self.problem, self.remedy = problem, remedy


class Missing(Exception):
    """There is no repository."""


class Door(Protocol):
    """Whether new backups are let in."""

    @property
    def closed(self) -> bool | None:
        """None when they are in part, or otherwise than it should be."""

    def move(self, closed: bool) -> None:
        """Close or open it. May be killed at any point, and called again."""

    def open_for_maintenance(self, then_closed: bool) -> Any:
        """A context in which the provider may write."""


class Storage(Protocol):
    """What a place tells of a repository."""

    @property
    def location(self) -> str:
        """As restic's --repo takes it."""

    @property
    def door(self) -> Door: ...

    def environment(self) -> Mapping[str, str]:
        """What restic needs to get there."""

    def process(self) -> Mapping[str, Any]:
        """Popen's arguments, to run restic as the one who may write there. Raises Missing, Unusable."""

    def arrivals(self) -> Mapping[str, datetime]:
        """Snapshot id -> when the server wrote its file (UTC)."""

    def stored_bytes(self) -> int:
        """The size of all files of the repository, as a server's quota counts it."""

    def overwritten(self) -> Mapping[str, object]:
        """What somebody wrote over, by name; nothing where the server in front refuses that."""

    def forget(self, now: datetime) -> None:
        """Let go of what was deleted long ago and is still kept."""


@dataclass(frozen=True)
class Folder:
    """A repository on this host's disk, with or without a rest-server in front; see Gate for `top`."""

    path: Path
    top: Path

    @property
    def location(self) -> str:
        return str(self.path)

    @property
    def door(self) -> Door:
        return Gate(self.path, self.top)

    def environment(self) -> Mapping[str, str]:
        return {}

    def process(self) -> Mapping[str, Any]:
        """As the owner of the repository. Only root can become someone else.

        Whoever breaks into the server in front owns its folder: he can put a link there to a file of another
        user, but no file.
        """
        try:
            owner = (self.path / "config").lstat()
        except FileNotFoundError:
            raise Missing from None
        except PermissionError:
            raise Unusable("it cannot be read", "Run as root or its owner") from None
        if not stat.S_ISREG(owner.st_mode):
            raise Unusable("its config is not a regular file", "Find out who replaced it before all else")
        if os.geteuid() != 0 or owner.st_uid == 0:
            return {}
        return {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}

    def arrivals(self) -> Mapping[str, datetime]:
        found = {}
        with os.scandir(self.path / "snapshots") as entries:
            for entry in entries:
                try:
                    found[entry.name] = datetime.fromtimestamp(entry.stat().st_mtime, UTC)
                except FileNotFoundError:
                    continue  # someone has forgotten it since
        return found

    def stored_bytes(self) -> int:
        total = 0
        for folder, _, names in os.walk(self.path):
            for name in names:
                try:
                    total += Path(folder, name).lstat().st_size
                except FileNotFoundError:
                    continue  # a lock that was lifted meanwhile
        return total

    def overwritten(self) -> Mapping[str, object]:
        return {}

    def forget(self, now: datetime) -> None:
        """Nothing is kept."""
