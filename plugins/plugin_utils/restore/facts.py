"""What a restore has to know of a host and of the repository behind it: probes, and a pure parser for each.

Bytes and seconds everywhere; instants are UTC. restic speaks JSON and Windows numbers, so no word is read.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

from ...module_utils.maintenance import shape
from ...module_utils.maintenance.repository import MARK
from ..agent.desired import BINARY
from ..agent.refusals import AgentError, refusal
from ..windows import disk, probe, robocopy
from ..windows.command_line import argument, line, path
from ..windows.probe import Probe, ask
from ..windows.robocopy import LISTING, Tree
from ..windows.session import Session, TimedOut

STATE = "restore"
"""Folder of the restores, in the agent's."""
LOCK = "restore.lock"
LENT = "access"
"""Folder of what opens another server's repository, in that of a request."""
_OPEN = 120.0  # seconds to open the repository and list its versions


class RestoreError(AgentError):
    """A restore that cannot be done, or did not succeed; `problem` and `remedy` are one sentence each."""


# -- the host -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Status:
    """What the program on the host leaves of a restore when it ends; its instants as it wrote them."""

    exit_code: int = -1
    start: str | None = None
    end: str | None = None

    @property
    def seconds(self) -> float:
        """How long it took; 0 when that cannot be read."""
        try:
            return (moment(self.end or "") - moment(self.start or "")).total_seconds()
        except ValueError:
            return 0.0


@dataclass(frozen=True)
class _Error:
    message: str = ""


@dataclass(frozen=True)
class Message:
    """A line of restic's JSON (restic.readthedocs.io, "Scripting"): the keys that are read."""

    message_type: str
    total_files: int = 0
    total_bytes: int = 0
    files_restored: int = 0
    bytes_restored: int = 0
    files_skipped: int = 0
    bytes_skipped: int = 0
    seconds_elapsed: float = 0.0
    item: str | None = None
    message: str | None = None
    error: _Error | None = None


@dataclass(frozen=True)
class Seen:
    """A host before anything is done. `plan` and `status` are the request's own, empty before it."""

    agent: bool = False
    tar: bool = False
    url: str = ""
    running: str = ""
    """Id of the request that is being restored; "?" when that is not known; empty when none is."""
    plan: str = ""
    """The text of plan.json."""
    status: Status | None = None
    kept: bool = False
    """What was in place has been kept aside."""
    lent: tuple[str, ...] = ()
    """The requests for which another server's access is there."""


def state_folder(folder: str, request: str) -> str:
    """Where a request leaves its traces on the host."""
    return f"{folder}\\{STATE}\\{request}"


def observe(session: Session, folder: str, request: str) -> Seen:
    """What the host has of the agent and of this request, by one command."""
    state, lock = state_folder(folder, request), path(f"{folder}\\{STATE}\\{LOCK}")
    lent = path(f"{folder}\\{STATE}\\{LENT}")  # with /s: wherever below there is one of that name
    answers = ask(
        session,
        [
            Probe("agent", f"if exist {path(f'{folder}{chr(92)}{BINARY}')} echo 1"),
            Probe("tar", 'if exist "%SystemRoot%\\System32\\tar.exe" echo 1'),
            Probe("lent", f"dir /b /s /ad {lent}"),
            Probe("url", f"type {path(f'{folder}{chr(92)}repository.txt')}"),
            Probe("lock", f"if exist {lock} echo 1"),
            Probe("free", f"if exist {lock} echo 1 2>>{lock}"),
            Probe("current", f"type {path(f'{folder}{chr(92)}{STATE}{chr(92)}current.txt')}"),
            *(
                Probe(name, f"type {path(f'{state}{chr(92)}{file}')}")
                for name, file in (("plan", "plan.json"), ("status", "status.json"), ("kept", "kept.txt"))
            ),
        ],
    )
    text = {name: probe.decode(answer).strip() for name, answer in answers.items()}
    held = "1" in text["lock"] and "1" not in text["free"]
    return Seen(
        agent="1" in text["agent"],
        tar="1" in text["tar"],
        url=text["url"],
        running=(text["current"] or "?") if held else "",
        plan=text["plan"],
        status=_object(Status, text["status"]),
        kept=bool(text["kept"]),
        lent=tuple(re.findall(rf"\\(\w+)\\{LENT}\s*$", text["lent"], re.ASCII | re.MULTILINE)),
    )


Kind = TypeVar("Kind")


def _object(kind: type[Kind], text: str) -> Kind | None:
    """What stands on the host may be cut short, or not be what this program wrote: then there is none."""
    try:
        return shape.read(kind, json.loads(text))
    except ValueError:
        return None


