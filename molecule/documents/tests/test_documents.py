"""The paper of two clients (C13, C17, C21): one signed and changed since, one without a postal address."""

from __future__ import annotations

import json
import os
import re
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pypdf import PdfReader

INVENTORY = Path(os.environ["PROSECOURS_INVENTORY"])
DOCUMENTS = INVENTORY.parent / "documents"
SIGNED, OTHER = "gaec_des_frenes", "scea_du_houx"
TODAY = f"{datetime.now(ZoneInfo('Europe/Paris')):%Y-%m-%d}"
TO = "GAEC des Frênes, Mme Hélène Château, 12 rue des Tilleuls, 60190 AVRIGNY"


def play(playbook: str, *arguments: str) -> str:
    """What a run that has to succeed prints, on one line."""
    done = subprocess.run(
        ["ansible-playbook", "-i", str(INVENTORY), f"playbooks/{playbook}.yml", *arguments],
        cwd=os.environ["MOLECULE_PROJECT_DIRECTORY"],
        env={**os.environ, "ANSIBLE_FORCE_COLOR": "0", "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return re.sub(r"\s+", " ", done.stdout + done.stderr)


def kept() -> dict[str, bytes]:
    """All papers, by their place in the folder."""
    files = (path for path in DOCUMENTS.rglob("*") if path.is_file() and path.name != ".lock")
    return {path.relative_to(DOCUMENTS).as_posix(): path.read_bytes() for path in files}


def printed(client: str, begin: str) -> dict[str, str]:
    """First eight digits of a fingerprint, or two of them -> the text of the PDF."""
    found = {}
    for path in (DOCUMENTS / client).glob(f"{begin}-PS-*.pdf"):
        text = " ".join(page.extract_text() for page in PdfReader(path).pages)
        found[re.sub(rf"{begin}-PS-2026-\d+-", "", path.stem)] = " ".join(text.split())
    return found


def fingerprints(client: str) -> dict[int, str]:
    """The subscribed volume -> the fingerprint of the annexes that say so."""
    found = {}
    for path in (DOCUMENTS / client).glob("annexes-*.json"):
        data: Any = json.loads(path.read_text("utf-8"))
        found[int(data["agreed"]["subscribed_gb"])] = path.stem.removeprefix("annexes-")
    return found


def test_the_annexes_are_printed_before_and_after_the_change() -> None:
    known = fingerprints(SIGNED)
    pages = printed(SIGNED, "annexes")
    assert sorted(known) == [5, 30]
    assert set(pages) == {fingerprint[:8] for fingerprint in known.values()}
    for volume, fingerprint in known.items():
        text = pages[fingerprint[:8]]
        for words in ("GAEC des Frênes", "PS-2026-0911", "Mme Hélène Château", f"{volume} Go"):
            assert words in text
        assert re.sub("(.{4})", r"\1 ", fingerprint).strip() in text
        assert len(re.findall(r"[☑☐]", text)) > 10
    assert len(fingerprints(OTHER)) == len(printed(OTHER, "annexes")) == 1


def test_the_amendment_is_from_what_was_signed_to_what_is() -> None:
    known = fingerprints(SIGNED)
    [(between, text)] = printed(SIGNED, "avenant").items()
    assert between == f"{known[30][:8]}-{known[5][:8]}"
    assert re.search(r"5 Go.*30 Go", text)
    assert "Mme Hélène Château" in text
    assert printed(OTHER, "avenant") == {}
    told = play("check")
    assert "is no longer what Mme Hélène Château signed on 2026-11-02: Volume souscrit: 5 Go → 30 Go" in told


def test_the_letter_of_whoever_has_an_address_is_handed_over_and_journalled() -> None:
    letters = PdfReader(DOCUMENTS / f"lettres-{TODAY}.pdf")
    text = " ".join(" ".join(page.extract_text() for page in letters.pages).split())
    assert "12 rue des Tilleuls" in text
    assert "SCEA du Houx" not in text
    journal = Path(os.environ["PROSECOURS_JOURNAL"]).read_text("utf-8").splitlines()
    runs = [[row["details"] for row in json.loads(line).get("rows", ())] for line in journal]
    handed = [[one for details in run for one in details.get("letters", ())] for run in runs]
    # Of the last run that handed any over: the journal outlives a scenario.
    [letter] = [letters for letters in handed if letters][-1]
    assert (letter["by"], letter["to"]) == ("post", TO)


def test_the_form_that_a_new_client_fills_in_is_there() -> None:
    assert "<form" in (DOCUMENTS / "annexe-a-remplir.html").read_text("utf-8")


@pytest.mark.parametrize("check", [(), ("--check",)])
def test_a_second_run_changes_nothing(check: tuple[str, ...]) -> None:
    before = kept()
    told = play("documents", "-e", "prosecours_letters=true", *check)
    assert re.search(r"changed=0 ", told)
    assert not re.search(r"changed=[1-9]", told)
    assert "the letter about the main backup is due, and its file has no postal address" in told
    assert kept() == before
