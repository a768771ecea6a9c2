"""The data of the scenarios' server: what is ticked in Annexe 1, and files beside it that stay at home."""

from __future__ import annotations

import sys

from verifier import Server, resolved_inventory

LONG = "\\".join(["un-dossier-dont-le-nom-est-long-à-plaisir"] * 5)

FILES = {
    r"D:\isa_sauvegarde_dossier": ["dossier 0001.isa", "dossier 0002.isa"],
    r"D:\isagiwf\backup": ["compta.bak", "paie.bak"],
    r"D:\isagiwf": ["B0001.GIW", "b0002.giw", "B00003.GIW", "C0001.GIW"],
    r"D:\isaflux\backup": ["flux.bak"],
    r"D:\isapawp": ["bulletin (août).pdf", "l'état & la suite.txt"],
    r"D:\Bureautique\Élevage & Cultures (2026)": ["Prés, bois.txt", "naïf ^1.csv", "été!.txt"],
    rf"D:\Bureautique\Élevage & Cultures (2026)\{LONG}": ["au bout.txt"],
    r"D:\Privé": ["pas dans le contrat.txt"],
    r"D:\isaeditiers": ["non coché.txt"],
}

BEGINS = {"bak": "TAPE", "pdf": "%PDF-1.7"}
"""What a file is by its ending it is by its first bytes too, as far as echo can write those."""


def main() -> int:
    """Write all files; a second run writes the same ones again."""
    server = Server(*next(iter(resolved_inventory().items())))
    for folder, names in FILES.items():
        server.expect(f'if not exist "{folder}\\" mkdir "{folder}"')
        for name in names:
            begin = BEGINS.get(name.rpartition(".")[2], "")
            server.expect(f'echo {begin} {len(name)} octets de {len(folder)} >"{folder}\\{name}"')
    return 0


if __name__ == "__main__":
    sys.exit(main())
