"""What both sides of a client tell -> findings (C9, C12). Pure: facts, the past and a clock in, findings out.

Rows of `kinds` say how a finding reads; here stands when there is one. Each group of findings is a
function that yields; `judge` runs them all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import islice
from typing import Any, Protocol

from ...module_utils.maintenance.model import UNKNOWN_KEY, Status
from ...module_utils.maintenance.printable import printable
from ...module_utils.maintenance.volume import Volume
from ..clock import PARIS, local
from ..contract.model import ClientContract, HostContract
from ..documents import french
from ..documents.letters import AHEAD
from ..wording import GB, ended, show_moment, show_size, typographic
from .facts import Drift, ServerFacts
from .kinds import ACCESS, CRITICAL, KINDS, NOTICE, ORIGINS, PAPER, REPOSITORY, SERVER, STATES, WARNING
from .paper import PaperFacts

CLOCK_SLACK = timedelta(hours=1)
"""A snapshot's time is the server's own: this much before it was due it still counts as that day's."""
FORECAST = timedelta(days=30)
"""A volume that will be full later than this is not worth a finding yet."""
WITHOUT_COMPLETE = timedelta(days=3)
"""Incomplete backups are a warning; after so long without a complete one they are critical."""
CLOCK_CRITICAL = 900.0
"""Seconds: what comes from further in the future is set aside on the repository host (docs/retention.md)."""
MOST_NAMED = 200
"""Of what one client's servers sent, and somebody has to judge, so many of a kind are named: whoever has
taken one over could make the report of all clients too large for any mail."""
_QUOTED = 200  # characters of what someone else said in a sentence


@dataclass(frozen=True)
class Limits:
    """From when on something is a finding; each is a variable of the role `monitor`."""

    grace: timedelta = timedelta(hours=8)
    maintenance: timedelta = timedelta(days=3)
    drill: timedelta = timedelta(days=35)
    running: timedelta = timedelta(hours=72)
    clock_seconds: float = 300.0
    free_bytes: int = GB


@dataclass(frozen=True)
class ClientFacts:
    """One client as it was looked at. A server that is not in `servers` was not asked in this run, and so was
    the repository when both `status` and `failure` are None."""

    contract: ClientContract
    hosts: Mapping[str, HostContract]
    """Host -> its contract."""
    servers: Mapping[str, ServerFacts] = field(default_factory=dict)
    status: Status | None = None
    """What the action `status` says of the repository."""
    failure: str | None = None
    """Why it says nothing."""
    folder: str = "C:\\Program Files\\ProSecours"
    paper: PaperFacts | None = None
    """The contract's paper; None where nobody looked."""

    @property
    def id(self) -> str:
        return self.contract.id

    def looked_at(self, side: str, host: str | None) -> bool:
        """Whether this run saw enough to say that a finding of this side is gone."""
        server = self.servers.get(host) if host else None
        reached = bool(server and server.reachable)
        if side == PAPER:
            return self.paper is not None
        if side == ACCESS:
            return server is not None if host else self.status is not None or self.failure is not None
        if side == SERVER:
            return reached
        return self.status is not None or (side != REPOSITORY and reached)


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it is to be; `id` is the same as long as it lasts."""

    kind: str
    client: str
    host: str | None
    detail: str
    severity: str
    sentence: str
    remedy: str
    sentence_fr: str
    remedy_fr: str

    @property
    def id(self) -> str:
        return f"{self.client}/{self.host or '-'}/{self.kind}/{self.detail}"

    @property
    def clause(self) -> str:
        return KINDS[self.kind].clause


class Past(Protocol):
    """What is remembered of earlier runs."""

    def first_seen(self, name: str, now: datetime) -> datetime:
        """When a host or client was first looked at; `now` for one that never was."""

    def in_order(self, host: str, name: str) -> tuple[str, datetime] | None:
        """The digest of a resource when it was last as it was to be, and when that was."""


class Bytes(int):
    """A size, shown in the unit of the reader's language."""


