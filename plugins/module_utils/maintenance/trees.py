"""The folders of a version, read without restic: how large its files are, and whether restic made them.

restic adds up the sizes that a client wrote beside its files, and restores whatever names he wrote. Here a
file is as large as its parts, whose lengths are those of packs that were read (`admission`), and a version is
restored only when each of its folders is one that restic makes. A folder that is in many others is read once,
so that a version in which folders hold each other by the billion costs no more than its bytes.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from enum import Enum, auto
from typing import Any, NamedTuple

from .admission import Admission
from .sealed import Blob, Rubbish

COPIES = 1_000_000
"""A version counts for so many times its distinct folders and parts at most: folders that hold each other are
beyond any number. Of zeros half a terabyte, in a file that a database laid out, is one part so many times."""
IMPOSSIBLE = re.compile(r'[\x00-\x1f/\\:*?"<>|\ud800-\udfff]')
"""In a name of Windows (Microsoft, "Naming Files, Paths, and Namespaces"). A colon would lead to a stream. Of
halves of letters Python knows many, and Go makes one: so a name would stand twice."""
PLAIN = ("dir", "file", "irregular", "socket")
"""restic makes nothing of the last two; a junction is "irregular" for it."""


class TooLong(Exception):
    """The time that was given is over."""


class Size(NamedTuple):
    """Of a version."""

    entries: int
    """Files and folders."""
    bytes: int
    """Of all files, by the lengths of their parts."""


class Entry(NamedTuple):
    """What a folder records of a file or folder in it."""

    name: str
    type: str
    content: tuple[str, ...]
    """The ids of a file's parts."""
    subtree: str | None
    """The id of a folder's own entries."""
    inode: tuple[int, int] | None
    """Device and number of a file that has several names; None: it has one."""
    mtime: str
    """Of its last change. A text: a client may write any."""


class Stands(Enum):
    """How a path stands to a part of the folders of a version."""

    IN = auto()
    OUT = auto()
    ABOVE = auto()
    """Some of what lies below is in, some is out."""


