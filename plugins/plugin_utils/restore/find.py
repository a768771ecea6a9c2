"""Looking for an item whose exact path the client does not know: all its versions, with dates and sizes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from ...module_utils.maintenance.printable import printable
from ..agent.refusals import refusal
from ..files import safe_name, write_whole
from ..windows.command_line import argument, line
from ..windows.session import Session
from ..wording import show_moment, show_size
from . import facts as restore_facts
from .access import Access, lend, withdraw
from .facts import RestoreError, Version

_REQUEST = "find"
"""Stands where a request's id would, which has digits."""
_TIMEOUT = 3600.0
"""Seconds: restic reads the folders of every version, the first time over the link."""


class Found(NamedTuple):
    """One item in one version. `modified` is ISO 8601, `path` as Windows writes it."""

    server: str
    path: str
    kind: str  # file, dir
    size: int
    modified: str
    version: str
    version_time: str
    complete: bool


def pattern(name: str) -> str:
    r"""What was asked for as restic matches it: part of a name -> `*name*`, `D:\a\b*` -> `/D/a/b*`."""
    whole = name.strip().replace("[", "[[]")
    if whole[1:3] == ":\\":
        return "/" + whole[0] + whole[2:].replace("\\", "/")
    return whole if "*" in whole or "?" in whole else f"*{whole}*"


def matches(output: bytes, versions: Sequence[Version]) -> list[Found]:
    """`restic find --json`, by server, path and version; versions that are not listed are left out.

    Raises ValueError when it is not JSON.
    """
    known = {version.id: version for version in versions}
    found = [
        Found(
            server=version.host,
            path=_windows(match["path"]),
            kind=match["type"],
            size=int(match.get("size", 0)),
            modified=restore_facts.moment(match["mtime"]).isoformat(timespec="seconds"),
            version=version.id,
            version_time=version.time.isoformat(timespec="seconds"),
            complete=version.complete,
        )
        for entry in json.loads(output or b"[]")
        for match in entry["matches"]
        if (version := known.get(entry["snapshot"]))
    ]
    return sorted(found, key=lambda item: (item.server, item.path.lower(), item.version_time))


def _windows(path: str) -> str:
    _unused, drive, *names = path.split("/")
    return f"{drive}:\\" + "\\".join(names)


def find(session: Session, folder: str, name: str, server: str, access: Access | None = None) -> list[Found]:
    """All versions of what matches `name` of a server: the host itself, or another one by its `access`.

    Raises SessionError, AgentError, CannotQuote, Garbled.
    """
    seen = restore_facts.observe(session, folder, _REQUEST)
    if not seen.agent:
        problem = f"no agent is deployed in {folder}"
        raise RestoreError(session.host, problem, "Run playbooks/deploy.yml on this host first")
    with ExitStack() as stack:
        place, url = folder, seen.url
        if access:
            stack.callback(withdraw, session, folder, [_REQUEST])
            place, url = lend(session, folder, _REQUEST, access, seen.tar), access.url
        versions = restore_facts.snapshots(session, place, url, server)
        command = restore_facts.restic(place, f"find --ignore-case {argument(pattern(name))}")
        output = session.run(line(command), timeout=_TIMEOUT)
    if output.exit_code:
        raise refusal(session.host, url, output)
    try:
        return matches(output.stdout, versions)
    except (ValueError, KeyError, TypeError) as error:
        problem = "restic's answer cannot be read"
        raise RestoreError(session.host, problem, "Run playbooks/deploy.yml on this host") from error


def table(name: str, found: Sequence[Found]) -> str:
    """For people: each item, under it a line for each state that it had, with the versions that hold it."""
    if not found:
        return f'Nothing in any version matches "{name}".'
    lines = []
    for (server, path), versions in groupby(found, key=lambda item: (item.server, item.path)):
        lines.append(printable(f"{server}  {path}"))
        for (_unused, size, kind), same in groupby(
            versions, key=lambda item: (item.modified, item.size, item.kind)
        ):
            held = list(same)
            what = "folder" if kind == "dir" else show_size(size)
            first, last = (
                show_moment(restore_facts.moment(item.version_time)) for item in (held[0], held[-1])
            )
            span = f"version of {first}" if len(held) == 1 else f"{len(held)} versions, {first} to {last}"
            incomplete = ", incomplete" if not any(item.complete for item in held) else ""
            modified = show_moment(held[0].modified)
            lines.append(f"    changed {modified}  {what:>10}  {span}{incomplete}")
    return "\n".join(lines)


def write(found: Sequence[Found], server: str, directory: str) -> Path:
    """`directory`/find/<server>.json: the matches for programs. Raises CannotWrite."""
    text = json.dumps([item._asdict() for item in found], indent=2, ensure_ascii=False) + "\n"
    return write_whole(Path(directory).expanduser() / "find" / f"{safe_name(server)}.json", text)
