"""Carry out a plan: stage, verify, open the repository, and only then put everything in place in one step.

Up to the swap nothing that the host's backups stand on is touched, so that an interruption anywhere leaves a
host that still backs itself up, and a second run that converges.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import secrets
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from . import agent_facts, probe, sddl
from .agent_desired import BINARY, LOCK, REPOSITORY_ID, STAGING, TASK, TEXTS, Desired, Request, secret_bytes
from .agent_facts import Facts
from .agent_plan import Change
from .command_line import argument, path
from .delivery import pack, read, sha256
from .sddl import ADMINISTRATORS, SYSTEM
from .session import Output, Session, SessionError, TimedOut

_POLL = 5.0  # seconds between two looks at a lock
_SLOWEST = 8_000  # bytes a second that a link must carry for a delivery to be in time (64 kbit/s)
_OPEN_TIMEOUT = 60.0  # restic itself would try to reach a repository for 15 minutes


class AgentError(Exception):
    """The host answered, and what it said prevents the deployment. `problem` and `remedy` are one sentence
    each.
    """

    def __init__(self, host: str, problem: str, remedy: str) -> None:
        super().__init__(f"{host}: {problem}. {remedy}.")
        self.host = host
        self.problem = problem
        self.remedy = remedy


def observe(session: Session, folder: str) -> Facts:
    """The facts of a host, by one command."""
    nonce = secrets.token_hex(4)
    line = probe.compose(agent_facts.probes(folder, nonce), nonce)
    return agent_facts.parse(_sections(session, line, nonce))


def apply(
    session: Session, request: Request, desired: Desired, facts: Facts, changes: Collection[Change]
) -> None:
    """Make the host what it is to be. Raises SessionError or AgentError; then nothing in place has been
    overwritten, unless the message says so."""
    kinds = {change.kind for change in changes}
    staging = f"{desired.folder}\\{STAGING}"
    if kinds & {"folder", "rights"}:
        _close_folder(session, desired.folder, facts)
    files = {change.name for change in changes if change.kind in ("binary", "text", "secret", "repository")}
    if files or kinds & {"task", "staging"}:
        deadline = time.monotonic() + request.wait_seconds
        if files and facts.running:
            _wait_until_free(session, request, desired, deadline)
        staged = _staged_files(desired, files, task="task" in kinds)
        try:
            _deliver(session, desired, facts, staging, staged)
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


# Folder and rights


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


# Delivery


def _staged_files(desired: Desired, names: Collection[str], task: bool) -> dict[str, bytes | Path]:
    """Name -> content of what goes into the staging folder: what changes, and all that restic needs to be
    tried.
    """
    wanted = set(names)
    if REPOSITORY_ID in wanted:
        wanted |= desired.texts.keys() | desired.secrets.keys()
    files: dict[str, bytes | Path] = {}
    if BINARY in wanted:
        files[BINARY] = _checked(desired)
    files |= {name: text.encode() for name, text in desired.texts.items() if name in wanted}
    files |= {name: secret_bytes(secret) for name, secret in desired.secrets.items() if name in wanted}
    if task:
        files["task.xml"] = ("\ufeff" + desired.task_xml.replace("\n", "\r\n")).encode("utf-16-le")
    if wanted:
        moves = [name for name in (*files, REPOSITORY_ID) if name in wanted]
        deletions = [name for name in TEXTS if name in wanted and name not in desired.texts]
        files["swap.cmd"] = _swap_script(moves, deletions)
    return files


def _checked(desired: Desired) -> Path:
    """The binary on the controller, when it is still what it was said to be."""
    binary = Path(desired.binary.path)
    try:
        with binary.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
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
        # A file that is still here could not be moved: cmd's own commands are shy with exit codes.
        *(f"move /y {name} ..\\{name} >nul\r\nif exist {name} exit /b 3" for name in moves),
        *(f"if exist ..\\{name} del /f /q ..\\{name}" for name in deletions),
        "exit /b 0",
    ]
    return "".join(f"{line}\r\n" for line in lines).encode("ascii")


def _deliver(
    session: Session, desired: Desired, facts: Facts, staging: str, files: Mapping[str, bytes | Path]
) -> None:
    """Everything into an empty staging folder, then the hashes of what arrived."""
    make = f"(if exist {path(staging + chr(92))} rmdir /s /q {path(staging)})&mkdir {path(staging)}"
    hashes = {
        name: sha256(content) for name, content in files.items() if name == BINARY or name in desired.secrets
    }
    if facts.tar:
        with tempfile.TemporaryFile() as archive:
            size = pack(files, archive)
            output = session.run(
                f"{make}&&cd /d {path(staging)}&&tar -xzf -", read(archive), timeout=120 + size / _SLOWEST
            )
        if output.exit_code:
            raise AgentError(
                session.host,
                f"the files could not be unpacked on the host ({_why(output)})",
                "Free 100 MB on the agent's drive and see that no antivirus blocks it, then run it again",
            )
        if _arrived(session, desired, staging, hashes):
            return
        # WinRM is said to hand bytes over untouched; where it does not, Ansible's own way is left.
    _run(session, make, "the staging folder cannot be made", "Check the agent's drive")
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


def _arrived(session: Session, desired: Desired, staging: str, hashes: Mapping[str, str]) -> bool:
    """Whether the staged files have these hashes, and a staged restic.exe runs and is of the
    right version."""
    if not hashes:
        return True
    questions = [
        probe.Probe(name, f"certutil -hashfile {argument(f'{staging}{chr(92)}{name}')} SHA256")
        for name in hashes
    ]
    if BINARY in hashes:
        questions.append(probe.Probe("version", f"{path(f'{staging}{chr(92)}{BINARY}')} version --json"))
    nonce = secrets.token_hex(4)
    answers = _sections(session, probe.compose(questions, nonce), nonce)
    if any(agent_facts.sha256(probe.decode(answers[name])) != wanted for name, wanted in hashes.items()):
        return False
    if BINARY not in hashes:
        return True
    found = re.search(rb'"version":"([^"]+)"', answers["version"])
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


# Repository


def _open_repository(
    session: Session, request: Request, facts: Facts, staging: str, bring_binary: bool
) -> None:
    """Open the repository with the staged access data, initialise it when there is none, record its id in
    staging.

    A repository that another password opens, or another one than recorded, is refused: nothing is
    overwritten.
    """
    enter = f"cd /d {path(staging)}"
    if bring_binary:
        _run(
            session, f"{enter}&&copy /y ..\\{BINARY} . >nul", "restic.exe cannot be copied", "Free disk space"
        )
    with _alone(request.url):
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
        problem = f"the repository {request.url} tells no id ({_why(opened)})"
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


@contextlib.contextmanager
def _alone(url: str) -> Iterator[None]:
    """One host at a time of those that share a repository and are deployed from this machine.

    Two `restic init` at once leave two master keys of which the config fits one: nobody opens that again.
    """
    name = hashlib.sha256(url.encode()).hexdigest()[:16]
    lock = Path(tempfile.gettempdir(), f"prosecours-{os.getuid()}-{name}.lock")
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _restic(session: Session, line: str) -> Output:
    try:
        return session.run(line, timeout=_OPEN_TIMEOUT)
    except TimedOut as error:
        return error.partial


# restic speaks English in every Windows; its exit codes come first, its words only tell apart what is 1 for
# it.
_REFUSALS: tuple[tuple[int | None, str, str, str], ...] = (
    (12, "", "refuses the encryption password: it was initialised with another one",
     "Bring prosecours_encryption_password back, which nothing replaces, or correct the address"),
    (11, "", "is locked by another program", "Wait until it ends, then run the playbook again"),
    (None, r"already contains keys|ciphertext verification failed",
     "was left half made by an initialisation that was interrupted, or made twice at once",
     "See on the repository's host that it holds no snapshots, empty its folder there, then run it again"),
    (None, r"Access Denied|InvalidAccessKeyId|SignatureDoesNotMatch", "refuses the access key",
     "Correct prosecours_repository_username and _password; playbooks/repository.yml gives a key its rights"),
    (None, r"x509|certificate|tls:", "has a certificate that this host does not trust",
     "Set prosecours_repository_ca to the CA that signed it (PEM), or correct the repository's address"),
    (None, r"\(507\)|Insufficient Storage", "is full (507)",
     "Raise its size, at most to the subscribed volume with its headroom, then run the playbook again"),
    (None, r"\(401\)|Unauthorized", "refuses the user name or password of HTTP (401)",
     "Correct prosecours_repository_username and prosecours_repository_password"),
    (None, r"\(403\)|Forbidden", "belongs to another user of the server (403)",
     "The first part of the address must be the user name: correct prosecours_repository_url"),
    (None, r"retrying after|dial tcp|no such host|refused|timeout|context canceled", "cannot be reached",
     "Check prosecours_repository_url, that its server runs and that the firewall lets HTTPS out"),
)  # fmt: skip


def refusal(host: str, url: str, output: Output) -> AgentError:
    """Why restic could not open or initialise the repository, as a sentence with its remedy."""
    words = probe.decode(output.stdout + output.stderr)
    for code, pattern, problem, remedy in _REFUSALS:
        if output.exit_code == code or (code is None and re.search(pattern, words)):
            return AgentError(host, f"the repository {url} {problem}; nothing in place was replaced", remedy)
    problem = f"the repository {url} cannot be opened ({_why(output)}); nothing in place was replaced"
    return AgentError(host, problem, "Run restic.cmd in the agent's folder on the host to see more")


# Lock, swap, task


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
            f"a file in the agent's folder cannot be replaced ({_why(output)})",
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
    for _ in range(12):
        seen = session.run(f"(if exist {status} echo 0)&(if exist {lock} echo 1 2>>{lock})").stdout
        if b"0" in seen or b"1" not in seen:
            return
        time.sleep(_POLL / 2)


def _remove(session: Session, staging: str) -> None:
    """Also on the way out of a failure, where the connection may be gone: then the next run removes it."""
    try:
        session.run(f"if exist {path(staging + chr(92))} rmdir /s /q {path(staging)}")
    except SessionError:
        return


# Commands


def _run(session: Session, line: str, problem: str, remedy: str) -> Output:
    output = session.run(line)
    if output.exit_code:
        raise AgentError(session.host, f"{problem} ({_why(output)})", remedy)
    return output


def _sections(session: Session, line: str, nonce: str) -> dict[str, bytes]:
    try:
        return probe.split(session.run(line).stdout, nonce)
    except probe.Garbled as error:
        raise AgentError(
            session.host, str(error), "See that %TEMP% of the WinRM user can be written to"
        ) from error


def _why(output: Output) -> str:
    """Exit code and the last line that the command printed, in whatever language Windows speaks."""
    lines = [
        line.strip() for line in probe.decode(output.stderr or output.stdout).splitlines() if line.strip()
    ]
    return f"code {output.exit_code}: {lines[-1][:200]}" if lines else f"code {output.exit_code}"
