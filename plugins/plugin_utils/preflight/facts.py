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
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from ...module_utils.maintenance.printable import printable
from ..contract.model import Entry
from ..windows import disk, link, robocopy
from ..windows import paths as windows_paths
from ..windows.command_line import argument, path
from ..windows.probe import Probe, ask, decode
from ..windows.session import Session, TimedOut

LARGEST = 5
"""Subdirectories named when the perimeter is over the subscribed volume: enough to see what to take out."""

# -- what is asked for ----------------------------------------------------------------------------------


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
        kind, _unused, rest = self.url.partition(":")
        if kind == "rest":
            return rest.rstrip("/") + "/config"
        if kind == "s3":
            return rest if "://" in rest else "https://" + rest
        return ""

    @property
    def signs_in(self) -> bool:
        """Whether user name and password go as HTTP Basic (rest-server), so that curl can check them."""
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


# -- what was found -------------------------------------------------------------------------------------


class Windows(NamedTuple):
    """Windows, as HKLM\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion has it.

    `installation` is "Server", "Server Core" or "Client".
    """

    build: int | None
    installation: str
    product: str


class Way(NamedTuple):
    """One HEAD of the repository by the host's own curl.exe.

    `exit_code` is curl's (None: there is no curl.exe), `status` the HTTP status or None. `trust` is how the
    certificate was checked: "system" (Windows' own authorities), "contract" (the contract's authority,
    already on the host), "outdated" (the host holds another authority than the contract's), "none"
    (encrypted, but nobody checked by whom) or "unable" (neither, since this curl.exe cannot: see
    `proves`). `signed_in`: with the user name and the password.
    """

    exit_code: int | None
    status: int | None
    trust: str
    signed_in: bool = False


class Writer(NamedTuple):
    """One of the programs that Windows has write before a shadow copy. `state`: VSS_WRITER_STATE."""

    name: str
    state: int


@dataclass(frozen=True)
class EntryFacts:
    """One perimeter entry on the host: its tree, or the Windows error code (None: robocopy gave none)."""

    entry: Entry
    tree: robocopy.Tree | None
    error: int | None = None
    apart: int = 0
    """Files that are encrypted for a user or lie in a cloud; asked for until the agent is there."""

    @property
    def missing(self) -> bool:
        """Nothing to back up here (C1): no such directory, or a pattern that no file matches."""
        if self.tree is None:
            return self.error in robocopy.MISSING_CODES
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
    rate: link.Rate | None = None
    mapped: Mapping[str, str] = field(default_factory=dict)
    """Letter -> `\\\\server\\share`, of the network drives of the users whose registry is loaded."""
    defended: bool = False
    """Microsoft Defender runs here, and nothing excludes the agent's folder."""
    shell_memory: int | None = None
    """Megabytes that a command over WinRM may take; 0: as many as there are."""
    writers: tuple[Writer, ...] = ()
    """Of VSS; none where they were not asked for, or did not answer."""

    @property
    def size(self) -> int:
        """Bytes of the whole perimeter, as far as it could be read."""
        return sum(entry.tree.size for entry in self.entries if entry.tree)


# -- parsers: bytes of one section -> fact --------------------------------------------------------------


