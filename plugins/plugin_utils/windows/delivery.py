"""Files on their way to a host: one gzip tar on the standard input of its tar.exe, or PowerShell where it has
none. What arrived is known by its SHA-256."""

from __future__ import annotations

import hashlib
import io
import tarfile
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

from . import probe
from .command_line import argument, path
from .session import Session

_BLOCK = 1 << 18


def pack(files: Mapping[str, bytes | Path], archive: IO[bytes]) -> int:
    """Write a gzip tar of `files` and rewind it; its size in bytes."""
    with tarfile.open(fileobj=archive, mode="w:gz", compresslevel=4) as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.mtime = int(time.time())
            if isinstance(content, Path):
                entry.size = content.stat().st_size
                with content.open("rb") as stream:
                    tar.addfile(entry, stream)
            else:
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
    size = archive.tell()
    archive.seek(0)
    return size


def read(stream: IO[bytes]) -> Iterator[bytes]:
    """The rest of a stream, block by block."""
    while block := stream.read(_BLOCK):
        yield block


def sha256(content: bytes | Path) -> str:
    """Lower-case hex."""
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    with content.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def send(session: Session, folder: str, files: Mapping[str, bytes], tar: bool) -> bool:
    """Put small files into `folder`, which is made; `tar`: the host has tar.exe. Whether all arrived intact.

    Raises SessionError.
    """
    make = f"if not exist {path(folder + chr(92))} mkdir {path(folder)}"
    if tar:
        with tempfile.TemporaryFile() as archive:
            pack(files, archive)
            output = session.run(f"({make})&&cd /d {path(folder)}&&tar -xzf -", read(archive))
        if output.exit_code == 0 and _arrived(session, folder, files):
            return True
    session.run(make)
    with tempfile.TemporaryDirectory() as local:
        for name, content in files.items():
            source = Path(local, name)
            source.write_bytes(content)
            session.put_file(str(source), f"{folder}\\{name}")
    return _arrived(session, folder, files)


def _arrived(session: Session, folder: str, files: Mapping[str, bytes]) -> bool:
    try:
        return intact(session, folder, {name: sha256(content) for name, content in files.items()})
    except probe.Garbled:
        return False


def intact(session: Session, folder: str, hashes: Mapping[str, str]) -> bool:
    """Whether each file that is named in `folder` has its SHA-256. Raises SessionError, Garbled."""
    questions = [
        probe.Probe(name, f"certutil -hashfile {argument(f'{folder}{chr(92)}{name}')} SHA256")
        for name in hashes
    ]
    answers = probe.ask(session, questions)
    return all(probe.hashed(probe.decode(answers[name])) == wanted for name, wanted in hashes.items())
