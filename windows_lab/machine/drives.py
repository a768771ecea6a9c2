"""The drives of a lab host as folders of Linux: Windows paths to Linux paths, first contents, limits."""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Mapping
from pathlib import Path, PureWindowsPath
from typing import Any

from windows_lab.errors import LabError

_ABSOLUTE = re.compile(r"^(?:\\\\[?.]\\)?([A-Za-z]):(?:\\(.*))?$", re.DOTALL)
_FORBIDDEN = re.compile(r'[<>"|?*:\x00-\x1f]')


class NoSuchDrive(OSError):
    """A path that lies on no drive of this host."""


class Drives:
    """Letters (upper case) and their folders. Names keep their case and are found without regard to it."""

    def __init__(self, folders: Mapping[str, Path]) -> None:
        self.folders = dict(folders)
        self._lock = threading.Lock()
        self._room: int | None = None

    def absolute(self, path: str, cwd: str) -> str:
        """`path` as Windows makes it absolute: no `.` or `..`, backslashes, upper-case drive letter, trailing
        dots and spaces of names dropped. Raises NoSuchDrive."""
        path = path.replace("/", "\\")
        if re.match(r"^[A-Za-z]:(?!\\)", path):
            path = (cwd if path[0].upper() == cwd[:1].upper() else path[:2]) + "\\" + path[2:]
        elif path.startswith("\\") and not path.startswith("\\\\"):
            path = cwd[:2] + path
        elif not _ABSOLUTE.match(path) and not path.startswith("\\\\"):
            path = f"{cwd}\\{path}"
        match = _ABSOLUTE.match(path)
        if not match or match[1].upper() not in self.folders:
            raise NoSuchDrive(path)
        parts: list[str] = []
        for part in (match[2] or "").split("\\"):
            name = part if part in (".", "..") else part.rstrip(". ")
            if name == "..":
                parts = parts[:-1]
            elif name not in ("", "."):
                parts.append(name)
        return f"{match[1].upper()}:\\" + "\\".join(parts)

    def find(self, absolute: str) -> Path:
        """The Linux path of an absolute Windows path; parts that do not exist keep the given case."""
        folder = self.folders[absolute[0]]
        for part in absolute[3:].split("\\"):
            if part:
                folder = _child(folder, part)
        return folder

    def windows(self, path: Path) -> str:
        """The absolute Windows path of a Linux path on one of the drives."""
        for letter, folder in self.folders.items():
            if path == folder or folder in path.parents:
                return f"{letter}:\\" + "\\".join(path.relative_to(folder).parts)
        raise NoSuchDrive(str(path))

    # -- room -------------------------------------------------------------------------------------------

    def limit(self, room: int | None) -> None:
        """What all drives together can still take, in bytes; None takes the limit away. Obeyed by emulated
        programs only: Wine has no way to make a real program meet a full disk."""
        with self._lock:
            self._room = room

    def take(self, size: int) -> bool:
        """Takes `size` bytes of the room; False when there is not enough."""
        with self._lock:
            if self._room is None:
                return True
            if size > self._room:
                self._room = 0
                return False
            self._room -= size
            return True

    # -- contents ---------------------------------------------------------------------------------------

    def seed(self, tree: Mapping[str, Any]) -> None:
        """Fills drives with what they do not hold yet; raises LabError.

        `tree` maps absolute Windows paths to contents: a mapping is a folder (names to contents), an
        integer a file of so many bytes, a text a file of this text in UTF-8, null an empty folder."""
        for path, content in tree.items():
            try:
                target = self.find(self.absolute(path, ""))
            except NoSuchDrive:
                raise LabError(
                    f"lab_files: {path} lies on no drive of this host. Add the drive to lab_drives."
                ) from None
            _place(target, path, content)

    def copy(self, source: Path) -> None:
        """Fills drives from a Linux folder whose top folders are drive letters (D, I ...)."""
        if not source.is_dir():
            raise LabError(f"lab_fixture: there is no folder {source}. Correct its path.")
        for letter in source.iterdir():
            if letter.name.upper() not in self.folders or not letter.is_dir():
                raise LabError(f"lab_fixture: {letter} is no folder named like a drive of this host.")
            shutil.copytree(letter, self.folders[letter.name.upper()], dirs_exist_ok=True)


def _child(folder: Path, name: str) -> Path:
    exact = folder / name
    if exact.exists() or not folder.is_dir():
        return exact
    wanted = name.casefold()
    return next((entry for entry in folder.iterdir() if entry.name.casefold() == wanted), exact)


def _place(target: Path, name: str, content: object) -> None:
    if isinstance(content, Mapping):
        target.mkdir(parents=True, exist_ok=True)
        for inner, below in content.items():
            parts = str(inner).replace("/", "\\").split("\\")
            if any(_FORBIDDEN.search(part) or part != part.rstrip(". ") or not part for part in parts):
                raise LabError(f"lab_files: Windows has no file of the name {name}\\{inner}. Rename it.")
            _place(target.joinpath(*parts), f"{name}\\{inner}", below)
    elif content is None:
        target.mkdir(parents=True, exist_ok=True)
    elif isinstance(content, (str, int)) and not isinstance(content, bool):
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            target.write_bytes(content.encode() if isinstance(content, str) else filler(name, content))
    else:
        raise LabError(f"lab_files: {name} is neither a folder, a size, a text nor null.")


_ZIP, _OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
BEGINS = {
    ".bak": b"TAPE",
    ".pdf": b"%PDF-1.7\r\n",
    **dict.fromkeys((".zip", ".docx", ".xlsx", ".pptx"), _ZIP),
    **dict.fromkeys((".doc", ".xls", ".ppt", ".msg"), _OLE),
    **dict.fromkeys((".jpg", ".jpeg"), b"\xff\xd8\xff"),
    ".png": b"\x89PNG\r\n\x1a\n",
    ".mdb": b"\x00\x01\x00\x00Standard Jet DB",
}
"""First bytes of files by their ending: who looks at them takes no lab file for one that was spoilt."""


def filler(name: str, size: int) -> bytes:
    """`size` bytes that differ from file to file and are the same at every start of the lab."""
    begin, line = BEGINS.get(PureWindowsPath(name.casefold()).suffix, b""), f"{name.casefold()}\r\n".encode()
    return (begin + line * (size // len(line) + 1))[:size]
