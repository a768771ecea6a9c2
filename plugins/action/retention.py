"""The retention of a repository host's clients; documented in plugins/modules/retention.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..module_utils.checks import MOST_SLICES
from ..module_utils.volume import Bill, bills_as_csv
from ..plugin_utils.repository_action import RepositoryAction


class ActionModule(RepositoryAction):
    """See plugins/modules/retention.py for the arguments."""

    ARGUMENTS = {
        **RepositoryAction.COMMON,
        "patience": {"type": "int", "default": 600},
        "max_unused": {"type": "str", "default": "5%"},
        "check_cycle_days": {"type": "int", "default": 30},
        "drill_files": {"type": "int", "default": 20},
        "drill_megabytes": {"type": "int", "default": 500},
        "drill_folder": {"type": "str", "default": "/tmp"},  # noqa: S108 -- a new folder in it, closed to others
        "release": {"type": "list", "elements": "str", "default": []},
        "release_by": {"type": "str"},
        "release_why": {"type": "str"},
    }

    def act(self, arguments: dict[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
        if not 1 <= arguments["check_cycle_days"] <= MOST_SLICES:
            return {
                "failed": True,
                "msg": f"check_cycle_days is {arguments['check_cycle_days']}. Give 1 to {MOST_SLICES} days.",
            }
        given = arguments["client"] and arguments["release_by"] and arguments["release_why"]
        if arguments["release"] and not given:
            return {
                "failed": True,
                "msg": "A release needs its client, who lifts the caution, and why: give all.",
            }
        for name in ("release_by", "release_why"):
            arguments[name] = arguments[name] or ""
        if not self._play_context.check_mode:
            host, days = variables["inventory_hostname"], arguments["check_cycle_days"]
            self._display.display(
                f"[{host}] Of each repository the structure and 1/{days} of the data are read, "
                f"{arguments['side_by_side']} clients at a time. That can take hours; to follow it, there: "
                f"tail -f {arguments['state_folder']}/progress.log"
            )
        result = self.on_host("retention", arguments, variables)
        result["journal"] = {"clients": _kept(result.get("clients", {}), arguments)}
        rows = [
            Bill(**row) for report in result.get("clients", {}).values() for row in report.pop("bills", ())
        ]
        result["bills"] = {
            month: bills_as_csv(row for row in rows if row.month == month)
            for month in sorted({row.month for row in rows})
        }
        return result


def _kept(reports: Mapping[str, Any], arguments: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """For the journal, of each client: how many versions went, and about which a caution was lifted (C10)."""
    kept: dict[str, dict[str, Any]] = {}
    for client, report in reports.items():
        if report["removed"]:
            kept[client] = {"versions_removed": len(report["removed"])}
        if report["released"]:
            names = [name[:8] for name in report["released"]]
            who = {"released_by": arguments["release_by"], "why": arguments["release_why"]}
            kept.setdefault(client, {}).update(released=names, **who)
    return kept
