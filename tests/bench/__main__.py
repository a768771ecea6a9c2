"""What a deploy costs, against the goals of the design. `python -m bench` writes build/bench.json.

1. requests and request-body bytes of a deploy with nothing to change, counted by a lab host with Wine;
2. the same for a playbook of equal effect made of stock modules (stock.yml): a host that swallows all counts;
3. the rate of delivery of restic.exe, the best of some, against a bare pywinrm Send loop on that host;
4. processor time, wall time and memory by number of hosts, up to 1,000 (fleet);
5. the maintenance: bytes that are read of what a server has sent before any of it is believed, a night;
6. what two servers of a client store in a repository for each, against one for both;
7. calls of restic and CPU time of the maintenance: of a large client, of 20 small ones, and reckoned for 500.

Times of one run are compared with each other and with no other run's: machines differ, and their load does.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import winrm

from bench import fleet, machines
from bench.site import (
    CHECKOUT,
    COLLECTIONS,
    DEPLOY,
    FOLDER,
    MONITOR,
    STATE,
    counted,
    events,
    inventory,
    one_host,
    play,
    say,
)
from windows_lab.control import Control
from windows_lab.inventory import read

sys.path.insert(0, str(COLLECTIONS))
from ansible_collections.prosecours.backup.plugins.plugin_utils import binaries

from bench import night

STOCK = "ansible==12.3.0"  # the PyPI package that brings ansible.windows and community.windows for this core
STOCK_SHA256 = "cd156f82fa87f7a899212b0efa9f7ca3a24d609212de9f78428a572eb01e5414"
SINK = "tar -tzf - >nul"  # reads its standard input to the end, as the delivery does, and writes nothing
CHUNK = 256 * 1024  # bytes of input in one Send; what a default envelope of 500 KB holds as Base64


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--repeat", type=int, default=3, help="runs of what is timed; the best counts")
    repeat = parser.parse_args().repeat
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    os.environ["PROSECOURS_LAB"] = str(STATE)
    os.environ["PROSECOURS_JOURNAL"] = str(FOLDER / "journal.jsonl")
    os.environ[machines.RECORDING] = str(FOLDER / "recording")
    result = Result()
    say("Two nights of a repository host")
    result["nights"] = night.measured()
    result["shared"] = night.shared()
    say("Nights of a large client and of 20 small ones")
    result["called"] = night.called()
    with one_host("Recorder"):
        result["delivery"] = _delivery(repeat)
        say("Deploy and monitoring with nothing to change")
        for kept in (FOLDER / "recording").glob("*.json"):
            kept.unlink()  # of the first deploy
        result["idle"] = counted(DEPLOY)
        result["monitor"] = counted(MONITOR, *fleet.REPORTS)
    with one_host("Swallow"):
        result["stock"] = _stock()
    result["fleet"] = fleet.costs(repeat)
    _print_table(result)
    return 0


class Result(dict[str, Any]):
    """Kept part by part: what goes wrong in the last one loses none of the others' minutes."""

    def __setitem__(self, part: str, figures: Any) -> None:
        super().__setitem__(part, figures)
        (CHECKOUT / "build" / "bench.json").write_text(json.dumps(self, indent=2) + "\n", "utf-8")


# -- one host -------------------------------------------------------------------------------------------


def _delivery(repeat: int) -> dict[str, Any]:
    """Rates in bytes of standard input a second, from the start of the command to its end; the two take
    turns, and the best of each counts."""
    runs = []
    for number in range(1, repeat + 1):
        say(f"restic.exe is delivered, then as much by a bare pywinrm Send loop ({number} of {repeat})")
        if number > 1:
            Control(STATE).ask("reset", host=machines.RECORDED)
            _remove_binary()
        play(DEPLOY, 1)
        delivered = max(events("command"), key=lambda event: int(event.get("stdin") or 0))
        runs.append((delivered["stdin"] / delivered["seconds"], _sent(delivered["stdin"])))
    ours, bare = (max(rates) for rates in zip(*runs, strict=True))
    return {
        "bytes": delivered["stdin"],
        "bytes_per_second": round(ours),
        "bare_bytes_per_second": round(bare),
        "ratio": round(ours / bare, 3),
    }


