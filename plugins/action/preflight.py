"""prosecours.backup.preflight: may this server be deployed? One session, nothing changed on the host (C2)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ..plugin_utils.agent import facts as agent
from ..plugin_utils.agent import handover
from ..plugin_utils.ansible_adapter import Variables, run_folder
from ..plugin_utils.contract.model import HostContract
from ..plugin_utils.errors import ProSecoursError
from ..plugin_utils.preflight import run as preflight
from ..plugin_utils.preflight.checks import BLOCKS, WARNS
from ..plugin_utils.windows_action import WindowsAction

_COLOURS = {"blocked": "red", "warned": "yellow", "ready": None}


class ActionModule(WindowsAction):
    """See plugins/modules/preflight.py for the arguments. Never changed, and the same in check mode."""

    def act(self, arguments: dict[str, Any], variables: Variables) -> dict[str, Any]:
        contract = HostContract.from_plain(arguments["contract"])
        look = preflight.wanted(contract, arguments["repository"], arguments["folder"])
        try:
            session = self.session(variables)
            report = preflight.inspect(
                session, contract, look, arguments["timeout"], agent.probes(look.folder)
            )
        except ProSecoursError as error:
            report = preflight.unreached(contract, error, datetime.now(UTC))
        if arguments["quiet"] and not self.verbose:
            for said in report.said(WARNS):
                self.show(f"{contract.host}: {said}", color=_COLOURS["warned"])
            refusal = " ".join(report.said(BLOCKS))
        else:
            self.show(report.table(), color=_COLOURS[report.verdict])
            refusal = report.refusal
        target = preflight.write(report, arguments["report_directory"])
        # The report itself stays in its file: Ansible would print all of it again for a server that fails.
        result = {
            "changed": False,
            "verdict": report.verdict,
            "perimeter_bytes": report.case.facts.size if report.case else 0,
            "first_backup_hours": report.first_backup_hours,
            "path": str(target),
            "observed": handover.leave(run_folder(), contract.host, look.folder, report.others)
            if report.others
            else "",
        }
        return {**result, "failed": True, "msg": refusal} if refusal else result
