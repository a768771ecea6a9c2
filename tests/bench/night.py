"""What a repository host pays for caution: bytes read a night, and bytes stored twice.

Beside restic's own check and prune. docs/checks.md says what is read, and why; docs/repository.md why each
server has a repository of its own.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.admission import Remembered
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.repository import Repository
from ansible_collections.prosecours.backup.plugins.plugin_utils import binaries
from support.sealed import PASSWORD, empty_repository

from windows_lab.machine.drives import Drives

EXAMPLE = Path(__file__).resolve().parents[2] / "inventories" / "lab" / "clients" / "gaec_du_moulin.yml"


def measured(first: int = 300, then: int = 3) -> list[dict[str, Any]]:
    """Two nights of a server: `first` MB that nothing compresses, and `then` more in the next one."""
    nights: list[dict[str, Any]] = []
    remembered, stored = Remembered(), 0
    with tempfile.TemporaryDirectory(prefix="night-") as name:
        place, files = Path(name, "repository"), Path(name, "files")
        empty_repository(place, PASSWORD)
        files.mkdir()
        for number, megabytes in enumerate((first, then)):
            for part in range(megabytes):
                (files / f"{number}-{part}").write_bytes(os.urandom(10**6))
            _backup(place, files)
            before, stored = stored, _size(place / "data")
            begun = time.monotonic()
            repository = Repository(place, PASSWORD, str(_restic()))
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


def shared() -> dict[str, int]:
    """Bytes of the two servers of the lab's gaec_du_moulin, where the office folders of one lie on both:
    these folders (`shared`), and all that is stored in `one` repository and in `two`."""
    example = yaml.safe_load(EXAMPLE.read_text("utf-8"))["prosecours_clients"]["children"]["gaec_du_moulin"]
    servers = example["hosts"]
    office = servers["moulin-srv1"]["prosecours_office"]
    own = {name: dict(server["lab_files"]) for name, server in servers.items()}
    both = {path: own["moulin-srv1"][path] for path in office}
    with tempfile.TemporaryDirectory(prefix="shared-") as name:
        top = Path(name)
        for place in ("one", *own):
            empty_repository(top / "repositories" / place, PASSWORD)
        for server, files in own.items():
            folders = {letter: top / server / letter for letter in "DE"}
            for folder in folders.values():
                folder.mkdir(parents=True)
            Drives(folders).seed(files | both)
            for place in (server, "one"):
                # The lab's contents repeat themselves, as no client's do.
                _backup(top / "repositories" / place, top / server, "--compression", "off")
        sizes = {place: _size(top / "repositories" / place) for place in ("one", *own)}
        drives = Drives({letter: top / "moulin-srv1" / letter for letter in "DE"})
        return {
            "shared": sum(_size(drives.find(drives.absolute(path, ""))) for path in office),
            "one": sizes["one"],
            "two": sum(sizes[server] for server in own),
        }


def _restic() -> Path:
    wanted = binaries.artefact("restic", "linux/amd64")
    return binaries.obtain(wanted, binaries.default_cache(), print).path


def _backup(repository: Path, files: Path, *options: str) -> None:
    subprocess.run(
        [_restic(), "--repo", repository, "--no-cache", "--quiet", *options, "backup", files],
        env=os.environ | {"RESTIC_PASSWORD": PASSWORD},
        check=True,
    )


def _size(folder: Path) -> int:
    """Bytes of all files in it."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
