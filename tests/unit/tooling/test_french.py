"""What `make lint` says of the French that people read: planted mistakes are found, each with its place."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[3]
GOOD = """# Un guide

Le technicien lance `make backup` : la sauvegarde part, « sans attendre » ; le 1er mai 2026, à 22 h 30, elle
a pris 12 % du volume.

    snapshot of a log

| clé | sens |
|---|---|
| `retention` | la conservation promise |
"""
PLANTED = {
    "spelling": ("Le dépot est ouvert.", "« dépot » is no French word"),
    "grammar": ("Il a déployer le serveur.", "« déployer »"),
    "agreement": ("La première sauvegardes est partie.", "« sauvegardes »"),
    "no space before a colon": ("Le dépôt: il est ouvert.", "a space stands before ; : ! ?"),
    "no space in a quotation": ("Le bouton «Entrée » est grand.", "a space stands inside « and »"),
    "a colon that begins a line": ("Le dépôt est ouvert\n: il attend.", "a line does not begin with"),
    "quotation marks": ('Le mot "coffre" est juste.', "a quotation is in « and »"),
    "apostrophe": ("L’agent est posé.", "the apostrophe is straight here"),
    "three points": ("Il attend, puis...", "three points are one character"),
    "unit": ("La place est de 20Go.", "a space stands before a unit"),
    "hour": ("Elle part à 22h.", "a space stands before a unit, an h"),
    "an English unit": ("La place est de 20 GB.", "a size is in Go"),
    "date": ("Elle est du 2026-11-23.", "a date is 23 novembre 2026"),
    "first of the month": ("Elle est du 1 mai.", "the first is 1er"),
    "ordinal": ("La 2ème est partie.", "an ordinal is 2e"),
    "plural in brackets": ("Il y a des serveur(s).", "a number has its singular and its plural"),
    "another term": ("Lire les logs du serveur.", "« logs »: the word is journal"),
}

OTHERS = {
    "page.html.j2": ("<p>Bien.</p>\n{% if x %}\n<p>Les {{ one }} du\ndépot</p>\n{% endif %}\n", 3),
    "mail.txt.j2": ("Bonjour,\n\n{% if x %}\nLe dépot est ouvert.\n{% endif %}\n", 4),
    "rows.py": ('"""Le dépot."""\n\nROW = "in English"\nTOLD = f"Le dépot {ROW} est à vous."\n', 4),
    "letter.yml": ("title: dépot\nlines:\n  - Le dépot est ouvert.\n", 3),
}
"""A file of each other kind -> its text, and the line in which a word is wrong."""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What is said of all of them, in one run: Grammalecte takes a second to load."""
    folder = tmp_path_factory.mktemp("french")
    planted = "\n\n".join(text for text, _said in PLANTED.values())
    texts = {"guide.md": f"{GOOD}\n{planted}\n", **{name: text for name, (text, _line) in OTHERS.items()}}
    for name, text in texts.items():
        (folder / name).write_text(text, "utf-8")
    done = subprocess.run(
        [sys.executable, str(CHECKOUT / "tools" / "french.py"), *texts],
        capture_output=True, text=True, check=False, cwd=folder,
    )  # fmt: skip
    assert (done.stderr, done.returncode) == ("", 1)
    return done.stdout.splitlines()


def test_planted_mistakes_are_found_each_in_its_line(found: list[str]) -> None:
    line = len(GOOD.splitlines()) + 2
    for name, (text, said) in PLANTED.items():
        assert any(one.startswith(f"guide.md:{line}: ") and said in one for one in found), (name, found)
        line += text.count("\n") + 2


def test_what_is_right_and_what_is_code_is_not_named(found: list[str]) -> None:
    lines = [int(one.split(":")[1]) for one in found if one.startswith("guide.md")]
    assert min(lines) > len(GOOD.splitlines())


def test_every_kind_of_file_is_read_where_it_is_french(found: list[str]) -> None:
    assert [one for one in found if not one.startswith("guide.md")] == [
        f"{name}:{line}: « dépot » is no French word: correct it, or add it to french_words.txt"
        for name, (_text, line) in OTHERS.items()
    ]
