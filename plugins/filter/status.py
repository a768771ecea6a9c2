"""The filters of playbooks/status.yml; each is documented in a file of its own beside this one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..plugin_utils import status_report
from ..plugin_utils.ansible_adapter import plain


class FilterModule:
    """Thin: Ansible's values in, plain values out."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"status_report": _report, "status_table": _table, "status_wrong": _wrong}


def _report(results: Mapping[str, Any], clients: Mapping[str, Any]) -> dict[str, Any]:
    return status_report.combine(plain(results), plain(clients))


def _table(report: Mapping[str, Any]) -> str:
    return status_report.table(plain(report))


def _wrong(report: Mapping[str, Any]) -> list[str]:
    return status_report.wrong(plain(report))
