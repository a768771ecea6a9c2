"""A restore on one host, from request to result: facts -> plan -> apply -> report (C3, C8, C14)."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from .. import office_hours
from ..contract.model import HostContract
from ..windows import link
from ..windows.probe import Probe, ask
from ..windows.session import Session
from ..wording import show_moment
from . import apply as restore_apply
from . import facts as restore_facts
from . import plan as restore_plan
from .access import Access, lend, withdraw
from .apply import Outcome
from .facts import Amount, RestoreError, Seen, Status
from .plan import Choice, Plan, Refused
from .request import Request

_MEASURED = 10_000_000
"""Bytes from which on it is worth a command to know the link's rate."""
_DRY_RUN = 1800.0
"""Seconds for the dry runs: restic fetches the index and reads the folders of the version."""


@dataclass(frozen=True)
class Settings:
    """How a restore is followed; seconds."""

    folder: str
    poll: float = 10.0
    timeout: float = 86400.0
    limit_kib: int = 0
    """Of the download in KiB/s; 0 for none."""


def restore(
    session: Session,
    request: Request,
    contract: HostContract,
    settings: Settings,
    check: bool,
    say: Callable[[str], None],
    access: Access | None = None,
    chosen: Choice | None = None,
) -> dict[str, Any]:
    """Carry a request out on its host, or join it, or tell that it is done; with `check` only show the plan.

    `contract` is the host's; `access` opens the repository of another server, if that one's data are wanted;
    `chosen` is the version that the repository host judged, without one the server's own list is believed.
    Raises SessionError, AgentError, CannotQuote, Garbled; a restore that failed is
    a result with `failure`.
    """
    seen = restore_facts.observe(session, settings.folder, request.id)
    if not seen.agent:
        problem = f"no agent is deployed in {settings.folder}"
        raise RestoreError(session.host, problem, "Run playbooks/deploy.yml on this host first")
    if seen.running and seen.running != request.id:
        problem = f"another restore runs there ({seen.running})"
        raise RestoreError(session.host, problem, "Wait for its end: a server restores one request at a time")
    if not seen.running:
        withdraw(session, settings.folder, seen.lent)
    known = _known(seen)
    done = known is not None and seen.status is not None and seen.status.exit_code == 0
    with ExitStack() as stack:
        place, url = settings.folder, seen.url
        if access and not done and not seen.running:
            stack.callback(withdraw, session, settings.folder, [request.id])
            place, url = lend(session, settings.folder, request.id, access, seen.tar), access.url
        made = known or _plan(session, request, contract, settings, place, url, chosen)
        say(restore_plan.table(request, made))
        if not done and made.seconds:
            # Only said: whoever begins in office hours is told that it would end after them (C8).
            now, hours = datetime.now(UTC), made.seconds / 3600
            if late := office_hours.work_past_closing(now, hours, contract.alsace_moselle, "The restore"):
                say(late)
        if done and seen.status is not None and not seen.running:
            say(f"{session.host}: this request has been carried out; another restore needs another request")
        if check:
            return _report(session.host, request, made, changed=not done and not seen.running)
        if not done and not seen.running:
            runs = restore_plan.runs(request, made.target)
            lent = access is not None
            restore_apply.start(session, request, settings.folder, made, runs, seen, settings.limit_kib, lent)
        stack.pop_all()  # the restore that runs now takes away what was lent for it
    status = seen.status
    if not done or seen.running or status is None:
        status = restore_apply.follow(
            session, request, settings.folder, made, settings.poll, settings.timeout, say
        )
    outcome = restore_apply.outcome(session, request, settings.folder, made, status)
    result = _report(session.host, request, made, changed=not done, outcome=outcome, status=status)
    # Where nobody judged the version, the journal says so: its server's own list was believed (C10).
    result["journal"]["judged"] = chosen is not None
    return result


def _known(seen: Seen) -> Plan | None:
    """The plan that an earlier run of the same request left on the host."""
    try:
        return Plan.from_data(json.loads(seen.plan))
    except ValueError:
        return None


