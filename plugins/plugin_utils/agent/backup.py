"""A backup started by hand and waited for, and what the outcome of any backup is called."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ..windows.command_line import argument
from ..windows.session import Session
from ..wording import show_seconds
from .desired import TASK
from .facts import Facts, Status, observe
from .refusals import AgentError

_POLL = 5.0
_TELL = 60.0
_START = 60.0  # seconds that the scheduler may take to start a task
LOOK = {"exists", "free", "names", "type:status.json", "type:missing.txt"}
"""The few facts that change while a backup runs."""

# restic's exit codes (restic.readthedocs.io, "Scripting"), then backup.cmd's own.
_MEANINGS = {
    0: "complete",
    1: "failed",
    2: "failed: restic stopped on an internal error",
    3: "incomplete: part of the perimeter could not be read",
    10: "failed: the repository does not exist",
    11: "failed: the repository stayed locked",
    12: "failed: the repository refuses the encryption password",
    130: "interrupted",
    250: "failed: the agent's folder is not whole",
    251: "not run: another backup was running",
    252: "failed: restic.exe is gone; exclude the agent's folder if an antivirus took it, and deploy again",
    253: "failed: it took longer than prosecours_agent_time_limit_hours, and was ended",
}


def outcome(status: Status | None) -> str:
    """The last backup in a few words, from `status.json`; an exit code that is not known is a failure."""
    if status is None:
        return "none yet"
    code = status.get("exit_code")
    words = _MEANINGS.get(code, f"failed with code {code}") if isinstance(code, int) else "unreadable"
    words += ", degraded: without shadow copy" if status.get("degraded") else ""
    return words + (", after the end of an older backup that hung" if status.get("freed") else "")


def back_up(
    session: Session, folder: str, timeout: float, check: bool, say: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """Start the scheduled task, or join a run that is under way, and wait `timeout` seconds for its end.

    `say` is told each minute that it goes on: before its end no more of it is known.
    """
    before = observe(session, folder)
    if not before.exists or not before.task_xml:
        problem = f"no agent is deployed in {folder}"
        raise AgentError(session.host, problem, "Run playbooks/deploy.yml on this host first")
    if check:
        return {"changed": not before.running, "status": before.status, "outcome": outcome(before.status)}
    if not before.running:
        output = session.run(f"schtasks /run /tn {argument(TASK)}")
        if output.exit_code:
            problem = f"the task {TASK} could not be started (code {output.exit_code})"
            raise AgentError(session.host, problem, "Run playbooks/deploy.yml, which repairs a disabled task")
    after = wait(session, folder, before, timeout, say)
    return {"changed": not before.running, "status": after.status, "outcome": outcome(after.status)}


def wait(
    session: Session,
    folder: str,
    before: Facts,
    timeout: float,
    say: Callable[[str], None],
    task: str = TASK,
) -> Facts:
    """The facts once a backup has left a status other than the one before.

    Raises SessionError, AgentError.
    """
    begin = time.monotonic()
    told = 0.0
    seen = before.running
    while True:
        facts = observe(session, folder, LOOK)
        if not facts.running and facts.status is not None and facts.status != before.status:
            return facts
        if seen and not facts.running:
            problem = "the backup was interrupted on the server (switched off, or ended by hand)"
            raise AgentError(
                session.host, problem, "Run this playbook again: what was sent is not sent twice"
            )
        seen = seen or facts.running
        elapsed = time.monotonic() - begin
        if not seen and elapsed > _START:
            problem = f"the task {task} was started, but no backup runs"
            raise AgentError(
                session.host, problem, "Look at the task's history in the Windows Task Scheduler"
            )
        if elapsed > timeout:
            problem = f"the backup has not ended after {timeout:.0f} s; it goes on"
            raise AgentError(session.host, problem, "Run this playbook again to go on waiting")
        if facts.running and elapsed - told >= _TELL:
            say(f"{session.host}: the backup is under way, waited for {show_seconds(elapsed)} so far")
            told = elapsed
        time.sleep(_POLL)
