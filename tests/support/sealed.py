"""restic's seals and keys, written from its design document ("Keys, Encryption and MAC") without restic.

Shares no code with the maintenance, which judges what is sealed by a writing of its own.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from base64 import b64decode, b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.poly1305 import Poly1305

PASSWORD = "fast-repository"
FAST_REPOSITORY = Path(__file__).parent / "fast_repository"
"""Empty; made by restic with its own test settings."""
FAST = {"N": 128, "r": 1, "p": 1}
"""Those settings, of scrypt: a millisecond, where restic seeks half a second for a new key."""


@dataclass(frozen=True)
class Seals:
    """Closes and opens by one triple of keys: a password's, or a repository's master key."""

    encrypt: bytes
    mac: bytes
    mask: bytes

    @classmethod
    def of_password(cls, password: str, key: dict[str, Any]) -> Seals:
        derived = hashlib.scrypt(
            password.encode(),
            salt=b64decode(key["salt"]),
            n=key["N"],
            r=key["r"],
            p=key["p"],
            maxmem=2**28,
            dklen=64,
        )
        return cls(derived[:32], derived[32:48], derived[48:])

    @classmethod
    def of_repository(cls, password: str, key: dict[str, Any]) -> Seals:
        """key: what a file of `keys` says."""
        master = json.loads(cls.of_password(password, key).opened(b64decode(key["data"])))
        return cls(*map(b64decode, (master["encrypt"], master["mac"]["k"], master["mac"]["r"])))

    def opened(self, closed: bytes) -> bytes:
        return _aes(self.encrypt, modes.CTR(closed[:16]), closed[16:-16])

    def closed(self, clear: bytes) -> bytes:
        nonce = os.urandom(16)
        text = _aes(self.encrypt, modes.CTR(nonce), clear)
        one_time = self.mask + _aes(self.mac, modes.ECB(), nonce)  # noqa: S305 -- Poly1305-AES is so
        return nonce + text + Poly1305.generate_tag(one_time, text)


def empty_repository(path: Path, password: str = PASSWORD) -> None:
    """What `restic init` makes, but for a key that costs nothing to open."""
    shutil.copytree(FAST_REPOSITORY, path)
    for name in ("data", "index", "locks", "snapshots"):
        (path / name).mkdir()
    if password != PASSWORD:
        _change_password(path, password)


def only_key(repository: Path) -> dict[str, Any]:
    """What the one key file of a repository on disk says."""
    [file] = (repository / "keys").iterdir()
    return dict(json.loads(file.read_text("utf-8")))


def _change_password(repository: Path, new: str) -> None:
    key = only_key(repository)
    master = Seals.of_password(PASSWORD, key).opened(b64decode(key["data"]))
    key |= FAST | {"salt": b64encode(os.urandom(64)).decode()}
    key["data"] = b64encode(Seals.of_password(new, key).closed(master)).decode()
    content = json.dumps(key).encode()
    shutil.rmtree(repository / "keys")
    (repository / "keys").mkdir()
    (repository / "keys" / hashlib.sha256(content).hexdigest()).write_bytes(content)


def _aes(key: bytes, mode: Any, data: bytes) -> bytes:
    worker = Cipher(algorithms.AES(key), mode).encryptor()
    return bytes(worker.update(data) + worker.finalize())