def groups(output: bytes) -> frozenset[str]:
    """SIDs of the login's groups and of its integrity level, from `whoami /groups /fo csv /nh`.

    A group that only serves to deny is still listed; the integrity level tells whether a login is elevated.
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


def mapped(output: bytes) -> dict[str, str]:
    r"""Network drives from `reg query HKU\<sid>\Network /s`: a key for each letter, its RemotePath below."""
    key = r"HKEY_USERS\\[^\\\r\n]+\\Network\\([A-Za-z])\r?\n"
    row = rf"(?m)^{key}(?:[ \t]+.*\n)*?[ \t]+RemotePath[ \t]+REG_\w+[ \t]+(.*?)\r?$"
    return {letter.upper(): remote for letter, remote in re.findall(row, decode(output))}


def defended(service: bytes, exclusions: bytes, folder: str) -> bool:
    """Whether Defender runs (a service neither absent nor disabled), and no excluded path holds `folder`."""
    start = re.search(r"REG_DWORD\s+0x([0-9a-fA-F]+)", decode(service))
    if not start or int(start[1], 16) == 4:
        return False
    excluded = re.findall(r"(?m)^\s+([A-Za-z]:\\.*?)\s+REG_\w+\s", decode(exclusions))
    return not any(windows_paths.inside(folder, path) for path in excluded)


def shell_memory(output: bytes) -> int | None:
    """MaxMemoryPerShellMB of `winrm get winrm/config/winrs`, whose names are those of a schema."""
    found = re.search(rb"(?m)^[ \t]*MaxMemoryPerShellMB[ \t]*=[ \t]*(\d+)", output)
    return int(found[1]) if found else None


_GUID = r"\{[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\}"
_WRITER = re.compile(rf"(?m)^(.*)\n.*({_GUID})\n.*{_GUID}\n.*\[(\d{{1,2}})\]")
_QUOTES = "?'\"\xab\xbb\u2018\u2019\u201c\u201d \t\xa0\u202f"
_MOST, _LONGEST = 64 * 1024, 40
"""Bytes of an answer that are read (thirty writers take 8 KB), and characters of a name that are told."""


def writers(output: bytes) -> tuple[Writer, ...]:
    """VSS writers from `vssadmin list writers`: a name, two GUIDs (class and instance), a state as [N], each
    on a line of its own; all else is words.

    What names a writer is the server's, so it is cut and made fit to be read; the quotes are the language's.
    """
    lines = "\n".join(line.rstrip() for line in decode(output[:_MOST]).splitlines() if line.strip())
    return tuple(
        Writer(printable(name.partition(":")[2].strip(_QUOTES)[:_LONGEST]) or kind, int(state))
        for name, kind, state in _WRITER.findall(lines)
    )


def tar(output: bytes) -> str | None:
    """Version of the inbox bsdtar from `tar --version`, None where there is none (Server 2016)."""
    match = re.search(r"bsdtar (\d[\w.]*)", decode(output))
    return match[1] if match else None


def way(output: bytes, trust: str, signed_in: bool = False) -> Way:
    """What curl said: `HTTP/1.1 401 ...` for each answer (a proxy's first), or `curl: (7) ...`, its code."""
    text = decode(output)
    statuses = re.findall(r"(?m)^HTTP/[\d.]+ (\d{3})", text)
    failed = re.search(r"curl: \((\d+)\)", text)
    exit_code = int(failed[1]) if failed else 0 if statuses else None
    return Way(exit_code, int(statuses[-1]) if statuses else None, trust, signed_in)


def proves(version: bytes, address: str) -> bool:
    """Whether the host's curl.exe, by what `curl --version` says, can check `address` against a private
    authority.

    With Windows' own TLS it takes --cacert from 7.60 on (curl.se, "SSLCERTS"), and a certificate for an IP
    address with it from 8.11 on (curl#15149). Server 2019 came with 7.55.1.
    """
    found = re.match(r"curl (\d+)\.(\d+)", decode(version))
    if not found:
        return True  # there is no curl.exe, or one that says nothing: its own answer tells
    host = re.sub(r"^\w+://", "", address).partition("/")[0]
    by_number = host.startswith("[") or re.fullmatch(r"[\d.]+(:\d+)?", host)
    return (int(found[1]), int(found[2])) >= ((8, 11) if by_number else (7, 60))


def trust(authority: bytes, wanted: str) -> str:
    """How the repository's certificate is checked (see Way), from the host's and the contract's authority."""
    present = "".join(decode(authority).split())
    if not wanted:
        return "system"
    if not present:
        return "none"
    return "contract" if present == "".join(wanted.split()) else "outdated"


def backed_up(output: bytes) -> bool:
    """Whether the agent's status file tells of a backup that made a snapshot (restic's exit code 0 or 3)."""
    try:
        status = json.loads(decode(output))
    except ValueError:
        return False
    return isinstance(status, dict) and status.get("exit_code") in (0, 3)


# -- probes ---------------------------------------------------------------------------------------------


def _listing(entry: Entry, leave_out: str) -> str:
    if entry.kind == "pattern":
        folder, _unused, pattern = entry.path.rpartition("\\")
        folder = folder + "\\" if folder.endswith(":") else folder
        return f"robocopy {argument(folder)} NULL {argument(pattern)} {robocopy.LISTING}{leave_out}"
    return f"robocopy {argument(entry.path)} NULL /E {robocopy.LISTING}{leave_out}"


_EXCLUSIONS = (
    r"HKLM\SOFTWARE\Microsoft\Windows Defender\Exclusions\Paths",
    r"HKLM\SOFTWARE\Policies\Microsoft\Windows Defender\Exclusions\Paths",
)
WRITERS = "vssadmin list writers"
WRITERS_TIMEOUT = 60.0
"""Seconds. A server at rest answers in a few; what hangs is known to do so for ever."""
_CURL_VERSION = Probe("curl", "curl.exe --version")

CURL = "curl.exe -q -sS -I --stderr - --ssl-no-revoke --connect-timeout 10 --max-time 30"
"""HEAD, headers and errors on standard output. ssl-no-revoke: Windows' curl fails where a private authority
publishes no revocation list; restic does not ask for one, and it is restic that has to get through."""


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
    """What `curl -K -` reads on standard input: the password is on no command line, in no log, in no file."""

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
        Probe("disk", disk.listing(drive)),
        Probe("deployed", f"if exist {path(folder + 'repository.id')} echo 1"),
        Probe("status", f"type {path(folder + 'status.json')}"),
        Probe("ca", f"type {path(wanted.authority)}"),
        Probe("mapped", "for /f %k in ('reg query HKU') do @reg query %k\\Network /s"),
        Probe("defender", r"reg query HKLM\SYSTEM\CurrentControlSet\Services\WinDefend /v Start"),
        Probe("excluded", "&".join(f'reg query "{key}"' for key in _EXCLUSIONS)),
        # What `winrm` is; itself a batch file, it would end the line.
        Probe("quotas", r"cscript //nologo %SystemRoot%\System32\winrm.vbs get winrm/config/winrs"),
    ]
    if wanted.repository.address:
        fixed.append(Probe("repository", _repository_probe(wanted)))
        if wanted.repository.ca:
            unchecked = f"{CURL} --insecure {argument(wanted.repository.address)}"
            fixed += [_CURL_VERSION, Probe("unchecked", f"if exist {path(wanted.authority)} {unchecked}")]
    leave_out = robocopy.exclusions(wanted.excludes)[0]
    # A second walk through all trees: for a first deploy alone.
    before = f"if not exist {path(folder + 'repository.id')}"
    apart = [
        Probe(f"apart{index}", f"{before} {_listing(entry, leave_out)} {robocopy.APART}")
        for index, entry in enumerate(wanted.perimeter)
    ]
    return (*fixed, *_listings(wanted.perimeter, leave_out), *apart)


