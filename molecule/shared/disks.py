"""An external disk that a lab server and a repository host of this machine both see: a folder with a declared
identity. Shared by the scenarios about disks; no code of what works on them.

python disks.py    writes the client's largest file and both requests, plugs the disk in at the host, and
                   brings it a restic as retention.yml would
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import yaml

LAB = Path(os.environ["PROSECOURS_LAB"])
CLIENT, SERVER = "earl_du_frene", "frene-srv"
SERIAL, LABEL = "1A2B-3C4D", "NAVETTE"
TODAY = f"{datetime.now(ZoneInfo('Europe/Paris')):%Y-%m-%d}"
ASKED = {
    "client": CLIENT,
    "server": SERVER,
    "requester": "helene.chateau@frene.example.com",
    "mail_date": TODAY,
    "disk": {"serial": SERIAL, "label": LABEL},
}
DATA = LAB / "hosts" / SERVER / "drives" / "D"
DISK = LAB / "hosts" / SERVER / "drives" / "E"
"""E: of the server, on the Linux side; unplugged, it is not there."""
REPOSITORY = LAB / "data" / CLIENT / SERVER
PAPERS = LAB / "maintenance" / "documents" / "disks" / CLIENT
SECRETS = ("mot-de-passe-http-", "mot-de-passe-restic-", "Mot2Passe")
BIG = 4_000_000


@dataclass(frozen=True)
class Played:
    """How a run ended, and all that it printed, on one line."""

    code: int
    text: str

    def changed(self, host: str = SERVER) -> int:
        """How many tasks changed the host."""
        found = re.search(rf"{host} : ok=\d+ changed=(\d+)", self.text)
        assert found, self.text
        return int(found[1])


def play(playbook: str, *arguments: str) -> Played:
    """A run; whatever it tells, it shows neither a traceback nor a secret."""
    done = subprocess.run(
        [
            "ansible-playbook",
            "-i",
            os.environ["PROSECOURS_INVENTORY"],
            f"playbooks/{playbook}.yml",
            *arguments,
        ],
        cwd=os.environ["MOLECULE_PROJECT_DIRECTORY"],
        # molecule asks for colours, also where nobody sees them.
        env={**os.environ, "ANSIBLE_FORCE_COLOR": "0", "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    text = re.sub(r"\s+", " ", done.stdout + done.stderr)
    assert "Traceback" not in text, text
    assert not [secret for secret in SECRETS if secret in text]
    return Played(done.returncode, text)


def went(played: Played, says: str) -> None:
    """It succeeded, and said so."""
    assert played.code == 0, played.text
    assert says in played.text, played.text


def refused(played: Played, says: str) -> None:
    """It failed, for this reason."""
    assert played.code != 0, played.text
    assert says in played.text, played.text


def plug_in(where: str | None) -> None:
    """The disk at the provider: mounted at `where`."""
    device = {"path": "/dev/sdb1", "uuid": "01D8B6C81A2B3C4D", "label": LABEL, "fstype": "ntfs"}
    devices = [{**device, "mountpoints": [where]}] if where else []
    program = LAB / "lsblk"
    program.write_text(f"#!/bin/sh\ncat <<'E'\n{json.dumps({'blockdevices': devices})}\nE\n", "utf-8")
    program.chmod(0o755)


def files(folder: Path) -> dict[str, int]:
    """All of a repository that speaks of backups, with sizes in bytes."""
    return {
        path.relative_to(folder).as_posix(): path.stat().st_size
        for kind in ("data", "index", "snapshots")
        for path in (folder / kind).rglob("*")
        if path.is_file()
    }


def main() -> None:
    plug_in(str(DISK))
    program = os.environ.get("PROSECOURS_RESTIC") or shutil.which("restic")
    assert program, "there is no restic in PATH"
    (LAB / "maintenance").mkdir(exist_ok=True)
    (LAB / "maintenance" / "restic").symlink_to(program)
    # Nothing that compresses.
    (DATA / "isa_sauvegarde_dossier" / "big.zip").write_bytes(random.Random(1).randbytes(BIG))  # noqa: S311
    export = {**ASKED, "main_backup_failed": True, "date": TODAY}
    for name, content in (("seed", ASKED), ("export", export)):
        (LAB / f"{name}.yml").write_text(yaml.safe_dump(content), "utf-8")


if __name__ == "__main__":
    main()
