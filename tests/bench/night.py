"""What a night costs a repository host that believes nothing unread: bytes of packs, and seconds.

Beside restic's own check and prune; docs/checks.md says what is read, and why.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.admission import Remembered
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.repository import Repository
from ansible_collections.prosecours.backup.plugins.plugin_utils import binaries
from support.sealed import PASSWORD, empty_repository


def measured(first: int = 300, then: int = 3) -> list[dict[str, Any]]:
    """Two nights of a server: `first` MB that nothing compresses, and `then` more in the next one."""
    wanted = binaries.artefact("restic", "linux/amd64")
    restic = binaries.obtain(wanted, binaries.default_cache(), print).path
    nights: list[dict[str, Any]] = []
    remembered, stored = Remembered(), 0
    with tempfile.TemporaryDirectory(prefix="night-") as name:
        place, files = Path(name, "repository"), Path(name, "files")
        empty_repository(place, PASSWORD)
        files.mkdir()
        for number, megabytes in enumerate((first, then)):
            for part in range(megabytes):
                (files / f"{number}-{part}").write_bytes(os.urandom(10**6))
            subprocess.run(
                [restic, "--repo", place, "--no-cache", "--quiet", "backup", files],
                env=os.environ | {"RESTIC_PASSWORD": PASSWORD},
                check=True,
            )
            before, stored = stored, sum(path.stat().st_size for path in (place / "data").rglob("*"))
            begun = time.monotonic()
            repository = Repository(place, PASSWORD, str(restic))
            with repository.admitted(remembered, writable=False) as (_unused, admission):
                if not admission.verify():
                    raise SystemExit("A repository that restic has made is not believed.")
                remembered = admission.remembered
            nights.append(
                {
                    "arrived_bytes": stored - before,
                    "read_bytes": admission.read_bytes,
                    "seconds": round(time.monotonic() - begun, 2),
                }
            )
    return nights
