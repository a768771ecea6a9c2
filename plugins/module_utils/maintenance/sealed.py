"""restic's files, opened without restic: what a client sent is judged before restic is asked about it.

The format is that of restic's design document (repository versions 1 and 2): AES-256-CTR with Poly1305-AES,
keys by scrypt, zstd. Whoever has the password can seal whatever he likes; so a seal shows only that a file is
not rubbish, and that a pack holds what it lists is shown by the SHA-256 of every part of it.

Needs cryptography and zstandard (Debian: python3-cryptography, python3-zstandard), imported at need.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from .errors import ProSecoursError

NONCE = MAC = 16  # bytes
LARGEST_FILE = 512 * 1024 * 1024
"""Bytes, sealed or in clear: restic's packs are of 128 MiB at most, and a folder's listing is one part."""
LARGEST_INDEX = 32 * 1024 * 1024
"""Bytes in clear: restic ends one at 50,000 parts, some 10 MB. What a few sealed bytes unfold to takes thirty
times as much in memory once it is read."""
LARGEST_DOCUMENT = 1024 * 1024
"""Likewise of a snapshot, a lock or the configuration: a few hundred bytes, and the perimeter."""
LARGEST_FOLDER, MOST_ENTRIES = 256 * 1024 * 1024, 1_000_000
"""Bytes in clear, and opening braces, of a folder as restic records it: each file has one to three, and some
200 bytes for each. restic takes a kilobyte of memory for one that a forger writes as two bytes."""
MOST_PATHS = 10_000
"""Of a snapshot. A perimeter has some, or some hundreds where patterns are looked up; the promise is proven
for each by itself."""
PIECE = 1024
"""Bytes that are decompressed at once: to 32 MiB at most, since a block of 128 KiB takes four."""
LARGEST_SCRYPT = 2**20
"""restic calibrates N to half a second, some 2^15. A forged key could ask for all memory."""
SLOW, QUICK = 2**15, 2**7
"""N of a key's file: for a password that a person may have chosen, and for one that is a random number."""
ID = re.compile(r"[0-9a-f]{64}")
Document = Mapping[str, Any]
"""A JSON object that restic, or whoever has the password, wrote."""
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)


class Rubbish(Exception):
    """What no restic wrote with the password of the repository; the text says how, as a phrase."""


class Unfolds(Rubbish):
    """A folder that would take all memory of whoever reads it: restic is not to."""


class Missing(ProSecoursError):
    """A library is not there."""


class Blob(NamedTuple):
    """A part of a pack, as the pack's own header or an index tells it."""

    offset: int
    length: int
    """Bytes in the pack."""
    type: str
    id: str
    """SHA-256 of what is in clear."""
    uncompressed: int
    """Bytes in clear; 0 where it was not compressed."""

    @property
    def clear(self) -> int:
        """Bytes in clear."""
        return self.uncompressed or max(0, self.length - NONCE - MAC)


@dataclass(frozen=True)
class Key:
    """The repository's master key."""

    encrypt: bytes = field(repr=False)
    mac_k: bytes = field(repr=False)
    mac_r: bytes = field(repr=False)

    def opened(self, sealed: bytes) -> bytes:
        """What is in clear. Raises Rubbish."""
        cipher, invalid, poly1305 = _cryptography()
        if len(sealed) < NONCE + MAC:
            raise Rubbish("is too short")
        nonce, text, mac = sealed[:NONCE], sealed[NONCE:-MAC], sealed[-MAC:]
        try:
            poly1305.verify_tag(self.mac_r + cipher("ECB", self.mac_k, b"", nonce), text, mac)
        except invalid:
            raise Rubbish("was not made with the password of the repository") from None
        return bytes(cipher("CTR", self.encrypt, nonce, text))

    def closed(self, clear: bytes) -> bytes:
        """As restic seals: nonce, what is sealed, and its code."""
        cipher, _unused, poly1305 = _cryptography()
        nonce = os.urandom(NONCE)
        text = cipher("CTR", self.encrypt, nonce, clear)
        return bytes(
            nonce + text + poly1305.generate_tag(self.mac_r + cipher("ECB", self.mac_k, b"", nonce), text)
        )

    def document(self, sealed: bytes, largest: int = LARGEST_DOCUMENT) -> Document:
        """The object of an index, a snapshot, a lock or the configuration. Raises Rubbish."""
        clear = self.opened(sealed)
        if clear[:1] == b"\x02":
            clear = _decompressed(clear[1:], largest)
        if len(clear) > largest:
            raise Rubbish("is larger than restic makes any")
        return _object(clear)


