"""robocopy.exe: lists and counts (/L), or copies (only with the options that keep everything of a file).

A copy takes data, times and explicit rights along, skips a file that is there with the same size and time,
and goes on after an error. The lab's limit of the disks is obeyed. A folder that an administrator may not
list is listed with /B only. Not modelled: sharing violations (a file that a program holds open is copied all
the same), attributes, /MIR, /PURGE, /MOVE and the like.

Its output is in the OEM code page whatever the console's is. The summary's columns are total, copied
(here: what a real run would copy), skipped, mismatch, failed, extras. What /XF, /XD and /IA leave out counts
in total and skipped, as the file classes that /V names do."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import translate
from pathlib import Path

from windows_lab.machine.call import Call
from windows_lab.machine.drives import NoSuchDrive
from windows_lab.programs.console import DOS_ATTRIBUTES

_OEM = 850
_SWITCHES = {
    "/L",
    "/E",
    "/S",
    "/BYTES",
    "/NFL",
    "/NDL",
    "/NJH",
    "/NJS",
    "/NC",
    "/NS",
    "/NP",
    "/TS",
    "/FP",
    "/XJ",
    "/B",
    "/COPYALL",
    "/DCOPY:DAT",
}
_ATTRIBUTES = {
    "R": 0x1, "H": 0x2, "S": 0x4, "A": 0x20, "T": 0x100, "C": 0x800, "O": 0x1000, "N": 0x2000, "E": 0x4000,
}  # fmt: skip
"""Letters of /IA and their bits (Microsoft Learn, "robocopy", "File attribute constants")."""
_DENIED, _FULL = 5, 112  # ERROR_ACCESS_DENIED, ERROR_DISK_FULL
_LINE = "-" * 79
_FATAL = 16


@dataclass
class _Options:
    source: str
    target: str
    patterns: list[str]
    switches: set[str] = field(default_factory=set)
    levels: int = 0  # of directories, 0: all
    attributes: int = 0  # one of which a file has to have, 0: any file
    copies: bool = False
    without_files: list[str] = field(default_factory=list)
    without_folders: list[str] = field(default_factory=list)


@dataclass
class _Counts:
    total: int = 0
    copied: int = 0
    skipped: int = 0
    failed: int = 0


@dataclass
class _Sums:
    extras: bool = False
    folders: _Counts = field(default_factory=_Counts)
    files: _Counts = field(default_factory=_Counts)
    size: _Counts = field(default_factory=_Counts)


def main(call: Call) -> int:
    """robocopy SOURCE TARGET [patterns] ...; the exit code is a sum: 1 something was, or would be, copied,
    2 the target has more, 8 something could not be copied, 16 fatal."""
    options = _parse(call)
    if "/B" in options.switches and not call.host.settings.get("lab_elevated", True):
        call.out("\nERREUR : Vous n’avez pas les droits de sauvegarde et de restauration.\n", _OEM)
        return _FATAL
    target = _find(call, options.target)
    if not options.copies and target is not None and target.exists():
        call.not_modelled("/L with a target that exists")
    if options.copies and target is None:
        call.not_modelled("copying to a drive that is not there")
    if "/NJH" not in options.switches:
        _header(call, options)
    source = _find(call, options.source)
    if source is None or not source.is_dir():
        return _missing(call, options, source)
    sums = _Sums()
    shown = call.absolute(options.source).rstrip("\\") + "\\"
    if options.copies and target is not None:
        _copy(call, options, source, target, shown, 1, sums)
    else:
        _walk(call, options, source, shown, 1, sums)
    if "/NJS" not in options.switches:
        _summary(call, options, sums)
    copied = bool(sums.files.copied or sums.folders.copied)
    failed = bool(sums.files.failed or sums.folders.failed)
    return copied + 2 * sums.extras + 8 * failed


def _parse(call: Call) -> _Options:
    names: list[str] = []
    options = _Options("", "", names)
    listing = names
    for argument in call.arguments:
        if not argument.startswith("/"):
            listing.append(argument)
            continue
        flag = argument.upper()
        listing = {"/XF": options.without_files, "/XD": options.without_folders}.get(flag, names)
        if match := re.fullmatch(r"/LEV:(\d+)", flag):
            options.levels = int(match[1])
        elif match := re.fullmatch(r"/IA:([RASHCNETO]+)", flag):
            options.attributes = sum(_ATTRIBUTES[letter] for letter in {*match[1]})
        elif flag in _SWITCHES:
            options.switches.add(flag)
        elif flag not in ("/XF", "/XD") and not re.fullmatch(r"/[RW]:\d+", flag):
            call.not_modelled(f"the flag {argument}")
    options.copies = "/L" not in options.switches
    if options.copies != bool(options.switches & {"/COPYALL", "/DCOPY:DAT"}):
        call.not_modelled("copying without /COPYALL and /DCOPY:DAT, or /L with them")
    if options.copies and (
        not options.switches >= {"/COPYALL", "/DCOPY:DAT", "/XJ", "/NFL", "/NDL", "/NJH", "/NJS"}
        or options.without_files
        or options.without_folders
        or options.attributes
    ):
        call.not_modelled("copying with lists, a summary, links or exclusions")
    if len(names) < 2:
        call.not_modelled("a call without source and target")
    options.source, options.target, options.patterns = names[0], names[1], names[2:] or ["*.*"]
    return options


def _attributes(path: Path) -> int:
    """What Linux keeps of a file's attributes; a file without them is one to archive."""
    try:
        return int(os.getxattr(path, DOS_ATTRIBUTES), 16)
    except OSError:
        return _ATTRIBUTES["A"]


