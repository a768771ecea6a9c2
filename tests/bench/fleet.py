"""What the number of servers costs: whole runs of playbooks with nothing to change, on up to 1,000 of them.

They answer from a recording of the Wine host: 1,000 Wines on the same processors would measure Wine. A run
is held against what costs nothing of ours: the same playbook whose two actions on the hosts do nothing, bare
tasks that do nothing, and alone.py, one process that asks the same questions by threads.
"""

from __future__ import annotations

import json
import math
import re
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench import machines
from bench.site import (
    CHECK,
    CHECKOUT,
    DEPLOY,
    FOLDER,
    MONITOR,
    NOTHING,
    STATE,
    Cost,
    idle,
    inventory,
    measured,
    say,
)
from windows_lab import inventory as lab_inventory
from windows_lab.inventory import Plan
from windows_lab.lab import Lab

SMALL = (1, 10, 50)
"""Here each run has its turn several times, and the best counts."""
LARGE = (500, 1000)
MOST = max(LARGE)
REPORTS = ("--extra-vars", json.dumps({"prosecours_report_dir": str(FOLDER / "reports")}))


def costs(repeat: int) -> dict[str, Any]:
    """By number of servers: the costs of each kind of run, and how many tasks were skipped."""
    with _answering():
        result = {str(size): _of(size, repeat if size in SMALL else 1) for size in (*SMALL, *LARGE)}
        for size in (50, MOST):
            say(f"Check and monitoring of {size} hosts")
            result[str(size)] |= {"check": idle(CHECK, size).figures(), "monitor": _monitor(size)}
        say(f"One process with 20 threads over {MOST} hosts")
        command = [sys.executable, "-m", "bench.alone", str(inventory(MOST)), str(STATE / "ca.pem")]
        result[str(MOST)]["alone"] = measured(command, {}).figures()
    return result


def exponent(result: dict[str, Any], of: str = "cpu_seconds") -> float:
    """Of the growth from 50 servers to the most: 1 is as many times more."""
    few, many = (result[str(size)]["deploy"][of] for size in (50, MOST))
    return round(math.log(many / few) / math.log(MOST / 50), 3)


def _of(size: int, repeat: int) -> dict[str, Any]:
    say(f"Nothing to change on {size} host{'s' * (size > 1)}{f', {repeat} times' * (repeat > 1)}")
    shape = {"ANSIBLE_COLLECTIONS_PATH": str(_shape())}
    runs: dict[str, list[Cost]] = {}
    for _ in range(repeat):
        runs.setdefault("deploy", []).append(idle(DEPLOY, size))
        if size in SMALL:
            runs.setdefault("same_playbook", []).append(idle(DEPLOY, size, **shape))
        runs.setdefault("two_bare_tasks", []).append(idle(_bare(2), size))
    skipped = sum(map(int, re.findall(r"skipped=(\d+)", runs["deploy"][0].output)))
    best = {kind: min(costs, key=lambda cost: cost.cpu_seconds) for kind, costs in runs.items()}
    return {"skipped": skipped, **{kind: cost.figures() for kind, cost in best.items()}}


def _monitor(size: int) -> dict[str, Any]:
    """A run that has to have reached every host."""
    cost = idle(MONITOR, size, *REPORTS)
    folder = FOLDER / "reports" / "monitoring"
    report = json.loads((folder / "report.json").read_text("utf-8"))
    reached = [server["reachable"] for client in report["clients"] for server in client["servers"]]
    if reached != [True] * size:
        raise SystemExit(f"{reached.count(True)} of {len(reached)} hosts were reached")
    return {
        **cost.figures(),
        "html_bytes": (folder / "surveillance.html").stat().st_size,
        "report_bytes": (folder / "report.json").stat().st_size,
    }


def _shape() -> Path:
    """A folder of collections with this one, in which the actions on the hosts do nothing."""
    folder = FOLDER / "shape"
    copy = folder / "ansible_collections" / "prosecours" / "backup"
    (copy / "plugins" / "action").mkdir(parents=True, exist_ok=True)
    for source in ("meta", "roles", "schemas", "galaxy.yml", "plugins/*", "plugins/action/*.py"):
        for path in CHECKOUT.glob(source):
            target = copy / path.relative_to(CHECKOUT)
            if path.name in ("preflight.py", "agent.py"):
                path = NOTHING
            if not target.exists():
                target.symlink_to(path)
    return folder


def _bare(tasks: int) -> Path:
    playbook = FOLDER / "nothing.yml"
    play = {"hosts": "prosecours_clients", "gather_facts": False, "tasks": [{"nothing": None}] * tasks}
    playbook.write_text(json.dumps([play]), "utf-8")
    return playbook


@contextmanager
def _answering() -> Iterator[None]:
    """All hosts, in this process: what they cost is not among what is measured. They open no repository."""
    _unused, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # two listeners a host
    say(f"{MOST} hosts that answer as {machines.RECORDED} did")
    lab = Lab(STATE, machines.Replay)
    try:
        plan = lab_inventory.read([str(inventory(MOST))])
        lab.up(Plan(plan.hosts, []), lambda _: None)
        yield
    finally:
        lab.close()
