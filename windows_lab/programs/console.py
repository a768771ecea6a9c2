"""Small programs around the console: timeout, ping, where, attrib."""

from __future__ import annotations

import os
import re
import time

from windows_lab.machine.call import Call
from windows_lab.machine.drives import NoSuchDrive

DOS_ATTRIBUTES = "user.DOSATTRIB"
"""Where Wine keeps what Linux has no bit for: hexadecimal, as Samba does."""
LONGEST_WAIT = 2.0
"""Seconds that ping really waits, however many packets it is told: it is the pause of batch files, and no
test wants to sit through ten minutes."""


def timeout(call: Call) -> int:
    """timeout /t N [/nobreak]: fails where standard input is no console, as over WinRM and in tasks."""
    if not re.fullmatch(r"/t -?\d+( /nobreak)?", " ".join(call.arguments).lower()):
        call.not_modelled("only /t N [/nobreak]")
    call.err(
        "ERREUR : la redirection de l’entrée n’est pas prise en charge, fermeture immédiate du processus.\n"
    )
    return 1


def ping(call: Call) -> int:
    """ping [-n N] [-w ms] 127.0.0.1 (or localhost): N packets, a second between two."""
    match = re.fullmatch(
        r"(?:[-/]n (\d+) )?(?:[-/]w \d+ )?(127\.0\.0\.1|localhost)", " ".join(call.arguments).lower()
    )
    if not match:
        call.not_modelled("only -n N and -w ms to 127.0.0.1")
    count = int(match[1] or 4)
    if count - 1 > LONGEST_WAIT:
        call.host.journal("shortened", program="ping", seconds=count - 1, waited=LONGEST_WAIT)
    call.out("\nEnvoi d’une requête 'Ping'  127.0.0.1 avec 32 octets de données :\n")
    time.sleep(min(count - 1, LONGEST_WAIT))
    for _ in range(min(count, 4)):
        call.out("Réponse de 127.0.0.1 : octets=32 temps<1ms TTL=128\n")
    call.out(
        "\nStatistiques Ping pour 127.0.0.1:\n"
        f"    Paquets : envoyés = {count}, reçus = {count}, perdus = 0 (perte 0%),\n"
    )
    return 0


def where(call: Call) -> int:
    """where [/q] name: in the current directory and PATH."""
    quiet = call.arguments[:1] in (["/q"], ["/Q"])
    names = call.arguments[1:] if quiet else call.arguments
    if len(names) != 1 or re.search(r"[*?:/$\\]", names[0]):
        call.not_modelled("only [/q] and one plain name")
    endings = ["", *call.environment.get("PATHEXT", "").split(";")]
    found: list[str] = []
    for folder in [call.cwd, *call.environment.get("PATH", "").split(";")]:
        for ending in endings:
            try:
                absolute = call.absolute(f"{folder.strip(chr(34))}\\{names[0]}{ending}")
            except NoSuchDrive:
                continue
            if call.host.drives.find(absolute).is_file() and absolute.lower() not in [
                f.lower() for f in found
            ]:
                found.append(absolute)
    if found:
        if not quiet:
            call.out("".join(f"{file}\n" for file in found))
        return 0
    if not quiet:
        call.err("INFORMATION : impossible de trouver des fichiers pour le(s) modèle(s) spécifié(s).\n")
    return 1


_DOS = {"R": 0x1, "H": 0x2, "S": 0x4, "A": 0x20}


def attrib(call: Call) -> int:
    """attrib -h -s NAME: a name without wildcards. What is hidden or a system file is changed only by a call
    that says both (Wine's own attrib minds the last flag alone)."""
    flags, names = call.arguments[:-1], call.arguments[-1:]
    if not flags or not names or not all(re.fullmatch(r"[-+][rhsaRHSA]", flag) for flag in flags):
        call.not_modelled("only flags and one name")
    path = call.path(names[0])
    if not path.exists():
        call.out(f"Fichier introuvable - {names[0]}\n")
        return 1
    try:
        value = int(os.getxattr(path, DOS_ATTRIBUTES), 16)
    except OSError:
        value = 0
    told = {flag[1].upper() for flag in flags}
    for letter, words in (("S", "système"), ("H", "caché")):
        if value & _DOS[letter] and letter not in told:
            call.out(f"Pas de réinitialisation du fichier {words} - {names[0]}\n")
            return 1
    for flag in flags:
        bit = _DOS[flag[1].upper()]
        value = value | bit if flag[0] == "+" else value & ~bit
    os.setxattr(path, DOS_ATTRIBUTES, f"0x{value:x}".encode())
    return 0


PROGRAMS = {"attrib": attrib, "timeout": timeout, "ping": ping, "where": where}
