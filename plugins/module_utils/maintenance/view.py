"""What restic works on: the repository as it was admitted, over a socket of one user (restic's REST v2).

restic's own back ends show it whatever lies there: a rubbish key or index, and an index that came a moment
ago, just for a prune to trust it. Here each listing asks the Admission, so that nothing comes between a
judgement and its use. And restic itself, which reads what a hostile client wrote, runs as a user that owns
nothing: what it may change is changed here. Standard library only.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import socketserver
import struct
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from .admission import Admission
from .storage import As, Entry, Storage

KINDS = ("data", "index", "keys", "locks", "snapshots")
CHANGEABLE = ("data", "index", "locks", "snapshots")
PATH = re.compile(r"/(?:(config)|(\w+)/([0-9a-f]{64})?)")
RANGE = re.compile(r"bytes=(\d+)-(\d*)")
LARGEST_BODY = 1 << 30
READERS = 40_000
"""The user that reads a repository is that number and its owner's: nobody has such a one, and it owns
nothing. Each repository has its own: a restic that was taken over cannot look into the process of another."""


@dataclass(frozen=True)
class View:
    """A Storage as restic is shown it; all but restic asks the place itself."""

    admission: Admission
    inner: Storage
    address: str
    reader: As

    @property
    def location(self) -> str:
        return self.inner.location

    @property
    def distant(self) -> bool:
        return self.inner.distant

    def opened(self) -> AbstractContextManager[None]:
        return self.inner.opened()

    def environment(self) -> Mapping[str, str]:
        """No key of a supplier: that stays here."""
        return {}

    def process(self) -> As:
        self.inner.process()  # whether it can be used
        return self.reader

    def arrivals(self) -> Mapping[str, datetime]:
        return self.inner.arrivals()

    def stored_bytes(self) -> int:
        return self.inner.stored_bytes()

    def overwritten(self) -> Mapping[str, object]:
        return self.inner.overwritten()

    def forget(self, now: datetime) -> None:
        self.inner.forget(now)

    def listed(self, kind: str) -> Mapping[str, Entry]:
        return self.inner.listed(kind)

    def size(self, kind: str, name: str) -> int:
        return self.inner.size(kind, name)

    def read(self, kind: str, name: str, start: int = 0, size: int | None = None) -> bytes:
        return self.inner.read(kind, name, start, size)

    def write(self, kind: str, name: str, data: bytes) -> None:
        self.inner.write(kind, name, data)

    def remove(self, kind: str, name: str) -> None:
        self.inner.remove(kind, name)


@contextmanager
def shown(admission: Admission, writable: bool) -> Iterator[View]:
    """Serve it while the context lasts. Only one user is answered, whoever else finds the socket."""
    storage = admission.storage
    reader = _reader(storage.process())
    folder = Path(tempfile.mkdtemp(prefix="prosecours-"))
    folder.chmod(0o711)
    try:
        with _Server(str(folder / "view"), _Handler) as server:
            (folder / "view").chmod(0o666)
            server.admission, server.writable = admission, writable
            server.user = reader.get("user", os.geteuid())
            thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
            thread.start()
            try:
                yield View(admission, storage, f"rest:http+unix://{folder}/view:/", reader)
            finally:
                server.shutdown()
                thread.join()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _reader(owner: As) -> As:
    """Popen's arguments: nobody's user where the owner is one of its own and this is root."""
    if "user" not in owner:
        return owner
    number = READERS + owner["user"] % 10_000
    return {"user": number, "group": number, "extra_groups": []}


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 64
    admission: Admission
    writable: bool
    user: int

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ARG002 -- as its base
        """By the kernel's word: process, user and group of the other end."""
        said = request.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        return bool(struct.unpack("3i", said)[1] == self.user)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """restic went away, or was ended."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    wbufsize = -1

    def log_message(self, *args: Any) -> None:
        """To nobody."""

    def address_string(self) -> str:
        return "restic"

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_POST(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        kind, name = self._asked()
        if not self._may_change(kind, name) or size > LARGEST_BODY:
            self.close_connection = True
            self._send(403)
            return
        data = self.rfile.read(size)
        self._done(lambda: self.server.admission.written(kind, name, data))

    def do_DELETE(self) -> None:
        kind, name = self._asked()
        if not self._may_change(kind, name):
            self._send(403)
            return
        self._done(lambda: self.server.admission.removed(kind, name))

    def _may_change(self, kind: str, name: str) -> bool:
        return self.server.writable and kind in CHANGEABLE and bool(name)

    def _done(self, change: Any) -> None:
        try:
            change()
        except FileNotFoundError:
            self._send(404)
        except OSError as error:
            self._send(507, str(error.strerror).lower().encode())
        else:
            self._send(200)

    def _asked(self) -> tuple[str, str]:
        found = PATH.fullmatch(self.path.partition("?")[0])
        if not found:
            return "", ""
        if found[1]:
            return "config", "config"
        return (found[2], found[3] or "") if found[2] in KINDS else ("", "")

    def _answer(self, body: bool) -> None:
        kind, name = self._asked()
        admission = self.server.admission
        try:
            if not kind:
                self._send(404)
            elif name:
                self._file(kind, name, body)
            else:
                # 403 is one of the answers that restic does not ask about again.
                if admission.withholds(kind):
                    self._send(403)
                    return
                entries = [{"name": one, "size": size} for one, size in admission.listing(kind).items()]
                self._send(200, json.dumps(entries).encode(), "application/vnd.x.restic.rest.v2")
        except FileNotFoundError:
            self._send(404)
        except BrokenPipeError:
            self.close_connection = True
        except Exception as error:  # whatever a place raises, restic gets an answer
            self._send(500, str(error).encode())

    def _file(self, kind: str, name: str, body: bool) -> None:
        admission = self.server.admission
        if not admission.shows(kind, name):
            self._send(404)
            return
        wanted = RANGE.fullmatch(self.headers.get("Range", ""))
        if not body:
            length = admission.size(kind, name)  # before the answer begins: there may be none
            self.send_response(200)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            return
        start = int(wanted[1]) if wanted else 0
        size = int(wanted[2]) - start + 1 if wanted and wanted[2] else None
        data = admission.read(kind, name, start, size)
        self._send(206 if wanted else 200, data, "application/octet-stream")

    def _send(self, code: int, body: bytes = b"", kind: str = "text/plain") -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
