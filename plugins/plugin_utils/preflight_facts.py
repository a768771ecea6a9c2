"""What preflight asks a Windows host, and how it reads the answers (C1, C2, C14, C15). Nothing on the host
changes.

Each fact is one probe (a piece of a composite command) and one pure parser of its raw output. Windows speaks
French, so the parsers read only what no language touches: SIDs, hexadecimal Windows error codes, exit codes,
order of rows, numbers.

Units: bytes and seconds everywhere. A fact that could not be had is None, never a guess.
"""

from __future__ import annotations

import csv
import json
import re
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from itertools import combinations, pairwise
from typing import NamedTuple

from .command_line import CannotQuote, argument, path
from .probe import Probe, compose, decode, split
from .session import Session, TimedOut

MISSING_CODES = frozenset({2, 3, 15, 21, 123, 267})
"""Windows error codes that mean "there is no such directory here": file or path not found, no such drive,
drive not ready, invalid name, not a directory (winerror.h)."""

SAMPLE_FILE = r"%SystemRoot%\System32\ntdll.dll"
"""What the host prints to measure its link: part of every Windows, readable by all, about 2 MB, and
compressible by nobody on the way (WinRM does not compress)."""
SAMPLE_TIMEOUT = 60.0
"""Seconds that the sample may take: 2 MB in 60 s is 0.4 Mbit/s, below which the exact figure no longer
matters."""
WINRM_EXPANSION = 4 / 3
"""WinRM carries standard output in Base64 (MS-WSMV 2.2.4.33), so the link moves this many times the bytes
received."""

LARGEST = 5
"""Subdirectories named when the perimeter is over the subscribed volume: enough to see what to take out."""

LISTING = "/L /BYTES /NFL /NDL /NJH /XJ /R:0 /W:0"
"""robocopy: list only (nothing copied, deleted or time-stamped), sizes in bytes, only the summary, no
junctions (restic does not follow them either), no retries. The destination is a name that does not exist and
is not created."""


# What is asked for -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Entry:
    """One line of the perimeter (C1). `kind` is "directory", or "pattern": a directory followed by a file
    pattern."""

    box: str
    path: str
    kind: str


@dataclass(frozen=True)
class Repository:
    """Where the backups of a client go. `url` as restic writes it; `ca` is PEM text or empty; secrets stay
    out of repr."""

    url: str
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    ca: str = field(default="", repr=False)

    @property
    def address(self) -> str:
        """The HTTP address that tells whether the repository is there, or "" for a back end that has none.

        rest-server answers HEAD of `config` with 200, 404 (not initialised), 401; S3 answers anything (C20).
        """
        kind, _, rest = self.url.partition(":")
        if kind == "rest":
            return rest.rstrip("/") + "/config"
        if kind == "s3":
            return rest if "://" in rest else "https://" + rest
        return ""

    @property
    def signs_in(self) -> bool:
        """Whether the user name and password are sent as HTTP Basic (rest-server), and so can be checked
        with curl."""
        return self.url.startswith("rest:") and bool(self.username)


@dataclass(frozen=True)
class Wanted:
    """What preflight looks for on one host: the perimeter, the agent's folder, the way out.

    `excludes` are restic patterns of the contract.
    """

    perimeter: tuple[Entry, ...]
    folder: str
    repository: Repository
    excludes: tuple[str, ...] = ()

    @property
    def authority(self) -> str:
        """Where the agent keeps the authority of the repository's certificate."""
        return f"{self.folder}\\ca.pem"


# What was found --------------------------------------------------------------------------------------------


class Tree(NamedTuple):
    """The summary of one robocopy listing: directories and files counted, bytes, and directories that
    refused to be read."""

    directories: int
    files: int
    size: int
    unreadable: int = 0


class Windows(NamedTuple):
    """HKLM\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion: build number, "Server", "Server Core" or
    "Client", name."""

    build: int | None
    installation: str
    product: str


