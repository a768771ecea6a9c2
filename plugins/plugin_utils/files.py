"""Files on the controller: one that is written whole or not at all, names that are safe in every folder, and
where the collection lies."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..module_utils.maintenance import files as primitive
from .errors import ProSecoursError

COLLECTION = Path(__file__).resolve().parents[2]
"""The root of the collection: where paths to its own files begin, so that none of them counts floors."""


class CannotWrite(ProSecoursError):
    """A file cannot be written, or its folder cannot be made."""


class Busy(ProSecoursError):
    """Another run is at work in a folder."""


@contextmanager
def alone(folder: Path, remedy: str) -> Iterator[None]:
    """Held by one run at a time, so that two technicians do not do the same twice; a missing folder is made.

    Raises Busy, or CannotWrite with `remedy`.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w")
    except OSError as error:
        raise CannotWrite(f"{folder} cannot be written ({error.strerror})", remedy) from error
    busy = Busy(f"Another run is at work in {folder}", "Wait until it has ended")
    with lock, primitive.locked(lock, busy):
        yield


def write_whole(
    path: str | Path,
    content: str | bytes,
    mode: int = 0o640,
    remedy: str = "Name another folder, or make room and see to the rights there",
) -> Path:
    """Write a file that survives a power cut whole, or as it was; a missing folder is made. The path of it.

    Raises CannotWrite with `remedy`.
    """
    target = Path(path)
    data = content.encode() if isinstance(content, str) else content
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        primitive.write_whole(target, data, mode)
    except OSError as error:
        raise CannotWrite(f"{target} cannot be written: {error.strerror}", remedy) from error
    return target


def remove(path: Path, remedy: str = "See to the rights there, or remove it by hand") -> None:
    """Remove a file that is no longer true. Raises CannotWrite with `remedy`."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise CannotWrite(f"{path} cannot be removed: {error.strerror}", remedy) from error


def safe_name(text: str) -> str:
    """A file name of any name: what is not a letter, a digit, ".", "_" or "-" becomes "_"."""
    return re.sub(r"[^\w.-]", "_", text)
