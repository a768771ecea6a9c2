"""What restic is shown of a repository: nothing that was not judged before.

Whoever has taken a client's server over has the password, and can add whatever he likes. Three judgements:

- **rubbish** (its name is the SHA-256 of its content, but no restic made it): never shown to restic, and
  named. restic would open nothing any more because of it;
- **a lie** (an index that says of a pack what is not so; a pack that does not hold what it lists): named, and
  nothing is removed from that repository. restic would take the false copy and prune the true one;
- **damage** (the name is not the SHA-256 of the content): left to restic's check, and nothing is removed.

Every pack is read once, when it is new, before anything is removed; what it holds is remembered as a digest,
and every index is held against that at each run. So the bytes read a night are those that arrived.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from . import locks, sealed
from .copies import Copies
from .locks import Lock
from .model import UNKNOWN_KEY
from .sealed import Blob, Document, Key, Rubbish
from .storage import Entry, Storage

MOST_NAMED = 100
"""Files set aside that are named one by one."""
MOST_LIFTED = 1000
"""Locks that a run removes: each costs a few milliseconds, or a request to a supplier."""
MOST_SAID, EACH = 32_000_000, 1000
"""Characters of the paths, tags and excludes of all snapshots, and how many each counts for besides: restic
lists them in one answer."""
MOST_KEYS = 20
"""So many are tried: each costs half a second."""
LARGEST_SEALED = {
    "config": 2 * sealed.LARGEST_DOCUMENT,
    "index": 2 * sealed.LARGEST_INDEX,
    "keys": 10_000,
    "locks": 2 * sealed.LARGEST_DOCUMENT,
    "snapshots": 2 * sealed.LARGEST_DOCUMENT,
}
"""Bytes of a file as it lies there; a larger one is not read. A client may fill his whole volume with one."""
WINDOW, MOST_WINDOWS = 1 << 20, 64
"""Bytes of a pack that are read at once for one of its parts, and how many of them are kept."""
COPIED = ("index", "keys", "snapshots")
"""Besides packs of folders, what is fetched once in a run from a place where each request costs."""
SAVE_EVERY = 500_000_000
"""Bytes of packs after which is written down what was read: a kill costs no more than that."""


@dataclass(frozen=True)
class Aside:
    """A file that restic is not shown."""

    kind: str
    name: str
    at: datetime
    why: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.name[:8]} (arrived {stamp(self.at)} UTC) {self.why}"


@dataclass(frozen=True)
class Remembered:
    """What was seen of a repository before."""

    packs: dict[str, str] = field(default_factory=dict)
    """pack id -> digest of what it holds: it was read, and it is true."""
    key: str | None = None
    """The key file that the repository was first opened with."""
    rejected: frozenset[str] = frozenset()
    """Ids, or beginnings of ids, of snapshots that technicians found forged."""


@dataclass(frozen=True)
class Pass:
    """A key to the repository that lies in no place, and is gone after the run.

    restic derives a key from the password at each call, by half a second of scrypt, which is there against
    whoever guesses passwords. This one's is a random number, which nobody guesses, and takes a millisecond.
    """

    password: str = field(repr=False)
    file: bytes = field(repr=False)

    @classmethod
    def to(cls, key: Key) -> Pass:
        word = secrets.token_hex(32)
        return cls(word, sealed.key_file(key, word, sealed.QUICK))

    @property
    def name(self) -> str:
        """As of any file of keys/."""
        return hashlib.sha256(self.file).hexdigest()


class Admission:
    """The judge of one repository, for one run. Used by the threads of a view, one at a time.

    Raises OSError, BucketError, sealed.Missing.
    """

    def __init__(self, storage: Storage, password: str, before: Remembered) -> None:
        self.storage = storage
        self.aside: dict[tuple[str, str], Aside] = {}
        self.lies: dict[str, str] = {}
        """pack id -> how it is not what an index says."""
        self.broken: set[str] = set()
        """Packs that the disk has spoiled."""
        self.read_bytes = 0
        self.strict = False
        """An index is shown only after all were verified: while something is removed."""
        self.doubtful: set[str] = set()
        """New packs with parts that another pack has too, before restic has read them as well. A prune keeps
        one of two copies, and a decompressor that is more lenient than restic's calls one true that no
        restore could read."""
        self._packs = dict(before.packs)
        self._lock = threading.RLock()
        self._windows: dict[tuple[str, int], bytes] = {}
        """(pack, number of the window) -> its bytes; the one that was used last is the last one."""
        self._admitted: dict[str, set[str]] = {"index": set(), "locks": set(), "snapshots": set()}
        self._indexes: dict[str, dict[str, set[Blob]]] = {}
        self._locks: dict[str, Lock] = {}
        self._said: dict[str, int] = {}
        """Snapshot -> what it counts for of MOST_SAID, of those that are shown."""
        self.roomless: set[str] = set()
        """Snapshots for which there was no room."""
        self._rejected = tuple(before.rejected)
        self._copies = Copies(storage) if storage.distant else None
        self._of_folders: set[str] = set()
        """Packs that hold folders, by what any index says."""
        self.trees: dict[str, str] = {}
        """Snapshot -> its topmost folder, of those that are shown."""
        self.key_name, self._key = self._opened(password, before.key)
        self.run_pass = Pass.to(self._key) if self._key else None
        """By which restic opens the repository, where it is not asked to prove that the password does."""

    @property
    def remembered(self) -> Remembered:
        return Remembered(
            {pack: text for pack, text in self._packs.items() if pack not in self.doubtful}, self.key_name
        )

    @property
    def crowded(self) -> bool:
        """A snapshot that nobody rejected has no room: restic would let its contents go with a prune."""
        return not all(name.startswith(self._rejected) for name in self.roomless)

    def names(self, kind: str) -> set[str] | None:
        """What restic may see of `kind`, by name; None: everything."""
        if self._key is None:
            return None  # restic tells best why it cannot be opened
        if kind == "keys":
            return {str(self.key_name)}
        return {*self._judged(kind)} if kind in self._admitted else None

    def _judged(self, kind: str) -> dict[str, Entry]:
        """What is there of `kind` now that restic may see."""
        with self._lock:
            here = self.storage.listed(kind)
            if kind == "locks":
                here = {name: here[name] for name in locks.holding(here, datetime.now(UTC))}
            new = here.keys() - self._admitted[kind]
            for name in sorted(new, key=lambda name: (here[name].at, name)):
                if (kind, name) not in self.aside:
                    self._judge(kind, name, here[name])
            self._admitted[kind] &= here.keys()
            if kind == "snapshots" and new:
                self._make_room(new, here)
            return {name: here[name] for name in self._admitted[kind]}

    def locks(self) -> list[Lock]:
        """Who works on the repository, or died while working: those that can be read, the last one last."""
        with self._lock:
            self.names("locks")
            here = self.storage.listed("locks")
            last = locks.latest(here)
            for name in last:
                if name not in self._locks and ("locks", name) not in self.aside and self._key is not None:
                    self._judge("locks", name, here[name])
            return [self._locks[name] for name in reversed(last) if name in self._locks]

    def lift_locks(self) -> None:
        """Remove those that hold nothing, whatever they say: restic would wait for one, or fall over it."""
        with self._lock:
            if self.names("locks") is None:
                return
            here, now = self.storage.listed("locks"), datetime.now(UTC)
            doomed = [
                name for name in here if locks.over(here[name].at, now) or ("locks", name) in self.aside
            ]
            for name in doomed[:MOST_LIFTED]:
                self.storage.remove("locks", name)

    def withholds(self, kind: str) -> bool:
        """Whether the files of `kind` are not to be listed now: what was removed would go by a lie, or by a
        part of the versions."""
        if self.strict and kind == "snapshots":
            self.names(kind)
            return self.crowded
        return self.strict and kind == "index" and not self.verify()

    def shows(self, kind: str, name: str) -> bool:
        """Whether restic may see a file."""
        if name in self._admitted.get(kind, ()) or self._is_pass(kind, name):
            return True
        names = self.names(kind)
        return names is None or name in names

    def listing(self, kind: str) -> dict[str, int]:
        """What restic is shown of `kind`: name -> bytes."""
        if kind in self._admitted and self._key is not None:
            return {name: entry.size for name, entry in self._judged(kind).items()}
        names, here = self.names(kind), self.storage.listed(kind)
        found = {name: entry.size for name, entry in here.items() if names is None or name in names}
        if kind == "keys" and self.run_pass:
            found[self.run_pass.name] = len(self.run_pass.file)
        return found

    def size(self, kind: str, name: str) -> int:
        """Of a file that restic may see."""
        return len(self.read(kind, name)) if self._is_pass(kind, name) else self.storage.size(kind, name)

    def read(self, kind: str, name: str, start: int = 0, size: int | None = None) -> bytes:
        """Likewise, `size` bytes from `start` on, or all."""
        if self.run_pass and self._is_pass(kind, name):
            return self.run_pass.file[start:][:size]
        return self._fetch(kind, name, start, size)

    def _fetch(self, kind: str, name: str, start: int = 0, size: int | None = None) -> bytes:
        """From the place, or what was fetched of it in this run."""
        if self._copies and (kind in COPIED or name in self._of_folders):
            return self._copies.read(kind, name, start, size)
        return self.storage.read(kind, name, start, size)

    def _list(self, name: str, index: dict[str, set[Blob]]) -> None:
        """An index that was judged."""
        self._indexes[name] = index
        if self._copies:
            self._of_folders |= {
                pack for pack, blobs in index.items() if any(blob.type == "tree" for blob in blobs)
            }

    def _is_pass(self, kind: str, name: str) -> bool:
        return kind == "keys" and self.run_pass is not None and name == self.run_pass.name

    def put_aside(self, snapshot: str, why: str) -> None:
        """One that was shown until now."""
        with self._lock:
            at = self.storage.listed("snapshots")[snapshot].at
            self.aside["snapshots", snapshot] = Aside("snapshots", snapshot, at, why)
            self._admitted["snapshots"].discard(snapshot)

    def written(self, kind: str, name: str, data: bytes) -> None:
        """By the maintenance's own restic, whose packs are true: it holds each part against its id."""
        with self._lock:
            self.storage.write(kind, name, data)
            if kind == "index" and self._key is not None:
                self._list(name, sealed.index_of(self._key, data))
                self._admitted["index"].add(name)
            if kind == "locks":
                self._admitted["locks"].add(name)
            if self._key is not None and kind == "data":
                self._packs[name] = sealed.digest(set(sealed.listing_of(self._key, data)))

    def arrived(self, kind: str, name: str, data: bytes) -> None:
        """Add what came past the server in front, on a disk: in the order data, index, snapshots.

        Raises Rubbish for what would be set aside, for a lie and for damage; then it is not added.
        """
        with self._lock:
            _hold(name, data)
            if kind == "data":
                held = sealed.digest(sealed.pack_of(self._opener(), data))
                self.storage.write(kind, name, data)
                self._packs[name] = held
                self.doubtful.add(name)  # whether another pack has parts of it, the next maintenance sees
            elif kind == "index":
                index = sealed.index_of(self._opener(), data)
                for pack, blobs in index.items():
                    if pack not in self._packs and (here := self._there(pack)):
                        self._read(pack, here.size, here.at)
                    if self._packs.get(pack) != sealed.digest(blobs):
                        raise Rubbish(f"says of the pack {pack[:8]} what is not so")
                self.storage.write(kind, name, data)
            else:
                self.document(name, data)
                self.storage.write(kind, name, data)

    def _there(self, pack: str) -> Entry | None:
        """A pack that the repository has, and that was not read yet."""
        try:
            return Entry(self.storage.size("data", pack), datetime.now(UTC))
        except FileNotFoundError:
            return None

    def document(self, name: str, data: bytes) -> Document:
        """What a snapshot says that came on a disk. Raises Rubbish for what is none, or none of that name."""
        _hold(name, data)
        sealed.snapshot_of(self._opener(), data)
        return self._opener().document(data)

    def removed(self, kind: str, name: str) -> None:
        """By the maintenance's own restic."""
        with self._lock:
            self.storage.remove(kind, name)
            if self._copies:
                self._copies.drop(kind, name)
            if kind == "data":
                self._packs.pop(name, None)
                self._windows = {key: one for key, one in self._windows.items() if key[0] != name}
            if kind == "index":
                self._indexes.pop(name, None)
            self._admitted.get(kind, set()).discard(name)

    def blobs(self) -> Iterator[tuple[str, Blob]]:
        """Each part that an index lists, with its pack."""
        with self._lock:
            self.names("index")
            for index in self._indexes.values():
                for pack, blobs in index.items():
                    yield from ((pack, blob) for blob in blobs)

    def indexes_of(self, packs: Collection[str]) -> set[str]:
        """Those that list one of them."""
        with self._lock:
            self.names("index")
            return {name for name, index in self._indexes.items() if not index.keys().isdisjoint(packs)}

    def true(self, kind: str, name: str) -> bytes:
        """A file that is given away: a pack with every part held against its id. Raises Rubbish."""
        data = self.storage.read(kind, name)
        _hold(name, data)
        if kind == "data":
            sealed.pack_of(self._opener(), data)
        return data

    def key_for(self, password: str) -> bytes:
        """A key file by which another password opens a copy."""
        return sealed.key_file(self._opener(), password)

    def part(self, pack: str, blob: Blob) -> bytes:
        """What is in clear of a part. Raises Rubbish."""
        if blob.length > sealed.LARGEST_FILE:  # as an index says that nobody has held against its pack
            raise Rubbish("is larger than restic makes any")
        try:
            sealed_part = self._near(pack, blob.offset, blob.length)
        except FileNotFoundError:
            raise Rubbish("lies in a pack that is not there") from None
        return sealed.part_of(self._opener(), sealed_part, blob)

    def _near(self, pack: str, offset: int, length: int) -> bytes:
        """Of a pack, with what lies around it: folders lie side by side, and in a bucket each request counts.

        Read by windows, of which the last ones are kept. A pack has its content's name, and never changes.
        """
        number = offset // WINDOW
        start = number * WINDOW
        wanted = max(WINDOW, offset + length - start)
        with self._lock:
            window = self._windows.pop((pack, number), b"")
            if len(window) < offset + length - start:
                window = self._fetch("data", pack, start, wanted)
            if len(window) <= 2 * WINDOW:
                self._windows[pack, number] = window
            while len(self._windows) > MOST_WINDOWS:
                self._windows.pop(next(iter(self._windows)))
            return window[offset - start : offset - start + length]

    def verify(self, save: Callable[[Remembered], None] | None = None) -> bool:
        """Read the packs that are new, and hold all indexes against all packs; whether there is no lie.

        Those whose parts another pack has too come first: one of two copies may be false.
        """
        if self._key is None:
            return True
        with self._lock:
            self.names("index")
            claimed: dict[str, set[Blob]] = {}
            for index in self._indexes.values():
                for pack, blobs in index.items():
                    claimed.setdefault(pack, set()).update(blobs)
            here = self.storage.listed("data")
            self._packs = {name: text for name, text in self._packs.items() if name in here}
            self.lies, self.broken = {}, set()
            times = Counter(blob.id for blobs in claimed.values() for blob in blobs)
            twice = {pack for pack, blobs in claimed.items() if any(times[blob.id] > 1 for blob in blobs)}
            saved = self.read_bytes
            for pack in sorted(claimed, key=lambda pack: (pack not in twice, pack)):
                if pack not in here:
                    continue  # a structure check names it
                if pack not in self._packs:
                    self._read(pack, here[pack].size, here[pack].at)
                    if pack in twice & self._packs.keys():
                        self.doubtful.add(pack)
                    if save and self.read_bytes - saved >= SAVE_EVERY:
                        saved = self.read_bytes
                        save(self.remembered)
                if pack in self._packs and sealed.digest(claimed[pack]) != self._packs[pack]:
                    by = next(name for name in sorted(self._indexes) if self._lying(name, pack))
                    self.lies[pack] = (
                        f"the index {by[:8]} says of the pack {pack} what is not so"
                        f" ({len(claimed[pack])} parts)"
                    )
            if save:
                save(self.remembered)
            return not self.lies and not self.broken and not (self.strict and self.doubtful)

    def refuse(self, packs: Collection[str]) -> None:
        """Of the doubtful ones, those that restic cannot read."""
        with self._lock:
            for pack in packs:
                self._packs.pop(pack, None)
                by = ", ".join(sorted(name[:8] for name in self.indexes_of({pack})))
                self.lies[pack] = f"the pack {pack} (in the index {by}) holds copies that restic cannot read"

    def _lying(self, index: str, pack: str) -> bool:
        return pack in self._indexes[index] and sealed.digest(self._indexes[index][pack]) != self._packs[pack]

    def _read(self, pack: str, size: int, at: datetime) -> None:
        try:
            if size > sealed.LARGEST_FILE:
                raise Rubbish("is larger than restic makes any")
            self.read_bytes += size
            file = self._fetch("data", pack)
            if hashlib.sha256(file).hexdigest() != pack:
                self.broken.add(pack)
                return
            self._packs[pack] = sealed.digest(sealed.pack_of(self._opener(), file))
        except Rubbish as error:
            self.lies[pack] = f"the pack {pack} (arrived {stamp(at)} UTC) {error}"

    def _judge(self, kind: str, name: str, there: Entry) -> None:
        try:
            file = self._whole(kind, name, there.size)
            if kind == "locks":
                self._locks[name] = Lock(*sealed.lock_of(self._opener(), file), there.at)
            elif hashlib.sha256(file).hexdigest() == name:
                if kind == "index":
                    self._list(name, sealed.index_of(self._opener(), file))
                else:
                    tree, said = sealed.snapshot_of(self._opener(), file)
                    self._said[name] = said + EACH
                    self.trees[name] = tree
        except FileNotFoundError:
            return  # someone has removed it since
        except Rubbish as error:
            self.aside[kind, name] = Aside(kind, name, there.at, str(error))
        else:
            self._admitted[kind].add(name)

    def _make_room(self, new: Collection[str], here: Mapping[str, Entry]) -> None:
        """Set aside of the new snapshots what is too much: those that were rejected, then the largest. A
        forger's are, or he needs as many as would fill the room with honest ones."""
        shown = self._admitted["snapshots"]
        said = {name: size for name, size in self._said.items() if name in shown}
        total = sum(said.values())
        for rejected, size, name in sorted(
            ((name.startswith(self._rejected), said[name], name) for name in said.keys() & set(new)),
            reverse=True,
        ):
            if total <= MOST_SAID:
                break
            total -= size
            shown.discard(name)
            self.roomless.add(name)
            del self.trees[name]
            why = "has, with smaller ones, more paths than all versions of a server have"
            if not rejected:
                why += ": nothing is removed until it is rejected"
            self.aside["snapshots", name] = Aside("snapshots", name, here[name].at, why)
        self._said = said

    def _whole(self, kind: str, name: str, size: int) -> bytes:
        if size > LARGEST_SEALED[kind]:
            raise Rubbish("is larger than restic makes any")
        return self._fetch(kind, name)

    def _opener(self) -> Key:
        if self._key is None:
            raise ValueError("the repository is not open")
        return self._key

    def _opened(self, password: str, known: str | None) -> tuple[str | None, Key | None]:
        """The key that opens the configuration: the one that is known, else the one that came first.

        A client's own key would be shown to nobody: it is named, since it is his way back in after a change
        of the password.
        """
        keys = self.storage.listed("keys")
        found: tuple[str | None, Key | None] = None, None
        tried = sorted(keys, key=lambda name: (name != known, keys[name].at, name))
        for name in tried[:MOST_KEYS]:
            try:
                key = sealed.key_of(password, self._whole("keys", name, keys[name].size))
                key.document(self._whole("config", "config", self.storage.size("config", "config")))
            except FileNotFoundError:
                return None, None
            except Rubbish:
                continue
            found = name, key
            break
        if found[1] is not None:
            for name in keys.keys() - {found[0]}:
                self.aside["keys", name] = Aside("keys", name, keys[name].at, UNKNOWN_KEY)
        return found


def _hold(name: str, data: bytes) -> None:
    """A file against its name. Raises Rubbish."""
    if hashlib.sha256(data).hexdigest() != name:
        raise Rubbish("is damaged: its content is not that of its name")


def sentences(admission: Admission) -> Iterator[str]:
    """What was set aside: keys that nobody knows, then the rest by arrival; of very many, the first."""
    ordered = sorted(admission.aside.values(), key=lambda one: (one.why != UNKNOWN_KEY, one.at, one.name))
    yield from map(str, ordered[:MOST_NAMED])
    if (more := len(ordered) - MOST_NAMED) > 0:
        yield f"more ({more} files) that is not shown to restic"


def stamp(moment: datetime) -> str:
    """For sentences: to the minute."""
    return moment.isoformat(sep=" ", timespec="minutes")[:16]
