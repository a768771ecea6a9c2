"""The HTTP side of a lab host: two listeners as Windows has them, 5985 plain and 5986 TLS, path /wsman.

request → login → decryption → `soap.parse` → armed fault → `Shells.handle` → encryption → reply → journal.
"""

from __future__ import annotations

import base64
import contextlib
import email.utils
import itertools
import socket
import socketserver
import ssl
import struct
import sys
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any
from xml.etree import ElementTree

from windows_lab.winrm import soap
from windows_lab.winrm.authentication import ENCRYPTED_TYPE, Accounts, DecryptionError, Login
from windows_lab.winrm.faults import Fault, Faults
from windows_lab.winrm.journal import Journal
from windows_lab.winrm.shells import Limits, Shells, decode
from windows_lab.winrm.soap import SHELL, Request, WSManFault

SOAP_TYPE = "application/soap+xml;charset=UTF-8"
ENCRYPTION_ROOM = 4096  # bytes that the multipart frame may add to an envelope
IDLE_CONNECTION = 120.0  # seconds, http.sys closes a silent connection
_connections = itertools.count(1)


@dataclass(frozen=True)
class Host:
    """What the listeners of one lab host share."""

    name: str
    accounts: Accounts
    shells: Shells
    journal: Journal
    faults: Faults
    limits: Limits
    allow_unencrypted: bool = False  # winrm/config/service AllowUnencrypted


