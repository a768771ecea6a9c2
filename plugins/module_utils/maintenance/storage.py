"""Where a repository lies: what the maintenance needs to know of a folder, beside restic.

`bucket.Bucket` answers the same questions of a repository at a storage supplier. Standard library only.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol, TypedDict

from .errors import ProSecoursError
from .files import sync_folder
from .gate import Gate

NAME = re.compile(r"[0-9a-f]{64}")
WRITE = """
umask 077; set -e; mkdir -p -- "${1%/*}"
trap 'rm -f -- "$1-tmp-$$"' EXIT
cat >"$1-tmp-$$"; sync -- "$1-tmp-$$"; chmod "${2:-400}" -- "$1-tmp-$$"
mv -- "$1-tmp-$$" "$1"; sync -- "${1%/*}"
"""
"""For a shell: a file from its standard input, whole or not at all, also when the machine goes down; with
the mode that is given, 400 without one."""
REMOVE = 'rm -f -- "$1"'
EMPTY = 'set -e; chmod -R u+rwX -- "$1"; find "$1" -xdev -mindepth 1 -delete'
"""Likewise: all that is in a folder. Nothing follows a link."""
GOING = ".going-"
"""Begins the name of what is being dropped; no login has one."""


class Unusable(ProSecoursError):
    """The place cannot be used."""


class NoRepository(Exception):
    """There is no repository."""


class Entry(NamedTuple):
    """A file of a repository."""

    size: int
    """Bytes."""
    at: datetime
    """When the server wrote it (UTC)."""


class As(TypedDict, total=False):
    """As whom a program runs: Popen's arguments; none, as this one does."""

    user: int
    group: int
    extra_groups: list[int]


class Door(Protocol):
    """Whether new backups of a client are let in."""

    @property
    def closed(self) -> bool | None:
        """None when they are in part, or otherwise than it should be."""

    @property
    def fenced(self) -> bool:
        """Where there is a repository, no key, configuration or further repository can be added."""

    def move(self, closed: bool) -> None:
        """Close or open it. May be killed at any point, and called again."""


class Storage(Protocol):
    """What a place tells of a repository."""

    @property
    def location(self) -> str:
        """For sentences."""

    @property
    def distant(self) -> bool:
        """Whether it is reached by requests that take time and cost money."""

    @property
    def address(self) -> str:
        """As restic's --repo takes it."""

    def opened(self) -> AbstractContextManager[None]:
        """A context in which the provider may write, whatever a door says; after it, all is as before."""

    def environment(self) -> Mapping[str, str]:
        """What restic needs to get there."""

    def process(self) -> As:
        """The one who may write there. Raises NoRepository, Unusable."""

    def arrivals(self) -> Mapping[str, datetime]:
        """Snapshot id -> when the server wrote its file (UTC)."""

    def listed(self, kind: str) -> Mapping[str, Entry]:
        """The files of "data", "index", "keys", "locks" or "snapshots" whose names restic gives."""

    def size(self, kind: str, name: str) -> int:
        """Bytes of a file; "config" has that as its name too. Raises FileNotFoundError, as the next three."""

    def read(self, kind: str, name: str, start: int = 0, size: int | None = None) -> bytes:
        """Of a file, or `size` bytes of it from `start` on."""

    def write(self, kind: str, name: str, data: bytes) -> None:
        """A new file, whole or not at all."""

    def remove(self, kind: str, name: str) -> None:
        """A file."""

    def stored_bytes(self) -> int:
        """The size of all files of the repository, as a server's quota counts it."""

    def overwritten(self) -> Mapping[str, object]:
        """What somebody wrote over, by name; nothing where the server in front refuses that."""

    def forget(self, now: datetime) -> None:
        """Let go of what was deleted long ago and is still kept."""


class Whole(Storage, Protocol):
    """A place itself, no view of it."""

    def drop(self) -> None:
        """All of it, for ever. May be killed at any point, and called again."""


