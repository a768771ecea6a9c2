"""The monitoring report as a Prometheus text file, for node_exporter's textfile collector. Pure.

The format is that of prometheus.io/docs/instrumenting/exposition_formats: HELP and TYPE once a metric, its
samples together, seconds and bytes as units. What is not known has no sample.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from . import documents
from .monitoring_kinds import SEVERITIES

_GB = 10**9


class Metric(NamedTuple):
    """One metric: its help, and its samples as labels and value."""

    name: str
    help: str
    samples: Iterable[tuple[Mapping[str, str], float | None]]


def render(report: Mapping[str, Any]) -> str:
    """The text file of a report; ends in a line end, as the format asks."""
    lines: list[str] = []
    for metric in _metrics(report):
        samples = [(labels, value) for labels, value in metric.samples if value is not None]
        if samples:
            name = f"prosecours_{metric.name}"
            lines += [f"# HELP {name} {metric.help}", f"# TYPE {name} gauge"]
            lines += [f"{name}{_labels(labels)} {_number(value)}" for labels, value in samples]
    return "".join(f"{line}\n" for line in lines)


def _metrics(report: Mapping[str, Any]) -> Iterator[Metric]:
    clients = report["clients"]
    yield Metric("monitor_timestamp_seconds", "When this file was made.", [({}, _seconds(report["at"]))])
    yield Metric(
        "findings",
        "Open findings, by client and severity.",
        [
            ({"client": client["id"], "severity": severity}, _count(client["findings"], severity))
            for client in clients
            for severity in SEVERITIES
        ],
    )
    yield Metric(
        "finding_since_timestamp_seconds",
        "Since when a finding is open.",
        [
            (
                {
                    "client": client["id"],
                    "host": finding["host"] or "",
                    "kind": finding["kind"],
                    "detail": finding["id"].split("/", 3)[3],
                    "severity": finding["severity"],
                    "clause": finding["clause"],
                },
                _seconds(finding["since"]),
            )
            for client in clients
            for finding in client["findings"]
        ],
    )
    for name, text, value in _OF_SERVERS:
        yield Metric(
            name,
            text,
            [
                ({"client": client["id"], "host": server["host"]}, value(server))
                for client in clients
                for server in client["servers"]
            ],
        )
    yield Metric(
        "repository_readable",
        "Whether the repository host told about the client's repository.",
        [
            ({"client": client["id"]}, float(client["repository"] is not None))
            for client in clients
            if client["repository"] is not None or client["repository_failure"] is not None
        ],
    )
    known = [client for client in clients if client["repository"] is not None]
    for name, text, value in _OF_VERSIONS:
        yield Metric(
            name,
            text,
            [
                ({"client": client["id"], "host": host}, value(versions))
                for client in known
                for host, versions in (client["repository"].get("servers") or {}).items()
            ],
        )
    for name, text, value in _OF_REPOSITORIES:
        yield Metric(
            name, text, [({"client": client["id"]}, value(client["repository"])) for client in known]
        )


_OF_SERVERS = (
    ("server_reachable", "Whether the server answered.", lambda of: float(of["reachable"])),
    ("server_free_bytes", "Free bytes on the agent's drive.", lambda of: of["free_bytes"]),
    (
        "server_clock_offset_seconds",
        "Seconds by which the server's clock is ahead.",
        lambda of: of["clock_offset_seconds"],
    ),
    (
        "server_last_exit_code",
        "restic's exit code of the last backup.",
        lambda of: (of["last_status"] or {}).get("exit_code"),
    ),
)
_OF_VERSIONS = (
    ("last_backup_timestamp_seconds", "Time of the newest version.", lambda of: _seconds(of.get("last_any"))),
    (
        "last_complete_backup_timestamp_seconds",
        "Time of the newest complete version.",
        lambda of: _seconds(of.get("last")),
    ),
    ("versions", "Versions that are kept.", lambda of: of.get("versions")),
)
_OF_REPOSITORIES = (
    (
        "promise_kept",
        "Whether the retention promise holds (C7).",
        lambda of: _truth(of.get("promise"), "kept"),
    ),
    (
        "volume_newest_bytes",
        "Bytes of the newest versions, which count (C15).",
        lambda of: _of_volume(of, "newest_bytes"),
    ),
    ("volume_stored_bytes", "Bytes on the disk.", lambda of: _of_volume(of, "stored_bytes")),
    (
        "volume_subscribed_bytes",
        "Bytes subscribed.",
        lambda of: None if _of_volume(of, "subscribed_gb") is None else _of_volume(of, "subscribed_gb") * _GB,
    ),
    ("volume_closed", "Whether new backups are refused.", lambda of: _truth(of.get("volume"), "closed")),
    (
        "retention_timestamp_seconds",
        "When retention last ran.",
        lambda of: _seconds((of.get("retention") or {}).get("at")),
    ),
    (
        "check_timestamp_seconds",
        "When the repository was last checked.",
        lambda of: _seconds((of.get("check") or {}).get("at")),
    ),
    ("check_ok", "Whether that check found no damage.", lambda of: _truth(of.get("check"), "ok")),
    (
        "drill_timestamp_seconds",
        "When a restore was last tried.",
        lambda of: _seconds((of.get("drill") or {}).get("at")),
    ),
    ("drill_ok", "Whether that restore was right.", lambda of: _truth(of.get("drill"), "ok")),
)


def _count(findings: Iterable[Mapping[str, Any]], severity: str) -> float:
    return float(sum(finding["severity"] == severity for finding in findings))


def _of_volume(of: Mapping[str, Any], name: str) -> Any:
    return (of.get("volume") or {}).get(name)


def _truth(of: Mapping[str, Any] | None, name: str) -> float | None:
    return float(bool(of[name])) if of and of.get(name) is not None else None


def _seconds(text: str | None) -> float | None:
    return documents.local(text).timestamp() if text else None


def _labels(labels: Mapping[str, str]) -> str:
    quoted = [f'{name}="{_escaped(value)}"' for name, value in labels.items()]
    return f"{{{','.join(quoted)}}}" if quoted else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))
