"""A lock of any host, process and age, written without restic.

restic writes only locks of this moment, this host and its own process.
"""

from __future__ import annotations

import hashlib
import json
import os
from datetime import datetime
from pathlib import Path

from support.sealed import Seals, only_key


def leave_lock(repository: Path, password: str, host: str, pid: int, renewed: datetime) -> Path:
    """The file of the lock."""
    lock = {"time": renewed.isoformat(), "exclusive": False, "hostname": host, "username": "", "pid": pid}
    sealed = Seals.of_repository(password, only_key(repository)).closed(json.dumps(lock).encode())
    path = repository / "locks" / hashlib.sha256(sealed).hexdigest()
    path.write_bytes(sealed)
    os.utime(path, ns=(since := round(renewed.timestamp() * 10**6) * 1000, since))
    return path
