"""The command line of the lab: up, template, status, down, log, clock, fault, repository, reset, run."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from windows_lab import daemon, inventory, repository
from windows_lab.control import Control, running_pid
from windows_lab.errors import LabError
from windows_lab.server import WindowsServer
from windows_lab.winrm.faults import ACTIONS, KINDS
from windows_lab.winrm.journal import describe

STATE = "PROSECOURS_LAB"  # environment variable: the state folder
_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?\Z")


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0; 1 with a sentence on stderr; 2 for wrong arguments; that of the command for `run`."""
    options = _parser().parse_args(arguments)
    state = options.state or os.environ.get(STATE) or inventory.CHECKOUT / "build" / "lab"
    options.state = Path(state).resolve()
    try:
        return int(options.do(options) or 0)
    except LabError as problem:
        print(problem, file=sys.stderr)
        return 1
    except BrokenPipeError:  # `log | head`
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 (Python flushes it at exit)
        return 0
    except KeyboardInterrupt:
        print("Interrupted; the lab goes on as it is.", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m windows_lab", description="Windows servers, played.")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--state", metavar="DIR", help=f"state folder (default: ${STATE}, else build/lab)")
    verbs = parser.add_subparsers(metavar="VERB", required=True)

    def verb(name: str, function: Any, help: str) -> argparse.ArgumentParser:  # noqa: A002 (as argparse has it)
        added = verbs.add_parser(name, help=help, description=help, parents=[common])
        added.set_defaults(do=function)
        return added

    up = verb("up", _up, "start hosts and repositories of an inventory; adds what is new to a running lab")
    up.add_argument("--inventory", "-i", action="append", metavar="DIR", help="default: inventories/lab")
    up.add_argument("--only", metavar="GROUP", help="only the hosts of this group or pattern")
    up.add_argument("--rest-server", metavar="FILE", help=f"default: ${repository.ENVIRONMENT}, else PATH")
    up.add_argument("--machine", metavar="MODULE:CLASS", help="for tests of the lab itself (default: Wine)")

    verb("template", _template, "make what each host is copied from, as the first up does; needs the network")

    status = verb("status", _status, "what runs, and what each host was asked")
    status.add_argument("--json", action="store_true")

    down = verb("down", _down, "end everything; the disks of the hosts and the repositories stay")
    down.add_argument("--purge", action="store_true", help="delete the hosts and the repositories too")

    log = verb("log", _log, "what the hosts were asked")
    log.add_argument("host", nargs="?")
    log.add_argument("--json", action="store_true", help="the journal lines as they are")
    log.add_argument("--follow", "-f", action="store_true")

    clock = verb("clock", _clock, "show or advance the clock of the task schedulers; what is due runs")
    clock.add_argument("host", nargs="?", help="default: all")
    target = clock.add_mutually_exclusive_group()
    target.add_argument("--advance", type=_duration, metavar="DURATION", help="such as 10h, 1d, 2h30m")
    target.add_argument("--to", type=_time, metavar="TIME", help="such as 2026-12-24T22:30 (UTC)")

    kinds = "\n".join(f"  {name:<10} {text} [{on}]" for name, (text, on) in KINDS.items())
    fault = verb("fault", _fault, "arm a fault, or with kind clear take all faults of a host away")
    fault.formatter_class = argparse.RawDescriptionHelpFormatter
    fault.epilog = (
        f"kinds [the action each waits for unless told]:\n{kinds}\n"
        "  clock      the Date header is wrong by --seconds\n"
        "  disk       the drives of the host have --bytes left\n"
        "  clear      no faults, right clock, free disk"
    )
    fault.add_argument("host")
    fault.add_argument("kind", choices=[*KINDS, "clock", "disk", "clear"], metavar="KIND")
    fault.add_argument("--on", choices=ACTIONS, help="the action to wait for")
    fault.add_argument("--nth", type=int, help="the first matching request to strike (1)")
    fault.add_argument("--times", type=int, help="how many requests to strike (1)")
    fault.add_argument("--after-bytes", type=int, help="strike the Send that brings this much input")
    fault.add_argument("--seconds", type=float, help="of delay, or of error of the clock")
    fault.add_argument("--bytes", type=int, help="left on the drives")

    server = verb("repository", _repository, "stop, start or fill the repository of a client")
    server.add_argument("client")
    server.add_argument("order", choices=["stop", "start", "limit"])
    server.add_argument("--max-size", type=int, metavar="BYTES", help="with limit; without it: no limit")

    reset = verb("reset", _reset, "counters to zero, refused logins forgotten, left-over shells closed")
    reset.add_argument("host", nargs="?", help="default: all")

    run = verb("run", _run, "run a command line on a host, past WinRM")
    run.add_argument("host")
    run.add_argument("line", nargs=argparse.REMAINDER)

    serve = verbs.add_parser("serve", parents=[common])  # what `up` starts in the background; not in the list
    serve.add_argument("--rest-server")
    serve.add_argument("--machine")
    serve.set_defaults(do=_serve)
    return parser


