"""Carry out a restore: a scheduled task of the host does the work, so that it outlives the connection; we put
its files there, start it and follow it. Nothing on the host is removed but the task."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from string import Template
from typing import Any

from . import agent_files, delivery, preflight_facts, probe, restore_facts, windows_task
from .command_line import argument, path
from .preflight_facts import LISTING, Tree
from .probe import Probe
from .restore_facts import RestoreError, Seen, state_folder
from .restore_plan import Plan, Run, selection, show_seconds, show_size
from .restore_request import Request
from .session import Session, SessionError

TASK = "\\ProSecours\\Restauration"
NOT_KEPT = 252
"""Exit code of restore.cmd: what is in place could not be kept aside, and nothing was overwritten."""
_START = 60.0  # seconds that the scheduler may take to start a task
# What restic's own words, in English everywhere, have in common when it cannot fetch data.
_LINK = re.compile(r"Load\(<|dial tcp|connection re|unexpected EOF|x509|context deadline")
_SHOWN = 20  # troubles that a result holds; their number is told too
_OWN_WORDS = 'findstr /c:"\\"message_type\\":\\"{}\\"" '


def start(
    session: Session,
    request: Request,
    folder: str,
    plan: Plan,
    runs: Sequence[Run],
    seen: Seen,
    limit_kib: int = 0,
) -> None:
    """Put the restore's files on the host and start its task, or start it again after an interruption.

    Raises SessionError, RestoreError.
    """
    state = state_folder(folder, request.id)
    names = {index: f"items-{index}.txt" for index, run in enumerate(runs) if selection(run.patterns)}
    limit = f" --limit-download {limit_kib}" if limit_kib > 0 else ""
    lines = []
    for index, run in enumerate(runs):
        chosen = f" --iinclude-file {names[index]}" if index in names else ""
        # The fresh folder comes as an argument: cmd would read its name from a file in another code page.
        target = run.target if request.in_place else "!ARGUMENT1!"
        lines += [
            f'cmd /d /c ..\\..\\restic.cmd restore {plan.version}{run.part} --target "{target}"{chosen}'
            f"{limit} --verify --json >>restore.log 2>&1",
            "if errorlevel 1 set CODE=%ERRORLEVEL%",
        ]
    template = resources.files(agent_files).joinpath("restore.cmd").read_text(encoding="ascii")
    script = Template(template).substitute(runs="\n".join(lines)).replace("\n", "\r\n")
    files = {
        "restore.cmd": script.encode("ascii"),
        "task.xml": ("\ufeff" + _task(state, plan).replace("\n", "\r\n")).encode("utf-16-le"),
        "plan.json": json.dumps(plan.data()).encode("ascii"),
        **{names[index]: selection(runs[index].patterns) for index in names},
    }
    if not delivery.send(session, state, files, seen.tar):
        raise RestoreError(
            session.host,
            "files arrive altered on the host: their SHA-256 differs",
            "See whether an antivirus or a proxy changes them, then run the playbook again",
        )
    begin = [
        f"cd /d {path(state)}",
        # What an attempt before left: its log is kept once, its status would be taken for this one's.
        "(if exist restore.log move /y restore.log before.log >nul)",
        "(if exist status.json del status.json)",
        f"(>..\\current.txt echo {request.id})",
        f"schtasks /create /tn {argument(TASK)} /xml task.xml /f",
        f"schtasks /run /tn {argument(TASK)}",
    ]
    output = session.run("&&".join(begin))
    if output.exit_code:
        raise RestoreError(
            session.host,
            f"the task {TASK} could not be started (code {output.exit_code})",
            "Check that the service Schedule runs and that no group policy forbids tasks",
        )


def _task(state: str, plan: Plan) -> str:
    """The task: as SYSTEM, when it is told to, never twice at once."""
    arguments = [plan.target or "-"]
    for keep in plan.keep:
        arguments += [keep.source, keep.copy, keep.mask, keep.depth]
    quoted = " ".join(f'"{value}"' for value in arguments)
    return windows_task.render(
        {
            "author": "Pro Secours",
            "description": "Restauration Pro Secours",
            "principal": "Author",
            "account": "S-1-5-18",
            "run level": "HighestAvailable",
            "overlap": "IgnoreNew",
            "not on batteries": "false",
            "stop on batteries": "false",
            "stop when no longer idle": "false",
            "restart when idle": "false",
            "may be started by hand": "true",
            "enabled": "true",
            "time limit": "P7D",
            "priority": "7",
            "action as": "Author",
            "command": "%SystemRoot%\\System32\\cmd.exe",
            "arguments": f'/d /e:on /v:off /c ""{state}\\restore.cmd" {quoted}"',
            "folder": state,
        }
    )


# Following it ------------------------------------------------------------------------------------------


@dataclass
class Clock:
    """Time as `follow` sees it; tests bring their own."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


