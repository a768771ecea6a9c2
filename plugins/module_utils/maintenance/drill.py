"""The restore drill (C19): every month, files of each server are restored and held against the snapshot.

They are drawn by chance from the newest complete version. `restic dump` finds each by its path and gives it
through a pipe: what a hostile client made a link, a pipe or a device is never a file here, and nothing is
written to any disk. (`restic restore` would bring all of them by one call, and write.) That a file is right
is judged without restic: a version records each file as a list of SHA-256 sums of its parts. This program
reads that list from the packs itself (`trees`), and computes the sums anew from what restic gave.
"""

from __future__ import annotations

import hashlib
import heapq
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from .model import LastDrill
from .plausible import Look
from .repository import Recorded, Repository, RepositoryError
from .retention import Snapshot, day_of
from .sealed import Rubbish
from .trees import TooLong, Trees

REMEMBERED = timedelta(days=400)


@dataclass(frozen=True)
class Size:
    """How much of each server is read at most."""

    files: int = 20
    bytes: int = 500_000_000
    seconds: float = 3600


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
    doubts: tuple[str, ...] = ()
    """Files that came back as they were sent, and may not be what their names say."""


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
    size: Size,
    now: datetime,
) -> Result:
    """Restore and compare; `newest`: server -> its newest complete version. What fails is in the result."""
    if (trees := repository.trees) is None:
        raise ValueError("the repository was not admitted")
    repository = replace(repository, limit=size.seconds)
    seed = f"{client}:{now.isoformat(timespec='seconds')}"
    problems: list[str] = []
    doubts: list[str] = []
    files = total = 0
    for host, version in sorted(newest.items()):
        where = f"{host}, version of {version.time.isoformat(sep=' ', timespec='minutes')[:16]}"
        try:
            if text := trees.objection(version.tree, size.seconds):
                problems.append(f"{where}: {text}: restore nothing of this version")
            drawn = draw(repository.files(version.id), size, seed)
            if not drawn:
                problems.append(f"{where}: there is no file of at most {size.bytes} bytes to restore")
                continue
            files, total = files + len(drawn), total + sum(one.size for one in drawn)
            looks: dict[str, Look] = {}
            for text in _compare(repository, trees, version, drawn, size.seconds, looks):
                problems.append(f"{where}: {text}")  # one by one: what was found before an error stays
            doubts += [f"{where}: {path} {doubt}" for path, look in looks.items() if (doubt := look.doubt())]
        except TooLong:
            problems.append(f"{where}: its folders could not all be read within {round(size.seconds)} s")
        except Rubbish as error:
            problems.append(f"{where}: a folder {error}")
        except (RepositoryError, OSError) as error:
            problems.append(f"{where}: {error}")
    return Result(
        now.isoformat(timespec="seconds"),
        not problems,
        files,
        total,
        tuple(problems),
        tuple(one.id for _unused, one in sorted(newest.items())),
        seed,
        tuple(doubts),
    )


def _compare(
    repository: Repository,
    trees: Trees,
    version: Snapshot,
    drawn: Sequence[Recorded],
    seconds: float,
    looks: dict[str, Look],
) -> Iterator[str]:
    """How files differ; in `looks` is then what those that do not are like."""
    end = time.monotonic() + seconds
    contents = trees.contents(version.tree, {one.path for one in drawn}, seconds)
    sizes = trees.lengths(part for content in contents.values() for part in content)
    for number, one in enumerate(drawn):
        if (left := end - time.monotonic()) <= 0:
            yield f"after {round(seconds)} s {len(drawn) - number} of {len(drawn)} files were not read"
            return
        try:
            with repository.dumped(version.id, one.path, left) as read:
                look = Look(one.path)
                problem = differs(look.reading(read), contents.get(one.path, ()), sizes, one.size)
        except RepositoryError as error:
            problem = error.problem
        if problem and time.monotonic() >= end:
            problem = f"was not read within {round(seconds)} s"
        if problem:
            yield f"{one.path}: {problem}"
        else:
            looks[one.path] = look


def differs(
    read: Callable[[int], bytes], content: Sequence[str], sizes: Mapping[str, int], size: int
) -> str | None:
    """How the bytes differ from the record, a list of the SHA-256 of each part; None: not at all."""
    total = 0
    for number, blob in enumerate(content, start=1):
        if blob not in sizes:
            return f"part {number} of {len(content)} is in no index"
        part = read(sizes[blob])
        total += len(part)
        if total > size:
            break
        if hashlib.sha256(part).hexdigest() != blob:
            return f"part {number} of {len(content)} is not what was backed up"
    if read(1) or total != size:
        return f"it should have {size} bytes"
    return None


def remembered(results: Sequence[Result], one: Result) -> tuple[Result, ...]:
    """With `one`, less those older than 400 days."""
    oldest = datetime.fromisoformat(one.at) - REMEMBERED
    return (*(before for before in results if datetime.fromisoformat(before.at) > oldest), one)


def status(last: Result) -> LastDrill:
    """For the status table."""
    at = datetime.fromisoformat(last.at)
    return LastDrill(at, last.ok, last.files, last.bytes, last.problems, last.doubts)
