"""Preflight's checks: facts of one host -> rows of a table and findings (C1, C2, C14, C15, C16). Pure.

A check looks at the facts and yields rows: what it looked at, what it found, and at most one finding. The
checks are a table (CHECKS).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from ..contract.model import HostContract
from ..windows import link, robocopy
from ..wording import GB, MB, percent, plural, rough_size
from .facts import Facts, Wanted, Way

BLOCKS, WARNS, INFORMS = "blocks", "warns", "informs"
"""Severities. A finding that blocks stops the deploy of this host; the others are for people to read."""

CLOCK_WARNS = 120.0
"""Seconds. A server that keeps time is accurate to a second; at two minutes its time service is broken."""
CLOCK_BLOCKS = 600.0
"""Seconds. Snapshot times decide which version of a day is kept (C7) and are compared with the provider's
clock, and an S3 repository (C20) refuses requests that are 15 minutes off: refuse well before that."""

FREE_BLOCKS = 500 * MB
"""Bytes free on the agent's drive: two restic.exe of 30 MB (one staged), 30 days of logs, a margin."""
CACHE_SHARE = 0.01
"""restic's cache of indexes and directory trees, as a share of the perimeter: a hundredth is ample."""

VOLUME_WARNS = 0.9
"""Share of the subscribed volume above which it is time to talk about a larger one (C15)."""

FIRST_BACKUP_LIMIT = 48.0
"""Hours of a first backup above which the import option is advised (C16)."""

SHELL_MEMORY = 1024
"""Megabytes: the default of MaxMemoryPerShellMB. Below it WinRM is unsupported (Microsoft Learn, "Quota
Management for Remote Shells"), and restic holds the repository's index in memory."""

WINDOWS_SERVER = {14393: "2016", 17763: "2019", 20348: "2022", 25398: "version 23H2", 26100: "2025"}
"""Build number -> release. Builds between two of them are yearly releases of the same line."""

ADMINISTRATORS = "S-1-5-32-544"
HIGH_INTEGRITY = frozenset({"S-1-16-12288", "S-1-16-16384"})
"""High, and System: what an elevated login has. 544 alone may be a login filtered by User Account Control."""

WRITER_FAILURES: Mapping[int, str] = {
    6: "identify",
    7: "prepare backup",
    8: "prepare snapshot",
    9: "freeze",
    10: "thaw",
    11: "post snapshot",
    12: "backup complete",
    13: "pre-restore",
    14: "post-restore",
    15: "backup shutdown",
}
"""State of a VSS writer -> the step at which it failed (VSS_WRITER_STATE of vss.h, VSS_WS_FAILED_AT_...;
Microsoft Learn). 1 is stable, 2 to 5 wait for a step, as while another program makes its shadow copy."""
WRITERS_NAMED = 5
"""As many as one wants to read; who has more that failed restarts the server."""

CURL_FAILURES: Mapping[int, tuple[str, str]] = {
    5: ("the name of the proxy cannot be resolved", "correct the proxy that the server is told to use"),
    6: (
        "its name cannot be resolved",
        "check prosecours_repository_url and the server's DNS",
    ),
    7: (
        "the connection was refused",
        "check the port and the repository server, and let it out through the firewall",
    ),
    28: ("no answer within the time limit", "open the outgoing HTTPS port in the client's firewall"),
    35: (
        "no TLS connection could be agreed on",
        "check that the port speaks HTTPS, and whether a proxy opens TLS",
    ),
    52: (
        "it answered nothing",
        "check that the port is the repository's, and the log of the repository server",
    ),
    56: (
        "the connection was cut",
        "check firewalls and proxies on the way, and the log of the repository server",
    ),
    60: (
        "its certificate is not trusted",
        "set prosecours_repository_ca to the authority that signed it, or see whether a proxy opens TLS",
    ),
    77: ("the authority's certificate on the server cannot be read", "let the deploy write it again"),
}
"""curl's exit code -> what is wrong, what to do (curl.se, "exit codes"). It is also what
a technician tells the owner of the firewall, the client (C18, 1.2)."""

HTTP_ANSWERS: Mapping[int, tuple[str, str]] = {
    401: (
        "the repository refused the user name or the password, or this address is not this user's",
        "run playbooks/repository.yml, which writes the inventory's passwords; see that"
        " prosecours_repository_url is the client's, without the server's name",
    ),
    403: (
        "the repository, or a proxy before it, forbids the access",
        "check the rights of the user on the repository server, and the proxies on the way",
    ),
    407: ("a proxy asks for a login", "let the server reach the repository without the proxy"),
}
"""HTTP status -> what is wrong, what to do. 200 (ready) and 404 (not initialised) are good."""


