"""Carry out a plan: stage, verify, open the repository, and only then put everything in place in one step.

Up to the swap nothing that the host's backups stand on is touched, so that an interruption anywhere leaves a
host that still backs itself up, and a second run that converges.
"""

from __future__ import annotations

import re
import secrets
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path

from ..windows import probe, sddl
from ..windows import task as windows_task
from ..windows.command_line import argument, path
from ..windows.delivery import intact, pack, read, sha256
from ..windows.sddl import ADMINISTRATORS, SYSTEM
from ..windows.session import Output, Session, SessionError, TimedOut
from ..wording import show_seconds, show_size
from .desired import BINARY, LOCK, REPOSITORY_ID, STAGING, TASK, TEXTS, Desired, Request, secret_bytes
from .facts import Facts
from .plan import Change
from .refusals import AgentError, refusal, why

AUTHORITY = "restic-ca.pem"
"""Of the address of restic.exe, in the staging folder; it goes with that."""
_POLL = 5.0  # seconds between two looks at a lock
_TELL = 10.0  # seconds between two words on how far a delivery is
_LARGE = 1_000_000  # bytes of a delivery that are worth a word before it
_SLOWEST = 8_000  # bytes a second that a link must carry for a delivery to be in time (64 kbit/s)
_OPEN_TIMEOUT = 60.0  # restic itself would try to reach a repository for 15 minutes


def apply(
    session: Session,
    request: Request,
    desired: Desired,
    facts: Facts,
    changes: Collection[Change],
    say: Callable[[str], None] = lambda _: None,
) -> None:
    """Make the host what it is to be; `say` is told how far a delivery is. Raises SessionError or AgentError;
    then nothing in place has been overwritten, unless the message says so."""
    kinds = {change.kind for change in changes}
    staging = f"{desired.folder}\\{STAGING}-{secrets.token_hex(4)}"
    if kinds & {"folder", "rights"}:
        _close_folder(session, desired.folder, facts)
    files = {change.name for change in changes if change.kind in ("binary", "text", "secret", "repository")}
    if leftovers := [change.name for change in changes if change.kind == "staging"]:
        session.run("&".join(f"rmdir /s /q {path(folder)}" for folder in leftovers))
    if files or "task" in kinds:
        deadline = time.monotonic() + request.wait_seconds
        if files and facts.running:
            _wait_until_free(session, request, desired, deadline)
        staged = _staged_files(desired, files, task="task" in kinds)
        try:
            _deliver(session, desired, facts, staging, staged, say)
            if "repository" in kinds:
                _open_repository(session, request, facts, staging, bring_binary=BINARY not in staged)
            if files:
                _swap(session, request, staging, deadline)
            if "task" in kinds:
                _register_task(session, staging)
        finally:
            _remove(session, staging)
    if "first backup" in kinds:
        _start_backup(session, desired)


# -- folder and rights ----------------------------------------------------------------------------------


def _close_folder(session: Session, folder: str, facts: Facts) -> None:
    """The folder with rights for SYSTEM and Administrators alone; what is in it inherits them again."""
    whole = argument(folder)
    full = [argument(f"*{sid}:(OI)(CI)F") for sid in (SYSTEM, ADMINISTRATORS)]
    line = (
        f"(if not exist {path(folder + chr(92))} mkdir {path(folder)})"
        f"&icacls {whole} /setowner *{ADMINISTRATORS} /q"
        f"{_without_others(whole, facts.folder_rights)}"
        f"&&icacls {whole} /inheritance:r /grant:r {full[0]} {full[1]} /q"
    )
    _run(
        session,
        line,
        f"the folder {folder} cannot be made or closed",
        "Check that the user is an administrator",
    )
    if facts.names:
        # Its exit code also counts files that vanish meanwhile; the facts taken at the end decide.
        session.run(f"icacls {argument(folder + chr(92) + '*')} /reset /t /c /q", timeout=600)


