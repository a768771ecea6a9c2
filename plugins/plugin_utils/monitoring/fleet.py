"""Monitoring of a fleet (C9, C12, C18): facts of both sides -> findings -> memory -> report -> files.

What each side tells is gathered by others (`server` over WinRM, the action `status` on the
repository hosts); here it is put together, judged, remembered and written. An output that fails costs a
sentence, and no other output.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from ...module_utils.maintenance import shape
from ...module_utils.maintenance.model import Status
from ..clock import local
from ..contract.model import ClientContract, HostContract
from ..documents.model import ClientLine, Report, ServerLine, Told
from ..files import write_whole
from ..journal import entries as journal
from ..journal.database import Database
from ..repository.status import Answer
from ..wording import plural, show_moment
from . import metrics, paper, report
from .facts import ServerFacts
from .findings import ClientFacts, Limits, judge
from .kinds import CONCERNS, SEVERITIES
from .memory import CLOSED, NEW, OPEN, REMINDED, Step
from .remembered import remembering, told

OK = "ok"
REPORT, METRICS = "report.json", "prosecours.prom"
"""The files in the folder of monitoring: the report for programs, the Prometheus file."""


@dataclass(frozen=True)
class Round:
    """A round of monitoring: its report, the files that were written by kind, and a sentence for each that
    could not be."""

    report: Report
    files: dict[str, str]
    problems: tuple[str, ...]

    def worst(self) -> str:
        """The severity of the worst open finding, or "ok"."""
        return _worst(client.state for client in self.report.clients)


@dataclass(frozen=True)
class Outputs:
    """What is written beside the report for programs."""

    metrics: str = ""
    """Path of the Prometheus file; empty for one beside the report."""
    pdf: bool = False
    journal: journal.Place | None = None
    """Of interventions (C10): its head goes into the report, and is looked for at the next run. The memory of
    monitoring is in the same database, if it is in one."""
    provider: Mapping[str, str] = field(default_factory=dict)
    """Concern of a finding -> e-mail address of the contact whom the page names."""


@dataclass(frozen=True)
class Way:
    """A way to tell people what is new."""

    announce: Callable[[Report, dict[str, str]], Iterable[str]]
    """Given the report and its files; returns a sentence for each thing that could not be told."""
    concerns: tuple[str, ...] = CONCERNS
    """Of which findings it is told; the report has no others."""


def clients_of(
    contracts: Mapping[str, ClientContract],
    hosts: Mapping[str, HostContract],
    servers: Mapping[str, ServerFacts],
    repositories: Mapping[str, Answer],
    folder: str,
    documents: Path | None = None,
) -> list[ClientFacts]:
    """All clients of the inventory with what was learnt of them, host by host; not of whom nobody asked.

    `documents`: where the contract's paper is kept; without it nothing is said of it.
    """
    return [
        ClientFacts(
            contract,
            {host: hosts[host] for host in contract.hosts},
            {host: servers[host] for host in contract.hosts if host in servers},
            *_repository_of(name, repositories),
            folder=folder,
            paper=paper.look(contract, hosts, documents) if documents else None,
        )
        for name, contract in contracts.items()
    ]


def _repository_of(client: str, answers: Mapping[str, Answer]) -> tuple[Status | None, str | None]:
    """The client's status, or why there is none; neither when no repository host was asked."""
    for one in answers.values():
        if client in one.clients:
            return one.clients[client], None
        if client in one.failures:
            return None, one.failures[client]
    silent = [f"{host}: {one.silence}" for host, one in answers.items() if one.silence is not None]
    if silent:
        return None, "; ".join(silent)
    return None, f"none of {', '.join(answers)} knows it" if answers else None


def run(
    clients: Sequence[ClientFacts],
    limits: Limits,
    folder: str,
    outputs: Outputs,
    now: datetime,
    check: bool = False,
    ways: Sequence[Way] = (),
) -> Round:
    """Judge, remember and write; with `check`, judge only. Each of `ways` tells people what is new. What
    concerns a contact whom no way told all is new again next time; one that works does not repeat itself for
    one that fails. Raises nothing for what the world does."""
    place = Path(folder).expanduser()
    problems: list[str] = []
    files: dict[str, str] = {}
    database = outputs.journal if isinstance(outputs.journal, Database) else None
    with remembering(place, database, problems, check) as (memory, keep):
        found = [finding for client in clients for finding in judge(client, memory, limits, now)]
        step = memory.step(clients, found, now)
        kept = _journal(outputs.journal, place / REPORT, problems) if outputs.journal else None
        made = assemble(clients, step, now, kept, outputs.provider)
        if check:
            return Round(made, files, tuple(problems))
        with told(place / REPORT, problems):
            text = json.dumps(shape.as_json(made), indent=2, ensure_ascii=False) + "\n"
            files["json"] = str(write_whole(place / REPORT, text))
        with told(place, problems):
            files |= report.write(made, place, with_pdf=outputs.pdf)
        exposed = Path(outputs.metrics).expanduser() if outputs.metrics else place / METRICS
        with told(exposed, problems):
            # node_exporter runs as a user of its own
            files["metrics"] = str(write_whole(exposed, metrics.render(made), mode=0o644))
        reached: set[str] = set()
        for way in ways:
            unsaid = list(way.announce(_about(made, way.concerns), files))
            problems += unsaid
            reached.update(() if unsaid else way.concerns)
        keep(step.without({concern for way in ways for concern in way.concerns} - reached))
    return Round(made, files, tuple(dict.fromkeys(problems)))


