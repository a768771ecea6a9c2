"""powershell.exe: nothing but the copy of a file as Ansible's own winrm connection makes it (put_file), the
way in on Server 2016, which has no tar.exe.

The script on the command line is Ansible's bootstrap. Standard input has, with a line of four NULs between:
the wrapper as JSON, the manifest of what to run as JSON, then the file in base64, a part a line.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Iterator

from windows_lab.machine.call import Call
from windows_lab.machine.drives import NoSuchDrive

_FLAGS = ["-noprofile", "-noninteractive", "-executionpolicy", "unrestricted", "-encodedcommand"]
_BOOTSTRAP = "Ansible requires PowerShell v5.1"
_SEPARATOR = b"\0\0\0\0"
_SCRIPT = "winrm_put_file.ps1"


def main(call: Call) -> int:
    """powershell -NoProfile -NonInteractive -ExecutionPolicy Unrestricted -EncodedCommand <bootstrap>"""
    *flags, code = call.arguments or [""]
    if [flag.lower() for flag in flags] != _FLAGS:
        call.not_modelled("only the copy of a file by Ansible's winrm connection")
    try:
        script = base64.b64decode(code, validate=True).decode("utf-16-le")
    except (binascii.Error, UnicodeDecodeError):
        call.not_modelled("an -EncodedCommand that is no script")
    if _BOOTSTRAP not in script:
        call.not_modelled("a script that is not Ansible's bootstrap")
    lines = _lines(call)
    _until_separator(lines)
    path = _target(call, _until_separator(lines))
    digest = hashlib.sha1(usedforsecurity=False)
    try:
        with call.path(path).open("wb") as file:
            for line in lines:
                part = base64.b64decode(line)
                if not call.host.drives.take(len(part)):
                    return _failed(call, "Espace insuffisant sur le disque.")
                digest.update(part)
                file.write(part)
    except (OSError, NoSuchDrive):
        return _failed(call, f"Impossible de trouver une partie du chemin d’accès « {path} ».")
    call.out(json.dumps({"sha1": digest.hexdigest()}, separators=(",", ":")) + "\n")
    return 0


def _target(call: Call, manifest: bytes) -> str:
    """The Path parameter of the one action, put_file."""
    try:
        actions = json.loads(manifest)["actions"]
        names = [action["name"] for action in actions]
        path = str(actions[-1]["params"]["Path"])
    except (ValueError, KeyError, TypeError, IndexError):
        call.not_modelled("a manifest of another form")
    if names[-1] != _SCRIPT or len(names) != 1:
        call.not_modelled(f"the scripts {', '.join(names)}")
    return path


def _until_separator(lines: Iterator[bytes]) -> bytes:
    parts = []
    for line in lines:
        if line == _SEPARATOR:
            break
        parts.append(line)
    return b"".join(parts)


def _lines(call: Call) -> Iterator[bytes]:
    """Standard input, line by line, without empty lines."""
    rest = b""
    while data := call.read():
        *whole, rest = (rest + data).split(b"\n")
        yield from (line.rstrip(b"\r") for line in whole if line.strip(b"\r"))
    if rest:
        yield rest


def _failed(call: Call, reason: str) -> int:
    call.err(f"Exception lors de l’appel de « Write » avec « 3 » argument(s) : « {reason} »\n")
    return 1


PROGRAMS = {"powershell": main}