class Way(NamedTuple):
    """One HEAD of the repository by the host's own curl.exe.

    `exit_code` is curl's (None: there is no curl.exe), `status` the HTTP status or None. `trust` is how the
    certificate was checked: "system" (Windows' own authorities), "contract" (the contract's authority,
    already on the host), "outdated" (the host holds another authority than the contract's) or "none"
    (encrypted, but nobody checked by whom). `signed_in`: with the user name and the password.
    """

    exit_code: int | None
    status: int | None
    trust: str
    signed_in: bool = False


class Rate(NamedTuple):
    """A measured upload: bytes per second on the link, a lower bound (see `measure_rate`)."""

    bytes_per_second: float
    sample: int


@dataclass(frozen=True)
class EntryFacts:
    """One perimeter entry on the host: its tree, or the Windows error code (None: robocopy gave none) and no
    tree."""

    entry: Entry
    tree: Tree | None
    error: int | None = None

    @property
    def missing(self) -> bool:
        """Nothing to back up here (C1): no such directory, or a pattern that no file matches."""
        if self.tree is None:
            return self.error in MISSING_CODES
        return self.entry.kind == "pattern" and self.tree.files == 0


@dataclass(frozen=True)
class Facts:
    """Everything observed on one host in one session.

    `deployed`: the agent has opened its repository here once; `backed_up`: its last run made a snapshot.
    """

    groups: frozenset[str]
    windows: Windows
    tar: str | None
    clock_offset: float | None
    free: int | None
    entries: tuple[EntryFacts, ...]
    way: Way | None
    deployed: bool
    backed_up: bool
    largest: tuple[tuple[str, int], ...] = ()
    rate: Rate | None = None

    @property
    def size(self) -> int:
        """Bytes of the whole perimeter, as far as it could be read."""
        return sum(entry.tree.size for entry in self.entries if entry.tree)


# Parsers: bytes of one section -> fact ---------------------------------------------------------------------


def groups(output: bytes) -> frozenset[str]:
    """SIDs of the login's groups and of its integrity level, from `whoami /groups /fo csv /nh`.

    A group that only serves to deny is still listed; the integrity level tells an elevated login from a
    filtered one.
    """
    rows = csv.reader(decode(output).splitlines())
    return frozenset(cell for row in rows for cell in row if re.fullmatch(r"S-1-\d+(-\d+)+", cell))


def windows(output: bytes) -> Windows:
    """Version of Windows from `reg query ... /v <name>` answers (names of values are English everywhere)."""
    found = dict(re.findall(r"(?m)^\s+(\w+)\s+REG_\w+\s+(.*?)\s*$", decode(output)))
    build = found.get("CurrentBuildNumber", "")
    return Windows(
        int(build) if build.isdigit() else None,
        found.get("InstallationType", ""),
        found.get("ProductName", ""),
    )


def tar(output: bytes) -> str | None:
    """Version of the inbox bsdtar from `tar --version`, None where there is none (Server 2016)."""
    match = re.search(r"bsdtar (\d[\w.]*)", decode(output))
    return match[1] if match else None


_GROUPED = re.compile(r"\d{1,3}(?:[\s.,'?\u00a0\u202f\u2009\u2019]\d{3})+(?!\d)|\d+")


def free_space(output: bytes) -> int | None:
    """Free bytes of a drive from the last line of `dir /-c`: `2 Rép(s)  123456789 octets libres`, None if it
    has none.

    /-c asks for plain digits; separators of thousands are accepted all the same: a space, one of French
    Windows' no-break spaces, or the `?` that stands for a narrow one in code page 850.
    """
    lines = [line for line in decode(output).splitlines() if line.strip()]
    numbers = _GROUPED.findall(lines[-1]) if lines else []
    # The count of directories comes first; a single number is some other message.
    return int(re.sub(r"\D", "", numbers[-1])) if len(numbers) >= 2 else None


_ROW = re.compile(r"(?m)^[^:\r\n]*:[ \t]*(\d[\d \t.,'?\u00a0\u202f\u2019]*)\r?$")
_ERROR = re.compile(r"\(0x([0-9A-Fa-f]{8})\)")


