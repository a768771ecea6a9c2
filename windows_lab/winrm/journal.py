"""What a lab host was asked: one JSON line per event, and counters for the benchmarks. Never a secret.

Events (all with `time`, UTC, and `host`):
    request  connection, scheme, user (null before authentication), action, status (HTTP, 0: connection cut),
             fault (number or null), body (bytes as received), soap (bytes once decrypted, 0 without SOAP),
             stdin (bytes, of a Send), seconds
    login    connection, user, method, accepted, failures (in a row, of this user), locked
    command  state "started": shell, command, line, user
             state "ended": command, line, exit_code (null: by Signal or Delete), stdin (bytes), seconds
    fault    kind, action: an armed fault struck
    tls      connection, problem: a client that did not finish the TLS handshake
    not_modelled, lab_fault  (written by the machine) program, line, problem: see docs/windows-lab.md
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


@dataclass
class Counters:
    """Sums since the start or the last reset. A request is one POST that reached the host, refused or not."""

    requests: int = 0
    authenticated_requests: int = 0
    body_bytes: int = 0  # of all requests, as received (encrypted or not)
    soap_bytes: int = 0  # of all requests, decrypted
    stdin_bytes: int = 0  # carried by Send, base64 decoded
    commands: int = 0
    refused_logins: int = 0
    actions: Counter[str] = field(default_factory=Counter)


class Journal:
    """The journal of one host, safe to use from many threads."""

    def __init__(self, host: str, path: Path) -> None:
        self.host = host
        self.path = path
        self._lock = threading.Lock()
        self._counters = Counters()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a", encoding="utf-8")

    def request(
        self,
        *,
        connection: int,
        scheme: str,
        user: str | None,
        action: str | None,
        status: int,
        fault: int | None,
        body: int,
        soap: int,
        stdin: int,
        seconds: float,
    ) -> None:
        """One POST and how it was answered; status 0 when the connection was cut instead."""
        with self._lock:
            self._counters.requests += 1
            self._counters.authenticated_requests += user is not None
            self._counters.body_bytes += body
            self._counters.soap_bytes += soap
            self._counters.stdin_bytes += stdin
            if action:
                self._counters.actions[action] += 1
        self._write(
            "request",
            connection=connection,
            scheme=scheme,
            user=user,
            action=action,
            status=status,
            fault=fault,
            body=body,
            soap=soap,
            stdin=stdin,
            seconds=round(seconds, 3),
        )

    def login(
        self, *, connection: int, user: str, method: str, accepted: bool, failures: int, locked: bool
    ) -> None:
        """One attempt to log in. `failures` in a row is what an account policy would count."""
        with self._lock:
            self._counters.refused_logins += not accepted
        self._write(
            "login",
            connection=connection,
            user=user,
            method=method,
            accepted=accepted,
            failures=failures,
            locked=locked,
        )

    def command_started(self, shell: str, command: str, line: str, user: str) -> None:
        """A command line, as cmd.exe got it."""
        with self._lock:
            self._counters.commands += 1
        self._write("command", state="started", shell=shell, command=command, line=line, user=user)

    def command_ended(
        self, command: str, line: str, exit_code: int | None, stdin: int, seconds: float
    ) -> None:
        """The end of a command; exit_code None when the client ended it."""
        self._write(
            "command",
            state="ended",
            command=command,
            line=line,
            exit_code=exit_code,
            stdin=stdin,
            seconds=round(seconds, 3),
        )

    def fault(self, kind: str, action: str) -> None:
        """An armed fault struck."""
        self._write("fault", kind=kind, action=action)

    def tls(self, connection: int, problem: str) -> None:
        """A client that left during the handshake, for example because it does not trust the certificate."""
        self._write("tls", connection=connection, problem=problem)

    def counters(self) -> dict[str, Any]:
        """A copy, as plain JSON types."""
        with self._lock:
            return {**asdict(self._counters), "actions": dict(self._counters.actions)}

    def reset(self) -> None:
        """Counters to zero; the file stays."""
        with self._lock:
            self._counters = Counters()

    def close(self) -> None:
        """Nothing is written from here on."""
        with self._lock:
            self._file.close()

    def _write(self, event: str, **fields: object) -> None:
        time = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = json.dumps({"time": time, "host": self.host, "event": event, **fields}, ensure_ascii=False)
        with self._lock:
            if not self._file.closed:  # a command may still end while the lab stops
                self._file.write(line + "\n")
                self._file.flush()


def describe(line: str) -> str:
    """One journal line for people."""
    entry: dict[str, Any] = json.loads(line)
    head = f"{entry['time'][11:23]} {entry['host']} "
    match entry:
        case {"event": "request"}:
            parts = [
                f"#{entry['connection']}",
                entry["scheme"],
                entry["user"] or "-",
                entry["action"] or "(no action)",
            ]
            parts += [f"{entry['status'] or 'cut'}", f"{entry['body']} B", f"{entry['seconds']} s"]
            parts += [f"stdin {entry['stdin']} B"] if entry["stdin"] else []
            parts += [f"fault {entry['fault']}"] if entry["fault"] else []
            return head + " ".join(parts)
        case {"event": "command", "state": "started"}:
            return head + f"> {entry['line']}"
        case {"event": "command"}:
            code = "ended by the client" if entry["exit_code"] is None else f"exit {entry['exit_code']}"
            return head + f"< {code}, {entry['seconds']} s: {entry['line'][:100]}"
        case {"event": "login"}:
            verdict = "accepted" if entry["accepted"] else f"REFUSED, {entry['failures']} in a row"
            locked = ", account locked" if entry["locked"] else ""
            return head + f"login {entry['user']} by {entry['method']}: {verdict}{locked}"
        case {"event": "not_modelled" | "lab_fault"}:
            return head + f"! {entry['event']}: {entry['problem']}: {entry['line'][:200]}"
        case {"event": "fault"}:
            return head + f"! fault {entry['kind']} on {entry['action']}"
        case _:
            return head + " ".join(
                f"{key}={value}" for key, value in entry.items() if key not in ("time", "host")
            )
