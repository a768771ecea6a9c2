"""Which version is restored and why, where to, what is kept aside, and what stands against it. Pure.

A plan is JSON on the host too: a run that was cut off goes on with the version that was chosen, not with
another one that arrived meanwhile.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ...module_utils.maintenance import shape
from ...module_utils.maintenance.judgement import Judged
from ..clock import PARIS
from ..contract.model import HostContract
from ..errors import ProSecoursError
from ..windows import link
from ..windows import paths as windows_paths
from ..wording import show_moment, show_seconds, show_size
from .facts import Amount, Disks, Live, Version, parent
from .request import Request

ASIDE = "Restauration"
"""Folder in the root of a drive for what is restored beside the data, and for what is kept aside."""


class Refused(ProSecoursError):
    """Why the request cannot be carried out."""


# -- the version ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Choice:
    """The version that a request gets, and the newer ones that were passed over as incomplete."""

    version: Version
    passed_over: tuple[Version, ...] = ()
    newer: int = 0
    """Versions after the moment that was asked for."""
    unbelieved: tuple[Version, ...] = ()
    """Newer ones that the repository host does not believe."""

    def why(self, asked: str) -> str:
        """The choice as a sentence, without full stop."""
        kind = "complete version" if self.version.complete else "version, an incomplete one,"
        shown = f"asked for {asked}: the newest {kind} up to then is of {show_moment(self.version.time)}"
        if self.passed_over:
            over = ", ".join(show_moment(version.time) for version in self.passed_over)
            shown += f" (passed over, incomplete: {over})"
        if self.unbelieved:
            over = ", ".join(f"{version.id[:8]} {version.against}" for version in self.unbelieved)
            shown += f" (passed over, not believed: {over})"
        if self.version.losses:
            shown += f" (a sudden loss, which nobody has released: {', '.join(self.version.losses)})"
        return shown


@dataclass(frozen=True)
class Judgement:
    """All versions of a server, as its repository host judges them."""

    versions: tuple[Judged, ...]


def versions_of(judgement: Judgement, server: str) -> tuple[Version, ...]:
    """To choose from."""
    return tuple(
        Version(one.id, one.time, server, one.complete, one.against, one.losses) for one in judgement.versions
    )


def choose(versions: Sequence[Version], request: Request) -> Choice:
    """The newest complete version up to the wanted moment that is believed. Raises Refused."""
    own = sorted(versions, key=lambda version: version.time)
    if not own:
        raise Refused(
            f"the repository of {request.server} holds no version",
            "Correct the server of the request, or see whether its backups ever ran",
        )
    until = [version for version in own if version.time <= request.moment]
    if not until:
        raise Refused(
            f"asked for {request.asked}, but the oldest version of {request.server}"
            f" is of {show_moment(own[0].time)}",
            "Agree on a later date with the client: older versions are past what the contract keeps (C7)",
        )
    believed = [version for version in until if version.against is None]
    if not believed:
        found = ", ".join(f"{version.id[:8]} {version.against}" for version in until)
        raise Refused(
            f"up to {request.asked} no version of {request.server} is believed ({found})",
            "Agree on a later date with the client, or see docs/retention.md, what a server may claim",
        )
    usable = [version for version in believed if version.complete or request.accept_incomplete]
    if not usable:
        found = ", ".join(show_moment(version.time) for version in believed)
        raise Refused(
            f"up to {request.asked} all versions of {request.server} are incomplete ({found})",
            "Agree on a later date with the client, or set accept_incomplete: true in the request",
        )
    version = usable[-1]
    newer = [other for other in until if other.time > version.time]
    return Choice(
        version,
        tuple(other for other in newer if other.against is None),
        len(own) - len(until),
        tuple(other for other in newer if other.against is not None),
    )


# -- what is selected -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Run:
    """One call of restic: a part of the version (`:/D`, or empty for all of it), where to, which patterns.

    An empty pattern stands for everything in that part.
    """

    part: str
    target: str
    patterns: tuple[str, ...]


def pattern(item: str, in_place: bool) -> str:
    r"""An item as restic selects it: `D:\a\[b] *.txt` -> `/D/a/[[]b] *.txt`; in place without its drive.

    Windows names hold no wildcards, so a `[` is always one of a name. The root of a drive in place is "".
    """
    drive, _unused, rest = item.partition(":\\")
    inner = rest.rstrip("\\").replace("\\", "/").replace("[", "[[]")
    if in_place:
        return f"/{inner}" if inner else ""
    return f"/{drive}/{inner}".rstrip("/")


def bare(request: Request) -> list[str]:
    """The paths at and below which a version may hold files and folders only: all that is asked for where it
    goes to another server, up to the first wildcard of each item; nothing where it stays on its own."""
    if request.host == request.server:
        return []
    if request.whole_server:
        return ["/"]
    plain = (re.match(r"(?:[^*?\\]*(?:\\|$))*", item) for item in request.items)
    return [f"/{(found[0] if found else '').replace(':', '').replace(chr(92), '/')}" for found in plain]


def refuse_links(
    request: Request, choice: Choice, links: Sequence[str] | None, closed: Sequence[str]
) -> None:
    """Where no repository host has judged a version: restic sets rights through a link of the same name, so
    that a hostile server's version could open files elsewhere on another one. Raises Refused.

    `links`: their paths as restic has them, None when they could not be told; `closed`: as `bare` has it.
    """
    name = f"the version {choice.version.id[:8]} of {request.server}"
    remedy = "Bring the repository host back, which judges it, or restore to the server itself"
    if links is None:
        raise Refused(f"{name}, which no repository host has judged, could not be listed", remedy)
    for entry in links:
        if any(f"{entry}/".casefold().startswith(f"{one.rstrip('/')}/".casefold()) for one in closed):
            raise Refused(
                f"{name} was judged by no repository host, and {entry} in it is a link, which may lead out of"
                " the folder restored to",
                f"{remedy}; or name items that hold no link",
            )


def runs(request: Request, target: str) -> tuple[Run, ...]:
    """Beside the data one call brings everything; in place there is one for each drive."""
    if not request.in_place:
        return (Run("", target, tuple(pattern(item, False) for item in request.items)),)
    drives = list(dict.fromkeys(item[0] for item in request.items))
    return tuple(
        Run(
            f":/{drive}",
            f"{drive}:/",
            tuple(pattern(item, True) for item in request.items if item[0] == drive),
        )
        for drive in drives
    )


def selection(patterns: Sequence[str]) -> bytes:
    """The patterns as restic's include file: `$` is doubled, as it would name a variable; nothing for all."""
    if "" in patterns:
        return b""
    return "".join(f"{line.replace('$', '$$')}\r\n" for line in patterns).encode()


