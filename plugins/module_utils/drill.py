"""The restore drill (C19): every month, files of each server are restored and held against the snapshot.

They are drawn by chance from the newest complete version, restored by restic to a folder that only the owner
of the repository can enter, and removed again. That a file is right is judged without restic: a snapshot
records each file as a list of SHA-256 sums of its parts, and these are computed anew from the restored file.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Any

from .restic_repository import Repository, RepositoryError
from .retention import Snapshot, day_of

REMEMBERED = timedelta(days=400)


@dataclass(frozen=True)
class Size:
    """How much of each server is restored at most."""

    files: int = 20
    bytes: int = 500_000_000


@dataclass(frozen=True)
class Recorded:
    """A file as a version records it."""

    path: str
    size: int


@dataclass(frozen=True)
class Result:
    """One drill of a client, as it is kept and shown."""

    at: str
    ok: bool
    files: int
    bytes: int
    problems: tuple[str, ...]
    versions: tuple[str, ...]
    """The ids of the versions that were restored from."""
    seed: str
    """With it the same files are drawn again."""


def own_day(client: str) -> int:
    """The day of the month, 1 to 28, of the client's drill: not all clients have theirs on the first."""
    return 1 + int(hashlib.sha256(client.encode()).hexdigest(), 16) % 28


def is_due(client: str, last: Result | None, today: date) -> bool:
    """The first at once, then one since the client's own day of the month; after a failure, each day."""
    if last is None:
        return True
    last_day = day_of(datetime.fromisoformat(last.at))
    if not last.ok:
        return last_day != today
    day = own_day(client)
    month = today if today.day >= day else today.replace(day=1) - timedelta(days=1)
    return last_day < month.replace(day=day)


def draw(files: Iterable[Recorded], size: Size, seed: str) -> list[Recorded]:
    """Files by chance, within both bounds; the same ones for the same seed, in whatever order they come."""

    def chance(one: Recorded) -> bytes:
        return hashlib.sha256(f"{seed}:{one.path}".encode("utf-8", "surrogatepass")).digest()

    drawn: list[Recorded] = []
    left = size.bytes
    fitting = (one for one in files if one.size <= size.bytes)
    for one in heapq.nsmallest(20 * size.files, fitting, key=chance):
        if len(drawn) < size.files and one.size <= left:
            drawn.append(one)
            left -= one.size
    return drawn


def drill(
    client: str,
    newest: Mapping[str, Snapshot],
    repository: Repository,
    folder: Path,
    size: Size,
    now: datetime,
) -> Result:
    """Restore and compare; `newest`: server -> its newest complete version. What fails is in the result."""
    seed = f"{client}:{now.isoformat(timespec='seconds')}"
    problems: list[str] = []
    files = total = 0
    for host, version in sorted(newest.items()):
        where = f"{host}, version of {version.time.isoformat(sep=' ', timespec='minutes')[:16]}"
        try:
            drawn = draw(_recorded(repository.files(version.id)), size, seed)
            if not drawn:
                problems.append(f"{where}: there is no file of at most {size.bytes} bytes to restore")
                continue
            files, total = files + len(drawn), total + sum(one.size for one in drawn)
            problems += [f"{where}: {text}" for text in _compare(repository, version, drawn, folder)]
        except (RepositoryError, OSError) as error:
            problems.append(f"{where}: {error}")
    return Result(
        now.isoformat(timespec="seconds"),
        not problems,
        files,
        total,
        tuple(problems),
        tuple(one.id for _, one in sorted(newest.items())),
        seed,
    )


def _recorded(entries: Iterable[Mapping[str, Any]]) -> Iterator[Recorded]:
    return (Recorded(one["path"], int(one.get("size", 0))) for one in entries)


def _compare(
    repository: Repository, version: Snapshot, drawn: Sequence[Recorded], folder: Path
) -> Iterator[str]:
    contents: dict[str, list[str]] = {}
    for parent in sorted({str(PurePosixPath(one.path).parent) for one in drawn}):
        for node in repository.folder(version.id, parent):
            contents[str(PurePosixPath(parent, node["name"]))] = node.get("content") or []
    sizes = repository.blob_sizes({blob for one in drawn for blob in contents.get(one.path, ())})
    with repository.restored(version.id, [one.path for one in drawn], folder) as (place, complaint):
        if complaint:
            yield complaint
        for one in drawn:
            try:
                with Path(place, one.path.lstrip("/")).open("rb") as file:
                    problem = differs(file.read, contents.get(one.path, []), sizes, one.size)
            except OSError as error:
                problem = f"was not restored ({error.strerror})"
            if problem:
                yield f"{one.path}: {problem}"


def differs(
    read: Callable[[int], bytes], content: Sequence[str], sizes: Mapping[str, int], size: int
) -> str | None:
    """How the restored bytes differ from the record, a list of the SHA-256 of each part; None: not at all."""
    total = 0
    for number, blob in enumerate(content, start=1):
        if blob not in sizes:
            return f"part {number} of {len(content)} is in no index"
        part = read(sizes[blob])
        total += len(part)
        if hashlib.sha256(part).hexdigest() != blob:
            return f"part {number} of {len(content)} is not what was backed up"
    if read(1) or total != size:
        return f"it should have {size} bytes"
    return None


def remembered(results: Sequence[Result], one: Result) -> tuple[Result, ...]:
    """With `one`, less those older than 400 days."""
    oldest = datetime.fromisoformat(one.at) - REMEMBERED
    return (*(before for before in results if datetime.fromisoformat(before.at) > oldest), one)


def status(last: Result | None) -> dict[str, Any] | None:
    """For the status table; None: no drill yet."""
    if last is None:
        return None
    return {
        "at": last.at,
        "ok": last.ok,
        "files": last.files,
        "bytes": last.bytes,
        "problems": list(last.problems),
    }