def _listings(entries: Iterable[Entry], leave_out: str) -> list[Probe]:
    return [Probe(f"entry{index}", _listing(entry, leave_out)) for index, entry in enumerate(entries)]


# -- one session ----------------------------------------------------------------------------------------


def gather(
    session: Session, wanted: Wanted, timeout: float = 900.0, others: Iterable[Probe] = ()
) -> tuple[Facts, dict[str, bytes]]:
    """All facts of the composite command, and what the probes of `others` printed, which travel with it;
    `timeout` in seconds bounds each command (a tree of a million files takes minutes to walk).

    Raises SessionError, CannotQuote, Garbled.
    """
    others = tuple(others)
    sections = ask(session, (*probes(wanted), *others), timeout)
    count = range(len(wanted.perimeter))
    trees = [robocopy.tree(sections[f"entry{index}"]) for index in count]
    apart = [robocopy.tree(sections[f"apart{index}"])[0] for index in count]
    facts = Facts(
        groups=groups(sections["groups"]),
        windows=windows(sections["windows"]),
        tar=tar(sections["tar"]),
        clock_offset=session.clock_offset,
        free=disk.free_space(sections["disk"]),
        entries=tuple(
            EntryFacts(entry, *found, others.files if others else 0)
            for entry, found, others in zip(wanted.perimeter, trees, apart, strict=True)
        ),
        way=_way(sections, wanted) if "repository" in sections else None,
        deployed=b"1" in sections["deployed"],
        backed_up=backed_up(sections["status"]),
        mapped=mapped(sections["mapped"]),
        defended=defended(sections["defender"], sections["excluded"], wanted.folder),
        shell_memory=shell_memory(sections["quotas"]),
    )
    return facts, {other.name: sections[other.name] for other in others}


def _way(sections: Mapping[str, bytes], wanted: Wanted) -> Way:
    """How the repository answered. Where this curl.exe cannot check, the answer without a check counts."""
    checked_by = trust(sections["ca"], wanted.repository.ca)
    able = proves(sections.get("curl", b""), wanted.repository.address)
    if able or checked_by not in ("contract", "outdated"):
        return way(sections["repository"], checked_by)
    return way(sections["unchecked"], "unable")


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


def add_writers(session: Session, facts: Facts) -> Facts:
    """`facts` with the VSS writers, as far as they answer.

    A command of its own: a writer that hangs holds up all that vssadmin would print, and nothing else is to
    wait for it.
    """
    try:
        output = session.run(WRITERS, timeout=WRITERS_TIMEOUT)
    except TimedOut:
        return facts
    return replace(facts, writers=writers(output.stdout))


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
    sections = ask(session, names, timeout)
    below = [
        replace(folder, path=f"{folder.path}\\{name}")
        for index, folder in enumerate(folders)
        for name in decode(sections[f"names{index}"]).splitlines()
        if name and "%" not in name
    ]
    sections = ask(session, _listings(below, robocopy.exclusions(wanted.excludes)[0]), timeout)
    trees = ((entry.path, robocopy.tree(sections[f"entry{index}"])[0]) for index, entry in enumerate(below))
    sizes = sorted(((size.size, name) for name, size in trees if size), reverse=True)
    return replace(facts, largest=tuple((name, size) for size, name in sizes[:LARGEST]))


def add_rate(session: Session, facts: Facts, now: Callable[[], float] = time.monotonic) -> Facts:
    """`facts` with the measured rate of the link, when it could be told."""
    return replace(facts, rate=link.measure_rate(session, now))
