"""icacls.exe: access rights by SID. Names of accounts are those of a French Windows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from fnmatch import translate
from pathlib import Path

from windows_lab.machine.acl import FRENCH_NAMES, SIMPLE, BadSddl, Entry, Explicit, parse
from windows_lab.machine.call import Call
from windows_lab.machine.drives import NoSuchDrive

_NO_FILE, _NO_PATH, _BAD_SYNTAX, _NO_MAPPING = 2, 3, 87, 1332
_TEXTS = {
    _NO_FILE: "Le fichier spécifié est introuvable.",
    _NO_PATH: "Le chemin d’accès spécifié est introuvable.",
    _NO_MAPPING: "Le mappage entre les noms de compte et les ID de sécurité n’a pas été effectué.",
}
_NAMES = {value: name for name, value in SIMPLE.items()}
Change = Callable[[Path, Explicit], Explicit]


class _Wrong(Exception):
    """A syntax that icacls refuses; carries the parameter."""


class _Unknown(Exception):
    """An account that this Windows does not know."""


@dataclass
class _Options:
    name: str
    recurse: bool = False
    go_on: bool = False
    quiet: bool = False
    links: bool = False
    save: str = ""
    restore: str = ""
    changes: list[Change] = field(default_factory=list)
    inheritance: str = ""


def main(call: Call) -> int:
    """icacls NAME [/save FILE | /restore FILE | /reset | /setowner SID | /inheritance:e|d|r | /grant[:r]
    SID:RIGHTS ... | /remove[:g|:d] SID ...] [/t] [/c] [/l] [/q]; the exit code is the Windows error."""
    try:
        options = _parse(call)
    except _Wrong as problem:
        call.err(f'Paramètre non valide "{problem}"\n')
        return _BAD_SYNTAX
    except _Unknown as problem:
        call.err(
            f"{problem} : {_TEXTS[_NO_MAPPING]}\n"
            "Traitement réussi de 0 fichiers ; échec du traitement de 1 fichiers\n"
        )
        return _NO_MAPPING
    found = _targets(call, options)
    if not found:
        error = _NO_FILE if _folder_exists(call, options.name) else _NO_PATH
        call.err(f"{options.name} : {_TEXTS[error]}\n")
        _total(call, 0, 1)
        return error
    if options.restore:
        return _restore(call, options, found[0][1])
    files = list(_below(options, found))
    if options.save:
        return _save(call, options, files)
    if options.changes or options.inheritance:
        return _each(call, options, files, lambda _, path: _change(call, options, path))
    return _each(call, replace(options, quiet=True), files, lambda shown, path: _show(call, shown, path))


def _each(
    call: Call, options: _Options, files: list[tuple[str, Path]], work: Callable[[str, Path], None]
) -> int:
    """Work on each file. One that has gone since it was listed is told; `/c` goes on after it."""
    done = failed = 0
    for shown, path in files:
        try:
            work(shown, path)
        except FileNotFoundError:
            call.err(f"{shown} : {_TEXTS[_NO_FILE]}\n")
            failed += 1
            if not options.go_on:
                break
        else:
            done += 1
            if not options.quiet:
                call.out(f"fichier traité : {shown}\n")
    _total(call, done, failed)
    return _NO_FILE if failed else 0


def _parse(call: Call) -> _Options:
    if not call.arguments or call.arguments[0].startswith("/"):
        call.not_modelled("a call without a name")
    options = _Options(call.arguments[0])
    arguments = call.arguments[1:]
    at = 0
    while at < len(arguments):
        flag = arguments[at].lower()
        values = []
        while at + 1 < len(arguments) and not arguments[at + 1].startswith("/"):
            at += 1
            values.append(arguments[at])
        at += 1
        _flag(call, options, flag, values)
    return options


def _flag(call: Call, options: _Options, flag: str, values: list[str]) -> None:
    simple = {"/t": "recurse", "/c": "go_on", "/q": "quiet", "/l": "links"}
    if flag in simple and not values:
        setattr(options, simple[flag], True)
    elif flag in ("/save", "/restore") and len(values) == 1:
        setattr(options, flag[1:], values[0])
    elif flag == "/reset" and not values:
        options.changes.append(lambda _, rights: Explicit(owner=rights.owner))
    elif flag == "/setowner" and len(values) == 1:
        owner = _sid(values[0])
        options.changes.append(lambda _, rights: replace(rights, owner=owner))
    elif flag in ("/inheritance:e", "/inheritance:d", "/inheritance:r") and not values:
        options.inheritance = flag[-1]
    elif flag in ("/grant", "/grant:r", "/deny") and values:
        for value in values:
            options.changes.append(_grant(value, flag == "/grant:r", flag == "/deny"))
    elif flag in ("/remove", "/remove:g", "/remove:d") and values:
        for value in values:
            options.changes.append(_remove(_sid(value), flag[8:]))
    elif flag in ("/findsid", "/verify", "/setintegritylevel", "/substitute", "/?"):
        call.not_modelled(f"the flag {flag}")
    else:
        raise _Wrong(flag if flag.startswith("/") else values[0])


def _sid(text: str) -> str:
    if text.startswith("*"):
        if not re.fullmatch(r"\*S-1-\d+(-\d+)+", text, re.I):
            raise _Unknown(text)
        return text[1:].upper()
    if text.lower() not in FRENCH_NAMES:
        raise _Unknown(text)
    return FRENCH_NAMES[text.lower()]


def _grant(value: str, replacing: bool, deny: bool) -> Change:
    account, colon, rights = value.rpartition(":")
    match = re.fullmatch(r"((?:\((?:OI|CI|IO|NP)\))*)(?:\(?([A-Z,]+)\)?)", rights.upper())
    if not colon or not match:
        raise _Wrong(value)
    mask = 0
    for name in match[2].split(","):
        if name not in SIMPLE:
            raise _Wrong(value)
        mask |= SIMPLE[name]
    entry = Entry(deny, frozenset(re.findall("[A-Z]{2}", match[1])), mask, _sid(account))

    def change(path: Path, rights: Explicit) -> Explicit:
        # Inheritance means nothing on a file.
        own = entry if path.is_dir() else entry._replace(flags=frozenset())
        kept = tuple(
            e for e in rights.entries
            if not (e.sid == own.sid and e.deny == own.deny and (replacing or e.flags == own.flags))
        )  # fmt: skip
        if not replacing:
            before = [
                e.mask
                for e in rights.entries
                if e.sid == own.sid and e.deny == own.deny and e.flags == own.flags
            ]
            own = own._replace(mask=own.mask | (before[0] if before else 0))
        # Canonical order: denied first; a new entry stands before older ones of its kind.
        order = (
            (own, *kept) if deny else (*(e for e in kept if e.deny), *(e for e in kept if not e.deny), own)
        )
        return replace(rights, entries=order)

    return change


def _remove(sid: str, kind: str) -> Change:
    def change(_: Path, rights: Explicit) -> Explicit:
        gone = {":g": (False,), ":d": (True,), "": (False, True)}[kind]
        return replace(rights, entries=tuple(e for e in rights.entries if e.sid != sid or e.deny not in gone))

    return change


def _change(call: Call, options: _Options, path: Path) -> None:
    store = call.host.rights
    rights = store.explicit(path)
    # icacls works on inheritance first, whatever the order of its arguments.
    if options.inheritance == "e":
        rights = replace(rights, protected=False)
    elif options.inheritance == "d":
        rights = replace(rights, protected=True, entries=rights.entries + store.inherited(path))
    elif options.inheritance == "r":
        rights = replace(rights, protected=True)
    for change in options.changes:
        rights = change(path, rights)
    store.set(path, rights)


def _targets(call: Call, options: _Options) -> list[tuple[str, Path]]:
    """What the name stands for, as (name as shown, path)."""
    folder, separator, name = options.name.replace("/", "\\").rpartition("\\")
    try:
        if "*" not in name and "?" not in name:
            path = call.path(options.name)
            return [(options.name, path)] if path.exists() else []
        within = call.path(folder + separator if separator else ".")
    except NoSuchDrive:
        return []
    match = re.compile(translate("*" if name == "*.*" else name), re.I).match
    entries = sorted(within.iterdir(), key=lambda e: e.name.casefold()) if within.is_dir() else []
    return [(f"{folder}{separator}{e.name}", e) for e in entries if match(e.name)]


def _folder_exists(call: Call, name: str) -> bool:
    try:
        absolute = call.absolute(re.sub(r"[*?]", "_", name))
        return call.host.drives.find(absolute.rpartition("\\")[0] + "\\").is_dir()
    except NoSuchDrive:
        return False


def _below(options: _Options, found: list[tuple[str, Path]]) -> Iterator[tuple[str, Path]]:
    for shown, path in found:
        yield shown, path
        if options.recurse and path.is_dir() and not path.is_symlink():
            try:
                entries = sorted(path.iterdir(), key=lambda e: e.name.casefold())
            except FileNotFoundError:  # gone meanwhile
                continue
            yield from _below(options, [(f"{shown}\\{e.name}", e) for e in entries])


def _save(call: Call, options: _Options, files: list[tuple[str, Path]]) -> int:
    """UTF-16LE without BOM: name relative to the folder of the argument, SDDL, each on a line."""
    if options.changes or options.inheritance:
        raise _Wrong("/save")
    base = options.name.replace("/", "\\").rstrip("\\").rpartition("\\")[0]
    try:
        saved = call.path(options.save).open("w", encoding="utf-16-le", newline="\r\n")
    except OSError:
        call.err(f"{options.save} : {_TEXTS[_NO_PATH]}\n")
        return _NO_PATH

    def keep(shown: str, path: Path) -> None:
        relative = shown.replace("/", "\\").rstrip("\\")[len(base) :].lstrip("\\")
        sddl = call.host.rights.sddl(path)
        saved.write(f"{relative}\n{sddl}\n")

    with saved:
        return _each(call, options, files, keep)


def _restore(call: Call, options: _Options, folder: Path) -> int:
    try:
        lines = call.path(options.restore).read_bytes().decode("utf-16-le").split("\r\n")
    except OSError:
        call.err(f"{options.restore} : {_TEXTS[_NO_FILE]}\n")
        return _NO_FILE
    count = failed = 0
    base = call.host.drives.windows(folder).rstrip("\\")
    for name, sddl in zip(lines[::2], lines[1::2], strict=False):
        path = call.host.drives.find(f"{base}\\{name}")
        try:
            rights = parse(sddl)
        except BadSddl as problem:
            call.not_modelled(f"the descriptor {problem}")
        if not path.exists():
            call.err(f"{base}\\{name} : {_TEXTS[_NO_FILE]}\n")
            failed += 1
            continue
        call.host.rights.set(path, replace(rights, owner=call.host.rights.explicit(path).owner))
        count += 1
    _total(call, count, failed)
    return _NO_FILE if failed else 0


def _show(call: Call, shown: str, path: Path) -> None:
    names = {sid: name for name, sid in reversed(FRENCH_NAMES.items())}
    rights = call.host.rights
    lines = []
    for inherited, entries in ((False, rights.explicit(path).entries), (True, rights.inherited(path))):
        for entry in entries:
            flags = "".join(f"({flag})" for flag in ("OI", "CI", "NP", "IO") if flag in entry.flags)
            mark = "(I)" if inherited else ""
            deny = "(DENY)" if entry.deny else ""
            name = names.get(entry.sid, entry.sid)
            lines.append(f"{name}:{mark}{flags}{deny}({_NAMES.get(entry.mask, f'0x{entry.mask:x}')})")
    call.out(f"{shown} " + ("\n" + " " * (len(shown) + 1)).join(lines or ["Aucune autorisation"]) + "\n\n")


def _total(call: Call, done: int, failed: int) -> None:
    call.out(f"{done} fichiers correctement traités ; échec du traitement de {failed} fichiers\n")


PROGRAMS = {"icacls": main}
