r"""Values on a Windows command line: every line that WinRM runs passes through `cmd.exe /c`, then through a
program.

cmd.exe gives `& | < > ( ) ^` their meaning only outside quotes, and the values here never hold a quote (no
Windows path can), so a pair of quotes settles all of them. What quotes do not settle is refused: `%`
(expanded inside quotes too, and `^%` does not stop it), line ends and the other control characters. Delayed
expansion is off in `cmd /c`, hence `!` is an ordinary character.

The session puts SYSTEM_PATH before every line. So each program that a line names is that of Windows, and
no line begins with a quote, which cmd would drop with the last one.
"""

from __future__ import annotations

import re

from ..errors import ProSecoursError

SYSTEM_PATH = 'set "PATH=%SystemRoot%\\System32;%SystemRoot%"&'
"""What a server has before System32 (the find and tar of Git, say) is not meant. Said once for every line,
those of tomorrow too, and not at each of the forty programs of one."""
SHELL = 'C:\\Windows\\System32\\cmd.exe /C ""'
"""What WinRM starts with a line between the quotes; it counts too."""
LONGEST_LINE = 8191
"""Characters of cmd.exe's longest line, with its own name and its variables expanded (Microsoft KB 830473,
"Command prompt line string limitation")."""
_VARIABLE = re.compile(r"%[A-Za-z]\w*%")
_LONGEST_VARIABLE = 80
"""Characters that one of ours (%TEMP%, %SystemRoot%, %ComSpec%) comes to at most."""

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
    """Words that are already quoted, joined to a line for the session."""
    whole = " ".join(words)
    if re.search("[\x00-\x1f]", whole):
        raise CannotQuote(
            "a command line cannot hold a line end or another control character",
            "Take it out of the path or name that holds it",
        )
    fits(SHELL + SYSTEM_PATH + whole)
    return whole


def fits(whole: str) -> None:
    """Refuse a command line of cmd.exe that it would not read whole; variables count at their longest."""
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