class Listener(socketserver.ThreadingTCPServer):
    """One address and port of a host. `tls`: context and channel binding of its certificate, or None."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(
        self, host: Host, address: tuple[str, int], tls: tuple[ssl.SSLContext, bytes] | None
    ) -> None:
        self.host = host
        self.tls = tls
        self.connections: set[socket.socket] = set()
        self._stopping = False
        self._thread = threading.Thread(target=self._serve, daemon=True)
        super().__init__(address, Handler)

    def start(self) -> None:
        """Serves in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """Closes the listener and every open connection."""
        self._stopping = True
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)  # wakes the thread
        if self._thread.is_alive():
            self._thread.join()
        self.server_close()
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _serve(self) -> None:
        # Not serve_forever(), which wakes up twice a second: a lab has a hundred listeners.
        while not self._stopping:
            self.handle_request()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that leaves is no error of the lab; anything else goes to the log of the daemon."""
        if not isinstance(sys.exception(), (ConnectionError, TimeoutError, ssl.SSLError)):
            super().handle_error(request, client_address)


@dataclass
class Record:
    """What the journal will say of one request; see journal.py."""

    user: str | None = None
    action: str | None = None
    status: int = 0  # 0 until answered: the connection was cut
    fault: int | None = None
    body: int = 0
    soap: int = 0
    stdin: int = 0


class Cut(Exception):
    """The connection is reset instead of an answer."""


class Bare(Exception):
    """An HTTP answer without an envelope."""

    def __init__(self, status: HTTPStatus, challenges: Iterable[str] = (), close: bool = False) -> None:
        super().__init__(status.phrase)
        self.status = status
        self.challenges = challenges
        self.close = close


class Handler(BaseHTTPRequestHandler):
    """One TCP connection."""

    server: Listener
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # a reply leaves in one piece
    timeout = IDLE_CONNECTION

    def setup(self) -> None:
        """TLS first, in the thread of the connection so that a slow client delays nobody."""
        self._number = next(_connections)
        self._host = self.server.host
        binding = None
        if self.server.tls is not None:
            context, binding = self.server.tls
            self.request.settimeout(self.timeout)
            try:
                self.request = context.wrap_socket(self.request, server_side=True)
            except (
                OSError
            ) as problem:  # ssl.SSLError is one: the client does not trust the certificate, or is no client
                self._host.journal.tls(self._number, str(problem))
                raise ConnectionResetError from None
        self.server.connections.add(self.request)
        super().setup()
        self._secure = self.server.tls is not None
        basic = self._secure or self._host.allow_unencrypted
        self._login = Login(self._host.accounts, self._host.journal, self._number, basic, binding)
        self._record = Record()

    def finish(self) -> None:
        """The socket that TLS made is ours to close."""
        super().finish()
        self.server.connections.discard(self.request)
        self.request.close()

    def version_string(self) -> str:
        """As http.sys names itself."""
        return "Microsoft-HTTPAPI/2.0"

    def date_time_string(self, timestamp: float | None = None) -> str:
        """The host's clock, which a fault may have set wrong."""
        now = time.time() if timestamp is None else timestamp
        return email.utils.formatdate(now + self._host.faults.clock_offset, usegmt=True)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the name of the base class)
        """The journal says it."""

    def do_GET(self) -> None:
        """WS-Man is POST only."""
        self._answer(HTTPStatus.METHOD_NOT_ALLOWED)

    def do_POST(self) -> None:
        """One request, from its headers to its journal line."""
        record = self._record = Record()
        started = time.monotonic()
        try:
            self._serve()
        except Bare as bare:
            self._answer(bare.status, challenges=bare.challenges, close=bare.close)
        except Cut:
            self._reset()
        finally:
            self._host.journal.request(
                connection=self._number,
                scheme="https" if self._secure else "http",
                user=record.user,
                action=record.action,
                status=record.status,
                fault=record.fault,
                body=record.body,
                soap=record.soap,
                stdin=record.stdin,
                seconds=time.monotonic() - started,
            )

    def _serve(self) -> None:
        record = self._record
        body = self._read_body()
        self._log_in()
        if not body:  # the empty POST with which an NTLM client opens its connection
            self._answer(HTTPStatus.OK)
            return
        encrypted = self.headers.get("Content-Type", "").startswith("multipart/encrypted")
        if encrypted:
            try:
                body = self._login.decrypt(body)
            except DecryptionError:
                raise Bare(HTTPStatus.BAD_REQUEST) from None
        elif not (self._secure or self._host.allow_unencrypted):
            raise Bare(HTTPStatus.INTERNAL_SERVER_ERROR)  # all that Windows says of an unencrypted message
        record.soap = len(body)
        if len(body) > self._host.limits.envelope:
            raise Bare(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        try:
            status, envelope = HTTPStatus.OK, self._operate(body)
        except WSManFault as fault:
            record.fault = fault.problem.number
            status, envelope = HTTPStatus.INTERNAL_SERVER_ERROR, fault.render(self._host.name)
        if encrypted:
            self._answer(status, self._login.encrypt(envelope), ENCRYPTED_TYPE)
        else:
            self._answer(status, envelope, SOAP_TYPE)

    def _read_body(self) -> bytes:
        """The whole body; it is read before any 401, so that the connection stays usable."""
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal():
            raise Bare(HTTPStatus.LENGTH_REQUIRED, close=True)
        self._record.body = int(length)
        if self._record.body > self._host.limits.envelope + ENCRYPTION_ROOM:
            self._discard(self._record.body)
            raise Bare(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, close=True)
        body = self.rfile.read(self._record.body)
        if len(body) < self._record.body:
            raise Cut  # the client left in the middle
        if self.path.partition("?")[0].rstrip("/").lower() != "/wsman":
            raise Bare(HTTPStatus.NOT_FOUND)
        kind = self.headers.get("Content-Type", "").lower()
        if body and not kind.startswith(("application/soap+xml", "multipart/encrypted")):
            raise Bare(HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
        return body

    def _discard(self, length: int) -> None:
        """Reads a refused body: a client that still sends would find a reset connection, not the answer."""
        while length > 0 and (data := self.rfile.read(min(length, 65536))):
            length -= len(data)

    def _log_in(self) -> None:
        verdict = self._login.check(self.headers.get("Authorization"))
        if verdict.user is None:
            token = base64.b64encode(verdict.token).decode() if verdict.token else None
            challenges = [f"Negotiate {token}"] if token else self._login.challenges()
            raise Bare(HTTPStatus.UNAUTHORIZED, challenges)
        self._record.user = verdict.user

    def _operate(self, body: bytes) -> bytes:
        request = soap.parse(body)
        self._record.action = request.action
        self._record.stdin = sum(len(decode(stream.text)) for stream in _streams(request))
        fault = self._host.faults.strike(request.action, self._record.stdin)
        if fault is not None:
            self._host.journal.fault(fault.kind, request.action)
            self._suffer(fault, request)
        reply = self._host.shells.handle(request, self._record.user or "")
        if fault is not None and fault.kind == "cut-reply":
            raise Cut
        return reply

    def _suffer(self, fault: Fault, request: Request) -> None:
        """What an armed fault does before the request is carried out."""
        match fault.kind:
            case "cut":
                raise Cut
            case "delay":
                time.sleep(fault.seconds)
            case "401":
                raise Bare(HTTPStatus.UNAUTHORIZED, self._login.challenges())
            case "500" | "503":
                raise Bare(HTTPStatus(int(fault.kind)))
            case "quota" | "shells":
                refusal = WSManFault(
                    soap.TOO_MANY_OPERATIONS if fault.kind == "quota" else soap.TOO_MANY_SHELLS
                )
                refusal.relates_to = request.message_id
                raise refusal
            case "kill":
                self._host.shells.kill_commands()
            case "corrupt" | "truncate":
                for stream in _streams(request):
                    data = decode(stream.text)
                    damaged = bytes([data[0] ^ 1]) + data[1:] if fault.kind == "corrupt" and data else b""
                    stream.text = base64.b64encode(damaged).decode()

    def _answer(
        self,
        status: HTTPStatus,
        body: bytes = b"",
        content_type: str = "",
        challenges: Iterable[str] = (),
        close: bool = False,
    ) -> None:
        self._record.status = status.value
        self.send_response(status)
        if content_type:
            self.send_header("Content-Type", content_type)
        for challenge in challenges:
            self.send_header("WWW-Authenticate", challenge)
        self.send_header("Content-Length", str(len(body)))
        if close:
            self.send_header("Connection", "close")  # the base class then closes it
        self.end_headers()
        self.wfile.write(body)

    def _reset(self) -> None:
        """RST, as a router or a killed service leaves a connection."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            # Without detach() the server would first shut the connection down politely.
            socket.close(self.connection.detach())


def _streams(request: Request) -> list[ElementTree.Element]:
    if request.action != "Send" or request.body is None:
        return []
    return request.body.findall(f"{{{SHELL}}}Stream")
