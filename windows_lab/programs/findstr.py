"""findstr.exe and find.exe: lines as bytes, case of ASCII letters only."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import translate
from pathlib import Path

from windows_lab.machine.call import Call, encoding
from windows_lab.machine.drives import NoSuchDrive


def findstr(call: Call) -> int:
    """findstr [/b /e /i /v /x /n /m /l /r] (/c:string ... | words) [files]. 0: found, 1: not, 2: misuse."""
    flags: set[str] = set()
    strings: list[str] = []
    files: list[str] = []
    said = False
    for argument in call.arguments:
        if argument[:1] in "/-" and argument[1:3].lower() == "c:":
            strings.append(argument[3:])
            said = True
        elif argument[:1] == "/":
            letters = set(argument[1:].lower())
            if not letters or letters - set("beivxnmlr"):
                call.not_modelled(f"the flag {argument}")
            flags |= letters
        elif not said and not strings:
            strings = [word for word in argument.split(" ") if word]
        else:
            files.append(argument)
    if not strings or {"l", "r"} <= flags:
        call.err("FINDSTR : ligne de commande incorrecte\n")
        return 2
    if any(ord(letter) > 126 for string in strings for letter in string):
        call.not_modelled("search strings beyond ASCII (findstr and code pages)")
    literal = "r" not in flags and ("l" in flags or said)
    if not flags & {"i", "r"} and len({len(string) for string in strings}) > 1:
        # Windows gives wrong answers there; which ones is known of examples only (Stack Overflow 8844868).
        call.not_modelled("several literals of different lengths with regard to case: Windows misses lines")
    pattern = re.compile(
        b"|".join(_pattern(string, literal, flags) for string in strings), re.I if "i" in flags else 0
    )
    found = False
    names = [name for file in files for name in _expand(call, file)]
    prefix = len(names) > 1 or any("*" in file or "?" in file for file in files)
    sources: list[tuple[str, Path | None]] = list(names) or [("", None)]
    for name, path in sources:
        if path is not None and not path.is_file():
            call.err(f"FINDSTR : impossible d’ouvrir {name}\n")
            continue
        data = path.read_bytes() if path else call.read_all()
        for number, line in enumerate(_lines(data), 1):
            if bool(pattern.search(line)) == ("v" in flags):
                continue
            found = True
            if "m" in flags:
                call.out(f"{name}\n")
                break
            head = f"{name}:" if prefix else ""
            head += f"{number}:" if "n" in flags else ""
            call.write(head.encode(encoding(call.codepage), "replace") + line + b"\r\n")
    return 0 if found else 1


def _pattern(string: str, literal: bool, flags: set[str]) -> bytes:
    # Literally, a backslash quotes a backslash or a quote; before anything else it stands for itself.
    body = re.escape(re.sub(r"\\([\\\"])", r"\1", string)) if literal else _expression(string)
    if flags & {"b", "x"}:
        body = "^" + body
    if flags & {"e", "x"}:
        body += "$"
    return f"(?:{body})".encode()


def _expression(string: str) -> str:
    """findstr's regular expressions know . * ^ $ [class] \\x \\< \\> and nothing else."""
    parts = re.findall(r"\\.|\[\^?[^\]]*\]|.", string)
    known = {".": ".", "*": "*", "^": "^", "$": "$", "\\<": r"\b", "\\>": r"\b"}
    return "".join(
        known.get(part) or (part if part[0] == "[" else re.escape(part[-1] if part[0] == "\\" else part))
        for part in parts
    )


def _lines(data: bytes) -> Iterator[bytes]:
    lines = data.split(b"\n")
    if not lines[-1]:
        lines.pop()
    return (line.removesuffix(b"\r") for line in lines)


def _expand(call: Call, file: str) -> list[tuple[str, Path]]:
    folder, _, name = file.replace("/", "\\").rpartition("\\")
    try:
        if "*" not in name and "?" not in name:
            return [(file, call.path(file))]
        match = re.compile(translate(name), re.I).match
        entries = sorted(call.path(folder or ".").iterdir())
    except (NoSuchDrive, OSError):
        return [(file, Path("/nonexistent"))]
    return [
        (f"{folder}\\{e.name}" if folder else e.name, e) for e in entries if e.is_file() and match(e.name)
    ]


def find(call: Call) -> int:
    """find [/v] [/c] [/i] "string" [files]"""
    match = re.fullmatch(r'\s*(?:"[^"]*"|\S+)((?:\s+/[a-z])*)\s+"((?:[^"]|"")*)"(.*)', call.line, re.I)
    if not match:
        call.err("FIND : format incorrect de paramètre\n")
        return 2
    flags = set(match[1].lower().replace("/", " ").split())
    if flags - {"v", "c", "i"} or "/" in match[3]:
        call.not_modelled("only /v /c /i before the string")
    wanted = match[2].replace('""', '"').encode(encoding(call.codepage), "replace")
    files = [a or b for a, b in re.findall(r'"([^"]*)"|(\S+)', match[3])]
    total = 0
    for name in files or [""]:
        try:
            data = call.path(name).read_bytes() if name else call.read_all()
        except OSError:
            call.err(f"Fichier introuvable - {name.upper()}\n")
            continue
        lines = [line for line in _lines(data) if _has(line, wanted, "i" in flags) != ("v" in flags)]
        total += len(lines)
        if name:
            call.out(f"\n---------- {name.upper()}{f': {len(lines)}' if 'c' in flags else ''}\n")
        elif "c" in flags:
            call.out(f"{len(lines)}\n")
        if "c" not in flags:
            call.write(b"".join(line + b"\r\n" for line in lines))
    return 0 if total else 1


def _has(line: bytes, wanted: bytes, fold: bool) -> bool:
    if not wanted:
        return False  # "" is in no line, so /v "" takes all
    return wanted.lower() in line.lower() if fold else wanted in line


PROGRAMS = {"findstr": findstr, "find": find}
