"""robocopy as a measuring tape: it lists a tree without copying it, and its summary says how large it is.

Windows speaks French, so only what no language touches is read: error codes, order of rows, numbers. Bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import combinations, pairwise
from typing import NamedTuple

from .command_line import argument
from .probe import decode

MISSING_CODES = frozenset({2, 3, 15, 21, 123, 267})
"""Windows error codes that mean "there is no such directory here": file or path not found, no such drive,
drive not ready, invalid name, not a directory (winerror.h)."""

LISTING = "/L /B /BYTES /NFL /NDL /NJH /XJ /R:0 /W:0"
"""robocopy: list only (nothing copied, deleted or time-stamped), with the rights of a backup as SYSTEM has
them; sizes in bytes, only the summary, no junctions (restic does not follow them either), no retries. The
destination is a name that does not exist and is not created."""


APART = "/IA:EO"
"""robocopy: only files that are encrypted for a user (EFS), or offline: placeholders of OneDrive and the
like, whose content is in a cloud (Microsoft Learn, "robocopy", "File attribute constants")."""


class Tree(NamedTuple):
    """The summary of one robocopy listing: directories and files counted, bytes, and directories that
    refused to be read."""

    directories: int
    files: int
    size: int
    unreadable: int = 0


_ROW = re.compile(r"(?m)^[^:\r\n]*:[ \t]*(\d[\d \t.,'?\u00a0\u202f\u2019]*)\r?$")
_ERROR = re.compile(r"\(0x([0-9A-Fa-f]{8})\)")


def errors(output: bytes) -> list[int]:
    """The Windows error codes that robocopy printed, in order."""
    return [int(code, 16) for code in _ERROR.findall(decode(output))]


def tree(output: bytes) -> tuple[Tree | None, int | None]:
    """The totals of a robocopy summary (rows: directories, files, bytes; first column: total), else its error
    code. What the exclusions leave out is in the total, and in the third column too: it is taken off.

    A directory that refuses to be read leaves an error line and the summary still comes: below, it is
    counted; at the top, nothing was read.
    """
    codes = errors(output)
    rows = [columns for row in _ROW.findall(decode(output)) if (columns := _columns(row))]
    if len(rows) != 3 or (codes and rows[0][0] <= 1 and rows[1][0] == 0):
        return None, codes[0] if codes else None
    directories, files, size = rows
    return Tree(directories[0], files[0] - files[2], size[0] - size[2], len(codes)), None


def _columns(row: str) -> list[int] | None:
    """The six numbers of a summary row: total, copied, skipped, mismatched, failed, extra; None if they
    cannot be told apart.

    Newer releases may group thousands, and columns of ten characters leave no space between large numbers:
    then only one cut makes the total the sum of the next four.
    """
    # A single space may set thousands apart; columns then have more.
    words = next((words for gap in (" +", " {2,}") if len(words := re.split(gap, row.strip())) <= 6), [])
    glued = [re.sub(r"\D", "", word) for word in words]
    places = [(word, at) for word, digits in enumerate(glued) for at in range(1, len(digits))]
    for cuts in combinations(places, 6 - len(glued)) if 4 <= len(glued) <= 6 else ():
        numbers = []
        for word, digits in enumerate(glued):
            bounds = (0, *(at for place, at in cuts if place == word), len(digits))
            numbers += [digits[start:end] for start, end in pairwise(bounds)]
        columns = [int(number) for number in numbers]
        padded = any(number != str(column) for number, column in zip(numbers, columns, strict=True))
        if not cuts or (columns[0] == sum(columns[1:5]) and not padded):
            return columns
    return None


def exclusions(patterns: Iterable[str]) -> tuple[str, tuple[str, ...]]:
    """robocopy options that leave out what restic will leave out, and the patterns that robocopy cannot
    express.

    A pattern without a separator matches a name anywhere in both programs, and so does an absolute path
    without wildcard or variable. The rest is counted, so a size can only be too high.
    """
    plain: list[str] = []
    others: list[str] = []
    for pattern in patterns:
        simple = "\\" not in pattern and "/" not in pattern and not re.search(r"[!\[\]$#%\"]|\*\*", pattern)
        absolute = re.fullmatch(r"[A-Za-z]:\\[^*?\[\]$%\"]+", pattern)
        (plain if simple or absolute else others).append(pattern)
    if not plain:
        return "", tuple(others)
    names = " ".join(argument(pattern.rstrip("\\")) for pattern in plain)
    return f" /XF {names} /XD {names}", tuple(others)