def _plan(
    session: Session,
    request: Request,
    contract: HostContract,
    settings: Settings,
    place: str,
    url: str,
    chosen: Choice | None,
) -> Plan:
    """The facts that a plan needs, and the plan; `place` opens the repository `url`. Raises RestoreError with
    all that stands against it."""
    versions = restore_facts.snapshots(session, place, url, request.server)
    if chosen and chosen.version.id not in {version.id for version in versions}:
        problem = (
            f"the version {chosen.version.id[:8]}, which the repository host chose, is not seen from here"
        )
        raise RestoreError(session.host, problem, "Correct prosecours_repository_url, or run it again")
    try:
        choice = chosen or restore_plan.choose(versions, request)
        if not chosen and (closed := restore_plan.bare(request)):
            answer = ask(
                session, [Probe("links", restore_facts.links(place, choice.version.id))], timeout=_DRY_RUN
            )
            restore_plan.refuse_links(request, choice, restore_facts.links_in(answer["links"]), closed)
        target = restore_plan.fresh_folder(request, choice.version)
        amounts = _amounts(session, request, place, choice.version.id, target)
        fresh = "" if request.in_place else target
        drives = restore_plan.drives(request, target)
        questions = restore_facts.disks(drives, fresh)
        if request.in_place:
            questions += restore_facts.listings(request.items)
        answers = ask(session, questions, timeout=900)
        live = [restore_facts.live(answers, index) for index in range(len(request.items))]
        measured = None
        if sum(amount.new_bytes for amount in amounts) >= _MEASURED and not (
            contract.downlink_mbit or contract.uplink_mbit
        ):
            rate = link.measure_rate(session)
            measured = rate.bytes_per_second if rate else None
        return restore_plan.plan(
            request,
            choice,
            amounts,
            restore_facts.target(answers),
            live if request.in_place else (),
            restore_plan.link_rate(contract, measured, settings.limit_kib),
            datetime.now(UTC),
        )
    except Refused as refusal:
        raise RestoreError(session.host, refusal.problem, refusal.remedy) from refusal


def _amounts(session: Session, request: Request, folder: str, version: str, target: str) -> list[Amount]:
    """What the version holds of each item, by a dry run of each."""
    questions = []
    for index, item in enumerate(request.items):
        part = f":/{item[0]}" if request.in_place else ""
        into = f"{item[0]}:/" if request.in_place else target
        line = restore_facts.dry_run(
            folder, version + part, into, restore_plan.pattern(item, request.in_place)
        )
        questions.append(Probe(f"item{index}", line))
    answers = ask(session, questions, timeout=_DRY_RUN)
    return [restore_facts.amount(answers[f"item{index}"]) for index in range(len(request.items))]


def _report(
    host: str,
    request: Request,
    made: Plan,
    changed: bool,
    outcome: Outcome | None = None,
    status: Status | None = None,
) -> dict[str, Any]:
    """The action's result; with an outcome, `failure` says why it did not succeed."""
    where = made.target or "in place"
    items = "".join(
        f"{item.path}  {restore_plan.show_entries(item.entries)}, {item.bytes} bytes\n" for item in made.items
    )
    kept = "".join(f"{entry.source} -> {entry.copy}\n" for entry in made.keep)
    result: dict[str, Any] = {
        "changed": changed,
        "version": {
            "id": made.version,
            "time": made.version_time,
            "complete": made.version_complete,
            "why": made.why,
        },
        "plan": {**made.data(), "entries": made.entries, "bytes": made.bytes, "seconds": made.seconds},
        "target": made.target,
        "kept_in": list(made.kept_in),
    }
    if changed:
        result["diff"] = {
            "before_header": f"{host}: {where}",
            "after_header": f"{host}: {where}",
            "before": "",
            "after": f"{made.why}\n{items}{kept}",
        }
    wrong = restore_apply.failure(request, made, outcome) if outcome else None
    if changed and not wrong:
        amount, of = restore_plan.show_entries(made.entries), show_moment(made.time)
        into = f"into {where}" if made.target else where
        result["changes"] = [f"{amount} of the version of {of} restored {into}"]
    if outcome is None or status is None:
        return result
    return {
        **result,
        "outcome": {
            "start": status.start,
            "end": status.end,
            "seconds": outcome.seconds,
            "exit_code": outcome.exit_code,
            "entries": outcome.entries,
            "bytes": outcome.bytes,
            "troubles": list(outcome.troubles),
            "trouble_count": outcome.trouble_count,
            "counted": outcome.counted._asdict() if outcome.counted else None,
            "verified": wrong is None,
        },
        "failure": f"{host}: {wrong[0]}. {wrong[1]}." if wrong else None,
        "journal": {
            "request": request.id,
            "requester": request.requester.email,
            "mail_date": request.mail_date,
            "server": request.server,
            "version": made.version[:8],
            "version_time": made.version_time,
            "items": [item.path for item in made.items],
            "target": where,
            "kept_in": list(made.kept_in),
            "files_and_folders": outcome.entries,
            "bytes": outcome.bytes,
            "verified": wrong is None,
        },
    }