def _without_others(whole: str, rights: str) -> str:
    """The commands that take every other entry away, each begun by `&&`.

    By SID, as /reset would let everyone who may read the parent folder read the passwords for a moment; it is
    left for entries without one (those of a domain, two letters in SDDL).
    """
    if not rights:
        return ""
    try:
        aces = sddl.parse(rights).aces
    except ValueError:
        return f"&&icacls {whole} /reset /q"
    ours = (SYSTEM, ADMINISTRATORS)
    others = sorted(
        {ace.sid for ace in aces if not ace.inherited and (ace.sid not in ours or ace.kind != "A")}
    )
    if not all(sid.startswith("S-1-") for sid in others):
        return f"&&icacls {whole} /reset /q"
    return f"&&icacls {whole} /remove {' '.join(f'*{sid}' for sid in others)} /q" if others else ""


# -- delivery -------------------------------------------------------------------------------------------


def _staged_files(desired: Desired, names: Collection[str], task: bool) -> dict[str, bytes | Path]:
    """Name -> content of the files to stage: those that change, and those that a trial of restic needs."""
    wanted = set(names)
    if REPOSITORY_ID in wanted:
        wanted |= desired.texts.keys() | desired.secrets.keys()
    files: dict[str, bytes | Path] = {}
    if BINARY in wanted:
        files[BINARY] = _checked(desired)
    files |= {name: text.encode() for name, text in desired.texts.items() if name in wanted}
    files |= {name: secret_bytes(secret) for name, secret in desired.secrets.items() if name in wanted}
    if task:
        files["task.xml"] = windows_task.encoded(desired.task_xml)
    if wanted:
        moves = [name for name in (*files, REPOSITORY_ID) if name in wanted]
        deletions = [name for name in TEXTS if name in wanted and name not in desired.texts]
        files["swap.cmd"] = _swap_script(moves, deletions)
    return files


def _checked(desired: Desired) -> Path:
    """The binary on the controller, when it is still what it was said to be."""
    binary = Path(desired.binary.path)
    try:
        found = sha256(binary)
    except OSError as error:
        raise AgentError(
            "controller", f"restic.exe cannot be read ({error})", "Check prosecours_agent_restic_path"
        ) from error
    if found != desired.binary.sha256:
        raise AgentError(
            "controller",
            f"{binary} is damaged: its SHA-256 is {found}, not {desired.binary.sha256}",
            "Delete it, so that it is fetched again, or correct the SHA-256",
        )
    return binary


def _swap_script(moves: Collection[str], deletions: Collection[str]) -> bytes:
    """What runs in the staging folder under the agent's lock. It says on standard error that it
    got the lock."""
    lines = [
        "@echo off",
        "echo held 1>&2",
        # A file that is still here could not be moved: cmd's own commands seldom set an exit code.
        *(f"move /y {name} ..\\{name} >nul\r\nif exist {name} exit /b 3" for name in moves),
        *(f"if exist ..\\{name} del /f /q ..\\{name}" for name in deletions),
        "exit /b 0",
    ]
    return "".join(f"{line}\r\n" for line in lines).encode("ascii")


def _deliver(
    session: Session,
    desired: Desired,
    facts: Facts,
    staging: str,
    files: Mapping[str, bytes | Path],
    say: Callable[[str], None],
) -> None:
    """Everything into a new staging folder, with proof that it has arrived whole: restic.exe from where the
    host can fetch it; what else there is, or what it cannot fetch, from here."""
    if BINARY in files and desired.binary.url:
        rest = {name: content for name, content in files.items() if name != BINARY}
        if desired.binary.ca:
            rest[AUTHORITY] = desired.binary.ca.encode()
        _push(session, desired, facts, staging, rest, say)
        if _fetched(session, desired, staging, say):
            return
        files = {BINARY: files[BINARY]}
    _push(session, desired, facts, staging, files, say)


def _fetched(session: Session, desired: Desired, staging: str, say: Callable[[str], None]) -> bool:
    """Whether the host's own curl.exe has brought restic.exe, and it is the right one."""
    binary = desired.binary
    size = Path(binary.path).stat().st_size
    limit = 120 + size / _SLOWEST
    # A private authority publishes no revocation list, and the curl of Windows insists on one.
    trust = f"--ssl-no-revoke --cacert {AUTHORITY} " if binary.ca else ""
    line = (
        f"cd /d {path(staging)}&&curl.exe -q -sS --fail --connect-timeout 10 --max-time {limit:.0f} {trust}"
        f"-o {BINARY} {argument(binary.url)}"
    )
    say(f"{session.host}: fetches restic.exe, {show_size(size)}, from {binary.url}")
    output = session.run(line, timeout=limit + 30)
    if output.exit_code:
        problem = f"it could not ({why(output)})"
    elif _arrived(session, desired, staging, {BINARY: binary.sha256}):
        return True
    else:
        problem = f"what lies there is not restic.exe {binary.version}: its SHA-256 differs"
    say(f"{session.host}: {problem}; restic.exe is delivered from here")
    return False


