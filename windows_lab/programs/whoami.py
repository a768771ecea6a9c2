"""whoami.exe and hostname.exe."""

from __future__ import annotations

import csv
import io

from windows_lab.machine.acl import ADMINISTRATORS, USERS
from windows_lab.machine.call import Call

_ALWAYS = "Groupe obligatoire, Activé par défaut, Groupe activé"
_DENY = "Groupe utilisé pour les refus uniquement"


def _groups(call: Call) -> list[tuple[str, str, str, str]]:
    elevated = bool(call.host.settings.get("lab_elevated", True))
    level = ("élevé", "12288") if elevated else ("moyen", "8192")
    return [
        ("Tout le monde", "Groupe bien connu", "S-1-1-0", _ALWAYS),
        ("BUILTIN\\Utilisateurs", "Alias", USERS, _ALWAYS),
        ("BUILTIN\\Administrateurs", "Alias", ADMINISTRATORS,
         f"{_ALWAYS}, Propriétaire du groupe" if elevated else _DENY),
        ("AUTORITE NT\\RESEAU", "Groupe bien connu", "S-1-5-2", _ALWAYS),
        ("AUTORITE NT\\Utilisateurs authentifiés", "Groupe bien connu", "S-1-5-11", _ALWAYS),
        ("AUTORITE NT\\Cette organisation", "Groupe bien connu", "S-1-5-15", _ALWAYS),
        ("AUTORITE NT\\Compte local", "Groupe bien connu", "S-1-5-113", _ALWAYS),
        ("AUTORITE NT\\Authentification NTLM", "Groupe bien connu", "S-1-5-64-10", _ALWAYS),
        (f"Étiquette obligatoire\\Niveau obligatoire {level[0]}", "Nom", f"S-1-16-{level[1]}", ""),
    ]  # fmt: skip


def whoami(call: Call) -> int:
    """whoami [/user | /groups [/fo csv] [/nh]]"""
    flags = [argument.lower() for argument in call.arguments]
    user = f"{call.host.computer}\\{call.host.login}".lower()
    sid = f"S-1-5-21-{sum(user.encode())}-1004336348-1177238915-500"
    if not flags:
        call.out(f"{user}\n")
        return 0
    verb, options = flags[0], " ".join(flags[1:])
    if verb not in ("/user", "/groups") or options not in ("/fo csv", "/fo csv /nh", "/nh /fo csv"):
        call.not_modelled("only without arguments, or /user or /groups with /fo csv [/nh]")
    text = io.StringIO()
    rows = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    if "/nh" not in flags:
        rows.writerow(
            ("Nom d’utilisateur", "SID") if verb == "/user" else ("Nom de groupe", "Type", "SID", "Attributs")
        )
    rows.writerows([(user, sid)] if verb == "/user" else _groups(call))
    call.out(text.getvalue())
    return 0


def hostname(call: Call) -> int:
    """hostname"""
    if call.arguments:
        call.not_modelled("no arguments")
    call.out(f"{call.host.computer}\n")
    return 0


PROGRAMS = {"whoami": whoami, "hostname": hostname}