def follow(
    session: Session,
    request: Request,
    folder: str,
    plan: Plan,
    poll: float,
    timeout: float,
    say: Callable[[str], None],
    clock: Clock | None = None,
) -> Mapping[str, Any]:
    """Wait for the end of a restore that was started, telling how far it is; its status.

    `poll` and `timeout` are seconds. The restore goes on when this ends early: SessionError, RestoreError.
    """
    clock = clock or Clock()
    begin, read, seen, said = clock.now(), 0, False, ""
    while True:
        try:
            found = restore_facts.look(session, folder, request.id, read)
        except SessionError as error:
            raise RestoreError(
                session.host,
                f"{error.problem}; the restore goes on there",
                "Run the playbook again with the same request: it joins the restore",
            ) from error
        read, seen = found.lines, seen or found.running
        if found.status and not found.running:
            return found.status
        steps = [message for message in found.messages if message.get("message_type") == "status"]
        words = _progress(plan, found.kept, steps[-1] if steps else None)
        if words and words != said:
            say(f"{session.host}: {words}")
            said = words
        elapsed = clock.now() - begin
        if not found.running and (seen or elapsed > _START):
            # Between the lock and the status there is a moment without either.
            last = restore_facts.look(session, folder, request.id, read)
            if last.status and not last.running:
                return last.status
            if not last.running:
                raise RestoreError(
                    session.host,
                    "the restore was interrupted on the server (switched off, or ended by hand)",
                    "Run the playbook again with the same request: what is there is not restored twice",
                )
        if elapsed > timeout:
            raise RestoreError(
                session.host,
                f"the restore has not ended after {timeout:.0f} s; it goes on",
                "Run the playbook again with the same request to go on waiting",
            )
        clock.sleep(poll)


def _progress(plan: Plan, kept: bool, message: Mapping[str, Any] | None) -> str:
    """How far it is, in files, bytes and time left; empty when nothing new is known."""
    if not kept:
        return f"keeping aside what is in place, in {', '.join(plan.kept_in)}" if plan.keep else ""
    if message is None:
        return ""
    done = restore_facts.progress(message)
    # restic counts the folders above an item too, so that it may end with more than it began with.
    entries = min(done.entries, plan.entries)
    words = (
        f"{entries} of {plan.entries} files and folders, {show_size(done.bytes)} of {show_size(plan.bytes)}"
    )
    if done.bytes >= plan.bytes:
        return f"{words}, comparing hashes"
    if done.bytes and done.seconds:
        left = (plan.bytes - done.bytes) * done.seconds / done.bytes
        words += f", {show_seconds(left)} left"
    return words


# Afterwards --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """What a restore that ended left. `counted` is what Windows itself counts in the fresh folder."""

    exit_code: int
    seconds: float
    entries: int
    bytes: int
    troubles: tuple[str, ...]
    trouble_count: int
    counted: Tree | None
    free: int | None
    keep_error: int | None