class Trees:
    """Those of one repository that was admitted. Methods raise Rubbish, TooLong, OSError, BucketError."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self.refresh()

    def refresh(self) -> None:
        """Packs were pruned: where parts lie is looked up anew."""
        self._folders: dict[str, tuple[str, Blob]] | None = None
        self._lengths: dict[str, int] = {}

    def size(self, root: str, seconds: float) -> Size:
        """As a restore would write them."""
        end = time.monotonic() + seconds
        own: dict[str, Size] = {}
        inner: dict[str, list[str]] = {}
        total: dict[str, Size] = {}
        parts: set[str] = set()
        inodes: set[tuple[int, int]] = set()
        waiting = [(root, False)]
        while waiting:
            tree, read = waiting.pop()
            if read:  # and so is all that is in it
                all_of_it = [own[tree], *(total[one] for one in inner[tree])]
                total[tree] = Size(sum(one.entries for one in all_of_it), sum(one.bytes for one in all_of_it))
            elif tree not in inner:
                entries = self.entries(tree, end)
                inner[tree] = [one.subtree for one in entries if one.subtree]
                size = 0
                for one in entries:
                    if one.inode is None or one.inode not in inodes:
                        size += sum(self._lengths.get(part, 0) for part in one.content)
                        parts.update(one.content)
                    inodes.update([one.inode] if one.inode else [])
                own[tree] = Size(len(entries), size)
                waiting += [(tree, True), *((one, False) for one in inner[tree])]
        once = Size(
            sum(one.entries for one in own.values()), sum(self._lengths.get(part, 0) for part in parts)
        )
        return Size(
            min(total[root].entries, COPIES * once.entries), min(total[root].bytes, COPIES * once.bytes)
        )

    def parts(self, root: str, seconds: float) -> set[str]:
        """The ids of all that a version is made of: its folders, and the parts of its files."""
        end = time.monotonic() + seconds
        found: set[str] = set()
        waiting = [root]
        while waiting:
            tree = waiting.pop()
            if tree not in found:
                found.add(tree)
                for one in self.entries(tree, end):
                    found.update(one.content)
                    waiting += [one.subtree] if one.subtree else []
        return found

    def size_of_rest(self, root: str, stands: Callable[[str], Stands], seconds: float) -> Size:
        """Of a version without what `stands` out, by its path in the version. What several names share counts
        with each folder that has one of them."""
        entries = size = 0
        end = time.monotonic() + seconds
        for entry, subtree in self._rest(root, stands, end):
            entries += 1
            if subtree:
                inner = self.size(subtree, end - time.monotonic())
                entries, size = entries + inner.entries, size + inner.bytes
            size += sum(self._lengths.get(part, 0) for part in entry.content)
        return Size(entries, size)

    def contents(self, root: str, paths: Collection[str], seconds: float) -> dict[str, tuple[str, ...]]:
        """path -> the ids of its parts, of those regular files of a version that restic finds by their paths:
        of what has a name twice it takes the first."""
        above = _above(paths)
        found: dict[str, tuple[str, ...]] = {}
        end, waiting = time.monotonic() + seconds, [(root, "")]
        while waiting:
            tree, path = waiting.pop()
            first = {one.name: one for one in reversed(self.entries(tree, end))}
            for one in first.values():
                inner = f"{path}/{one.name}"
                if inner in paths and one.type == "file":
                    found[inner] = one.content
                if inner in above and one.subtree:
                    waiting.append((one.subtree, inner))
        return found

    def lengths(self, parts: Iterable[str]) -> dict[str, int]:
        """id -> bytes in clear of a part of a file, of those that an index lists; after folders were read."""
        return {part: self._lengths[part] for part in parts if part in self._lengths}

    def size_of_files(self, root: str, paths: Collection[str], seconds: float) -> int:
        """Of the files of a version that have one of these paths, in bytes, by the lengths of their parts."""
        above = _above(paths)
        end, total, waiting = time.monotonic() + seconds, 0, [(root, "")]
        while waiting:
            tree, path = waiting.pop()
            if path in above:
                for one in self.entries(tree, end):
                    inner = f"{path}/{one.name}"
                    if inner in paths:
                        total += sum(self._lengths.get(part, 0) for part in one.content)
                    if one.subtree:
                        waiting.append((one.subtree, inner))
        return total

    def holds(self, root: str, stands: Callable[[str], Stands], seconds: float) -> bool:
        """Whether there is anything in a version that `stands` out."""
        end, waiting = time.monotonic() + seconds, [(root, "")]
        while waiting:
            tree, path = waiting.pop()
            for one in self.entries(tree, end):
                inner = f"{path}/{one.name}"
                match stands(inner):
                    case Stands.OUT if not one.subtree or self.entries(one.subtree, end):
                        return True
                    case Stands.ABOVE if one.subtree:
                        waiting.append((one.subtree, inner))
        return False

    def _rest(
        self, root: str, stands: Callable[[str], Stands], end: float
    ) -> Iterator[tuple[Entry, str | None]]:
        """What does not stand out, each with the folder in it that is to be counted whole."""
        waiting = [(root, "")]
        while waiting:
            tree, path = waiting.pop()
            for one in self.entries(tree, end):
                inner = f"{path}/{one.name}"
                where = stands(inner)
                if where is Stands.ABOVE and one.subtree:
                    waiting.append((one.subtree, inner))
                    yield one, None
                elif where is not Stands.OUT:
                    yield one, one.subtree

    def objection(self, root: str, seconds: float, bare: Sequence[str] = ()) -> str | None:
        """Why nothing of a version is to be restored, as a phrase with the folder; None: nothing.

        What is neither file nor folder passes, as on the server that made it, but for what stands at or below
        one of `bare`: paths as restic has them, `/` for all.
        """
        end = time.monotonic() + seconds
        closed = tuple(same(path.rstrip("/")) for path in bare)

        def place(path: str) -> bool | str:
            """Whether it is in one of them; the path itself on the way to one: a folder stands in many."""
            path = same(path.rstrip("/"))
            if any(f"{path}/".startswith(f"{one}/") for one in closed):
                return True
            return path if any(one.startswith(f"{path}/") for one in closed) else False

        seen = set()
        waiting = [(root, "/")]
        while waiting:
            tree, path = waiting.pop()
            if (tree, place(path)) in seen:
                continue
            seen.add((tree, place(path)))
            try:
                entries = self.entries(tree, end)
            except Rubbish as error:
                return f"{path}: {error}: no restic made this folder"
            if text := disorder(entries):
                return f"{path}: {text}"
            for one in entries:
                inner = f"{path.rstrip('/')}/{one.name}"
                if one.type not in PLAIN and place(inner) is True:
                    return f"{path}: {one.name} is a {one.type}, which may lead out of the folder restored to"
                if one.subtree:
                    waiting.append((one.subtree, inner))
        return None

    def entries(self, tree: str, end: float) -> list[Entry]:
        """Of a folder, in their order there."""
        if time.monotonic() > end:
            raise TooLong
        if self._folders is None:
            self._folders = {}
            for pack, blob in self._admission.blobs():
                if blob.type == "tree":
                    self._folders[blob.id] = (pack, blob)
                else:
                    self._lengths[blob.id] = blob.clear
        if tree not in self._folders:
            raise Rubbish("is in no pack")
        return _entries(self._admission.part(*self._folders[tree]))


def _above(paths: Iterable[str]) -> set[str]:
    """The folders in which they lie, and those in which these lie."""
    return {path[: match.start()] for path in paths for match in re.finditer("/", path)}


def disorder(entries: Sequence[Entry]) -> str | None:
    """How a folder of a version is none that restic made on Windows: it sorts names, and has each once, in
    whatever case. Where a name comes twice a restore writes the second through the first."""
    names = [one.name for one in entries]
    if len({same(name) for name in names}) != len(names):
        return "has a name twice: no restic made this folder"
    encoded = [name.encode("utf-8", "surrogatepass") for name in names]
    if encoded != sorted(encoded):
        return "has its names out of order: no restic made this folder"
    for name in names:
        if name in ("", ".", "..") or IMPOSSIBLE.search(name):
            return f"has a name that Windows has not ({name!r}): no restic made this folder"
    return None


def in_tree(path: str) -> str:
    r"""A path of a snapshot as restic's trees have it: D:\isagiwf\backup is the folder /D/isagiwf/backup/."""
    if path[1:2] == ":":
        path = f"/{path[0]}{path[2:]}".replace("\\", "/")
    return path.rstrip("/") + "/"


