"""One server as monitoring sees it (C9, C12): a session in, facts out. Nothing on the host changes.

What deploy would change *is* what was tampered with, so the plan of `agent.plan` is asked, not copied. One
composite command tells all of a server that is well; its log is asked for when the last backup was not.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator

from ..agent import facts as agent_facts
from ..agent.desired import BINARY, SECRETS, TASK, TEXTS, Request, desired
from ..agent.facts import Facts
from ..agent.plan import Change, plan
from ..documents.model import LastRun, last_run
from ..windows import disk, probe
from ..windows import task as windows_task
from ..windows.command_line import path
from ..windows.session import Session
from .facts import Drift, ServerFacts

LOG_LINES = 5
"""Lines of the log that a finding quotes; the whole log stays on the server."""
_LONGEST = 300  # characters of one of them
_LOG = re.compile(r"logs/[\w.-]+\.log")
# A plan that only says what deploy would do next, and nothing about the server's state.
_NO_DRIFT = {"first backup"}


def look(session: Session, request: Request) -> ServerFacts:
    """The facts of one server that answers. Raises SessionError, CannotQuote, Garbled."""
    facts, free = _observe(session, request.folder)
    wanted = desired(request, facts.shadow_copies)
    changes = [change for change in plan(wanted, facts) if _is_drift(change, facts, wanted.binary.sha256)]
    run = last_run(facts.status)
    return ServerFacts(
        session.host,
        reachable=True,
        last_status=run,
        free_bytes=free,
        clock_offset_seconds=session.clock_offset,
        running=facts.running,
        shadow_copies=facts.shadow_copies,
        drift=tuple(Drift(change.kind, change.name, _state(change), change.sentence) for change in changes),
        watched=dict(_watched(facts)),
        log=_log(session, request.folder, run),
    )


def _observe(session: Session, folder: str) -> tuple[Facts, int | None]:
    """The agent's facts and the free bytes of its drive."""
    questions = [*agent_facts.probes(folder), probe.Probe("disk", disk.listing(folder[:3]))]
    answers = probe.ask(session, questions)
    return agent_facts.parse(answers), disk.free_space(answers["disk"])


def _is_drift(change: Change, facts: Facts, sha256: str) -> bool:
    """Whether a change of the plan tells something that no other one tells, and that can be judged."""
    if change.kind in _NO_DRIFT:
        return False
    if not facts.exists:  # then everything is to be made; the folder says it all, and the task stands apart
        return change.kind in {"folder", "task"}
    if change.kind == "repository":  # also planned when access data differ, which is named by itself
        return not facts.repository_id
    return not (change.kind == "binary" and not sha256)  # in check mode it may not have been fetched yet


def _state(change: Change) -> str:
    """What is the matter with a resource: gone, disabled, or altered."""
    if not change.before:
        return "gone"
    properties = dict(line.partition(": ")[::2] for line in change.before.splitlines())
    return "disabled" if change.kind == "task" and properties.get("enabled") == "false" else "altered"


def _watched(facts: Facts) -> Iterator[tuple[str, str]]:
    """Each resource that deploy keeps, with a digest of what it is now; "" for one that is not there."""
    yield "folder", "1" if facts.exists else ""
    yield "rights", ""
    yield BINARY, facts.hashes.get(BINARY, "")[:16]
    for name in TEXTS:
        yield name, _digest(facts.texts[name]) if name in facts.texts else ""
    for name in SECRETS:
        # Two hex digits: 255 of 256 changes are seen, and nobody can try passwords on it.
        yield name, facts.hashes.get(name, "")[:2]
    yield "repository.id", facts.repository_id[:16]
    try:
        task = windows_task.parse(facts.task_xml)
    except ValueError:
        task = {}
    yield TASK, _digest(json.dumps(task, sort_keys=True)) if task else ""


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _log(session: Session, folder: str, run: LastRun | None) -> tuple[str, ...]:
    """The errors in the log of the last backup, if that was not well: one more command."""
    # The name lies on the client's server: no more is believed than is needed.
    if run is None or run.well or not _LOG.fullmatch(run.log or ""):
        return ()
    log = f"{folder}\\{str(run.log).replace('/', chr(92))}"
    return log_errors(session.run(f"findstr /i /c:error /c:fatal {path(log)}").stdout)


def log_errors(output: bytes) -> tuple[str, ...]:
    """The last distinct errors in lines of restic's JSON log (restic.readthedocs.io, "Scripting"), in order:
    `item: message` of an error, the message of the final one."""
    found: dict[str, None] = {}
    for line in probe.decode(output).splitlines():
        text = _error(line.strip())
        if text:
            found.pop(text, None)
            found[text] = None
    return tuple(found)[-LOG_LINES:]


def _error(line: str) -> str:
    try:
        entry = json.loads(line)
    except ValueError:
        # What restic says before it knows that JSON is wanted.
        return line[:_LONGEST] if line.startswith("Fatal") else ""
    if not isinstance(entry, dict):
        return ""
    if entry.get("message_type") == "exit_error":
        return str(entry.get("message", ""))[:_LONGEST]
    if entry.get("message_type") != "error":
        return ""
    error = entry.get("error")
    message = error.get("message", "") if isinstance(error, dict) else error or ""
    item = entry.get("item")
    return (f"{item}: {message}" if item and str(item) not in str(message) else str(message))[:_LONGEST]
