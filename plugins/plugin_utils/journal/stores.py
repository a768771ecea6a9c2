"""Where a journal is kept: what `entries` asks of a place, and the file, which needs nothing but a disk.

A store knows lines, not what they say: their form and their chain are for `entries`. The other store is the
database of database.py.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ...module_utils.maintenance.files import locked, write_whole
from ...module_utils.maintenance.shape import as_json, read
from ..errors import ProSecoursError

PATIENCE = 60.0
"""Seconds to wait for another writer, who needs milliseconds."""
NEW_HEAD = (
    "Compare the journal with a head that was kept elsewhere (docs/journal.md); the next run writes down that"
    " this one was spoilt, and keeps a new one"
)
Say = Callable[[str], None]
"""Told what a technician should know and what stops nothing."""


class JournalError(ProSecoursError):
    """The journal cannot be read or written."""


class SpoiltHead(JournalError):
    """What lies beside the journal is no head."""


@dataclass(frozen=True)
class Head:
    """The newest number and hash, to be kept elsewhere; of an empty journal 0 and None."""

    entries: int
    head: str | None

    def __str__(self) -> str:
        """As people note it and `journal.yml` reads it: 124:3f5a…"""
        return f"{self.entries}:{self.head}" if self.entries else "none"

    @classmethod
    def read(cls, line: bytes) -> Head:
        """Raises ValueError."""
        return read(cls, json.loads(line))

    def line(self) -> bytes:
        """As a store keeps it."""
        return json.dumps(as_json(self), sort_keys=True, separators=(",", ":")).encode("ascii")


class Writing(Protocol):
    """A journal that nobody else writes meanwhile. Lines are bytes without their end."""

    def backwards(self) -> Iterator[bytes]:
        """Its lines, from the last on: who needs the end does not read the rest."""

    def heads(self) -> Sequence[Head]:
        """The head that is kept beside it, if there is one. Raises SpoiltHead."""

    def add(self, lines: Sequence[bytes], head: Head, stamps: Sequence[bytes] = ()) -> None:
        """Lines, the head that the journal has with them, and stamps; on the disk when the writing ends."""


class Store(Protocol):
    """A place of a journal; as text, what people call it. All raise JournalError."""

    @property
    def kept(self) -> str:
        """What is kept here, for people."""

    @property
    def waiting(self) -> Path | None:
        """The local file for what could not be written in its time (late.py); None where none would help."""

    def text(self) -> bytes:
        """All lines with their ends; the last may lack its own. Of a journal that is not there, nothing."""

    def heads(self) -> Sequence[Head]:
        """The head that is kept beside it, if there is one. Raises SpoiltHead."""

    def stamps(self) -> Sequence[bytes]:
        """The lines about heads that an authority stamped (elsewhere.py)."""

    def keep_stamp(self, line: bytes) -> None:
        """One more of them."""

    def writing(self, say: Say) -> AbstractContextManager[Writing]:
        """The journal, for this process alone; made where there is none."""


# -- a file ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FileStore:
    """The journal is a file, its head and its stamps are files beside it.

    It is only ever appended to, under a lock, so that it may be made append-only for the kernel as well.
    """

    path: Path
    waiting: None = None  # what lies beside it is on the same disk

    def __str__(self) -> str:
        return str(self.path)

    @property
    def kept(self) -> str:
        return f"The journal is kept in the file {self}"

    def text(self) -> bytes:
        return self._text(self.path)

    def heads(self) -> Sequence[Head]:
        text = self._text(self._head)
        if not text:
            return []
        try:
            return [Head.read(text)]
        except ValueError as error:
            raise SpoiltHead(
                f"{self._head} is not what the journal keeps there",
                NEW_HEAD,
            ) from error

    def stamps(self) -> Sequence[bytes]:
        try:
            return self._stamps.read_bytes().splitlines()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise JournalError(
                f"{self._stamps} cannot be read ({error.strerror})", "Give yourself the right to read it"
            ) from error

    def keep_stamp(self, line: bytes) -> None:
        try:
            mode = self.path.stat().st_mode & 0o666
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
            with open(os.open(self._stamps, flags, mode), "ab") as out:  # noqa: PTH123
                out.write(line + b"\n")
                out.flush()
                os.fsync(out.fileno())
        except OSError as error:
            raise JournalError(
                f"The time stamp of the journal cannot be kept in {self._stamps} ({error.strerror})",
                "Make room there, or give yourself the right to write it",
            ) from error

    @contextmanager
    def writing(self, say: Say) -> Iterator[Writing]:  # noqa: ARG002  # a file has nothing to say
        busy = JournalError(
            f"Another process has held the journal {self.path} for {PATIENCE:.0f} seconds",
            f"See which one with `fuser -v {self.path}`, and start again when it is done",
        )
        try:
            _make_folder(self.path.parent)
            descriptor = _open(self.path)
            try:
                with locked(descriptor, busy, PATIENCE):
                    held = _Held(self, descriptor, _read(descriptor))
                    if not held.text and not self._text(self._head):
                        # From its first entry on a journal has a head: one without was robbed of it.
                        held.keep(Head(0, None))
                    yield held
            finally:
                os.close(descriptor)
        except OSError as error:
            raise JournalError(
                f"The journal {self} cannot be written ({error.strerror})",
                "Every intervention has to be journalled (C10): make room, or give yourself the right to"
                " write there (docs/journal.md)",
            ) from error

    @property
    def _head(self) -> Path:
        return self.path.with_name(f"{self.path.name}.head")

    @property
    def _stamps(self) -> Path:
        return self.path.with_name(f"{self.path.name}.stamps")

    def _text(self, path: Path) -> bytes:
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise JournalError(
                f"The journal {path} cannot be read ({error.strerror})", "Give yourself the right to read it"
            ) from error


@dataclass(frozen=True)
class _Held:
    """A file under its lock, with what was in it when it was taken."""

    store: FileStore
    descriptor: int
    text: bytes

    def backwards(self) -> Iterator[bytes]:
        *lines, rest = self.text.split(b"\n")
        return reversed([*lines, rest] if rest else lines)

    def heads(self) -> Sequence[Head]:
        return self.store.heads()

    def add(self, lines: Sequence[bytes], head: Head, stamps: Sequence[bytes] = ()) -> None:
        data = b"".join(line + b"\n" for line in lines)
        if self.text and not self.text.endswith(b"\n"):
            data = b"\n" + data  # a killed writer left a part of a line, which stays
        write_all(self.descriptor, data)
        self.keep(head)
        for stamp in stamps:
            self.store.keep_stamp(stamp)

    def keep(self, head: Head) -> None:
        """After the entry is on the disk, so that the head that is kept is never ahead of the journal. The
        folder follows, and with it the name of a new journal."""
        mode = stat.S_IMODE(os.fstat(self.descriptor).st_mode)
        write_whole(self.store._head, head.line() + b"\n", mode)


def write_all(descriptor: int, data: bytes) -> None:
    """All of it, and on the disk. Raises OSError."""
    while data:
        data = data[os.write(descriptor, data) :]
    os.fsync(descriptor)


def _make_folder(folder: Path) -> None:
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)  # another one may be making it right now


def _open(path: Path) -> int:
    """The journal, opened to append and read.

    In a folder with the setgid bit a new journal is for the group, as several technicians write it; else for
    its owner alone.
    """
    if not path.exists():
        shared = path.parent.stat().st_mode & stat.S_ISGID
        # Has its rights before it has its name: another technician may open it in the same moment.
        draft, name = tempfile.mkstemp(prefix=".new-", dir=path.parent)
        try:
            os.fchmod(draft, 0o660 if shared else 0o600)  # whatever the umask
            with contextlib.suppress(FileExistsError):
                os.link(name, path)
        finally:
            os.close(draft)
            Path(name).unlink()
    return os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)


def _read(descriptor: int) -> bytes:
    with os.fdopen(os.dup(descriptor), "rb") as file:
        file.seek(0)
        return file.read()