def judge(client: ClientFacts, past: Past, limits: Limits, now: datetime) -> list[Finding]:
    """All findings of a client, the same one only once; a side that was not looked at yields none."""
    found: dict[str, Finding] = {}
    for group in (
        _servers(client, past, limits, now),
        _repository(client, past, limits, now),
        _paper(client, past, now),
    ):
        for finding in group:
            found.setdefault(finding.id, finding)
    return list(found.values())


def make(
    client: ClientFacts,
    kind: str,
    host: str | None = None,
    detail: str = "-",
    severity: str = "",
    **fields: Any,
) -> Finding:
    """A finding in both languages from the row of its kind. A field that is a pair has one form for each."""
    row = KINDS[kind]
    fields = {"client": client.contract.name, "host": host, **fields}
    english = {name: _english(value) for name, value in fields.items()}
    french = {name: _french(value) for name, value in fields.items()}
    return Finding(
        kind,
        client.id,
        host,
        detail,
        severity or row.severity,
        *(_as_sentence(text, english) for text in (row.sentence, row.remedy)),
        *(_as_sentence(typographic(text), french) for text in (row.sentence_fr, row.remedy_fr)),
    )


# -- the server -----------------------------------------------------------------------------------------

_NO_ACCESS = {
    "Unreachable": "unreachable",
    "CertificateRefused": "certificate_refused",
    "LoginRefused": "login_refused",
}


def _servers(client: ClientFacts, past: Past, limits: Limits, now: datetime) -> Iterator[Finding]:
    for host in client.hosts:
        facts = client.servers.get(host)
        if facts and not facts.reachable:
            kind = _NO_ACCESS.get(facts.error or "", "no_answer")
            yield make(client, kind, host, problem=facts.failure, remedy=facts.remedy)
        if facts and facts.reachable:
            yield from _drift(client, host, facts, past)
            yield from _condition(client, host, facts, limits)
            yield from _last_backup(client, host, facts)
        yield from _silence(client, host, facts, past, limits, now)


def _drift(client: ClientFacts, host: str, facts: ServerFacts, past: Past) -> Iterator[Finding]:
    """What deploy would change (C12), and who changed it: the server, or the inventory since the deploy."""
    removed = [change for change in facts.drift if change.kind == "folder"]
    if removed and not _sent(client, host) and past.in_order(host, "folder") is None:
        yield make(client, "not_deployed", host, name=removed[0].name)
        return
    for change in facts.drift:
        name = resource(change)
        seen = past.in_order(host, name)
        # What still is what it was when all was well is not what changed. (A secret's digest is short on
        # purpose, so one in 256 new ones is taken for the old one and called a deploy that is due.)
        compared = change.kind in ("text", "secret", "binary", "task")
        if compared and seen and seen[0] == facts.watched.get(name):
            yield make(client, "deploy_due", host, name, name=change.name)
            continue
        english, french = ORIGINS["server" if seen else "unknown"]
        origin = english, typographic(french)
        yield make(
            client,
            _drift_kind(change),
            host,
            name if change.kind in ("text", "secret", "repository", "staging") else "-",
            name=change.name,
            state=STATES[change.state],
            what=_what(change),
            origin=tuple(text.format(seen=words(seen[1] if seen else "")) for text, words in _both(origin)),
        )


def resource(change: Drift) -> str:
    """The name under which what a change is about is watched: see `server.look`."""
    return change.kind if change.kind in ("rights", "folder") else change.name


def _what(change: Drift) -> str:
    """What differs, out of the plan's sentence, without what deploy does about it."""
    text = change.sentence.rpartition("), ")[0].partition("(")[2] if change.kind == "task" else ""
    return (text or change.sentence.rpartition(": ")[0] or change.sentence)[:_QUOTED]


def _drift_kind(change: Drift) -> str:
    if change.kind == "task":
        states = {"gone": "task_deleted", "disabled": "task_disabled"}
        return states.get(change.state, "task_edited")
    return {
        "folder": "agent_removed",
        "rights": "rights_opened",
        "binary": "binary_changed",
        "secret": "credentials_changed",
        "staging": "deploy_interrupted",
    }.get(change.kind, "configuration_changed")