def tree(output: bytes) -> tuple[Tree | None, int | None]:
    """The totals of a robocopy summary (rows: directories, files, bytes; first column: total), else its error
    code. What the exclusions leave out is in the total, and in the third column too: it is taken off.

    A directory that refuses to be read leaves an error line and the summary still comes: below, it is
    counted; at the top, nothing was read.
    """
    text = decode(output)
    errors = [int(code, 16) for code in _ERROR.findall(text)]
    rows = [columns for row in _ROW.findall(text) if (columns := _columns(row))]
    if len(rows) != 3 or (errors and rows[0][0] <= 1 and rows[1][0] == 0):
        return None, errors[0] if errors else None
    (directories, *_), (files, _, no_files, *_), (size, _, no_size, *_) = rows
    return Tree(directories, files - no_files, size - no_size, len(errors)), None


def _columns(row: str) -> list[int] | None:
    """The six numbers of a summary row: total, copied, skipped, mismatched, failed, extra; None if they are
    not to be told apart.

    Newer releases may group thousands, and columns of ten characters leave no space between large numbers:
    then only one cut makes the total the sum of the next four.
    """
    # A single space may set thousands apart; columns then have more.
    words = next((words for gap in (" +", " {2,}") if len(words := re.split(gap, row.strip())) <= 6), [])
    glued = [re.sub(r"\D", "", word) for word in words]
    places = [(word, at) for word, digits in enumerate(glued) for at in range(1, len(digits))]
    for cuts in combinations(places, 6 - len(glued)) if 4 <= len(glued) <= 6 else ():
        numbers = []
        for word, digits in enumerate(glued):
            bounds = (0, *(at for place, at in cuts if place == word), len(digits))
            numbers += [digits[start:end] for start, end in pairwise(bounds)]
        columns = [int(number) for number in numbers]
        padded = any(number != str(column) for number, column in zip(numbers, columns, strict=True))
        if not cuts or (columns[0] == sum(columns[1:5]) and not padded):
            return columns
    return None


def way(output: bytes, trust: str, signed_in: bool = False) -> Way:
    """What curl said: `HTTP/1.1 401 ...` for each answer (a proxy's comes first), or `curl: (7) ...`, its
    exit code."""
    text = decode(output)
    statuses = re.findall(r"(?m)^HTTP/[\d.]+ (\d{3})", text)
    failed = re.search(r"curl: \((\d+)\)", text)
    exit_code = int(failed[1]) if failed else 0 if statuses else None
    return Way(exit_code, int(statuses[-1]) if statuses else None, trust, signed_in)


def trust(authority: bytes, wanted: str) -> str:
    """How the repository's certificate is checked (see Way), from the authority on the host and the
    contract's."""
    present = "".join(decode(authority).split())
    if not wanted:
        return "system"
    if not present:
        return "none"
    return "contract" if present == "".join(wanted.split()) else "outdated"


def backed_up(output: bytes) -> bool:
    """Whether the agent's status file tells of a backup that made a snapshot (restic's exit codes 0 and
    3)."""
    try:
        status = json.loads(decode(output))
    except ValueError:
        return False
    return isinstance(status, dict) and status.get("exit_code") in (0, 3)


# Probes ----------------------------------------------------------------------------------------------------


def exclusions(patterns: Iterable[str]) -> tuple[str, tuple[str, ...]]:
    """robocopy options that leave out what restic will leave out, and the patterns that robocopy cannot
    express.

    A pattern without a separator matches a name anywhere in both programs, and so does an absolute path
    without wildcard or variable. The rest is counted, so a size can only be too high.
    """
    plain: list[str] = []
    others: list[str] = []
    for pattern in patterns:
        simple = "\\" not in pattern and "/" not in pattern and not re.search(r"[!\[\]$#%\"]|\*\*", pattern)
        absolute = re.fullmatch(r"[A-Za-z]:\\[^*?\[\]$%\"]+", pattern)
        (plain if simple or absolute else others).append(pattern)
    if not plain:
        return "", tuple(others)
    names = " ".join(argument(pattern.rstrip("\\")) for pattern in plain)
    return f" /XF {names} /XD {names}", tuple(others)


