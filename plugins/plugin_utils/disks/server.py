r"""The steps that are done on a client's server: the backup onto the disk, what is on it when it is handed
over, and the night after it was loaded (C16).

The backup on the disk is every night's backup.cmd with another repository, in a folder of its own below the
agent's: the same perimeter, host and tags, so that the first night finds it. The password is the agent's,
read where it lies. A scheduled task does the work and outlives the connection.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from ...module_utils.maintenance.disks import FOLDER, KINDS
from ..agent import backup as agent_backup
from ..agent import facts as agent_facts
from ..agent.desired import REPOSITORY_ID, backing_up, opening_disk
from ..agent.facts import Status
from ..agent.refusals import AgentError, why
from ..contract.model import HostContract
from ..windows import delivery, disk, volume
from ..windows import task as windows_task
from ..windows.command_line import argument, path
from ..windows.probe import Probe, ask, decode
from ..windows.session import Session
from ..windows.volume import Drive
from ..wording import show_size
from .request import Request

TASK = "\\ProSecours\\Amorce"
STATE = "seed"
"""Folder in the agent's, while a disk is filled."""
RUNNING = "restic-seed.exe"
LONGEST = 7 * 24
"""Hours that a backup onto a disk may take."""
NO_ROOM = 64 * 1024 * 1024
"""Bytes: what restic may still want for one pack. With less the disk is full."""
_CHECK = 6 * 3600.0  # seconds to read the folders of all versions on a disk
_FILE = re.compile(r"(\d{1,15}) ([0-9a-f]{64}) .*\\(?:(data)\\[0-9a-f]{2}|(index)|(snapshots))\\")


class SeedError(AgentError):
    """A step that cannot be done, or did not succeed."""


@dataclass(frozen=True)
class Seen:
    """A server and the disk on it."""

    agent: agent_facts.Facts
    drive: Drive
    place: str
    """Of the repository on the disk."""
    prepared: bool
    state: agent_facts.Facts
    """Of the folder of the backup onto the disk."""


# -- facts ----------------------------------------------------------------------------------------------


def observe(session: Session, request: Request, folder: str) -> Seen:
    """The facts, by four commands. Raises SessionError, SeedError."""
    agent = agent_facts.observe(session, folder)
    if not agent.exists or not agent.repository_id:
        problem = f"no agent is deployed in {folder}"
        raise SeedError(session.host, problem, "Run playbooks/deploy.yml on this host first")
    drive = find(session, request)
    place = f"{drive.letter}:\\{FOLDER}\\{request.server}"
    answers = ask(session, [Probe("config", f"if exist {path(place + chr(92) + 'config')} echo 1")])
    state = agent_facts.observe(session, f"{folder}\\{STATE}", agent_backup.LOOK)
    return Seen(agent, drive, place, b"1" in answers["config"], state)


def find(session: Session, request: Request) -> Drive:
    """The drive that holds the disk. Raises SessionError, SeedError."""
    wanted = request.disk
    found = volume.drives(ask(session, [volume.probe()])["drives"])
    mine = [drive for drive in found if drive.serial == wanted.serial]
    if len(mine) != 1:
        there = (
            ", ".join(f"{drive.letter}: {drive.serial} {drive.label}".rstrip() for drive in found) or "none"
        )
        problem = (
            f"two drives have the serial number {wanted.serial}"
            if mine
            else f"the disk {wanted.serial} is not plugged in (drives that are there: {there})"
        )
        raise SeedError(session.host, problem, "Have the right disk plugged in, then run the same step again")
    [drive] = mine
    if drive.label != wanted.label:
        name = drive.label or "nothing"
        problem = f"the disk {wanted.serial} in {drive.letter}: is named {name}, not {wanted.label}"
        raise SeedError(session.host, problem, "Have the right disk plugged in, or correct the request")
    return drive


# -- fill -----------------------------------------------------------------------------------------------


def fill(
    session: Session,
    request: Request,
    contract: HostContract,
    folder: str,
    timeout: float,
    check: bool,
    begin: Callable[[], None],
    say: Callable[[str], None],
) -> Status:
    """Back the server up onto the disk, or join the backup that runs; its status. In check mode an empty one.

    `begin` is called before the task is started. The backup goes on when this ends early.
    Raises SessionError, AgentError.
    """
    seen = observe(session, request, folder)
    state = f"{folder}\\{STATE}"
    if not seen.prepared:
        problem = f"the disk {request.disk.serial} holds no repository in {seen.place}"
        raise SeedError(session.host, problem, "Run the step prepare on this very disk first")
    if check:
        return {}
    if not seen.state.running:
        begin()
        _start(session, request, contract, state, seen)
    way = "with or without this connection"
    say(f"{session.host}: the backup onto {seen.place} goes on in the task {TASK}, {way}")
    try:
        after = agent_backup.wait(session, state, replace(seen.state, status=None), timeout, say, TASK)
    except AgentError as error:
        if isinstance(error, SeedError):
            raise
        raise SeedError(session.host, error.problem, f"{error.remedy}, with the same step") from error
    status = after.status or {}
    if status.get("exit_code") in (0, 3):
        return status
    raise _failure(session, request, seen, status)


