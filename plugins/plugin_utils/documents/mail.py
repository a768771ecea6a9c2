"""Mail by SMTP, never without TLS: a text, its HTML, attachments; one clear sentence for what goes wrong.

A server that cannot be used at all (its name, its certificate, the login) ends the sending; a message or a
recipient that is refused costs that one alone. The password is never part of a sentence.
"""

from __future__ import annotations

import mimetypes
import smtplib
import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, make_msgid
from pathlib import Path
from typing import Any

from ...module_utils.maintenance.printable import printable
from ..errors import ProSecoursError
from ..libraries import from_pypi
from ..secret import Secret

with from_pypi():
    from email_validator import EmailNotValidError, validate_email


PORTS = {"starttls": 587, "tls": 465}
"""security -> the port that goes with it (RFC 8314, RFC 6409)"""


class MailError(ProSecoursError):
    """Nothing can be sent, or an address is none."""


class _Broken(Exception):
    """The connection was lost; the reason in words."""


@dataclass(frozen=True)
class Server:
    """Where mail is handed in, and as whom."""

    host: str
    sender: str
    port: int
    security: str
    """A key of PORTS."""
    username: str = ""
    password: Secret = field(default_factory=lambda: Secret(""))
    ca_file: str = ""
    """PEM of the authority of its certificate; empty: those that this machine trusts."""
    timeout: float = 30
    """Seconds for each answer."""

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Attachment:
    """A file that goes along under its name."""

    name: str
    content: bytes


@dataclass(frozen=True)
class Message:
    """What is said to whom; `html` may be empty."""

    to: tuple[str, ...]
    subject: str
    text: str
    html: str = ""
    attachments: tuple[Attachment, ...] = ()


def server(options: Mapping[str, Any]) -> Server:
    """From the option `mail`, checked by Ansible. Raises MailError."""
    ca_file = options["ca_file"] or ""
    if ca_file and not Path(ca_file).is_file():
        raise MailError(f"There is no file {ca_file}", "Let ca_file of prosecours_mail name a PEM file")
    if bool(options["username"]) != bool(options["password"]):
        absent = "password" if options["username"] else "username"
        raise MailError(f"prosecours_mail has no {absent}", "Give both or neither")
    return Server(
        host=options["host"],
        sender=address(options["sender"]),
        port=options["port"] or PORTS[options["security"]],
        security=options["security"],
        username=options["username"] or "",
        password=Secret(options["password"] or ""),
        ca_file=ca_file,
        timeout=options["timeout"],
    )


def address(text: str) -> str:
    """An address as it goes over the wire. Raises MailError for what is none, a line break in it included."""
    try:
        # The domain is not looked up: that is the server's business. Only its name may have accents.
        found = validate_email(text, check_deliverability=False, allow_smtputf8=False)
    except EmailNotValidError as error:
        raise MailError(
            f'"{text}" is no e-mail address ({str(error).rstrip(".")})', "Correct it in the inventory"
        ) from error
    return str(found.ascii_email)


def attach(path: str | Path) -> Attachment:
    """A file of this machine. Raises MailError when it cannot be read."""
    try:
        return Attachment(Path(path).name, Path(path).read_bytes())
    except OSError as error:
        raise MailError(f"{path} cannot be attached: {error.strerror}", "See that it can be read") from error