def key_of(password: str, file: bytes) -> Key:
    """Open a file of keys/. Raises Rubbish."""
    entry = _object(file)
    try:
        n, r, p = (int(entry[name]) for name in ("N", "r", "p"))
        salt, data = (base64.b64decode(entry[name], validate=True) for name in ("salt", "data"))
    except (KeyError, TypeError, ValueError):
        raise Rubbish("is no key") from None
    if entry.get("kdf") != "scrypt" or not 1 < n <= LARGEST_SCRYPT or not 0 < r <= 16 or not 0 < p <= 16:
        raise Rubbish("is no key that restic makes")
    try:
        derived = hashlib.scrypt(
            password.encode(), salt=salt, n=n, r=r, p=p, maxmem=130 * n * r + 2**20, dklen=64
        )
    except (ValueError, MemoryError):
        raise Rubbish("is no key that restic makes") from None
    master = _object(Key(derived[:32], derived[32:48], derived[48:]).opened(data))
    try:
        parts = [
            base64.b64decode(one, validate=True)
            for one in (master["encrypt"], master["mac"]["k"], master["mac"]["r"])
        ]
    except (KeyError, TypeError, ValueError):
        raise Rubbish("holds no key") from None
    if [len(part) for part in parts] != [32, 16, 16]:
        raise Rubbish("holds no key")
    return Key(*parts)


def key_file(key: Key, password: str, n: int = SLOW) -> bytes:
    """A file of keys/ by which another password opens the same repository, as `restic key add` makes one."""
    salt = os.urandom(64)
    derived = hashlib.scrypt(password.encode(), salt=salt, n=n, r=8, p=1, maxmem=2**27, dklen=64)
    encrypt, mac_k, mac_r = (base64.b64encode(part).decode() for part in (key.encrypt, key.mac_k, key.mac_r))
    master = json.dumps({"mac": {"k": mac_k, "r": mac_r}, "encrypt": encrypt}).encode()
    entry = {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "username": "prosecours",
        "hostname": "",
        "kdf": "scrypt",
        **{"N": n, "r": 8, "p": 1},
        "salt": base64.b64encode(salt).decode(),
        "data": base64.b64encode(Key(derived[:32], derived[32:48], derived[48:]).closed(master)).decode(),
    }
    return json.dumps(entry).encode()


def index_of(key: Key, file: bytes) -> dict[str, set[Blob]]:
    """pack id -> what the index says that it holds. Raises Rubbish."""
    entry = key.document(file, LARGEST_INDEX)
    found: dict[str, set[Blob]] = {}
    try:
        if not entry.keys() <= {"packs", "supersedes"} or not all(map(_is_id, entry.get("supersedes") or ())):
            raise Rubbish("is no index")
        for pack in entry["packs"]:
            blobs = found.setdefault(pack["id"], set())
            if pack.keys() != {"id", "blobs"} or not _is_id(pack["id"]):
                raise Rubbish("is no index")
            for one in pack["blobs"]:
                blob = Blob(
                    one["offset"], one["length"], one["type"], one["id"], one.get("uncompressed_length", 0)
                )
                if not (
                    one.keys() <= {"offset", "length", "type", "id", "uncompressed_length"}
                    and blob.type in ("data", "tree")
                    and _is_id(blob.id)
                    and all(_is_count(number) for number in (blob.offset, blob.length, blob.uncompressed))
                ):
                    raise Rubbish("is no index")
                blobs.add(blob)
    except (KeyError, TypeError, AttributeError):
        raise Rubbish("is no index") from None
    return found


def snapshot_of(key: Key, file: bytes) -> tuple[str, int]:
    """The id of a snapshot's topmost folder, and the characters of what it says. Raises Rubbish where restic
    would stumble over it."""
    entry = key.document(file)
    if not _fits(entry, SNAPSHOT) or "tree" not in entry or "time" not in entry:
        raise Rubbish("is no snapshot")
    if len(entry.get("paths") or ()) > MOST_PATHS:
        raise Rubbish(f"has more than {MOST_PATHS} paths, as no perimeter has")
    return str(entry["tree"]), sum(
        len(text) for name in ("paths", "tags", "excludes") for text in ("", *(entry.get(name) or ()))
    )


def lock_of(key: Key, file: bytes) -> tuple[str, int]:
    """Host and process of a lock. Raises Rubbish where restic would stumble over it."""
    entry = key.document(file)
    if not _fits(entry, LOCK) or "time" not in entry:
        raise Rubbish("is no lock")
    return str(entry.get("hostname", "")), int(entry.get("pid", 0))


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and ID.fullmatch(value) is not None


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**32


def is_text(value: Any) -> bool:
    return isinstance(value, str)


def is_time(value: Any) -> bool:
    """As Go reads RFC 3339; it knows a year 0, which Python does not."""
    if not isinstance(value, str) or not TIME.fullmatch(value):
        return False
    try:
        datetime.fromisoformat(f"2000{value[4:]}" if value.startswith("0000") else value)
    except ValueError:
        return False
    return True


def _are_texts(value: Any) -> bool:
    return value is None or (isinstance(value, list) and all(map(is_text, value)))


def _fits(entry: Document, fields: Mapping[str, Callable[[Any], bool]]) -> bool:
    """Other fields do not matter, but Go takes a name in whatever case it is written."""
    return all(
        name == name.lower() and name.isascii() and (name not in fields or fields[name](value))
        for name, value in entry.items()
    )


def _is_summary(value: Any) -> bool:
    """What restic 0.17 and later write: numbers, and two times."""
    return value is None or (
        isinstance(value, dict)
        and value.keys() >= {"backup_start", "backup_end"}
        and _fits(
            value,
            dict.fromkeys(value, _is_large_count) | dict.fromkeys(("backup_start", "backup_end"), is_time),
        )
    )