def _find(call: Call, path: str) -> Path | None:
    try:
        return call.path(path)
    except NoSuchDrive:
        return None


def _matcher(patterns: list[str]) -> re.Pattern[str]:
    # Windows knows * and ? alone: a [ is a letter like any other.
    globs = ("*" if pattern == "*.*" else pattern.replace("[", "[[]") for pattern in patterns)
    return re.compile("|".join(map(translate, globs)) or r"(?!)", re.I)


def _walk(call: Call, options: _Options, folder: Path, shown: str, level: int, sums: _Sums) -> int:
    """Counts one folder and what is below; gives the number of files selected in all of it."""
    if "/B" not in options.switches and not call.host.rights.listed(folder):
        _error(call, _DENIED, f"Analyse du répertoire source {shown}", "Accès refusé.")
        sums.folders.total += 1
        sums.folders.failed += 1
        return 0
    wanted, unwanted = _matcher(options.patterns), _matcher(options.without_files)
    files: list[tuple[str, int, float]] = []
    folders: list[Path] = []
    for entry in sorted(folder.iterdir(), key=lambda e: e.name.casefold()):
        if entry.is_symlink():
            if "/XJ" not in options.switches:
                call.not_modelled("links without /XJ")
        elif entry.is_dir():
            folders.append(entry)
        elif wanted.match(entry.name):
            status = entry.stat()
            apart = options.attributes and not options.attributes & _attributes(entry)
            skipped = (
                apart
                or unwanted.match(entry.name)
                or shown.lower() + entry.name.lower() in _lower(options.without_files)
            )
            for counts, amount in ((sums.files, 1), (sums.size, status.st_size)):
                counts.total += amount
                counts.skipped += amount if skipped else 0
                counts.copied += 0 if skipped else amount
            if not skipped:
                files.append((entry.name, status.st_size, status.st_mtime))
    sums.folders.total += 1
    sums.folders.copied += 1
    if "/NDL" not in options.switches:
        call.out(f"\t  Nouveau rép.  {len(files):10}\t{shown}\n", _OEM)
    if "/NFL" not in options.switches:
        for line in _lines(options, shown, files):
            call.out(line, _OEM)
    selected = len(files)
    if options.switches & {"/E", "/S"} and (not options.levels or level < options.levels):
        named = _matcher(options.without_folders)
        for entry in folders:
            path = f"{shown}{entry.name}"
            if named.match(entry.name) or path.lower() in _lower(options.without_folders):
                sums.folders.total += 1
                sums.folders.skipped += 1
            else:
                selected += _walk(call, options, entry, path + "\\", level + 1, sums)
    return selected


