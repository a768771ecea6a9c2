"""The journal, read, checked and exported; documented in plugins/modules/journal.py."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from ..plugin_utils import journal, journal_export
from ..plugin_utils.ansible_adapter import CoreAction, journal_file


class ActionModule(CoreAction):
    """Works on the controller only; the journal itself is never changed."""

    _requires_connection = False
    JOURNALLED = False  # to read the journal is no intervention
    ARGUMENTS = {
        "path": {"type": "path"},
        "client": {"type": "str"},
        "since": {"type": "str"},
        "until": {"type": "str"},
        "head": {"type": "str"},
        "export": {"type": "path"},
    }
    EXPECTED = (journal.JournalError, journal_export.ExportError)

    def act(self, arguments: dict[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
        path = Path(arguments["path"]) if arguments["path"] else journal_file()
        client = arguments["client"]
        since, until = (_day(arguments[name], name) for name in ("since", "until"))
        kept = [journal_export.head_from(arguments["head"])] if arguments["head"] else []
        verdict = journal.verify(path, kept)
        chosen = journal_export.choose(verdict, client, since, until)
        self._display.display(journal_export.text(path, verdict, chosen))
        result: dict[str, Any] = {"changed": False, **verdict.head, "runs": len(chosen), "files": []}
        if arguments["export"]:
            name = "_".join(filter(None, ["journal", client, arguments["since"], arguments["until"]]))
            written = journal_export.write(
                Path(arguments["export"]), name, verdict, chosen, check=self._task.check_mode
            )
            result.update(changed=bool(written.changed), files=[str(file) for file in written.files])
        if verdict.problems:
            listed = " ".join(verdict.problems)
            return {**result, "failed": True, "msg": f"The journal {path} is not as it was written. {listed}"}
        return result


def _day(text: str | None, name: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise journal_export.ExportError(
            f'{name}: "{text}" is no day. Write it as year-month-day, like 2026-11-30.'
        ) from None
