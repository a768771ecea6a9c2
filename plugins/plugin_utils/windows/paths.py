r"""Local Windows paths as data: is it one, is it legal, which one is it, does one hold the other. Pure.

Windows compares names without regard to case and keeps accents apart; a path that this module accepts can be
written to a file or carried on a command line and means the same directory every time.
Source: "Naming Files, Paths, and Namespaces", Microsoft Learn.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import NamedTuple

LONGEST_NAME, LONGEST_PATH = 255, 32_767
"""One name of a path is at most 255 UTF-16 units on NTFS; a whole path at most 32,767."""
FORBIDDEN = '<>:"|?*'
WILDCARDS = "?*"
RESERVED = re.compile(r"(?:CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|COM[0-9¹²³]|LPT[0-9¹²³])(?:\..*)?", re.IGNORECASE)
"""Devices, whatever extension follows: NUL.txt is NUL."""


class Problem(NamedTuple):
    """What is wrong with a path, and what to do; one sentence each."""

    what: str
    remedy: str


def normalise(path: str) -> str:
    r"""The one spelling of a path: `d:/Data//x/` -> `D:\Data\x`, and the root `d:/` -> `D:\`."""
    root, names = _split(path)
    return root + "\\".join(names)


def same(path: str, other: str) -> bool:
    """True if Windows takes both for the same file or directory."""
    return _key(path) == _key(other)


def inside(path: str, directory: str) -> bool:
    """True if `path` is `directory`, or lies anywhere below it; `directory` may hold wildcards."""
    inner, outer = _key(path), _key(directory)
    return len(outer) <= len(inner) and all(map(_match, inner, outer))


def problem(path: str, *, pattern: bool = False) -> Problem | None:
    """Why the path cannot be backed up as written, else None. A pattern may hold ? and * in its last name."""
    return _problem_of_form(path) or _problem_of_names(path, pattern=pattern)


def _problem_of_form(path: str) -> Problem | None:
    if control := re.search(r"[\x00-\x1f\x7f]", path):
        return Problem(
            f"it holds the control character {control.group()!r}",
            r"Write the path without quotes: between double quotes YAML reads \b or \n as such",
        )
    slashes = path.replace("/", "\\")
    if slashes.startswith("\\\\"):
        return Problem(
            f'"{path}" is a network or device path (UNC)',
            r"Put it under the server that hosts the data, as a local path like D:\Data",
        )
    if re.fullmatch(r"[A-Za-z]:", path):
        return Problem(f'"{path}" is a drive, not its root directory', f"Write {path.upper()}\\")
    if not re.match(r"[A-Za-z]:\\", slashes):
        return Problem(
            f'"{path}" is relative' if path else "the path is empty", r"Begin with the drive, like D:\Data"
        )
    if len(path.encode("utf-16-le", "surrogatepass")) // 2 > LONGEST_PATH:
        return Problem("the path is longer than 32767 characters", "Back up a directory above it")
    return None


def _problem_of_names(path: str, *, pattern: bool) -> Problem | None:
    names = _split(path)[1]
    for index, name in enumerate(names):
        allowed = WILDCARDS if pattern and index == len(names) - 1 else ""
        found = sorted(set(name) & set(FORBIDDEN) - set(allowed))
        if found:
            return Problem(
                f'"{name}" holds {" ".join(found)}, which Windows forbids in names',
                "Name the directory without wildcards: it is backed up with all it holds"
                if set(found) <= set(WILDCARDS)
                else "Write the name as the server's Explorer shows it",
            )
        if "%" in name:
            return Problem(
                f'"{name}" holds %, which Windows would take for an environment variable',
                "Write the real directory in place of the variable, or back up the directory above it",
            )
        if name in (".", ".."):
            return Problem(f'the path holds "{name}"', "Write the path in full, from the drive on")
        if name[-1] in " .":
            kind = "space" if name[-1] == " " else "dot"
            bare = name.rstrip(" .")
            return Problem(f'"{name}" ends with a {kind}, which Windows drops', f'Write "{bare}"')
        if RESERVED.fullmatch(name):
            return Problem(f'"{name}" is the name of a Windows device', "Name a directory")
        if len(name.encode("utf-16-le", "surrogatepass")) // 2 > LONGEST_NAME:
            return Problem(f'"{name[:20]}…" is longer than 255 characters', "Back up the directory above it")
    return None


def _split(path: str) -> tuple[str, list[str]]:
    root, *names = path.replace("/", "\\").split("\\")
    return f"{root.upper()}\\", [name for name in names if name]


def _key(path: str) -> tuple[str, ...]:
    root, names = _split(path)
    return (root, *(_fold(name) for name in names))


def _fold(name: str) -> str:
    # NTFS maps one UTF-16 unit to one unit and back: é and É are one letter, ß and SS or ı and I are not.
    return "".join(upper if (upper := c.upper()).lower() == c and len(upper) == 1 else c for c in name)


def _match(name: str, over: str) -> bool:
    # [ is an ordinary letter in Windows names, a class in fnmatch.
    return name == over or (any(c in over for c in WILDCARDS) and fnmatchcase(name, over.replace("[", "[[]")))