def _listing(entry: Entry, leave_out: str) -> str:
    if entry.kind == "pattern":
        folder, _, pattern = entry.path.rpartition("\\")
        folder = folder + "\\" if folder.endswith(":") else folder
        return f"robocopy {argument(folder)} NULL {argument(pattern)} {LISTING}{leave_out}"
    return f"robocopy {argument(entry.path)} NULL /E {LISTING}{leave_out}"


CURL = "curl.exe -q -sS -I --stderr - --ssl-no-revoke --connect-timeout 10 --max-time 30"
"""HEAD, headers and errors on standard output. ssl-no-revoke: Windows' curl fails where a private authority
publishes no revocation list; restic does not ask for one, and the question is whether restic will get
through."""


def _repository_probe(wanted: Wanted) -> str:
    """HEAD of the repository, without password.

    curl needs a private authority in a file, and preflight writes none: it uses the one that the agent has
    put on the host. Before there is one it tests name, TCP, TLS and HTTP, and nobody has proved who listens.
    """
    address = argument(wanted.repository.address)
    if not wanted.repository.ca:
        return f"{CURL} {address}"
    authority = wanted.authority
    checked = f"{CURL} --cacert {argument(authority)} {address}"
    return f"if exist {path(authority)} ({checked}) else ({CURL} --insecure {address})"


def curl_configuration(repository: Repository) -> bytes:
    """What `curl -K -` reads on standard input, so that the password is on no command line, in no log and in
    no file."""

    def quoted(value: str) -> str:
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'

    login = f"{repository.username}:{repository.password}"
    return f"url = {quoted(repository.address)}\nuser = {quoted(login)}\n".encode()


def probes(wanted: Wanted) -> tuple[Probe, ...]:
    """The composite command of preflight, piece by piece. Nothing in it reads standard input."""
    drive, folder = wanted.folder[:3], wanted.folder + "\\"
    version = r'reg query "HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion" /v'
    values = ("CurrentBuildNumber", "InstallationType", "ProductName")
    fixed = [
        Probe("groups", "whoami /groups /fo csv /nh"),
        Probe("windows", "&".join(f"{version} {value}" for value in values)),
        Probe("tar", "tar.exe --version"),
        Probe("disk", f"dir /-c /a {path(drive)}"),
        Probe("deployed", f"if exist {path(folder + 'repository.id')} echo 1"),
        Probe("status", f"type {path(folder + 'status.json')}"),
        Probe("ca", f"type {path(wanted.authority)}"),
    ]
    if wanted.repository.address:
        fixed.append(Probe("repository", _repository_probe(wanted)))
    return (*fixed, *_listings(wanted.perimeter, exclusions(wanted.excludes)[0]))


def _listings(entries: Iterable[Entry], leave_out: str) -> list[Probe]:
    return [Probe(f"entry{index}", _listing(entry, leave_out)) for index, entry in enumerate(entries)]


def commands(pieces: Iterable[Probe], nonce: str) -> list[str]:
    """As few composite command lines as cmd.exe's limit allows: one, but for perimeters of dozens of long
    paths.

    Raises CannotQuote when a single piece is too long.
    """
    lines: list[str] = []
    together: tuple[Probe, ...] = ()
    for piece in pieces:
        try:
            lines[-1:] = [compose((*together, piece), nonce)]
            together += (piece,)
        except CannotQuote:
            lines.append(compose((piece,), nonce))
            together = (piece,)
    return lines


# One session -----------------------------------------------------------------------------------------------


def _ask(session: Session, pieces: Iterable[Probe], timeout: float) -> dict[str, bytes]:
    """Probe name -> what it printed."""
    sections: dict[str, bytes] = {}
    nonce = secrets.token_hex(8)
    for line in commands(pieces, nonce):
        sections |= split(session.run(line, timeout=timeout).stdout, nonce)
    return sections


