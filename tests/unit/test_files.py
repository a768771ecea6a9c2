"""Files that are written whole: after a power cut, on a full disk, in a wrong folder; and who writes so."""

from __future__ import annotations

import errno
import grp
import os
import pwd
import signal
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, NoReturn

import pytest
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance import files as primitive
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.state import State
from ansible_collections.prosecours.backup.plugins.module_utils.repository_host import changes
from ansible_collections.prosecours.backup.plugins.plugin_utils import files
from ansible_collections.prosecours.backup.plugins.plugin_utils.journal import entries, export
from ansible_collections.prosecours.backup.plugins.plugin_utils.preflight import run as preflight
from ansible_collections.prosecours.backup.plugins.plugin_utils.restore import find
from unit.preflight.test_run import REPORTS


class Disk:
    """What a power cut would leave: of each file and folder the state at its last fsync.

    It stands beside the real folder and listens to os.fsync, so it holds for whatever way a file is written.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._content: dict[int, bytes] = {}
        self._names: dict[Path, dict[str, int]] = {}
        real = os.fsync

        def fsync(descriptor: int) -> None:
            real(descriptor)
            found = os.fstat(descriptor)
            place = Path(f"/proc/self/fd/{descriptor}").readlink()
            if stat.S_ISDIR(found.st_mode):
                self._names[place] = {entry.name: entry.inode() for entry in os.scandir(place)}
            else:
                self._content[found.st_ino] = place.read_bytes()

        monkeypatch.setattr(os, "fsync", fsync)

    def after_a_power_cut(self, path: Path) -> bytes | None:
        """What `path` holds; None when its name is not on the disk, nothing when its content is not."""
        inode = self._names.get(path.parent, {}).get(path.name)
        return None if inode is None else self._content.get(inode, b"")


def _preflight(folder: Path) -> Path:
    return preflight.write(REPORTS[0], str(folder))


def _export(folder: Path) -> Path:
    return export.write(folder, "journal", entries.check(b""), [], check=False).files[0]


def _head(folder: Path) -> Path:
    entries.append(folder / "journal.jsonl", {"kind": "begin"})
    return folder / "journal.jsonl.head"


def _journal(folder: Path) -> Path:
    _head(folder)
    return folder / "journal.jsonl"


def _state(folder: Path) -> Path:
    State(folder).keep_failure("The bucket is gone.")
    return folder / "failure.json"


def _host(folder: Path) -> Path:
    owner = changes.Owner(pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name)
    changes.write(folder / "server.conf", "listen", owner, 0o640)
    return folder / "server.conf"


WRITERS: dict[str, Callable[[Path], Path]] = {
    "files": lambda folder: files.write_whole(folder / "a", "text"),
    "preflight": _preflight,
    "export": _export,
    "head of the journal": _head,
    "journal": _journal,
    "find": lambda folder: find.write([], "gaec", str(folder)),
    "state of maintenance": _state,
    "repository host": _host,
}


@pytest.mark.parametrize("name", WRITERS)
def test_what_is_written_is_there_after_a_power_cut(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch)
    path = WRITERS[name](tmp_path / "folder")
    assert path.read_bytes()
    assert disk.after_a_power_cut(path) == path.read_bytes()


def test_a_rename_alone_would_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk above can tell: this is how preflight and the export of the journal wrote."""
    disk = Disk(monkeypatch)
    draft, path = tmp_path / "draft", tmp_path / "report"
    draft.write_bytes(b"text")
    draft.replace(path)
    assert disk.after_a_power_cut(path) is None
    primitive.sync_folder(tmp_path)
    assert disk.after_a_power_cut(path) == b""


@pytest.mark.parametrize("fails", ["write", "fsync", "replace"])
def test_a_full_disk_leaves_the_old_file_and_nothing_else(
    fails: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    target = files.write_whole(tmp_path / "report.json", "old")
    if fails == "write":
        monkeypatch.setattr(os, "fdopen", full)
    elif fails == "fsync":
        monkeypatch.setattr(os, "fsync", full)
    else:
        monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(files.CannotWrite, match="No space left on device") as caught:
        files.write_whole(target, "new", remedy="Make room")
    assert str(caught.value) == f"{target} cannot be written: No space left on device. Make room."
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("report.json", "old")]


