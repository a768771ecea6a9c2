"""One restic repository on the disk of the repository host, and the Linux restic that works on it.

The password goes by the environment, never on a command line, and restic runs as the owner of the repository:
what it writes stays readable to the server in front of it. Reading takes no lock. Every restic error becomes
one sentence and what to do. Standard library only.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from . import sealed
from .admission import Admission, Pass, Remembered
from .errors import ProSecoursError
from .perimeter import NOTHING, Left
from .refusals import ON_HOST, meaning
from .retention import Snapshot, Summary
from .storage import As, Folder, NoRepository, Storage, Unusable
from .sudden_loss import Measure
from .trees import Size, Stands, TooLong, Trees, in_tree
from .view import shown

MARK = re.compile(r"incomplete=([0-9a-f]{64})")
"""The tag of a mark, with the whole id of the snapshot that it marks: the beginning of one would mark others.

The agent learns that a backup was incomplete (restic's exit code 3) only when its snapshot is written. That
snapshot does not tell, and the agent's credentials cannot change it, so the agent adds a snapshot of its
status file with this tag. A forged mark gains nothing: incomplete versions are kept and measured too."""


SEE_VERSION = "Reject it if it is forged: its client's server sends versions that no restic made"
PACK = re.compile(r"\bpack ([0-9a-f]{64})\b")


class RepositoryError(ProSecoursError):
    """restic did not do what it was asked for."""

    def __init__(self, where: Path | str, problem: str, remedy: str, said: str = "") -> None:
        super().__init__(problem, remedy, where)
        self.said = said
        """All that restic wrote on standard error."""


class NotARepository(RepositoryError):
    """Exit code 10."""


class Locked(RepositoryError):
    """Exit code 11: someone works on the repository, or died while working."""


class WrongPassword(RepositoryError):
    """Exit code 12."""


class DiskFull(RepositoryError):
    """No room on the file system of the repository."""


class Unmeasurable(RepositoryError):
    """A version has folders that no restic made."""


class Interrupted(RepositoryError):
    """Exit code 130, or killed, or longer than allowed: begun work is continued by the next run."""


# What callers tell apart; any other refusal is a RepositoryError that its sentence tells.
KINDS: Mapping[str, type[RepositoryError]] = {
    "absent": NotARepository,
    "locked": Locked,
    "password": WrongPassword,
    "full": DiskFull,
    "interrupted": Interrupted,
}
BY_PASSWORD = ("check",)
"""What restic opens the repository for by the password itself, once in a maintenance: what a restore needs.
For all else it has the pass of the run."""


@dataclass(frozen=True)
class Recorded:
    """A file as a version records it."""

    path: str
    size: int


@dataclass(frozen=True)
class Check:
    """What `restic check` found; sound when there are no errors."""

    errors: tuple[str, ...]
    broken_packs: tuple[str, ...]
    packs_only: bool = True
    """All errors are those of packs that are in the index: so it can be told what they touch."""


@dataclass(frozen=True)
class Repository:
    """The repository at `path`, opened with `password` by each run of the program `restic`."""

    path: Path
    password: str = field(repr=False)
    restic: str = "restic"
    patience: float = 600
    """Seconds to wait for a lock."""
    limit: float = 12 * 3600
    """Seconds that one run of restic may take."""

    lies: Storage | None = None
    """Where it lies, if that is not the folder `path`."""

    server: str = ""
    """Whose it is. What lies in it is that server's, whatever the snapshots call themselves."""

    arrived: Mapping[str, datetime] = field(default_factory=dict)
    """Snapshot id -> when it was made before the provider's eyes, of those that a disk brought later."""

    trees: Trees | None = None
    """The folders of its versions, once it is admitted."""

    run_pass: Pass | None = None
    """Likewise, where the password has opened it."""

    @property
    def storage(self) -> Storage:
        return self.lies or Folder(self.path)

    @property
    def location(self) -> str:
        return self.storage.location

    @contextmanager
    def admitted(self, before: Remembered, writable: bool) -> Iterator[tuple[Repository, Admission]]:
        """The same one with nothing in it that was not judged, for as long as the context lasts."""
        self._process()
        try:
            admission = Admission(self.storage, self.password, before)
        except sealed.Missing as error:
            raise RepositoryError(self.location, error.problem, error.remedy) from None
        with shown(admission, writable) as view:
            seen = replace(self, lies=view, trees=Trees(admission), run_pass=admission.run_pass)
            yield seen, admission

    # -- reading ----------------------------------------------------------------------------------------

    def snapshots(self) -> tuple[Snapshot, ...]:
        """All snapshots with their arrival, that is the time at which the server wrote their file."""
        listed = json.loads("".join(self._run("snapshots", "--json", "--no-lock"))) or []
        arrivals = self.storage.arrivals()
        incomplete = {mark for entry in listed if (mark := _marks(entry)) is not None}
        result = []
        for entry in listed:
            if entry["id"] not in arrivals:
                continue  # someone has forgotten it since
            result.append(
                Snapshot(
                    id=entry["id"],
                    host=self.server,
                    time=moment_of(entry["time"]),
                    arrival=self.arrived.get(entry["id"], arrivals[entry["id"]]),
                    paths=frozenset(entry["paths"] or ()),
                    complete=entry["id"] not in incomplete,
                    marks=_marks(entry),
                    summary=_summary(entry.get("summary")),
                    tree=str(entry.get("tree", "")),
                )
            )
        return tuple(result)

    def measure(
        self, snapshot: Snapshot, older: Sequence[tuple[Snapshot, Measure]], left: Left = NOTHING
    ) -> tuple[Measure, ...]:
        """Read from the trees of a version and of each of the older ones; of none, it is the first.

        What has `left` the contract, and is not in the version any more, is not counted of the older ones.
        Takes as long as the trees are large. Raises Interrupted after `limit`, Unmeasurable for no tree.
        """
        if (trees := self.trees) is None:
            raise ValueError("the repository was not admitted")
        try:
            size = trees.size(snapshot.tree, self.limit)
            if older:
                tree = snapshot.tree
                left = left.less(lambda one: trees.holds(tree, one.stands, self.limit))
            before = {
                one.id: trees.size_of_rest(one.tree, left.stands, self.limit)
                if left
                else Size(known.entries, known.bytes)
                for one, known in older
            }
            if not older:
                return (Measure(*size),)
            return tuple(
                self._difference(snapshot, size, one, before[one.id], left, trees) for one, _known in older
            )
        except TooLong:
            raise Interrupted(self.location, f"{snapshot.id[:8]} was not read in time", SEE_VERSION) from None
        except sealed.Rubbish as error:
            raise Unmeasurable(self.location, f"a folder of {snapshot.id[:8]} {error}", SEE_VERSION) from None

    def _difference(
        self, snapshot: Snapshot, size: Size, older: Snapshot, before: Size, left: Left, trees: Trees
    ) -> Measure:
        folders = {in_tree(path): path for path in older.paths}
        gone, totals, touched, removed = [], {}, set(), 0
        for text in self._run("diff", "--json", "--no-lock", older.id, snapshot.id):
            line = json.loads(text)
            if line["message_type"] == "statistics":
                totals = line
                continue
            if line.get("modifier") == "+" or (left and left.stands(line["path"]) is Stands.OUT):
                continue
            touched.add(line["path"])
            if line.get("modifier") == "-":
                removed += not line["path"].endswith("/")
                if line["path"] in folders:
                    gone.append(folders[line["path"]])
        return Measure(
            *size,
            older.id,
            *before,
            totals["changed_files"],
            removed if left else totals["removed"]["files"],
            tuple(gone),
            # restic counts what describes folders too, which is more than the contents where files are small.
            min(totals["removed"]["bytes"], trees.size_of_files(older.tree, touched, self.limit)),
        )

    def stored_bytes(self) -> int:
        """The size of all files of the repository, as a server's quota counts it."""
        return self.storage.stored_bytes()

    def check(self, subset: str | None = None) -> Check:
        """The structure, and the data of `subset` ("3/30": the third of thirty slices; "100%": all)."""
        options = ["--read-data-subset", subset] if subset else []
        try:
            for _unused in self._run("check", "--json", "--no-lock", *options):
                pass
        except RepositoryError as error:
            if type(error) is not RepositoryError or "repository contains errors" not in error.problem:
                raise
            messages = _complaints(error.said)
        else:
            return Check((), ())
        packs = tuple(dict.fromkeys(pack for text in messages for pack in PACK.findall(text)))
        # What reads on about such a pack says no more than that.
        others = [text for text in messages if not any(pack[:10] in text for pack in packs)]
        errors = [*(f"the pack {pack} is damaged or gone" for pack in packs), *others]
        return Check(tuple(errors) or ("restic check names no reason",), packs, bool(packs) and not others)

    def blobs_of(self, packs: Collection[str]) -> list[str]:
        """The ids of what the packs hold, by the index; the packs themselves need not be readable."""
        return [blob["id"] for pack, blob in self._index() if pack in packs] if packs else []

    def _index(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Each blob with the pack that holds it."""
        for name in "".join(self._run("list", "index", "--no-lock")).split():
            for pack in json.loads("".join(self._run("cat", "index", name, "--no-lock")))["packs"]:
                for blob in pack["blobs"]:
                    yield pack["id"], blob

    def files_with(self, snapshot: str, blobs: Sequence[str]) -> list[str] | None:
        """The paths of its files that need one of `blobs`; None: its folders cannot all be read."""
        found: list[str] = []
        for start in range(0, len(blobs), 1000):  # a command line has its limit
            text = "".join(
                self._run(
                    *("find", "--json", "--no-lock", "--snapshot", snapshot, "--blob"),
                    *blobs[start : start + 1000],
                )
            )
            try:
                entries = json.loads(text)
            except ValueError:
                return None  # restic says between the lines that it cannot load a folder
            found += [entry["path"] for entry in entries or () if entry.get("object_type") == "blob"]
        return sorted(set(found))

    def files(self, snapshot: str) -> Iterator[Recorded]:
        """The regular files of a snapshot."""
        for text in self._run("ls", "--json", "--no-lock", snapshot):
            node = _json(text)
            if node.get("type") == "file":
                yield Recorded(node["path"], int(node.get("size", 0)))

    def readable(self, snapshot: str) -> bool:
        """Whether restic can list all files of a snapshot, within a minute."""
        try:
            for _unused in replace(self, limit=60).files(snapshot):
                pass
        except Interrupted:
            return True  # nobody knows
        except RepositoryError as error:
            if type(error) is not RepositoryError:
                raise
            return False
        return True

    @contextmanager
    def dumped(self, snapshot: str, path: str, seconds: float) -> Iterator[Callable[[int], bytes]]:
        """To read a file of a snapshot, part by part, for so many seconds; nothing is written to disk.

        What is left of it when the context ends is not read. Raises RepositoryError at the end.
        """
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors:
            with self._started(("dump", "--no-lock", snapshot, path), errors) as process:
                watch = threading.Timer(seconds, process.kill)
                watch.start()
                ended = False
                try:
                    yield lambda size: process.stdout.read(size) if process.stdout else b""
                    ended = process.stdout is not None and not process.stdout.read(1)
                finally:
                    watch.cancel()
                    if not ended:
                        process.kill()
            errors.seek(0)
            if ended and process.returncode != 0:
                raise self._error("dump", process.returncode, errors.read())

    # -- changing ---------------------------------------------------------------------------------------

    def forget(self, ids: Sequence[str]) -> None:
        """Remove the snapshots `ids`; those that are gone already do not matter. Data stays until prune."""
        for some in _in_lines(ids):
            self._locking("forget", *some)
            self._refuse_left(some)

    def prune(self, max_unused: str = "5%", ids: Sequence[str] = ()) -> None:
        """Remove the snapshots `ids` and, by the same call, the data that no other one needs.

        May be killed at any time: the next run finishes.
        """
        *lines, last = _in_lines(ids) or [()]
        for some in lines:
            self.forget(some)
        verb = ("forget", *last, "--prune") if last else ("prune",)
        try:
            self._locking(*verb, "--max-unused", max_unused)
            self._refuse_left(last)
        except DiskFull:
            self.forget(last)
            # Repacking needs room before it frees some; whole packs can go without.
            self._locking("prune", "--max-unused", "unlimited", "--max-repack-size", "0")

    def _refuse_left(self, ids: Sequence[str]) -> None:
        """restic that cannot list the snapshots removes none, prunes nothing, and ends with exit code 0."""
        if left := self.storage.listed("snapshots").keys() & set(ids):
            raise RepositoryError(
                self.location,
                f"restic forget left {len(left)} of {len(ids)} snapshots that were to be removed",
                "Run again: what held it up is named then",
            )

    def _locking(self, *arguments: str) -> None:
        """Run with an exclusive lock, waiting for it. Of those that restic is shown it lifts the ones whose
        process on this very host is dead.
        """
        end, pause = time.monotonic() + self.patience, 1.0
        while True:
            try:
                # Each time anew, unlike restic's own --retry-lock: whoever held it may have died meanwhile.
                unlock = [("unlock",)] if self.storage.listed("locks") else []
                for command in (*unlock, arguments):
                    for _unused in self._run(*command):
                        pass
                return
            except Locked:
                if time.monotonic() + pause > end:
                    raise
                time.sleep(pause)
                pause = min(2 * pause, 30)

    # -- restic -----------------------------------------------------------------------------------------

    def _run(self, *arguments: str) -> Iterator[str]:
        """The lines of restic's standard output, as they come. Raises RepositoryError at the end."""
        # A file, since nobody reads a pipe of errors while the lines are read.
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors:
            process = self._started(arguments, errors)
            watch = threading.Timer(self.limit, process.terminate)
            watch.start()
            with process:
                try:
                    for line in process.stdout or ():
                        yield line.decode("utf-8", "replace")
                finally:
                    watch.cancel()
                    if sys.exc_info()[0] is not None:
                        process.terminate()
            if process.returncode != 0:
                errors.seek(0)
                raise self._error(arguments[0], process.returncode, errors.read())

    def _started(self, arguments: Sequence[str], errors: IO[str]) -> subprocess.Popen[bytes]:
        """restic at work, with what it says in `errors`. Raises RepositoryError."""
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "LANG": "C.UTF-8",
            "RESTIC_PASSWORD": self.password,
            "RESTIC_PROGRESS_FPS": "0.1",
            **self.storage.environment(),
        }
        if self.run_pass and arguments[0] not in BY_PASSWORD:
            environment["RESTIC_PASSWORD"] = self.run_pass.password
            environment["RESTIC_KEY_HINT"] = self.run_pass.name  # else it tries the other one first
        try:
            return subprocess.Popen(
                [self.restic, "--repo", self.storage.address, "--no-cache", *arguments],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                **self._process(),
            )
        except OSError as error:
            raise RepositoryError(
                self.location,
                f"{self.restic} cannot be started ({error.strerror})",
                "Install restic there",
            ) from error

    def _process(self) -> As:
        try:
            return self.storage.process()
        except NoRepository:
            raise self._error("", 10, "") from None
        except Unusable as error:
            raise RepositoryError(self.location, error.problem, error.remedy) from None

    def _error(self, verb: str, code: int, text: str) -> RepositoryError:
        if known := meaning(code, text, ON_HOST):
            kind = KINDS.get(known.name, RepositoryError)
            return kind(
                self.location, known.problem.format(repository="the repository"), known.host_remedy, text
            )
        message = _message(text) or f"exit code {code}"
        if code < 0:
            return Interrupted(
                self.location, f"restic {verb} was stopped ({message})", "Run again: nothing is lost"
            )
        return RepositoryError(
            self.location,
            f"restic {verb} failed ({message})",
            "Look at what restic check says about the repository",
            text,
        )


def _in_lines(ids: Sequence[str]) -> list[Sequence[str]]:
    """As many at once as a command line holds."""
    return [ids[start : start + 500] for start in range(0, len(ids), 500)]


def _complaints(text: str) -> list[str]:
    """What a check names as wrong, without the advice after it; a message may go on in the next one."""
    said = ""
    for line in text.splitlines():
        message = str(_json(line).get("message") or "")
        if message.startswith("\n"):
            break
        said += message if message.endswith("\n") else f"{message}\n"
    return list(dict.fromkeys(" ".join(one.split()) for one in said.replace("\n  ", " ").splitlines()))


def _message(text: str) -> str:
    """What restic gives as the reason: the last JSON error, else the last line."""
    for line in reversed(text.strip().splitlines()):
        parsed = _json(line)
        said = str(parsed.get("message") or "") if parsed else line
        if said.strip():
            return said.strip().splitlines()[0].removeprefix("Fatal: ")
    return ""


def _json(line: str) -> dict[str, Any]:
    """The object of a line of JSON; empty for any other line."""
    try:
        value = json.loads(line)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _marks(entry: dict[str, Any]) -> str | None:
    tags: Iterable[str] = entry.get("tags") or ()
    return next((found[1] for tag in tags if (found := MARK.fullmatch(tag))), None)


def _summary(entry: dict[str, Any] | None) -> Summary | None:
    if not entry:
        return None
    return Summary(
        files=int(entry.get("total_files_processed", 0)),
        bytes=int(entry.get("total_bytes_processed", 0)),
        added_bytes=int(entry.get("data_added_packed", 0)),
        seconds=(moment_of(entry["backup_end"]) - moment_of(entry["backup_start"])).total_seconds(),
    )


def moment_of(text: str) -> datetime:
    """RFC 3339 as Go writes it; what no calendar holds (a forger's year 0) is the beginning of all time."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