# -- the repository -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Version:
    """One snapshot of a server."""

    id: str
    time: datetime
    host: str
    complete: bool = True
    against: str | None = None
    """Why its repository host does not believe it; None: it does, or was not asked."""
    losses: tuple[str, ...] = ()
    """How it is a sudden loss that nobody has released, by the same."""


def versions(output: bytes, server: str) -> tuple[Version, ...]:
    """`restic snapshots --json`, oldest first, without the marks, which make others incomplete.

    What lies in the repository of `server` is its own, whatever a snapshot calls itself. Raises ValueError
    when it is not JSON.
    """
    found = json.loads(output)
    marks = {
        item["id"]: mark[1]
        for item in found
        for tag in item.get("tags") or ()
        if (mark := MARK.fullmatch(tag))
    }
    marked = set(marks.values())
    listed = [
        Version(item["id"], moment(item["time"]), server, item["id"] not in marked)
        for item in found
        if item["id"] not in marks
    ]
    return tuple(sorted(listed, key=lambda version: version.time))


def moment(text: str) -> datetime:
    """restic's instants have nanoseconds, Python's do not."""
    return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text)).astimezone(UTC)


def restic(folder: str, arguments: str) -> str:
    """A command with the repository that `folder` opens; it reads without a lock and disturbs nobody."""
    return f"{path(f'{folder}{chr(92)}restic.cmd')} {arguments} --no-lock --json"


def snapshots(session: Session, folder: str, url: str, server: str) -> tuple[Version, ...]:
    """All versions of a server, whose repository `folder` opens. Raises AgentError when it does not open."""
    try:
        output = session.run(line(restic(folder, "snapshots")), timeout=_OPEN)
    except TimedOut as error:
        output = error.partial  # restic itself would try to reach a repository for 15 minutes
    try:
        if output.exit_code == 0:
            return versions(output.stdout, server)
    except (ValueError, KeyError, TypeError) as error:
        raise RestoreError(
            session.host, "restic's list of versions cannot be read", "Run playbooks/deploy.yml on this host"
        ) from error
    raise refusal(session.host, url, output)


# -- what would be restored -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Amount:
    """What a dry run says: files and folders selected, their bytes, and the bytes that are not there yet."""

    entries: int = 0
    bytes: int = 0
    new_bytes: int = 0
    overwritten: int = 0
    """Files that are there with another size or time."""


def amount(output: bytes) -> Amount:
    """The answer to `dry_run`; nothing when it has no summary (no such path in there)."""
    text = probe.decode(output)
    summary = Message("summary")
    for message in messages(text):
        if message.message_type == "summary":
            summary = message
    return Amount(
        entries=summary.total_files + summary.files_skipped,
        bytes=summary.total_bytes + summary.bytes_skipped,
        new_bytes=summary.total_bytes,
        overwritten=sum(int(number) for number in re.findall(r"(?m)^(\d+)\s*$", text)),
    )


def messages(text: str) -> Iterator[Message]:
    """restic's JSON lines; others are passed over."""
    return (found for one in text.splitlines() if (found := _object(Message, one)))


@dataclass(frozen=True)
class Disks:
    """The host's disks: drive -> free bytes (no entry: no such drive); whether the fresh folder is there."""

    free: Mapping[str, int] = field(default_factory=dict)
    exists: bool = False


@dataclass(frozen=True)
class Live:
    """What stands where an item is to be restored in place: as a folder, or as files of its folder that its
    last name selects. `folders` are those that a pattern selects."""

    tree: Tree | None = None
    files: Tree | None = None
    folders: tuple[str, ...] = ()
    error: int | None = None
    """Why Windows does not show it, other than that it is not there."""


def dry_run(folder: str, snapshot: str, target: str, pattern: str) -> str:
    """The command that tells how much one item is, and how many files it would overwrite: restic's summary
    and a number. By times and sizes: contents are compared when it is done."""
    selection = f" --iinclude {argument(pattern)}" if pattern else ""
    options = (
        f"restore {snapshot} --target {argument(target)} --dry-run --overwrite if-changed -vv{selection}"
    )
    kept = f'"%TEMP%\\{secrets.token_hex(4)}.dry"'
    summary, updated = r'/c:"\"message_type\":\"summary\""', r'/c:"\"action\":\"updated\""'
    return (
        f"{restic(folder, options)} >{kept}&findstr {summary} {kept}"
        f'&(findstr {updated} {kept}|find /c "updated")&del {kept}'
    )


LISTED = "all entries were listed"


def links(folder: str, snapshot: str) -> str:
    """The command that tells the links of a version, and that restic has read all of it."""
    kept = f'"%TEMP%\\{secrets.token_hex(4)}.lst"'
    link = r'/c:"\"type\":\"symlink\""'
    return f"({restic(folder, f'ls {snapshot}')} >{kept}&&echo {LISTED})&findstr {link} {kept}&del {kept}"