class Finding(NamedTuple):
    """What somebody must know: `sentence` says what and where, `remedy` what to do, without full stops."""

    id: str
    clause: str
    severity: str
    sentence: str
    remedy: str


class Row(NamedTuple):
    """One line of the table: what was looked at, what was found, and whether that is a finding."""

    label: str
    found: str
    finding: Finding | None = None


@dataclass(frozen=True)
class Case:
    """What the checks look at. `contract` is one host's."""

    contract: HostContract
    wanted: Wanted
    facts: Facts

    @property
    def subscribed(self) -> int:
        """The subscribed volume in bytes (C15)."""
        return self.contract.subscribed_gb * GB


# -- checks ---------------------------------------------------------------------------------------------


def _rights(case: Case) -> Iterator[Row]:
    groups = case.facts.groups
    if ADMINISTRATORS not in groups:
        yield Row(
            "Rights",
            "not an administrator",
            Finding(
                "rights",
                "C2",
                BLOCKS,
                f"the login is not a member of the local administrators ({ADMINISTRATORS})",
                "add the user of ansible_user to the server's administrators, or use one who is",
            ),
        )
    elif not HIGH_INTEGRITY & groups:
        yield Row(
            "Rights",
            "administrator, but filtered",
            Finding(
                "rights_filtered",
                "C2",
                BLOCKS,
                "the login is an administrator's, but User Account Control filters its rights",
                "use a domain administrator, or the built-in one, or set LocalAccountTokenFilterPolicy to 1",
            ),
        )
    else:
        yield Row("Rights", "administrator")


def _windows(case: Case) -> Iterator[Row]:
    build, installation, product = case.facts.windows
    name = product or "an unknown Windows"
    found = f"{name}, build {build or 'unknown'}"
    release = next(
        (WINDOWS_SERVER[known] for known in sorted(WINDOWS_SERVER, reverse=True) if build and known <= build),
        "",
    )
    if installation.startswith("Server") and release and build and build <= max(WINDOWS_SERVER):
        yield Row("Windows", f"Server {release}, build {build}")
        return
    yield Row(
        "Windows",
        found,
        Finding(
            "windows_unsupported",
            "C2",
            BLOCKS,
            f"{found} ({installation or 'unknown kind'}), is not Windows Server 2016 to 2025",
            "move the data to a supported server; the backup agent does not run on this one",
        ),
    )


def _delivery(case: Case) -> Iterator[Row]:
    if case.facts.tar:
        yield Row("Delivery", f"tar.exe {case.facts.tar}")
        return
    yield Row(
        "Delivery",
        "no tar.exe: PowerShell",
        Finding(
            "tar_missing",
            "C2",
            INFORMS,
            "there is no tar.exe (Windows Server 2016): the agent is delivered by PowerShell, more slowly",
            "nothing to do, if PowerShell 5.1 is allowed to run on the server",
        ),
    )


def _clock(case: Case) -> Iterator[Row]:
    offset = case.facts.clock_offset
    if offset is None:
        yield Row("Clock", "not known")
        return
    distance = abs(offset)
    side = "fast" if offset > 0 else "slow"
    if distance <= CLOCK_WARNS:
        yield Row("Clock", f"right to {max(1, round(distance))} s")
        return
    yield Row(
        "Clock",
        f"{_minutes(distance)} {side}",
        Finding(
            "clock",
            "C2",
            BLOCKS if distance > CLOCK_BLOCKS else WARNS,
            f"the server's clock is {_minutes(distance)} {side}",
            "correct its time service (w32tm /resync, or the clock of the hypervisor)",
        ),
    )


def _disk(case: Case) -> Iterator[Row]:
    drive, free = case.wanted.folder[:2], case.facts.free
    label = f"Disk {drive}"
    if free is None:
        yield Row(
            label,
            "not known",
            Finding(
                "disk_unknown",
                "C2",
                WARNS,
                f"the free space of {drive} could not be read",
                f"check on the server that {drive} exists and that it has {rough_size(FREE_BLOCKS)} free",
            ),
        )
        return
    needed = FREE_BLOCKS + int(case.facts.size * CACHE_SHARE)
    if free >= needed:
        yield Row(label, f"{rough_size(free)} free")
        return
    yield Row(
        label,
        f"{rough_size(free)} free",
        Finding(
            "disk",
            "C2",
            BLOCKS if free < FREE_BLOCKS else WARNS,
            f"{drive} has {rough_size(free)} free; the agent needs {rough_size(needed)} with its cache",
            f"make room on {drive}, or choose another drive with prosecours_agent_folder",
        ),
    )