def test_files_are_for_owner_and_group_whatever_the_umask(tmp_path: Path) -> None:
    target = tmp_path / "rapports" / "août.html"
    old = os.umask(0o077)
    try:
        files.write_whole(target, "<p>é</p>")
        files.write_whole(target, "<p>è</p>")
    finally:
        os.umask(old)
    assert target.read_text("utf-8") == "<p>è</p>"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert list(target.parent.iterdir()) == [target]
    assert stat.S_IMODE(files.write_whole(target, b"", mode=0o644).stat().st_mode) == 0o644


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    target = tmp_path / "file" / "août" / "rapport.html"
    with pytest.raises(files.CannotWrite) as caught:
        files.write_whole(target, "")
    assert str(caught.value) == (
        f"{target} cannot be written: Not a directory. "
        "Name another folder, or make room and see to the rights there."
    )


def test_what_was_begun_is_cleared_away(tmp_path: Path) -> None:
    (tmp_path / "rapport.html").mkdir()
    with pytest.raises(files.CannotWrite, match="Is a directory"):
        files.write_whole(tmp_path / "rapport.html", "")
    assert [path.name for path in tmp_path.iterdir()] == ["rapport.html"]


def test_a_very_long_name_is_written(tmp_path: Path) -> None:
    assert files.write_whole(tmp_path / ("n" * 250), "text").read_text() == "text"


@pytest.mark.parametrize(
    ("name", "safe"), [("moulin-srv1", "moulin-srv1"), ("../a b", ".._a_b"), ("été.local", "été.local")]
)
def test_a_safe_name(name: str, safe: str) -> None:
    assert files.safe_name(name) == safe


def test_the_collection_is_where_its_galaxy_file_is() -> None:
    assert (files.COLLECTION / "galaxy.yml").is_file()


def test_two_at_once_do_not_do_the_same_twice(tmp_path: Path) -> None:
    folder = tmp_path / "2026-10"
    refused = pytest.raises(files.Busy, match="Another run is at work")
    with files.alone(folder, "Set it"), refused, files.alone(folder, "Set it"):
        pytest.fail("two at once")
    with files.alone(folder, "Set it"):
        pass


class InUse(Exception):
    """Raised for whoever does not get the lock."""


def test_a_lock_is_given_back_also_where_a_program_that_was_just_started_has_the_file(tmp_path: Path) -> None:
    """Between fork and exec a program of another thread has all descriptors: one maintenance in a few hundred
    was told that another one was at work, and it was the same."""
    path = tmp_path / "lock"
    with path.open("w") as file, primitive.locked(file, InUse()):
        program = subprocess.Popen(["cat"], stdin=subprocess.PIPE, pass_fds=[file.fileno()])
        with path.open("w") as other, pytest.raises(InUse), primitive.locked(other, InUse(), 0.1):
            pass
    with program, path.open("w") as other, primitive.locked(other, InUse()):
        assert program.poll() is None


def test_whoever_died_holds_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.touch()
    other = subprocess.Popen(["flock", path, "cat"], stdin=subprocess.PIPE, process_group=0)
    with other, path.open("w") as file:
        while not _held(file):
            assert other.poll() is None
        os.killpg(other.pid, signal.SIGKILL)
        with primitive.locked(file, InUse(), 20):
            pass


def _held(file: IO[str]) -> bool:
    try:
        with primitive.locked(file, InUse()):
            return False
    except InUse:
        return True


def test_a_folder_to_be_alone_in_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused = pytest.raises(files.CannotWrite, match=r"cannot be written \(Not a directory\)\. Set it")
    with refused, files.alone(tmp_path / "file" / "clients", "Set it"):
        pytest.fail("no folder")
