"""tar.exe, part of Windows since 10 1803 and Server 2019: bsdtar. Extracts and lists gzipped tar files."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import zlib
from pathlib import Path
from typing import IO

from windows_lab.machine.call import Call
from windows_lab.machine.drives import NoSuchDrive

_VERSIONS = {17763: "3.3.2", 19045: "3.5.2", 20348: "3.5.2", 26100: "3.7.7"}
_CHUNK = 1 << 20


class _Stdin(io.RawIOBase):
    """Standard input of the call, as a file."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if not self._rest:
            self._rest = self._call.read()
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size


class _Full(Exception):
    """The disk is full."""


def main(call: Call) -> int:
    """tar -xzf - | -xf - | -tzf - | -xzf FILE ..., with -C folder. Exit code 1 for whatever goes wrong."""
    if call.arguments == ["--version"]:
        version = _VERSIONS.get(call.host.edition.build, "3.5.2")
        call.out(f"bsdtar {version} - libarchive {version} zlib/1.2.5.f-ipp \n")
        return 0
    mode, source, folder = _options(call)
    try:
        target = call.path(folder)
        source_path = None if source == "-" else call.path(source)
    except NoSuchDrive:
        call.err(f"tar: could not chdir to '{folder}'\n")
        return 1
    if not target.is_dir():
        call.err(f"tar: could not chdir to '{folder}'\n")
        return 1
    try:
        raw: IO[bytes] = source_path.open("rb") if source_path else io.BufferedReader(_Stdin(call), _CHUNK)
    except OSError:
        call.err(f"tar: Error opening archive: Failed to open '{source}'\n")
        return 1
    with raw:
        return _read(call, raw, None if mode == "t" else target)


def _options(call: Call) -> tuple[str, str, str]:
    arguments = iter(call.arguments)
    mode = source = ""
    folder = "."
    for argument in arguments:
        letters = argument[1:]
        if argument == "-C":
            folder = next(arguments, "")
        elif (
            argument.startswith("-")
            and set(letters) <= set("xtzf")
            and not mode
            and len(set(letters) & {"x", "t"}) == 1
        ):
            mode = "x" if "x" in letters else "t"
            source = next(arguments, "") if letters.endswith("f") else ""
        else:
            call.not_modelled(f"the argument {argument}: only -x or -t with z, f and -C")
    if not mode or not source:
        call.not_modelled("only -xzf and -tzf with a source")
    return mode, source, folder


def _read(call: Call, raw: IO[bytes], target: Path | None) -> int:
    """Extracts into `target`, or lists. bsdtar tells gzip and plain tar apart by itself."""
    code = 0
    try:
        head = raw.peek(2)[:2] if isinstance(raw, io.BufferedReader) else b""
        stream: IO[bytes] = gzip.GzipFile(fileobj=raw) if head == b"\x1f\x8b" else raw  # type: ignore[assignment]
        if head == b"":
            call.err("tar: Error opening archive: Unrecognized archive format\n" if target is None else "")
            return 0 if target is not None else 1
        with tarfile.open(fileobj=stream, mode="r|", bufsize=_CHUNK) as archive:
            for member in archive:
                if target is None:
                    call.out(f"{member.name}{'/' if member.isdir() else ''}\n")
                else:
                    code = max(code, _extract(call, archive, member, target))
        while stream.read(_CHUNK):
            pass  # padding, and gzip's own check sum
    except _Full:
        call.err("tar.exe: Espace insuffisant sur le disque\n")
        return 1
    except (EOFError, zlib.error, gzip.BadGzipFile, tarfile.ReadError) as problem:
        truncated = isinstance(problem, EOFError) or "unexpected end" in str(problem)
        reason = "truncated gzip input" if truncated else "Unrecognized archive format"
        call.err(
            f"tar: {'Error opening archive: ' if not truncated else ''}{reason}\n"
            "tar: Error exit delayed from previous errors.\n"
        )
        return 1
    if code:
        call.err("tar: Error exit delayed from previous errors.\n")
    return code


def _extract(call: Call, archive: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> int:
    parts = member.name.replace("\\", "/").split("/")
    if ".." in parts:
        call.err(f"tar: {member.name}: Path contains '..'\n")
        return 1
    if not (member.isfile() or member.isdir()):
        call.not_modelled(f"an archive with the special entry {member.name}")
    # A leading drive or slash is dropped, as bsdtar does without -P.
    relative = "\\".join(part for part in parts if part not in ("", ".") and not part.endswith(":"))
    path = call.host.drives.find(call.host.drives.windows(target).rstrip("\\") + "\\" + relative)
    if member.isdir():
        path.mkdir(parents=True, exist_ok=True)
        return 0
    path.parent.mkdir(parents=True, exist_ok=True)
    source = archive.extractfile(member)
    if source is None:
        raise tarfile.ReadError("unexpected end of data")
    path.unlink(missing_ok=True)  # bsdtar replaces files, it does not write into them
    with path.open("wb") as file:
        while part := source.read(_CHUNK):
            if not call.host.drives.take(len(part)):
                raise _Full
            file.write(part)
    os.utime(path, (member.mtime, member.mtime))
    return 0


PROGRAMS = {"tar": main}
