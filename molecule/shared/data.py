"""The data of the scenarios' server: what is ticked in Annexe 1, and files beside it that stay at home.

python data.py          writes them
python data.py remove   takes them away again, and the agent with them: a server that is not the lab's
"""

from __future__ import annotations

import os
import sys

import requests
from verifier import AGENT, TASK, Server, resolved_inventory

OFFICE = r"D:\Bureautique\Élevage & Cultures (2026)"
NAME, DEPTH = "un-dossier-dont-le-nom-est-long-à-plaisir", 5
LONG = "\\".join([NAME] * DEPTH)

FILES = {
    r"D:\isa_sauvegarde_dossier": ["dossier 0001.isa", "dossier 0002.isa"],
    r"D:\isagiwf\backup": ["compta.bak", "paie.bak"],
    r"D:\isagiwf": ["B0001.GIW", "b0002.giw", "B00003.GIW", "C0001.GIW"],
    r"D:\isaflux\backup": ["flux.bak"],
    r"D:\isapawp": ["bulletin (août).pdf", "l'état & la suite.txt"],
    OFFICE: ["Prés, bois.txt", "naïf ^1.csv", "été!.txt"],
    rf"{OFFICE}\{LONG}": ["au bout.txt"],
    r"D:\Privé": ["pas dans le contrat.txt"],
    r"D:\isaeditiers": ["non coché.txt"],
}

RESTORES = r"D:\Restauration"
"""What restores make beside the data."""

BEGINS = {"bak": "TAPE", "pdf": "%PDF-1.7"}
"""What a file is by its ending it is by its first bytes too, as far as echo can write those."""


def main(arguments: list[str]) -> int:
    """A second run does the same once more."""
    server = Server(*next(iter(resolved_inventory().items())))
    if arguments != ["remove"]:
        return write(server)
    try:
        return remove(server)
    except requests.RequestException as error:
        forget = f"remove {os.environ['PROSECOURS_SERVERS']}"
        sys.exit(
            f"{server.name} does not answer ({error}): destroy again when it does, or {forget} if it is gone."
        )


def remove(server: Server) -> int:
    """All that a scenario makes, however it ended; 1 when something stays."""
    ended = (
        f'schtasks /end /tn "{TASK}"',
        "taskkill /f /im restic-backup.exe",
        f'schtasks /delete /tn "{TASK}" /f',
    )
    server.run("&".join(f"({line})>nul 2>nul" for line in ended))
    tops = {"\\".join(folder.split("\\")[:2]) for folder in (*FILES, RESTORES)}
    left = []
    # From the top down each folder of the long path gets a short name: then rmdir reaches all of it.
    above = [OFFICE + "\\a" * level for level in range(DEPTH)]
    server.run("&".join(rf'ren "{folder}\{NAME}" a' for folder in above))
    for folder in (AGENT, *sorted(tops)):
        server.run(f'if exist "{folder}\\" rmdir /s /q "{folder}"')
        left += [folder] if server.run(f'if exist "{folder}\\" exit 1').rc else []
    if left:
        print(f"{server.name} keeps {', '.join(left)}: see which program holds it, then destroy again")
    return 1 if left else 0


def write(server: Server) -> int:
    """All files; a second run writes the same ones again."""
    for folder, names in FILES.items():
        server.expect(f'if not exist "{folder}\\" mkdir "{folder}"')
        for name in names:
            begin = BEGINS.get(name.rpartition(".")[2], "")
            server.expect(f'echo {begin} {len(name)} octets de {len(folder)} >"{folder}\\{name}"')
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
