"""Logins of a lab host: Basic for each request, NTLM (bare or in SPNEGO) for each connection; and sealing.

Message encryption is MS-WSMV 2.2.9.1: a multipart body whose second part is a signature and the sealed SOAP.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
import struct
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import spnego
from spnego._ntlm_raw.crypto import ntowfv1  # no public name gives the hash that the user file below needs
from spnego.channel_bindings import GssChannelBindings
from spnego.exceptions import BadBindingsError, SpnegoError

if TYPE_CHECKING:
    from windows_lab.winrm.journal import Journal

NTLM_HEADER = b"NTLMSSP\0"
BOUNDARY = b"--Encrypted Boundary"
ENCRYPTED = "application/HTTP-SPNEGO-session-encrypted"
ENCRYPTED_TYPE = f'multipart/encrypted;protocol="{ENCRYPTED}";boundary="Encrypted Boundary"'

# spnego finds its users through an environment variable; every host has its own file, so logins take turns.
_user_file_lock = threading.Lock()


class DecryptionError(Exception):
    """A body that says it is encrypted and is not, or not for this connection."""


class Accounts:
    """The users of a host and their refused logins: ten in a row lock an account for ten minutes."""

    LOCK_AFTER = 10  # the default of Server 2022 and later
    LOCK_SECONDS = 600.0

    def __init__(self, host: str, users: Mapping[str, str], user_file: Path) -> None:
        self._host = host
        self._user_file = user_file
        self._lock = threading.Lock()
        self._failures: dict[
            str, tuple[int, float]
        ] = {}  # user in lower case: refused in a row, time of the last
        self.replace(users)

    def replace(self, users: Mapping[str, str]) -> None:
        """Takes new logins and passwords; NTLM hashes go to a file that only this user can read."""
        self._users = {login.casefold(): password for login, password in users.items()}
        lines = []
        for login, password in users.items():
            domain, _, name = login.rpartition("\\")
            # A local account may be named with no domain, with "." or with the name of its host.
            for known_domain in (domain,) if domain else ("", ".", self._host):
                prefix = f"{known_domain}\\" if known_domain else ""
                lines.append(f"{prefix}{name}:1000:{'0' * 32}:{ntowfv1(password).hex().upper()}:[U]:LCT-0\n")
        self._user_file.touch(mode=0o600)
        self._user_file.write_text("".join(lines), encoding="utf-8")

    def right_password(self, login: str, password: str) -> bool:
        """Basic: the password as it is."""
        domain, _, name = login.casefold().rpartition("\\")
        local = name if domain in (".", self._host.casefold()) else login.casefold()
        expected = self._users.get(login.casefold(), self._users.get(local))
        return expected is not None and hmac.compare_digest(expected.encode(), password.encode())

    def accept(
        self, context: spnego.ContextProxy, token: bytes, bindings: GssChannelBindings | None
    ) -> bytes | None:
        """One step of NTLM. Raises SpnegoError for a wrong user or password."""
        with _user_file_lock:
            os.environ["NTLM_USER_FILE"] = str(self._user_file)
            try:
                return context.step(token, channel_bindings=bindings)
            except BadBindingsError as refusal:
                if "not present" not in str(refusal):
                    raise
                # CbtHardeningLevel is Relaxed on Windows: a client that sends no channel binding is let in.
                return context.step(token)

    def new_context(self, token: bytes) -> spnego.ContextProxy:
        """The server's side for a first token, bare NTLM or SPNEGO."""
        with _user_file_lock:
            os.environ["NTLM_USER_FILE"] = str(self._user_file)
            bare = token.startswith(NTLM_HEADER)
            options = spnego.NegotiateOptions.use_ntlm if bare else spnego.NegotiateOptions.use_negotiate
            return spnego.server(protocol="ntlm" if bare else "negotiate", options=options)

    def locked(self, login: str) -> bool:
        """Whether even the right password is refused."""
        with self._lock:
            count, last = self._failures.get(login.casefold(), (0, 0.0))
        return count >= self.LOCK_AFTER and time.monotonic() - last < self.LOCK_SECONDS

    def note(self, login: str, accepted: bool) -> int:
        """Counts one login; returns the refused ones in a row."""
        with self._lock:
            count, _ = self._failures.get(login.casefold(), (0, 0.0))
            count = 0 if accepted else count + 1
            self._failures[login.casefold()] = (count, time.monotonic())
        return count

    def unlock(self) -> None:
        """Forgets refused logins."""
        with self._lock:
            self._failures.clear()


@dataclass
class Verdict:
    """`user` once logged in; else `token` is NTLM's challenge, None when refused or not tried."""

    user: str | None = None
    token: bytes | None = None


