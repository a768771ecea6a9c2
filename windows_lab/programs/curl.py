"""curl.exe, part of Windows since 10 1803 and Server 2019: this machine's curl, with few of its flags."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import IO

from windows_lab.machine.call import Call, encoding
from windows_lab.machine.drives import NoSuchDrive

_PLAIN = {
    "-s", "-S", "-sS", "-I", "-f", "-q", "-k", "--insecure", "--ssl-no-revoke", "--silent", "--show-error",
    "--head", "--fail",
}  # fmt: skip
_VALUE = {
    "-w",
    "--write-out",
    "--max-time",
    "-m",
    "--connect-timeout",
    "-X",
    "--request",
    "-H",
    "--header",
    "--stderr",
}
_FILE = {"--cacert", "-o", "--output", "-T", "--upload-file", "--data-binary", "-K", "--config"}
_IN_CONFIG = {
    "url",
    "user",
    "ssl-no-revoke",
    "cacert",
    "header",
    "upload-file",
    "max-time",
    "request",
    "output",
}
VERSIONS = {17763: "7.55.1", 19045: "8.4.0", 20348: "8.13.0", 26100: "8.13.0"}
"""Build -> the curl of a host without `lab_curl`: Server 2019 as it came, the others with updates."""
_UNTRUSTED = "curl: (60) schannel: SEC_E_UNTRUSTED_ROOT (0x80090325)\n"
_OTHER_NAME = "curl: (60) schannel: CertGetNameString() failed to match connection hostname\n"


def main(call: Call) -> int:
    """curl: every flag not listed above is refused loudly. Certificates are checked against --cacert, else
    against what this machine trusts (the real one asks Windows: schannel)."""
    version = str(call.host.settings.get("lab_curl") or VERSIONS.get(call.host.edition.build, "8.13.0"))
    if call.arguments == ["--version"]:
        call.out(f"curl {version} (Windows) libcurl/{version} Schannel WinIDN\n")
        return 0
    program = shutil.which("curl")
    if not program:
        call.not_modelled("this machine has no curl; install the package curl")
    config: bytes | None = None
    arguments: list[str] = []
    needs_input = False
    given = iter(call.arguments)
    for argument in given:
        if argument == "--ssl-no-revoke":
            continue  # schannel only
        if argument in _PLAIN or re.match(r"https?://", argument):
            arguments.append(argument)
        elif argument in _VALUE:
            value = next(given, "")
            if argument == "--stderr" and value != "-":
                call.not_modelled("--stderr with a file")
            arguments += [argument, value]
        elif argument in _FILE:
            value = next(given, "")
            if argument in ("-K", "--config"):
                if value != "-":
                    call.not_modelled("-K with a file")
                config = _checked(call, call.read_all())
            else:
                needs_input = needs_input or value in ("-", "@-")
                arguments += [argument, _path(call, value)]
        else:
            call.not_modelled(f"the argument {argument}")
    if refused := _refused(version, arguments, (config or b"").decode()):
        call.write(refused.encode(), b"O" if "--stderr" in arguments else b"E")
        return 60
    if config is not None and needs_input:
        call.not_modelled("a configuration and data on one standard input")
    return _run(call, program, arguments, config, needs_input)


def _refused(version: str, arguments: list[str], config: str) -> str:
    """What this version says of a certificate that it cannot check against --cacert: it knows the option from
    7.60 on (before, Windows' own authorities are asked), and IP addresses from 8.11.0 on (curl#15149)."""
    addresses = re.findall(r"https://([^/\s\"]+)", " ".join([*arguments, config]))
    unchecked = {"-k", "--insecure"} & set(arguments)
    if not addresses or unchecked or not ("--cacert" in arguments or "cacert" in config):
        return ""
    known = tuple(int(part) for part in version.split(".")[:2])
    if known < (7, 60):
        return _UNTRUSTED
    by_number = any(re.fullmatch(r"[\d.]+(:\d+)?|\[.*", address) for address in addresses)
    return _OTHER_NAME if by_number and known < (8, 11) else ""


def _path(call: Call, value: str) -> str:
    sign = "@" if value.startswith("@") else ""
    name = value.removeprefix("@")
    if name.upper() == "NUL":
        return f"{sign}/dev/null"
    if name == "-":
        return value
    try:
        return sign + str(call.path(name))
    except NoSuchDrive:
        return f"{sign}/nonexistent/{name}"


def _checked(call: Call, text: bytes) -> bytes:
    """The configuration for the curl of this machine. Only known names; paths become Linux paths."""
    lines = []
    for line in text.decode("utf-8").splitlines():
        match = re.fullmatch(r'\s*-*([a-z-]+)(?:\s*[=: ]\s*("(?:[^"\\]|\\.)*"|\S+))?\s*', line)
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if not match or match[1] not in _IN_CONFIG:
            call.not_modelled(f"the configuration {line.split('=')[0].strip()}")
        if match[1] == "ssl-no-revoke":
            continue
        value = match[2] or ""
        if match[1] in ("cacert", "upload-file", "output"):
            plain = re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
            value = '"' + _path(call, plain).replace("\\", "\\\\").replace('"', '\\"') + '"'
        lines.append(f"{match[1]} = {value}" if value else match[1])
    return "\n".join([*lines, ""]).encode()


def _run(call: Call, program: str, arguments: list[str], config: bytes | None, needs_input: bool) -> int:
    folder = call.host.drives.find(call.host.drives.absolute(".", call.cwd))
    with tempfile.TemporaryDirectory() as scratch:
        if config is not None:
            # A file and no pipe: standard input may be wanted for data.
            file = Path(scratch) / "config"
            file.touch(0o600)
            file.write_bytes(config)
            arguments = [*arguments, "-K", str(file)]
        # Never this machine's own .curlrc; and the curl of Windows speaks HTTP/1.1.
        arguments = ["-q", "--http1.1", *(argument for argument in arguments if argument != "-q")]
        process = subprocess.Popen(
            [program, *arguments], cwd=folder, env={"PATH": os.defpath, "LC_ALL": "C.UTF-8"},
            stdin=subprocess.PIPE if needs_input else subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        if process.stdin:
            threading.Thread(target=_feed, args=(call.read_all(), process.stdin), daemon=True).start()
        out, err = process.stdout, process.stderr
        if out is None or err is None:
            raise OSError("no pipes")
        errors: list[bytes] = []
        reader = threading.Thread(target=lambda: errors.append(err.read()), daemon=True)
        reader.start()
        while data := os.read(out.fileno(), 65536):
            call.write(data)
        reader.join()
        call.write(
            b"".join(errors).decode("utf-8", "replace").encode(encoding(call.codepage), "replace"), b"E"
        )
        return process.wait()


def _feed(data: bytes, stream: IO[bytes]) -> None:
    with contextlib.suppress(OSError), stream:  # curl may end before it has read all
        stream.write(data)


PROGRAMS = {"curl": main}
