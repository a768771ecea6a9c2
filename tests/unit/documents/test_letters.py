"""The letter about the main backup (C13): who is due one, what it says, where its address stands."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from io import BytesIO
from pathlib import Path
from typing import Any, NoReturn

import pypdf
import pytest
from ansible_collections.prosecours.backup.plugins.plugin_utils.contract.model import (
    ClientContract,
    HostContract,
    Paper,
    PostalAddress,
)
from ansible_collections.prosecours.backup.plugins.plugin_utils.documents import letters, mail
from ansible_collections.prosecours.backup.plugins.plugin_utils.documents.render import (
    DocumentError,
    pdf,
    pdf_of_all,
)
from unit.contract import contracts

from .pages import Page
from .smtp_server import Inbox

TODAY = date(2026, 11, 27)
ADDRESS = PostalAddress(("12 rue des Tilleuls", "Lieu-dit Le Moulin"), "60190", "Avrigny")
MILLIMETRE = 72 / 25.4
HOST = "moulin-srv1"


def client(name: str = "gaec_du_moulin", **paper: Any) -> ClientContract:
    one = contracts.client(id=name, reference=f"PS-{name}")
    return replace(one, paper=Paper(**{"address": ADDRESS, **paper}))


def hosts(*boxes: str) -> dict[str, HostContract]:
    perimeter = [{"box": box, "path": f"D:\\{box}", "kind": "directory"} for box in boxes or ("office",)]
    return {HOST: contracts.host(perimeter=perimeter)}


def plan(folder: Path, *clients: ClientContract, today: date = TODAY, **of: Any) -> letters.Planned:
    said = of.get("said") or letters.instructions()
    provider = {"systems": "noc@groupeisagri.example", "address": ["1 rue de la Poste", "60000 BEAUVAIS"]}
    own = of.get("hosts") or hosts()
    return letters.plan({one.id: one for one in clients}, own, folder, said, provider, today)


def record(folder: Path, name: str, *given: tuple[str, str]) -> None:
    path = letters.record(folder, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    known = [{"by": by, "on": on, "to": "x", "products": []} for by, on in given]
    path.write_text(json.dumps({"letters": known}), "utf-8")


# -- when it is due -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "by_mail", "due"),
    [
        ((), False, ("post",)),
        ((), True, ("post", "mail")),
        ((("post", "2026-11-27"),), False, ()),
        ((("post", "2025-12-28"),), False, ()),
        ((("post", "2025-12-27"),), False, ("post",)),
        ((("post", "2020-01-01"), ("post", "2026-01-01")), False, ()),
        # One way that failed is due by itself.
        ((("post", "2026-11-01"),), True, ("mail",)),
        ((("post", "2026-11-01"), ("mail", "2025-11-01")), True, ("mail",)),
    ],
)
def test_once_at_the_set_up_and_then_every_year(
    tmp_path: Path, given: tuple[tuple[str, str], ...], by_mail: bool, due: tuple[str, ...]
) -> None:
    if given:
        record(tmp_path, "gaec_du_moulin", *given)
    made, waiting, failures = plan(tmp_path, client(by_mail=by_mail))
    assert not waiting
    assert not failures
    assert [one.ways for one in made] == ([due] if due else [])


def test_a_letter_of_a_leap_day_is_due_all_the_same() -> None:
    given = letters.Handed("post", date(2028, 2, 29), "x", ())
    assert letters.due_on([given], "post") == date(2029, 2, 28)


# -- what it says ---------------------------------------------------------------------------------------


def test_it_has_the_products_that_concern_the_client_with_its_directories(tmp_path: Path) -> None:
    (made,), _, _ = plan(tmp_path, client(), hosts=hosts("isagiwf_backup", "office"))
    assert made.products == ("general", "databases", "office")
    text = Page(made.html).all("article")[0]
    assert r"moulin-srv1 : D:\isagiwf_backup" in text
    assert "Objet : remise des consignes" in text
    assert "Madame Martin," in text
    assert "ni l'outil Pro Secours" in text
    record(tmp_path, "gaec_du_moulin", ("post", "2025-11-27"))
    (again,), _, _ = plan(tmp_path, client())
    assert "Objet : rappel annuel des consignes" in Page(again.html).all("article")[0]


def test_every_box_of_the_instructions_is_one_of_the_annex(tmp_path: Path) -> None:
    own = tmp_path / "consignes.yml"
    own.write_text(
        "introduction: Bonjour\nconclusion: Merci\nproducts:\n"
        "  - {id: x, title: X, boxes: [isagdfw], instructions: [Lisez]}\n",
        "utf-8",
    )
    with pytest.raises(
        letters.LetterError, match=r'the box "isagdfw" of the product "x" is unknown. Did you'
    ):
        letters.instructions(own)
    own.write_text(own.read_text("utf-8").replace("isagdfw", "office"), "utf-8")
    assert [one.id for one in letters.instructions(own).products] == ["x"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "cannot be read: No such file"),
        ("a: [", "line 2 are no YAML. Write it in the shape of"),
        ("introduction: Bonjour\nproducts: []\n", 'holds no instructions: "conclusion" is missing from it'),
    ],
)
def test_instructions_that_cannot_be_used_are_one_sentence(
    tmp_path: Path, text: str | None, said: str
) -> None:
    own = tmp_path / "consignes.yml"
    if text is not None:
        own.write_text(f"{text}\n", "utf-8")
    with pytest.raises(letters.LetterError) as refused:
        letters.instructions(own)
    assert said in str(refused.value)


# -- on paper -------------------------------------------------------------------------------------------


def _placed(page: pypdf.PageObject) -> Iterator[tuple[str, float, float]]:
    """Each piece of text with its place in mm from the left and the top of the sheet."""
    found: list[tuple[str, float, float]] = []

    def visit(text: str, cm: list[float], tm: list[float], _font: Any, _size: float) -> None:
        x, y = tm[4] * cm[0] + tm[5] * cm[2] + cm[4], tm[4] * cm[1] + tm[5] * cm[3] + cm[5]
        if text.strip():
            found.append((text.strip(), x / MILLIMETRE, (float(page.mediabox.height) - y) / MILLIMETRE))

    page.extract_text(visitor_text=visit)
    yield from found


def test_the_address_stands_in_the_window_of_an_envelope(tmp_path: Path) -> None:
    """Six lines, the longest there are: between 55 and 79 mm from the top, and from 100 mm on."""
    long = replace(client(), name="Groupement agricole d'exploitation en commun du Moulin")
    (made,), _, _ = plan(tmp_path, long)
    assert len(made.address) == 6
    first = pypdf.PdfReader(BytesIO(pdf(made.html))).pages[0]
    placed = {text: (x, y) for text, x, y in _placed(first)}
    for line in made.address:
        ((x, y),) = [place for text, place in placed.items() if text.replace("\xa0", " ") == line]
        assert 100 <= x <= 115, line
        assert 58 <= y <= 78.5, line  # the base line: the letters rise 3 mm above it, and reach 1 mm below
    others = [text for text, x, y in _placed(first) if 95 < x < 195 and 50 < y < 82 and text not in placed]
    assert others == []
    assert {text for text, (x, y) in placed.items() if x >= 100 and 55 <= y <= 79} == set(made.address)


def test_all_letters_are_one_file_each_with_its_own_page_numbers(tmp_path: Path) -> None:
    made, _, _ = plan(tmp_path, client("a"), client("b"))
    texts = [
        page.extract_text() for page in pypdf.PdfReader(BytesIO(pdf_of_all([one.html for one in made]))).pages
    ]
    for name in ("a", "b"):
        own = [text for text in texts if f"contrat PS-{name} ·" in text]
        assert own
        for number, text in enumerate(own, 1):
            assert f"page {number} sur {len(own)}" in text


def test_an_address_that_the_window_does_not_show_is_one_sentence(tmp_path: Path) -> None:
    long = replace(client(), name="x" * 120)
    assert plan(tmp_path, long) == (
        [],
        {
            "gaec_du_moulin": "gaec_du_moulin: its address has 8 lines, and the window of an envelope shows"
            " 6. Shorten prosecours_postal_address; a name takes a line for each 38 characters."
        },
        {},
    )


# -- handed over ----------------------------------------------------------------------------------------


def test_one_without_an_address_stops_no_other(tmp_path: Path) -> None:
    made, waiting, failures = plan(tmp_path, client("a"), client("b", address=None), client("c"))
    assert failures == {}
    assert waiting == {
        "b": "b: the letter about the main backup is due, and its file has no postal address. Add"
        " prosecours_postal_address."
    }
    foretold = letters.foretell(made, tmp_path, None, TODAY)
    done = letters.apply(made, tmp_path, None, TODAY)
    assert done == foretold
    assert done.file == tmp_path / "lettres-2026-11-27.pdf"
    assert sorted(done.handed) == ["a", "c"]
    assert plan(tmp_path, client("a"), client("c")) == ([], {}, {})
    # What was printed in the morning stays when another is due in the afternoon.
    more, _, _ = plan(tmp_path, client("b"))
    assert letters.apply(more, tmp_path, None, TODAY).file == tmp_path / "lettres-2026-11-27-2.pdf"


def test_letters_that_cannot_be_printed_stay_due(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(_pages: Sequence[str]) -> NoReturn:
        raise DocumentError("No PDF can be made", "Install Pango")

    monkeypatch.setattr(letters, "pdf_of_all", no_room)
    made, _, _ = plan(tmp_path, client("a"), client("b"))
    done = letters.apply(made, tmp_path, None, TODAY)
    told = ["No PDF can be made. Install Pango."]
    assert done == letters.Delivered(None, {}, {"a": told, "b": told})
    assert [one.client for one in plan(tmp_path, client("a"), client("b")).letters] == ["a", "b"]


def test_who_received_what_and_when_is_kept(tmp_path: Path) -> None:
    for year in (2025, 2026):
        day = date(year, 11, 27)
        made, _, _ = plan(tmp_path, client(), today=day)
        letters.apply(made, tmp_path, None, day)
    kept = letters.handed(tmp_path, "gaec_du_moulin")
    assert [(one.by, one.on.year) for one in kept] == [("post", 2025), ("post", 2026)]
    assert kept[0].products == ("general", "office")
    assert kept[0].to == (
        "GAEC du Moulin, Mme Jeanne Martin, 12 rue des Tilleuls, Lieu-dit Le Moulin, 60190 AVRIGNY"
    )


def test_a_record_that_is_damaged_is_one_sentence_and_stays(tmp_path: Path) -> None:
    path = letters.record(tmp_path, "a")
    path.parent.mkdir()
    path.write_text("{", "utf-8")
    made, _, failures = plan(tmp_path, client("a"), client("b"))
    assert [one.client for one in made] == ["b"]
    assert failures == {
        "a": [
            f"{path}, which tells the letters that a received, cannot be read (it is damaged). Put it back"
            " from a backup; or remove it, and the letter is due once more."
        ]
    }
    assert path.read_text("utf-8") == "{"


# -- by mail too ----------------------------------------------------------------------------------------


def test_a_client_that_wishes_one_has_a_mail_with_its_own_letter(
    smtp: tuple[mail.Server, Inbox], tmp_path: Path
) -> None:
    server, inbox = smtp
    made, _, _ = plan(tmp_path, client("a"), client("b", by_mail=True))
    assert letters.foretell(made, tmp_path, server, TODAY) == letters.apply(made, tmp_path, server, TODAY)
    (message,) = inbox.messages
    assert message["To"] == "jeanne@moulin.example"
    assert message["Subject"] == "Consignes applicables à votre sauvegarde principale (PS-b)"
    (attached,) = message.iter_attachments()
    assert "PS-b" in pypdf.PdfReader(BytesIO(attached.get_content())).pages[0].extract_text()
    assert [one.by for one in letters.handed(tmp_path, "b")] == ["post", "mail"]


def test_a_mail_that_is_refused_stays_due_and_the_letter_by_post_does_not(
    smtp: tuple[mail.Server, Inbox], tmp_path: Path
) -> None:
    server, inbox = smtp
    wished = client(by_mail=True)
    contact = replace(wished.contacts.main, email="inconnu@moulin.example")
    made, _, _ = plan(tmp_path, replace(wished, contacts=replace(wished.contacts, main=contact)))
    done = letters.apply(made, tmp_path, server, TODAY)
    assert "refuses inconnu@moulin.example" in done.failures["gaec_du_moulin"][0]
    assert [one.by for one in done.handed["gaec_du_moulin"]] == ["post"]
    (again,), _, _ = plan(tmp_path, wished)
    assert again.ways == ("mail",)
    done = letters.apply([again], tmp_path, server, TODAY)
    assert (done.file, list(done.failures)) == (None, [])
    assert len(inbox.messages) == 1


def test_no_way_to_send_a_mail_is_one_sentence(tmp_path: Path) -> None:
    made, _, _ = plan(tmp_path, client(by_mail=True))
    foretold = letters.foretell(made, tmp_path, None, TODAY)
    done = letters.apply(made, tmp_path, None, TODAY)
    assert done == foretold
    assert done.failures == {
        "gaec_du_moulin": [
            "gaec_du_moulin wishes its letter by mail too, and there is no way to send one: set"
            " prosecours_mail."
        ]
    }
    assert [one.by for one in done.handed["gaec_du_moulin"]] == ["post"]
