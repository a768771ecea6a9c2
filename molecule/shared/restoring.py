"""Requests of a contact (C3), as a technician carries them out: shared by the scenarios that restore.

Shares no code with what carries them out.
"""

from __future__ import annotations

import os
import re
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml

TODAY = f"{datetime.now(ZoneInfo('Europe/Paris')):%Y-%m-%d}"
# molecule asks for colours, also where nobody sees them.
PLAIN = {**os.environ, "ANSIBLE_FORCE_COLOR": "0", "ANSIBLE_NOCOLOR": "1"}


def request(name: str, client: str, server: str, requester: str, **wanted: Any) -> Path:
    """A request file of today."""
    file = Path(os.environ["PROSECOURS_LAB"]) / f"{name}.yml"
    content = {
        "client": client,
        "requester": requester,
        "mail_date": TODAY,
        "main_backup_failed": True,
        "server": server,
        "date": TODAY,
        **wanted,
    }
    file.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    return file


def command(file: Path, *arguments: str) -> list[str]:
    """The words of a run of restore.yml."""
    inventory = os.environ["PROSECOURS_INVENTORY"]
    settings = ["-e", f"prosecours_restore_request={file}", "-e", "prosecours_restore_poll=1"]
    return ["ansible-playbook", "-i", inventory, "playbooks/restore.yml", *settings, *arguments]


def play(file: Path, *arguments: str) -> str:
    """A run that has to succeed; what it printed, on one line."""
    done = subprocess.run(
        command(file, *arguments),
        cwd=os.environ["MOLECULE_PROJECT_DIRECTORY"],
        env=PLAIN,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return re.sub(r"\s+", " ", done.stdout)


def changed(output: str, host: str) -> int:
    """How many tasks changed the host."""
    found = re.search(rf"{host} : ok=\d+ changed=(\d+)", output)
    assert found, output
    return int(found[1])
