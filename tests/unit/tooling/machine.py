"""A machine that lacks something: PATH holds nothing but stand-ins for the system's programs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[3]
ORDINARY = "bash cat cut dirname env flock grep head ln mkdir mktemp mv readlink rm sha256sum sleep tail"


class Machine:
    """A checkout and a PATH of its own. Programs that were called leave their arguments in `calls`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.checkout = folder / "checkout"
        self.programs = folder / "bin"
        self.calls_file = folder / "calls"
        (self.checkout / "tools").mkdir(parents=True)
        self.programs.mkdir()
        shutil.copy(CHECKOUT / "tools" / "setup", self.checkout / "tools" / "setup")
        for lock in ("requirements.txt", "requirements-dev.txt"):
            shutil.copy(CHECKOUT / lock, self.checkout)
        self.has(ORDINARY)
        self.program("git", "")
        self.program("id", "echo 1000")
        self.program("dpkg-query", "echo installed")
        self.program("python3", f'exec {sys.executable} "$@"')

    def has(self, names: str) -> None:
        """The real programs of these names."""
        for name in names.split():
            (self.programs / name).unlink(missing_ok=True)
            (self.programs / name).symlink_to(str(shutil.which(name)))

    def program(self, name: str, body: str) -> None:
        path = self.programs / name
        path.write_text(f'#!/bin/bash\necho "{name} $*" >>{self.calls_file}\n{body}\n')
        path.chmod(0o755)

    def setup(self, *steps: str, keep_calls: bool = False) -> tuple[int, str]:
        if not keep_calls:
            self.calls_file.write_text("")
        return self.run("setup", *steps)

    def run(self, tool: str, *arguments: str, **variables: str) -> tuple[int, str]:
        """Exit code and what was said; nothing is ever said on standard output."""
        with self.start(tool, *arguments, **variables) as process:
            said, errors = process.communicate(timeout=120)
        assert said == ""
        return process.returncode, errors

    def start(self, tool: str, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self.checkout / "tools" / tool, *arguments],
            env={"PATH": str(self.programs), "TMPDIR": str(self.folder), **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def calls(self, name: str) -> list[str]:
        return [line for line in self.calls_file.read_text().splitlines() if line.startswith(f"{name} ")]