def _condition(client: ClientFacts, host: str, facts: ServerFacts, limits: Limits) -> Iterator[Finding]:
    if not facts.shadow_copies:
        yield make(client, "shadow_copies_off", host)
    offset = facts.clock_offset_seconds
    if offset is not None and abs(offset) > limits.clock_seconds:
        severity = CRITICAL if offset > CLOCK_CRITICAL else WARNING
        direction = ("ahead", "avance") if offset > 0 else ("behind", "retarde")
        seconds = round(abs(offset))
        yield make(client, "clock_moved", host, severity=severity, seconds=seconds, direction=direction)
    free = facts.free_bytes
    if free is not None and free < limits.free_bytes:
        yield make(client, "disk_low", host, free=Bytes(free), drive=client.folder[:2])


# restic's exit codes (restic.readthedocs.io, "Scripting"); what is 1 for it is told apart by its log, which
# is English in every Windows.
_CODES: Mapping[int | None, str] = {
    3: "incomplete",
    10: "repository_gone",
    11: "locked",
    12: "password_refused",
}
_REASONS = (
    (r"\(401\)|401 Unauthorized", "login_to_repository_refused"),
    (r"\(507\)|Insufficient Storage", "repository_full"),
    (
        r"dial tcp|no such host|connection refused|actively refused|i/o timeout|x509|tls:",
        "no_way_to_repository",
    ),
)


def _last_backup(client: ClientFacts, host: str, facts: ServerFacts) -> Iterator[Finding]:
    """What the server's own status file tells of its last backup."""
    run = facts.last_status
    if run is None:
        return
    # A closed repository is a finding of its own, and answers uploads with HTTP 500 (docs/retention.md).
    closed = client.status is not None and client.status.volume.closed
    if run.exit_code != 0 and not (closed and run.exit_code == 1):
        text = " ".join(facts.log)
        kind = _CODES.get(run.exit_code) or next(
            (name for pattern, name in _REASONS if re.search(pattern, text)), "backup_failed"
        )
        yield make(client, kind, host, at=run.end, code=run.exit_code, log=_said(facts.log))
    for path in run.missing:
        yield make(client, "missing_directory", host, path, path=path, at=run.end)
    if run.degraded:
        yield make(client, "degraded", host, at=run.end, log=_said(facts.log))


def _silence(
    client: ClientFacts,
    host: str,
    facts: ServerFacts | None,
    past: Past,
    limits: Limits,
    now: datetime,
) -> Iterator[Finding]:
    """A server whose backups stopped, seen from whichever side can be looked at; the repository is believed
    first. A backup is expected `grace` after the start that the contract gives the server; so one that was
    missed at night is found at the next run of monitoring in office hours, within a working day."""
    if client.status is not None:
        last = _sent(client, host)
    elif facts and facts.reachable:
        run = facts.last_status
        if run and run.exit_code not in (0, 3):
            return  # a finding of its own; when the last good one was is unknown here
        last = run.start if run else None
    else:
        return
    since = last or past.first_seen(host, now)
    starts_at = client.hosts[host].starts_at
    missed = missed_starts(starts_at, since, now - limits.grace)
    # A backup that runs answers for the start after the last one, until Windows ends it.
    answers = facts and facts.running and now - next_due(starts_at, since) < limits.running
    if missed and not answers:
        due = last_due(starts_at, now - limits.grace)
        severity = CRITICAL if missed > 1 else WARNING
        yield make(client, "silent", host, severity=severity, last=since, missed=missed, due=due)
    elif last is None:
        yield make(client, "no_backup_yet", host, due=next_due(starts_at, now))


def last_due(starts_at: str, before: datetime) -> datetime:
    """The last daily start (HH:MM on the clock of Europe/Paris) that is not after `before`."""
    day = local(before).date()
    due = _on(day, starts_at)
    return due if due <= before else _on(day - timedelta(days=1), starts_at)


def next_due(starts_at: str, after: datetime) -> datetime:
    """The first daily start after `after`."""
    return _on(last_due(starts_at, after).date() + timedelta(days=1), starts_at)


def missed_starts(starts_at: str, last: datetime, until: datetime) -> int:
    """How many daily starts up to `until` no backup answers, the last one being of `last`."""
    due = last_due(starts_at, until)
    answered = last_due(starts_at, last + CLOCK_SLACK)
    return max(0, (due.date() - answered.date()).days)