# -- the plan -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Item:
    """One item of the request, and what the version holds of it."""

    path: str
    entries: int
    bytes: int
    new_bytes: int
    overwritten: int


@dataclass(frozen=True)
class Keep:
    """What robocopy keeps aside before anything is overwritten: all of a folder, or its files of a mask."""

    source: str
    copy: str
    mask: str
    depth: str  # robocopy's /E, or /LEV:1
    bytes: int


@dataclass(frozen=True)
class Plan:
    """What is done. Instants are ISO 8601, `rate` is bytes a second or None."""

    request: str
    version: str
    version_time: str
    version_complete: bool
    why: str
    passed_over: tuple[str, ...]
    target: str
    """The fresh folder, or empty: in place."""
    items: tuple[Item, ...]
    absent: tuple[str, ...]
    """Ticked directories that the version has nothing of (whole servers only)."""
    keep: tuple[Keep, ...]
    kept_in: tuple[str, ...]
    planned: str
    rate: float | None
    basis: str

    @property
    def time(self) -> datetime:
        return datetime.fromisoformat(self.version_time)

    @property
    def entries(self) -> int:
        return sum(item.entries for item in self.items)

    @property
    def bytes(self) -> int:
        return sum(item.bytes for item in self.items)

    @property
    def new_bytes(self) -> int:
        """Bytes that are not in place already, by times and sizes."""
        return sum(item.new_bytes for item in self.items)

    @property
    def seconds(self) -> float | None:
        """How long the link is busy, at least."""
        return self.new_bytes / self.rate if self.rate else None

    def data(self) -> dict[str, Any]:
        """Plain types; `from_data` takes them back."""
        return shape.as_json(self)

    @classmethod
    def from_data(cls, data: Any) -> Plan:
        """Raises shape.NotOfShape for what is no plan."""
        return shape.read(cls, data)


