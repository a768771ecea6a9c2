"""The file of a new client; documented in plugins/modules/new_client.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..plugin_utils.ansible_adapter import CoreAction, Variables, next_run, sealed
from ..plugin_utils.clients import answers, new_client, questions
from ..plugin_utils.clients.answers import Wanted
from ..plugin_utils.clients.draft import Inventory
from ..plugin_utils.clients.new_client import Mistaken, Plan, Refused, Source
from ..plugin_utils.clients.placement import Room
from ..plugin_utils.contract.files import CLIENTS
from ..plugin_utils.validation.lines import placed


class ActionModule(CoreAction):
    """Asks, checks and writes on the controller."""

    _requires_connection = False

    def act(self, arguments: dict[str, Any], variables: Variables) -> dict[str, Any]:
        inventory = Inventory.of(variables, arguments["documents"])
        rooms = {
            host: Room(one["bytes_free"], one["bytes_total"], frozenset(one["ports"]))
            for host, one in arguments["rooms"].items()
            if "ports" in one
        }
        silent = [host for host in arguments["rooms"] if host not in rooms]
        annex = answers.read_annex(_path(arguments["annex"])) if arguments["annex"] else Wanted()
        try:
            source = self._source(arguments["answers"], annex, variables)
            given = (inventory, source, rooms, arguments["first_port"], sealed)
            if not arguments["answers"] and not self._task.check_mode:
                self._confirm(new_client.plan(*given))
            planned = new_client.write(*given, check=self._task.check_mode)
        except Mistaken as error:
            return self.listed(error.errors, str(error))
        return self._result(planned, inventory, silent)

    def _source(self, file: str, annex: Wanted, variables: Variables) -> Source:
        """What a file says, or whoever is asked; with what the annex says. Raises Mistaken."""
        if not file:
            groups = variables["groups"]
            told = questions.asked(self.ask, annex, list(groups), list(groups.get(CLIENTS, [])))
            return Source(answers.joined(told, annex)[0] if annex.servers else told)
        told, scope, wrong = answers.read(_path(file), self.text_of)
        if annex.servers and scope and not wrong:
            told, mistakes = answers.joined(told, annex)
            wrong = [placed(scope, one) for one in mistakes]
        told, mistakes = answers.named(told)
        if wrong or mistakes:
            raise Mistaken(wrong or [placed(scope, one) for one in mistakes if scope])
        return Source(told, scope)

    def _confirm(self, planned: Plan) -> None:
        if (
            planned.changed
            and self.ask(f"{planned.shown}\nWrite {planned.path}? (y/n)").lower() not in questions.YES
        ):
            raise Refused("The answer was not yes", "Nothing was written")

    def _result(self, planned: Plan, inventory: Inventory, silent: list[str]) -> dict[str, Any]:
        client, path = planned.wanted.client, str(planned.path)
        line = next_run(inventory.playbook, inventory.sources)
        steps = [
            f"{line('documents')} -e prosecours_documents_client={client}",
            line("repository"),
            f"{line('preflight')} --limit {client}",
            f"{line('deploy')} --limit {client} --check --diff",
            f"{line('deploy')} --limit {client}",
        ]
        result: dict[str, Any] = {
            "changed": planned.changed,
            "client": client,
            "path": path,
            "host": planned.place.host,
            "url": planned.place.url,
            "next": steps,
            "warnings": [
                f"The repository host {host} did not answer: it was not considered." for host in silent
            ],
        }
        if planned.tight:
            result["warnings"].append(f"{planned.place.host}: {planned.place.told(planned.limit)}.")
        if not planned.changed:
            self.show(f"{client} is there already, in {path}, as these answers say. Nothing was changed.")
            return result
        if not self._task.check_mode:
            result["journal"] = {"client": client, "file_written": path, "repository": planned.place.url}
        self.show(
            "\n".join(
                [
                    "",
                    f"{client}: {planned.place.url} on {planned.place.host}. Next:",
                    *(f"  {one}" for one in steps),
                ]
            )
        )
        return result | {
            "diff": [{"before_header": path, "after_header": path, "before": "", "after": planned.shown}]
        }


def _path(given: str) -> Path:
    """Relative to where the technician stands, not to the playbook."""
    return Path.cwd() / Path(given).expanduser()
