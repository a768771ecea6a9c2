"""Someone who has taken a client's server over: he has the password, and writes restic's files by himself.

Written from restic's design document; shares no code with what judges such files.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import ssl
import struct
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zstandard
from support.sealed import Seals

Listing = list[dict[str, Any]]


@dataclass
class Forger:
    """Speaks HTTP with the client's rest-server at `url`, past any client library."""

    url: str
    password: str
    login: tuple[str, str] | None = None
    ca: Path | None = None
    """Of the server's certificate, where it speaks HTTPS."""

    def __post_init__(self) -> None:
        key = json.loads(self.get(f"keys/{self.list('keys')[0]}"))
        seals = Seals.of_repository(self.password, key)
        self.sealed, self.opened = seals.closed, seals.opened

    # -- the server -------------------------------------------------------------------------------------

    def list(self, kind: str) -> list[str]:
        return [one["name"] for one in json.loads(self.get(f"{kind}/"))]

    def get(self, path: str) -> bytes:
        with self._asked(path) as answer:
            return bytes(answer.read())

    def add(self, kind: str, data: bytes) -> str:
        """Upload a file under the name that the server asks for: the hash of its content."""
        name = hashlib.sha256(data).hexdigest()
        with self._asked(f"{kind}/{name}", data) as answer:
            assert answer.status == 200
        return name

    def _asked(self, path: str, data: bytes | None = None) -> Any:
        """GET, or POST of `data`."""
        request = urllib.request.Request(f"{self.url}{path}", data)  # noqa: S310 -- loopback
        request.add_header("Accept", "application/vnd.x.restic.rest.v2")
        if self.login:
            token = base64.b64encode(":".join(self.login).encode()).decode()
            request.add_header("Authorization", f"Basic {token}")
        trust = ssl.create_default_context(cafile=self.ca) if self.ca else None
        return urllib.request.urlopen(request, timeout=20, context=trust)  # noqa: S310

    # -- forgeries --------------------------------------------------------------------------------------

    def listing(self) -> Listing:
        """All that the true indexes list; uncompressed and compressed ones alike."""
        found: Listing = []
        for name in self.list("index"):
            found += [blob for pack in self.document("index", name)["packs"] for blob in pack["blobs"]]
        return found

    def document(self, kind: str, name: str) -> dict[str, Any]:
        """What a snapshot or an index says."""
        clear = self.opened(self.get(f"{kind}/{name}"))
        if clear[:1] == b"\x02":
            clear = zstandard.ZstdDecompressor().decompressobj().decompress(clear[1:])
        return dict(json.loads(clear))

    def index(self, pack: str, blobs: Listing) -> bytes:
        """Says that `pack` holds `blobs`."""
        return self.sealed(json.dumps({"packs": [{"id": pack, "blobs": blobs}]}).encode())

    def false_copy(self, blobs: Listing) -> tuple[str, bytes]:
        """Upload a pack of rubbish, of the size that a pack of `blobs` would have, with a header that lists
        them; its name, and an index that says that it holds them all."""
        placed, offset, header = [], 0, b""
        for blob in blobs:
            placed.append({**blob, "offset": offset})
            offset += blob["length"]
            clear = blob.get("uncompressed_length", 0)
            kind = (blob["type"] == "tree") + (2 if clear else 0)
            header += struct.pack("<BI", kind, blob["length"]) + (struct.pack("<I", clear) if clear else b"")
            header += bytes.fromhex(blob["id"])
        sealed = self.sealed(header)
        pack = self.add("data", os.urandom(offset) + sealed + struct.pack("<I", len(sealed)))
        return pack, self.index(pack, placed)

    def spoiled_copy(self, spoil: Callable[[bytes], bytes]) -> tuple[str, bytes]:
        """Upload a pack that holds everything as it is, each part compressed anew and then spoiled; its name,
        and its index, which is true of it."""
        body, header, placed = b"", b"", []
        for name in self.list("index"):
            for pack in self.document("index", name)["packs"]:
                file = self.get(f"data/{pack['id']}")
                for blob in pack["blobs"]:
                    clear = self.opened(file[blob["offset"] :][: blob["length"]])
                    if blob.get("uncompressed_length"):
                        clear = zstandard.ZstdDecompressor().decompressobj().decompress(clear)
                    sealed = self.sealed(spoil(zstandard.ZstdCompressor(write_checksum=True).compress(clear)))
                    kind = 2 + (blob["type"] == "tree")
                    header += struct.pack("<BII", kind, len(sealed), len(clear)) + bytes.fromhex(blob["id"])
                    place = {"offset": len(body), "length": len(sealed), "uncompressed_length": len(clear)}
                    placed.append({"id": blob["id"], "type": blob["type"], **place})
                    body += sealed
        end = self.sealed(header)
        made = self.add("data", body + end + struct.pack("<I", len(end)))
        return made, self.index(made, placed)

    def blob(self, kind: str, clear: bytes, packed: list[tuple[str, bytes]]) -> str:
        """Put a part of a pack to come; its id."""
        packed.append((kind, clear))
        return hashlib.sha256(clear).hexdigest()

    def pack(self, packed: list[tuple[str, bytes]]) -> None:
        """Upload a true pack of whatever it is, and its true index."""
        body, header, blobs = b"", b"", []
        for kind, clear in packed:
            sealed, name = self.sealed(clear), hashlib.sha256(clear).hexdigest()
            blobs.append({"id": name, "type": kind, "offset": len(body), "length": len(sealed)})
            body += sealed
            header += struct.pack("<BI", kind == "tree", len(sealed)) + bytes.fromhex(name)
        end = self.sealed(header)
        name = self.add("data", body + end + struct.pack("<I", len(end)))
        self.add("index", self.index(name, blobs))

    def folded(self, kind: str, clear: bytes) -> str:
        """Upload a pack of one part, compressed, and its index; the part's id."""
        name, sealed = (
            hashlib.sha256(clear).hexdigest(),
            self.sealed(zstandard.ZstdCompressor().compress(clear)),
        )
        end = self.sealed(
            struct.pack("<BII", 2 + (kind == "tree"), len(sealed), len(clear)) + bytes.fromhex(name)
        )
        pack = self.add("data", sealed + end + struct.pack("<I", len(end)))
        part = {
            "id": name,
            "type": kind,
            "offset": 0,
            "length": len(sealed),
            "uncompressed_length": len(clear),
        }
        self.add("index", self.index(pack, [part]))
        return name

    def snapshot(self, tree: str, time: str, **fields: Any) -> str:
        entry = {"time": time, "tree": tree, "paths": ["/"], "hostname": "srv", **fields}
        return self.add("snapshots", self.sealed(json.dumps(entry).encode()))