def assemble(
    clients: Iterable[ClientFacts],
    step: Step,
    now: datetime,
    journal_head: journal.Head | None = None,
    provider: Mapping[str, str] | None = None,
) -> Report:
    """The report of a run: what programs read, and what every other output is made from."""
    return Report(
        at=local(now).replace(microsecond=0),
        clients=tuple(_of_client(client, step.open) for client in clients),
        closed=step.closed,
        journal=journal_head,
        provider=provider or {},
    )


def _about(report: Report, concerns: Collection[str]) -> Report:
    """The report with the findings alone that concern these; clients and their states stay."""

    def own(findings: Iterable[Told]) -> tuple[Told, ...]:
        return tuple(finding for finding in findings if finding.concern in concerns)

    clients = tuple(replace(client, findings=own(client.findings)) for client in report.clients)
    return replace(report, clients=clients, closed=own(report.closed))


def _of_client(client: ClientFacts, findings: Iterable[Told]) -> ClientLine:
    own = sorted(
        (finding for finding in findings if finding.client == client.id),
        key=lambda finding: (-SEVERITIES.index(finding.severity), finding.id),
    )
    contract = client.contract
    return ClientLine(
        contract.id,
        contract.name,
        contract.reference,
        contract.contacts,
        contract.retention,
        state=_worst(finding.severity for finding in own),
        repository=client.status,
        repository_failure=client.failure,
        servers=tuple(_of_server(facts) for facts in client.servers.values()),
        findings=tuple(own),
    )


def _of_server(facts: ServerFacts) -> ServerLine:
    return ServerLine(
        facts.host,
        facts.address,
        facts.reachable,
        facts.failure,
        facts.last_status,
        facts.free_bytes,
        facts.clock_offset_seconds,
    )


def _worst(severities: Iterable[str]) -> str:
    order = (OK, *SEVERITIES)
    return max(severities, key=order.index, default=OK)


# -- for people -----------------------------------------------------------------------------------------

_MARKS = {NEW: "new", OPEN: "", REMINDED: "still", CLOSED: "closed"}


def table(report: Report) -> str:
    """The report for a technician at a terminal: a line a client, below it what was found and what to do."""
    lines = []
    for client in report.clients:
        lines.append(f"{client.state.upper():<8}  {client.id}  {client.name}  {client.reference}")
        for finding in client.findings:
            mark = f"{_MARKS[finding.status]:<6} {finding.severity}"
            since = show_moment(finding.since)
            lines.append(f"  {mark} ({finding.clause}, since {since}): {finding.sentence}")
            if finding.status != OPEN:
                lines.append(f"         {finding.remedy}")
    lines += [f"closed    {finding.client}: {finding.sentence}" for finding in report.closed]
    return "\n".join(lines)


def verdict(outcome: Round, fail_on: str) -> str:
    """What a scheduler is told when the run is to count as failed: one sentence each; empty when it is not.

    `fail_on` is the least severity that fails, or "never"; an output that failed always does."""
    sentences = list(outcome.problems)
    if fail_on != "never":
        bad = SEVERITIES[SEVERITIES.index(fail_on) :]
        counts = {
            client.id: sum(finding.severity in bad for finding in client.findings)
            for client in outcome.report.clients
        }
        if total := sum(counts.values()):
            of = ", ".join(f"{client} ({count})" for client, count in counts.items() if count)
            sentences.append(
                f"{plural(total, 'finding')} of severity {' or '.join(bad)}: {of}. The table above"
                " says what to do."
            )
    return " ".join(sentences)


# -- files ----------------------------------------------------------------------------------------------


def _journal(place: journal.Place, report: Path, problems: list[str]) -> journal.Head | None:
    """The head of the journal, once it is shown to hold the one of the last report; else that one still, so
    that each run says again what was done to the journal."""
    before: journal.Head | None = None
    with contextlib.suppress(OSError, ValueError):
        before = shape.read(_Before, json.loads(report.read_text("utf-8"))).journal
    try:
        verdict = journal.verify(place, [before] if before else [])
    except journal.JournalError as error:
        problems.append(str(error))
        return before
    if verdict.problems:
        problems.append(f"The journal {place} is not as it was written. {' '.join(verdict.problems)}")
        return before
    return verdict.head if verdict.head.entries else before


@dataclass(frozen=True)
class _Before:
    """What is wanted of the report of the run before, whatever else was in it."""

    journal: journal.Head | None
