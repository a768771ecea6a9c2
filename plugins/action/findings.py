"""What monitoring found, judged, remembered and written; documented in plugins/modules/findings.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from ..plugin_utils import mail, monitoring, monitoring_mail
from ..plugin_utils.ansible_adapter import CoreAction, journal_file
from ..plugin_utils.monitoring_findings import Limits


class ActionModule(CoreAction):
    """Works on the controller only; writes no file in check mode."""

    _requires_connection = False
    ARGUMENTS = {
        "clients": {"type": "dict", "required": True},
        "hosts": {"type": "dict", "required": True},
        "servers": {"type": "dict", "required": True},
        "repositories": {"type": "dict", "default": {}},
        "agent_folder": {"type": "str", "default": r"C:\Program Files\ProSecours"},
        "report_directory": {"type": "str", "default": "build/reports"},
        "pdf": {"type": "bool", "default": False},
        "metrics": {"type": "str", "default": ""},
        "grace_hours": {"type": "int", "default": 8},
        "maintenance_days": {"type": "int", "default": 3},
        "drill_days": {"type": "int", "default": 35},
        "running_hours": {"type": "int", "default": 72},
        "clock_seconds": {"type": "int", "default": 300},
        "free_mb": {"type": "int", "default": 1000},
        "fail_on": {
            "type": "str",
            "choices": ["notice", "warning", "critical", "never"],
            "default": "warning",
        },
        "mail": {"type": "dict", "options": mail.OPTIONS},
        "mail_to": {"type": "list", "elements": "str", "default": []},
    }

    def act(self, arguments: dict[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
        clients = monitoring.clients_of(
            arguments["clients"],
            arguments["hosts"],
            arguments["servers"],
            arguments["repositories"],
            arguments["agent_folder"],
        )
        limits = Limits(
            grace=timedelta(hours=arguments["grace_hours"]),
            maintenance=timedelta(days=arguments["maintenance_days"]),
            drill=timedelta(days=arguments["drill_days"]),
            running=timedelta(hours=arguments["running_hours"]),
            clock_seconds=arguments["clock_seconds"],
            free_bytes=arguments["free_mb"] * 10**6,
        )
        outcome = monitoring.run(
            clients,
            limits,
            f"{arguments['report_directory']}/monitoring",
            monitoring.Outputs(arguments["metrics"], arguments["pdf"], journal_file()),
            datetime.now(UTC),
            check=self._task.check_mode,
            announce=_mail(arguments["mail"], arguments["mail_to"]),
        )
        self._display.display("\n" + monitoring.table(outcome.report))
        result = {"changed": False, "state": outcome.worst(), "files": outcome.files}
        failure = monitoring.verdict(outcome, arguments["fail_on"])
        return {**result, "failed": True, "error": "Findings", "msg": failure} if failure else result


def _mail(options: Mapping[str, Any] | None, recipients: Sequence[str]) -> monitoring.Announce:
    """How people are told: by mail, with the report in French, or not at all."""

    def announce(report: dict[str, Any], files: dict[str, str]) -> list[str]:
        if not options or not recipients:
            return []
        attached = [files[kind] for kind in ("pdf", "html") if kind in files][:1]
        return monitoring_mail.announce(report, options, recipients, attached)

    return announce
