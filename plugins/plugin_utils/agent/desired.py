"""What a host should look like. Pure: contract, repository, settings in; files, secrets, rights, task out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import PureWindowsPath
from string import Template
from typing import Any

from ..contract.model import HostContract
from ..errors import ProSecoursError
from ..secret import Secret
from ..windows import command_line
from ..windows import task as windows_task
from . import files as agent_files

TASK = "\\ProSecours\\Sauvegarde"
LOCK = "backup.lock"
STAGING = "staging"
"""How the name of a run's staging folder begins: each run has one of its own, below the agent's folder and
under its rights, so that what an interrupted run still holds stands in nobody's way."""
REPOSITORY_ID = "repository.id"
BINARY = "restic.exe"
RUNNING_BINARY = "restic-backup.exe"
"""restic.exe by the name that it has while backup.cmd runs it, a second link to the same file: taskkill knows
processes by their name only, and a restore or another product's restic is to live."""
TEXTS = (
    "restic.cmd",
    "backup.cmd",
    "perimeter.txt",
    "patterns.txt",
    "excludes.txt",
    "repository.txt",
    "rest-username.txt",
    "ca.pem",
)
"""Files whose content is compared and shown; those that a host does not need are removed from it."""
SECRETS = ("password.txt", "rest-password.txt")
"""Files that are compared by SHA-256 and never shown."""
OPENS_REPOSITORY = {"repository.txt", "rest-username.txt", "ca.pem", *SECRETS}
"""With one of these changed, the repository is opened before anything in place is overwritten."""

LOGIN = {
    "rest": {"username": "RESTIC_REST_USERNAME", "password": "RESTIC_REST_PASSWORD"},
    "s3": {"username": "AWS_ACCESS_KEY_ID", "password": "AWS_SECRET_ACCESS_KEY"},
}
"""Back end -> the variables by which restic is told who signs in (C20)."""

# SYSTEM and the Administrators may do everything, nobody else anything; what is inside inherits it.
FOLDER_RIGHTS = "D:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)"
INHERITED_RIGHTS = ("D:AI(A;ID;FA;;;SY)(A;ID;FA;;;BA)", "D:AI(A;OICIID;FA;;;SY)(A;OICIID;FA;;;BA)")
"""Of a file, of a folder."""

# Part of no volume's data, in whichever folder they lie; the contract's own exclusions follow (C1).
_ALWAYS_EXCLUDED = ("$RECYCLE.BIN", "System Volume Information")


class UnusableError(ProSecoursError):
    """A contract or setting that no agent can be made from."""


@dataclass(frozen=True)
class Binary:
    """restic.exe on the controller: where, which version, which SHA-256 (lower-case hex, "" when
    it is still to be fetched). `url`: where servers fetch it themselves, if anywhere; `ca`: the authority of
    that address, PEM, "" for those of Windows."""

    path: str
    version: str
    sha256: str
    url: str = ""
    ca: str = field(default="", repr=False)


@dataclass(frozen=True)
class Request:
    """What the action was asked for. Durations are in the unit that the name says."""

    contract: HostContract
    url: str
    username: str
    http_password: Secret
    encryption_password: Secret
    ca: str
    binary: Binary
    folder: str = "C:\\Program Files\\ProSecours"
    wait_seconds: int = 600
    first_backup: str = "night"
    attempts: int = 3
    retry_minutes: int = 10
    time_limit_hours: int = 72
    log_days: int = 30
    log_kib: int = 1024

    @property
    def host(self) -> str:
        return self.contract.host


@dataclass(frozen=True)
class Desired:
    """The host as it is to be. `texts` have CRLF line ends; `task` holds every property in its normal form,
    `task_xml` the same as XML."""

    folder: str
    binary: Binary
    texts: Mapping[str, str]
    secrets: Mapping[str, Secret]
    task: Mapping[str, str]
    task_xml: str
    starts_at: str
    """Local time of the host, HH:MM."""
    first_backup_now: bool


