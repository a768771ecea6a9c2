"""What monitoring remembers between two runs, so that a finding is announced once, reminded daily, closed
when gone, and dated. Pure: a memory, what was found and a clock in; what to say and the next memory out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from . import documents
from .monitoring_findings import Client, Finding, resource
from .monitoring_kinds import KINDS, SEVERITIES

FORMAT = 1

NEW, OPEN, REMINDED, CLOSED = "new", "open", "reminded", "closed"
"""The status of a finding in a report: announced now, known, announced once more today, gone."""


_NAMES = (
    *("id", "kind", "client", "host", "severity", "clause", "sentence", "remedy", "sentence_fr", "remedy_fr"),
    *("since", "last_seen"),
)
"""What a report has of a finding, beside its status."""


class DamagedMemory(ValueError):
    """A state file that is not one, or of another version of this program."""


@dataclass(frozen=True)
class Step:
    """What a run says, and what the next one has to know. Findings are plain: see docs/monitoring.md."""

    open: tuple[dict[str, Any], ...]
    closed: tuple[dict[str, Any], ...]
    memory: Memory
    """When all that is new was announced."""
    unannounced: Memory
    """When it could not be: it will be new once more."""


@dataclass(frozen=True)
class Memory:
    """The state of a fleet; `Past` for `monitoring_findings.judge`."""

    names: Mapping[str, str]
    """Host or client -> when it was first looked at."""
    watched: Mapping[str, Mapping[str, tuple[str, str]]]
    """Host -> resource -> its digest when it was last in order, and when that was."""
    findings: Mapping[str, Mapping[str, Any]]
    """Id -> what the last report said of it."""
    announced: Mapping[str, tuple[str, str]]
    """Id -> when it was last announced, and how bad it was then."""
    closed: tuple[Mapping[str, Any], ...] = ()
    """Findings that are gone, and of which nobody was told yet."""

    @classmethod
    def empty(cls) -> Memory:
        return cls({}, {}, {}, {})

    @classmethod
    def read(cls, text: str) -> Memory:
        """The memory in a state file. Raises DamagedMemory."""
        try:
            data = json.loads(text)
            if data["format"] != FORMAT:
                raise DamagedMemory(f"its format is {data['format']}, not {FORMAT}")
            return cls(
                {name: _instant(at) for name, at in data["names"].items()},
                {
                    host: {name: (str(digest), _instant(at)) for name, (digest, at) in items.items()}
                    for host, items in data["watched"].items()
                },
                {id_: _finding(entry) for id_, entry in data["findings"].items()},
                {
                    id_: (_instant(at), SEVERITIES[SEVERITIES.index(severity)])
                    for id_, (at, severity) in data["announced"].items()
                },
                tuple(_finding(entry) for entry in data["closed"]),
            )
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            if isinstance(error, DamagedMemory):
                raise
            raise DamagedMemory("it is cut or was edited") from error

    def text(self) -> str:
        """The state file."""
        data = {
            "format": FORMAT,
            "names": self.names,
            "watched": self.watched,
            "findings": self.findings,
            "announced": self.announced,
            "closed": self.closed,
        }
        return json.dumps(data, indent=1, ensure_ascii=False, sort_keys=True) + "\n"

    # What judge asks.

    def first_seen(self, name: str, now: datetime) -> datetime:
        return datetime.fromisoformat(self.names[name]) if name in self.names else now

    def in_order(self, host: str, name: str) -> tuple[str, datetime] | None:
        found = self.watched.get(host, {}).get(name)
        return (found[0], datetime.fromisoformat(found[1])) if found else None

    # From one run to the next.

    def step(self, clients: Iterable[Client], found: Iterable[Finding], now: datetime) -> Step:
        """What there is to say of what was found now. `clients` are all of the inventory: what is known of
        others is closed. What could not be looked at stays as it was."""
        clients = list(clients)
        at = _iso(now)
        open_ = {finding.id: self._seen(finding, at) for finding in found}
        unseen = {id_: entry for id_, entry in self.findings.items() if id_ not in open_}
        kept = {id_: entry for id_, entry in unseen.items() if _cannot_be_told(entry, clients)}
        gone = [{**entry, "status": CLOSED} for id_, entry in unseen.items() if id_ not in kept]
        findings = [
            {**entry, "status": self._status(id_, entry["severity"], now)}
            for id_, entry in sorted({**open_, **kept}.items())
        ]
        closed = (*({**entry, "status": CLOSED} for entry in self.closed), *gone)
        said = {
            entry["id"]: (at, entry["severity"]) for entry in findings if entry["status"] in (NEW, REMINDED)
        }
        before = {
            entry["id"]: self.announced[entry["id"]] for entry in findings if entry["id"] in self.announced
        }
        names = {name: self.names.get(name, at) for client in clients for name in (client.id, *client.hosts)}
        remembered = {entry["id"]: entry for entry in findings}
        watched = self._watched(clients, at)
        return Step(
            tuple(findings),
            closed,
            Memory(names, watched, remembered, {**before, **said}),
            Memory(names, watched, remembered, before, closed),
        )

    def _seen(self, finding: Finding, at: str) -> dict[str, Any]:
        known = self.findings.get(finding.id)
        dates = {"since": known["since"] if known else at, "last_seen": at}
        return {name: dates[name] if name in dates else getattr(finding, name) for name in _NAMES}

    def _status(self, id_: str, severity: str, now: datetime) -> str:
        """Announced when it is new or worse than it was said to be, then once a day (Europe/Paris)."""
        if id_ not in self.announced:
            return NEW
        at, said = self.announced[id_]
        if SEVERITIES.index(severity) > SEVERITIES.index(said):
            return NEW
        return REMINDED if documents.local(at).date() < documents.local(now).date() else OPEN

    def _watched(self, clients: Iterable[Client], at: str) -> dict[str, dict[str, tuple[str, str]]]:
        """What is in order now, over what was when it was last in order."""
        result = {}
        for client in clients:
            for host in client.hosts:
                result[host] = dict(self.watched.get(host, {}))
                facts = client.servers.get(host)
                if not facts or not facts["reachable"]:
                    continue
                wrong = {resource(change) for change in facts["drift"]}
                # Of a folder that is not there, no file is in order.
                told = [name for name in facts["watched"] if "folder" not in wrong or name.startswith("\\")]
                result[host] |= {name: (facts["watched"][name], at) for name in told if name not in wrong}
        return result


def _finding(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """A remembered finding, when it has all that a report needs. Raises KeyError, TypeError, ValueError."""
    for name in ("since", "last_seen"):
        _instant(entry[name])
    SEVERITIES.index(entry["severity"])
    return {name: entry[name] for name in (*_NAMES, "status")}


def _instant(text: str) -> str:
    datetime.fromisoformat(text)
    return text


def _cannot_be_told(entry: Mapping[str, Any], clients: Iterable[Client]) -> bool:
    """Whether a finding that was not found again may still be there, as nobody could look."""
    client = next((client for client in clients if client.id == entry["client"]), None)
    if client is None or (entry["host"] and entry["host"] not in client.hosts) or entry["kind"] not in KINDS:
        return False
    return not client.looked_at(KINDS[entry["kind"]].side, entry["host"])


def _iso(moment: datetime) -> str:
    return moment.astimezone(documents.PARIS).isoformat(timespec="seconds")