def same(name: str) -> str:
    """Equal for names that differ in case only, letter by letter: Straße is not Strasse to Windows."""
    lower = (letter.lower()[0] for letter in name)
    return "".join(letter.casefold() if len(letter.casefold()) == 1 else letter for letter in lower)


def unquoted(name: str) -> str:
    """A name as restic's trees have it: as Go's strconv.Quote writes it, without the quotes."""

    def character(match: re.Match[str]) -> str:
        code = match[1]
        if len(code) == 1:
            return {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}.get(
                code, code
            )
        number = int(code[1:], 16)
        return "\ufffd" if code[0] == "x" and number > 127 else chr(number)  # a byte that is no UTF-8

    return re.sub(r"\\(x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8}|.)", character, name)


def _entries(text: bytes) -> list[Entry]:
    """Raises Rubbish."""
    try:
        tree = json.loads(text, object_pairs_hook=once)
        if not plain(tree):
            raise ValueError
        return [_entry(one) for one in tree["nodes"]]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise Rubbish("cannot be read") from None


def _entry(node: dict[str, Any]) -> Entry:
    content, subtree, links = node.get("content") or (), node.get("subtree"), node.get("links", 1)
    kind, name, mtime = node["type"], node["name"], node.get("mtime", "")
    texts = [kind, name, mtime, *content, *([] if subtree is None else [subtree])]
    if (
        not plain(node)
        or not all(isinstance(one, str) for one in texts)
        or (kind == "dir") != (subtree is not None)
    ):
        raise ValueError
    inode = (
        (int(node.get("device_id", 0)), int(node.get("inode", 0))) if links > 1 and kind == "file" else None
    )
    return Entry(unquoted(name), kind, tuple(content) if kind == "file" else (), subtree, inode, mtime)


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """For json.loads. Raises ValueError for a field that stands twice: Go reads each, Python the last."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


def plain(fields: Iterable[str]) -> bool:
    """Whether those of a folder or of an entry are written as restic writes them: Go takes any case. What
    Windows adds to an entry, `generic_attributes`, has fields of its own with capitals."""
    return all(name.isascii() and name == name.lower() for name in fields)
