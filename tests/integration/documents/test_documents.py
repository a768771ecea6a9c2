"""playbooks/documents.yml as technicians use it: print, have signed, change, hand over the letters."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path

import yaml
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

    def set(self, name: str, **values: object) -> None:
        content = yaml.safe_load(self.inventory(name).read_text("utf-8"))
        content["prosecours_clients"]["children"][name]["vars"] |= values
        write(self.inventory(name), content)

    def run(self, playbook: str, *more: str) -> Played:
        journal = {"PROSECOURS_JOURNAL": str(self.journal)}
        return play(self.folder / "inventory", playbook, *more, environment=journal)

    def kept(self) -> dict[str, bytes]:
        """All that lies in the folder of documents, by its name."""
        files = (path for path in self.documents.rglob("*") if path.is_file() and path.name != ".lock")
        return {path.relative_to(self.documents).as_posix(): path.read_bytes() for path in files}


def test_from_the_print_to_the_amendment(tmp_path: Path) -> None:
    of = Playbooks(tmp_path)

    foretold = of.run("documents", "--check", "--diff")
    assert foretold.code == 0, foretold.output
    assert not of.documents.exists()
    printed = of.run("documents", "--diff")
    assert printed.code == 0, printed.output
    assert printed.changes == foretold.changes
    first = of.kept()
    assert sorted(re.sub("-[0-9a-f]{8,}", "-…", name) for name in first) == [
        "annexe-a-remplir.html",
        *(
            f"{name}/annexes-{part}"
            for name in ("gaec", "scea")
            for part in (f"PS-{name}-….html", f"PS-{name}-….pdf", "….json")
        ),
    ]
    assert "letter: due by post" in printed.text
    assert "scea: the letter about the main backup is due, and its file has no postal address" in printed.text

    # The signed copy comes back, and then the volume is raised.
    (data,) = of.documents.glob("gaec/annexes-*.json")
    of.set(
        "gaec",
        prosecours_signed={
            "fingerprint": data.stem.removeprefix("annexes-"),
            "date": date(2026, 11, 27),
            "signatory": "Mme Jeanne Martin",
        },
        prosecours_subscribed_gb=3,
    )
    told = of.run("check")
    assert told.code == 0, told.output
    assert (
        "1 term is no longer what Mme Jeanne Martin signed on 2026-11-27: Volume souscrit: 1 Go → 3 Go"
        in told.text
    )

    # Both are due their letter; the one without an address does not stop the other's.
    foretold = of.run("documents", "-e", "prosecours_letters=true", "--check", "--diff")
    handed = of.run("documents", "-e", "prosecours_letters=true", "--diff")
    assert handed.code == 0, handed.output
    assert handed.changes == foretold.changes
    assert "+gaec: by post to gaec, Mme Jeanne Martin, 12 rue des Tilleuls, 60190 AVRIGNY" in handed.output
    assert "an amendment is to be signed" in handed.text
    assert "Add prosecours_postal_address" in handed.text
    more = {name: content for name, content in of.kept().items() if name not in first}
    assert sorted(
        re.sub("-[0-9a-f]{8}(?![0-9a-f-])|-[0-9a-f]{32}|-20[0-9-]*", "-…", name) for name in more
    ) == [
        "gaec/annexes-PS-gaec-….html",
        "gaec/annexes-PS-gaec-….pdf",
        "gaec/annexes-….json",
        f"gaec/avenant-PS-gaec-{_digits(more)}-….html",
        f"gaec/avenant-PS-gaec-{_digits(more)}-….pdf",
        "gaec/consignes.json",
        "lettres-….pdf",
    ]
    assert {name: of.kept()[name] for name in first} == first
    details = [
        row["details"]
        for line in of.journal.read_text("utf-8").splitlines()
        for row in json.loads(line).get("rows", ())
        if "letters" in row["details"]
    ]
    assert [(one["by"], one["to"]) for one in details[0]["letters"]] == [
        ("post", "gaec, Mme Jeanne Martin, 12 rue des Tilleuls, 60190 AVRIGNY")
    ]

    # A second run changes nothing; only what it could not do is still to be done.
    before = of.kept()
    again = of.run("documents", "-e", "prosecours_letters=true", "-e", "prosecours_documents_client=gaec")
    assert again.code == 0, again.output
    assert again.recap["changed"] == 0
    assert of.kept() == before
    unknown = of.run("documents", "-e", "prosecours_documents_client=gaecc")
    assert unknown.code == 2
    assert 'There is no client "gaecc". Did you mean "gaec"?' in unknown.text


def _digits(names: dict[str, bytes]) -> str:
    (name,) = [name for name in names if name.startswith("gaec/annexes-PS") and name.endswith("html")]
    return name[-len("01234567.html") : -len(".html")]
