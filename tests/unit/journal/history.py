"""A journal to read: what it tells is known."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible_collections.prosecours.backup.plugins.plugin_utils.journal import entries as journal


def begin(run: str, **more: Any) -> dict[str, Any]:
    entry = {"kind": "begin", "run": run, "playbook": "deploy", "technician": "A. Martin", "login": "martin"}
    entry |= {"controller": "poste-1", "instruction": "", "reason": "", "check": False, "hosts": []}
    return {**entry, "clients": {"moulin": ["moulin-srv1"], "lac": ["lac-srv"]}, **more}


def row(client: str | None, host: str, result: str = "ok", **more: Any) -> dict[str, Any]:
    whole = {"client": client, "host": host, "result": result, "changes": [], "failures": [], "details": {}}
    return {**whole, **more}


def tell(folder: Path) -> Path:
    """Three runs: one for two clients, one night run across midnight of Paris, one without an end."""
    path = folder / "journal.jsonl"
    for at, entry in (
        ("2026-11-20T09:00:00", begin("1", instruction="Mme Lefèvre", reason="=1+1")),
        (
            "2026-11-20T10:05:09",
            {
                "kind": "end",
                "run": "1",
                "result": "failed",
                "rows": [
                    row("moulin", "moulin-srv1", "changed", changes=["task altered; registered anew"]),
                    row("lac", "lac-srv", "unreachable", failures=["No answer from lac-srv"]),
                    row("lac", "depot", details={"versions_removed": 3}),
                ],
            },
        ),
        ("2026-11-30T23:30:00", begin("2", playbook="restore", clients={}, check=True)),
        (
            "2026-11-30T23:30:01",
            {**begin("2", clients={"lac": ["lac-srv"]}, instruction="M. Petit"), "kind": "also"},
        ),
        ("2026-11-30T23:31:00", {"kind": "end", "run": "2", "result": "ok", "rows": [row("lac", "lac-srv")]}),
        ("2026-12-02T08:00:00", begin("3", clients={"moulin": ["moulin-srv1"]}, technician="B. Durand")),
    ):
        journal.append(path, entry, datetime.fromisoformat(at).replace(tzinfo=UTC))
    return path
