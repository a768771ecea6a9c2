"""The monitoring report as a Prometheus text file, for node_exporter's textfile collector. Pure.

What is not known has no sample. Seconds and bytes are the units; the format is prometheus-client's affair.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Generic, NamedTuple, TypeVar

from ...module_utils.maintenance.model import Status, Versions
from ..documents.model import Report, ServerLine, Told
from ..libraries import from_pypi
from ..wording import GB
from .kinds import SEVERITIES

with from_pypi():
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.core import GaugeMetricFamily
    from prometheus_client.registry import Collector


class Metric(NamedTuple):
    """One metric: its help, and its samples as labels and value."""

    name: str
    help: str
    samples: Sequence[tuple[Mapping[str, str], float | None]]


def render(report: Report) -> str:
    """The text file of a report; ends in a line end, as the format asks."""

    class Families(Collector):  # here, as this file is loaded where prometheus-client is missing, too
        def collect(self) -> Iterator[GaugeMetricFamily]:
            return _families(report)

    registry = CollectorRegistry()
    registry.register(Families())
    return generate_latest(registry).decode()


def _families(report: Report) -> Iterator[GaugeMetricFamily]:
    """The metrics of a report that have a sample."""
    for metric in _metrics(report):
        known = [(labels, float(value)) for labels, value in metric.samples if value is not None]
        if known:
            family = GaugeMetricFamily(f"prosecours_{metric.name}", metric.help, labels=list(known[0][0]))
            for labels, value in known:
                family.add_metric(list(labels.values()), value)
            yield family


def _metrics(report: Report) -> Iterator[Metric]:
    clients = report.clients
    yield Metric("monitor_timestamp_seconds", "When this file was made.", [({}, report.at.timestamp())])
    yield Metric(
        "findings",
        "Open findings, by client and severity.",
        [
            ({"client": client.id, "severity": severity}, _count(client.findings, severity))
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
                    "client": client.id,
                    "host": finding.host or "",
                    "kind": finding.kind,
                    "detail": finding.id.split("/", 3)[3],
                    "severity": finding.severity,
                    "clause": finding.clause,
                },
                finding.since.timestamp(),
            )
            for client in clients
            for finding in client.findings
        ],
    )
    for of_server in _OF_SERVERS:
        yield Metric(
            of_server.name,
            of_server.help,
            [
                ({"client": client.id, "host": server.host}, of_server.value(server))
                for client in clients
                for server in client.servers
            ],
        )
    yield Metric(
        "repository_readable",
        "Whether the repository host told about the client's repository.",
        [
            ({"client": client.id}, float(client.repository is not None))
            for client in clients
            if client.repository is not None or client.repository_failure is not None
        ],
    )
    known = [(client.id, client.repository) for client in clients if client.repository is not None]
    for of_versions in _OF_VERSIONS:
        yield Metric(
            of_versions.name,
            of_versions.help,
            [
                ({"client": client, "host": host}, of_versions.value(versions))
                for client, status in known
                for host, versions in status.servers.items()
            ],
        )
    for of_status in _OF_REPOSITORIES:
        yield Metric(
            of_status.name,
            of_status.help,
            [({"client": client}, of_status.value(status)) for client, status in known],
        )


Of = TypeVar("Of")


class Measured(NamedTuple, Generic[Of]):
    """A metric that each server or repository has: its value; None where it is not known."""

    name: str
    help: str
    value: Callable[[Of], float | None]


_OF_SERVERS: Sequence[Measured[ServerLine]] = (
    Measured("server_reachable", "Whether the server answered.", lambda of: of.reachable),
    Measured("server_free_bytes", "Free bytes on the agent's drive.", lambda of: of.free_bytes),
    Measured(
        "server_clock_offset_seconds",
        "Seconds by which the server's clock is ahead.",
        lambda of: of.clock_offset_seconds,
    ),
    Measured(
        "server_last_exit_code",
        "restic's exit code of the last backup.",
        lambda of: of.last_status.exit_code if of.last_status else None,
    ),
)
_OF_VERSIONS: Sequence[Measured[Versions]] = (
    Measured(
        "last_backup_timestamp_seconds", "Time of the newest version.", lambda of: _seconds(of.last_any)
    ),
    Measured(
        "last_complete_backup_timestamp_seconds",
        "Time of the newest complete version.",
        lambda of: _seconds(of.last),
    ),
    Measured("versions", "Versions that are kept.", lambda of: of.versions),
)
_OF_REPOSITORIES: Sequence[Measured[Status]] = (
    Measured("promise_kept", "Whether the retention promise holds (C7).", lambda of: of.promise.kept),
    Measured(
        "volume_newest_bytes",
        "Bytes of the newest versions, which count (C15).",
        lambda of: of.volume.newest_bytes,
    ),
    Measured("volume_stored_bytes", "Bytes on the disk.", lambda of: of.volume.stored_bytes),
    Measured("volume_subscribed_bytes", "Bytes subscribed.", lambda of: of.volume.subscribed_gb * GB),
    Measured("volume_closed", "Whether new backups are refused.", lambda of: of.volume.closed),
    Measured("retention_timestamp_seconds", "When retention last ran.", lambda of: _seconds(of.retention.at)),
    Measured(
        "check_timestamp_seconds",
        "When the repository was last checked.",
        lambda of: _seconds(of.check.at if of.check else None),
    ),
    Measured("check_ok", "Whether that check found no damage.", lambda of: of.check.ok if of.check else None),
    Measured(
        "drill_timestamp_seconds",
        "When a restore was last tried.",
        lambda of: _seconds(of.drill.at if of.drill else None),
    ),
    Measured("drill_ok", "Whether that restore was right.", lambda of: of.drill.ok if of.drill else None),
)


def _count(findings: Iterable[Told], severity: str) -> float:
    return float(sum(finding.severity == severity for finding in findings))


def _seconds(moment: datetime | None) -> float | None:
    return moment.timestamp() if moment else None