def fresh_folder(request: Request, version: Version) -> str:
    r"""Where to by default: `D:\Restauration\2026-11-11 22h04 (1a2b3c)`, on the drive of the first item."""
    stamp = version.time.astimezone(PARIS).strftime("%Y-%m-%d %Hh%M")
    return request.folder or f"{request.items[0][0]}:\\{ASIDE}\\{stamp} ({request.id[:6]})"


def drives(request: Request, target: str) -> list[str]:
    """The drives that have to have room."""
    return list(dict.fromkeys(item[0] for item in request.items)) if request.in_place else [target[0]]


def kept_aside(
    request: Request, live: Sequence[Live], now: datetime
) -> tuple[tuple[Keep, ...], tuple[str, ...]]:
    """What is there in place of the items, to be copied beside it, and the folders that it goes to."""
    keep: list[Keep] = []
    stamp = now.astimezone(PARIS).date()
    for item, found in zip(request.items, live, strict=True):
        base = f"{item[0]}:\\{ASIDE}\\avant {stamp} ({request.id[:6]})\\{item[0]}"
        copy = f"{base}\\{item[3:]}".rstrip("\\")
        folder, name = parent(item)
        if found.tree:
            source = item if name else item + "."
            keep.append(Keep(source, copy, "*.*", "/E", found.tree.size))
            continue
        above = parent(copy)[0]
        if found.files:
            keep.append(Keep(folder, above, name, "/LEV:1", found.files.size))
    kept_in = dict.fromkeys("\\".join(entry.copy.split("\\")[:3]) for entry in keep)
    return tuple(keep), tuple(kept_in)


def plan(
    request: Request,
    choice: Choice,
    amounts: Sequence[Amount],
    target: Disks,
    live: Sequence[Live],
    rate: tuple[float | None, str],
    now: datetime,
) -> Plan:
    """The plan, or Refused with everything that stands against it. `amounts` and `live` are those of the
    items, in their order; `live` is empty unless in place."""
    items = tuple(
        Item(path, found.entries, found.bytes, found.new_bytes, found.overwritten)
        for path, found in zip(request.items, amounts, strict=True)
        if found.entries
    )
    absent = tuple(path for path, found in zip(request.items, amounts, strict=True) if not found.entries)
    keep, kept_in = kept_aside(request, live, now) if request.in_place else ((), ())
    folder = "" if request.in_place else fresh_folder(request, choice.version)
    made = Plan(
        request=request.id,
        version=choice.version.id,
        version_time=choice.version.time.isoformat(),
        version_complete=choice.version.complete,
        why=choice.why(request.asked),
        passed_over=tuple(version.time.isoformat() for version in choice.passed_over),
        target=folder,
        items=items,
        absent=absent,
        keep=keep,
        kept_in=kept_in,
        planned=now.isoformat(timespec="seconds"),
        rate=rate[0],
        basis=rate[1],
    )
    against = [
        *_absent(request, made),
        *_not_kept(request, live, amounts),
        *_over_live_data(request, folder),
        *_target(request, made, target),
    ]
    if against:
        raise Refused(
            "; ".join(problem for problem, _unused in against), ". ".join(cure for _unused, cure in against)
        )
    return made


def _absent(request: Request, made: Plan) -> list[tuple[str, str]]:
    if not made.items or (made.absent and not request.whole_server):
        what = ", ".join(made.absent)
        problem = f"{what} is not in the version of {show_moment(made.time)}"
        return [(problem, "Correct the name, or look for it in all versions with playbooks/find.yml")]
    return []


def _not_kept(request: Request, live: Sequence[Live], amounts: Sequence[Amount]) -> list[tuple[str, str]]:
    """What robocopy could not keep aside: what Windows does not show, a drive on itself, and the folders that
    a pattern selects."""
    against = []
    for item, found, amount in zip(request.items, live, amounts, strict=False):
        if found.error or (amount.overwritten and not found.tree and not found.files):
            code = f" (error {found.error})" if found.error else ""
            problem = f"what stands at {item} cannot be kept aside: Windows does not show all of it{code}"
            against.append((problem, "Give the WinRM user the right to list it, or restore beside the data"))
        if not parent(item)[1]:
            problem = f"in place of all of {item} nothing can be kept aside on it"
            against.append((problem, "Name its folders one by one"))
        if found.folders:
            problem = f"in place, {item} selects folders too ({', '.join(found.folders)})"
            against.append((problem, "Name the folders one by one, and a pattern that only files have"))
    return against


