"""The daemon of a lab: holds the `Lab`, answers the control socket, and ends everything when it ends.

Every process that it starts inherits OWNER with the state folder in it: so what a killed daemon leaves
behind is found without any list of process ids.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import importlib
import json
import os
import signal
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from windows_lab.control import Control, running_pid, socket_address
from windows_lab.errors import LabError
from windows_lab.inventory import Plan
from windows_lab.lab import Lab, MakeMachine
from windows_lab.winrm.faults import Fault

OWNER = "WINDOWS_LAB_OWNER"  # environment variable
DEFAULT_MACHINE = "windows_lab.server:WindowsServer"
START_SECONDS = 20.0
END_SECONDS = 60.0
Answer = Callable[[dict[str, Any]], None]


def start(state: Path, rest_server: str | None, machine: str | None) -> None:
    """Starts the daemon of a state folder in the background and waits for its socket. Raises LabError."""
    state.mkdir(parents=True, exist_ok=True)
    with (state / "start.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two `up` at once start one daemon
        if running_pid(state) is None:
            end_leftovers(state)
            _spawn(state, rest_server, machine)


def _spawn(state: Path, rest_server: str | None, machine: str | None) -> None:
    arguments = [sys.executable, "-m", "windows_lab", "serve", "--state", str(state)]
    if rest_server:
        arguments += ["--rest-server", rest_server]
    if machine:
        arguments += ["--machine", machine]
    package = str(Path(__file__).resolve().parents[1])
    search_path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
    log_path = state / "daemon.log"
    with log_path.open("ab") as log:
        process = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, OWNER: str(state), "PYTHONPATH": search_path},
        )
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(LabError):
            Control(state).ask("ping", patience=START_SECONDS)
            return
        if process.poll() is not None:
            lines = log_path.read_text(errors="replace").strip().splitlines()
            raise LabError(lines[-1] if lines else f"The daemon of the lab ended at once; see {log_path}.")
        time.sleep(0.05)
    process.kill()
    raise LabError(f"The daemon of the lab did not answer within {START_SECONDS:.0f} s; see {log_path}.")


def stop(state: Path, say: Callable[[str], None]) -> bool:
    """Ends the daemon and all that it started, whatever state they are in. False when nothing ran."""
    pid = running_pid(state)
    if pid is not None:
        with contextlib.suppress(LabError):
            Control(state).ask("down", progress=say, patience=END_SECONDS)
        deadline = time.monotonic() + END_SECONDS
        while running_pid(state) == pid and time.monotonic() < deadline:
            time.sleep(0.05)
    return end_leftovers(state) > 0 or pid is not None


def end_leftovers(state: Path) -> int:
    """Ends what a daemon that was killed has left running; returns how many processes."""
    found = _owned(state)
    for sign, seconds in ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
        for pid in _owned(state):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, sign)
        deadline = time.monotonic() + seconds
        while _owned(state) and time.monotonic() < deadline:
            time.sleep(0.05)
    return len(found)


def _owned(state: Path) -> list[int]:
    """Living processes of this lab: by OWNER, or by a Wine prefix inside the state folder."""
    folder = os.fsencode(state)
    owner, prefix = OWNER.encode() + b"=" + folder, b"WINEPREFIX=" + folder + b"/"
    pids = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            variables = (entry / "environ").read_bytes().split(b"\0")
            if any(variable == owner or variable.startswith(prefix) for variable in variables):
                pids.append(int(entry.name))
    return pids


def serve(state: Path, rest_server: str | None, machine: str | None) -> None:
    """Runs the daemon in this process until `down` or a signal. Raises LabError when it cannot start."""
    lock = (state / "daemon.lock").open("a+b")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise LabError(f"A daemon already runs for {state}.") from None
    lock.truncate(0)
    lock.write(str(os.getpid()).encode())
    lock.flush()
    lab = Lab(state, _machine_class(machine or DEFAULT_MACHINE), rest_server)
    ended = threading.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, lambda *_: ended.set())
    with socket_address(state) as address:
        Path(address).unlink(missing_ok=True)
        previous = os.umask(0o077)  # the socket carries passwords
        server = _Server(address, Requests(lab, ended))
        os.umask(previous)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    ended.wait()
    lab.close()
    server.server_close()


def _machine_class(name: str) -> MakeMachine:
    module, _, attribute = name.partition(":")
    try:
        made: MakeMachine = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError):
        raise LabError(f"There is no class {name} of machines.") from None
    return made


class Requests:
    """What the control socket can ask for: each method is a verb."""

    def __init__(self, lab: Lab, ended: threading.Event) -> None:
        self._lab = lab
        self._ended = ended

    def ping(self, answer: Answer) -> None:
        """Whether the daemon listens."""

    def up(self, answer: Answer, plan: dict[str, Any]) -> dict[str, Any]:
        """Starts what is new in the plan; the result is the status."""
        self._lab.up(Plan.from_json(plan), lambda text: answer({"progress": text}))
        return self.status(answer)

    def down(self, answer: Answer) -> None:
        """Ends all, then the daemon."""
        self._lab.close(lambda text: answer({"progress": text}))
        self._ended.set()

    def status(self, answer: Answer) -> dict[str, Any]:
        """Everything about the lab, in plain JSON types."""
        return {
            "state": str(self._lab.state),
            "pid": os.getpid(),
            "ca": str(self._lab.authority.certificate_path),
            "hosts": [host.describe() for host in list(self._lab.hosts.values())],
            "repositories": [
                {
                    "client": client,
                    "url": f"rest:https://{repository.spec.host}:{repository.spec.port}/",
                    "pid": repository.pid,
                    "bytes": repository.size(),
                    "max_size": repository.max_size,
                    "data": str(repository.data),
                }
                for client, repository in list(self._lab.repositories.items())
            ],
        }

    def fault(self, answer: Answer, host: str, **fault: Any) -> None:
        """Arms one fault; see faults.Fault."""
        target = self._lab.host(host)
        try:
            target.faults.arm(Fault.from_mapping(fault))
        except ValueError as problem:
            raise LabError(f"{problem}.") from None

    def clear(self, answer: Answer, host: str) -> None:
        """No faults on a host any more."""
        target = self._lab.host(host)
        target.faults.clear()
        target.machine.limit_disk(None)

    def wrong_clock(self, answer: Answer, host: str, seconds: float) -> None:
        """Sets the Date header of a host wrong."""
        self._lab.host(host).faults.clock_offset = seconds

    def disk(self, answer: Answer, host: str, free_bytes: int) -> None:
        """Leaves so many bytes on the drives of a host."""
        self._lab.host(host).machine.limit_disk(free_bytes)

    def clock(
        self, answer: Answer, host: str | None = None, advance: float | None = None, to: str | None = None
    ) -> dict[str, str]:
        """The clocks of the schedulers, after moving them on by `advance` seconds or to the time `to`."""
        names = [host] if host else list(self._lab.hosts)
        machines = {name: self._lab.host(name).machine for name in names}
        targets: dict[str, datetime] = {}
        for name, machine in machines.items():
            now = machine.now()
            targets[name] = datetime.fromisoformat(to).astimezone(UTC) if to else now
            targets[name] += timedelta(seconds=advance or 0.0)
            if targets[name] < now:
                raise LabError(f"{name}: {to} has passed already; the clock never goes back.")
        if to or advance:
            # Side by side: due tasks run to their end.
            with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
                pending = {pool.submit(machines[name].advance, targets[name]): name for name in machines}
                for future in as_completed(pending):
                    future.result()
                    name = pending[future]
                    answer({"progress": f"{name}: it is {targets[name]:%Y-%m-%d %H:%M} UTC"})
        return {name: machine.now().isoformat(timespec="seconds") for name, machine in machines.items()}

    def reset(self, answer: Answer, host: str | None = None) -> None:
        """Counters to zero, refused logins forgotten, left-over shells closed."""
        for name in [host] if host else list(self._lab.hosts):
            target = self._lab.host(name)
            target.shells.close()
            target.accounts.unlock()
            target.journal.reset()

    def run(self, answer: Answer, host: str, line: str) -> int:
        """Runs a command line on a host, past WinRM; the result is its exit code."""
        process = self._lab.host(host).machine.start(line, None, {})
        process.send(b"", True)
        while True:
            chunks, exit_code = process.receive(60.0)
            for stream, data in chunks:
                answer({stream: base64.b64encode(data).decode()})
            if exit_code is not None:
                return exit_code

    def repository(self, answer: Answer, client: str, order: str, max_size: int | None = None) -> None:
        """stop, start, or limit (to max_size bytes, None: no limit) the repository of a client."""
        target = self._lab.repository(client)
        match order:
            case "stop":
                target.stop()
            case "start":
                target.start()
            case "limit":
                target.limit(max_size)
            case _:
                raise LabError(f"A repository cannot {order}; it can stop, start and limit.")


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True

    def __init__(self, address: str, requests: Requests) -> None:
        self.requests = requests
        super().__init__(address, _Connection)


class _Connection(socketserver.StreamRequestHandler):
    server: _Server

    def setup(self) -> None:
        super().setup()
        self._writing = threading.Lock()

    def handle(self) -> None:
        request = json.loads(self.rfile.readline() or b"{}")
        verb = str(request.pop("verb", ""))
        operation = None if verb.startswith("_") else getattr(self.server.requests, verb, None)
        try:
            if operation is None:
                raise LabError(f"The lab does not know {verb!r}; is its daemon older than this program?")
            self._answer({"result": operation(self._answer, **request)})
        except LabError as problem:
            self._answer({"error": str(problem)})
        except Exception as problem:
            self._answer({"error": f"The lab failed: {problem!r}. Its daemon.log has the details."})
            raise

    def _answer(self, message: dict[str, Any]) -> None:
        # A client that left does not stop what it asked for.
        with self._writing, contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.wfile.write(json.dumps(message).encode() + b"\n")