@dataclass(frozen=True)
class Folder:
    """A repository on this host's disk, with or without a rest-server in front."""

    path: Path

    @property
    def location(self) -> str:
        return str(self.path)

    @property
    def distant(self) -> bool:
        return False

    @property
    def address(self) -> str:
        return str(self.path)

    def opened(self) -> AbstractContextManager[None]:
        return Gate(self.path, (self.path,)).opened()

    def environment(self) -> Mapping[str, str]:
        return {}

    def process(self) -> As:
        """As the owner of the repository. Only root can become someone else.

        Whoever breaks into the server in front owns its folder: he can put a link there to a file of another
        user, but no file.
        """
        try:
            owner = (self.path / "config").lstat()
        except FileNotFoundError:
            raise NoRepository from None
        except PermissionError:
            raise Unusable("it cannot be read", "Run as root or its owner") from None
        if not stat.S_ISREG(owner.st_mode):
            raise Unusable("its config is not a regular file", "Find out who replaced it before all else")
        if os.geteuid() != 0 or owner.st_uid == 0:
            return {}
        return {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}

    def arrivals(self) -> Mapping[str, datetime]:
        found = {}
        with os.scandir(self.path / "snapshots") as entries:
            for entry in entries:
                if not NAME.fullmatch(entry.name):
                    continue  # what rest-server left of an upload that it refused
                try:
                    found[entry.name] = datetime.fromtimestamp(entry.stat().st_mtime, UTC)
                except FileNotFoundError:
                    continue  # someone has forgotten it since
        return found

    def listed(self, kind: str) -> Mapping[str, Entry]:
        folders = (
            [self.path / kind / f"{number:02x}" for number in range(256)]
            if kind == "data"
            else [self.path / kind]
        )
        found = {}
        for folder in folders:
            try:
                with os.scandir(folder) as entries:
                    for entry in entries:
                        with contextlib.suppress(FileNotFoundError):  # a lock that was lifted meanwhile
                            known = entry.stat(follow_symlinks=False)
                            if stat.S_ISREG(known.st_mode) and NAME.fullmatch(entry.name):
                                at = datetime.fromtimestamp(known.st_mtime, UTC)
                                found[entry.name] = Entry(known.st_size, at)
            except FileNotFoundError:
                continue
        return found

    def size(self, kind: str, name: str) -> int:
        with self._opened(kind, name) as file:
            return os.fstat(file.fileno()).st_size

    def read(self, kind: str, name: str, start: int = 0, size: int | None = None) -> bytes:
        with self._opened(kind, name) as file:
            file.seek(start)
            return file.read() if size is None else file.read(size)

    @contextmanager
    def _opened(self, kind: str, name: str) -> Iterator[BinaryIO]:
        """Whoever breaks into the server in front could put a link or a pipe there: neither is followed."""
        handle = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            *folders, last = _parts(kind, name)
            for folder in folders:
                inner = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=handle)
                os.close(handle)
                handle = inner
            file = os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=handle)
        finally:
            os.close(handle)
        with open(file, "rb") as opened:  # noqa: PTH123 -- a descriptor
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise FileNotFoundError(f"{kind}/{name}")
            yield opened

    def write(self, kind: str, name: str, data: bytes) -> None:
        self._as_owner(WRITE, kind, name, data)

    def remove(self, kind: str, name: str) -> None:
        self._as_owner(REMOVE, kind, name)

    def _as_owner(self, script: str, kind: str, name: str, given: bytes = b"") -> None:
        """The folder belongs to the user of the server in front: root changes nothing in it."""
        path = self.path.joinpath(*_parts(kind, name))
        shell(script, str(path.absolute()), who=self.process(), given=given)

    def stored_bytes(self) -> int:
        total = 0
        for folder, _unused, names in os.walk(self.path):
            for name in names:
                try:
                    total += Path(folder, name).lstat().st_size
                except FileNotFoundError:
                    continue  # a lock that was lifted meanwhile
        return total

    def overwritten(self) -> Mapping[str, object]:
        return {}

    def forget(self, now: datetime) -> None:
        """Nothing is kept."""

    def drop(self) -> None:
        """In one step it is no repository any more, in a second one it is not there."""
        top = self.path.parent
        sweep(top)
        if self.path.is_dir():
            with _writable(top):
                self.path.rename(top / f"{GOING}{self.path.name}")
            sync_folder(top)
            sweep(top)


def sweep(top: Path) -> None:
    """Whatever is left in a client's folder of repositories that are being dropped. Raises OSError.

    What is inside of one belongs to the user of the server in front, and is removed as him.
    """
    for folder in sorted(top.glob(f"{GOING}*")):
        owner = folder.lstat()
        himself: As = {}
        if os.geteuid() == 0 and owner.st_uid != 0:
            himself = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}
        shell(EMPTY, str(folder), who=himself)
        with _writable(top):
            folder.rmdir()


@contextmanager
def _writable(folder: Path) -> Iterator[None]:
    """Its owner may write there, although the gate is closed."""
    mode = stat.S_IMODE(folder.stat().st_mode)
    folder.chmod(mode | stat.S_IWUSR)
    try:
        yield
    finally:
        folder.chmod(mode)


def shell(script: str, *arguments: str, who: As, given: bytes = b"") -> None:
    """Run one of the scripts above, `given` on its standard input. Raises OSError with its last words."""
    done = subprocess.run(
        ["sh", "-c", script, "sh", *arguments],
        input=given,
        cwd="/",
        capture_output=True,
        env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
        check=False,
        **who,
    )
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise OSError(0, said[-1] if said else "it failed", arguments[0])


def _parts(kind: str, name: str) -> tuple[str, ...]:
    """The way to a file from the repository's folder, as restic's default layout has it."""
    if kind == "config":
        return ("config",)
    return (kind, name[:2], name) if kind == "data" else (kind, name)
