"""A file that others read whole or not at all, whatever happens meanwhile. The one place that writes one.

It stands in this package because the package is copied alone to the repository host; the controller's side
(`plugin_utils/files.py`) and `repository_host` write by it too.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path


def write_whole(path: Path, content: bytes, mode: int, owner: tuple[int, int] | None = None) -> None:
    """Replace or make `path`; its folder is there. `owner`: user and group id, None for this process's.

    When it returns, content and name have reached the disk: without the first fsync a power cut may leave the
    new name with nothing in it, without the second the old file. When it raises OSError, the old file stands,
    or the new one whole.
    """
    descriptor, name = tempfile.mkstemp(prefix=".new-", dir=path.parent)
    draft = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            if owner:
                os.fchown(file.fileno(), *owner)
            os.fchmod(file.fileno(), mode)  # after the change of owner, which may clear bits
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """The names in a folder, on the disk. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
