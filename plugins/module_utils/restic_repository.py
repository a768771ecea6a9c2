"""One restic repository on the disk of the repository host, and the Linux restic that works on it.

The password goes by the environment, never on a command line, and restic runs as the owner of the repository:
what it writes stays readable to the server in front of it. Reading takes no lock. Every restic error becomes
one sentence and what to do. Standard library only.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from .retention import Snapshot, Summary
from .storage import Folder, Missing, Storage, Unusable
from .sudden_loss import Measure

MARK = "incomplete="
"""The tag of a mark, before the id of the snapshot that it marks.

The agent learns that a backup was incomplete (restic's exit code 3) only when its snapshot is written. That
snapshot does not tell, and the agent's credentials cannot change it, so the agent adds a snapshot of its
status file with this tag. A forged mark gains nothing: incomplete versions are kept and measured too."""


PACK = re.compile(r"\bpack ([0-9a-f]{64})\b")
GLOB = re.compile(r"[][*?\\]")
REMOVE = 'chmod -R u+rwX -- "{0}" && rm -rf -- "{0}"'
"""For a shell. Folders come back from a restore with their rights: also such that are read-only."""
CRYPTO_OVERHEAD = (
    32  # bytes of a blob that was not compressed: nonce and code (design document, "Pack Format")
)


class RepositoryError(Exception):
    """restic did not do what it was asked for; `problem` and `remedy` are a sentence each."""

    def __init__(self, where: Path | str, problem: str, remedy: str, said: str = "") -> None:
        super().__init__(f"{where}: {problem}. {remedy}.")
        self.problem = problem
        self.remedy = remedy
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


class Interrupted(RepositoryError):
    """Exit code 130, or killed, or longer than allowed: begun work is continued by the next run."""


# restic's exit codes (manual, "Scripting"); any other one is a failure that its message tells.
EXIT_CODES: dict[int, tuple[type[RepositoryError], str, str]] = {
    10: (NotARepository, "there is no repository", "Correct the path, or deploy the client first"),
    11: (
        Locked,
        "the repository is locked",
        "Run again when the backup or the maintenance has ended",
    ),
    12: (
        WrongPassword,
        "the encryption password is wrong",
        "Give the password of the client's inventory file",
    ),
    130: (Interrupted, "restic was interrupted", "Run again: nothing is lost"),
}


@dataclass(frozen=True)
class Lock:
    """A lock, as whoever holds it wrote it down; restic renews it every five minutes."""

    host: str
    pid: int
    since: datetime
    """When it was last renewed."""

    def stale(self, now: datetime) -> bool:
        """As restic's own `unlock` judges: not renewed for 30 minutes, or its process here is gone."""
        if now - self.since > timedelta(minutes=30):
            return True
        return self.host == socket.gethostname() and not Path(f"/proc/{self.pid}").exists()


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
    """Where it lies, if that is not a folder without a server in front."""

    @property
    def storage(self) -> Storage:
        return self.lies or Folder(self.path, self.path)

    @property
    def location(self) -> str:
        return self.storage.location

    # -- reading ------------------------------------------------------------------------------------

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
                    host=entry.get("hostname", ""),
                    time=_time(entry["time"]),
                    arrival=arrivals[entry["id"]],
                    paths=frozenset(entry["paths"] or ()),
                    complete=entry["id"] not in incomplete,
                    marks=_marks(entry),
                    summary=_summary(entry.get("summary")),
                )
            )
        return tuple(result)

    def locks(self) -> tuple[Lock, ...]:
        """Who works on the repository, or died while working; those that go while they are read are none."""
        found = []
        for name in "".join(self._run("list", "locks", "--no-lock")).split():
            try:
                entry = json.loads("".join(self._run("cat", "lock", name, "--no-lock")))
            except RepositoryError as error:
                if type(error) is not RepositoryError:
                    raise
                continue
            found.append(Lock(entry.get("hostname", ""), int(entry.get("pid", 0)), _time(entry["time"])))
        return tuple(sorted(found, key=lambda lock: lock.since))

    def measure(self, snapshot: Snapshot, before: tuple[Snapshot, Measure] | None) -> Measure:
        """Read from the trees of a version and of the one before it. Takes as long as the trees are large."""
        text = "".join(self._run("stats", "--json", "--no-lock", "--mode", "restore-size", snapshot.id))
        stats = json.loads(text)
        entries, size = int(stats.get("total_file_count", 0)), int(stats["total_size"])
        if before is None:
            return Measure(entries, size)
        older, known = before
        folders = {_in_tree(path): path for path in older.paths}
        gone, totals = [], {}
        for text in self._run("diff", "--json", "--no-lock", older.id, snapshot.id):
            line = json.loads(text)
            if line["message_type"] == "statistics":
                totals = line
            elif line.get("modifier") == "-" and line["path"] in folders:
                gone.append(folders[line["path"]])
        return Measure(
            entries,
            size,
            older.id,
            known.entries,
            known.bytes,
            totals["changed_files"],
            totals["removed"]["files"],
            tuple(gone),
        )

    def stored_bytes(self) -> int:
        """The size of all files of the repository, as a server's quota counts it."""
        return self.storage.stored_bytes()

    def check(self, subset: str | None = None) -> Check:
        """The structure, and the data of `subset` ("3/30": the third of thirty slices; "100%": all)."""
        options = ["--read-data-subset", subset] if subset else []
        try:
            for _ in self._run("check", "--json", "--no-lock", *options):
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

    def blob_sizes(self, wanted: Collection[str]) -> dict[str, int]:
        """blob id -> bytes in clear, by the index."""
        sizes: dict[str, int] = {}
        for _, blob in self._index():
            if blob["id"] in wanted:
                sizes[blob["id"]] = blob.get("uncompressed_length") or blob["length"] - CRYPTO_OVERHEAD
                if len(sizes) == len(wanted):
                    break
        return sizes

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

    def files(self, snapshot: str) -> Iterator[dict[str, Any]]:
        """The regular files of a snapshot: path, size and what else restic lists."""
        for text in self._run("ls", "--json", "--no-lock", snapshot):
            node = _json(text)
            if node.get("type") == "file":
                yield node

    def folder(self, snapshot: str, path: str) -> list[dict[str, Any]]:
        """What a snapshot records of a folder: its nodes, files with the ids of their parts."""
        tree = json.loads("".join(self._run("cat", "tree", f"{snapshot}:{path}", "--no-lock")))
        return [{**node, "name": _unquoted(node["name"])} for node in tree["nodes"]]

    @contextmanager
    def restored(
        self, snapshot: str, paths: Iterable[str], folder: Path
    ) -> Iterator[tuple[Path, str | None]]:
        """Files of a snapshot, restored to a new place in `folder` and removed again; and restic's complaint.

        The place belongs to the owner of the repository, and nobody else can enter it. Raises OSError.
        """
        mine = folder / f"prosecours-drill-{hashlib.sha256(str(self.path).encode()).hexdigest()[:16]}"
        place = mine.with_name(f"{mine.name}-{secrets.token_hex(8)}")
        # What a run that was killed has left. Others can make names in the folder too: theirs are let be.
        old = f'if [ -O "$old" ] && [ ! -L "$old" ]; then {REMOVE.format("$old")}; fi'
        self._as_owner(f'for old in "$1"-*; do {old}; done', mine)
        # A list of patterns, in which names are to mean themselves.
        wanted = "".join(GLOB.sub(r"\\\g<0>", path).replace("$", "$$") + "\n" for path in paths)
        self._as_owner('umask 077 && mkdir -- "$1" && cat >"$1/wanted"', place, wanted)
        complaint = None
        try:
            try:
                options = ("--include-file", str(place / "wanted"), "--target", str(place / "files"))
                for _ in self._run("restore", "--no-lock", snapshot, *options):
                    pass
            except RepositoryError as error:
                complaint = error.problem
            yield place / "files", complaint
        finally:
            self._as_owner(REMOVE.format("$1"), place)

    def _as_owner(self, script: str, path: Path, given: str = "") -> None:
        done = subprocess.run(
            ["sh", "-c", script, "sh", str(path)],
            input=given,
            encoding="utf-8",
            errors="surrogateescape",
            capture_output=True,
            check=False,
            **self._process(),
        )
        if done.returncode != 0:
            raise OSError(f"{path}: {done.stderr.strip()}. Give the drill a folder with room.")

    # -- changing -----------------------------------------------------------------------------------

    def forget(self, ids: Sequence[str]) -> None:
        """Remove the snapshots `ids`; those that are gone already do not matter. Data stays until prune."""
        for start in range(0, len(ids), 500):  # a command line has its limit
            self._locking("forget", *ids[start : start + 500])

    def prune(self, max_unused: str = "5%") -> None:
        """Remove the data that no snapshot needs. May be killed at any time: the next run finishes."""
        try:
            self._locking("prune", "--max-unused", max_unused)
        except DiskFull:
            # Repacking needs room before it frees some; whole packs can go without.
            self._locking("prune", "--max-unused", "unlimited", "--max-repack-size", "0")

    def _locking(self, *arguments: str) -> None:
        """Run with an exclusive lock, waiting for it. A lock is lifted only when restic proves it stale: its
        process on this very host is dead, or it was not renewed for 30 minutes, six times what is due.
        """
        end, pause = time.monotonic() + self.patience, 1.0
        while True:
            try:
                # Each time anew, unlike restic's own --retry-lock: whoever held it may have died meanwhile.
                for command in (("unlock",), arguments):
                    for _ in self._run(*command):
                        pass
                return
            except Locked:
                if time.monotonic() + pause > end:
                    raise
                time.sleep(pause)
                pause = min(2 * pause, 30)

    # -- restic -------------------------------------------------------------------------------------

    def _run(self, *arguments: str) -> Iterator[str]:
        """The lines of restic's standard output, as they come. Raises RepositoryError at the end."""
        command = [self.restic, "--repo", self.location, "--no-cache", *arguments]
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "LANG": "C.UTF-8",
            "RESTIC_PASSWORD": self.password,
            "RESTIC_PROGRESS_FPS": "0.1",
            **self.storage.environment(),
        }
        # A file, since nobody reads a pipe of errors while the lines are read.
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors:
            try:
                process = subprocess.Popen(
                    command,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    encoding="utf-8",
                    errors="replace",
                    **self._process(),
                )
            except OSError as error:
                raise RepositoryError(
                    self.location,
                    f"{self.restic} cannot be started ({error.strerror})",
                    "Install restic there",
                ) from error
            watch = threading.Timer(self.limit, process.terminate)
            watch.start()
            with process:
                try:
                    yield from process.stdout or ()
                finally:
                    watch.cancel()
                    if sys.exc_info()[0] is not None:
                        process.terminate()
            if process.returncode != 0:
                errors.seek(0)
                raise self._error(arguments[0], process.returncode, errors.read())

    def _process(self) -> Mapping[str, Any]:
        """Popen's arguments."""
        try:
            return self.storage.process()
        except Missing:
            raise self._known(10) from None
        except Unusable as error:
            raise RepositoryError(self.location, error.problem, error.remedy) from None

    def _known(self, code: int) -> RepositoryError:
        kind, problem, remedy = EXIT_CODES[code]
        return kind(self.location, problem, remedy)

    def _error(self, verb: str, code: int, text: str) -> RepositoryError:
        if code in EXIT_CODES:
            return self._known(code)
        message = _message(text) or f"exit code {code}"
        if "no space left on device" in text or "quota exceeded" in text:
            return DiskFull(
                self.location, f"restic {verb} found the disk full", "Make room on the repository host"
            )
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