def _on(day: date, starts_at: str) -> datetime:
    hours, minutes = starts_at.split(":")
    return datetime(day.year, day.month, day.day, int(hours), int(minutes), tzinfo=PARIS)


# -- the repository -------------------------------------------------------------------------------------


def _repository(client: ClientFacts, past: Past, limits: Limits, now: datetime) -> Iterator[Finding]:
    if client.failure is not None:
        yield make(client, "repository_unread", problem=client.failure)
    status = client.status
    if status is None:
        return
    yield from _versions(client, status, past, now)
    yield from _volume(client, status.volume, now)
    yield from _held_back(client, status)
    yield from _dumps(client, status)
    yield from _maintenance(client, status, past, limits, now)


def _versions(client: ClientFacts, status: Status, past: Past, now: datetime) -> Iterator[Finding]:
    for host in client.hosts:
        server = status.servers.get(host)
        if server and server.last_any and (server.last is None or server.last < server.last_any):
            old = now - (server.last or past.first_seen(host, now)) > WITHOUT_COMPLETE
            severity = CRITICAL if old else WARNING
            yield make(client, "incomplete", host, severity=severity, at=server.last_any, log="")
    if not status.promise.kept:
        yield make(client, "promise_broken", problems=_problems(status.promise.problems))


def _volume(client: ClientFacts, volume: Volume, now: datetime) -> Iterator[Finding]:
    used, subscribed = Bytes(volume.newest_bytes), Bytes(volume.subscribed_gb * GB)
    percent = volume.percent
    if volume.closed:
        yield make(client, "volume_closed", used=used, subscribed=subscribed)
    elif percent >= 80:
        severity = CRITICAL if percent >= 100 else WARNING if percent >= 95 else NOTICE
        yield make(
            client, "volume", severity=severity, percent=int(percent), used=used, subscribed=subscribed
        )
    if volume.full_on and percent < 100 and volume.full_on - now.date() <= FORECAST:
        yield make(client, "volume_forecast", day=volume.full_on)


def _dumps(client: ClientFacts, status: Status) -> Iterator[Finding]:
    """Seen from the last version alone (VI.2)."""
    for host in client.hosts:
        for one in status.dumps.get(host, ()):
            if one.stale:
                newest = ("no file", "aucun fichier")
                if one.newest:
                    than = (_english(one.newest), _french(one.newest))
                    newest = (f"no file newer than {than[0]}", f"aucun fichier postérieur au {than[1]}")
                yield make(client, "stale_dumps", host, one.path, path=one.path, newest=newest, at=one.at)


def _held_back(client: ClientFacts, status: Status) -> Iterator[Finding]:
    for snapshot in status.set_aside[:MOST_NAMED]:
        yield make(client, "forged_time", detail=snapshot[:8], id=snapshot[:8])
    for snapshot, problems in islice(status.losses.items(), MOST_NAMED):
        yield make(client, "sudden_loss", detail=snapshot[:8], id=snapshot[:8], problems=_problems(problems))
    # A key of his own is the way back in for whoever had the access once.
    rubbish = sorted(status.rubbish, key=lambda text: UNKNOWN_KEY not in text)
    for text in rubbish[:MOST_NAMED]:
        severity = CRITICAL if UNKNOWN_KEY in text else ""
        what = text[:_QUOTED]
        yield make(client, "rubbish", detail=text.partition(" (")[0], severity=severity, what=what)
    lengths = map(len, (status.set_aside, status.losses, rubbish))
    if more := sum(max(0, length - MOST_NAMED) for length in lengths):
        yield make(client, "unnamed", count=more)
    if status.unmeasured:
        first = status.unmeasured[0][:8]
        yield make(client, "unmeasured", count=len(status.unmeasured), id=first)
    for name, one in status.retired.items():
        fate = (
            "stays: versions in it wait for a judgement",
            typographic("reste : des versions y attendent un jugement"),
        )
        if one.goes_on:
            fate = (f"goes on {one.goes_on}", f"sera supprimé le {_french(one.goes_on)}")
        left = client.contract.retired.get(name)
        if left and one.last and local(one.last).date() > left:
            yield make(client, "retired_sends", detail=name, server=name, day=left, last=one.last)
        else:
            yield make(client, "retired", detail=name, server=name, fate=fate)
    for lock in status.locks:
        if lock.stale:
            holder = lock.host or "?"
            yield make(client, "stale_lock", detail=holder, holder=holder, since=lock.since)


