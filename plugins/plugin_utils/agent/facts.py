"""What a host looks like: one composite command out, one frozen value in; a probe and a parser each."""

from __future__ import annotations

import json
import re
import secrets
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ..windows import sddl
from ..windows.command_line import argument, path
from ..windows.probe import Probe, ask, decode, hashed
from ..windows.session import Session
from .desired import BINARY, LOCK, REPOSITORY_ID, SECRETS, STAGING, TASK, TEXTS

_QUARTER = timedelta(minutes=15)  # the zones of the world differ by whole ones
_VSS = "HKLM\\SYSTEM\\CurrentControlSet\\Services\\VSS"
_HASHED = (BINARY, *SECRETS)
_TYPED = (*TEXTS, REPOSITORY_ID, "status.json", "missing.txt")


Status = Mapping[str, Any]
"""status.json as it lies on the server, where an administrator may write what he likes into it."""


@dataclass(frozen=True)
class Facts:
    """What was observed. File names are relative to the agent's folder; mappings hold only what is there."""

    exists: bool = False
    shadow_copies: bool = False
    tar: bool = False
    running: bool = False
    """A backup holds the lock."""
    names: frozenset[str] = frozenset()
    leftovers: frozenset[str] = frozenset()
    """Staging folders of interrupted runs that nobody holds, so that they can be removed."""
    folder_rights: str = ""
    """SDDL."""
    rights: Mapping[str, str] = field(default_factory=dict)
    """Name -> SDDL of what lies in the folder."""
    hashes: Mapping[str, str] = field(default_factory=dict)
    """Name -> SHA-256, lower-case hex."""
    texts: Mapping[str, str] = field(default_factory=dict)
    """Name -> text with CRLF line ends."""
    task_xml: str = ""
    repository_id: str = ""
    status: Status | None = None
    """The last run as backup.cmd left it, with `missing` as the list of what restic could not find."""


def probes(folder: str) -> list[Probe]:
    """The questions about `folder`."""
    nonce = secrets.token_hex(4)  # of the temporary files

    def at(name: str) -> str:
        return f"{folder}\\{name}"

    def rights(of: str) -> str:
        kept = f'"%TEMP%\\{nonce}.acl"'
        return f"icacls {argument(of)} /save {kept} /c /q>nul&type {kept}&del {kept}"

    return [
        Probe("exists", f"if exist {path(folder + chr(92))} echo 1"),
        Probe("vss", f"reg query {_VSS} /v Start"),
        Probe("has_tar", 'if exist "%SystemRoot%\\System32\\tar.exe" echo 1'),
        # Nothing is written: the lock is opened as standard error, and echo runs only where that works.
        Probe("free", f"if exist {path(at(LOCK))} echo 1 2>>{path(at(LOCK))}"),
        Probe("names", f"dir /b /a {path(folder)}"),
        Probe("leftovers", _free_folders(folder)),
        Probe("folder_rights", rights(folder)),
        Probe("rights", rights(at("*"))),
        *(Probe(f"hash:{name}", f"certutil -hashfile {argument(at(name))} SHA256") for name in _HASHED),
        *(Probe(f"type:{name}", f"type {path(at(name))}") for name in _TYPED),
        Probe("task", f"schtasks /query /tn {argument(TASK)} /xml"),
    ]


def _free_folders(folder: str) -> str:
    """The staging folders that no program holds: one takes the name that it has, which changes nothing.

    Windows refuses that with a sharing violation while a command works there.
    """
    # dir complains when there is none; nobody reads that, and as early output it would cost a request.
    listed = f"dir /b /ad {path(f'{folder}{chr(92)}{STAGING}*')} 2^>nul"
    renamed = f'ren "{folder}\\%l" "%l"'
    return f'for /f "usebackq delims=" %l in (`{listed}`) do @{renamed} && echo %l'