def _perimeter(case: Case) -> Iterator[Row]:
    entries = case.facts.entries
    none_there = bool(entries) and all(entry.missing for entry in entries)
    for item in entries:
        box, path, kind = item.entry.box, item.entry.path, item.entry.kind
        label = f"{box}  {path}"
        if item.missing and (remote := case.facts.mapped.get(path[0].upper())):
            yield Row(
                label,
                "network drive",
                Finding(
                    "network_drive",
                    "C1",
                    BLOCKS if none_there else WARNS,
                    f"{path} (box {box}) is on a network drive of a user ({path[:2]} is {remote}), which no"
                    " backup of this server sees",
                    "a network drive: list it under the server that hosts it, with its local path there",
                ),
            )
        elif item.missing:
            what = "no file matches" if item.tree else "there is no directory"
            yield Row(
                label,
                "missing",
                Finding(
                    "missing",
                    "C1",
                    BLOCKS if none_there else WARNS,
                    f"{what} {path} (box {box}): nothing of it is backed up",
                    "correct prosecours_root, the ticked boxes and their variants, or the office directories",
                ),
            )
        elif item.tree is None:
            code = "" if item.error is None else f" (Windows error {item.error})"
            yield Row(
                label,
                "not readable",
                Finding(
                    "unreadable",
                    "C1",
                    WARNS,
                    f"{path} (box {box}) cannot be read{code}, so its size is not known",
                    "see on the server who may read it; the backup runs as SYSTEM and may still succeed",
                ),
            )
        else:
            files = plural(item.tree.files, "file")
            found = f"{rough_size(item.tree.size)}, {files}"
            hidden = item.tree.unreadable
            yield Row(
                label,
                found if kind == "directory" else f"{found} match",
                Finding(
                    "partly_unreadable",
                    "C1",
                    INFORMS,
                    f"below {path} (box {box}), {plural(hidden, 'directory', 'directories')} cannot be read"
                    " by this login: the size is a minimum",
                    "nothing to do if SYSTEM may read them; the status of the first backup will tell",
                )
                if hidden
                else None,
            )


def _apart(case: Case) -> Iterator[Row]:
    for item in case.facts.entries:
        if item.apart:
            box, path, files = item.entry.box, item.entry.path, plural(item.apart, "file")
            sentence = (
                f"{path} (box {box}) holds {files} encrypted for one user (EFS) or kept in a cloud only"
                " (OneDrive, on demand): SYSTEM, as which the backup runs, may not be able to read them"
            )
            remedy = (
                "have them decrypted or always kept on this device, or leave them out of the contract; the"
                " first backup's log names what could not be read"
            )
            yield Row(f"{box}  {path}", f"{files} apart", Finding("apart", "C1", WARNS, sentence, remedy))


def _antivirus(case: Case) -> Iterator[Row]:
    if case.facts.defended:
        folder = case.wanted.folder
        sentence = f"Microsoft Defender runs here and does not exclude {folder}; it may quarantine restic.exe"
        remedy = (
            "have the client exclude that folder if a deploy or a backup says that restic.exe does not run"
        )
        yield Row("Antivirus", "Microsoft Defender", Finding("antivirus", "C2", INFORMS, sentence, remedy))


def _memory(case: Case) -> Iterator[Row]:
    memory = case.facts.shell_memory
    if memory and memory < SHELL_MEMORY:
        sentence = (
            f"a command over WinRM may take {memory} MB (MaxMemoryPerShellMB): restic may be ended when a"
            " deploy opens the repository, or when a restore is prepared; backups are not concerned"
        )
        remedy = f"set MaxMemoryPerShellMB to {SHELL_MEMORY}, which is the default, or more"
        yield Row("WinRM memory", f"{memory} MB", Finding("shell_memory", "C2", INFORMS, sentence, remedy))


