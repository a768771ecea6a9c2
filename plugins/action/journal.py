"""The journal, read, checked and exported; documented in plugins/modules/journal.py."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from ..module_utils.maintenance.shape import as_json
from ..plugin_utils.ansible_adapter import CoreAction, Variables, journal_setting, journal_store, store_at
from ..plugin_utils.journal import elsewhere, entries, export
from ..plugin_utils.journal.moving import move
from ..plugin_utils.journal.stores import FileStore, JournalError, Say, Store


class ActionModule(CoreAction):
    """Works on the controller only; what stands in the journal is never changed."""

    _requires_connection = False
    JOURNALLED = False  # to read the journal is no intervention

    def act(self, arguments: dict[str, Any], variables: Variables) -> dict[str, Any]:
        store = store_at(arguments["path"]) if arguments["path"] else journal_store()
        client = arguments["client"]
        since, until = (_day(arguments[name], name) for name in ("since", "until"))
        kept = [export.head_from(arguments["head"])] if arguments["head"] else []
        moved, said = False, list[str]()
        if arguments["move_to"]:
            moved, store = self._moved(store, arguments["move_to"], said.append)
        acknowledged = bool(arguments["acknowledge"]) and not self._task.check_mode
        if acknowledged:
            entries.acknowledge(
                store, arguments["acknowledge"], arguments["technician"], arguments["reason"], kept
            )
        verdict = entries.verify(store, kept)
        problems, notes = elsewhere.checked(store, journal_setting("timestamp_ca"))
        verdict = replace(verdict, problems=[*verdict.problems, *problems], notes=[*verdict.notes, *notes])
        chosen = export.choose(verdict, client, since, until)
        self.show(export.text(store, verdict, chosen))
        result: dict[str, Any] = {
            "changed": moved or acknowledged,
            **as_json(verdict.head),
            "runs": len(chosen),
            "files": [],
            **({"warnings": said} if said else {}),
        }
        if arguments["export"]:
            name = "_".join(filter(None, ["journal", client, arguments["since"], arguments["until"]]))
            written = export.write(
                Path(arguments["export"]), name, verdict, chosen, check=self._task.check_mode
            )
            result.update(
                changed=moved or acknowledged or bool(written.changed),
                files=[str(file) for file in written.files],
            )
        if verdict.problems:
            listed = " ".join(verdict.problems)
            return {
                **result,
                "failed": True,
                "msg": f"The journal {store} is not as it was written. {listed}",
            }
        return result

    def _moved(self, source: Store, address: str, say: Say) -> tuple[bool, Store]:
        """Whether something was moved (in check mode: would be), and what is to be read now."""
        target = store_at(address)
        if isinstance(target, FileStore):
            raise JournalError(
                f'move_to: "{address}" is no address of a database', "Write postgresql://user@host/database"
            )
        looking = bool(self._task.check_mode)
        lacking = move(source, target, say, only_look=looking)
        return lacking, source if looking else target


def _day(text: str | None, name: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise export.ExportError(
            f'{name}: "{text}" is no day', "Write it as year-month-day, like 2026-11-30"
        ) from None
