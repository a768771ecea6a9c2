"""What a repository host has left for one more client: bytes of its disk, and ports. No packages."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

LISTENS = "0A"
"""The state of a socket in /proc/net/tcp (include/net/tcp_states.h, TCP_LISTEN)."""
UNITS = Path("/etc/systemd/system")
OWN_FILES = ("prosecours-repository@*.service.d/instance.conf", ".supervisor/instances/*.conf")
"""What describes an instance, below UNITS and below the folder of the settings."""


class Room(NamedTuple):
    bytes_free: int
    """For those who are not root."""
    bytes_total: int
    ports: tuple[int, ...]
    """Those at which something listens, or an instance is to: one of a client that left may be down."""


def room(data: Path, config: Path, units: Path = UNITS, proc: Path = Path("/proc/net")) -> Room:
    """Of the disk on which `data` lies, or is to lie. Raises OSError."""
    disk = os.statvfs(next(one for one in (data, *data.parents) if one.is_dir()))
    ports = {*_listening(proc), *_described(units), *_described(config)}
    return Room(disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize, tuple(sorted(ports)))


def _listening(proc: Path) -> Iterator[int]:
    for name in ("tcp", "tcp6"):
        path = proc / name
        rows = path.read_text("ascii").splitlines()[1:] if path.exists() else []
        for row in rows:
            fields = row.split()
            if fields[3] == LISTENS:
                yield int(fields[1].rpartition(":")[2], 16)


def _described(folder: Path) -> Iterator[int]:
    for pattern in OWN_FILES:
        for path in folder.glob(pattern):
            yield from map(int, re.findall(r"--listen[= ]\S*:(\d{1,5})\b", path.read_text("utf-8")))
