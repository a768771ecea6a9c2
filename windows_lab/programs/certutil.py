"""certutil.exe: -hashfile only. Endpoint detection reacts to -decode and -urlcache: refused, loudly."""

from __future__ import annotations

import hashlib

from windows_lab.machine.call import Call
from windows_lab.machine.drives import NoSuchDrive

_ALGORITHMS = {"MD5": "md5", "SHA1": "sha1", "SHA256": "sha256", "SHA384": "sha384", "SHA512": "sha512"}
_NOT_FOUND, _NO_PATH, _EMPTY, _DENIED, _BAD_ALGORITHM = (
    0x80070002,
    0x80070003,
    0x800703EE,
    0x80070005,
    0xD0000225,
)
_ERRORS = {
    _NOT_FOUND: ("WIN32: 2 ERROR_FILE_NOT_FOUND", "Le fichier spécifié est introuvable."),
    _NO_PATH: ("WIN32: 3 ERROR_PATH_NOT_FOUND", "Le chemin d’accès spécifié est introuvable."),
    _DENIED: ("WIN32: 5 ERROR_ACCESS_DENIED", "Accès refusé."),
    _EMPTY: (
        "WIN32: 1006 ERROR_FILE_INVALID",
        "Le volume du fichier a été modifié de façon externe. Le fichier ouvert n’est plus valide.",
    ),
    _BAD_ALGORITHM: ("NTSTATUS: 0xc0000225 STATUS_NOT_FOUND", "L’objet n’a pas été trouvé."),
}


def main(call: Call) -> int:
    """certutil -hashfile FILE [ALGORITHM]; SHA1 unless told otherwise."""
    verb, *rest = call.arguments or [""]
    if verb.lower().replace("/", "-") != "-hashfile" or not 1 <= len(rest) <= 2 or rest[0].startswith("-"):
        call.not_modelled("only -hashfile FILE [ALGORITHM]")
    name = (rest[1] if len(rest) == 2 else "SHA1").upper()
    if name not in _ALGORITHMS:
        return _failed(call, _BAD_ALGORITHM)
    try:
        file = call.path(rest[0])
    except NoSuchDrive:
        return _failed(call, _NO_PATH)
    if file.is_dir():
        return _failed(call, _DENIED)
    if not file.exists():
        return _failed(call, _NOT_FOUND if file.parent.is_dir() else _NO_PATH)
    if file.stat().st_size == 0:
        return _failed(call, _EMPTY)
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, _ALGORITHMS[name]).hexdigest()
    call.out(
        f"Hachage {name} de {rest[0]} :\n{digest}\n"
        "CertUtil: -hashfile La commande s’est terminée correctement.\n"
    )
    return 0


def _failed(call: Call, code: int) -> int:
    kind, reason = _ERRORS[code]
    call.out(f"CertUtil: -hashfile ÉCHEC de la commande : 0x{code:08x} ({kind})\nCertUtil: {reason}\n")
    return code


PROGRAMS = {"certutil": main}
