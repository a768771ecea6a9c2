"""How fast a host's link is: what the operator promises, and what was measured. Bytes and seconds."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from .session import Session, TimedOut

LINK_SHARE = 0.9
"""Share of an operator's nominal rate that is left for data after TCP, TLS and HTTP."""
SAMPLE_FILE = r"%SystemRoot%\System32\ntdll.dll"
"""What the host prints to measure its link: part of every Windows, readable by all, about 2 MB. WinRM
does not compress it."""
SAMPLE_TIMEOUT = 60.0
"""Seconds that the sample may take: below 0.4 Mbit/s (2 MB in 60 s), the exact figure does not matter."""
WINRM_EXPANSION = 4 / 3
"""The link carries this many times the bytes received: WinRM's output is in Base64 (MS-WSMV 2.2.4.33)."""


class Rate(NamedTuple):
    """A measured upload: bytes per second on the link, a lower bound (see `measure_rate`)."""

    bytes_per_second: float
    sample: int


def nominal(mbit: float) -> float:
    """Bytes of data a second on a link that its operator sells as so many Mbit/s."""
    return mbit * 10**6 / 8 * LINK_SHARE


def measure_rate(session: Session, now: Callable[[], float] = time.monotonic) -> Rate | None:
    """The rate of the link: the host prints a system file, and we time its arrival.

    The bytes go up the client's own link, like a backup, and leave nothing behind. (An upload to the
    repository would: rest-server writes a temporary file before it can refuse, and creates the directories
    of a repository that does not exist yet.) WinRM waits for an answer after each block, so on a fast or
    distant link this is a lower bound. Raises SessionError except for a sample that is cut off after
    SAMPLE_TIMEOUT, which is a measure too.
    """
    start = now()
    try:
        received = len(session.run(f"type {SAMPLE_FILE}", timeout=SAMPLE_TIMEOUT).stdout)
    except TimedOut as cut:
        received = len(cut.partial.stdout)
    seconds = now() - start
    if received < 64 * 1024 or seconds <= 0:
        return None  # Too little to tell a rate from the delay of the first answer.
    return Rate(received * WINRM_EXPANSION / seconds, received)