def outcome(
    session: Session, request: Request, folder: str, plan: Plan, status: Mapping[str, Any]
) -> Outcome:
    """The facts of a restore that has ended, and its task removed. Raises SessionError, RestoreError."""
    state = state_folder(folder, request.id)
    log = path(f"{state}\\restore.log")
    drive = (plan.target or plan.items[0].path)[0]
    questions = [
        Probe("summary", _OWN_WORDS.format("summary") + log),
        Probe("error", _OWN_WORDS.format("error") + log),
        Probe("fatal", _OWN_WORDS.format("exit_error") + log),
        Probe("keep", f"type {path(f'{state}{chr(92)}keep.log')}"),
        Probe("free", f"dir /-c /a {path(drive + ':' + chr(92))}"),
        Probe("task", f"schtasks /delete /tn {argument(TASK)} /f"),
    ]
    if plan.target:
        questions.append(Probe("tree", f"robocopy {argument(plan.target)} NULL /E {LISTING}"))
    answers = restore_facts.ask(session, questions, timeout=900)
    found = {
        name: list(restore_facts.messages(probe.decode(answers[name])))
        for name in ("summary", "error", "fatal")
    }
    done = [restore_facts.progress(message) for message in found["summary"]]
    troubles = tuple(
        dict.fromkeys(restore_facts.trouble(message) for message in found["error"] or found["fatal"])
    )
    codes = re.findall(r"\(0x([0-9A-Fa-f]{8})\)", probe.decode(answers["keep"]))
    return Outcome(
        exit_code=int(status.get("exit_code", -1)),
        seconds=_seconds(status),
        entries=min(sum(one.entries for one in done), plan.entries) if done else 0,
        bytes=sum(one.bytes for one in done),
        troubles=troubles[:_SHOWN],
        trouble_count=len(troubles),
        counted=preflight_facts.tree(answers.get("tree", b""))[0],
        free=preflight_facts.free_space(answers["free"]),
        keep_error=int(codes[-1], 16) if codes else None,
    )


def _seconds(status: Mapping[str, Any]) -> float:
    try:
        return (restore_facts.moment(status["end"]) - restore_facts.moment(status["start"])).total_seconds()
    except (KeyError, TypeError, ValueError):
        return 0.0


# Windows error codes (winerror.h) of robocopy: problem, remedy.
_KEEP_ERRORS: Mapping[int | None, tuple[str, str]] = {
    5: ("access is denied", "Give SYSTEM the right to read it"),
    32: ("a program holds it open", "Have the software closed on the server"),
    33: ("a program has locked a part of it", "Have the software closed on the server"),
    39: ("the disk is full", "Make room on the server"),
    112: ("the disk is full", "Make room on the server"),
}


def failure(request: Request, plan: Plan, result: Outcome) -> tuple[str, str] | None:
    """Why a restore did not succeed, as (problem, remedy); None when it did, with hashes compared."""
    again = "then run the playbook again with the same request: only what is missing is restored"
    if result.exit_code == NOT_KEPT:
        code = result.keep_error
        words, cure = _KEEP_ERRORS.get(
            code, (f"Windows error {code}", f"See keep.log of the restore {request.id} on the server")
        )
        return (
            f"what is in place could not be kept aside ({words}); nothing was overwritten",
            f"{cure}, {again}",
        )
    missing = plan.bytes - result.bytes
    if result.exit_code == 0:
        if result.counted and result.counted.size < result.bytes:
            problem = (
                f"restic restored {show_size(result.bytes)}, but Windows counts"
                f" {show_size(result.counted.size)} in {plan.target}"
            )
            return problem, f"See what removed files there (an antivirus?), {again}"
        return None
    if result.free is not None and missing > 0 and result.free < missing:
        problem = (
            f"the disk is full: {show_size(result.free)} are left, {show_size(missing)} are still to come"
        )
        return problem, f"Make room on {(plan.target or plan.items[0].path)[:2]}, {again}"
    if any(_LINK.search(words) for words in result.troubles):
        problem = f"the repository was not reached any more: {result.troubles[0]}"
        return problem, f"See that the link is up and the repository runs, {again}"
    if result.troubles:
        more = f" and {result.trouble_count - 1} more" if result.trouble_count > 1 else ""
        problem = f"not everything could be restored: {result.troubles[0]}{more}"
        return problem, f"Close the programs that hold these files and see to their rights, {again}"
    return (
        f"restic ended with code {result.exit_code}",
        f"See restore.log of the restore {request.id} on the server, {again}",
    )
