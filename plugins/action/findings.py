"""What monitoring found, judged, remembered and written; documented in plugins/modules/findings.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from ..plugin_utils.ansible_adapter import CoreAction, Variables, documents_folder, journal_store
from ..plugin_utils.contract.model import ClientContract, HostContract, contracts_of
from ..plugin_utils.documents import mail
from ..plugin_utils.documents.model import Report
from ..plugin_utils.monitoring import channels, fleet, watchdog
from ..plugin_utils.monitoring.facts import of_result
from ..plugin_utils.monitoring.findings import Limits
from ..plugin_utils.monitoring.mail import announce as announce_by_mail
from ..plugin_utils.monitoring.mail import contacts
from ..plugin_utils.repository.status import answer
from ..plugin_utils.secret import Secret


class ActionModule(CoreAction):
    """Works on the controller only; writes no file in check mode."""

    _requires_connection = False

    def act(self, arguments: dict[str, Any], variables: Variables) -> dict[str, Any]:
        clients = fleet.clients_of(
            contracts_of(ClientContract, arguments["clients"]),
            contracts_of(HostContract, arguments["hosts"]),
            # A result is empty where nobody asked.
            {host: of_result(host, one) for host, one in arguments["servers"].items() if one},
            {host: answer(one) for host, one in arguments["repositories"].items() if one},
            arguments["agent_folder"],
            documents_folder(arguments["documents"], variables),
        )
        limits = Limits(
            grace=timedelta(hours=arguments["grace_hours"]),
            maintenance=timedelta(days=arguments["maintenance_days"]),
            drill=timedelta(days=arguments["drill_days"]),
            running=timedelta(hours=arguments["running_hours"]),
            clock_seconds=arguments["clock_seconds"],
            free_bytes=arguments["free_mb"] * 10**6,
        )
        outcome = fleet.run(
            clients,
            limits,
            f"{arguments['report_directory']}/monitoring",
            fleet.Outputs(
                arguments["metrics"], arguments["pdf"], journal_store(), contacts(arguments["provider"] or {})
            ),
            datetime.now(UTC),
            check=self._task.check_mode,
            ways=list(_ways(arguments)),
        )
        # One that asked only some (--limit) says nothing of whether all are looked at.
        asked = all(arguments["servers"].values()) and all(arguments["repositories"].values())
        if arguments["watchdog"] and asked and not self._task.check_mode:
            problems = watchdog.sign(Secret(arguments["watchdog"]), well=not outcome.problems)
            outcome = replace(outcome, problems=(*outcome.problems, *problems))
        self.show("\n" + fleet.table(outcome.report))
        result = {"changed": False, "state": outcome.worst(), "files": outcome.files}
        failure = fleet.verdict(outcome, arguments["fail_on"])
        return {**result, "failed": True, "error": "Findings", "msg": failure} if failure else result


def _ways(arguments: dict[str, Any]) -> Iterator[fleet.Way]:
    """How people are told: each contact by a mail with the report in French, and each channel."""
    if arguments["mail"]:
        told = contacts(arguments["provider"] or {})
        for address in dict.fromkeys(told.values()):
            concerns = tuple(concern for concern in told if told[concern] == address)
            yield fleet.Way(_mail(partial(mail.server, arguments["mail"]), address), concerns)
    for number, channel in enumerate(arguments["channels"], start=1):
        concerns, secret = channels.addressed(channel)
        yield fleet.Way(partial(_channel, number, secret), concerns)


def _mail(server: Callable[[], mail.Server], recipient: str) -> Callable[[Report, dict[str, str]], list[str]]:
    def announce(report: Report, files: dict[str, str]) -> list[str]:
        attached = [files[kind] for kind in ("pdf", "html") if kind in files][:1]
        return announce_by_mail(report, server, [recipient], attached)

    return announce


def _channel(number: int, address: Secret, report: Report, _files: dict[str, str]) -> list[str]:
    return channels.announce(report, number, address)
