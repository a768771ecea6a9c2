"""The retention of a repository host's clients; documented in plugins/modules/retention.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..module_utils.maintenance.checks import MOST_SLICES
from ..module_utils.maintenance.model import Maintained
from ..module_utils.maintenance.shape import read
from ..module_utils.maintenance.volume import Bill, bills_as_csv
from ..plugin_utils.ansible_adapter import Variables
from ..plugin_utils.repository.action import RepositoryAction

JUDGEMENTS = (
    ("release", "released", "A release", "lifts the caution"),
    ("reject", "rejected", "A rejection", "found it forged"),
)
"""Of a technician: the option, its verdict, what it is called, what he did."""


class ActionModule(RepositoryAction):
    """See plugins/modules/retention.py for the arguments."""

    def act(self, arguments: dict[str, Any], variables: Variables) -> dict[str, Any]:
        if not 1 <= arguments["check_cycle_days"] <= MOST_SLICES:
            return {
                "failed": True,
                "msg": f"check_cycle_days is {arguments['check_cycle_days']}. Give 1 to {MOST_SLICES} days.",
            }
        judged = {}
        for verb, verdict, noun, act in JUDGEMENTS:
            by, why = arguments[f"{verb}_by"] or "", arguments[f"{verb}_why"] or ""
            if arguments[verb] and not (arguments["client"] and by and why):
                return {"failed": True, "msg": f"{noun} needs its client, who {act}, and why: give all."}
            arguments[f"{verb}_by"], arguments[f"{verb}_why"] = by, why
            judged[verdict] = (by, why)
        if not self._play_context.check_mode:
            host, days = variables["inventory_hostname"], arguments["check_cycle_days"]
            self.show(
                f"[{host}] Of each repository the structure and 1/{days} of the data are read, "
                f"{arguments['side_by_side']} clients at a time. That can take hours; to follow it, there: "
                f"tail -f {arguments['state_folder']}/progress.log"
            )
        result = self.on_host("retention", arguments, variables)
        reports = result.get("clients", {})
        maintained = {client: read(Maintained, report) for client, report in reports.items()}
        result["journal"] = {"clients": _kept(maintained, judged)}
        rows = [Bill(**row) for report in reports.values() for row in report.pop("bills", ())]
        result["bills"] = {
            month: bills_as_csv(row for row in rows if row.month == month)
            for month in sorted({row.month for row in rows})
        }
        return result


def _kept(
    reports: Mapping[str, Maintained], judged: Mapping[str, tuple[str, str]]
) -> dict[str, dict[str, Any]]:
    """For the journal, of each client: how many versions went, whose repositories were dropped, and which
    versions a technician released or rejected, who and why (C10); `judged` tells both of each verdict."""
    kept: dict[str, dict[str, Any]] = {}
    for client, report in reports.items():
        if report.removed:
            kept[client] = {"versions_removed": len(report.removed)}
        if report.fence_put_up:
            kept.setdefault(client, {})["fence_put_up"] = True
        if report.dropped:
            kept.setdefault(client, {})["repositories_dropped"] = list(report.dropped)
        for verdict, (by, why) in judged.items():
            if names := [name[:8] for name in getattr(report, verdict)]:
                kept.setdefault(client, {})[verdict] = {"versions": names, "by": by, "why": why}
    return kept
