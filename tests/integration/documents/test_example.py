"""`make docs`: the paper of the example clients, as it comes to be in a year."""

from __future__ import annotations

import shutil
import subprocess
import sys

from pypdf import PdfReader
from support.playbook import CHECKOUT

PAPER = CHECKOUT / "build" / "docs" / "documents"


def test_the_example_clients_have_annexes_an_amendment_and_letters() -> None:
    shutil.rmtree(PAPER.parent, ignore_errors=True)
    subprocess.run([sys.executable, "tools/docs.py"], cwd=CHECKOUT, check=True, capture_output=True)
    examples = {path.stem for path in (CHECKOUT / "inventories" / "example" / "clients").glob("*.yml")}
    # The client that signed and changed has its annexes twice.
    signed = "scea_de_la_plaine"
    annexes = [path.parent.name for path in PAPER.glob("*/annexes-*.pdf")]
    assert sorted(annexes) == sorted([*examples, signed])
    [amendment] = PAPER.glob("*/avenant-*.pdf")
    assert amendment.parent.name == signed
    text = " ".join(" ".join(page.extract_text() for page in PdfReader(amendment).pages).split())
    for says in ("50 Go", "80 Go", "E:\\Plans", "M. Jérôme Petit"):
        assert says in text
    [letters] = PAPER.glob("lettres-*.pdf")
    assert len(PdfReader(letters).pages) >= len(examples)
