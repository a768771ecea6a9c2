"""`make demo`: the main job on the built-in lab, from two clients' files to backups kept as promised.

Each step is a command that a technician could type himself; it is printed before it runs.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parent.parent
INVENTORY = "inventories/lab"
RESTIC = r'"C:\Program Files\ProSecours\restic.cmd"'
LAB = [sys.executable, "-m", "windows_lab"]
# The lab's interventions are no client's: its journal is its own.
os.environ["PROSECOURS_JOURNAL"] = str(CHECKOUT / "build" / "lab-journal.jsonl")

NEXT = """\
What to try next, after `source .venv/bin/activate; export PROSECOURS_JOURNAL=build/lab-journal.jsonl`:

  ansible-playbook playbooks/deploy.yml --check --diff
      nothing to change: the servers are what the files say
  python -m windows_lab run moulin-srv1 'schtasks /change /tn \\ProSecours\\Sauvegarde /disable'
  ansible-playbook playbooks/monitor.yml
      finds it, says since when, and fails; the report has it too
  ansible-playbook playbooks/deploy.yml --diff
      names the disabled task, and repairs it
  cp inventories/lab/clients/earl_des_tilleuls.yml inventories/lab/clients/my_farm.yml
      edit its names, reference and address, then `make demo` again: one client more
  python -m windows_lab status; python -m windows_lab log
      what the lab's servers were asked
  make lab-down
      stops it all
"""

STEPS = (
    (
        "Start the lab: a stand-in for each server, a repository for each client",
        [*LAB, "up", "--inventory", INVENTORY],
    ),
    (
        "Deploy: check the contracts, ask the servers, bring and configure the agent",
        ["ansible-playbook", "-i", INVENTORY, "playbooks/deploy.yml"],
    ),
    (
        "Let the night pass: the servers' own task schedulers start the backups",
        [*LAB, "clock", "--advance", "1d"],
    ),
    (
        "Give one client a past: a version for each of twenty evenings",
        [sys.executable, "tools/past_weeks.py", "earl_des_tilleuls"],
    ),
    (
        "Maintain the repositories: check them, keep what is promised, restore files for trial",
        ["ansible-playbook", "-i", INVENTORY, "playbooks/retention.yml", "--diff"],
    ),
    (
        "How the backups of all clients stand",
        ["ansible-playbook", "-i", INVENTORY, "playbooks/status.yml"],
    ),
    (
        "Monitor: look at every client from both sides, and write the report",
        ["ansible-playbook", "-i", INVENTORY, "playbooks/monitor.yml"],
    ),
)
REPORT = CHECKOUT / "build" / "reports" / "monitoring" / "surveillance.html"


def main() -> int:
    """Run the steps; the exit code of the first that fails, else 0."""
    for number, (title, command) in enumerate(STEPS, start=1):
        print(f"\n== {number}/{len(STEPS) + 1} {title}", flush=True)
        print(
            "   $ " + shlex.join("python" if word == sys.executable else word for word in command), flush=True
        )
        began = time.monotonic()
        code = subprocess.run(command, cwd=CHECKOUT, check=False).returncode
        if code:
            print(
                f"\nThis step failed (exit {code}); what it printed says why. `make demo` can be run again.",
                file=sys.stderr,
            )
            return code
        print(f"   {time.monotonic() - began:.0f} s", flush=True)
    print(f"\n== {len(STEPS) + 1}/{len(STEPS) + 1} What lies in the repositories, asked from each server\n")
    rows = [row(host) for host in hosts()]
    table([("client", "server", "perimeter", "files", "bytes", "snapshots", "next run (UTC)"), *rows])
    print(f"\n{NEXT}\nThe report of all clients, for a browser: {REPORT}")
    return 0 if all(row[5] != "0" for row in rows) else 1


def hosts() -> list[dict[str, Any]]:
    """The lab's servers as its status tells them."""
    status: dict[str, Any] = json.loads(output([*LAB, "status", "--json"]))
    return list(status["hosts"])


def row(host: dict[str, Any]) -> tuple[str, ...]:
    """One line of the table: what the newest snapshot of this server says of itself."""
    listing = output(
        [*LAB, "run", host["name"], f"{RESTIC} snapshots --json --no-lock --host {host['name']}"]
    )
    snapshots = sorted(json.loads(listing), key=lambda snapshot: snapshot["time"])
    task = next((task for task in host["tasks"] if task["task"].endswith("Sauvegarde")), {})
    newest = snapshots[-1] if snapshots else {"paths": [], "summary": {}}
    summary = newest["summary"]
    return (
        host["client"],
        host["name"],
        f"{len(newest['paths'])} paths",
        f"{summary.get('total_files_processed', 0)}",
        f"{summary.get('total_bytes_processed', 0):,}".replace(",", " "),
        f"{len(snapshots)}",
        str(task.get("next_run") or "none")[:16].replace("T", " "),
    )


def output(command: list[str]) -> str:
    """What a command prints; it has to succeed."""
    return subprocess.run(command, cwd=CHECKOUT, check=True, capture_output=True, text=True).stdout


def table(rows: list[tuple[str, ...]]) -> None:
    """Print rows in columns, the first as a heading."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rows.insert(1, tuple("-" * width for width in widths))
    for cells in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip())


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print(
            "\nInterrupted. Nothing is lost: `make demo` goes on from here, `make lab-down` stops the lab.",
            file=sys.stderr,
        )
        sys.exit(130)