def _unquoted(name: str) -> str:
    """A name as restic's trees have it: as Go's strconv.Quote writes it, without the quotes."""

    def character(match: re.Match[str]) -> str:
        code = match[1]
        if len(code) == 1:
            return {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}.get(
                code, code
            )
        number = int(code[1:], 16)
        return "\ufffd" if code[0] == "x" and number > 127 else chr(number)  # a byte that is no UTF-8

    return re.sub(r"\\(x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8}|.)", character, name)


def _json(line: str) -> dict[str, Any]:
    """The object of a line of JSON; empty for any other line."""
    try:
        value = json.loads(line)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _marks(entry: dict[str, Any]) -> str | None:
    tags: Iterable[str] = entry.get("tags") or ()
    return next((tag.removeprefix(MARK) for tag in tags if tag.startswith(MARK)), None)


def _summary(entry: dict[str, Any] | None) -> Summary | None:
    if not entry:
        return None
    return Summary(
        files=int(entry.get("total_files_processed", 0)),
        bytes=int(entry.get("total_bytes_processed", 0)),
        added_bytes=int(entry.get("data_added_packed", 0)),
        seconds=(_time(entry["backup_end"]) - _time(entry["backup_start"])).total_seconds(),
    )


def _time(text: str) -> datetime:
    """RFC 3339 as Go writes it; what no calendar holds (a forger's year 0) is the beginning of all time."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _in_tree(path: str) -> str:
    r"""A path of a snapshot as restic's trees have it: D:\isagiwf\backup is the folder /D/isagiwf/backup/."""
    if path[1:2] == ":":
        path = f"/{path[0]}{path[2:]}".replace("\\", "/")
    return path.rstrip("/") + "/"
