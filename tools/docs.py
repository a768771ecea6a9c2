"""The printed documents of the example clients, in build/docs: `make docs`.

Made as a technician makes them, with a copy of the example inventory: print the annexes, note a
signature, change what was signed, print the amendment, hand over the letters.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
PLACE = CHECKOUT / "build" / "docs"
INVENTORY = PLACE / "inventory"
CHANGED = "scea_de_la_plaine"
VOLUME = "        prosecours_subscribed_gb: 50\n"


def documents(*more: str) -> None:
    """Runs playbooks/documents.yml on the copy. Raises SystemExit."""
    own = {
        "PROSECOURS_SECRETS": str(PLACE / "secrets"),
        "PROSECOURS_JOURNAL": str(PLACE / "journal"),
    }
    done = subprocess.run(
        ["ansible-playbook", "-i", str(INVENTORY), "playbooks/documents.yml", *more],
        cwd=CHECKOUT, env={**os.environ, **own}, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(done.returncode)


def main() -> None:
    shutil.rmtree(PLACE, ignore_errors=True)
    shutil.copytree(CHECKOUT / "inventories" / "example", INVENTORY)
    provider = INVENTORY / "provider.yml"
    text = provider.read_text("utf-8")
    provider.write_text(text[: text.index("    prosecours_mail:")], "utf-8")  # nothing is sent from here
    wishes = INVENTORY / "clients" / "gaec_des_trois_chenes.yml"
    wishes.write_text(wishes.read_text("utf-8").replace("_by_mail: true", "_by_mail: false"), "utf-8")
    documents()
    (data,) = (PLACE / "documents" / CHANGED).glob("annexes-*.json")
    print(f"signed: {json.loads(data.read_text('utf-8'))['agreed']['name']}, {data.stem}")
    client = INVENTORY / "clients" / f"{CHANGED}.yml"
    signed = (
        "        prosecours_subscribed_gb: 80\n        prosecours_signed:\n"
        f'          fingerprint: "{data.stem.removeprefix("annexes-")}"\n'
        "          date: 2026-11-02\n          signatory: M. Jérôme Petit\n"
    )
    text = client.read_text("utf-8").replace(VOLUME, signed).replace("            - isapawp\n", "")
    client.write_text(text.replace("- D:\\Commun\n", "- D:\\Commun\n            - E:\\Plans\n"), "utf-8")
    documents("-e", "prosecours_letters=true")
    for path in sorted((PLACE / "documents").rglob("*")):
        if path.suffix in (".html", ".pdf"):
            print(path.relative_to(CHECKOUT))


if __name__ == "__main__":
    sys.exit(main())