def check_request(request: Request) -> None:
    """Refuse what would travel through cmd.exe or a file of one line and arrive as something else."""
    folder = PureWindowsPath(request.folder)
    on_a_drive = re.fullmatch(r"[A-Za-z]:", folder.drive) and folder.root and len(folder.parts) > 1
    if not on_a_drive or "%" in request.folder:
        raise UnusableError(
            f"The agent's folder {request.folder!r} is no folder on a drive", "Set prosecours_agent_folder"
        )
    named = {
        "prosecours_repository_url": request.url,
        "prosecours_repository_username": request.username,
        "prosecours_repository_password": request.http_password.reveal(),
        "the host's inventory name": request.host,
        "prosecours_contract_reference": request.contract.client.reference,
    }
    for name, value in named.items():
        # cmd reads its files in the OEM code page, in which only ASCII means the same everywhere.
        if not re.fullmatch(r"[!-~](?:[ -~]*[!-~])?", value):
            raise UnusableError(
                f"{name} must be one line of ASCII characters without spaces around it", "Choose another"
            )
    for name in ("the host's inventory name", "prosecours_contract_reference"):
        if re.search('[%^!"&|<>]', named[name]):
            raise UnusableError(
                f'{name} holds a character that cmd.exe takes for its own (% ^ ! " & | < >)', "Choose another"
            )
    encryption = request.encryption_password.reveal()
    if not encryption or encryption != encryption.strip() or not encryption.isprintable():
        raise UnusableError(
            "prosecours_encryption_password must be one line without spaces around it", "Choose another"
        )
    url = request.binary.url
    if url and not re.fullmatch(r"https://[A-Za-z0-9.:\[\]-]+/[!#$&-~]+", url):
        raise UnusableError(
            f"prosecours_agent_restic_url is {url!r}, which is no https://host/path in ASCII without login,"
            " space, % and quotation marks",
            "Correct it, or leave it empty: restic.exe is then delivered from the controller",
        )
    if not request.contract.perimeter:
        raise UnusableError(
            f"The perimeter of {request.host} is empty", "Tick at least one directory in the client's file"
        )


def desired(request: Request, shadow_copies: bool) -> Desired:
    """The desired state of one host; `shadow_copies`: the host has the VSS service. See `check_request`."""
    contract = request.contract
    starts_at = contract.starts_at
    task_xml = windows_task.render(task_values(request, starts_at))
    texts = {
        **opening(request.url, request.username, request.ca),
        **backing_up(
            contract,
            shadow_copies,
            request.attempts,
            request.retry_minutes,
            request.time_limit_hours,
            request.log_days,
            request.log_kib,
        ),
    }
    return Desired(
        folder=request.folder.rstrip("\\"),
        binary=request.binary,
        texts=texts,
        secrets={"password.txt": request.encryption_password, "rest-password.txt": request.http_password},
        task=windows_task.parse(task_xml),
        task_xml=task_xml,
        starts_at=starts_at,
        first_backup_now=request.first_backup == "now",
    )