def _writers(case: Case) -> Iterator[Row]:
    writers = case.facts.writers
    failed = [one for one in writers if one.state in WRITER_FAILURES]
    if failed:
        named = [f"{one.name} [{one.state}], {WRITER_FAILURES[one.state]}" for one in failed[:WRITERS_NAMED]]
        rest = len(failed) - len(named)
        more = f"; and {rest} more" if rest else ""
        sentence = f"VSS writers of this server failed last time: {'; '.join(named)}{more}"
        remedy = (
            "restart the service of each, or the server, before the first backup; it may be another program's"
            " shadow copy that failed, and of ours each night says `degraded` when it does"
        )
        finding = Finding("vss_writers", "C2", INFORMS, sentence, remedy)
        yield Row("VSS writers", f"{len(failed)} of {len(writers)} failed", finding)
    elif not case.facts.deployed:
        yield Row("VSS writers", f"{len(writers)}, none failed" if writers else "not known")


def _volume(case: Case) -> Iterator[Row]:
    size, subscribed = case.facts.size, case.subscribed
    share = size / subscribed
    found = f"{rough_size(size)} of {rough_size(subscribed)} ({percent(share)})"
    if share <= VOLUME_WARNS:
        yield Row("Volume", found)
        return
    if share <= 1:
        sentence = f"the perimeter fills {percent(share)} of the subscribed {rough_size(subscribed)}"
        finding = Finding(
            "volume_nearly", "C15", WARNS, sentence, "talk with the client about a larger volume"
        )
    else:
        _unused, counted = robocopy.exclusions(case.wanted.excludes)
        details = "; ".join(f"{path} {rough_size(bytes_)}" for path, bytes_ in _largest(case.facts))
        over = rough_size(size - subscribed)
        sentence = f"the perimeter has {rough_size(size)}, {over} over the subscribed"
        sentence += f" {rough_size(subscribed)}"
        sentence += f"; largest: {details}" if details else ""
        sentence += f"; counted although excluded: {', '.join(counted)}" if counted else ""
        finding = Finding(
            "volume",
            "C15",
            BLOCKS,
            sentence,
            "take directories out of the perimeter with the client, or have a larger volume subscribed"
            " (prosecours_subscribed_gb)",
        )
    yield Row("Volume", found, finding)


def _largest(facts: Facts) -> tuple[tuple[str, int], ...]:
    """The largest subdirectories, or the largest entries where there are none."""
    entries = [(entry.entry.path, entry.tree.size) for entry in facts.entries if entry.tree]
    return facts.largest or tuple(sorted(entries, key=lambda item: -item[1])[:3])


def _repository(case: Case) -> Iterator[Row]:
    way, address = case.facts.way, case.wanted.repository.address
    if way is None or way.exit_code is None:
        reason = "there is no curl.exe (Windows Server 2016)" if way else "its kind cannot be asked by HTTP"
        yield Row(
            "Repository",
            "not checked",
            Finding(
                "repository_not_checked",
                "C2",
                INFORMS,
                f"the way to the repository was not checked from the server: {reason}",
                "nothing to do: the deploy opens the repository before it changes anything",
            ),
        )
        return
    yield _answer(way, address, case.wanted.repository.signs_in)


def _answer(way: Way, address: str, refuses_strangers: bool) -> Row:
    """The row of one HEAD request. `refuses_strangers`: the back end answers 401 to a request without
    password, and an S3 one 400 or 403.
    """
    trouble = CURL_FAILURES.get(way.exit_code or 0)
    if way.exit_code in (60, 77) and way.trust == "outdated":
        # The deploy is about to replace that authority: this must not block it.
        sentence = f"the authority on the server is not the contract's, and did not sign {address}"
        finding = Finding("repository_authority", "C2", INFORMS, sentence, _DEPLOY_CHECKS)
        return Row("Repository", "new authority", finding)
    if way.exit_code:
        problem, remedy = trouble or ("it cannot be reached", "run curl on the server to see why")
        sentence = f"{address} cannot be reached from the server: {problem} (curl {way.exit_code})"
        finding = Finding("repository_way", "C2", BLOCKS, sentence, remedy)
        return Row("Repository", f"not reached: {problem}", finding)
    status = way.status or 0
    expected = {200, 404} if way.signed_in else {200, 401, 404} if refuses_strangers else set(range(200, 407))
    if status not in expected:
        other = (f"the repository answers HTTP {status}", "look at the log of the repository server")
        problem, remedy = HTTP_ANSWERS.get(status, other)
        finding = Finding("repository_answer", "C2", BLOCKS, f"{problem} ({address}, HTTP {status})", remedy)
        return Row("Repository", f"refused: HTTP {status}", finding)
    if way.trust == "none":
        sentence = (
            f"{address} answers; its certificate is not checked yet: its authority is not on the server"
        )
        finding = Finding("repository_unproved", "C2", INFORMS, sentence, _DEPLOY_CHECKS)
        return Row("Repository", "reached", finding)
    if way.trust == "unable":
        sentence = f"{address} answers; its certificate is not proved: this curl.exe is too old to check it"
        finding = Finding("repository_unproved", "C2", INFORMS, sentence, _RESTIC_CHECKS)
        return Row("Repository", "reached, not proved", finding)
    if way.signed_in:
        return Row("Repository", "ready" if status == 200 else "ready, not initialised yet")
    return Row("Repository", "reached")


