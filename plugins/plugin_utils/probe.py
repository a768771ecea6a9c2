"""Many questions in one command line: what each prints comes back as a section of its own.

A login costs more than anything that a command does, so facts are gathered by one composite command. Its
output goes through a temporary file on the host: WinRM then hands it over in one piece, not one reply per
question.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from . import command_line


class Probe(NamedTuple):
    """One question: `line` is quoted and runs inside parentheses; its standard error is dropped."""

    name: str
    line: str


class Garbled(ValueError):
    """The output does not hold the sections that were asked for."""


def compose(probes: Iterable[Probe], nonce: str) -> str:
    """One command line for all probes; `nonce` (letters and digits) makes the markers impossible to forge."""
    # The line end before each marker keeps it on a line of its own when a section ends without one.
    sections = "".join(f"echo ##{nonce}:{probe.name}&({probe.line})&echo.&" for probe in probes)
    kept = f'"%TEMP%\\{nonce}.txt"'
    return command_line.line(f"({sections}echo ##{nonce}:) 1>{kept} 2>nul&type {kept}&del {kept}")


def split(stdout: bytes, nonce: str) -> dict[str, bytes]:
    """Probe name -> the bytes that it printed. Raises Garbled when the output was cut."""
    _, *parts = stdout.split(f"##{nonce}:".encode())
    if not parts or parts[-1].strip():
        raise Garbled(f"the host answered {len(stdout)} bytes without the expected end")
    sections: dict[str, bytes] = {}
    for part in parts[:-1]:
        name, _, body = part.partition(b"\r\n")
        sections[name.decode("ascii")] = body.removesuffix(b"\r\n")
    return sections


def decode(data: bytes) -> str:
    """Text of a host: UTF-16 when it holds NUL bytes, else strict UTF-8, else the French OEM code page."""
    if b"\x00" in data:
        return data.decode("utf-16-le", errors="replace").removeprefix("\ufeff")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp850")