def backing_up(
    contract: HostContract,
    shadow_copies: bool,
    attempts: int = 3,
    retry_minutes: int = 10,
    time_limit_hours: int = 72,
    log_days: int = 30,
    log_kib: int = 1024,
    program: str = BINARY,
    running: str = RUNNING_BINARY,
) -> dict[str, str]:
    """backup.cmd and what it reads: the perimeter, wherever the repository is that restic.cmd opens.

    `program`: restic.exe as seen from there; `running`: what it is called meanwhile.
    """
    directories = [entry.path for entry in contract.perimeter if not entry.pattern]
    patterns = [entry.path for entry in contract.perimeter if entry.pattern]
    texts = {
        "backup.cmd": _file(
            "backup.cmd",
            options=" ".join(_options(contract, bool(directories), bool(patterns))),
            mark=f"--quiet --host {command_line.argument(contract.host)} --retry-lock 30m",
            shadow="--use-fs-snapshot" if shadow_copies else "",
            attempts=str(attempts),
            program=program,
            running=running,
            minutes=str(watch_minutes(time_limit_hours)),
            # forfiles counts in days, by the calendar: one more than the limit is never too early.
            days=str(-(-time_limit_hours // 24) + 1),
            delay=str(retry_minutes * 60 + 1),
            log_days=str(log_days),
            log_bytes=str(log_kib * 1024),
            # By hand or after failures there may be several runs a day; their number is bounded too.
            log_count=str(log_days * 2),
        ),
        "perimeter.txt": _lines(directories),
        "excludes.txt": _lines(name.replace("$", "$$") for name in (*_ALWAYS_EXCLUDED, *contract.excludes)),
    }
    if patterns:
        texts["patterns.txt"] = _lines(map(any_case, patterns))
    return texts


def opening(url: str, username: str, ca: str, program: str = BINARY) -> dict[str, str]:
    """What restic.cmd needs beside the passwords. `program`: restic.exe as seen from there."""
    texts = {
        "restic.cmd": _file("restic.cmd", program=program, **LOGIN[url.partition(":")[0]]),
        "repository.txt": _lines([url]),
        "rest-username.txt": _lines([username]),
    }
    if ca.strip():
        texts["ca.pem"] = _lines(ca.strip().splitlines())
    return texts


def opening_disk(folder: str) -> dict[str, str]:
    """The same for a repository on a disk, with the agent's own password, in a folder below the agent's."""
    return {
        "restic.cmd": _file("disk.cmd", program=f"..\\{BINARY}"),
        "repository.txt": _lines([folder]),
    }


def task_values(request: Request, starts_at: str) -> dict[str, str]:
    """The scheduled task (C6): every day as SYSTEM, missed starts caught up, never two at once."""
    folder = request.folder.rstrip("\\")
    return {
        "author": "Pro Secours",
        "description": f"Sauvegarde quotidienne Pro Secours ({request.contract.client.reference})",
        "trigger enabled": "true",
        # Local time without zone: the hour of the clock on the wall, also after a clock change.
        "start": f"2026-01-01T{starts_at}:00",
        "every n days": "1",
        "principal": "Author",
        "account": "S-1-5-18",
        "run level": "HighestAvailable",
        "overlap": "IgnoreNew",
        "not on batteries": "false",
        "stop on batteries": "false",
        "may be killed": "true",
        "catch up a missed start": "true",
        "only with network": "false",
        "stop when no longer idle": "false",
        "restart when idle": "false",
        "may be started by hand": "true",
        "enabled": "true",
        "hidden": "false",
        "only when idle": "false",
        "wake the computer": "false",
        "time limit": f"PT{request.time_limit_hours}H",
        "priority": "7",
        # The scheduler retries only what it could not start (MS-TSCH 2.5.4.2); a failed backup is retried
        # by backup.cmd itself.
        "retry a start after": "PT10M",
        "start retries": "3",
        "action as": "Author",
        "command": "%SystemRoot%\\System32\\cmd.exe",
        "arguments": f'/d /e:on /v:off /c ""{folder}\\backup.cmd""',
        "folder": folder,
    }


def watch_minutes(time_limit_hours: int) -> int:
    """Minutes after which a run ends itself: ten before the scheduler would leave restic behind."""
    return time_limit_hours * 60 - 10


def any_case(pattern: str) -> str:
    r"""A Windows pattern as restic globs it: `D:\a\B?.GIW` -> `D:\a\[Bb]?.[Gg][Ii][Ww]`.

    Go looks names without wildcards up in the file system, which ignores case, and compares the others letter
    by letter. A `[` that is part of a name becomes `[[]`.
    """
    return "\\".join(_any_case(part) if re.search(r"[*?\[]", part) else part for part in pattern.split("\\"))


def _any_case(part: str) -> str:
    def either(letter: str) -> str:
        upper, lower = letter.upper(), letter.lower()
        return f"[{upper}{lower}]" if upper != lower and len(upper) == len(lower) == 1 else letter

    return "".join("[[]" if letter == "[" else either(letter) for letter in part)


def secret_bytes(secret: Secret) -> bytes:
    """A secret's file: one line, which restic trims and cmd's `set /p` reads up to its end."""
    return f"{secret.reveal()}\r\n".encode()


def _options(contract: HostContract, directories: bool, patterns: bool) -> list[str]:
    upload_limit = contract.upload_limit_kib
    options = {
        "--json": True,
        "--no-scan": True,  # the scan only serves a progress bar, and reads every folder twice
        "--files-from-verbatim perimeter.txt": directories,
        "--files-from patterns.txt": patterns,
        "--iexclude-file excludes.txt": True,
        f"--host {command_line.argument(contract.host)}": True,
        f"--tag {command_line.argument(contract.client.reference)}": True,
        # A changed perimeter goes on from the last snapshot, which is not a mark: those have another tag.
        "--group-by host,tags": True,
        "--retry-lock 30m": True,
        f"--limit-upload {upload_limit}": upload_limit > 0,
    }
    return [option for option, wanted in options.items() if wanted]


def _file(name: str, **values: str) -> str:
    template = resources.files(agent_files).joinpath(name).read_text(encoding="ascii")
    return Template(template).substitute(values).replace("\n", "\r\n")


def _lines(lines: Any) -> str:
    return "".join(f"{line}\r\n" for line in lines)