def _over_live_data(request: Request, folder: str) -> list[tuple[str, str]]:
    if not folder:
        return []
    inside = [path for path in request.live if windows_paths.inside(folder, path)]
    if not inside:
        return []
    problem = f"{folder} would lie over live data: {inside[0]} is in the perimeter of {request.host}"
    return [(problem, "Name another folder in the request (target, folder), on another drive if need be")]


def _target(request: Request, made: Plan, target: Disks) -> list[tuple[str, str]]:
    against = []
    if target.exists:
        problem = f"{made.target} exists already on {request.host}, and a restore goes into a fresh folder"
        against.append((problem, "Name another one in the request (target, folder), or remove it there"))
    needed: dict[str, int] = {}
    if made.target:
        needed[made.target[0]] = made.bytes
    for item in made.items if request.in_place else ():
        needed[item.path[0]] = needed.get(item.path[0], 0) + item.new_bytes
    for entry in made.keep:
        needed[entry.copy[0]] = needed.get(entry.copy[0], 0) + entry.bytes
    for drive, size in needed.items():
        if drive not in target.free:
            problem = f"{request.host} has no drive {drive}:"
            against.append((problem, "Name a folder on one of its drives in the request (target, folder)"))
        elif size > target.free[drive]:
            aside = ", with what is kept aside first" if made.keep else ""
            problem = (
                f"{request.host} has {show_size(target.free[drive])} left on {drive}:, and"
                f" {show_size(size)} are needed{aside}"
            )
            against.append((problem, "Make room there, or name a folder on another drive or server"))
    return against


def link_rate(contract: HostContract, measured: float | None, limit_kib: int = 0) -> tuple[float | None, str]:
    """The rate of the client's link for a restore in bytes a second, and where it comes from (C14).

    Downloads are what a restore needs; an upload's rate is a lower bound of theirs on the links of farms.
    """
    rate, basis = measured, "measured" if measured else ""
    for mbit, known in ((contract.uplink_mbit, "uplink"), (contract.downlink_mbit, "nominal")):
        if mbit:
            rate, basis = link.nominal(mbit), known
    if limit_kib and (rate is None or limit_kib * 1024 < rate):
        return limit_kib * 1024.0, "limited"
    return rate, basis


# -- words ----------------------------------------------------------------------------------------------

_BASES = {
    "nominal": "by prosecours_downlink_mbit",
    "uplink": "by prosecours_uplink_mbit, the download is hardly slower",
    "measured": "at least; measured over WinRM",
    "limited": "by prosecours_restore_limit_kib",
}


def show_entries(number: int) -> str:
    """restic counts files and folders together."""
    return "1 file or folder" if number == 1 else f"{number} files and folders"


def table(request: Request, made: Plan) -> str:
    """The plan for people."""
    where = f"into {made.target}" if made.target else "in place"
    lines = [
        f"{request.host}: {request.client_name}, {request.reference}, on request of"
        f" {request.requester.email} of {request.mail_date}",
        f"  version    {made.why}",
        f"  target     {where}" + ("" if request.host == request.server else f", data of {request.server}"),
    ]
    width = max(len(item.path) for item in made.items)
    for item in made.items:
        lines.append(
            f"  restore    {item.path:<{width}}  {show_entries(item.entries)}, {show_size(item.bytes)}"
        )
    lines += [f"  absent     {path}" for path in made.absent]
    lines += [f"  kept first {entry.source}\\{entry.mask} in {entry.copy}" for entry in made.keep]
    time = ""
    if made.seconds is not None:
        time = f", {show_seconds(made.seconds)} ({_BASES[made.basis]})"
    over = sum(item.overwritten for item in made.items)
    lines += [f"  overwrite  files that have changed since, once they are kept: {over}"] if over else []
    there = (
        f", {show_size(made.bytes - made.new_bytes)} of them are in place"
        if made.bytes > made.new_bytes
        else ""
    )
    lines.append(f"  in all     {show_entries(made.entries)}, {show_size(made.bytes)}{there}{time}")
    return "\n".join(lines)
