"""A first backup that travels on an external disk (C16): what the repository host does about it.

The disk is given the configuration and the key of the server's own repository. So what is put on it is cut
into the same parts, sealed by the same key and opened by the same password, and is copied as it stands; who
has the disk alone reads nothing. What comes back was at a client's: it is an attacker's until it was judged
as an upload is, whole packs before anything that speaks of them. Standard library only.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from . import shape
from .admission import Admission
from .errors import ProSecoursError
from .repository import Repository, moment_of
from .retention import day_of
from .sealed import Missing, Rubbish
from .state import State
from .storage import Entry, Folder
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
        if config.read_bytes() == wanted["config"]:
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
    return True


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all. The file systems of such disks know no owners and modes."""
    draft = path.with_name(f".new-{path.name[:8]}")
    with draft.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    os.sync()


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
    admission = _opened(repository, state)
    with _disk():
        there = {f"{kind}/{name}": one for kind in KINDS for name, one in source.listed(kind).items()}
    here = {f"{kind}/{name}" for kind in KINDS for name in target.listed(kind)}
    missing = [name for name in manifest.files if name not in here]
    _hold(there, {name: manifest.files[name] for name in missing}, source)
    told = Loaded(
        len(missing),
        sum(manifest.files[name] for name in missing),
        len(there.keys() - manifest.files.keys()),
        tuple(name.partition("/")[2] for name in manifest.files if name.startswith("snapshots/")),
    )
    _room(target, told.bytes)
    if check:
        return told
    # A maintenance would prune packs that no index speaks of yet.
    with state.locked(), target.opened():
        _add(source, admission, sorted(missing, key=_order), manifest, state)
        state.keep_remembered(admission.remembered)
        if manifest.files:
            state.keep_carried(request, Carried(day_of(now()), sum(manifest.files.values())))
    return told


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
            data = source.read(kind, name)
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
    claimed = moment_of(str(admission.document(data).get("time", "")))
    if manifest.begun - CLOCK <= claimed <= manifest.ended + CLOCK:
        state.keep_arrivals({**state.arrivals(), name: claimed})


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
    for path in (place.parent, place, *(place / name for name in (*LAYOUT, "config"))):
        if path.is_symlink():
            raise DiskError(f"{path} is a link, which no step made", "Look at the disk, or take an empty one")
    return place