def _up(options: argparse.Namespace) -> None:
    sources = options.inventory or [str(inventory.CHECKOUT / "inventories" / "lab")]
    plan = inventory.read(sources, options.only)
    if running_pid(options.state) is None:
        daemon.start(options.state, options.rest_server, options.machine)
    status = Control(options.state).ask("up", plan=plan.to_json(), progress=_say)
    hosts, repositories = len(status["hosts"]), len(status["repositories"])
    _say(f"{hosts} hosts and {repositories} repositories run; their authority is {status['ca']}")


def _template(_: argparse.Namespace) -> None:
    WindowsServer.template(_say)


def _status(options: argparse.Namespace) -> int:
    try:
        status = Control(options.state).ask("status")
    except LabError:
        if options.json:
            print(json.dumps({"state": str(options.state), "pid": None, "hosts": [], "repositories": []}))
            return 1
        raise
    if options.json:
        print(json.dumps(status, indent=2))
        return 0
    print(f"state {status['state']}, daemon {status['pid']}, CA {status['ca']}\n")
    hosts = [
        ("host", "address", "windows", "login", "clock (UTC)", "requests", "KB in", "commands", "faults")
    ]
    for host in status["hosts"]:
        counters = host["counters"]
        hosts.append(
            (
                host["name"],
                host["address"],
                host["windows"],
                ", ".join(host["users"]),
                host["clock"][:16],
                str(counters["requests"]),
                f"{counters['body_bytes'] / 1024:.0f}",
                str(counters["commands"]),
                ", ".join(fault["kind"] for fault in host["faults"]) or "-",
            )
        )
    _table(hosts)
    print()
    servers = [("repository", "url", "state", "MB", "limit MB")]
    for server in status["repositories"]:
        limit = server["max_size"]
        servers.append(
            (
                server["client"],
                server["url"],
                f"pid {server['pid']}" if server["pid"] else "down",
                f"{server['bytes'] / 1e6:.1f}",
                "-" if limit is None else f"{limit / 1e6:.1f}",
            )
        )
    _table(servers)
    return 0


def _down(options: argparse.Namespace) -> None:
    ran = daemon.stop(options.state, _say)
    if options.purge:
        for name in ("hosts", "repositories", "data", "maintenance"):
            shutil.rmtree(options.state / name, ignore_errors=True)
    _say("the lab is down" if ran else "the lab was not running")


def _log(options: argparse.Namespace) -> None:
    folder = options.state / "hosts"
    journals = sorted(folder.glob(f"{options.host or '*'}/journal.jsonl"))
    if not journals:
        raise LabError(f"There is no journal of {options.host or 'any host'} in {options.state}.")
    shape = str.strip if options.json else describe
    lines = [line for journal in journals for line in journal.read_text(encoding="utf-8").splitlines()]
    for line in sorted(lines):  # each begins with its time
        print(shape(line))
    if options.follow:
        for line in _new_lines(journals):
            print(shape(line), flush=True)


def _new_lines(journals: Iterable[Path]) -> Iterator[str]:
    with contextlib.ExitStack() as stack:
        streams = [stack.enter_context(journal.open(encoding="utf-8")) for journal in journals]
        for stream in streams:
            stream.seek(0, os.SEEK_END)
        while True:
            for stream in streams:
                while line := stream.readline():
                    yield line.rstrip("\n")
            time.sleep(0.3)


def _clock(options: argparse.Namespace) -> None:
    target = options.to.isoformat() if options.to else None
    seconds = options.advance.total_seconds() if options.advance else None
    clocks = Control(options.state).ask("clock", host=options.host, advance=seconds, to=target, progress=_say)
    for name, now in clocks.items():
        print(f"{name} {now}")


def _fault(options: argparse.Namespace) -> None:
    control = Control(options.state)
    match options.kind:
        case "clear":
            control.ask("clear", host=options.host)
        case "clock":
            control.ask("wrong_clock", host=options.host, seconds=options.seconds or 0.0)
        case "disk":
            if options.bytes is None:
                raise LabError("A full disk needs --bytes, what is left on the drives of the host.")
            control.ask("disk", host=options.host, free_bytes=options.bytes)
        case kind:
            given = {
                key: value
                for key in ("on", "nth", "times", "after_bytes", "seconds")
                if (value := getattr(options, key)) is not None
            }
            control.ask("fault", host=options.host, kind=kind, **given)


def _repository(options: argparse.Namespace) -> None:
    Control(options.state).ask(
        "repository", client=options.client, order=options.order, max_size=options.max_size
    )


def _reset(options: argparse.Namespace) -> None:
    Control(options.state).ask("reset", host=options.host)


def _run(options: argparse.Namespace) -> int:
    def show(stream: str, data: bytes) -> None:
        target = sys.stdout if stream == "stdout" else sys.stderr
        target.buffer.write(data)
        target.flush()

    line = " ".join(options.line)
    if not line:
        raise LabError("run needs a command line, such as: run moulin-srv1 ver")
    code: int = Control(options.state).ask("run", host=options.host, line=line, output=show)
    return code if 0 <= code < 256 else 1


def _serve(options: argparse.Namespace) -> None:
    daemon.serve(options.state, options.rest_server, options.machine)


def _say(text: str) -> None:
    print(text, flush=True)


def _duration(text: str) -> timedelta:
    match = _DURATION.match(text)
    if not text or match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration such as 10h, 1d or 2h30m")
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


def _time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 2026-12-24T22:30") from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