def _protocol() -> winrm.Protocol:
    [host] = read([str(inventory(1))], machines.RECORDED).hosts
    [(user, password)] = host.users.items()
    return winrm.Protocol(
        endpoint=f"https://{host.address}:5986/wsman",
        transport="ntlm",
        username=user,
        password=password,
        server_cert_validation="validate",
        ca_trust_path=str(STATE / "ca.pem"),
    )


def _remove_binary() -> None:
    protocol = _protocol()
    shell = protocol.open_shell(codepage=65001)
    command = protocol.run_command(shell, r'del "C:\Program Files\ProSecours\restic.exe"')
    _out, errors, code = protocol.get_command_output(shell, command)
    protocol.close_shell(shell)
    if code:
        raise SystemExit(f"restic.exe stays on {machines.RECORDED}: {errors.decode()}")


def _sent(size: int) -> float:
    payload = _archive(size)
    protocol = _protocol()
    shell = protocol.open_shell(codepage=65001)
    began = time.monotonic()
    command = protocol.run_command(shell, SINK, console_mode_stdin=False)
    for start in range(0, len(payload), CHUNK):
        block = payload[start : start + CHUNK]
        protocol.send_command_input(shell, command, block, end=start + CHUNK >= len(payload))
    protocol.get_command_output(shell, command)
    seconds = time.monotonic() - began
    protocol.close_shell(shell)
    return len(payload) / seconds


def _archive(size: int) -> bytes:
    """A gzip tar of restic.exe, cut to `size` bytes: what the sink takes for real."""
    restic = binaries.obtain(binaries.artefact("restic", "windows/amd64"), binaries.default_cache(), say)
    packed = subprocess.run(
        ["tar", "-czf", "-", "-C", str(restic.path.parent), restic.path.name], capture_output=True, check=True
    ).stdout
    return packed[:size]


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
    return counted(
        CHECKOUT / "tests" / "bench" / "stock.yml",
        *("--extra-vars", json.dumps(variables)),
        ANSIBLE_COLLECTIONS_PATH=os.pathsep.join((str(folder), str(COLLECTIONS))),
    )


# -- the report -----------------------------------------------------------------------------------------