def _maintenance(
    client: ClientFacts, status: Status, past: Past, limits: Limits, now: datetime
) -> Iterator[Finding]:
    """Retention, check and drill: whether each succeeded, and whether it was long ago. What was never done
    counts from the day on which the client was first looked at."""
    if status.retention.failure:
        yield make(client, "retention_failed", problem=status.retention.failure[:_QUOTED])
    for name, result in (("check", status.check), ("drill", status.drill)):
        if result and not result.ok:
            yield make(client, f"{name}_failed", problems=_problems(result.problems))
    if status.drill and status.drill.doubts:
        yield make(client, "drill_doubts", problems=_problems(status.drill.doubts))
    if not any(_sent(client, host) for host in client.hosts):
        return  # nothing has been sent yet, so there is nothing to look after
    for name, at, limit in (
        ("retention", status.retention.at, limits.maintenance),
        ("check", status.check and status.check.at, limits.maintenance),
        ("drill", status.drill and status.drill.at, limits.drill),
    ):
        last = at or past.first_seen(client.id, now)
        if now - last > limit:
            yield make(client, f"{name}_late", last=last)


def _sent(client: ClientFacts, host: str) -> datetime | None:
    """When the newest version of a server is of, complete or not, as the repository knows it."""
    server = client.status.servers.get(host) if client.status else None
    return server.last_any if server else None


# -- the contract's paper -------------------------------------------------------------------------------


def _paper(client: ClientFacts, past: Past, now: datetime) -> Iterator[Finding]:
    """What is deployed against what was signed (C21), and the letter that is overdue (C13)."""
    paper = client.paper
    if paper is None:
        return
    copy = client.contract.paper.signed
    if paper.standing.differences and copy:
        told = _problems(str(one) for one in paper.standing.differences)
        yield make(client, "not_as_signed", signatory=copy.signatory, day=copy.date, what=told)
    elif paper.standing.problem:
        yield make(client, "signed_unknown", problem=paper.standing.problem)
    if paper.letter_problem:
        yield make(client, "letters_unknown", problem=paper.letter_problem)
    elif paper.next_letter and paper.next_letter < local(now).date():
        yield make(client, "letter_overdue", day=paper.next_letter)
    elif paper.next_letter is None and now - past.first_seen(client.id, now) > AHEAD:
        yield make(client, "letter_never")


# -- words ----------------------------------------------------------------------------------------------


def _english(value: Any) -> str:
    if isinstance(value, tuple):
        return str(value[0])
    if isinstance(value, datetime):
        return show_moment(value)
    if isinstance(value, Bytes):
        return show_size(value)
    return "an unknown time" if value is None else str(value)


def _french(value: Any) -> str:
    if isinstance(value, tuple):
        return str(value[1])
    if isinstance(value, datetime):
        return french.short_moment(value)
    if isinstance(value, date):
        return french.short_day(value)
    if isinstance(value, Bytes):
        return french.both_sizes(value)  # the client may be sent the sentence
    return "date inconnue" if value is None else str(value)


def _both(texts: tuple[str, str]) -> Iterable[tuple[str, Any]]:
    return zip(texts, (_english, _french), strict=True)


def _said(log: Iterable[str]) -> tuple[str, str]:
    """What restic said, quoted, or nothing."""
    quoted = "; ".join(log)[:_QUOTED]
    return (f" restic says: {quoted}", f"{typographic(' restic indique :')} {quoted}") if quoted else ("", "")


def _problems(problems: Iterable[str]) -> str:
    return "; ".join(problem.rstrip(".") for problem in problems)[:_QUOTED]


def _as_sentence(template: str, fields: Mapping[str, str]) -> str:
    """The template, filled; a name at its begin stays as it is written."""
    filled = (template[:1].upper() + template[1:]).format_map(fields)
    return ended(printable(re.sub(r"[ \t\r\n]+", " ", filled).strip()))  # no-break spaces stay
