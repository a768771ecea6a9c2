"""The Prometheus text file, read by Prometheus' own client library."""

from __future__ import annotations

from typing import Any

from ansible_collections.prosecours.backup.plugins.plugin_utils.monitoring import fleet as monitoring
from ansible_collections.prosecours.backup.plugins.plugin_utils.monitoring.findings import (
    ClientFacts,
    Limits,
    judge,
)
from ansible_collections.prosecours.backup.plugins.plugin_utils.monitoring.memory import Memory
from ansible_collections.prosecours.backup.plugins.plugin_utils.monitoring.metrics import render
from prometheus_client.parser import text_string_to_metric_families

from .fleet import HOST, NOW, client, server, status

Samples = dict[str, dict[tuple[tuple[str, str], ...], float]]


def samples(of: ClientFacts) -> Samples:
    step = Memory.empty().step([of], judge(of, Memory.empty(), Limits(), NOW), NOW)
    text = render(monitoring.assemble([of], step, NOW))
    assert text.endswith("\n")
    found: Samples = {}
    for family in text_string_to_metric_families(text):
        assert family.type == "gauge"
        assert family.documentation.endswith(".")
        assert family.samples, family.name
        for sample in family.samples:
            labels = tuple(sorted(sample.labels.items()))
            assert labels not in found.setdefault(sample.name, {}), f"{sample.name} twice"
            found[sample.name][labels] = sample.value
    return found


def value(found: Samples, name: str, **labels: str) -> float:
    [result] = [
        number
        for having, number in found[f"prosecours_{name}"].items()
        if labels.items() <= dict(having).items()
    ]
    return result


def test_a_client_that_is_well() -> None:
    found = samples(client())
    assert value(found, "findings", severity="critical") == 0
    assert value(found, "server_reachable", host=HOST) == 1
    assert value(found, "server_free_bytes", host=HOST) == 50e9
    assert value(found, "last_complete_backup_timestamp_seconds", host=HOST) == 1795467605
    assert value(found, "volume_subscribed_bytes", client="gaec_du_moulin") == 50e9
    assert value(found, "promise_kept", client="gaec_du_moulin") == 1
    assert value(found, "monitor_timestamp_seconds") == NOW.timestamp()
    assert "prosecours_finding_since_timestamp_seconds" not in found


def test_findings_with_whatever_their_details_hold() -> None:
    path = 'D:\\a "b"\nc\\é'
    found = samples(client(server(status__missing=[path]), status(volume__percent=101.0)))
    assert value(found, "findings", severity="critical") == 1
    assert value(found, "findings", severity="warning") == 1
    assert value(found, "finding_since_timestamp_seconds", detail=path, clause="C1") == NOW.timestamp()


def test_what_is_not_known_has_no_sample() -> None:
    off = server(
        reachable=False,
        failure="no answer",
        remedy="Look",
        error="Unreachable",
        last_status=None,
        free_bytes=None,
        clock_offset_seconds=None,
    )
    found = samples(client(off, None, "depot: no route"))
    assert value(found, "server_reachable") == 0
    assert value(found, "repository_readable") == 0
    unknown: list[Any] = [
        name for name in found if "free" in name or "volume" in name or "last_backup" in name
    ]
    assert unknown == []