def compose(sender: str, message: Message, at: datetime | None = None) -> EmailMessage:
    """The message as it is sent: text, HTML as its alternative, attachments. Raises MailError."""
    made = EmailMessage(policy=SMTP)
    made["From"] = address(sender)
    made["To"] = ", ".join(address(one) for one in message.to)
    made["Subject"] = printable(" ".join(message.subject.split()))  # a header is one line
    made["Date"] = format_datetime(at or datetime.now(UTC))
    made["Message-ID"] = make_msgid(domain=made["From"].addresses[0].domain)
    made["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office replies
    made.set_content(message.text)
    if message.html:
        made.add_alternative(message.html, subtype="html")
    for one in message.attachments:
        main, _unused, sub = (mimetypes.guess_type(one.name)[0] or "application/octet-stream").partition("/")
        made.add_attachment(one.content, maintype=main, subtype=sub, filename=one.name)
    return made


def send(server: Server, messages: Sequence[Message]) -> list[list[str]]:
    """Send them one after the other: for each message what went wrong, in sentences; empty when it is sent.

    Raises MailError when none can be sent: the name, the certificate, the login.
    """
    outcome: list[list[str]] = []
    broken = 0  # messages in a row with which the connection was lost
    while len(outcome) < len(messages) and broken < 2:
        try:
            with _connected(server) as connection:
                for message in messages[len(outcome) :]:
                    outcome.append(_send(server, connection, message))
                    broken = 0
        except _Broken as error:
            # The message may be the reason, so it is not tried again; the next ones are.
            outcome.append([str(error)])
            broken += 1
        except MailError as error:
            if not outcome:
                raise
            outcome += [[str(error)]] * (len(messages) - len(outcome))
    return outcome + [[f"{server} was lost twice in a row: run the playbook again later."]] * (
        len(messages) - len(outcome)
    )


def _send(server: Server, connection: smtplib.SMTP, message: Message) -> list[str]:
    try:
        composed = compose(server.sender, message)
    except MailError as error:
        return [str(error)]
    try:
        refused = connection.send_message(composed, to_addrs=[address(one) for one in message.to])
    except smtplib.SMTPRecipientsRefused as error:
        refused = error.recipients
    except smtplib.SMTPSenderRefused as error:
        with suppress(smtplib.SMTPException, OSError):
            connection.rset()
        if error.smtp_code == 552:
            size = len(composed.as_bytes())
            return [
                f"{server} takes no message of {size / 1e6:.1f} MB: attach less, or have its limit raised."
            ]
        return [
            f"{server} refuses the sender {server.sender} ({_said(error)}): "
            "correct sender of prosecours_mail, or ask the operator of the server."
        ]
    except smtplib.SMTPResponseException as error:
        return [f'{server} refuses the message "{composed["Subject"]}" ({_said(error)}).']
    except (smtplib.SMTPServerDisconnected, OSError) as error:
        silent = isinstance(_cause(error), TimeoutError)
        what = f"was silent for {server.timeout:g} s" if silent else "broke off"
        raise _Broken(f'{server} {what} during "{composed["Subject"]}": run the playbook again.') from error
    return [
        f"{server} refuses {recipient} ({code} {_text(reply)}): correct the address in the inventory."
        for recipient, (code, reply) in refused.items()
    ]


@contextmanager
def _connected(server: Server) -> Iterator[smtplib.SMTP]:
    """A connection with TLS and login. Raises MailError."""
    try:
        context = ssl.create_default_context(cafile=server.ca_file or None)
    except OSError as error:
        raise MailError(
            f"{server.ca_file} is no PEM file of certificates", "See ca_file of prosecours_mail"
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # The own name is given: smtplib would look it up in the DNS.
    me = socket.gethostname()
    connection: smtplib.SMTP | None = None
    try:
        if server.security == "tls":
            connection = smtplib.SMTP_SSL(
                server.host, server.port, local_hostname=me, timeout=server.timeout, context=context
            )
        else:
            connection = smtplib.SMTP(server.host, server.port, local_hostname=me, timeout=server.timeout)
            connection.starttls(context=context)
        if server.username:
            connection.login(server.username, server.password.reveal())
    except Exception as error:
        if connection:
            connection.close()
        if refusal := _unusable(server, _cause(error)):
            raise refusal from error
        raise
    try:
        yield connection
    finally:
        # A server that no longer answers the farewell has the messages all the same.
        with suppress(smtplib.SMTPException, OSError):
            connection.quit()
        connection.close()


def _cause(error: Exception) -> BaseException:
    """smtplib tells of a time-out while it reads as of a server that hung up."""
    hidden = isinstance(error, smtplib.SMTPServerDisconnected) and isinstance(error.__context__, TimeoutError)
    return error.__context__ or error if hidden else error


def _unusable(server: Server, error: BaseException) -> MailError | None:
    """Why nothing can be sent; None for what is no error of the network."""
    match error:
        case ssl.SSLCertVerificationError():
            return MailError(
                f"{server} shows a certificate that is not trusted ({error.verify_message})",
                "Name its authority in ca_file of prosecours_mail, or the server as its certificate does",
            )
        case ssl.SSLError():
            other = next(security for security in PORTS if security != server.security)
            return MailError(
                f"{server} does not speak TLS as expected",
                f"See port of prosecours_mail, or set its security to {other}",
            )
        case smtplib.SMTPAuthenticationError():
            return MailError(
                f"{server} refuses the login {server.username} ({error.smtp_code})",
                "See username and password of prosecours_mail",
            )
        case smtplib.SMTPNotSupportedError() if "STARTTLS" in str(error):
            return MailError(
                f"{server} offers no STARTTLS, and nothing is sent in clear",
                "Set security of prosecours_mail to tls with its port, or take another server",
            )
        case socket.gaierror():
            return MailError(f"The name {server.host} is unknown", "See host of prosecours_mail")
        case TimeoutError():
            return MailError(
                f"{server} does not answer within {server.timeout:g} s",
                "See host and port of prosecours_mail, and the firewall",
            )
        case smtplib.SMTPServerDisconnected():
            return MailError(
                f"{server} hung up before the first message",
                "See port of prosecours_mail, or set its security to the other value",
            )
        case smtplib.SMTPResponseException():
            return MailError(
                f"{server} refuses to talk ({_said(error)})", "Try again later, or ask its operator"
            )
        case smtplib.SMTPException():  # no login at all, or in no way that both sides know
            return MailError(
                f"{server} offers no login", "Leave out username and password of prosecours_mail"
            )
        case OSError():
            reason = error.strerror or str(error)
            return MailError(f"{server} cannot be reached ({reason})", "See host and port of prosecours_mail")
    return None


def _said(error: smtplib.SMTPResponseException) -> str:
    return f"{error.smtp_code} {_text(error.smtp_error)}"


def _text(reply: bytes | str) -> str:
    text = reply.decode(errors="replace") if isinstance(reply, bytes) else reply
    return " ".join(text.split())[:200]
