"""The filters of playbooks/status.yml; each is documented in a file of its own beside this one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError

from ..module_utils.maintenance.shape import NotOfShape, as_json, read
from ..plugin_utils.ansible_adapter import plain
from ..plugin_utils.repository import status as status_report


class FilterModule:
    """Thin: Ansible's values in, plain values out."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"status_report": _report, "status_table": _table, "status_wrong": _wrong}


def _report(results: Any, clients: Any) -> dict[str, Any]:
    return as_json(
        status_report.combine(
            {host: status_report.answer(one) for host, one in plain(results).items()}, plain(clients)
        )
    )


def _table(report: Any) -> str:
    return status_report.table(_read(report))


def _wrong(report: Any) -> list[str]:
    return status_report.wrong(_read(report))


def _read(report: Any) -> status_report.Statuses:
    """What `_report` gave. Raises AnsibleFilterError."""
    try:
        return read(status_report.Statuses, plain(report))
    except NotOfShape as error:
        raise AnsibleFilterError(
            f"This is not what the filter prosecours.backup.status_report returns: {error}"
        ) from error
