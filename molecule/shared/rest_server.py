"""The repository of a scenario on a real server: a rest-server of this machine, with nothing in it at first.

python rest_server.py start   with what docs/molecule.md names
python rest_server.py stop    ends it and forgets what it held; where none was started it does nothing
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import bcrypt
from verifier import resolved_inventory

FOLDER = Path(os.environ["PROSECOURS_LAB"], "repository")
WANTED = ("ADDRESS", "CERTIFICATE", "KEY")
SECONDS = 20.0


def start() -> str | None:
    """What is wrong, or None: then it listens."""
    given = {name: os.environ.get(f"PROSECOURS_REPOSITORY_{name}", "") for name in WANTED}
    if missing := [f"PROSECOURS_REPOSITORY_{name}" for name, value in given.items() if not value]:
        return f"Set {', '.join(missing)}: the server backs up to a rest-server that is started here."
    program = shutil.which("rest-server")
    if program is None:
        return "There is no rest-server on PATH: run tools/setup binaries."
    (FOLDER / "data").mkdir(parents=True)
    logins = {name: host["prosecours_repository_password"] for name, host in resolved_inventory().items()}
    lines = [
        f"{name}:{bcrypt.hashpw(word.encode(), bcrypt.gensalt()).decode()}\n" for name, word in logins.items()
    ]
    (FOLDER / "htpasswd").write_text("".join(lines), "ascii")
    host, _, port = given["ADDRESS"].rpartition(":")
    values = {"path": FOLDER / "data", "listen": given["ADDRESS"], "htpasswd-file": FOLDER / "htpasswd"}
    values |= {"tls-cert": given["CERTIFICATE"], "tls-key": given["KEY"]}
    words = [
        "--append-only",
        "--private-repos",
        "--tls",
        *(f"--{key}={value}" for key, value in values.items()),
    ]
    with (FOLDER / "log").open("wb") as log:
        process = subprocess.Popen([program, *words], stdout=log, stderr=log, start_new_session=True)
    (FOLDER / "pid").write_text(str(process.pid), "ascii")
    deadline = time.monotonic() + SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(OSError):
            socket.create_connection((host, int(port)), 1).close()
            return None
        time.sleep(0.05)
    said = (FOLDER / "log").read_text("utf-8", "replace").strip().splitlines()[-1:]
    stop()
    return f"No rest-server listens at {given['ADDRESS']}: {' '.join(said) or 'it said nothing'}"


def stop() -> None:
    """The process is ended by its id, once it is seen to be this folder's."""
    with suppress(OSError, ValueError):
        pid = int((FOLDER / "pid").read_text("ascii"))
        if str(FOLDER).encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGTERM)
    shutil.rmtree(FOLDER, ignore_errors=True)


if __name__ == "__main__":
    sys.exit({"start": start, "stop": stop}[sys.argv[1]]())