def _push(
    session: Session,
    desired: Desired,
    facts: Facts,
    staging: str,
    files: Mapping[str, bytes | Path],
    say: Callable[[str], None],
) -> None:
    make = f"if not exist {path(staging + chr(92))} mkdir {path(staging)}"
    hashes = {
        name: sha256(content) for name, content in files.items() if name == BINARY or name in desired.secrets
    }
    if facts.tar:
        with tempfile.TemporaryFile() as archive:
            size = pack(files, archive)
            output = session.run(
                f"({make})&&cd /d {path(staging)}&&tar -xzf -",
                followed(read(archive), size, lambda words: say(f"{session.host}: {words}")),
                timeout=120 + size / _SLOWEST,
            )
        if output.exit_code:
            raise AgentError(
                session.host,
                f"the files could not be unpacked on the host ({why(output)})",
                "Free 100 MB on the agent's drive and see that no antivirus blocks it, then run it again",
            )
        if _arrived(session, desired, staging, hashes):
            return
        # WinRM should hand bytes over untouched; where it does not, Ansible's own way remains.
    _run(session, make, "the staging folder cannot be made", "Check the agent's drive")
    size = sum(one.stat().st_size if isinstance(one, Path) else len(one) for one in files.values())
    if size > _LARGE:
        say(f"{session.host}: {show_size(size)} go through PowerShell, which does not tell how far it is")
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            source = content if isinstance(content, Path) else Path(folder, name)
            if isinstance(content, bytes):
                source.write_bytes(content)
            session.put_file(str(source), f"{staging}\\{name}")
    if not _arrived(session, desired, staging, hashes):
        raise AgentError(
            session.host,
            "files arrive altered on the host: their SHA-256 differs, or restic.exe does not run",
            "See whether an antivirus or a proxy changes them, and exclude the agent's folder",
        )


def followed(blocks: Iterable[bytes], size: int, say: Callable[[str], None]) -> Iterator[bytes]:
    """The same blocks; from time to time, how many of `size` bytes have left, and how long the rest takes."""
    begin = told = time.monotonic()
    done = 0
    for block in blocks:
        yield block
        done += len(block)
        now = time.monotonic()
        if now - told >= _TELL and done < size:
            left = (size - done) * (now - begin) / done
            say(f"{show_size(done)} of {show_size(size)} delivered, {show_seconds(left)} left")
            told = now


def _arrived(session: Session, desired: Desired, staging: str, hashes: Mapping[str, str]) -> bool:
    """Whether the staged files have these hashes, and a staged restic.exe runs and has the right version.

    What has another hash is not run: who knows what the host was given.
    """
    if not intact(session, staging, hashes):
        return False
    if BINARY not in hashes:
        return True
    asked = probe.Probe("version", f"{path(f'{staging}{chr(92)}{BINARY}')} version --json")
    found = re.search(rb'"version":"([^"]+)"', probe.ask(session, [asked])["version"])
    if not found:
        raise AgentError(
            session.host,
            "restic.exe arrived intact but does not run",
            "See whether an antivirus or a policy blocks it, and that Windows is 2016 or newer",
        )
    version = found.group(1).decode()
    if version != desired.binary.version:
        raise AgentError(
            session.host,
            f"restic.exe says that it is version {version}, not {desired.binary.version}",
            "Correct prosecours_agent_restic_version or the SHA-256 that goes with it",
        )
    return True


# -- repository -----------------------------------------------------------------------------------------


