"""What preflight has observed of the agent, for the agent's own action later in the same run: a server that
is as it should be is asked once, in one login.

It goes by a file of the run's private folder and not by a registered result, which Ansible prints with
`-vvv`: the SHA-256 of passwords are among it. Whoever takes it removes it, so that it never speaks of a
server that this run has changed since.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from ..files import safe_name
from .facts import Facts, parse


def leave(run_folder: Path, host: str, folder: str, sections: Mapping[str, bytes]) -> str:
    """Keep the answers to `facts.probes(folder)` of a host; the file's path, or "" where none can be written:
    then the server is asked again."""
    kept = {
        "host": host,
        "folder": folder,
        "sections": {name: answer.decode("latin-1") for name, answer in sections.items()},
    }
    path = run_folder / f"prosecours-{safe_name(host)}.json"
    try:
        with open(path, "w", encoding="utf-8", opener=_private) as file:
            json.dump(kept, file)
    except OSError:
        path.unlink(missing_ok=True)
        return ""
    return str(path)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def take(path: str, host: str, folder: str) -> Facts | None:
    """The facts that were left there of this host and folder; None when there are none (any more)."""
    if not path:
        return None
    try:
        kept = json.loads(Path(path).read_text("utf-8"))
        Path(path).unlink()
    except (OSError, ValueError):
        return None
    if (kept["host"], kept["folder"]) != (host, folder):
        return None
    return parse({name: answer.encode("latin-1") for name, answer in kept["sections"].items()})
