"""The made-up provider that is measured: inventories of equal clients, their lab, runs of playbooks."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bench import machines
from windows_lab.control import Control

CHECKOUT = Path(__file__).resolve().parents[2]
FOLDER = CHECKOUT / "build" / "bench"
STATE = FOLDER / "lab"
COLLECTIONS = CHECKOUT / "build" / "collections"
CHECK, DEPLOY, MONITOR = (CHECKOUT / "playbooks" / f"{name}.yml" for name in ("check", "deploy", "monitor"))
NOTHING = CHECKOUT / "tests" / "bench" / "action_plugins" / "nothing.py"


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


# -- inventories ----------------------------------------------------------------------------------------


def inventory(size: int) -> Path:
    """The inventory of the first `size` clients, written when it is asked for first: a contract is checked
    for all clients of an inventory, whatever --limit says."""
    folder = FOLDER / "inventories" / str(size)
    if not folder.exists():
        (folder / "clients").mkdir(parents=True)
        shutil.copy(CHECKOUT / "inventories" / "lab" / "all_clients.yml", folder)
        for number in range(1, size + 1):
            client = f"bench_{number:04}"
            text = yaml.safe_dump({"prosecours_clients": {"children": {client: _client(number)}}})
            (folder / "clients" / f"{client}.yml").write_text(text, "utf-8")
    return folder


def _client(number: int) -> dict[str, Any]:
    """A client with one server, all equal. Only names, addresses and ports differ: see machines.Replay."""
    server = f"bench-{number:04}"
    host = {
        "prosecours_root": "D:\\",
        "prosecours_software": ["isagiwf_backup", "isagiwf_giw", "isabanq"],
        "prosecours_office": ["D:\\Bureautique"],
        "lab_files": {
            "D:\\isagiwf": {"backup": {"compta.bak": 2_000_000}, "B0001.GIW": 100_000},
            "D:\\isabanq": {"releve.txt": 20_000},
            "D:\\Bureautique": {"lettre.docx": 30_000},
        },
    }
    contact = {"title": "M.", "first_name": "Banc", "name": "Essai"}
    return {
        "vars": {
            # Plain values, as a vault gives them: no lookup for each task.
            "ansible_password": "for-this-machine-only",
            "prosecours_client_name": f"GAEC du Banc {number:04}",
            "prosecours_contract_reference": f"PS-2026-{number:04}",
            "prosecours_subscribed_gb": 50,
            "prosecours_backup_spread_minutes": 0,
            "prosecours_contact_main": {
                **contact,
                "email": "essai@banc.example",
                "mobile": "06 12 34 56 78",
            },
            "prosecours_repository_url": f"rest:https://127.0.0.1:{20000 + number}/",
        },
        "hosts": {
            server: {
                "ansible_host": f"127.0.{9 + number // 250}.{number % 250 + 1}",
                **{f"prosecours_{kind}_password": f"{kind}-of-{server}" for kind in machines.SECRETS},
                **host,
            }
        },
    }


# -- the lab --------------------------------------------------------------------------------------------


@contextmanager
def one_host(machine: str) -> Iterator[None]:
    """A lab of one server and its repository."""
    try:
        _run("windows_lab", "up", "-i", str(inventory(1)), "--machine", f"bench.machines:{machine}")
        yield
    finally:
        _run("windows_lab", "down")


def _run(module: str, *arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", module, *arguments], check=False, stdout=sys.stderr)
    if done.returncode:  # it has said why
        raise SystemExit(done.returncode)


def events(kind: str) -> list[dict[str, Any]]:
    """What the journal of the lab's one host has of a kind."""
    journal = STATE / "hosts" / machines.RECORDED / "journal.jsonl"
    every = [json.loads(line) for line in journal.read_text("utf-8").splitlines()]
    return [event for event in every if event["event"] == kind]


def counted(playbook: Path, *arguments: str, **environment: str) -> dict[str, Any]:
    """One run on one host, as its journal saw it."""
    Control(STATE).ask("reset")
    play(playbook, 1, *arguments, **environment)
    [host] = Control(STATE).ask("status")["hosts"]
    counters: dict[str, Any] = host["counters"]
    if not counters["authenticated_requests"]:
        raise SystemExit(f"{playbook.name} asked nothing of {machines.RECORDED}: there is nothing to compare")
    return counters


# -- runs -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cost:
    """What a program and all that it starts needed."""

    seconds: float
    cpu_seconds: float
    megabytes: int
    """The most memory at once, each page counted once (PSS), looked at every two seconds; 0: over before."""
    output: str

    def figures(self) -> dict[str, float]:
        return {
            "seconds": round(self.seconds, 2),
            "cpu_seconds": round(self.cpu_seconds, 2),
            "megabytes": self.megabytes,
        }


def play(playbook: Path, size: int, *arguments: str, **environment: str) -> Cost:
    """A run on all servers of the inventory of `size`. Its whole output is kept beside."""
    command = ["ansible-playbook", "-i", str(inventory(size)), str(playbook), *arguments]
    return measured(
        command,
        {
            "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"),
            "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default",
            "ANSIBLE_ACTION_PLUGINS": str(NOTHING.parent),
            "ANSIBLE_FORKS": "20",
            **environment,
        },
    )


def idle(playbook: Path, size: int, *arguments: str, **environment: str) -> Cost:
    """A run that finds nothing to do, and says so."""
    cost = play(playbook, size, *arguments, **environment)
    recap = cost.output.rpartition("PLAY RECAP")[2]
    if re.search(r"changed=[1-9]|failed=[1-9]|unreachable=[1-9]", recap):
        raise SystemExit(f"A run that should change nothing did something:\n{recap[-2000:]}")
    return cost


def measured(command: list[str], environment: dict[str, str]) -> Cost:
    """Run a program to its good end, and tell what it cost."""
    log = FOLDER / "program.log"
    before, began = os.times(), time.monotonic()
    with log.open("w", encoding="utf-8") as output, log.with_suffix(".errors").open("w") as errors:
        process = subprocess.Popen(
            command, env={**os.environ, **environment}, cwd=CHECKOUT, stdout=output, stderr=errors
        )
        most = [0]
        over = threading.Event()
        watch = threading.Thread(target=_watch, args=(process.pid, most, over))
        watch.start()
        code = process.wait()
        over.set()
        watch.join()
    after = os.times()
    if code:
        raise SystemExit(f"{command[0]} failed (exit code {code}); its output is in {log}")
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Cost(time.monotonic() - began, cpu, most[0] // 1024, log.read_text("utf-8"))


def _watch(pid: int, most: list[int], over: threading.Event) -> None:
    while not over.wait(2):
        most[0] = max(most[0], sum(map(_kilobytes, _tree(pid))))


def _tree(pid: int) -> Iterator[int]:
    yield pid
    with suppress(OSError):
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            for child in children.read_text().split():
                yield from _tree(int(child))


def _kilobytes(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:  # it has ended
        return 0
    found = re.search(r"(?m)^Pss:\s+(\d+) kB", text)
    return int(found[1]) if found else 0