def _is_large_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63


SNAPSHOT: Mapping[str, Callable[[Any], bool]] = {
    "tree": _is_id,
    "time": is_time,
    **dict.fromkeys(("parent", "original"), lambda value: value is None or _is_id(value)),
    **dict.fromkeys(("hostname", "username", "program_version"), is_text),
    **dict.fromkeys(("paths", "tags", "excludes"), _are_texts),
    **dict.fromkeys(("uid", "gid"), _is_count),
    "summary": _is_summary,
}
"""The fields that restic reads, and when it can."""


LOCK: Mapping[str, Callable[[Any], bool]] = {
    "time": is_time,
    "exclusive": lambda value: isinstance(value, bool),
    "pid": _is_large_count,
    **dict.fromkeys(("hostname", "username"), is_text),
    **dict.fromkeys(("uid", "gid"), _is_count),
}
"""Likewise of a lock."""


def pack_of(key: Key, file: bytes) -> set[Blob]:
    """What a pack holds: every part is opened and held against its id. Raises Rubbish."""
    found = set(listing_of(key, file))
    for one in found:
        part_of(key, file[one.offset : one.offset + one.length], one)
    return found


def part_of(key: Key, sealed: bytes, blob: Blob) -> bytes:
    """What is in clear of a part of a pack. Raises Rubbish where it is not what the pack's header says, in
    bytes and in their number."""
    clear = key.opened(sealed)
    if blob.uncompressed:
        clear = _decompressed(
            clear, min(blob.uncompressed, LARGEST_FOLDER if blob.type == "tree" else LARGEST_FILE)
        )
    if blob.type == "tree" and (len(clear) > LARGEST_FOLDER or clear.count(b"{") > MOST_ENTRIES):
        raise Unfolds(f"holds a folder ({blob.id[:8]}) with more in it than any has")
    if hashlib.sha256(clear).hexdigest() != blob.id or len(clear) != blob.clear:
        raise Rubbish(f"holds something else as {blob.id[:8]}")
    return clear


def listing_of(key: Key, file: bytes) -> Iterator[Blob]:
    size = int.from_bytes(file[-4:], "little")
    if size + 4 > len(file):
        raise Rubbish("has no header")
    header = key.opened(file[len(file) - 4 - size : len(file) - 4])
    at = offset = 0
    while at < len(header):
        kind = header[at]
        end = at + (41 if kind in (2, 3) else 37)
        if kind > 3 or end > len(header):
            raise Rubbish("has a header that is none")
        length = int.from_bytes(header[at + 1 : at + 5], "little")
        clear = int.from_bytes(header[at + 5 : at + 9], "little") if kind in (2, 3) else 0
        yield Blob(offset, length, ("data", "tree")[kind % 2], header[end - 32 : end].hex(), clear)
        at, offset = end, offset + length
    if offset != len(file) - 4 - size:
        raise Rubbish("has a header that is none")


def digest(blobs: set[Blob]) -> str:
    """What is remembered of a pack that was read: equal for equal contents."""
    text = "\n".join(" ".join(map(str, one)) for one in sorted(blobs))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _decompressed(data: bytes, size: int) -> bytes:
    """At most `size` bytes, and one more if there are more: whatever the data claim, memory is bounded.

    restic reads one frame that is whole and nothing after it, or nothing at all: what this program read of a
    worse one would count as a true copy, for which restic lets the readable one go.
    """
    try:
        import zstandard
    except ImportError:
        raise Missing("zstandard is missing", "Install the package python3-zstandard") from None
    found = bytearray()
    try:
        frame = zstandard.ZstdDecompressor(max_window_size=2**27).decompressobj()
        for start in range(0, len(data), PIECE):
            found += frame.decompress(data[start : start + PIECE])
            if len(found) > size:
                return bytes(found[: size + 1])
    except (zstandard.ZstdError, MemoryError):
        raise Rubbish("cannot be decompressed") from None
    if not frame.eof or frame.unused_data:
        raise Rubbish("cannot be decompressed")
    return bytes(found)


def _cryptography() -> tuple[Any, type[Exception], Any]:
    """AES of a mode, the exception of a wrong code, and Poly1305."""
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
        from cryptography.hazmat.primitives.poly1305 import Poly1305
    except ImportError:
        raise Missing("cryptography is missing", "Install the package python3-cryptography") from None

    def aes(mode: str, key: bytes, nonce: bytes, data: bytes) -> bytes:
        # One block by itself is what Poly1305-AES is made of (ECB of exactly one nonce).
        chosen = modes.CTR(nonce) if mode == "CTR" else modes.ECB()  # noqa: S305
        worker = Cipher(algorithms.AES(key), chosen).encryptor()
        return bytes(worker.update(data) + worker.finalize())

    return aes, InvalidSignature, Poly1305


def _object(text: bytes) -> dict[str, Any]:
    try:
        value = json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        raise Rubbish("cannot be read") from None
    if not isinstance(value, dict):
        raise Rubbish("cannot be read")
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Go reads each of two fields of one name, Python the last."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found
