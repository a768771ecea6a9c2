"""The data of the scenario's server, on the Linux side of its disk: names that Windows allows and programs
stumble over, a path of more than 260 characters, and one file that takes seconds on a slow link."""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

LONG = "/".join(["un-dossier-dont-le-nom-est-long-à-plaisir"] * 7)
OFFICE = "Bureautique/Élevage & Cultures (2026)"
BIG = "isa_sauvegarde_dossier/gros.zip"
SIZES = {
    "isa_sauvegarde_dossier/dossier 0001.isa": 300_000,
    BIG: 6_000_000,
    "isagiwf/B0001.GIW": 5_000,
    "isagiwf/b0002.giw": 7_000,
    "isagiwf/C0001.GIW": 11,
    f"{OFFICE}/[2026] l'été & co.xlsx": 20_000,
    f"{OFFICE}/$env ^ naïf!.csv": 300,
    f"{OFFICE}/vide.txt": 0,
    f"{OFFICE}/{LONG}/au bout.txt": 400,
    "Privé/pas dans le contrat.txt": 10,
}


def drive(host: str) -> Path:
    """D: of a lab host."""
    return Path(os.environ["PROSECOURS_LAB"]) / "hosts" / host / "drives" / "D"


def main() -> int:
    """Write all files, with times of their own; bytes that neither compress nor repeat."""
    content = random.Random(36)  # noqa: S311 -- the same at every run
    for number, (name, size) in enumerate(SIZES.items()):
        file = drive("chenes-srv") / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.randbytes(size))
        os.utime(file, (1_700_000_000 + number * 86_401, 1_700_000_000 + number * 86_401))
    return 0


if __name__ == "__main__":
    sys.exit(main())