def _open_repository(
    session: Session, request: Request, facts: Facts, staging: str, bring_binary: bool
) -> None:
    """Open the repository with the staged access data, initialise it if there is none, stage its id.

    Nothing is overwritten: a repository that opens with another password only, or that is not the recorded
    one, is refused.
    """
    enter = f"cd /d {path(staging)}"
    if bring_binary:
        _run(
            session, f"{enter}&&copy /y ..\\{BINARY} . >nul", "restic.exe cannot be copied", "Free disk space"
        )
    opened = _restic(session, f"{enter}&&restic.cmd cat config --no-lock --json")
    if opened.exit_code == 10:
        made = _restic(session, f"{enter}&&restic.cmd init --json")
        opened = _restic(session, f"{enter}&&restic.cmd cat config --no-lock --json")
        if opened.exit_code == 10 and made.exit_code:
            opened = made
    if opened.exit_code:
        raise refusal(session.host, request.url, opened)
    found = re.search(rb'"id":\s*"([0-9a-f]{64})"', opened.stdout)
    if not found:
        problem = f"the repository {request.url} gives no id ({why(opened)})"
        raise AgentError(
            session.host, problem, "Run `restic.cmd cat config` in the agent's folder to see more"
        )
    identity = found.group(1).decode()
    if facts.repository_id not in ("", identity):
        raise AgentError(
            session.host,
            f"{request.url} is another repository ({identity[:8]}) than the one this host backs up to"
            f" ({facts.repository_id[:8]}); nothing in place was replaced",
            "Correct prosecours_repository_url; for a move that is meant, delete repository.id on the host",
        )
    target = path(f"{staging}\\{REPOSITORY_ID}")
    _run(session, f">{target} echo {identity}", "the repository's id cannot be recorded", "Free disk space")


def _restic(session: Session, line: str) -> Output:
    try:
        return session.run(line, timeout=_OPEN_TIMEOUT)
    except TimedOut as error:
        return error.partial


# -- lock, swap, task -----------------------------------------------------------------------------------


def _wait_until_free(session: Session, request: Request, desired: Desired, deadline: float) -> None:
    lock = path(f"{desired.folder}\\{LOCK}")
    while b"1" not in session.run(f"echo 1 2>>{lock}").stdout:
        _pause_or_give_up(session.host, request, deadline)


def _pause_or_give_up(host: str, request: Request, deadline: float) -> None:
    if time.monotonic() > deadline:
        raise AgentError(
            host,
            f"a backup still runs after a wait of {request.wait_seconds} s; nothing in place was replaced",
            "Run the playbook again after it, or raise prosecours_agent_wait",
        )
    time.sleep(_POLL)


def _swap(session: Session, request: Request, staging: str, deadline: float) -> None:
    """Move the staged files into place in one go, under the lock that a running backup holds."""
    while True:
        output = session.run(f"cd /d {path(staging)}&&>..\\{LOCK} call swap.cmd", timeout=300)
        if b"held" in output.stderr:
            break
        _pause_or_give_up(session.host, request, deadline)
    if output.exit_code:
        raise AgentError(
            session.host,
            f"a file in the agent's folder cannot be replaced ({why(output)})",
            "See which program uses restic.exe there (a restore by hand?), then run the playbook again",
        )


def _register_task(session: Session, staging: str) -> None:
    _run(
        session,
        f"schtasks /create /tn {argument(TASK)} /xml {argument(staging + chr(92) + 'task.xml')} /f",
        f"the scheduled task {TASK} was refused by Windows",
        "Check that the service Schedule runs and that no group policy forbids tasks",
    )


def _start_backup(session: Session, desired: Desired) -> None:
    """Start the task, and wait until its run can be seen: from then on a second deployment starts none."""
    _run(
        session,
        f"schtasks /run /tn {argument(TASK)}",
        "the first backup could not be started",
        "See the task",
    )
    status, lock = (path(f"{desired.folder}\\{name}") for name in ("status.json", LOCK))
    for _unused in range(12):
        seen = session.run(f"(if exist {status} echo 0)&(if exist {lock} echo 1 2>>{lock})").stdout
        if b"0" in seen or b"1" not in seen:
            return
        time.sleep(_POLL / 2)


def _remove(session: Session, staging: str) -> None:
    """Also on the way out of a failure, where the connection may be gone: then a later run removes it."""
    try:
        session.run(f"if exist {path(staging + chr(92))} rmdir /s /q {path(staging)}")
    except SessionError:
        return


# -- commands -------------------------------------------------------------------------------------------


def _run(session: Session, line: str, problem: str, remedy: str) -> Output:
    output = session.run(line)
    if output.exit_code:
        raise AgentError(session.host, f"{problem} ({why(output)})", remedy)
    return output
