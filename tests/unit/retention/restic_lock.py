"""A lock of any host, process and age, written without restic by its documented format (design, "Crypto").

restic writes only locks of this moment, this host and its own process.
"""

from __future__ import annotations

import hashlib
import json
import os
from base64 import b64decode
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.poly1305 import Poly1305


def leave_lock(repository: Path, password: str, host: str, pid: int, renewed: datetime) -> Path:
    """The file of the lock."""
    encrypt, code_key, code_mask = _master_key(repository, password)
    lock = {"time": renewed.isoformat(), "exclusive": False, "hostname": host, "username": "", "pid": pid}
    sealed = _seal(json.dumps(lock).encode(), encrypt, code_key, code_mask)
    path = repository / "locks" / hashlib.sha256(sealed).hexdigest()
    path.write_bytes(sealed)
    return path


def _master_key(repository: Path, password: str) -> tuple[bytes, bytes, bytes]:
    [file] = (repository / "keys").iterdir()
    key = json.loads(file.read_text())
    derived = hashlib.scrypt(
        password.encode(),
        salt=b64decode(key["salt"]),
        n=key["N"],
        r=key["r"],
        p=key["p"],
        dklen=64,
        maxmem=2**28,
    )
    sealed = b64decode(key["data"])
    master = json.loads(_stream(derived[:32], sealed[:16], sealed[16:-16]))
    return (
        b64decode(master["encrypt"]),
        b64decode(master["mac"]["k"]),
        b64decode(master["mac"]["r"]),
    )


def _seal(text: bytes, encrypt: bytes, code_key: bytes, code_mask: bytes) -> bytes:
    nonce = os.urandom(16)
    hidden = _stream(encrypt, nonce, text)
    encryptor = Cipher(algorithms.AES(code_key), modes.ECB()).encryptor()  # noqa: S305 -- Poly1305-AES is so
    code = Poly1305(code_mask + encryptor.update(nonce))
    code.update(hidden)
    return nonce + hidden + code.finalize()


def _stream(key: bytes, nonce: bytes, text: bytes) -> bytes:
    return Cipher(algorithms.AES(key), modes.CTR(nonce)).encryptor().update(text)
