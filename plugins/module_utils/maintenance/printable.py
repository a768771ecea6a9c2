"""Text of strangers made fit to be read: a server chooses its host name, its paths and what its logs say, and
a terminal, a mail client or a spreadsheet obeys some of that. Every table, sentence and CSV passes here.

It stands in this package because the package is copied alone to the repository host.
"""

from __future__ import annotations

import unicodedata

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def printable(text: str) -> str:
    """One line in which everything can be seen: control, bidi, zero-width and line characters, lone
    surrogates and what no one has defined become their number, <U+001B>. Windows has no "<" in names, so the
    number is not mistaken for the name's own. Spaces of every width stay: French has several.
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or unicodedata.category(char) == "Zs" else f"<U+{ord(char):04X}>"
        for char in text
    )


def printable_lines(text: str) -> str:
    """The same for a whole screen or page, whose own lines are kept; what a stranger filled in has passed
    `printable` before, or it could add lines of its own."""
    return "\n".join(printable(line) for line in text.split("\n"))


def cell(text: str) -> str:
    """A field of a CSV: printable, and with an apostrophe where a spreadsheet would compute it."""
    return f"'{printable(text)}" if text.startswith(_FORMULA) else printable(text)
