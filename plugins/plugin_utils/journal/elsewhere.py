"""Heads of the journal leave the machine (C10): told to a syslog receiver, and stamped by an authority.

A journal that was written anew as a whole, with its head, shows nothing by itself. So whoever wishes has each
new head told to a syslog receiver of another machine, over TLS (RFC 5424, RFC 5425), and has the last head of
each run stamped by an authority (RFC 3161). The tokens lie beside the journal (that of a file:
`<journal>.stamps`), a line of JSON each: they prove what the journal was at that time, with the authority's
certificate alone.

Both are beside the journal: a channel that refuses costs a sentence, never an entry. Nothing but a head is
told: a number and a hash.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import re
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...module_utils.maintenance.shape import read
from ..deadline import within
from ..errors import ProSecoursError
from ..libraries import INSTALL
from .entries import Entry, Place, head_of, store_of, timestamp
from .stores import Store

SECONDS = 10.0
"""For each of the two, whatever the other side does: nobody waits longer for a run to begin or end."""
PORT = 6514
"""syslog over TLS, RFC 5425 4.1"""
AUDIT_NOTICE = 13 * 8 + 5
"""Facility "log audit", severity "notice": RFC 5424 6.2.1"""
_LARGEST = 100_000  # bytes of an answer; tokens have some thousands


class Untold(ProSecoursError):
    """A head was not taken; the journal has its entry all the same."""


@dataclass(frozen=True)
class Channels:
    """Where heads go; what is empty is not used."""

    syslog: str = ""
    """host, or host:port"""
    syslog_ca: str = ""
    """PEM file of the authority of its certificate; empty: those that this machine trusts."""
    authority: str = ""
    """Address of an authority for time stamps."""
    authority_ca: str = ""
    """PEM file of the roots of its certificates."""


def tell(channels: Channels, place: Place, entry: Entry, seconds: float = SECONDS) -> list[str]:
    """Tell of an entry that is in the journal; that of the end of a run is stamped too. A sentence for each
    channel that did not take it."""
    store = store_of(place)
    work: list[Callable[[], None]] = []
    if channels.syslog:
        work.append(lambda: _syslog(channels, store, entry, seconds))
    if channels.authority and entry.get("kind") == "end":
        work.append(lambda: _stamp(channels, store, entry, seconds))
    said = []
    for one in work:
        try:
            within(2 * seconds, one)  # each connects and asks
        except TimeoutError:
            said.append(str(Untold(f"A head of the journal was not taken within {2 * seconds:g} s", _SEE)))
        except ProSecoursError as error:
            said.append(str(error))
    return said


_SEE = "See journal_syslog and journal_timestamp below [prosecours] of ansible.cfg (docs/journal.md)"


# -- syslog ---------------------------------------------------------------------------------------------


def _syslog(channels: Channels, store: Store, entry: Entry, seconds: float) -> None:
    host, port = _place(channels.syslog)
    refused = f"The syslog receiver {host}:{port} was not told the head of the journal"
    try:
        context = ssl.create_default_context(cafile=channels.syslog_ca or None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        message = syslog_message(str(store), entry, socket.gethostname(), os.getpid())
        with (
            socket.create_connection((host, port), seconds) as plain,
            context.wrap_socket(plain, server_hostname=host) as secured,
        ):
            secured.sendall(b"%d %s" % (len(message), message))  # RFC 5425 4.3: octets are counted
            # Closed in order: whoever reads to the end has all of it. Not all receivers answer that.
            with contextlib.suppress(OSError):
                secured.unwrap()
    except ssl.SSLCertVerificationError as error:
        raise Untold(
            f"{refused}: its certificate is not trusted ({error.verify_message})",
            "Name its authority in journal_syslog_ca, or the receiver as its certificate does",
        ) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise Untold(f"{refused} ({reason})", _SEE) from error


def _place(text: str) -> tuple[str, int]:
    found = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]+)(?::(\d{1,5}))?", text.strip())
    if not found or not 0 < int(found[2] or PORT) < 65536:
        raise Untold(f'journal_syslog: "{text}" is no address of a receiver', "Write its name, or name:port")
    return found[1].strip("[]"), int(found[2] or PORT)


def syslog_message(place: str, entry: Entry, host: str, process: int) -> bytes:
    """A head as RFC 5424 has it; ASCII, so that no byte order mark is due."""
    own = re.sub(r"[^!-~]", "?", host)[:255] or "-"
    where = re.sub(r"[^ -~]", "?", place)[:500]
    said = f"{head_of(entry)} {entry.get('kind')} {where}"
    return f"<{AUDIT_NOTICE}>1 {entry['at']} {own} prosecours {process} journal - head {said}".encode("ascii")


# -- stamps ---------------------------------------------------------------------------------------------


def _stamp(channels: Channels, store: Store, entry: Entry, seconds: float) -> None:
    """Have a head stamped, hold the answer against the roots, and keep it."""
    head = head_of(entry)
    refused = f"The time stamp authority {_host(channels.authority)} did not stamp the head of the journal"
    roots = _roots(channels.authority_ca)
    client, requests = _libraries()
    message = str(head).encode()
    query = (
        client.TimestampRequestBuilder()
        .data(message)
        .hash_algorithm(client.base.HashAlgorithm.SHA256)
        .cert_request(cert_request=True)
        .build()
    )
    try:
        # Also by plain HTTP, as most authorities have it: what comes back is signed, holds our number, and is
        # checked before it is kept; what goes out is a hash (RFC 3161 3.4).
        with requests.post(
            channels.authority,
            data=query.as_bytes(),
            headers={"Content-Type": "application/timestamp-query"},
            timeout=seconds,
            stream=True,
        ) as answer:
            token = answer.raw.read(_LARGEST, decode_content=True)
            status = answer.status_code
    except (requests.RequestException, OSError, ValueError) as error:
        raise Untold(f"{refused}: it cannot be reached, or did not answer in time", _SEE) from error
    if status != requests.codes.ok:
        raise Untold(f"{refused} (HTTP {status})", _SEE)
    if problem := _wrong(token, message, roots, query.nonce):
        raise Untold(f"{refused} as it should ({problem})", _SEE)
    line = {"head": str(head), "token": base64.b64encode(token).decode("ascii")}
    store.keep_stamp(json.dumps(line, separators=(",", ":")).encode("ascii"))


@dataclass(frozen=True)
class _Line:
    head: str
    token: str


def checked(place: Place, authority_ca: str) -> tuple[list[str], list[str]]:
    """(problems, notes) about all stamps beside a journal; that it holds the stamped heads, `entries.verify`
    says. Raises Untold when the roots cannot be read, or a library is missing, and JournalError."""
    store = store_of(place)
    lines = store.stamps()
    if not lines:
        return [], []
    if not authority_ca:
        return [], [f"{len(lines)} time stamps were not checked: journal_timestamp_ca is not set."]
    roots = _roots(authority_ca)
    problems = []
    last = ""
    for number, line in enumerate(lines, 1):
        try:
            one = read(_Line, json.loads(line))
            token = base64.b64decode(one.token, validate=True)
        except ValueError:
            problems.append(f"Line {number} of the stamps of {store} is no time stamp.")
            continue
        if problem := _wrong(token, one.head.encode(), roots):
            problems.append(f"The time stamp of the head {one.head} is not true ({problem}).")
        else:
            at = _libraries()[0].decode_timestamp_response(token).tst_info.gen_time
            last = f"{one.head} on {timestamp(at)}"
    noted = [f"{len(lines)} heads were stamped, the last true one {last}."] if last else []
    return problems, noted


def _wrong(token: bytes, message: bytes, roots: list[Any], nonce: int | None = None) -> str:
    """Why an answer of an authority is no stamp of `message`; empty when it is."""
    client, _requests = _libraries()
    try:
        answer = client.decode_timestamp_response(token)
    except ValueError:
        return "it is no answer that RFC 3161 has"
    try:
        client.VerifierBuilder(roots=list(roots), nonce=nonce).build().verify_message(answer, message)
        if answer.tst_info.message_imprint.message != hashlib.sha256(message).digest():
            return "it is of something else"
    except (client.VerificationError, ValueError) as error:
        return " ".join(str(error).split())[:200] or type(error).__name__
    return ""


def _roots(file: str) -> list[Any]:
    from cryptography.x509 import load_pem_x509_certificates

    try:
        return list(load_pem_x509_certificates(Path(file).read_bytes()))
    except (OSError, ValueError) as error:
        raise Untold(
            f'journal_timestamp_ca: "{file}" is no PEM file of certificates',
            "Name the file with the roots of the time stamp authority: without them no stamp can be checked",
        ) from error


def _libraries() -> tuple[Any, Any]:
    """Late: whoever has no authority needs neither."""
    try:
        import requests
        import rfc3161_client
    except ModuleNotFoundError as error:
        raise Untold(
            f"No head can be stamped, the Python of Ansible has no {error.name}", f"Install it: {INSTALL}"
        ) from error
    return rfc3161_client, requests


def _host(address: str) -> str:
    return re.sub(r"^\w+://(?:[^@/]*@)?([^/]*).*$", r"\1", address)
