"""prosecours.backup.preflight: may this server be deployed? One session, nothing changed on the host (C2)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ..plugin_utils import preflight
from ..plugin_utils.ansible_adapter import CoreAction
from ..plugin_utils.winrm_session import WinRMSession

_COLOURS = {"blocked": "red", "warned": "yellow", "ready": None}
_TEXT = {"type": "str", "default": ""}


class ActionModule(CoreAction):
    """See plugins/modules/preflight.py for the arguments. Never changed, and the same in check mode."""

    ARGUMENTS = {
        "contract": {"type": "dict", "required": True},
        "repository": {
            "type": "dict",
            "required": True,
            "options": {
                "url": {"type": "str", "required": True},
                "username": _TEXT,
                "password": {**_TEXT, "no_log": True},
                "ca": _TEXT,
            },
        },
        "folder": {"type": "str", "default": r"C:\Program Files\ProSecours"},
        "report_directory": {"type": "str", "default": "build/reports"},
        "timeout": {"type": "int", "default": 900},
    }
    EXPECTED = (preflight.ReportError,)

    def act(self, arguments: dict[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
        contract = arguments["contract"]
        look = preflight.wanted(contract, arguments["repository"], arguments["folder"])
        try:
            session = WinRMSession(self._connection, str(variables["inventory_hostname"]))
            report = preflight.inspect(session, contract, look, arguments["timeout"])
        except preflight.FAILURES as error:
            report = preflight.unreached(contract, error, datetime.now(UTC))
        self._display.display(report.table(), color=_COLOURS[report.verdict])
        target = preflight.write(report, arguments["report_directory"])
        # The report itself stays in its file: Ansible would print all of it again for a server that fails.
        result = {
            "changed": False,
            "verdict": report.verdict,
            "perimeter_bytes": report.case.facts.size if report.case else 0,
            "first_backup_hours": report.first_backup_hours,
            "path": str(target),
        }
        return {**result, "failed": True, "msg": report.refusal} if report.refusal else result
