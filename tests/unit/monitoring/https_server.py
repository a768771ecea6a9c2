"""A real HTTPS server on a loopback port: what it was asked, and how services answer, well or not."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from windows_lab.certificates import Authority

TOKEN = "3f2c9d1e-token-of-this-address"


@dataclass
class Heard:
    """All requests, in order."""

    port: int = 0
    paths: list[str] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    answers: dict[str, tuple[int, str]] = field(default_factory=dict)
    """path -> what is answered; 200 and OK else. A status of 0 never ends."""

    @property
    def place(self) -> str:
        return f"localhost:{self.port}"


@contextmanager
def listening(authority: Authority) -> Iterator[Heard]:
    heard, ended = Heard(), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heard.paths.append(self.path)
            status, text = heard.answers.get(self.path.partition("?")[0], (200, "OK"))
            with suppress(OSError):
                if not status:
                    while not ended.is_set():  # a header that never ends
                        self.wfile.write(b"H")
                        self.wfile.flush()
                        time.sleep(0.05)
                    return
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                if status in (301, 302):
                    self.send_header("Location", "http://localhost/elsewhere")
                self.end_headers()
                self.wfile.write(text.encode())

        def do_POST(self) -> None:
            heard.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.do_GET()

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            """A client that hangs up, or that does not trust the certificate, is no news."""

    context, _certificate = authority.server_context("localhost", ["localhost"])
    server = Server(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    heard.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield heard
    finally:
        ended.set()
        server.shutdown()
        thread.join()
        server.server_close()
