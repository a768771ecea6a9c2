"""The status of all clients, whichever repository host they lie on: one report, and one table for people.

Pure; the statuses themselves come from the hosts (`module_utils/maintenance/status.py`). A repository host is
another machine: what it answers is read once, here, and what is none costs a sentence.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ...module_utils.maintenance import shape
from ...module_utils.maintenance.model import LastCheck, LastDrill, Status
from ...module_utils.maintenance.printable import printable
from ...module_utils.maintenance.retention import PARIS
from ...module_utils.maintenance.retired import announced

Row = tuple[str, ...]
HEAD: Row = ("client", "server", "last backup", "versions", "promise", "volume", "check", "drill")


@dataclass(frozen=True)
class Statuses:
    """client -> its status; client -> what is wrong with it, in sentences; client -> why it has no status."""

    clients: Mapping[str, Status]
    problems: Mapping[str, tuple[str, ...]]
    failures: Mapping[str, str]


@dataclass(frozen=True)
class _Result:
    """What the action `status` returns, or what Ansible has in its place, for a host that was not reached."""

    failures: Mapping[str, str] = field(default_factory=dict)
    problems: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    msg: str | None = None


@dataclass(frozen=True)
class Answer(Statuses):
    """What one repository host told; with a `silence`, why it told of no client."""

    silence: str | None = None


def answer(result: Mapping[str, Any]) -> Answer:
    """A result of the action `status`, read. The status of a client that is none is that client's failure."""
    try:
        told = shape.read(_Result, result)
    except shape.NotOfShape as error:
        return Answer({}, {}, {}, f"what it answered is no status ({error})")
    statuses = result.get("clients", {})
    if not {"clients", "failures"} & result.keys() or not isinstance(statuses, Mapping):
        return Answer({}, {}, {}, " ".join((told.msg or "it did not answer").split()).rstrip("."))
    clients, failures = {}, dict(told.failures)
    for client, status in statuses.items():
        try:
            clients[str(client)] = shape.read(Status, status)
        except shape.NotOfShape as error:
            failures[str(client)] = (
                f"What its repository host told of it is no status ({error}). Look at this repository host."
            )
    return Answer(clients, told.problems, failures)


def combine(answers: Mapping[str, Answer], clients: Collection[str]) -> Statuses:
    """One report of what each repository host answered; a client of which none knows anything has a sentence.

    `answers`: by host; `clients`: those of the contracts.
    """
    answers = dict(sorted(answers.items()))
    statuses = {name: one for told in answers.values() for name, one in told.clients.items()}
    problems = {name: one for told in answers.values() for name, one in told.problems.items()}
    failures = {name: one for told in answers.values() for name, one in told.failures.items()}
    silent = " ".join(
        f"{host}: {told.silence}. Look at this repository host."
        for host, told in answers.items()
        if told.silence is not None
    )
    for client in {*clients} - {*statuses} - {*failures}:
        failures[client] = silent or "no repository host has it. Give its host in prosecours_repository_host."
    return Statuses(
        dict(sorted(statuses.items())), dict(sorted(problems.items())), dict(sorted(failures.items()))
    )


def wrong(report: Statuses) -> list[str]:
    """The clients that somebody should look at."""
    return sorted({*report.failures, *(client for client, found in report.problems.items() if found)})


def table(report: Statuses) -> str:
    """A line for each server of each client, by name, and what needs a look. Times are those of Paris."""
    rows = [HEAD]
    for client in sorted({*report.clients, *report.failures}):
        if client in report.clients:
            rows += _rows(report.clients[client])
        else:
            rows.append((client, "cannot be read", *[""] * (len(HEAD) - 2)))
    rows = [tuple(map(printable, row)) for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    rows.insert(1, tuple("-" * width for width in widths))
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    looks = [printable(f"{client}: {sentence}") for client, sentence in _looks(report)]
    known = [
        printable(f"{client}: {sentence}")
        for client, status in report.clients.items()
        for sentence in announced(status.retired)
    ]
    return "\n".join(
        [
            *lines,
            "",
            *(["To look at:", *looks] if looks else ["Nothing needs a look."]),
            *(["", "To know:", *known] if known else []),
        ]
    )


def _looks(report: Statuses) -> Iterator[tuple[str, str]]:
    for client in wrong(report):
        if client in report.failures:
            yield client, report.failures[client]
        for sentence in report.problems.get(client, ()):
            yield client, sentence


def _rows(status: Status) -> Iterator[Row]:
    volume = status.volume
    of_client = (
        "kept" if status.promise.kept else "BROKEN",
        f"{volume.percent} % of {volume.subscribed_gb} GB",
        _outcome(status.check),
        _outcome(status.drill),
    )
    for number, (host, server) in enumerate(status.servers.items()):
        incomplete = f" + {server.incomplete} incomplete" if server.incomplete else ""
        yield (
            status.client if number == 0 else "",
            host,
            _moment(server.last) if server.last else "never",
            f"{server.versions}{incomplete}",
            *(of_client if number == 0 else [""] * len(of_client)),
        )


def _outcome(result: LastCheck | LastDrill | None) -> str:
    if result is None:
        return "not yet"
    return f"{_moment(result.at)[:10]} {'ok' if result.ok else 'FAILED'}"


def _moment(moment: datetime) -> str:
    return moment.astimezone(PARIS).strftime("%Y-%m-%d %H:%M")
