"""Versions that stop restic: with a folder that no restic made, or without a part that never arrived.

restic checks, counts and prunes by way of all folders of all versions, and stops at the first that it cannot
read. So whoever has taken a server over could stop the maintenance of its repository with one crafted folder.
When a check fails though every pack is true, the versions that were never measured are looked at here: those
at which restic stops are set aside, by name, restic is not shown them, and the check is made again.

- A folder that is there, that this program finds to be none, and at which restic stops too, was forged: its
  name is the SHA-256 of its content, and no disk does that. All else goes on.
- A version that *lacks* a part could be a true one that was damaged in its first night. It is set aside too,
  but nothing is removed while it is there.

A version that was measured once was whole then: what it lacks now is damage, and stays so (`checks`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from .admission import Admission
from .sealed import ID, Document, Rubbish, Unfolds
from .trees import once, plain

ROUNDS = 5
"""So often is checked anew: of many complaints restic's check is heard with the first ones."""
MOST_ASKED = 20
"""Versions of which restic is asked whether it can list them; it takes a second for each."""
TYPES = ("file", "dir", "symlink", "dev", "chardev", "fifo", "socket")
"""restic of before 0.17.2 made "irregular" ones too, at which its own check stops."""
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
QUOTED = re.compile(
    r'(?:[^"\\\n]|\\[abfnrtv\\"]|\\x[0-9a-f]{2}|\\u[0-9a-f]{4}|\\U[0-9a-f]{8}|\\[0-7]{3})+', re.I
)


def _matches(pattern: re.Pattern[str]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def _count(bits: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and 0 <= value < 2**bits


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and ID.fullmatch(value) is not None and value != "0" * 64


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


FIELDS: Mapping[str, Callable[[Any], bool]] = {
    "name": _matches(QUOTED),
    "type": lambda value: value in TYPES,
    **dict.fromkeys(("mtime", "atime", "ctime"), _matches(TIME)),
    **dict.fromkeys(("user", "group", "linktarget", "error"), _is_text),
    **dict.fromkeys(("mode", "uid", "gid"), _count(32)),
    **dict.fromkeys(("inode", "device_id", "size", "links", "device"), _count(64)),
    "content": lambda value: value is None or (isinstance(value, list) and all(map(_is_id, value))),
    "subtree": lambda value: value is None or _is_id(value),
}
"""What restic reads of an entry of a folder, and when it can (its internal/data/node.go)."""


@dataclass(frozen=True)
class Suspect:
    """A version that restic cannot read, as this program finds."""

    why: str
    forged: bool
    """It has a folder that is none, and does not only lack something."""
    tree: str
    """The folder."""
    unfolds: bool = False
    """restic must not be asked about it."""


def suspects(admission: Admission, versions: Collection[str]) -> dict[str, Suspect]:
    """Those of `versions` that restic cannot read. Takes as long as their folders are many."""
    places = {blob.id: (pack, blob) for pack, blob in admission.blobs() if blob.type == "tree"}
    parts = {blob.id for _pack, blob in admission.blobs() if blob.type == "data"}
    found: dict[str, Suspect] = {}
    sound: set[str] = set()
    for name in sorted(versions):
        waiting, seen = [admission.trees[name]], set(sound)
        while waiting and name not in found:
            tree = waiting.pop()
            if tree in seen:
                continue
            seen.add(tree)
            try:
                if tree not in places:
                    raise Rubbish(f"lacks its folder {tree[:8]}")
                inner, content = _entries(admission.part(*places[tree]))
                if missing := content - parts:
                    raise Rubbish(f"lacks the part {min(missing)[:8]} of a file")
                waiting += inner
            except _None:
                found[name] = Suspect(f"has a folder ({tree[:8]}) that no restic made", True, tree)
            except Rubbish as error:
                found[name] = Suspect(str(error), False, tree, isinstance(error, Unfolds))
        if name not in found:
            sound |= seen
    return found


def set_aside(
    admission: Admission,
    found: Mapping[str, Suspect],
    said: Collection[str],
    readable: Callable[[str], bool],
) -> bool:
    """Set aside those that were forged for sure, since restic stops at them too: its check complains (`said`)
    of the folder, or it cannot list the version. Else all. Whether there may be a true one among them."""
    named = " ".join(said)
    sure = [name for name, one in found.items() if one.forged and one.tree[:8] in named]
    asked = [name for name, one in found.items() if one.forged and name not in sure][:MOST_ASKED]
    sure += [name for name in asked if not readable(name)]
    for name in sure or found:
        why = found[name].why
        admission.put_aside(name, why if sure else f"{why}: nothing is removed while it is there")
    return not sure


class _None(Exception):
    """This is no folder."""


def _entries(text: bytes) -> tuple[list[str], set[str]]:
    """The folders in a folder, and the parts of its files. Raises _None."""
    try:
        nodes = json.loads(text, object_pairs_hook=once, parse_constant=_nothing)["nodes"]
        for node in nodes:
            _judge(node)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise _None from None
    inner = [node["subtree"] for node in nodes if node["type"] == "dir"]
    return inner, {part for node in nodes if node["type"] == "file" for part in node["content"]}


def _judge(node: Document) -> None:
    """Raises ValueError, KeyError, TypeError."""
    if not plain(node):
        raise ValueError
    if not all(fits(node[name]) for name, fits in FIELDS.items() if name in node):
        raise ValueError
    if node["type"] == "file" and node["content"] is None:
        raise ValueError
    if node["type"] == "dir" and node["subtree"] is None:
        raise ValueError
    if not node["name"]:
        raise ValueError


def _nothing(text: str) -> None:
    """Go has no NaN."""
    raise ValueError(text)
