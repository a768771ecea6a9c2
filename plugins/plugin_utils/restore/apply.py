"""Carry out a restore: a scheduled task of the host does the work, so that it outlives the connection; we put
its files there, start it and follow it. Nothing on the host is removed but the task."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from string import Template

from ...module_utils.maintenance.refusals import meaning
from ..agent import files as agent_files
from ..windows import delivery, disk, probe, robocopy
from ..windows import task as windows_task
from ..windows.command_line import argument, fits, path
from ..windows.probe import Probe
from ..windows.robocopy import LISTING, Tree
from ..windows.session import Session, SessionError
from ..wording import show_seconds, show_size
from . import facts as restore_facts
from .facts import LENT, Message, RestoreError, Seen, Status, state_folder
from .plan import Plan, Run, runs, selection
from .request import Request

TASK = "\\ProSecours\\Restauration"
NOT_KEPT = 252
"""Exit code of restore.cmd: what is in place could not be kept aside, and nothing was overwritten."""
_START = 60.0  # seconds that the scheduler may take to start a task
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
    lent: bool = False,
) -> None:
    """Put the restore's files on the host and start its task, or start it again after an interruption.

    `lent`: from another server's repository, whose access is in the request's folder.
    Raises SessionError, RestoreError.
    """
    state = state_folder(folder, request.id)
    names = {index: f"items-{index}.txt" for index, run in enumerate(runs) if selection(run.patterns)}
    limit = f" --limit-download {limit_kib}" if limit_kib > 0 else ""
    restic, lines = f"{LENT}\\restic.cmd" if lent else "..\\..\\restic.cmd", []
    for index, run in enumerate(runs):
        chosen = f" --iinclude-file {names[index]}" if index in names else ""
        # The fresh folder comes as an argument: cmd would read its name from a file in another code page.
        target = run.target if request.in_place else "!ARGUMENT1!"
        lines += [
            f'cmd /d /c {restic} restore {plan.version}{run.part} --target "{target}"{chosen}'
            f"{limit} --verify --json >>restore.log 2>&1",
            "if not !ERRORLEVEL!==0 set CODE=!ERRORLEVEL!",
        ]
    template = resources.files(agent_files).joinpath("restore.cmd").read_text(encoding="ascii")
    last = str(1 + 4 * len(plan.keep))  # the last argument that tells what is kept aside
    script = Template(template).substitute(runs="\n".join(lines), last=last).replace("\n", "\r\n")
    files = {
        "restore.cmd": script.encode("ascii"),
        "task.xml": windows_task.encoded(_task(state, plan)),
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
        # What an earlier attempt left: its log is kept once, its status would be taken for this one's.
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


def above(plan: Plan) -> list[str]:
    """The folders above what is restored in place, from the top, without the drive's root: restic sets their
    rights too, to those of the version."""
    if plan.target:
        return []
    found: dict[str, None] = {}
    for item in plan.items:
        names = item.path.rstrip("\\").split("\\")
        found |= dict.fromkeys("\\".join(names[:end]) for end in range(2, len(names)))
    return sorted(found, key=lambda folder: folder.count("\\"))


def _task(state: str, plan: Plan) -> str:
    """The task: as SYSTEM, when it is told to, never twice at once. Raises CannotQuote."""
    arguments = [plan.target or "-"]
    for keep in plan.keep:
        arguments += [keep.source, keep.copy, keep.mask, keep.depth]
    for folder in above(plan):
        # A drive's root ends with a backslash, which would take the quote behind it.
        arguments += [folder, folder.rpartition("\\")[0] + "\\."]
    quoted = " ".join(f'"{value}"' for value in arguments)
    line = f'/d /e:on /v:off /c ""{state}\\restore.cmd" {quoted}"'
    fits(f"{windows_task.CMD} {line}")
    return windows_task.on_demand("Restauration Pro Secours", line, state)


# -- following it ---------------------------------------------------------------------------------------


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
) -> Status:
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
        steps = [message for message in found.messages if message.message_type == "status"]
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


def _progress(plan: Plan, kept: bool, message: Message | None) -> str:
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


# -- afterwards -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """What a restore that ended left. `summaries` counts restic's, one for each run that finished;
    `counted` is what Windows itself counts in the fresh folder."""

    exit_code: int
    seconds: float
    entries: int
    bytes: int
    troubles: tuple[str, ...]
    trouble_count: int
    counted: Tree | None
    free: int | None
    keep_error: int | None
    summaries: int


def outcome(session: Session, request: Request, folder: str, plan: Plan, status: Status) -> Outcome:
    """The facts of a restore that has ended; its task, and what was lent for it, are removed.

    Raises SessionError, RestoreError.
    """
    state = state_folder(folder, request.id)
    log = path(f"{state}\\restore.log")
    lent = path(f"{state}\\{LENT}")
    drive = (plan.target or plan.items[0].path)[0]
    questions = [
        Probe("summary", _OWN_WORDS.format("summary") + log),
        Probe("error", _OWN_WORDS.format("error") + log),
        Probe("fatal", _OWN_WORDS.format("exit_error") + log),
        Probe("keep", f"type {path(f'{state}{chr(92)}keep.log')}"),
        Probe("free", disk.listing(drive + ":\\")),
        Probe("lent", f"if exist {lent} rmdir /s /q {lent}"),
        Probe("task", f"schtasks /delete /tn {argument(TASK)} /f"),
    ]
    if plan.target:
        questions.append(Probe("tree", f"robocopy {argument(plan.target)} NULL /E {LISTING}"))
    answers = probe.ask(session, questions, timeout=900)
    found = {
        name: list(restore_facts.messages(probe.decode(answers[name])))
        for name in ("summary", "error", "fatal")
    }
    done = [restore_facts.progress(message) for message in found["summary"]]
    troubles = tuple(
        dict.fromkeys(restore_facts.trouble(message) for message in found["error"] or found["fatal"])
    )
    codes = robocopy.errors(answers["keep"])
    return Outcome(
        exit_code=status.exit_code,
        seconds=status.seconds,
        entries=min(sum(one.entries for one in done), plan.entries) if done else 0,
        bytes=sum(one.bytes for one in done),
        troubles=troubles[:_SHOWN],
        trouble_count=len(troubles),
        counted=robocopy.tree(answers.get("tree", b""))[0],
        free=disk.free_space(answers["free"]),
        keep_error=codes[-1] if codes else None,
        summaries=len(done),
    )


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
        if result.summaries < (wanted := len(runs(request, plan.target))):
            problem = (
                "restic reported no error, but no summary of its own either"
                f" ({result.summaries} of {wanted} runs)"
            )
            return problem, f"See restore.log of the restore {request.id} on the server, {again}"
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
    for words in result.troubles:
        if refusal := meaning(None, words):
            problem = refusal.problem.format(repository="the repository")
            return f"{problem}: {words}", f"{refusal.remedy}, {again}"
    if result.troubles:
        more = f" and {result.trouble_count - 1} more" if result.trouble_count > 1 else ""
        problem = f"not everything could be restored: {result.troubles[0]}{more}"
        return problem, f"Close the programs that hold these files and see to their rights, {again}"
    return (
        f"restic ended with code {result.exit_code}",
        f"See restore.log of the restore {request.id} on the server, {again}",
    )