def _copy(
    call: Call, options: _Options, folder: Path, target: Path, shown: str, level: int, sums: _Sums
) -> None:
    """Copies the selected files of one folder, and with /E what is below, empty folders too."""
    wanted = _matcher(options.patterns)
    if not target.is_dir():
        target.mkdir(parents=True)
        sums.folders.copied += 1
    entries = sorted(folder.iterdir(), key=lambda e: e.name.casefold())
    files = [e for e in entries if e.is_file() and not e.is_symlink() and wanted.match(e.name)]
    folders = [e for e in entries if e.is_dir() and not e.is_symlink()]
    there = {e.name for e in target.iterdir()}
    sums.extras = sums.extras or bool(there - {e.name for e in entries})
    for file in files:
        status, copy = file.stat(), target / file.name
        if copy.exists() and (copy.stat().st_size, copy.stat().st_mtime) == (status.st_size, status.st_mtime):
            continue
        if not call.host.drives.take(status.st_size):
            _error(call, _FULL, f"Copie du fichier {shown}{file.name}", "Espace insuffisant sur le disque.")
            sums.files.failed += 1
            continue
        shutil.copy2(file, copy)  # times and, on Linux, the extended attribute that holds the rights
        sums.files.copied += 1
    if options.switches & {"/E", "/S"} and (not options.levels or level < options.levels):
        for entry in folders:
            if "/S" in options.switches and not any(entry.rglob("*")):
                continue
            _copy(call, options, entry, target / entry.name, f"{shown}{entry.name}\\", level + 1, sums)
    shutil.copystat(folder, target)
    if folder in call.host.drives.folders.values():
        # The root of a drive is hidden and a system folder, which /DCOPY:DAT copies too.
        os.setxattr(target, DOS_ATTRIBUTES, b"0x16")


def _lower(names: list[str]) -> list[str]:
    return [name.lower().rstrip("\\") for name in names]


def _lines(options: _Options, shown: str, files: list[tuple[str, int, float]]) -> Iterator[str]:
    for name, size, modified in files:
        parts = []
        if "/NC" not in options.switches:
            parts.append("    Nouveau fichier  ")
        if "/NS" not in options.switches:
            parts.append(f"{size:10}" if "/BYTES" in options.switches else f"{_short(size):>10}")
        if "/TS" in options.switches:
            parts.append(datetime.fromtimestamp(modified, UTC).strftime("%Y/%m/%d %H:%M:%S"))
        parts.append(shown + name if "/FP" in options.switches else name)
        yield "\t" + "\t".join(parts) + "\n"


def _missing(call: Call, options: _Options, source: Path | None) -> int:
    number, reason = 2, "Le fichier spécifié est introuvable."
    if source is None or not source.parent.is_dir():
        number, reason = 3, "Le chemin d’accès spécifié est introuvable."
    elif source.exists():
        number, reason = 267, "Nom de répertoire non valide."
    shown = options.source.rstrip("\\") + "\\"
    _error(call, number, f"Accès au répertoire source {shown}", reason)
    return _FATAL


def _error(call: Call, number: int, what: str, reason: str) -> None:
    now = datetime.now().astimezone().strftime("%Y/%m/%d %H:%M:%S")
    call.out(f"{now} ERREUR {number} (0x{number:08X}) {what}\n{reason}\n", _OEM)


def _header(call: Call, options: _Options) -> None:
    shown = " ".join(sorted(options.switches | {"/R:0"}))
    call.out(
        f"\n{_LINE}\n   ROBOCOPY     ::     Copie de fichiers robuste pour Windows\n{_LINE}\n\n"
        f"   Source : {options.source}\n     Dest : {options.target}\n\n"
        f" Fichiers : {' '.join(options.patterns)}\n\n  Options : {shown}\n\n{_LINE}\n\n",
        _OEM,
    )


def _short(size: int) -> str:
    for unit, factor in ((" g", 1 << 30), (" m", 1 << 20), (" k", 1 << 10)):
        if size >= factor:
            return f"{size / factor:.1f}{unit}"
    return str(size)


def _summary(call: Call, options: _Options, sums: _Sums) -> None:
    def row(title: str, counts: _Counts, show: type[str] = str) -> str:
        values = (counts.total, counts.copied, counts.skipped, 0, counts.failed, 0)
        return f"{title:>9} :" + "".join(f"{show(value):>10}" for value in values) + "\n"

    text = f"\n{_LINE}\n\n" + " " * 15 + "Total     Copié    IgnoréDiscordance     ÉCHEC    Extras\n"
    text += row("Rép", sums.folders) + row("Fichiers", sums.files)
    if "/BYTES" in options.switches:
        text += row("Octets", sums.size)
    else:
        values = (sums.size.total, sums.size.copied, sums.size.skipped, 0, 0, 0)
        text += f"{'Octets':>9} :" + "".join(f"{_short(value):>10}" for value in values) + "\n"
    text += f"{'Heures':>9} :   0:00:00   0:00:00                       0:00:00   0:00:00\n"
    call.out(text, _OEM)


PROGRAMS = {"robocopy": main}
