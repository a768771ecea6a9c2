"""Preflight of one host: a session -> facts -> findings -> report (C2). Nothing on the host changes.

What is asked is in preflight_facts, what it means in preflight_checks. The report is the rows of the checks
for people and their findings for programs, in the same order.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ...module_utils.maintenance.printable import printable
from ..contract.model import HostContract
from ..errors import ProSecoursError
from ..files import safe_name, write_whole
from ..windows.command_line import CannotQuote
from ..windows.probe import Probe
from ..windows.session import Session, SessionError
from ..wording import as_sentence
from .checks import BLOCKS, CHECKS, INFORMS, WARNS, Case, Finding, Row, first_backup
from .facts import Repository, Wanted, add_largest, add_login, add_rate, add_writers, gather


def wanted(contract: HostContract, repository: Mapping[str, str | None], folder: str) -> Wanted:
    """What to look for on the host of this contract; `repository` has url, username, password, ca."""
    return Wanted(
        perimeter=contract.perimeter,
        folder=folder.rstrip("\\"),
        repository=Repository(**{key: value or "" for key, value in repository.items()}),
        excludes=contract.excludes,
    )


@dataclass(frozen=True)
class Report:
    """The outcome for one host. `facts` is None when the host could not be asked."""

    contract: HostContract
    rows: tuple[Row, ...]
    case: Case | None
    checked: datetime
    others: Mapping[str, bytes] = field(default_factory=dict)
    """What probes of others printed that were asked with the same command."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        return tuple(row.finding for row in self.rows if row.finding)

    @property
    def verdict(self) -> str:
        """The worst: "blocked" when any finding blocks, else "warned" when any warns, else "ready"."""
        severities = {finding.severity for finding in self.findings}
        return "blocked" if BLOCKS in severities else "warned" if WARNS in severities else "ready"

    @property
    def refusal(self) -> str:
        """All that blocks, in one text; empty when nothing does. The remedies are in the table."""
        blocking = [as_sentence(finding.sentence) for finding in self.findings if finding.severity == BLOCKS]
        return " ".join([*blocking, "The table above says what to do."]) if blocking else ""

    def said(self, severity: str) -> list[str]:
        """What each finding of a severity says, and what to do about it."""
        return [_said(finding) for finding in self.findings if finding.severity == severity]

    @property
    def first_backup_hours(self) -> float | None:
        """How long the first backup is estimated to take; None when it is made, or the rate unknown."""
        if self.case is None or self.case.facts.backed_up:
            return None
        estimate = first_backup(self.case)
        return estimate.hours if estimate else None

    def table(self) -> str:
        """The table for people: one line per row, then what each finding says and what to do about it."""
        client = self.contract.client
        lines = [f"{self.contract.host}  {client.name}  {client.reference}  {self.verdict.upper()}"]
        width = max(len(row.label) for row in self.rows)
        marks = {BLOCKS: "STOP", WARNS: "warn", INFORMS: "note"}
        for row in self.rows:
            mark = marks[row.finding.severity] if row.finding else "ok"
            lines.append(printable(f"  {mark:<4}  {row.label:<{width}}  {row.found}"))
        for finding in self.findings:
            lines.append(printable(f"  {marks[finding.severity]} ({finding.clause}): {_said(finding)}"))
        return "\n".join(lines)

    def data(self) -> dict[str, Any]:
        """The report for programs: schemas/preflight.schema.json. No secret is part of it."""
        return {
            "schema": 1,
            "host": self.contract.host,
            "client": self.contract.client.id,
            "checked": self.checked.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "verdict": self.verdict,
            "findings": [finding._asdict() for finding in self.findings],
            "facts": _facts(self.case) if self.case else None,
        }


def _said(finding: Finding) -> str:
    return f"{as_sentence(finding.sentence)} {as_sentence(finding.remedy)}"


def _facts(case: Case) -> dict[str, Any]:
    facts, estimate = case.facts, first_backup(case)
    return {
        "windows": facts.windows._asdict(),
        "tar": facts.tar,
        "clock_offset_seconds": None if facts.clock_offset is None else round(facts.clock_offset),
        "free_bytes": facts.free,
        "perimeter": [
            {
                **asdict(item.entry),
                "present": not item.missing,
                "files": item.tree.files if item.tree else None,
                "bytes": item.tree.size if item.tree else None,
                "error": item.error,
            }
            for item in facts.entries
        ],
        "perimeter_bytes": facts.size,
        "subscribed_bytes": case.subscribed,
        "largest": [{"path": path, "bytes": size} for path, size in facts.largest],
        "repository": facts.way._asdict() if facts.way else None,
        "deployed": facts.deployed,
        "backed_up": facts.backed_up,
        "first_backup": {
            "hours": float(f"{estimate.hours:.2g}"),
            "bytes_per_second": int(estimate.bytes_per_second),
            "basis": estimate.basis,
        }
        if estimate and not facts.backed_up
        else None,
    }


def judge(case: Case, checked: datetime) -> Report:
    """All checks over one host's facts. Pure."""
    rows = tuple(row for check in CHECKS for row in check(case))
    return Report(case.contract, (Row("WinRM", "reached"), *rows), case, checked)


# What keeps a host from being asked: the finding and the clause.
_UNREACHED: tuple[tuple[type[ProSecoursError], str, str], ...] = (
    (SessionError, "winrm", "C2"),
    (CannotQuote, "path", "C1"),
    (ProSecoursError, "answer", "C2"),
)


def unreached(contract: HostContract, error: ProSecoursError, checked: datetime) -> Report:
    """The report of a host that could not be asked: the same shape, with the error's own sentences."""
    name, clause = next((name, clause) for kind, name, clause in _UNREACHED if isinstance(error, kind))
    finding = Finding(name, clause, BLOCKS, error.problem, error.remedy)
    return Report(contract, (Row("WinRM", "failed", finding),), None, checked)


def inspect(
    session: Session,
    contract: HostContract,
    look: Wanted,
    timeout: float = 900.0,
    others: Iterable[Probe] = (),
) -> Report:
    """Preflight of one host in one session, in which `others` are asked too.

    One command tells all of a host whose agent is in place; more are needed before that (does the repository
    let us in? do the VSS writers stand? how fast is the link?), and when the perimeter is too large (what is
    so large?). Raises SessionError, CannotQuote, Garbled.
    """
    facts, answers = gather(session, look, timeout, others)
    case = Case(contract, look, facts)
    # Once the agent is there it is the one that signs in, and it does so before it takes any change.
    if look.repository.signs_in and not case.facts.deployed:
        case = replace(case, facts=add_login(session, look, case.facts))
    # Once the agent is there each of its nights tells whether shadow copies can be made.
    if not case.facts.deployed:
        case = replace(case, facts=add_writers(session, case.facts))
    if case.facts.size > case.subscribed:
        case = replace(case, facts=add_largest(session, look, case.facts, timeout))
    report = judge(case, datetime.now(UTC))
    settled = case.facts.deployed or case.facts.backed_up or contract.uplink_mbit
    if not settled and case.facts.size and report.verdict != "blocked":
        case = replace(case, facts=add_rate(session, case.facts))
        report = judge(case, report.checked)
    return replace(report, others=answers)


def write(report: Report, directory: str) -> Path:
    """Write the report for programs to `directory`/preflight/<host>.json. Raises CannotWrite."""
    return write_whole(
        Path(directory).expanduser() / "preflight" / f"{safe_name(report.contract.host)}.json",
        json.dumps(report.data(), indent=2, ensure_ascii=False) + "\n",
        remedy="Set prosecours_report_dir to a directory that you may write to",
    )