class Login:
    """The authentication of one TCP connection."""

    def __init__(
        self,
        accounts: Accounts,
        journal: Journal,
        connection: int,
        basic: bool,
        certificate_hash: bytes | None,
    ) -> None:
        self._accounts = accounts
        self._journal = journal
        self._connection = connection
        self._basic = basic
        self._bindings = (
            GssChannelBindings(application_data=b"tls-server-end-point:" + certificate_hash)
            if certificate_hash
            else None
        )
        self._context: spnego.ContextProxy | None = None
        self._user: str | None = None  # of the connection, by NTLM
        self._logged = False

    @property
    def seals(self) -> bool:
        """Whether messages of this connection can be encrypted."""
        return self._user is not None

    def challenges(self) -> list[str]:
        """What a 401 offers."""
        return ["Negotiate", *(['Basic realm="WSMAN"'] if self._basic else [])]

    def check(self, authorization: str | None) -> Verdict:
        """One request's Authorization header, None when it has none."""
        if authorization is None:
            return Verdict(self._user)
        scheme, _, value = authorization.partition(" ")
        try:
            token = base64.b64decode(value.strip(), validate=True)
        except binascii.Error:
            return Verdict()
        match scheme.casefold():
            case "basic" if self._basic:
                return self._check_basic(token)
            case "negotiate" | "ntlm":
                return self._check_ntlm(token)
            case _:
                return Verdict()

    def _check_basic(self, token: bytes) -> Verdict:
        try:
            text = token.decode()
        except UnicodeDecodeError:  # clients do not agree on an encoding; requests sends latin-1
            text = token.decode("cp1252", "replace")
        login, _, password = text.partition(":")
        accepted = self._accounts.right_password(login, password)
        return Verdict(login) if self._note(login, "Basic", accepted) else Verdict()

    def _check_ntlm(self, token: bytes) -> Verdict:
        self._user = None
        if self._context is None or self._context.complete or ntlm_type(token) == 1:
            self._context = self._accounts.new_context(token)
        try:
            answer = self._accounts.accept(self._context, token, self._bindings)
        except (SpnegoError, ValueError, struct.error):
            self._context = None
            if ntlm_type(token) == 3:
                self._note(ntlm_user(token), "NTLM", accepted=False)
            return Verdict()
        if not self._context.complete:
            return Verdict(token=answer)
        user = self._context.client_principal or ""
        if not self._note(user, "NTLM", accepted=True):
            return Verdict()
        self._user = user
        return Verdict(user, answer)

    def _note(self, user: str, method: str, accepted: bool) -> bool:
        locked = self._accounts.locked(user)
        accepted = accepted and not locked
        failures = self._accounts.note(user, accepted)
        # Basic logs in with each request: the first of a connection is enough to read.
        if method == "NTLM" or not accepted or not self._logged:
            self._logged = True
            self._journal.login(
                connection=self._connection,
                user=user,
                method=method,
                accepted=accepted,
                failures=failures,
                locked=locked or self._accounts.locked(user),
            )
        return accepted

    def decrypt(self, body: bytes) -> bytes:
        """The SOAP of an encrypted body. Raises DecryptionError."""
        if self._context is None or not self._context.complete:
            raise DecryptionError
        head, separator, rest = body.partition(BOUNDARY + b"\r\n\tContent-Type: application/octet-stream\r\n")
        length = head.rpartition(b"Length=")[2].strip()
        if not separator or not rest.endswith(BOUNDARY + b"--\r\n") or not length.isdigit():
            raise DecryptionError
        sealed = rest[: -len(BOUNDARY) - 4]
        if len(sealed) < 4:
            raise DecryptionError
        signature_end = 4 + int(struct.unpack_from("<I", sealed)[0])
        try:
            plain = self._context.unwrap_winrm(sealed[4:signature_end], sealed[signature_end:])
        except SpnegoError:
            raise DecryptionError from None
        if len(plain) != int(length):
            raise DecryptionError
        return plain

    def encrypt(self, envelope: bytes) -> bytes:
        """The body of an encrypted reply; its Content-Type is ENCRYPTED_TYPE."""
        if self._context is None:
            raise DecryptionError
        sealed = self._context.wrap_winrm(envelope)
        return (
            BOUNDARY
            + f"\r\n\tContent-Type: {ENCRYPTED}\r\n".encode()
            # Length is last in its header: pywinrm reads to the end of it.
            + b"\tOriginalContent: type=application/soap+xml;charset=UTF-8;"
            + f"Length={len(envelope)}\r\n".encode()
            + BOUNDARY
            + b"\r\n\tContent-Type: application/octet-stream\r\n"
            + struct.pack("<I", len(sealed.header))
            + sealed.header
            + sealed.data
            + BOUNDARY
            + b"--\r\n"
        )


def ntlm_type(token: bytes) -> int:
    """1 negotiate, 2 challenge, 3 authenticate, 0 when the token carries no NTLM message."""
    position = token.find(NTLM_HEADER)
    return token[position + 8] if position >= 0 and len(token) > position + 8 else 0


def ntlm_user(token: bytes) -> str:
    """The user that an authenticate message names (MS-NLMP 2.2.1.3, UserNameFields)."""
    message = token[token.find(NTLM_HEADER) :]
    try:
        length, _, offset = struct.unpack_from("<HHI", message, 36)
    except struct.error:
        return ""
    return message[offset : offset + length].decode("utf-16-le", "replace")
