"""The status of all clients, whichever repository host they lie on: one report, and one table for people.

Pure; the statuses themselves come from the hosts (`module_utils/status.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from ..module_utils.retention import PARIS

Row = tuple[str, ...]
HEAD: Row = ("client", "server", "last backup", "versions", "promise", "volume", "check", "drill")


def combine(results: Mapping[str, Mapping[str, Any]], clients: Mapping[str, Any]) -> dict[str, Any]:
    """One report of what each repository host answered; a client of which none knows anything has a sentence.

    `results`: host -> result of the action `status`, or what Ansible has in its place for a host that could
    not be reached; `clients`: those of the contracts. Gives clients, problems and failures, each by client.
    """
    report: dict[str, Any] = {"clients": {}, "problems": {}, "failures": {}}
    silent = []
    for host, result in sorted(results.items()):
        if "failures" in result:
            for part, known in report.items():
                known.update(result[part])
        else:
            said = str(result.get("msg") or "it did not answer").strip().splitlines()[0].rstrip(".")
            silent.append(f"{host}: {said}. Look at this repository host.")
    for client in sorted({*clients} - {*report["clients"]} - {*report["failures"]}):
        report["failures"][client] = " ".join(silent) or (
            "no repository host has it. Give its host in prosecours_repository_host."
        )
    return {part: dict(sorted(known.items())) for part, known in report.items()}


def wrong(report: Mapping[str, Any]) -> list[str]:
    """The clients that somebody should look at."""
    return sorted({*report["failures"], *(client for client, found in report["problems"].items() if found)})


def table(report: Mapping[str, Any]) -> str:
    """A line for each server of each client, by name, and what needs a look. Times are those of Paris."""
    rows = [HEAD]
    for client in sorted({*report["clients"], *report["failures"]}):
        status = report["clients"].get(client)
        rows += _rows(status) if status else [(client, "cannot be read", *[""] * (len(HEAD) - 2))]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    rows.insert(1, tuple("-" * width for width in widths))
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    looks = [f"{client}: {sentence}" for client, sentence in _looks(report)]
    return "\n".join([*lines, "", *(["To look at:", *looks] if looks else ["Nothing needs a look."])])


def _looks(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for client in wrong(report):
        if client in report["failures"]:
            yield client, report["failures"][client]
        for sentence in report["problems"].get(client, ()):
            yield client, sentence


def _rows(status: Mapping[str, Any]) -> Iterator[Row]:
    volume = status["volume"]
    of_client = (
        "kept" if status["promise"]["kept"] else "BROKEN",
        f"{volume['percent']} % of {volume['subscribed_gb']} GB",
        _outcome(status["check"]),
        _outcome(status["drill"]),
    )
    for number, (host, server) in enumerate(status["servers"].items()):
        incomplete = f" + {server['incomplete']} incomplete" if server["incomplete"] else ""
        yield (
            status["client"] if number == 0 else "",
            host,
            _moment(server["last"]) if server["last"] else "never",
            f"{server['versions']}{incomplete}",
            *(of_client if number == 0 else [""] * len(of_client)),
        )


def _outcome(result: Mapping[str, Any] | None) -> str:
    if result is None:
        return "not yet"
    return f"{_moment(result['at'])[:10]} {'ok' if result['ok'] else 'FAILED'}"


def _moment(text: str) -> str:
    return datetime.fromisoformat(text).astimezone(PARIS).strftime("%Y-%m-%d %H:%M")
