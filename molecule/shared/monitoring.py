"""Runs of monitor.yml as a timer starts them, and what they leave: shared by the scenarios about monitoring.

Reads the files that a run writes; shares no code with what writes them.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHECKOUT = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"])
REPORTS = Path(os.environ["PROSECOURS_LAB"], "reports", "monitoring")
INVENTORIES = [
    Path(os.environ["PROSECOURS_INVENTORY"]),
    *filter(Path.exists, [Path(os.environ["MOLECULE_SCENARIO_DIRECTORY"], "inventory")]),
]


@dataclass(frozen=True)
class Run:
    """The exit code of a run, what it printed, and the report that it left."""

    code: int
    output: str
    report: dict[str, Any]

    @property
    def client(self) -> dict[str, Any]:
        """The scenario's only client."""
        [client] = self.report["clients"]
        return dict(client)

    def findings(self, *statuses: str) -> dict[str, dict[str, Any]]:
        """Kind -> finding, of those with one of these statuses, or of all that are open."""
        return {
            finding["kind"]: finding
            for finding in self.client["findings"]
            if not statuses or finding["status"] in statuses
        }

    @property
    def closed(self) -> set[str]:
        """The kinds that this run found to be gone."""
        return {finding["kind"] for finding in self.report["closed"]}


def play(playbook: str, *arguments: str, before: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Run a playbook of the collection on the scenario's inventories."""
    inventories = [f"--inventory={path}" for path in INVENTORIES]
    return subprocess.run(
        [*before, "ansible-playbook", *inventories, f"playbooks/{playbook}.yml", *arguments],
        cwd=CHECKOUT,
        env=os.environ | {"ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def monitor(*arguments: str, before: tuple[str, ...] = ()) -> Run:
    """One run of monitoring; it has to leave a report, whatever it found."""
    (REPORTS / "report.json").unlink(missing_ok=True)
    done = play("monitor", *arguments, before=before)
    output = done.stdout + done.stderr
    assert (REPORTS / "report.json").exists(), output
    return Run(done.returncode, output, json.loads((REPORTS / "report.json").read_text("utf-8")))


def deploy() -> None:
    """Run the deploy as a technician does; it has to succeed."""
    done = play("deploy")
    assert done.returncode == 0, done.stdout + done.stderr


def lab(*arguments: str) -> None:
    """An order to the lab."""
    subprocess.run(["python", "-m", "windows_lab", *arguments], check=True, capture_output=True)
