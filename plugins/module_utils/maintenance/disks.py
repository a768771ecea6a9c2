"""Backups that travel on an external disk (C16): what the repository host does about it.

A disk for a first backup is given the configuration and the key of the server's own repository. So what is
put on it is cut into the same parts, sealed by the same key and opened by the same password, and is copied as
it stands; who has the disk alone reads nothing. What comes back was at a client's: it is an attacker's until
it was judged as an upload is, whole packs before anything that speaks of them.

A disk for a restore holds one version, in a repository that a code of its own opens. Standard library only.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from . import shape
from .admission import LARGEST_SEALED, MOST_KEYS, Admission
from .errors import ProSecoursError
from .repository import Repository, moment_of
from .retention import day_of
from .sealed import LARGEST_FILE, Missing, Rubbish, key_of
from .state import State
from .storage import Entry, Folder
from .trees import TooLong, Trees
from .volume import Carried

FOLDER = "ProSecours"
"""On a disk, with a repository for each server in it."""
KINDS = ("data", "index", "snapshots")
"""What is loaded, in this order: nothing speaks of what is not there yet."""
LAYOUT = ("data", "index", "keys", "locks", "snapshots")
SERIAL = re.compile(r"[0-9A-F]{4}-[0-9A-F]{4}")
FILE_SYSTEMS = ("exfat", "ntfs", "vfat")
"""Those that both sides know and that have such a serial number, as lsblk calls them."""
CLOCK = timedelta(minutes=15)
"""By which a server's clock may differ from ours."""
SAVE_EVERY = 500_000_000
"""Bytes after which is written down what was read."""
SECONDS = 1800.0
"""For all folders of a version."""
AGAIN = "then run the same step again: it goes on where it stopped"


class DiskError(ProSecoursError):
    """The disk, or what is on it, will not do."""


@dataclass(frozen=True)
class Volume:
    """How a disk is known on both sides."""

    serial: str
    """Of its volume, as Windows writes it: 1A2B-3C4D."""
    label: str


@dataclass(frozen=True)
class Manifest:
    """What was on the disk when it was handed over."""

    files: Mapping[str, int]
    """"data/<id>", "index/<id>", "snapshots/<id>" -> bytes."""
    begun: datetime
    """The backup on it was made between these two instants, by the controller's clock."""
    ended: datetime


@dataclass(frozen=True)
class Loaded:
    """What a run of `load` has to tell."""

    files: int
    """That it added; in check mode: would add."""
    bytes: int
    foreign: int
    """Files on the disk that the manifest does not name: nobody looked at them."""
    snapshots: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Device:
    path: str
    uuid: str | None = None
    label: str | None = None
    fstype: str | None = None
    mountpoints: tuple[str | None, ...] = ()

    @property
    def serial(self) -> str:
        """NTFS has 64 bits, of which Windows shows the lower half; the others have 32."""
        digits = (self.uuid or "").replace("-", "").upper()[-8:]
        return f"{digits[:4]}-{digits[4:]}" if self.fstype in FILE_SYSTEMS else ""

    def __str__(self) -> str:
        return f"{self.serial} {self.label or 'without a label'}"


@dataclass(frozen=True)
class _Devices:
    blockdevices: tuple[_Device, ...] = field(default_factory=tuple)


