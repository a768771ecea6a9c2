"""forfiles.exe."""

from __future__ import annotations

import re
import time
from fnmatch import translate

from windows_lab.machine.call import Call
from windows_lab.machine.drives import NoSuchDrive

_LIMIT = 300.0  # seconds for one command


def main(call: Call) -> int:
    """forfiles [/p folder] [/m mask] [/d -days] [/c command]. Ages are counted from the real clock, as the
    times of files are: the clock of the task scheduler does not reach the file system."""
    options = {"/p": ".", "/m": "*", "/d": "", "/c": "cmd /c echo @file"}
    arguments = iter(call.arguments)
    for flag in arguments:
        if flag.lower() not in options:
            call.not_modelled(f"the flag {flag}")
        options[flag.lower()] = next(arguments, "")
    if options["/d"] and not re.fullmatch(r"-\d{1,5}", options["/d"]):
        call.not_modelled(f"/d {options['/d']}: only -days")
    try:
        absolute = call.absolute(options["/p"])
        folder = call.host.drives.find(absolute)
    except NoSuchDrive:
        folder = None
    if folder is None or not folder.is_dir():
        call.err("ERREUR : Le nom de répertoire n’est pas valide.\n")
        return 1
    match = re.compile(translate("*" if options["/m"] == "*.*" else options["/m"]), re.I).match
    # -N: last written on a day that is at least N days before today.
    today = time.time() // 86400
    days = int(options["/d"][1:]) if options["/d"] else 0
    found = [
        entry for entry in sorted(folder.iterdir())
        if match(entry.name) and (not days or today - entry.stat().st_mtime // 86400 >= days)
    ]  # fmt: skip
    if not found:
        call.err("ERREUR : Aucun fichier n’a été trouvé avec les critères de recherche spécifiés.\n")
        return 1
    for entry in found:
        values = {
            "@path": f'"{absolute.rstrip(chr(92))}\\{entry.name}"', "@file": f'"{entry.name}"',
            "@fname": f'"{entry.stem}"', "@ext": f'"{entry.suffix[1:]}"',
            "@isdir": str(entry.is_dir()).upper(), "@fsize": str(entry.stat().st_size),
        }  # fmt: skip
        line = options["/c"]
        for name, value in values.items():
            line = re.sub(rf"{name}\b", lambda _, v=value: v, line, flags=re.I)  # type: ignore[misc]
        if "@" in re.sub(r'"[^"]*"', "", line):
            call.not_modelled(f"the command {options['/c']}")
        _run(call, line, absolute)
    return 0


def _run(call: Call, line: str, folder: str) -> None:
    process = call.host.spawn(line, folder, call.environment)
    process.send(b"", True)
    deadline = time.monotonic() + _LIMIT
    code = None
    while code is None:
        chunks, code = process.receive(1.0)
        for name, data in chunks:
            call.write(data, b"O" if name == "stdout" else b"E")
        if time.monotonic() > deadline:
            process.terminate()


PROGRAMS = {"forfiles": main}
