"""A syslog receiver over TLS and a time stamp authority, as other programs have them: the frames of RFC 5425
are read here anew, and stamps are made by openssl."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from windows_lab.certificates import Authority

_CONFIGURATION = """
[req]
distinguished_name = name
[name]
[root]
basicConstraints = critical, CA:true
subjectKeyIdentifier = hash
[stamps]
basicConstraints = critical, CA:false
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, timeStamping
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[tsa]
serial = {folder}/serial
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha384, sha512
accuracy = secs:1
ess_cert_id_chain = no
ess_cert_id_alg = sha256
"""


@contextmanager
def syslog(authority: Authority) -> Iterator[tuple[str, list[bytes]]]:
    """A receiver: its place, and the messages that it got."""
    context, _unused = authority.server_context("localhost", ["localhost"])
    got: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                plain, _unused = listener.accept()
            except OSError:
                return
            plain.settimeout(10)
            with suppress(OSError), plain, context.wrap_socket(plain, server_side=True) as secured:
                stream = b""
                while part := secured.recv(4096):
                    stream += part
                while stream:
                    length, _space, rest = stream.partition(b" ")
                    got.append(rest[: int(length)])
                    stream = rest[int(length) :]
                with suppress(OSError):
                    secured.unwrap()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"localhost:{listener.getsockname()[1]}", got
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)


class Stamps:
    """An authority of time stamps, by openssl: its root, and what it answers to a query."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder, self.root = folder, folder / "root.pem"
        self.answer: bytes | None = None
        """Given instead of a stamp."""
        self.status = 200
        self.configuration = folder / "openssl.cnf"
        self.configuration.write_text(_CONFIGURATION.format(folder=folder))
        (folder / "serial").write_text("01\n")
        curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        self.openssl(
            *("req", "-x509", *curve, "-keyout", "root-key.pem", "-out", "root.pem", "-days", "30"),
            *("-subj", "/CN=Root", "-config", "openssl.cnf", "-extensions", "root"),
        )
        self.openssl(
            *("req", *curve, "-keyout", "key.pem", "-out", "request.pem", "-subj", "/CN=Stamps"),
            *("-config", "openssl.cnf"),
        )
        self.openssl(
            *("x509", "-req", "-in", "request.pem", "-CA", "root.pem", "-CAkey", "root-key.pem"),
            *("-CAcreateserial", "-out", "stamps.pem", "-days", "30"),
            *("-extfile", "openssl.cnf", "-extensions", "stamps"),
        )

    def openssl(self, *arguments: str, given: bytes = b"") -> bytes:
        done = subprocess.run(
            ["openssl", *arguments], cwd=self.folder, input=given, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def stamp(self, query: bytes) -> bytes:
        (self.folder / "query").write_bytes(query)
        return self.openssl(
            *("ts", "-reply", "-queryfile", "query", "-config", "openssl.cnf", "-section", "tsa"),
            *("-signer", "stamps.pem", "-inkey", "key.pem"),
        )

    @contextmanager
    def serving(self) -> Iterator[str]:
        """Its address."""
        authority = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                query = self.rfile.read(int(self.headers["Content-Length"]))
                assert self.headers["Content-Type"] == "application/timestamp-query"
                answer = authority.answer if authority.answer is not None else authority.stamp(query)
                self.send_response(authority.status)
                self.send_header("Content-Type", "application/timestamp-reply")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/tsr"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