def mounted(volume: Volume, lsblk: str) -> Path:
    """Where the disk is mounted. `lsblk`: the program of util-linux. Raises DiskError."""
    columns = "PATH,UUID,LABEL,FSTYPE,MOUNTPOINTS"
    try:
        done = subprocess.run(
            [lsblk, "--json", "--list", "--output", columns],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        found = shape.read(_Devices, json.loads(done.stdout)).blockdevices
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise DiskError(f"{lsblk} does not list the disks ({error})", "Install util-linux 2.37") from None
    disks = [one for one in found if SERIAL.fullmatch(one.serial)]
    mine = [one for one in disks if one.serial == volume.serial]
    if not mine:
        there = ", ".join(map(str, disks)) or "none"
        raise DiskError(
            f"the disk {volume.serial} is not here (disks that are: {there})", "Plug the right disk in"
        )
    if len(mine) > 1:
        raise DiskError(f"two disks have the serial number {volume.serial}", "Leave the right one plugged in")
    [disk] = mine
    if disk.label != volume.label:
        raise DiskError(
            f"the disk {volume.serial} has the label {disk.label or 'nothing'}, not {volume.label}",
            "Take the right disk, or correct the request",
        )
    places = [Path(place) for place in disk.mountpoints if place]
    if not places:
        raise DiskError(
            f"the disk {volume.serial} is not mounted",
            f"Run mount -o nodev,nosuid,noexec {disk.path} /mnt",
        )
    return places[0]


# -- prepare --------------------------------------------------------------------------------------------


def prepare(repository: Repository, state: State, disk: Path, check: bool) -> bool:
    """Make the repository of the server on the disk; whether there was anything to do.

    May be killed at any point, and called again: the configuration comes last. Raises DiskError, OSError.
    """
    storage = repository.storage
    key = _opened(repository, state).key_name
    wanted = {
        f"keys/{key}": storage.read("keys", str(key)),
        "config": storage.read("config", "config"),
    }
    place = _place(disk, repository.server)
    config = place / "config"
    if config.is_file():
        # By no more bytes than there may be: the disk may have been anybody's.
        if Folder(place).read("config", "config", 0, len(wanted["config"]) + 1) == wanted["config"]:
            return False
        raise DiskError(
            f"{place} holds another repository",
            "Take an empty disk, or remove that folder once it is not needed",
        )
    if check:
        return True
    with _disk():
        for name in LAYOUT:
            (place / name).mkdir(parents=True, exist_ok=True)
        for name, content in wanted.items():
            _write(place / name, content)
        os.sync()
    return True


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all, and through no link. The file systems of such disks know no owners and modes."""
    draft = path.with_name(f".new-{path.name[:8]}")
    draft.unlink(missing_ok=True)
    with draft.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


# -- load -----------------------------------------------------------------------------------------------


def load(
    repository: Repository,
    state: State,
    disk: Path,
    manifest: Manifest,
    request: str,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    check: bool = False,
) -> Loaded:
    """Add to the repository what the manifest names and the repository has not; nothing is replaced.

    `request`: what it is billed under. May be killed at any point, and called again. Raises DiskError, Busy,
    OSError of the repository's own disk.
    """
    source, target = Folder(_place(disk, repository.server)), repository.storage
    with _alone(state, check):
        admission = _opened(repository, state)
        with _disk():
            there = {f"{kind}/{name}": one for kind in KINDS for name, one in source.listed(kind).items()}
        here = {f"{kind}/{name}" for kind in KINDS for name in target.listed(kind)}
        missing = sorted((name for name in manifest.files if name not in here), key=_order)
        _hold(there, {name: manifest.files[name] for name in missing}, source)
        told = Loaded(
            len(missing),
            sum(manifest.files[name] for name in missing),
            len(there.keys() - manifest.files.keys()),
            tuple(name.partition("/")[2] for name in manifest.files if name.startswith("snapshots/")),
        )
        _room(target, told.bytes)
        if not check:
            with target.opened():
                _add(source, admission, missing, manifest, state)
            state.keep_remembered(admission.remembered)
            state.keep_carried(request, Carried(day_of(now()), sum(manifest.files.values())))
    return told


@contextmanager
def _alone(state: State, check: bool) -> Iterator[None]:
    """No maintenance meanwhile: it would prune packs that no index speaks of yet, or that are still read."""
    with nullcontext() if check else state.locked():
        yield


def _order(name: str) -> tuple[int, str]:
    return KINDS.index(name.partition("/")[0]), name


def _hold(there: Mapping[str, Entry], wanted: Mapping[str, int], source: Folder) -> None:
    """The disk against the manifest, before anything is touched."""
    lacking = [name for name, size in wanted.items() if name not in there or there[name].size != size]
    if lacking:
        raise DiskError(
            f"the disk does not agree with its manifest: {len(lacking)} of {len(wanted)} files are missing or"
            f" of another size ({lacking[0][:20]}); nothing was loaded",
            "Find out who had the disk; then prepare and fill another",
            source.location,
        )
    if large := [name for name, size in wanted.items() if size > LARGEST_FILE]:
        problem = f"{large[0][:20]} on the disk is larger than any file that restic makes; nothing was loaded"
        raise DiskError(problem, "Find out who had the disk; then prepare and fill another", source.location)


def _room(target: object, wanted: int) -> None:
    if isinstance(target, Folder) and wanted > (free := shutil.disk_usage(target.path).free):
        raise DiskError(
            f"{wanted} bytes are to be loaded, and the disk of the repositories has {free} left",
            f"Make room there, {AGAIN}",
            target.location,
        )


def _add(source: Folder, admission: Admission, names: list[str], manifest: Manifest, state: State) -> None:
    read = saved = 0
    for done, file in enumerate(names):
        kind, _unused, name = file.partition("/")
        with _disk(f"{done} of {len(names)} files are loaded"):
            data = source.read(kind, name, 0, manifest.files[file])
        try:
            if kind == "snapshots":
                _believe(admission, name, data, manifest, state)
            admission.arrived(kind, name, data)
        except Rubbish as error:
            raise DiskError(
                f"{kind}/{name[:8]} on the disk {error}; it was not loaded, nor anything after it",
                "Find out who had the disk; then prepare and fill another. What was loaded before is true",
                source.location,
            ) from None
        read += len(data)
        if read - saved >= SAVE_EVERY:
            saved = read
            state.keep_remembered(admission.remembered)


def _believe(admission: Admission, name: str, data: bytes, manifest: Manifest, state: State) -> None:
    """A version that claims the hours in which the provider had it made is of then, although it comes late.

    Any other claim is held against the day on which it came, as ever.
    """
    claimed = moment_of(str(admission.document(name, data)["time"]))
    if manifest.begun - CLOCK <= claimed <= manifest.ended + CLOCK:
        state.keep_arrivals({**state.arrivals(), name: claimed})


# -- export ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Exported:
    """What a run of `export` put on the disk; in check mode: would put."""

    files: Mapping[str, int]
    """The manifest, by name and bytes."""
    added: int
    """How many of them were not there yet."""


def export(
    repository: Repository,
    state: State,
    disk: Path,
    version: str,
    code: str,
    beside: Mapping[str, bytes],
    request: str,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    check: bool = False,
) -> Exported:
    """Put one version on the disk, as a repository of its own that `code` opens, and read all of it back.

    `beside`: name -> content of what lies beside it. What is read of the repository is judged on the way, and
    nothing in it is changed. The configuration comes last: without it there is no repository. May be
    killed at any point, and called again. Raises DiskError, Busy, OSError.
    """
    place = _place(disk, export_name(repository.server))
    with _alone(state, check):
        admission = _opened(repository, state)
        if not admission.verify(None if check else state.keep_remembered) and admission.lies:
            problem = f"{next(iter(admission.lies.values()))}: what a restore would bring back is not certain"
            remedy = "See docs/retention.md, what to do about an index that lies; then run it again"
            raise DiskError(problem, remedy, repository.location)
        files = _needed(admission, version, repository)
        known = Folder(place)
        with _disk():
            others = [name for name in known.listed("snapshots") if name != version]
            there = {f"{kind}/{name}": one.size for kind in KINDS for name, one in known.listed(kind).items()}
        if others:
            problem, remedy = f"{place} holds another version ({others[0][:8]})", "Take an empty disk"
            raise DiskError(problem, remedy)
        missing = [name for name in files if there.get(name) != files[name]]
        wanted = sum(files[name] for name in missing) + sum(map(len, beside.values()))
        if wanted > (free := shutil.disk_usage(disk).free):
            problem = f"{wanted} bytes are to be written, and the disk has {free} left: it is too small"
            raise DiskError(problem, "Write a request for a larger disk")
        if check:
            return Exported(files, len(missing))
        for number, name in enumerate(missing):
            data = _true(admission, name, repository)
            with _disk(f"{number} of {len(missing)} files are on it"):
                _write_into(place / _way(name), data)
        os.sync()
        _read_back(place, files)
        with _disk("all files are on it"):
            _finish(place, admission, code, beside)
        bill = Carried(day_of(now()), sum(files.values()), taken=True)
        state.keep_carried(request, bill)
    return Exported(files, len(missing))


def export_name(server: str) -> str:
    """Of the folder on the disk."""
    return f"restauration-{server}"


def _needed(admission: Admission, version: str, repository: Repository) -> dict[str, int]:
    """The files that hold a version, by name and bytes, in the order in which they are written."""
    try:
        if version not in (admission.names("snapshots") or ()):
            raise Rubbish("is not there any more")
        wanted = Trees(admission).parts(admission.trees[version], SECONDS)
        # A part that two packs hold comes with both: the indexes name both, and restic may ask for either.
        holding = [(pack, blob.id) for pack, blob in admission.blobs() if blob.id in wanted]
        held = {pack for pack, _part in holding}
        if wanted - {part for _pack, part in holding}:
            raise Rubbish("lacks a part")
        chosen = {"data": held, "index": admission.indexes_of(held), "snapshots": {version}}
        names = [(kind, name) for kind in KINDS for name in sorted(chosen[kind])]
        return {f"{kind}/{name}": repository.storage.size(kind, name) for kind, name in names}
    except (Rubbish, TooLong, FileNotFoundError) as error:
        why = str(error) if isinstance(error, Rubbish) else "lacks a file, or could not be read in time"
        remedy = "Run it again: a version is chosen anew. If it is said again, see docs/checks.md"
        raise DiskError(f"the version {version[:8]} {why}", remedy, repository.location) from None


def _true(admission: Admission, name: str, repository: Repository) -> bytes:
    kind, _unused, file = name.partition("/")
    try:
        return admission.true(kind, file)
    except Rubbish as error:
        problem = f"{kind}/{file[:8]} of the repository {error}; it was not put on the disk"
        raise DiskError(problem, "See docs/checks.md, what to do about damage", repository.location) from None


def _way(name: str) -> Path:
    kind, _unused, file = name.partition("/")
    return Path(kind, file[:2], file) if kind == "data" else Path(kind, file)


def _write_into(path: Path, content: bytes) -> None:
    _no_link(path.parent)
    path.parent.mkdir(parents=True, exist_ok=True)
    _write(path, content)


def _read_back(place: Path, files: Mapping[str, int]) -> None:
    """All that is on the disk, and not what the system remembers of it."""
    for name in files:
        path = place / _way(name)
        with _disk("all files are on it"), path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            read = hashlib.file_digest(file, "sha256").hexdigest()
        if read != path.name:
            with _disk():
                path.unlink()
            raise DiskError(
                f"the disk did not keep {name[:20]} as it was written",
                "Take another disk, with a new request",
            )


def _finish(place: Path, admission: Admission, code: str, beside: Mapping[str, bytes]) -> None:
    keys = place / "keys"
    keys.mkdir(exist_ok=True)
    (place / "locks").mkdir(exist_ok=True)
    known = Folder(place)
    small = [name for name, one in known.listed("keys").items() if one.size <= LARGEST_SEALED["keys"]]
    if not any(_opens(known.read("keys", name), code) for name in small[:MOST_KEYS]):
        key = admission.key_for(code)
        _write(keys / hashlib.sha256(key).hexdigest(), key)
    for name, content in beside.items():
        _write(place.parent / name, content)
    _write(place / "config", admission.storage.read("config", "config"))
    os.sync()


def _opens(key: bytes, code: str) -> bool:
    try:
        key_of(code, key)
    except Rubbish:
        return False
    return True


def _opened(repository: Repository, state: State) -> Admission:
    """Raises DiskError, NoRepository, Unusable."""
    try:
        admission = Admission(repository.storage, repository.password, state.remembered())
    except Missing as error:
        raise DiskError(error.problem, error.remedy, repository.location) from None
    if admission.key_name is None:
        raise DiskError(
            "there is no repository that the server's encryption password opens",
            "Run playbooks/deploy.yml first: the server makes it",
            repository.location,
        )
    return admission


@contextmanager
def _disk(so_far: str = "nothing was changed") -> Iterator[None]:
    """What the system says of a disk that was pulled out, or that fails, as a sentence."""
    try:
        yield
    except OSError as error:
        raise DiskError(
            f"the disk cannot be read or written ({error.strerror or error}); {so_far}",
            f"See that it is plugged in, mounted and not full, {AGAIN}",
        ) from error


def _place(disk: Path, server: str) -> Path:
    """The server's repository on the disk. A disk may hold links that lead to the host's own files."""
    place = disk / FOLDER / server
    inside = (*(place / name for name in (*LAYOUT, "config")), *place.parent.glob("*"))
    for path in (place.parent, place, *inside):
        _no_link(path)
    return place


def _no_link(path: Path) -> None:
    if path.is_symlink():
        raise DiskError(f"{path} is a link, which no step made", "Look at the disk, or take an empty one")
