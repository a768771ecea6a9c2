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

import base64
import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from .admission import Admission
from .sealed import ID, Document, Rubbish, Unfolds, is_text, is_time
from .trees import once, plain

ROUNDS = 5
"""So often is checked anew: of many complaints restic's check is heard with the first ones."""
MOST_ASKED = 20
"""Versions of which restic is asked whether it can list them; it takes a second for each."""
MOST_READ = 100
"""Likewise, where nothing is suspected: those that came last."""
TYPES = ("file", "dir", "symlink", "dev", "chardev", "fifo", "socket")
"""restic of before 0.17.2 made "irregular" ones too, at which its own check stops."""
QUOTED = re.compile(
    r'(?:[^"\\\n]|\\[abfnrtv\\"]|\\x[0-9A-Fa-f]{2}|\\[0-3][0-7]{2}'
    r"|\\u(?![Dd][89A-Fa-f])[0-9A-Fa-f]{4}|\\U(?!0000[Dd][89A-Fa-f])(?:000[0-9A-Fa-f]|0010)[0-9A-Fa-f]{4})+"
)
"""As Go's strconv.Unquote reads what is between the quotes."""


def _matches(pattern: re.Pattern[str]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def _count(bits: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and 0 <= value < 2**bits


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and ID.fullmatch(value) is not None and value != "0" * 64


def _is_base64(value: Any) -> bool:
    try:
        return value is None or bool(base64.b64decode(value, validate=True)) or value == ""
    except (TypeError, ValueError):
        return False


def _are_attributes(value: Any) -> bool:
    return value is None or all(
        one.keys() <= {"name", "value"} and is_text(one.get("name", "")) and _is_base64(one.get("value"))
        for one in value
    )


FIELDS: Mapping[str, Callable[[Any], bool]] = {
    "name": _matches(QUOTED),
    "type": lambda value: value in TYPES,
    **dict.fromkeys(("mtime", "atime", "ctime"), is_time),
    **dict.fromkeys(("user", "group", "linktarget", "error"), is_text),
    **dict.fromkeys(("mode", "uid", "gid"), _count(32)),
    **dict.fromkeys(("inode", "device_id", "size", "links", "device"), _count(64)),
    "linktarget_raw": _is_base64,
    "extended_attributes": _are_attributes,
    "generic_attributes": lambda value: value is None or isinstance(value, dict),
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


def unread(
    admission: Admission, versions: Collection[str], readable: Callable[[str], bool]
) -> dict[str, Suspect]:
    """Those of `versions` that restic cannot read though this program finds nothing wrong: FIELDS may lack
    something that restic reads. One witness is not enough to call a version forged."""
    here = admission.storage.listed("snapshots")
    last = sorted((name for name in versions if name in here), key=lambda name: here[name].at)[-MOST_READ:]
    why = "cannot be read by restic"
    return {name: Suspect(why, False, admission.trees.get(name, "")) for name in last if not readable(name)}


def suspects(admission: Admission, versions: Collection[str]) -> dict[str, Suspect]:
    """Those of `versions` that restic cannot read. Takes as long as their folders are many."""
    places = {blob.id: (pack, blob) for pack, blob in admission.blobs() if blob.type == "tree"}
    parts = {blob.id for _pack, blob in admission.blobs() if blob.type == "data"}
    found: dict[str, Suspect] = {}
    sound: set[str] = set()
    for name in sorted(versions):
        if name not in admission.trees:  # of which a disk, or in a bucket a forger, made something else
            found[name] = Suspect("is damaged: its content is not that of its name", False, "")
            continue
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
