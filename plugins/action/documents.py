"""The contract's paper: annexes, amendments, letters; documented in plugins/modules/documents.py."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Any

from ..module_utils.maintenance.shape import as_json
from ..plugin_utils.ansible_adapter import CoreAction, Variables, documents_folder
from ..plugin_utils.clock import local
from ..plugin_utils.contract.model import ClientContract, HostContract, contracts_of
from ..plugin_utils.documents import annexes, letters, mail
from ..plugin_utils.files import alone
from ..plugin_utils.wording import one_of


class ActionModule(CoreAction):
    """Works on the controller only; in check mode it writes and sends nothing."""

    _requires_connection = False

    def act(self, arguments: dict[str, Any], variables: Variables) -> dict[str, Any]:
        clients = contracts_of(ClientContract, arguments["clients"])
        hosts = contracts_of(HostContract, arguments["hosts"])
        if only := arguments["client"]:
            if only not in clients:
                return {
                    "failed": True,
                    "msg": f'There is no client "{only}". {one_of(only, sorted(clients))}',
                }
            clients = {only: clients[only]}
        folder = documents_folder(arguments["documents"], variables)
        provider = arguments["provider"] or {}
        check, today = self._task.check_mode, local(datetime.now(UTC)).date()
        said = letters.instructions(arguments["instructions"])
        server = mail.server(arguments["mail"]) if arguments["letters"] and arguments["mail"] else None
        with nullcontext() if check else alone(folder, "Set prosecours_documents_dir to another place"):
            form = annexes.Sheet(folder / annexes.BLANK, annexes.blank(), alone=True)
            new = not form.is_there()
            if new and not check:
                form.write()
            printed = [annexes.plan(client, hosts, folder, provider) for client in clients.values()]
            diff = [one for each in printed for one in annexes.diff(each)]
            failures = {} if check else annexes.apply(printed)
            due, waiting, unknown = letters.plan(
                clients, hosts, folder, said, {**provider, "address": arguments["sender"]}, today
            )
            for client, sentences in unknown.items():
                failures.setdefault(client, []).extend(sentences)
            handed = letters.Delivered()
            if arguments["letters"]:
                planned = letters.foretell(due, folder, server, today)
                diff += letters.diff(planned)
                handed = planned if check else letters.apply(due, folder, server, today)
        for client, told in handed.failures.items():
            failures.setdefault(client, []).extend(told)
        if told := list(_table(printed, due, waiting, handed)):
            self.show("\n" + "\n".join(told))
        result = _result(printed, due, waiting, handed, failures) | {"form": str(form.path)}
        if new:
            result["changed"] = True
            header = str(form.path)
            made = "the form that a new client fills in\n"
            diff.insert(0, {"before_header": header, "after_header": header, "before": "", "after": made})
        result |= {"diff": diff} if diff else {}
        if waiting and arguments["letters"]:
            result["warnings"] = list(waiting.values())
        if not check:
            result["journal"] = {"clients": _journal(printed, handed)}
        return result


def _table(
    printed: Sequence[annexes.Printed],
    due: Sequence[letters.Letter],
    waiting: Mapping[str, str],
    handed: letters.Delivered,
) -> Iterator[str]:
    """For the technician: each client's fingerprint, what is to be signed, and the letters."""
    ways = {one.client: " and ".join(one.ways) for one in due}
    for one in printed:
        yield f"{one.client}  annexes {one.fingerprint}  {one.state}"
        yield from (f"  {page}" for page in one.pages)
        if one.standing.problem:
            yield f"  {one.standing.problem}"
        if one.client in handed.handed:
            yield "  letter: handed over by " + " and ".join(way.by for way in handed.handed[one.client])
        elif one.client in ways:
            yield f"  letter: due by {ways[one.client]}"
        elif one.client in waiting:
            yield f"  letter: {waiting[one.client]}"
    if handed.file:
        yield f"to print and post: {handed.file}"


def _result(
    printed: Sequence[annexes.Printed],
    due: Sequence[letters.Letter],
    waiting: Collection[str],
    handed: letters.Delivered,
    failures: Mapping[str, Sequence[str]],
) -> dict[str, Any]:
    result: dict[str, Any] = {
        "changed": any(one.due for one in printed) or bool(handed.handed),
        "annexes": {
            one.client: {
                "fingerprint": one.fingerprint,
                "pages": [str(page) for page in one.pages],
                "differences": [str(difference) for difference in one.standing.differences],
            }
            for one in printed
        },
        "due": {
            **{one.client: list(one.ways) for one in due if one.client not in handed.handed},
            **{client: [] for client in waiting},
        },
        "failures": failures,
    }
    if handed.handed:
        result["letters"] = str(handed.file or "")
        result["handed"] = _plain(handed)
    if failures:
        sentences = dict.fromkeys(sentence for texts in failures.values() for sentence in texts)
        result |= {"failed": True, "msg": " ".join(sentences)}
    return result


def _plain(handed: letters.Delivered) -> dict[str, list[dict[str, Any]]]:
    return {client: [as_json(one) for one in own] for client, own in handed.handed.items()}


def _journal(printed: Sequence[annexes.Printed], handed: letters.Delivered) -> dict[str, dict[str, Any]]:
    """Of each client the annexes that were printed anew, and who received what, when and how (C10, C13)."""
    kept: dict[str, dict[str, Any]] = {
        one.client: {"annexes_printed": one.fingerprint} for one in printed if one.due
    }
    for client, own in _plain(handed).items():
        kept.setdefault(client, {})["letters"] = own
    return kept
