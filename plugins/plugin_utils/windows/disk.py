"""How much room a drive has: one probe and its parser. Bytes; what cannot be told is None."""

from __future__ import annotations

import re

from .command_line import path
from .probe import decode


def listing(root: str) -> str:
    """The command that `free_space` reads; `root` is a drive's, as `D:` and a backslash."""
    return f"dir /-c /a {path(root)}"


_GROUPED = re.compile(r"\d{1,3}(?:[\s.,'?\u00a0\u202f\u2009\u2019]\d{3})+(?!\d)|\d+")


def free_space(output: bytes) -> int | None:
    """Free bytes of a drive from the last line of `dir /-c`: `2 Rép(s)  123456789 octets libres`, None if it
    has none.

    /-c asks for plain digits; separators of thousands are accepted all the same: a space, one of French
    Windows' no-break spaces, or the `?` that stands for a narrow one in code page 850.
    """
    lines = [line for line in decode(output).splitlines() if line.strip()]
    numbers = _GROUPED.findall(lines[-1]) if lines else []
    # The count of directories comes first; a single number is some other message.
    return int(re.sub(r"\D", "", numbers[-1])) if len(numbers) >= 2 else None
