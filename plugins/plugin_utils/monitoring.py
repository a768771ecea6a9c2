"""Monitoring of a fleet (C9, C12, C18): facts of both sides -> findings -> memory -> report -> files.

What each side tells is gathered by others (`monitoring_server` over WinRM, the action `status` on the
repository hosts); here it is put together, judged, remembered and written. An output that fails costs a
sentence, and no other output.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from . import documents, journal, monitoring_metrics, monitoring_report
from .monitoring_findings import Client, Limits, judge
from .monitoring_kinds import SEVERITIES
from .monitoring_memory import CLOSED, NEW, OPEN, REMINDED, DamagedMemory, Memory, Step
from .monitoring_server import unreached

OK = "ok"
MEMORY, REPORT, METRICS = "memory.json", "report.json", "prosecours.prom"
"""The files in the folder of monitoring: what is remembered, the report for programs, the Prometheus file."""
_OF_SERVER = (
    *("host", "address", "reachable", "failure", "last_status", "free_bytes"),
    "clock_offset_seconds",
)


@dataclass(frozen=True)
class Outcome:
    """A run: its report (docs/monitoring.md has the shape), the files that were written by kind, and a
    sentence for each that could not be."""

    report: dict[str, Any]
    files: dict[str, str]
    problems: tuple[str, ...]

    def worst(self) -> str:
        """The severity of the worst open finding, or "ok"."""
        return _worst(client["state"] for client in self.report["clients"])


@dataclass(frozen=True)
class Outputs:
    """What is written beside the report for programs."""

    metrics: str = ""
    """Path of the Prometheus file; empty for one beside the report."""
    pdf: bool = False
    journal: Path | None = None
    """Of interventions (C10): its head goes into the report, and is looked for at the next run."""


Announce = Callable[[dict[str, Any], dict[str, str]], Iterable[str]]


def clients_of(
    contracts: Mapping[str, Mapping[str, Any]],
    hosts: Mapping[str, Mapping[str, Any]],
    servers: Mapping[str, Mapping[str, Any]],
    repositories: Mapping[str, Mapping[str, Any]],
    folder: str,
) -> list[Client]:
    """All clients of the inventory with what was learnt of them. `servers`: host -> what `monitor` returned;
    `repositories`: repository host -> what `status` returned; Ansible results, empty where nobody asked."""
    asked = {host: _answer(host, result) for host, result in servers.items() if result}
    repositories = {host: result for host, result in repositories.items() if result}
    return [
        Client(
            contract,
            {host: hosts[host] for host in contract["hosts"]},
            {host: asked[host] for host in contract["hosts"] if host in asked},
            *_repository_of(name, repositories),
            folder=folder,
        )
        for name, contract in contracts.items()
    ]


def _answer(host: str, result: Mapping[str, Any]) -> Mapping[str, Any]:
    """The facts of a server; a task that failed before it could ask is a server that was not looked at."""
    if "reachable" in result:
        return result
    return {**unreached(host, RuntimeError(" ".join(str(result.get("msg")).split()))), "address": None}


def _repository_of(
    client: str, repositories: Mapping[str, Mapping[str, Any]]
) -> tuple[Mapping[str, Any] | None, str | None]:
    """The client's status, or why there is none; neither when no repository host was asked."""
    for result in repositories.values():
        if client in (result.get("clients") or {}):
            return result["clients"][client], None
        if client in (result.get("failures") or {}):
            return None, str(result["failures"][client])
    silent = [
        f"{host}: {' '.join(str(result.get('msg') or 'it did not answer').split())}"
        for host, result in repositories.items()
        if result.get("failed") or result.get("unreachable")
    ]
    if silent:
        return None, "; ".join(silent)
    return None, f"none of {', '.join(repositories)} knows it" if repositories else None


def run(
    clients: Sequence[Client],
    limits: Limits,
    folder: str,
    outputs: Outputs,
    now: datetime,
    check: bool = False,
    announce: Announce = lambda *_: (),
) -> Outcome:
    """Judge, remember and write; with `check`, judge only. `announce` tells people what is new; it is given
    the report and its files, and returns a sentence for each thing that could not be told; then all of it is
    new again next time. Raises nothing for what the world does."""
    place = Path(folder).expanduser()
    problems: list[str] = []
    files: dict[str, str] = {}
    with contextlib.nullcontext() if check else _alone(place, problems):
        memory = _remembered(place / MEMORY, problems, check)
        found = [finding for client in clients for finding in judge(client, memory, limits, now)]
        step = memory.step(clients, found, now)
        kept = _journal(outputs.journal, place / REPORT, problems) if outputs.journal else None
        report = assemble(clients, step, now, kept)
        if check:
            return Outcome(report, files, tuple(problems))
        with _told(place / REPORT, problems):
            text = json.dumps(report, indent=2, ensure_ascii=False) + "\n"
            files["json"] = str(documents.write_whole(place / REPORT, text))
        with _told(place, problems):
            files |= monitoring_report.write(report, place, pdf=outputs.pdf)
        metrics = Path(outputs.metrics).expanduser() if outputs.metrics else place / METRICS
        with _told(metrics, problems):
            written = documents.write_whole(metrics, monitoring_metrics.render(report))
            written.chmod(0o644)  # node_exporter runs as a user of its own
            files["metrics"] = str(written)
        untold = list(announce(report, files))
        problems += untold
        with _told(place / MEMORY, problems):
            documents.write_whole(place / MEMORY, (step.unannounced if untold else step.memory).text())
    return Outcome(report, files, tuple(dict.fromkeys(problems)))


