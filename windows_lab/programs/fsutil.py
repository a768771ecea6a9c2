"""fsutil.exe, as far as it tells which volume is in a drive."""

from __future__ import annotations

import re

from windows_lab.machine.call import Call
from windows_lab.machine.drives import NoSuchDrive


def main(call: Call) -> int:
    r"""fsutil fsinfo volumeinfo X:\ -- the backslash is asked for; without it Windows refuses the path."""
    words = [argument.lower() for argument in call.arguments]
    if words[:2] != ["fsinfo", "volumeinfo"] or len(words) != 3:
        call.not_modelled("only fsinfo volumeinfo X:\\")
    if not re.fullmatch(r"[a-z]:\\", words[2]):
        call.err("Erreur :  Le nom de répertoire n’est pas valide.\n")
        return 1
    letter = words[2][0].upper()
    try:
        present = call.host.drives.find(call.absolute(words[2])).is_dir()
    except NoSuchDrive:
        present = False
    if not present:
        call.err("Erreur 3 : Le chemin d’accès spécifié est introuvable.\n")
        return 1
    serial, label = call.host.volume(letter)
    call.out(
        f"Nom de volume : {label}\n"
        f"Numéro de série du volume : 0x{serial.replace('-', '').lower()}\n"
        "Longueur maximum des composants : 255\n"
        "Nom du système de fichiers : NTFS\n"
        "Est en lecture/écriture\n"
        "Prend en charge les noms de fichiers Unicode\n"
    )
    return 0


PROGRAMS = {"fsutil": main}
