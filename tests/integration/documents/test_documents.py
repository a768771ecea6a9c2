"""playbooks/documents.yml as technicians use it: what it foretells, and what it cannot do. The way from the
print to the amendment is molecule/documents.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from support.inventory import client, write
from support.playbook import Played, play

ADDRESS = {"lines": ["12 rue des Tilleuls"], "postal_code": "60190", "city": "Avrigny"}


class Playbooks:
    """An inventory of two clients, one of them without a postal address; `documents` lies beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.documents = folder / "documents"
        self.journal = folder / "journal"
        for number, (name, address) in enumerate((("gaec", ADDRESS), ("scea", None)), 1):
            one = client(name, f"rest:https://127.0.29.9:{8000 + number}/", prosecours_postal_address=address)
            write(self.inventory(name), one)

    def inventory(self, name: str) -> Path:
        return self.folder / "inventory" / "clients" / f"{name}.yml"

    def run(self, playbook: str, *more: str) -> Played:
        journal = {"PROSECOURS_JOURNAL": str(self.journal)}
        return play(self.folder / "inventory", playbook, *more, environment=journal)

    def kept(self) -> dict[str, bytes]:
        """All that lies in the folder of documents, by its name."""
        files = (path for path in self.documents.rglob("*") if path.is_file() and path.name != ".lock")
        return {path.relative_to(self.documents).as_posix(): path.read_bytes() for path in files}


def test_check_mode_foretells_what_is_printed_and_what_cannot_be_done_is_said(tmp_path: Path) -> None:
    """Both are due their letter; the one without an address does not stop the other's."""
    of = Playbooks(tmp_path)
    with_letters = ("-e", "prosecours_letters=true", "--diff")
    foretold = of.run("documents", *with_letters, "--check")
    assert foretold.code == 0, foretold.output
    assert not of.documents.exists()
    handed = of.run("documents", *with_letters)
    assert handed.code == 0, handed.output
    assert handed.changes == foretold.changes
    assert "+gaec: by post to gaec, Mme Jeanne Martin, 12 rue des Tilleuls, 60190 AVRIGNY" in handed.output
    assert "Add prosecours_postal_address" in handed.text
    assert sorted(re.sub("-[0-9a-f]{8,}|-20[0-9-]*", "-…", name) for name in of.kept()) == [
        "annexe-a-remplir.html",
        "gaec/annexes-PS-gaec-….html",
        "gaec/annexes-PS-gaec-….pdf",
        "gaec/annexes-….json",
        "gaec/consignes.json",
        "lettres-….pdf",
        "scea/annexes-PS-scea-….html",
        "scea/annexes-PS-scea-….pdf",
        "scea/annexes-….json",
    ]
    unknown = of.run("documents", "-e", "prosecours_documents_client=gaecc")
    assert unknown.code == 2
    assert 'There is no client "gaecc". Did you mean "gaec"?' in unknown.text


def test_a_provider_without_a_client_gets_the_form(tmp_path: Path) -> None:
    of = Playbooks(tmp_path)
    shutil.rmtree(tmp_path / "inventory" / "clients")
    written = of.run("form")
    assert written.code == 0, written.output
    assert [*of.kept()] == ["annexe-a-remplir.html"]
    assert str(of.documents / "annexe-a-remplir.html") in written.text
    again = of.run("form")
    assert (again.code, again.recap["changed"]) == (0, 0), again.output