_DEPLOY_CHECKS = (
    "nothing to do: the deploy brings the authority and opens the repository before anything else"
)


_RESTIC_CHECKS = "nothing to do: the agent checks it by itself, at each backup"


def _first_backup(case: Case) -> Iterator[Row]:
    """How long the first backup takes. Later ones send only what changed, and are not estimated."""
    if case.facts.backed_up:
        yield Row("First backup", "done")
        return
    estimate = first_backup(case)
    if estimate is None:
        unknown = "not estimated: the rate of the link is not known"
        yield Row("First backup", "not made yet" if case.facts.deployed else unknown)
        return
    found = f"{_span(estimate.hours)} at {_rate(estimate.bytes_per_second)} ({_BASES[estimate.basis]})"
    if estimate.hours <= FIRST_BACKUP_LIMIT:
        yield Row("First backup", found)
    elif "import" in case.contract.options:
        sentence = f"the first backup would take {found}, but the client has subscribed to the import option"
        remedy = "seed the repository from an external medium before the first night"
        yield Row("First backup", found, Finding("first_backup_import", "C16", INFORMS, sentence, remedy))
    else:
        sentence = f"the first backup would take {found}"
        remedy = {
            "limited": "raise prosecours_upload_limit_kib for the first backup, or propose the import option",
            "measured": "set prosecours_uplink_mbit if the operator's rate is known to be higher,"
            " or propose the import option",
        }.get(estimate.basis, "propose the import option to the client")
        yield Row("First backup", found, Finding("first_backup_long", "C16", WARNS, sentence, remedy))


_BASES = {
    "nominal": f"{link.LINK_SHARE * 100:.0f} % of the operator's rate",
    "measured": "measured, at least",
    "limited": "the limit set for the agent",
}


class Estimate(NamedTuple):
    """Hours of the first backup, the rate that they come from in bytes per second, and a key of _BASES."""

    hours: float
    bytes_per_second: float
    basis: str


def first_backup(case: Case) -> Estimate | None:
    """hours = bytes of the perimeter / (rate x 3600), None without a rate.

    The rate is the smallest of: the operator's (prosecours_uplink_mbit, see `link.nominal`) or else the
    measured one, and the limit set for the agent (prosecours_upload_limit_kib x 1024). restic compresses and
    sends equal blocks once; nobody knows beforehand how much that saves, so this is an upper bound.
    """
    rates: list[tuple[float, str]] = []
    if case.contract.uplink_mbit:
        rates.append((link.nominal(case.contract.uplink_mbit), "nominal"))
    elif case.facts.rate:
        rates.append((case.facts.rate.bytes_per_second, "measured"))
    limit = case.contract.upload_limit_kib
    if limit:
        rates.append((limit * 1024, "limited"))
    if not rates:
        return None
    rate, basis = min(rates)
    return Estimate(case.facts.size / rate / 3600, rate, basis)


CHECKS: tuple[Callable[[Case], Iterable[Row]], ...] = (
    _rights,
    _windows,
    _delivery,
    _antivirus,
    _memory,
    _writers,
    _clock,
    _disk,
    _perimeter,
    _apart,
    _volume,
    _repository,
    _first_backup,
)
"""What preflight looks at, in the order of the table."""


# -- words ----------------------------------------------------------------------------------------------


def _rate(bytes_per_second: float) -> str:
    """Two significant digits; a rate that no longer matters is not given in detail."""
    megabits = bytes_per_second * 8 / 10**6
    return f"{float(f'{megabits:.2g}'):g} Mbit/s" if megabits < 100 else "100 Mbit/s or more"


def _span(hours: float) -> str:
    """A duration no more precise than its estimate."""
    if hours < 1:
        return "less than an hour"
    return f"about {hours:.0f} h" if hours < 72 else f"about {hours / 24:.0f} days"


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.0f} h"