def parse(sections: Mapping[str, bytes]) -> Facts:
    """Facts from the answers to all `probes` or some; one that is empty or unreadable stands for nothing."""
    text = defaultdict(str, {name: decode(section) for name, section in sections.items()})
    if "1" not in text["exists"]:
        return Facts(
            shadow_copies=_has_shadow_copies(text["vss"]),
            tar="1" in text["has_tar"],
            task_xml=text["task"].strip(),
        )
    names = frozenset(name.strip().lower() for name in text["names"].splitlines() if name.strip())
    hashes = {name: hashed(text[f"hash:{name}"]) for name in _HASHED}
    typed = {name: _crlf(text[f"type:{name}"]) for name in _TYPED if name.lower() in names}
    return Facts(
        exists=True,
        shadow_copies=_has_shadow_copies(text["vss"]),
        tar="1" in text["has_tar"],
        running=LOCK in names and "1" not in text["free"],
        names=names,
        leftovers=frozenset(
            name.strip().lower() for name in text["leftovers"].splitlines() if name.strip().lower() in names
        ),
        folder_rights=next(iter(sddl.parse_saved(text["folder_rights"]).values()), ""),
        rights=sddl.parse_saved(text["rights"]),
        hashes={name: value for name, value in hashes.items() if value},
        texts={name: typed[name] for name in TEXTS if name in typed},
        task_xml=text["task"].strip(),
        repository_id=_hex(typed.get(REPOSITORY_ID, "")),
        status=_status(typed.get("status.json", ""), typed.get("missing.txt", "")),
    )


def observe(session: Session, folder: str, only: Collection[str] = ()) -> Facts:
    """The facts of a host, by one command; those of the probes named `only`, if any are named.

    Raises SessionError, CannotQuote, Garbled.
    """
    questions = [question for question in probes(folder) if not only or question.name in only]
    return parse(ask(session, questions))


def _has_shadow_copies(reg: str) -> bool:
    """The VSS service is registered and not disabled (Start 4)."""
    found = re.search(r"REG_DWORD\s+0x([0-9a-fA-F]+)", reg)
    return found is not None and int(found.group(1), 16) != 4


def _hex(text: str) -> str:
    found = re.fullmatch(r"[0-9a-f]{64}", text.strip())
    return found.group() if found else ""


def _crlf(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\n", "\r\n")


def _status(text: str, missing: str) -> Status | None:
    """status.json, with the number of missing entries replaced by what restic said of each."""
    try:
        status = json.loads(text)
    except ValueError:
        return None
    if not isinstance(status, dict):
        return None
    status = _in_utc(status)
    # Each attempt of a run names them anew.
    entries = dict.fromkeys(_missing(line) for line in missing.splitlines() if line.strip())
    return {**status, "missing": list(entries)}


def _in_utc(status: dict[str, Any]) -> dict[str, Any]:
    """The status with its times in UTC, as restic's own summary has them with their zone.

    backup.cmd takes its times from robocopy, which is believed to print UTC. Should a Windows print local
    time, the end is whole quarters of an hour away from the one in the summary: both are moved by that.
    """
    try:
        times = {name: datetime.fromisoformat(status[name]) for name in ("start", "end")}
        shift = times["end"] - datetime.fromisoformat(status["summary"]["backup_end"])
    except (KeyError, TypeError, ValueError):
        return status  # restic came to no end, or one of the two is without a zone
    off = round(shift / _QUARTER) * _QUARTER
    return {**status, **{name: f"{time - off:%Y-%m-%dT%H:%M:%SZ}" for name, time in times.items()}}


def _missing(line: str) -> str:
    """The entry in a line of restic: `X does not exist, skipping`, or a pattern, which restic
    quotes as Go."""
    reasons = "does not exist|cannot be accessed|does not match any files"
    entry = re.sub(rf" ({reasons}), skipping$", "", line.strip())
    quoted = re.fullmatch(r'pattern "(.*)"', entry)
    return quoted.group(1).replace("\\\\", "\\") if quoted else entry
