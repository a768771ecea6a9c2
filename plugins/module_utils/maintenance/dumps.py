"""How old the client's own backups are in a version (VI.2): its folders, read from its packs by this program.
No restic is asked, which would read all indexes anew each time.

A folder (restic: tree) is a part of a pack and names the folders in it by their SHA-256; so the same one is
read once, whatever a forger made of it, and there is no circle. Standard library only.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import PurePosixPath

from .model import Dumps
from .retention import Snapshot
from .sealed import Rubbish
from .trees import Entry, Trees, in_tree

AHEAD = timedelta(minutes=15)
"""The time of a file may be so much later than the arrival of its version; what claims more is no proof."""
MOST = 200_000
"""Folders that are read of a version."""


class Unread(Exception):
    """A folder cannot be read: it is in no index, it is spoilt or forged, or there are too many."""


class Folders:
    """The folders of one repository, for as long as its Admission is used."""

    def __init__(self, trees: Trees) -> None:
        self._trees = trees

    def folder(self, tree: str) -> list[Entry]:
        """What is in a folder. Raises Unread."""
        try:
            return self._trees.entries(tree, math.inf)
        except Rubbish as error:
            raise Unread(f"the folder {tree[:8]} {error}") from error

    def below(self, tree: str) -> Iterator[list[Entry]]:
        """A folder and all folders in it, each once. Raises as `folder`."""
        waiting, seen = [tree], {tree}
        while waiting:
            nodes = self.folder(waiting.pop())
            yield nodes
            inner = {node.subtree for node in nodes if node.type == "dir" and node.subtree} - seen
            if len(seen) + len(inner) > MOST:
                raise Unread(f"more than {MOST} folders")
            seen |= inner
            waiting += inner

    def found(self, tree: str, parts: Sequence[str]) -> list[Entry]:
        """What has this path below `tree`; the last name may be a pattern. As Windows compares names."""
        here, folders = [], {tree}
        for part in parts:
            wanted = re.compile(re.escape(part.casefold()).replace(r"\*", ".*").replace(r"\?", "."))
            nodes = [node for one in sorted(folders) for node in self.folder(one)]
            here = [node for node in nodes if wanted.fullmatch(node.name.casefold())]
            folders = {node.subtree for node in here if node.subtree}
        return here

    def newest(self, tree: str, path: str, latest: datetime) -> datetime | None:
        """The time of the newest file in the folder `path` of a version, as the client's server has it;
        later than `latest` is none. None: there is no such file. Raises LookupError where there is no such
        folder, and as `folder`."""
        nodes = self.found(tree, PurePosixPath(in_tree(path)).parts[1:])
        if not nodes:
            raise LookupError(path)
        folders = (one for node in nodes if node.subtree for one in self.below(node.subtree))
        files = [node for some in (nodes, *folders) for node in some if node.type == "file"]
        return max((at for node in files if (at := _time(node.mtime)) and at <= latest), default=None)


def dumps(inside: Folders, version: Snapshot, folders: Iterable[tuple[str, int]]) -> list[Dumps]:
    """How old the dumps in a version are: (path, days that the newest may be old). What is not in it, or
    cannot be read, is told elsewhere."""
    found = []
    for path, days in folders:
        try:
            newest = inside.newest(version.tree, path, version.arrival + AHEAD)
        except (LookupError, Unread):
            continue
        found.append(Dumps(path, days, newest, version.time))
    return found


def _time(text: str) -> datetime | None:
    """RFC 3339, to the second; None for what is none."""
    try:
        moment = datetime.fromisoformat(text)
        return moment if moment.tzinfo and moment.year > 1 else None
    except ValueError:
        return None
