"""The monthly reports to the clients; documented in plugins/modules/client_report.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..plugin_utils.ansible_adapter import CoreAction, Variables
from ..plugin_utils.documents import client_report, mail
from ..plugin_utils.files import alone
from ..plugin_utils.wording import one_of


class ActionModule(CoreAction):
    """Works on the controller only; in check mode it writes and sends nothing."""

    _requires_connection = False

    def act(self, arguments: dict[str, Any], variables: Variables) -> dict[str, Any]:
        clients, only = arguments["clients"], arguments["client"]
        if only and only not in clients:
            return {"failed": True, "msg": f'There is no client "{only}". {one_of(only, sorted(clients))}'}
        now = datetime.now(UTC)
        month = client_report.month_of(arguments["month"], now)
        folder = Path(arguments["folder"]).expanduser() / str(month)
        server = mail.server(arguments["mail"]) if arguments["mail"] else None
        remedy = "Set prosecours_report_dir to another place"
        with nullcontext() if self._task.check_mode else alone(folder, remedy):
            plans, failures = client_report.plan(
                client_report.read(Path(arguments["report"]).expanduser()),
                [only] if only else [name for name, client in clients.items() if client["monthly_report"]],
                month,
                folder,
                arguments["provider"] or {},
                post=server is not None,
                again=arguments["again"],
            )
            posted: Mapping[str, Sequence[str]] = {one.client: one.message.to for one in plans if one.message}
            if not self._task.check_mode:
                outcome = client_report.apply(plans, folder, server, now)
                posted = outcome.sent
                failures |= {client: list(texts) for client, texts in outcome.failures.items()}
        result: dict[str, Any] = {
            "changed": bool(plans),
            "month": str(month),
            "files": {one.client: {"html": str(one.page), "pdf": str(one.pdf)} for one in plans},
            "sent": {client: list(to) for client, to in posted.items()},
        }
        if plans and not self._task.check_mode:
            result["journal"] = {
                "clients": {
                    one.client: {"month": str(month), "sent_to": result["sent"].get(one.client, [])}
                    for one in plans
                }
            }
        result["failures"] = failures
        if failures:
            sentences = dict.fromkeys(sentence for texts in failures.values() for sentence in texts)
            result |= {"failed": True, "msg": " ".join(sentences)}
        return result
