"""What monitoring remembers between two runs, so that a finding is announced once, reminded daily, closed
when gone, and dated. Pure: a memory, what was found and a clock in; what to say and the next memory out.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from ...module_utils.maintenance.shape import NotOfShape, as_json, read
from ..clock import local
from ..documents.model import Told
from .findings import ClientFacts, Finding, resource
from .kinds import CONCERNS, KINDS, SEVERITIES

FORMAT = 1

NEW, OPEN, REMINDED, CLOSED = "new", "open", "reminded", "closed"
"""The status of a finding in a report: announced now, known, announced once more today, gone."""


_EDITED = "it is cut or was edited"


class DamagedMemory(ValueError):
    """A state file that is not one, or of another version of this program."""


@dataclass(frozen=True)
class _Format:
    """What every state file has, of whatever version."""

    format: int


@dataclass(frozen=True)
class Step:
    """What a run says, and what the next one has to know."""

    open: tuple[Told, ...]
    closed: tuple[Told, ...]
    memory: Memory
    """When all that is new was announced."""
    before: Mapping[str, tuple[datetime, str]]
    """What was announced until then, as in `Memory.announced`."""

    def without(self, untold: Collection[str]) -> Memory:
        """The memory when of what concerns these nobody could be told: that will be new once more."""
        announced = {
            id_: said
            for id_, said in self.memory.announced.items()
            if self.memory.findings[id_].concern not in untold
        }
        again = {id_: said for id_, said in self.before.items() if id_ not in announced}
        closed = tuple(entry for entry in self.closed if entry.concern in untold)
        return replace(self.memory, announced={**again, **announced}, closed=closed)


@dataclass(frozen=True)
class Memory:
    """The state of a fleet; `Past` for `findings.judge`."""

    names: Mapping[str, datetime]
    """Host or client -> when it was first looked at."""
    watched: Mapping[str, Mapping[str, tuple[str, datetime]]]
    """Host -> resource -> its digest when it was last in order, and when that was."""
    findings: Mapping[str, Told]
    """Id -> what the last report said of it."""
    announced: Mapping[str, tuple[datetime, str]]
    """Id -> when it was last announced, and how bad it was then."""
    closed: tuple[Told, ...] = ()
    """Findings that are gone, and of which nobody was told yet."""

    @classmethod
    def empty(cls) -> Memory:
        return cls({}, {}, {}, {})

    @classmethod
    def read(cls, text: str) -> Memory:
        """The memory in a state file. Raises DamagedMemory."""
        try:
            data = json.loads(text)
            if (known := read(_Format, data).format) != FORMAT:
                raise DamagedMemory(f"its format is {known}, not {FORMAT}")
            found = read(cls, data)
        except (NotOfShape, json.JSONDecodeError) as error:
            raise DamagedMemory(_EDITED) from error
        told = (*found.findings.values(), *found.closed)
        severities = {one.severity for one in told} | {said for _unused, said in found.announced.values()}
        if not (severities <= {*SEVERITIES} and {one.concern for one in told} <= {*CONCERNS}):
            raise DamagedMemory(_EDITED)
        return found

    def text(self) -> str:
        """The state file."""
        data = {"format": FORMAT, **as_json(self)}
        return json.dumps(data, indent=1, ensure_ascii=False, sort_keys=True) + "\n"

    # -- what judge asks --------------------------------------------------------------------------------

    def first_seen(self, name: str, now: datetime) -> datetime:
        return self.names.get(name, now)

    def in_order(self, host: str, name: str) -> tuple[str, datetime] | None:
        return self.watched.get(host, {}).get(name)

    # -- from one run to the next -----------------------------------------------------------------------

    def step(self, clients: Iterable[ClientFacts], found: Iterable[Finding], now: datetime) -> Step:
        """What there is to say of what was found now. `clients` are all of the inventory: what is known of
        others is closed. What could not be looked at stays as it was."""
        clients = list(clients)
        at = local(now).replace(microsecond=0)
        open_ = {finding.id: self._seen(finding, at) for finding in found}
        unseen = {id_: entry for id_, entry in self.findings.items() if id_ not in open_}
        kept = {id_: entry for id_, entry in unseen.items() if _cannot_be_told(entry, clients)}
        gone = [entry for id_, entry in unseen.items() if id_ not in kept]
        findings = tuple(
            replace(entry, status=self._status(entry, now))
            for _id, entry in sorted({**open_, **kept}.items())
        )
        closed = tuple(replace(entry, status=CLOSED) for entry in (*self.closed, *gone))
        said = {entry.id: (at, entry.severity) for entry in findings if entry.status in (NEW, REMINDED)}
        before = {entry.id: self.announced[entry.id] for entry in findings if entry.id in self.announced}
        names = {name: self.names.get(name, at) for client in clients for name in (client.id, *client.hosts)}
        remembered = {entry.id: entry for entry in findings}
        watched = self._watched(clients, at)
        return Step(
            findings,
            closed,
            Memory(names, watched, remembered, {**before, **said}),
            before,
        )

    def _seen(self, finding: Finding, at: datetime) -> Told:
        known = self.findings.get(finding.id)
        return Told(
            finding.id,
            finding.kind,
            finding.client,
            finding.host,
            finding.severity,
            finding.clause,
            finding.sentence,
            finding.remedy,
            finding.sentence_fr,
            finding.remedy_fr,
            since=known.since if known else at,
            last_seen=at,
            status=OPEN,
            concern=KINDS[finding.kind].concern,
        )

    def _status(self, entry: Told, now: datetime) -> str:
        """Announced when it is new or worse than it was said to be, then once a day (Europe/Paris)."""
        if entry.id not in self.announced:
            return NEW
        at, said = self.announced[entry.id]
        if SEVERITIES.index(entry.severity) > SEVERITIES.index(said):
            return NEW
        return REMINDED if local(at).date() < local(now).date() else OPEN

    def _watched(
        self, clients: Iterable[ClientFacts], at: datetime
    ) -> dict[str, dict[str, tuple[str, datetime]]]:
        """What is in order now, over what was when it was last in order."""
        result = {}
        for client in clients:
            for host in client.hosts:
                result[host] = dict(self.watched.get(host, {}))
                facts = client.servers.get(host)
                if not facts or not facts.reachable:
                    continue
                wrong = {resource(change) for change in facts.drift}
                # Of a folder that is not there, no file is in order.
                told = [name for name in facts.watched if "folder" not in wrong or name.startswith("\\")]
                result[host] |= {name: (facts.watched[name], at) for name in told if name not in wrong}
        return result


def _cannot_be_told(entry: Told, clients: Iterable[ClientFacts]) -> bool:
    """Whether a finding that was not found again may still be there, as nobody could look."""
    client = next((client for client in clients if client.id == entry.client), None)
    if client is None or (entry.host and entry.host not in client.hosts) or entry.kind not in KINDS:
        return False
    return not client.looked_at(KINDS[entry.kind].side, entry.host)