def _print_table(result: dict[str, Any]) -> None:
    rows: list[tuple[str, ...]] = [("measure", "ours", "compared with", "", "ratio", "goal", "")]
    rows += [*_of_one_host(result), *_of_the_fleet(result["fleet"]), *_of_the_repository_host(result)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _of_one_host(result: dict[str, Any]) -> list[tuple[str, ...]]:
    idle, stock, monitor, delivery = (result[name] for name in ("idle", "stock", "monitor", "delivery"))
    requests, body = "authenticated_requests", "body_bytes"
    ours, bare = (delivery[f"{kind}bytes_per_second"] for kind in ("", "bare_"))
    return [
        _row("requests of an idle deploy", idle[requests], "stock modules", stock[requests], most=5),
        _row("KB of their bodies", _kb(idle[body]), "stock modules", _kb(stock[body]), most=15),
        _row("requests of monitoring", monitor[requests], "idle deploy", idle[requests]),
        _row("KB of their bodies", _kb(monitor[body]), "idle deploy", _kb(idle[body])),
        _row(
            "MB/s of delivery", round(ours / 1e6, 1), "bare Send loop", round(bare / 1e6, 1), least_ratio=0.7
        ),
    ]


def _of_the_fleet(fleet_costs: dict[str, Any]) -> list[tuple[str, ...]]:
    rows = []
    for size, kinds in fleet_costs.items():
        deploy, bare, same = kinds["deploy"], kinds["two_bare_tasks"], kinds.get("same_playbook")
        at = f"{size} host{'s' * (size != '1')}"
        cpu = f"CPU s, idle deploy of {at} ({deploy['seconds']:.1f} s, {kinds['skipped']} tasks skipped)"
        goal = {"most_ratio": 2.0} if size == "50" else {}
        rows.append(_row(cpu, deploy["cpu_seconds"], "two bare tasks", bare["cpu_seconds"], **goal))
        if same:
            goal = {"most_ratio": 1.5} if size == "50" else {}
            rows.append(
                _row(
                    "  the same", deploy["cpu_seconds"], "its actions do nothing", same["cpu_seconds"], **goal
                )
            )
        for other in ("check", "monitor"):
            if found := kinds.get(other):
                what = f"CPU s, {other} of {at} ({found['seconds']:.1f} s, {found['megabytes']} MB)"
                rows.append(_row(what, found["cpu_seconds"], "two bare tasks", bare["cpu_seconds"]))
    most = fleet_costs[str(fleet.MOST)]
    deploy, alone, monitor = most["deploy"], most["alone"], most["monitor"]
    return [
        *rows,
        _row(
            f"  the same of {fleet.MOST}",
            deploy["cpu_seconds"],
            "one process",
            alone["cpu_seconds"],
            most_ratio=4.0,
        ),
        _row(
            f"MB of memory, {fleet.MOST} hosts",
            deploy["megabytes"],
            "one process",
            alone["megabytes"],
            most=500,
        ),
        _row(
            f"exponent from 50 to {fleet.MOST}, CPU s", fleet.exponent(fleet_costs), "straight", 1, most=1.05
        ),
        _row(
            f"exponent from 50 to {fleet.MOST}, s",
            fleet.exponent(fleet_costs, "seconds"),
            "straight",
            1,
            most=1.05,
        ),
        _row(
            f"KB of the page of {fleet.MOST}",
            _kb(monitor["html_bytes"]),
            "as JSON",
            _kb(monitor["report_bytes"]),
        ),
    ]


def _of_the_repository_host(result: dict[str, Any]) -> list[tuple[str, ...]]:
    rows = []
    for name, one in zip(("the first night", "the next one"), result["nights"], strict=True):
        read, arrived = (round(one[key] / 1e6, 1) for key in ("read_bytes", "arrived_bytes"))
        rows.append(
            _row(
                f"MB read in {one['seconds']} s before they are believed, {name}",
                read,
                "that arrived",
                arrived,
            )
        )
    one, two = (round(result["shared"][key] / 1e6, 2) for key in ("one", "two"))
    rows.append(_row("MB of two servers in two repositories", two, "in one", one))
    return [*rows, *(_row(*cost) for cost in night.costs(result["called"]))]


def _kb(size: int) -> float:
    return round(size / 1024, 1)


def _row(
    name: str,
    ours: float,
    other: str,
    theirs: float,
    *,
    most: float | None = None,
    most_ratio: float | None = None,
    least_ratio: float | None = None,
) -> tuple[str, ...]:
    """A measure beside what it is compared with; a goal is reached, or missed by so much."""
    ratio = ours / theirs if theirs else 0.0
    goal, excess = "", 0.0
    if most is not None:
        goal, excess = f"<= {most:g}", ours / most - 1
    elif most_ratio is not None:
        goal, excess = f"<= {most_ratio:g} times", ratio / most_ratio - 1
    elif least_ratio is not None:
        goal, excess = f">= {least_ratio:g} times", 1 - ratio / least_ratio
    verdict = "" if not goal else "reached" if excess <= 0 else f"missed by {excess:.1%}"
    return name, f"{ours:g}", other, f"{theirs:g}", f"{ratio:.3g}", goal, verdict


if __name__ == "__main__":
    sys.exit(main())
