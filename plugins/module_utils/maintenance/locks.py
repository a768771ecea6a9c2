"""Who works on a repository: restic's locks, and how long one is believed.

A client's server can add locks, as any backup does, and write into one what it likes: a day in a hundred
years, by which restic would never lift it, or rubbish, over which restic falls. So a lock holds for half an
hour from the time at which the repository host, or the supplier, wrote its file; restic renews each every
five minutes, by a new file. Pure: standard library only.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from .storage import Entry

HOLDS = timedelta(minutes=30)
MOST = 100
"""So many are read, those that came last: a repository has one for each program that works on it."""


@dataclass(frozen=True)
class Lock:
    """A lock, as whoever holds it wrote it down."""

    host: str
    pid: int
    since: datetime
    """When its file was written."""

    def stale(self, now: datetime) -> bool:
        """It was not renewed for 30 minutes, or its process here is gone."""
        if over(self.since, now):
            return True
        return self.host == socket.gethostname() and not Path(f"/proc/{self.pid}").exists()


def latest(here: Mapping[str, Entry]) -> list[str]:
    """The names of those that came last, the last one first."""
    return sorted(here, key=lambda name: (here[name].at, name), reverse=True)[:MOST]


def holding(here: Mapping[str, Entry], now: datetime) -> list[str]:
    """Those that are renewed."""
    return [name for name in latest(here) if not over(here[name].at, now)]


def over(at: datetime, now: datetime) -> bool:
    """Of one whose file was written `at`: it is not renewed any more."""
    return now - at > HOLDS
