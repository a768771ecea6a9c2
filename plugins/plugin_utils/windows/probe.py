"""Many questions in one command line: what each prints comes back as a section of its own.

A login costs more than anything that a command does, so facts are gathered by one composite command. Its
output goes through a temporary file on the host: WinRM then hands it over whole.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from typing import NamedTuple

from ..errors import ProSecoursError
from . import command_line
from .command_line import CannotQuote
from .session import Session


class Probe(NamedTuple):
    """One question: `line` is quoted and runs inside parentheses; its standard error is dropped."""

    name: str
    line: str


class Garbled(ProSecoursError):
    """The output does not hold the sections that were asked for: the host could not keep it to its end."""

    def __init__(self, host: str, received: int) -> None:
        super().__init__(
            f"the host answered {received} bytes without the expected end",
            "See that %TEMP% of the WinRM user can be written to and that its disk is not full",
            host,
        )


def compose(probes: Iterable[Probe], nonce: str) -> str:
    """One command line for all probes; `nonce` (letters and digits) makes the markers impossible to forge."""
    # The line end before each marker keeps it on a line of its own when a section ends without one.
    sections = "".join(f"echo ##{nonce}:{probe.name}&({probe.line})&echo.&" for probe in probes)
    kept = f'"%TEMP%\\{nonce}.txt"'
    return command_line.line(f"({sections}echo ##{nonce}:) 1>{kept} 2>nul&type {kept}&del {kept}")


def split(stdout: bytes, nonce: str) -> dict[str, bytes] | None:
    """Probe name -> the bytes that it printed; None when the output was cut."""
    _unused, *parts = stdout.split(f"##{nonce}:".encode())
    if not parts or parts[-1].strip():
        return None
    sections: dict[str, bytes] = {}
    for part in parts[:-1]:
        name, _unused, body = part.partition(b"\r\n")
        sections[name.decode("ascii")] = body.removesuffix(b"\r\n")
    return sections


def commands(pieces: Iterable[Probe], nonce: str) -> list[str]:
    """As few composite command lines as cmd.exe's limit allows: one, but for perimeters of dozens of long
    paths.

    Raises CannotQuote when a single piece is too long.
    """
    lines: list[str] = []
    together: tuple[Probe, ...] = ()
    for piece in pieces:
        try:
            lines[-1:] = [compose((*together, piece), nonce)]
            together += (piece,)
        except CannotQuote:
            lines.append(compose((piece,), nonce))
            together = (piece,)
    return lines


def ask(session: Session, questions: Iterable[Probe], timeout: float = 120.0) -> dict[str, bytes]:
    """Probe name -> what it printed, by as few commands as possible; `timeout` in seconds bounds each.

    Raises SessionError, CannotQuote, Garbled.
    """
    answers: dict[str, bytes] = {}
    nonce = secrets.token_hex(8)
    for line in commands(questions, nonce):
        stdout = session.run(line, timeout=timeout).stdout
        found = split(stdout, nonce)
        if found is None:
            raise Garbled(session.host, len(stdout))
        answers |= found
    return answers


def decode(data: bytes) -> str:
    """Text of a host: UTF-16 when it holds NUL bytes, else strict UTF-8, else the French OEM code page."""
    if b"\x00" in data:
        return data.decode("utf-16-le", errors="replace").removeprefix("\ufeff")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp850")


def hashed(certutil: str) -> str:
    """The hash in certutil's answer: its only line of 64 hex digits, in pairs on older Windows."""
    for line in certutil.splitlines():
        digits = line.replace(" ", "").strip().lower()
        if re.fullmatch(r"[0-9a-f]{64}", digits):
            return digits
    return ""