def links_in(output: bytes) -> list[str] | None:
    """The answer to `links`: their paths as restic has them; None when not all could be read."""
    text = probe.decode(output)
    if LISTED not in (one.strip() for one in text.splitlines()):  # in a name it is part of a line
        return None
    return [entry.path for one in text.splitlines() if (entry := _object(_Link, one))]


@dataclass(frozen=True)
class _Link:
    path: str


def disks(drives: Iterable[str], fresh: str) -> list[Probe]:
    """The questions for `target`: `drives` are letters, `fresh` a folder that must not be there, or empty."""
    questions = [Probe(f"free:{drive}", disk.listing(drive + ":\\")) for drive in drives]
    if fresh:
        questions.append(Probe("exists", f"if exist {path(fresh + chr(92))} echo 1"))
    return questions


def target(answers: Mapping[str, bytes]) -> Disks:
    """The answers to `disks`."""
    free = {
        name.removeprefix("free:"): space
        for name, answer in answers.items()
        if name.startswith("free:") and (space := disk.free_space(answer)) is not None
    }
    return Disks(free, b"1" in answers.get("exists", b""))


def parent(item: str) -> tuple[str, str]:
    r"""`D:\a\b` -> (`D:\a`, `b`); the folder of a file in a root is the root, as robocopy takes it."""
    folder, _unused, name = item.rpartition("\\")
    return (folder if not folder.endswith(":") else folder + "\\."), name


def listings(items: Sequence[str]) -> list[Probe]:
    """The questions for `live`, item by item."""
    questions = []
    for index, item in enumerate(items):
        folder, name = parent(item)
        if name:
            questions.append(
                Probe(f"files{index}", f"robocopy {argument(folder)} NULL {argument(name)} {LISTING}")
            )
        if _is_pattern(item):
            questions.append(Probe(f"folders{index}", f"dir /b /ad {path(item)}"))
        else:
            whole = item if name else item + "."
            questions.append(Probe(f"tree{index}", f"robocopy {argument(whole)} NULL /E {LISTING}"))
    return questions


def live(answers: Mapping[str, bytes], index: int) -> Live:
    """What stands in the place of one item."""
    tree, error = robocopy.tree(answers.get(f"tree{index}", b""))
    files, other = robocopy.tree(answers.get(f"files{index}", b""))
    folders = probe.decode(answers.get(f"folders{index}", b"")).splitlines()
    refused = {error, other} - robocopy.MISSING_CODES - {None}
    return Live(
        tree,
        files if files and files.files else None,
        tuple(name for name in folders if name.strip()),
        next(iter(refused), None),
    )


def _is_pattern(item: str) -> bool:
    return "*" in item or "?" in item


# -- while it runs, and after ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Look:
    """A restore under way: new messages of restic, and whether it still runs."""

    running: bool
    status: Status | None
    kept: bool
    messages: tuple[Message, ...]
    lines: int
    """Lines of the log that have been read."""


def look(session: Session, folder: str, request: str, read: int) -> Look:
    """How far it is; `read` lines of its log have been seen before and are not sent again."""
    state, lock = state_folder(folder, request), path(f"{folder}\\{STATE}\\{LOCK}")
    skip = f"skip={read} " if read else ""
    log = path(f"{state}\\restore.log")
    answers = ask(
        session,
        [
            Probe("lock", f"if exist {lock} echo 1"),
            Probe("free", f"if exist {lock} echo 1 2>>{lock}"),
            Probe("status", f"type {path(f'{state}{chr(92)}status.json')}"),
            Probe("kept", f"type {path(f'{state}{chr(92)}kept.txt')}"),
            Probe("log", f'for /f "usebackq {skip}delims=" %l in (`type {log}`) do @echo %l'),
        ],
    )
    text = {name: probe.decode(answer).strip() for name, answer in answers.items()}
    lines = [one for one in text["log"].splitlines() if one.strip()]
    return Look(
        running="1" in text["lock"] and "1" not in text["free"],
        status=_object(Status, text["status"]),
        kept=bool(text["kept"]),
        messages=tuple(messages(text["log"])),
        lines=read + len(lines),
    )


@dataclass(frozen=True)
class Progress:
    """How far restic is, by its own count."""

    entries: int
    bytes: int
    seconds: float


def progress(message: Message) -> Progress:
    """A message of type status or summary."""
    return Progress(
        entries=message.files_restored + message.files_skipped,
        bytes=message.bytes_restored + message.bytes_skipped,
        seconds=message.seconds_elapsed,
    )


def trouble(message: Message) -> str:
    """What restic could not restore: the item and its own words."""
    words = (message.error and message.error.message) or message.message or ""
    item = message.item or ""
    return f"{item}: {words}" if item and item not in words else words or item
