"""ansible-playbook as a technician starts it, and what a run leaves."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
PLAYBOOKS = CHECKOUT / "playbooks"


@dataclass(frozen=True)
class Played:
    """What one run left: its exit code and all that it printed."""

    code: int
    stdout: str
    stderr: str = ""

    @property
    def output(self) -> str:
        return self.stdout + self.stderr

    @property
    def text(self) -> str:
        """All that was printed, on one line."""
        return re.sub(r"\s+", " ", self.output)

    @property
    def recap(self) -> dict[str, int]:
        """The counters of the last line of the recap: of the run's last host by name."""
        return self.counters("")

    def counters(self, host: str) -> dict[str, int]:
        """The counters of a host in the recap."""
        lines = [line for line in self.output.splitlines() if re.match(rf"{host}\S* +: ok=.* failed=", line)]
        pairs = (part.split("=") for part in lines[-1].split(":", 1)[1].split())
        return {name: int(number) for name, number in pairs}

    @property
    def changes(self) -> list[str]:
        """The headers of the diff, in order: what was, or would be, changed."""
        head = "--- before: "
        return [line.removeprefix(head) for line in self.output.splitlines() if line.startswith(head)]


def command(inventory: Path | str, playbook: Path | str, *arguments: str) -> list[str]:
    """The words of the command line; a playbook of the collection is named without folder and ending."""
    path = PLAYBOOKS / f"{playbook}.yml" if isinstance(playbook, str) else playbook
    return ["ansible-playbook", "-i", str(inventory), str(path), *arguments]


def play(
    inventory: Path | str,
    playbook: Path | str,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    before: tuple[str, ...] = (),
    timeout: float = 300,
) -> Played:
    """One run, however it ends. `before`: a program that starts it, such as faketime. `timeout`: seconds."""
    done = subprocess.run(
        [*before, *command(inventory, playbook, *arguments)],
        cwd=CHECKOUT,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1", **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return Played(done.returncode, done.stdout, done.stderr)
