"""Which disk is in which drive: one probe and its parser.

`fsutil fsinfo volumeinfo` begins with the name of the volume and its serial number, in this order in every
language; the number is hexadecimal. Letters are asked only where there is a drive, so that no card reader is
woken up that is empty.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from .probe import Probe, decode

LETTERS = "DEFGHIJKLMNOPQRSTUVWXYZ"
"""C: is the system's."""
_MARK = "::"


class Drive(NamedTuple):
    """A drive and the volume in it."""

    letter: str
    serial: str
    """As `vol` writes it: 1A2B-3C4D."""
    label: str


def probe() -> Probe:
    """The question about all drives."""
    letters = " ".join(LETTERS)
    ask = f"(echo {_MARK}%l&fsutil fsinfo volumeinfo %l:\\)"
    return Probe("drives", f"for %l in ({letters}) do @if exist %l:\\ {ask}")


def drives(output: bytes) -> list[Drive]:
    """Those whose volume can be told."""
    found = []
    for part in re.split(rf"(?m)^{_MARK}(?=[{LETTERS}]\r?$)", decode(output))[1:]:
        letter, *lines = [line.strip() for line in part.splitlines() if line.strip()]
        if len(lines) < 2:
            continue
        number = re.search(r"0x([0-9a-fA-F]{1,8})$", lines[1])
        if number:
            digits = number[1].upper().rjust(8, "0")
            found.append(Drive(letter, f"{digits[:4]}-{digits[4:]}", lines[0].partition(":")[2].strip()))
    return found
