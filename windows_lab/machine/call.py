"""One call of an emulated program: the other end of forwarder/forwarder.c, which says the protocol."""

from __future__ import annotations

import codecs
import socket
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from windows_lab.machine.wine import WineMachine

NOT_MODELLED = 9009
_CHUNK = 65536


class NotModelled(Exception):
    """The lab does not know what Windows would do: the test must not go on as if it did."""


class Gone(Exception):
    """The forwarder has gone: its process was ended."""


@dataclass
class Call:
    """One call of an emulated program."""

    host: WineMachine
    name: str  # lower case, without .exe
    arguments: list[str]
    line: str  # as the program sees it, its own name included
    cwd: str
    codepage: int  # of the console
    environment: Mapping[str, str]  # names in upper case
    connection: socket.socket

    def out(self, text: str, codepage: int | None = None) -> None:
        """Prints to standard output, in the console's code page unless told otherwise; \\n becomes CR LF."""
        self.write(_encode(text, codepage or self.codepage))

    def err(self, text: str) -> None:
        """Prints to standard error."""
        self.write(_encode(text, self.codepage), b"E")

    def write(self, data: bytes, stream: bytes = b"O") -> None:
        """Bytes to standard output (O) or error (E)."""
        for at in range(0, len(data), _CHUNK):
            part = data[at : at + _CHUNK]
            self.connection.sendall(stream + struct.pack("<I", len(part)) + part)

    def read(self) -> bytes:
        """What standard input has next, at most 64 KiB; empty at its end. Raises Gone."""
        self.connection.sendall(b"R" + struct.pack("<I", _CHUNK))
        (size,) = struct.unpack("<I", exactly(self.connection, 4))
        return exactly(self.connection, size)

    def read_all(self) -> bytes:
        """All of standard input."""
        parts = []
        while part := self.read():
            parts.append(part)
        return b"".join(parts)

    def path(self, windows: str) -> Path:
        """The Linux path of a Windows path as the program was given it. Raises drives.NoSuchDrive."""
        return self.host.drives.find(self.absolute(windows))

    def absolute(self, windows: str) -> str:
        """The absolute Windows path. Raises drives.NoSuchDrive."""
        return self.host.drives.absolute(windows, self.cwd)

    def not_modelled(self, what: str) -> NoReturn:
        """Ends the call loudly."""
        raise NotModelled(what)


Program = Callable[[Call], int]


def exactly(connection: socket.socket, size: int) -> bytes:
    """`size` bytes, or Gone."""
    parts = []
    while size:
        try:
            part = connection.recv(size)
        except OSError:
            raise Gone from None
        if not part:
            raise Gone
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def encoding(codepage: int) -> str:
    """Python's name of a code page; Windows' 65001 is UTF-8, and no console (0) means OEM."""
    return "utf-8" if codepage == 65001 else f"cp{codepage or 850}"


def _encode(text: str, codepage: int) -> bytes:
    text = text.replace("\r\n", "\n").replace("\n", "\r\n")
    return codecs.encode(text, encoding(codepage), "replace")


def split(line: str) -> list[str]:
    """Arguments of a command line, by the rules of Microsoft's C run-time library (argv[0] included)."""
    arguments: list[str] = []
    at, size = 0, len(line)
    first = True
    while at < size:
        while at < size and line[at] in " \t":
            at += 1
        if at >= size:
            break
        word, quoted = "", False
        while at < size and (quoted or line[at] not in " \t"):
            slashes = 0
            while at < size and line[at] == "\\" and not first:
                slashes += 1
                at += 1
            if at < size and line[at] == '"':
                word += "\\" * (slashes // 2)
                if slashes % 2:
                    word += '"'
                elif quoted and at + 1 < size and line[at + 1] == '"' and not first:
                    word += '"'
                    at += 1
                else:
                    quoted = not quoted
                at += 1
            else:
                word += "\\" * slashes
                if at < size and (quoted or line[at] not in " \t"):
                    word += line[at]
                    at += 1
        arguments.append(word)
        first = False
    return arguments