def _start(session: Session, request: Request, contract: HostContract, state: str, seen: Seen) -> None:
    texts = {
        # What is written to a disk takes nothing of the client's link.
        **backing_up(
            replace(contract, upload_limit_kib=0),
            seen.agent.shadow_copies,
            time_limit_hours=LONGEST,
            program="..\\restic.exe",
            running=RUNNING,
        ),
        **opening_disk(seen.place),
    }
    task = windows_task.on_demand(
        "Sauvegarde sur disque Pro Secours", f'/d /e:on /v:off /c ""{state}\\backup.cmd""', state
    )
    _send(session, state, {**texts, "task.xml": windows_task.encoded(task)}, seen)
    opened = session.run(f"cd /d {path(state)}&&cmd /d /c restic.cmd cat config --no-lock", timeout=300)
    if opened.exit_code or f'"id": "{seen.agent.repository_id}"' not in decode(opened.stdout):
        said = why(opened) if opened.exit_code else f"another {REPOSITORY_ID}"
        problem = f"what is on the disk is not the repository of {request.server} ({said})"
        raise SeedError(
            session.host, problem, "Prepare this disk for this server, then run the same step again"
        )
    lines = [
        f"cd /d {path(state)}",
        # What an earlier attempt left would be taken for this one's.
        "(if exist status.json del status.json)",
        f"schtasks /create /tn {argument(TASK)} /xml task.xml /f",
        f"schtasks /run /tn {argument(TASK)}",
    ]
    started = session.run("&&".join(lines))
    if started.exit_code:
        problem = f"the task {TASK} could not be started (code {started.exit_code})"
        raise SeedError(
            session.host,
            problem,
            "Check that the service Schedule runs and that no group policy forbids tasks",
        )


def _send(session: Session, state: str, files: Mapping[str, str | bytes], seen: Seen) -> None:
    content = {name: one if isinstance(one, bytes) else one.encode() for name, one in files.items()}
    if not delivery.send(session, state, content, seen.agent.tar):
        raise SeedError(
            session.host,
            "files arrive altered on the host: their SHA-256 differs",
            "See whether an antivirus or a proxy changes them, then run the same step again",
        )


def _failure(session: Session, request: Request, seen: Seen, status: Status) -> SeedError:
    """Why a backup onto a disk failed, by what is still there."""
    again = "then run the same step again: what is on the disk already is not written twice"
    drive = f"{seen.drive.letter}:"
    find(session, request)
    free = disk.free_space(ask(session, [Probe("free", disk.listing(drive + chr(92)))])["free"])
    if free is not None and free < NO_ROOM:
        problem = f"the disk {request.disk.serial} is too small: {show_size(free)} are left in {drive}"
        return SeedError(session.host, problem, "Write a request for a larger disk, and prepare that one")
    words = agent_backup.outcome(status)
    problem = f"the backup onto {drive} {words}"
    return SeedError(session.host, problem, f"See the newest log in the folder {STATE} of the agent, {again}")


# -- hand over ------------------------------------------------------------------------------------------


def contents(session: Session, request: Request, folder: str, check: bool) -> dict[str, int]:
    """What is on the disk, by the names of a manifest, after restic found it whole; what the step before left
    on the server is removed. Raises SessionError, SeedError."""
    seen = observe(session, request, folder)
    place, state = seen.place, f"{folder}\\{STATE}"
    if seen.state.running:
        raise SeedError(
            session.host,
            "the backup onto the disk is still running",
            "Run the step fill: it waits for the end",
        )
    if not check:
        # Again, in case that this step was cut after it had tidied up.
        _send(session, state, opening_disk(place), seen)
        checked = session.run(f"cd /d {path(state)}&&cmd /d /c restic.cmd check --no-lock", timeout=_CHECK)
        if checked.exit_code:
            problem = f"what is on the disk is not whole ({why(checked)})"
            raise SeedError(session.host, problem, "Prepare another disk, with a new request")
    # Four %: Wine's cmd takes what is between an odd one and the next %TEMP% for the name of a variable.
    line = f"for /r {path(place)} %f in (*) do @echo %~zf %~nxf %~pf"
    listed = ask(session, [Probe("files", line)], timeout=_CHECK)
    found = {}
    for text in decode(listed["files"]).splitlines():
        if match := _FILE.fullmatch(text.strip()):
            kind = match[3] or match[4] or match[5]
            found[f"{kind}/{match[2]}"] = int(match[1])
    if {name.partition("/")[0] for name in found} != set(KINDS):
        problem = f"no whole backup is in {place}"
        raise SeedError(session.host, problem, "Run the step fill again")
    if not check:
        session.run(
            f"schtasks /delete /tn {argument(TASK)} /f&(if exist {path(state)} rmdir /s /q {path(state)})"
        )
    return found


# -- finish ---------------------------------------------------------------------------------------------


def judge(host: str, status: Status | None, loaded: datetime) -> dict[str, Any]:
    """What the first night after the loading added, and of how much. Pure. Raises SeedError."""
    status = status or {}
    summary = status.get("summary")
    try:
        started = datetime.fromisoformat(str(status.get("start")))
    except ValueError:
        started = datetime.min.replace(tzinfo=UTC)
    later = started.tzinfo is not None and started >= loaded.replace(microsecond=0)
    if not later or status.get("exit_code") not in (0, 3) or not isinstance(summary, dict):
        problem = "no backup has ended well since the disk was loaded"
        raise SeedError(
            host, problem, "Wait for the night, or run playbooks/backup.yml; then run the same step again"
        )
    added, total = (summary.get(name) for name in ("data_added", "total_bytes_processed"))
    if not isinstance(added, int) or not isinstance(total, int) or isinstance(added, bool):
        raise SeedError(
            host, "its last backup left no figures", "Run playbooks/backup.yml, then the same step again"
        )
    if added * 2 > total:
        figures = f"{show_size(added)} of {show_size(total)}"
        problem = f"the backup after the loading added {figures}: it did not build on the disk"
        remedy = (
            "See that the perimeter is as when the disk was filled, then run backup.yml and the same step"
        )
        raise SeedError(host, problem, remedy)
    return {"added": added, "total": total}
