"""What a deploy costs, against the goals of the design. `python -m bench` writes build/bench.json.

1. requests and request-body bytes of a deploy with nothing to change, counted by a lab host with Wine;
2. the same for a playbook of equal effect made of stock modules (stock.yml): a host that swallows all counts;
3. the rate of delivery of restic.exe in the first deploy, against a bare pywinrm Send loop on that host;
4. wall time of a deploy with nothing to change on 1, 10 and 50 hosts, against the same playbook whose two
   actions on the hosts do nothing, and against as many bare tasks that do nothing. These hosts answer from a
   recording of the Wine host: 50 Wines on the same processors would measure Wine;
5. monitoring: requests and bytes a host, and the wall time of one run over these 50 clients, files included;
6. the maintenance: bytes that are read of what a server has sent before any of it is believed, a night;
7. what two servers of a client store in a repository for each, against one for both.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import winrm
import yaml

from bench import machines
from windows_lab.control import Control
from windows_lab.inventory import read

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT / "build" / "collections"))
from ansible_collections.prosecours.backup.plugins.plugin_utils import binaries  # noqa: E402

from bench import night  # noqa: E402

FOLDER = CHECKOUT / "build" / "bench"
STATE = FOLDER / "lab"
INVENTORY = FOLDER / "inventory"
DEPLOY = CHECKOUT / "playbooks" / "deploy.yml"
MONITOR = CHECKOUT / "playbooks" / "monitor.yml"
NOTHING = CHECKOUT / "tests" / "bench" / "action_plugins" / "nothing.py"
STOCK = "ansible==12.3.0"  # the PyPI package that brings ansible.windows and community.windows for this core
STOCK_SHA256 = "cd156f82fa87f7a899212b0efa9f7ca3a24d609212de9f78428a572eb01e5414"
HOSTS = 50
SIZES = (1, 10, HOSTS)
GOALS = {"requests": 10, "body_bytes": 32 * 1024, "delivery": 0.7, "wall_time": 1.5}
SINK = "tar -tzf - >nul"  # reads its standard input to the end, as the delivery does, and writes nothing
CHUNK = 256 * 1024  # bytes of input in one Send; what a default envelope of 500 KB holds as Base64


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--repeat", type=int, default=3, help="runs of each wall time; the best counts")
    repeat = parser.parse_args().repeat
    shutil.rmtree(FOLDER, ignore_errors=True)
    _write_inventory()
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    os.environ["PROSECOURS_LAB"] = str(STATE)
    os.environ["PROSECOURS_JOURNAL"] = str(FOLDER / "journal.jsonl")
    os.environ[machines.RECORDING] = str(FOLDER / "recording")
    result: dict[str, Any] = {"goals": GOALS}
    say("Two nights of a repository host")
    result["nights"] = night.measured()
    result["shared"] = night.shared()
    with _lab("Recorder", machines.RECORDED):
        result["delivery"] = _delivery()
        result["idle"] = _idle()
        result["monitor"] = _monitor_one()
    with _lab("Swallow", machines.RECORDED):
        result["stock"] = _stock()
    with _lab("Replay"):
        result["wall_time"] = _wall_time(repeat)
        result["monitor"] |= _monitor_all(repeat)
    (CHECKOUT / "build" / "bench.json").write_text(json.dumps(result, indent=2) + "\n", "utf-8")
    _print_table(result)
    return 0


# -- the measures ---------------------------------------------------------------------------------------


def _delivery() -> dict[str, Any]:
    """Rates in bytes of standard input a second: from the start of the command to its end."""
    say("First deploy: restic.exe is delivered")
    _play(DEPLOY, machines.RECORDED)
    delivered = max(_events("command"), key=lambda event: int(event.get("stdin") or 0))
    say("Bare pywinrm Send loop with as many bytes")
    plan = read([str(INVENTORY)], machines.RECORDED)
    [(user, password)] = plan.hosts[0].users.items()
    protocol = winrm.Protocol(
        endpoint=f"https://{plan.hosts[0].address}:5986/wsman",
        transport="ntlm",
        username=user,
        password=password,
        server_cert_validation="validate",
        ca_trust_path=str(STATE / "ca.pem"),
    )
    payload = _archive(int(delivered["stdin"]))
    shell = protocol.open_shell(codepage=65001)
    began = time.monotonic()
    command = protocol.run_command(shell, SINK, console_mode_stdin=False)
    for start in range(0, len(payload), CHUNK):
        block = payload[start : start + CHUNK]
        protocol.send_command_input(shell, command, block, end=start + CHUNK >= len(payload))
    protocol.get_command_output(shell, command)
    seconds = time.monotonic() - began
    protocol.close_shell(shell)
    ours = delivered["stdin"] / delivered["seconds"]
    bare = len(payload) / seconds
    return {
        "bytes": delivered["stdin"],
        "bytes_per_second": round(ours),
        "bare_bytes_per_second": round(bare),
        "ratio": round(ours / bare, 3),
    }


def _archive(size: int) -> bytes:
    """A gzip tar of restic.exe, cut to `size` bytes: what the sink takes for real."""
    restic = binaries.obtain(binaries.artefact("restic", "windows/amd64"), binaries.default_cache(), say)
    packed = subprocess.run(
        ["tar", "-czf", "-", "-C", str(restic.path.parent), restic.path.name], capture_output=True, check=True
    ).stdout
    return packed[:size]


def _idle() -> dict[str, Any]:
    say("Deploy with nothing to change")
    for kept in (FOLDER / "recording").glob("*.json"):
        kept.unlink()  # of the first deploy
    return _counted(DEPLOY)


def _monitor_one() -> dict[str, Any]:
    say("Monitoring of one host")
    counters = _counted(MONITOR, *_REPORTS)
    return {name: counters[name] for name in ("authenticated_requests", "body_bytes")}


def _monitor_all(repeat: int) -> dict[str, Any]:
    """The best of some runs over all hosts, each of which has to have been reached."""
    say(f"Monitoring of {HOSTS} hosts, {repeat} times")
    limit = ",".join(_names())
    seconds = min(_timed(MONITOR, limit, *_REPORTS)[0] for _ in range(repeat))
    folder = FOLDER / "reports" / "monitoring"
    report = json.loads((folder / "report.json").read_text("utf-8"))
    reached = [server["reachable"] for client in report["clients"] for server in client["servers"]]
    if reached != [True] * HOSTS:
        raise SystemExit(f"{reached.count(True)} of {len(reached)} hosts were reached")
    return {
        "hosts": HOSTS,
        "seconds": round(seconds, 2),
        "html_bytes": (folder / "surveillance.html").stat().st_size,
        "report_bytes": (folder / "report.json").stat().st_size,
    }


_REPORTS = ("--extra-vars", json.dumps({"prosecours_report_dir": str(FOLDER / "reports")}))


def _stock() -> dict[str, Any]:
    folder = binaries.default_cache() / STOCK.replace("==", "-")
    if not folder.exists():
        say(f"Fetching the stock collections ({STOCK}, 54 MB)")
        pinned = FOLDER / "stock.txt"
        pinned.write_text(f"{STOCK} --hash=sha256:{STOCK_SHA256}\n", "utf-8")
        unfinished = folder.with_name(folder.name + ".new")
        shutil.rmtree(unfinished, ignore_errors=True)
        install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes"]
        subprocess.run([*install, "--target", unfinished, "-r", pinned], check=True)
        unfinished.rename(folder)
    say("The stock playbook, against a host that swallows what is sent")
    restic = binaries.obtain(binaries.artefact("restic", "windows/amd64"), binaries.default_cache(), say)
    variables = {
        "restic": str(restic.path),
        "perimeter": [r"D:\isagiwf\backup", r"D:\isabanq", r"D:\Bureautique"],
    }
    return _counted(
        CHECKOUT / "tests" / "bench" / "stock.yml",
        *("--extra-vars", json.dumps(variables)),
        ANSIBLE_COLLECTIONS_PATH=os.pathsep.join((str(folder), str(CHECKOUT / "build" / "collections"))),
    )


def _counted(playbook: Path, *arguments: str, **environment: str) -> dict[str, Any]:
    """One run on one host, as its journal saw it."""
    Control(STATE).ask("reset")
    _play(playbook, machines.RECORDED, *arguments, **environment)
    [host] = Control(STATE).ask("status")["hosts"]
    counters: dict[str, Any] = host["counters"]
    if not counters["authenticated_requests"]:
        raise SystemExit(f"{playbook.name} asked nothing of {machines.RECORDED}: there is nothing to compare")
    return counters


def _wall_time(repeat: int) -> dict[str, Any]:
    """Seconds of whole ansible-playbook runs, by number of hosts; the three kinds take turns."""
    shape = _shape()
    result: dict[str, Any] = {}
    for size in SIZES:
        limit = ",".join(_names()[:size])
        say(f"Nothing to change on {size} host{'s' * (size > 1)}, {repeat} times")
        runs = []
        for _ in range(repeat):
            deploy, recap = _timed(DEPLOY, limit)
            # What ran once for all hosts is not in the last host's recap: that counts against us.
            tasks = int(re.findall(r"bench-\d+ .*?ok=(\d+)", recap)[-1])
            same, _ = _timed(DEPLOY, limit, ANSIBLE_COLLECTIONS_PATH=str(shape))
            bare, _ = _timed(_bare(tasks), limit)
            runs.append((deploy, same, bare))
        deploy, same, bare = (min(times) for times in zip(*runs, strict=True))
        result[str(size)] = {
            "seconds": round(deploy, 2),
            "same_playbook_seconds": round(same, 2),
            "ratio": round(deploy / same, 2),
            "bare_tasks": tasks,
            "bare_tasks_seconds": round(bare, 2),
            "bare_ratio": round(deploy / bare, 2),
        }
    return result


def _shape() -> Path:
    """A folder of collections with this one, in which the actions on the hosts do nothing."""
    folder = FOLDER / "shape"
    copy = folder / "ansible_collections" / "prosecours" / "backup"
    (copy / "plugins" / "action").mkdir(parents=True)
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


def _timed(playbook: Path, limit: str, *arguments: str, **environment: str) -> tuple[float, str]:
    began = time.monotonic()
    recap = _play(playbook, limit, *arguments, **environment)
    seconds = time.monotonic() - began
    if re.search(r"changed=[1-9]|failed=[1-9]|unreachable=[1-9]", recap):
        raise SystemExit(f"A run that should change nothing did something:\n{recap}")
    return seconds, recap


# -- the lab --------------------------------------------------------------------------------------------


def _names() -> list[str]:
    return [f"bench-{number:02}" for number in range(1, HOSTS + 1)]


def _write_inventory() -> None:
    """A client for each server, all equal. Only names, addresses and ports differ: see machines.Replay."""
    (INVENTORY / "clients").mkdir(parents=True)
    shutil.copy(CHECKOUT / "inventories" / "lab" / "all_clients.yml", INVENTORY)
    for number, name in enumerate(_names(), start=1):
        client = _client(number, name)
        text = yaml.safe_dump({"prosecours_clients": {"children": {f"bench_{number:02}": client}}})
        (INVENTORY / "clients" / f"bench_{number:02}.yml").write_text(text, "utf-8")


def _client(number: int, server: str) -> dict[str, Any]:
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
            "prosecours_client_name": f"GAEC du Banc {number:02}",
            "prosecours_contract_reference": f"PS-2026-99{number:02}",
            "prosecours_subscribed_gb": 50,
            "prosecours_backup_spread_minutes": 0,
            "prosecours_contact_main": {
                **contact,
                "email": "essai@banc.example",
                "mobile": "06 12 34 56 78",
            },
            "prosecours_repository_url": f"rest:https://127.0.0.1:191{number:02}/",
        },
        "hosts": {
            server: {
                "ansible_host": f"127.0.9.{number}",
                **{f"prosecours_{kind}_password": f"{kind}-of-{server}" for kind in machines.SECRETS},
                **host,
            }
        },
    }


@contextmanager
def _lab(machine: str, only: str | None = None) -> Iterator[None]:
    chosen = ["--only", only] if only else []
    try:
        _run("windows_lab", "up", "-i", str(INVENTORY), "--machine", f"bench.machines:{machine}", *chosen)
        yield
    finally:
        _run("windows_lab", "down")


def _run(module: str, *arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", module, *arguments], check=False, stdout=sys.stderr)
    if done.returncode:  # it has said why
        raise SystemExit(done.returncode)


def _events(kind: str) -> list[dict[str, Any]]:
    journal = STATE / "hosts" / machines.RECORDED / "journal.jsonl"
    events = [json.loads(line) for line in journal.read_text("utf-8").splitlines()]
    return [event for event in events if event["event"] == kind]


def _play(playbook: Path, limit: str, *arguments: str, **environment: str) -> str:
    """The recap of a run. Its whole output is kept beside."""
    done = subprocess.run(
        ["ansible-playbook", "-i", str(INVENTORY), str(playbook), "--limit", limit, *arguments],
        env={
            **os.environ,
            "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"),
            "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default",
            "ANSIBLE_ACTION_PLUGINS": str(NOTHING.parent),
            "ANSIBLE_FORKS": "20",
            **environment,
        },
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    log = FOLDER / "playbook.log"
    log.write_text(done.stdout + done.stderr, "utf-8")
    if done.returncode:
        raise SystemExit(f"{playbook.name} failed (exit code {done.returncode}); its output is in {log}")
    return done.stdout.rpartition("PLAY RECAP")[2]


# -- the report -----------------------------------------------------------------------------------------


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _print_table(result: dict[str, Any]) -> None:
    idle, stock, delivery = result["idle"], result["stock"], result["delivery"]
    rows = [
        ("measure", "this collection", "compared with", "", "goal", ""),
        _row(
            "authenticated requests, nothing to change",
            idle["authenticated_requests"],
            "stock modules",
            stock["authenticated_requests"],
            f"<= {GOALS['requests']}",
            idle["authenticated_requests"] <= GOALS["requests"],
        ),
        _row(
            "KB of request bodies, nothing to change",
            round(idle["body_bytes"] / 1024, 1),
            "stock modules",
            round(stock["body_bytes"] / 1024),
            f"<= {GOALS['body_bytes'] // 1024}",
            idle["body_bytes"] <= GOALS["body_bytes"],
        ),
        _row(
            "MB/s of delivery",
            round(delivery["bytes_per_second"] / 1e6, 1),
            "bare Send loop",
            round(delivery["bare_bytes_per_second"] / 1e6, 1),
            ">= 70 %",
            delivery["ratio"] >= GOALS["delivery"],
        ),
    ]
    for size, measured in result["wall_time"].items():
        goal = size == str(HOSTS)
        rows.append(
            _row(
                f"s for {size} host(s), nothing to change",
                measured["seconds"],
                "its actions do nothing",
                measured["same_playbook_seconds"],
                "<= 1.5 times" if goal else "",
                measured["ratio"] <= GOALS["wall_time"] if goal else None,
            )
        )
    tasks, bare = measured["bare_tasks"], measured["bare_tasks_seconds"]
    rows.append(_row("the same", measured["seconds"], f"{tasks} bare tasks of nothing", bare, "", None))
    monitor = result["monitor"]
    requests, size = monitor["authenticated_requests"], round(monitor["body_bytes"] / 1024, 1)
    rows += [
        _row(
            "authenticated requests, monitoring", requests, "deploy", idle["authenticated_requests"], "", None
        ),
        _row(
            "KB of request bodies, monitoring", size, "deploy", round(idle["body_bytes"] / 1024, 1), "", None
        ),
        _row(
            f"s for {HOSTS} hosts monitored",
            monitor["seconds"],
            "deploy, nothing to change",
            measured["seconds"],
            "",
            None,
        ),
        _row(
            "KB of the report for them",
            round(monitor["html_bytes"] / 1024),
            "as JSON",
            round(monitor["report_bytes"] / 1024),
            "",
            None,
        ),
    ]
    for name, one in zip(("the first night", "the next one"), result["nights"], strict=True):
        read, arrived = (round(one[key] / 1e6, 1) for key in ("read_bytes", "arrived_bytes"))
        what = f"MB read in {one['seconds']} s before they are believed, {name}"
        rows.append(_row(what, read, "that arrived", arrived, "", None))
    one, two = (round(result["shared"][key] / 1e6, 2) for key in ("one", "two"))
    rows.append(_row("MB of two servers in two repositories", two, "in one", one, "", None))
    widths = [max(len(row[column]) for row in rows) for column in range(6)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _row(
    name: str, ours: float, other: str, theirs: float, goal: str, reached: bool | None
) -> tuple[str, str, str, str, str, str]:
    verdict = "" if reached is None else "reached" if reached else "MISSED"
    return name, str(ours), other, str(theirs), goal, verdict


if __name__ == "__main__":
    sys.exit(main())