def gather(session: Session, wanted: Wanted, timeout: float = 900.0) -> Facts:
    """All facts of the composite command; `timeout` in seconds bounds each command (a tree of a million
    files takes minutes to walk). Raises SessionError, CannotQuote, probe.Garbled.
    """
    sections = _ask(session, probes(wanted), timeout)
    checked_by = trust(sections["ca"], wanted.repository.ca)
    trees = [tree(sections[f"entry{index}"]) for index in range(len(wanted.perimeter))]
    return Facts(
        groups=groups(sections["groups"]),
        windows=windows(sections["windows"]),
        tar=tar(sections["tar"]),
        clock_offset=session.clock_offset,
        free=free_space(sections["disk"]),
        entries=tuple(
            EntryFacts(entry, *found) for entry, found in zip(wanted.perimeter, trees, strict=True)
        ),
        way=way(sections["repository"], checked_by) if "repository" in sections else None,
        deployed=b"1" in sections["deployed"],
        backed_up=backed_up(sections["status"]),
    )


def add_login(session: Session, wanted: Wanted, facts: Facts) -> Facts:
    """`facts` with the way to the repository tried again, with user name and password.

    Only where the certificate was checked: nobody else is to get a password.
    """
    found = facts.way
    if not found or found.exit_code != 0 or found.trust not in ("system", "contract"):
        return facts
    authority = f" --cacert {argument(wanted.authority)}" if found.trust == "contract" else ""
    output = session.run(f"{CURL}{authority} -K -", (curl_configuration(wanted.repository),))
    return replace(facts, way=way(output.stdout, found.trust, signed_in=True))


def add_largest(session: Session, wanted: Wanted, facts: Facts, timeout: float = 900.0) -> Facts:
    """`facts` with the largest subdirectories, one level down, of the three largest directories of the
    perimeter.

    Two more commands: the names, then the sizes. A name that no command line can carry is left out.
    """
    found = sorted(
        (entry for entry in facts.entries if entry.tree and entry.entry.kind == "directory"),
        key=lambda entry: -entry.tree.size if entry.tree else 0,
    )[:3]
    folders = [Entry(entry.entry.box, entry.entry.path.rstrip("\\"), "directory") for entry in found]
    names = [
        Probe(f"names{index}", f"dir /b /ad {path(folder.path + chr(92))}")
        for index, folder in enumerate(folders)
    ]
    sections = _ask(session, names, timeout)
    below = [
        replace(folder, path=f"{folder.path}\\{name}")
        for index, folder in enumerate(folders)
        for name in decode(sections[f"names{index}"]).splitlines()
        if name and "%" not in name
    ]
    sections = _ask(session, _listings(below, exclusions(wanted.excludes)[0]), timeout)
    trees = ((entry.path, tree(sections[f"entry{index}"])[0]) for index, entry in enumerate(below))
    sizes = sorted(((size.size, name) for name, size in trees if size), reverse=True)
    return replace(facts, largest=tuple((name, size) for size, name in sizes[:LARGEST]))


def add_rate(session: Session, facts: Facts, now: Callable[[], float] = time.monotonic) -> Facts:
    """`facts` with the measured rate of the link, when it could be told."""
    return replace(facts, rate=measure_rate(session, now))


def measure_rate(session: Session, now: Callable[[], float] = time.monotonic) -> Rate | None:
    """The rate of the link: the host prints a system file, and we time its arrival.

    The bytes go up the client's own link, like a backup, and leave nothing behind. (An upload to the
    repository would: rest-server writes a temporary file before it can refuse, and creates the directories
    of a repository that does not exist yet.) WinRM waits for an answer after each block, so on a fast or
    distant link this is a lower bound. Raises SessionError except for a sample that is cut off after
    SAMPLE_TIMEOUT, which is a measure too.
    """
    start = now()
    try:
        received = len(session.run(f"type {SAMPLE_FILE}", timeout=SAMPLE_TIMEOUT).stdout)
    except TimedOut as cut:
        received = len(cut.partial.stdout)
    seconds = now() - start
    if received < 64 * 1024 or seconds <= 0:
        return None  # Too little to tell a rate from the delay of the first answer.
    return Rate(received * WINRM_EXPANSION / seconds, received)
