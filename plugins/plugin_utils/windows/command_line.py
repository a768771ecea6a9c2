r"""Values on a Windows command line: every line that WinRM runs passes through `cmd.exe /c`, then through a
program.

cmd.exe gives `& | < > ( ) ^` their meaning only outside quotes, and the values here never hold a quote (no
Windows path can), so a pair of quotes settles all of them. What quotes do not settle is refused: `%`
(expanded inside quotes too, and `^%` does not stop it), line ends and the other control characters. Delayed
expansion is off in `cmd /c`, hence `!` is an ordinary character.
"""

from __future__ import annotations

import re

from ..errors import ProSecoursError

LONGEST_LINE = 8191
"""Characters of cmd.exe's longest line (learn.microsoft.com, "command prompt line string limitation")."""
_VARIABLE = re.compile(r"%[A-Za-z]\w*%")
_LONGEST_VARIABLE = 80
"""Characters that one of ours (%TEMP%, %SystemRoot%, %ComSpec%) comes to at most: cmd.exe counts a line once
its variables are in it (from memory; where it does not, a few characters are given away)."""

_PLAIN = re.compile(r"[A-Za-z0-9_./:\\+-]+")
# Control characters are no part of a Windows name and, like lone surrogates and the two non-characters,
# cannot be carried by the XML of WS-Management.
_REFUSED = re.compile('[%"\x00-\x1f\x7f\ud800-\udfff\ufffe\uffff]')


class CannotQuote(ProSecoursError):
    """A value, or a whole line, that no quoting carries safely to the host."""


def argument(value: str) -> str:
    r"""`value` as one element of a program's argv (CommandLineToArgvW): backslashes at its end double."""
    _refuse(value)
    if _PLAIN.fullmatch(value):
        return value
    backslashes = len(value) - len(value.rstrip("\\"))
    return f'"{value}{chr(92) * backslashes}"'


def path(value: str) -> str:
    r"""`value` for what cmd.exe does itself (type, move, if exist, redirections): there, `\` before a quote
    is a `\`.
    """
    _refuse(value)
    return f'"{value}"'


def line(*words: str) -> str:
    """Words that are already quoted, joined to a line for `cmd.exe /c`.

    cmd drops the first and the last quote of a line that begins with one (except in a case too narrow to
    build on), so such a line gets a pair to lose.
    """
    whole = " ".join(words)
    if re.search("[\x00-\x1f]", whole):
        raise CannotQuote(
            "a command line cannot hold a line end or another control character",
            "Take it out of the path or name that holds it",
        )
    if whole.startswith('"'):
        whole = f'"{whole}"'
    fits(whole)
    return whole


def fits(whole: str) -> None:
    """Refuse what cmd.exe would not read to its end, its variables counted at their longest."""
    size = len(_VARIABLE.sub("v" * _LONGEST_VARIABLE, whole))
    if size > LONGEST_LINE:
        raise CannotQuote(
            f"the command line has {size} characters; cmd.exe reads {LONGEST_LINE}",
            "Shorten the longest path or name, or take a path out of the contract",
        )


def _refuse(value: str) -> None:
    if not value:
        raise CannotQuote("an empty value has no place on a command line", "Set the variable that is empty")
    found = _REFUSED.search(value)
    if found:
        raise CannotQuote(
            f"{value!r} holds {found.group()!r}, which no quoting carries through cmd.exe",
            "Rename the file or folder, or take its path out of the contract",
        )