def assemble(
    clients: Iterable[Client], step: Step, now: datetime, journal_head: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The report of a run: what programs read, and what every other output is made from."""
    return {
        "format": 1,
        "at": now.astimezone(documents.PARIS).isoformat(timespec="seconds"),
        "clients": [_of_client(client, step.open) for client in clients],
        "closed": list(step.closed),
        "journal": dict(journal_head) if journal_head else None,
    }


def _of_client(client: Client, findings: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    own = sorted(
        (finding for finding in findings if finding["client"] == client.id),
        key=lambda finding: (-SEVERITIES.index(finding["severity"]), finding["id"]),
    )
    return {
        **{name: client.contract[name] for name in ("id", "name", "reference", "contacts")},
        "state": _worst(finding["severity"] for finding in own),
        "repository": client.status,
        "repository_failure": client.failure,
        "servers": [{name: facts.get(name) for name in _OF_SERVER} for facts in client.servers.values()],
        "findings": own,
    }


def _worst(severities: Iterable[str]) -> str:
    order = (OK, *SEVERITIES)
    return max(severities, key=order.index, default=OK)


# -- for people -------------------------------------------------------------------------------------------

_MARKS = {NEW: "new", OPEN: "", REMINDED: "still", CLOSED: "closed"}


def table(report: Mapping[str, Any]) -> str:
    """The report for a technician at a terminal: a line a client, below it what was found and what to do."""
    lines = []
    for client in report["clients"]:
        lines.append(f"{client['state'].upper():<8}  {client['id']}  {client['name']}  {client['reference']}")
        for finding in client["findings"]:
            since = documents.local(finding["since"])
            mark = f"{_MARKS[finding['status']]:<6} {finding['severity']}"
            lines.append(
                f"  {mark} ({finding['clause']}, since {since:%Y-%m-%d %H:%M}): {finding['sentence']}"
            )
            if finding["status"] != OPEN:
                lines.append(f"         {finding['remedy']}")
    lines += [f"closed    {finding['client']}: {finding['sentence']}" for finding in report["closed"]]
    return "\n".join(lines)


def verdict(outcome: Outcome, fail_on: str) -> str:
    """What a scheduler is told when the run is to count as failed: one sentence each; empty when it is not.

    `fail_on` is the least severity that fails, or "never"; an output that failed always does."""
    sentences = list(outcome.problems)
    if fail_on != "never":
        bad = SEVERITIES[SEVERITIES.index(fail_on) :]
        counts = {
            client["id"]: sum(finding["severity"] in bad for finding in client["findings"])
            for client in outcome.report["clients"]
        }
        if total := sum(counts.values()):
            of = ", ".join(f"{client} ({count})" for client, count in counts.items() if count)
            sentences.append(
                f"{total} finding{'s' * (total > 1)} of severity {' or '.join(bad)}: {of}. The table above"
                " says what to do."
            )
    return " ".join(sentences)


# -- files ------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _alone(place: Path, problems: list[str]) -> Iterator[None]:
    """One run at a time; where the folder cannot be written there is nothing to disturb."""
    descriptor = None
    with _told(place, problems):
        place.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(place / ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _remembered(path: Path, problems: list[str], check: bool) -> Memory:
    """The memory of the run before; one that is damaged is put aside, and everything is new once more."""
    try:
        return Memory.read(path.read_text("utf-8"))
    except FileNotFoundError:
        return Memory.empty()
    except UnicodeDecodeError:
        reason = "it is no text"
    except DamagedMemory as error:
        reason = str(error)
    except OSError as error:
        problems.append(_cannot(path, "read", error))
        return Memory.empty()
    aside = path.with_name(f"{path.name}.damaged")
    with _told(aside, problems):
        if not check:
            path.replace(aside)
        problems.append(
            f"The memory of monitoring, {path}, could not be used ({reason}): it was put aside as"
            f" {aside.name}, and every finding counts as new."
        )
    return Memory.empty()


def _journal(path: Path, report: Path, problems: list[str]) -> Mapping[str, Any] | None:
    """The head of the journal, once it is shown to hold the one of the last report; else that one still, so
    that each run says again what was done to the journal."""
    before: Mapping[str, Any] | None
    try:
        before = json.loads(report.read_text("utf-8"))["journal"]
    except (OSError, ValueError, LookupError, TypeError):
        before = None
    try:
        verdict = journal.verify(path, [before] if before else [])
    except journal.JournalError as error:
        problems.append(str(error))
        return before
    if verdict.problems:
        problems.append(f"The journal {path} is not as it was written. {' '.join(verdict.problems)}")
        return before
    return verdict.head if verdict.head["entries"] else before


@contextlib.contextmanager
def _told(path: Path, problems: list[str]) -> Iterator[None]:
    """What keeps a file from being written becomes a sentence."""
    try:
        yield
    except documents.DocumentError as error:
        problems.append(str(error))
    except OSError as error:
        problems.append(_cannot(path, "written", error))


def _cannot(path: Path, what: str, error: OSError) -> str:
    return (
        f"{path} cannot be {what} ({error.strerror}). Set prosecours_report_dir, or"
        " prosecours_monitor_metrics, to a place that you may write to."
    )
