"""A real SMTP server on a loopback port of its own: TLS or STARTTLS, login, and what servers refuse."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from ansible_collections.prosecours.backup.plugins.plugin_utils.documents import mail
from ansible_collections.prosecours.backup.plugins.plugin_utils.secret import Secret

from windows_lab.certificates import Authority

USER, PASSWORD = "surveillance", "un mot de passe, long"


class Inbox:
    """Handles what arrives. Recipients `inconnu@`, and messages of `interdit` in the subject, are refused."""

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []
        self.envelopes: list[Envelope] = []
        self.logins: list[str] = []
        self.sessions = 0
        self.hang_up = False
        self.silent = False

    async def handle_EHLO(  # noqa: N802
        self, server: Any, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        self.sessions += 1
        session.host_name = hostname
        return responses

    async def handle_RCPT(  # noqa: N802
        self, server: Any, session: Session, envelope: Envelope, recipient: str, options: list[str]
    ) -> str:
        if recipient.startswith("inconnu@"):
            return "550 5.1.1 boite inconnue"
        envelope.rcpt_tos.append(recipient)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.silent:
            await asyncio.sleep(30)
        content = envelope.content
        assert isinstance(content, bytes)
        message = message_from_bytes(content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        if self.hang_up:
            self.hang_up = False
            server.transport.close()
            return "421 trop tard"
        if "interdit" in message["Subject"]:
            return "554 5.7.1 contenu interdit"
        self.messages.append(message)
        self.envelopes.append(envelope)
        return "250 OK"

    def authenticate(
        self, server: Any, session: Session, envelope: Envelope, mechanism: str, data: LoginPassword
    ) -> AuthResult:
        login = data.login.decode()
        self.logins.append(login)
        return AuthResult(success=(login, data.password.decode()) == (USER, PASSWORD), handled=False)


@contextmanager
def running(
    authority: Authority,
    *,
    security: str = "starttls",
    login: bool = True,
    names: tuple[str, ...] = ("localhost",),
    **more: Any,
) -> Iterator[tuple[int, Inbox]]:
    """(port, inbox) of a server for the time of the block. `security`: starttls, tls, none."""
    inbox = Inbox()
    context, _ = authority.server_context("smtp", names)
    settings: dict[str, Any] = {"hostname": "smtp.example", **more}
    if security == "starttls":
        settings.update(tls_context=context, require_starttls=True)
    if login:
        settings.update(
            authenticator=inbox.authenticate, auth_required=True, auth_require_tls=security != "tls"
        )
    else:
        settings.update(auth_exclude_mechanism=["LOGIN", "PLAIN"])
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(
        loop.create_server(
            lambda: SMTP(inbox, loop=loop, **settings),
            "127.0.0.1",
            0,
            ssl=context if security == "tls" else None,
        )
    )
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield server.sockets[0].getsockname()[1], inbox
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()


@contextmanager
def of_the_provider(authority: Authority) -> Iterator[tuple[mail.Server, Inbox]]:
    """Such a server, as the provider's settings name it."""
    with running(authority) as (port, inbox):
        sender, ca = "surveillance@groupeisagri.example", str(authority.certificate_path)
        yield mail.Server("localhost", sender, port, "starttls", USER, Secret(PASSWORD), ca), inbox
