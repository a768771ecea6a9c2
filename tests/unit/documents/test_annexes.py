"""Annexes 1 to 3 as pages: the contract's form line by line, what is ticked, and the amendment."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from io import BytesIO
from pathlib import Path
from typing import Any

import pypdf
from ansible_collections.prosecours.backup.plugins.plugin_utils.contract import agreed, catalogue
from ansible_collections.prosecours.backup.plugins.plugin_utils.contract.model import (
    ClientContract,
    Form,
    HostContract,
    Paper,
    Retention,
    Signed,
)
from ansible_collections.prosecours.backup.plugins.plugin_utils.documents import annexes
from ansible_collections.prosecours.backup.plugins.plugin_utils.documents.render import pdf
from unit.contract import contracts

from .pages import Page

# The annexes of the contract, line by line as it prints them.
FORM = (Path(__file__).parent / "annexes.fr.txt").read_text("utf-8")
HOST = "moulin-srv1"
A4 = (595, 842)
KEPT = Retention(7, 3)
SIGNED_ON = date(2026, 11, 27)


def of_client(**changes: Any) -> tuple[ClientContract, dict[str, HostContract]]:
    """A client of one server, on which two boxes are ticked, one of them with a variant."""
    client = contracts.client(
        contacts={
            "main": contracts.SHARED["contacts"]["main"],
            "substitute": {
                "title": "M.",
                "first_name": "Rémi",
                "name": "Œuvrard <fils>",
                "email": "remi@moulin.example",
                "mobile": "07 12 34 56 78",
            },
        },
        options=["export"],
        **changes,
    )
    boxes = catalogue.annexe_1().boxes
    host = contracts.host(
        perimeter=[
            {"box": "isagiwf_backup", "path": "D:\\isabackup", "kind": "directory"},
            {"box": "isapawp", "path": "D:\\isapawp", "kind": "directory"},
            {"box": "office", "path": "E:\\Photos parcelles", "kind": "directory"},
        ]
    )
    ticked = {name: boxes[name].printed for name in ("isagiwf_backup", "isapawp")}
    return client, {HOST: replace(host, form=Form("D:\\", ticked, ("dedicated_sql_server",)))}


def page(client: ClientContract, hosts: dict[str, HostContract]) -> Page:
    return Page(annexes.annexes(agreed.of_contract(client, hosts), {}, client.retention))


def squeezed(text: str) -> str:
    """Without any space: where a line ends is the paper's business, and so is the form of an apostrophe."""
    return re.sub(r"\s", "", text).replace("'", "’")


def test_every_line_of_the_form_is_printed_in_its_order() -> None:
    """Of a client for whom nothing is ticked; what is filled in stands where the form leaves room."""
    client = contracts.client(options=[])
    text = squeezed("".join(page(client, {HOST: contracts.host(perimeter=[])}).find("main")[0][2]))
    lines = [line for line in FORM.splitlines() if "____" not in line and not line.startswith("<civilité")]
    lines += ["Le volume souscrit dans le cadre du présent contrat est de 200 Go."]
    assert len(lines) == 78
    missing = [line for line in lines if squeezed(line) not in text]
    assert missing == []
    places = [text.index(squeezed(line)) for line in lines[:-1] if len(line) > 12 and "Légende" not in line]
    assert places == sorted(places)


def test_a_row_of_annexe_3_has_the_letters_of_the_form() -> None:
    """R, A, C and I beside the words that they belong to: of each row the form's own last columns."""
    rows = {
        task[0]: task[2:]
        for task in (
            [" ".join("".join(cell).split()) for cell in row]
            for row in _rows(annexes.annexes(agreed.of_contract(*of_client()), {}, KEPT))
        )
    }
    assert rows == {
        "1.1": ["R A", "I"], "1.2": ["R A", "C"], "1.3": ["R A", "I"], "1.4": ["R A", "I"],
        "1.5": ["R A", "-"],
        "2.1": ["R A", "-"], "2.2": ["R A", "I"],
        "3.2": ["R A", "I"], "3.3": ["-", "R A"], "3.4": ["I", "R A"], "3.10": ["A", "R"],
        "5.1": ["R A", "-"], "5.2": ["R A", "-"], "5.3": ["R A", "-"], "5.4": ["R A", "-"],
    }  # fmt: skip


def _rows(html: str) -> list[list[str]]:
    cells = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in re.findall(r"<tr>(.*?)</tr>", html)]
    return [row for row in cells if len(row) == 4]


def test_what_is_ticked_is_ticked_and_nothing_else() -> None:
    lines = {line: "☑" in line for line in page(*of_client()).all("li")}
    assert len(lines) == 13 + 5 + 1 + 2
    assert [line for line, ticked in lines.items() if ticked] == [
        r"☑ <racine>\isagiwf\backup ou <racine>\isabackup (serveur SQL dédié) → D:\isabackup",
        r"☑ <racine>\isapawp → D:\isapawp",
        "☑ serveur SQL dédié",
        r"☑ E:\Photos parcelles",
        "☑ Export des données sur support externe pour avoir optimiser le temps de restauration"
        " (facturation au volume)",
    ]


def test_a_box_that_the_inventory_added_follows_those_of_the_form() -> None:
    client, hosts = of_client()
    own = hosts[HOST]
    form = replace(own.form, boxes={**own.form.boxes, "isanew": "<racine>\\isanew"})
    lines = page(client, {HOST: replace(own, form=form)}).all("li")
    assert lines[13] == r"☑ <racine>\isanew"


def test_each_server_has_its_part() -> None:
    client, hosts = of_client()
    both = {HOST: hosts[HOST], "moulin-sql": replace(hosts[HOST], host="moulin-sql")}
    shown = page(replace(client, hosts=(HOST, "moulin-sql")), both)
    assert [title for title in shown.all("h3") if title.startswith("Serveur")] == [
        "Serveur moulin-sql · <racine> = D:\\",
        "Serveur moulin-srv1 · <racine> = D:\\",
    ]
    assert r"☑ E:\Photos parcelles (moulin-sql)" in shown.all("li")


def test_the_contacts_are_printed_as_they_are_and_escaped() -> None:
    text = page(*of_client()).find("main")[0][2]
    said = " ".join("".join(text).split())
    assert "M. Rémi Œuvrard <fils>" in said
    assert "iah@groupeisagri.com" in said
    given = annexes.annexes(agreed.of_contract(*of_client()), {"systems": "noc@autre.example"}, KEPT)
    assert "noc@autre.example" in given
    assert "noc@groupeisagri.com" not in given


def test_what_a_size_and_a_week_mean_is_said_beside_the_words_of_the_contract() -> None:
    """The form says Go, and two weeks: Explorer counts otherwise, and a week can be read in two ways."""
    client, hosts = of_client()
    for weekly, said in ((3, "3 dernières semaines (les deux du contrat"), (2, "2 dernières semaines. Un")):
        promised = replace(client, retention=Retention(7, weekly))
        text = page(promised, hosts).all("main")[0]
        assert said in text
        assert "Un fichier qui n'a existé qu'à midi n'est dans aucune version journalière." in text
        assert "Soit 200 Go (186 Gio)." in text
    assert agreed.of_contract(promised, hosts) == agreed.of_contract(client, hosts), "not signed"


def test_on_paper_each_page_names_the_client_and_the_fingerprint() -> None:
    client, hosts = of_client()
    now = agreed.of_contract(client, hosts)
    html = annexes.annexes(now, {}, KEPT)
    made = pdf(html)
    assert made == pdf(html)
    pages = pypdf.PdfReader(BytesIO(made)).pages
    assert len(pages) == 3
    for number, one in enumerate(pages, 1):
        assert (round(one.mediabox.width), round(one.mediabox.height)) == A4
        text = one.extract_text()
        digits = agreed.shown(agreed.fingerprint(now))
        assert f"GAEC du Moulin · contrat PS-2026-0042 · empreinte {digits}" in text
        assert f"page {number} sur 3" in text
    assert "Pour le Prestataire" in pages[2].extract_text()


# -- in the folder --------------------------------------------------------------------------------------


def test_a_second_run_finds_nothing_to_do(tmp_path: Path) -> None:
    first = annexes.plan(*of_client(), tmp_path, {})
    assert [paper.path.suffix for paper in first.due] == [".json", ".html"]
    for paper in first.due:
        paper.write()
    names = sorted(path.name for path in (tmp_path / "gaec_du_moulin").iterdir())
    assert [name.rpartition(".")[2] for name in names] == ["html", "pdf", "json"]
    assert annexes.plan(*of_client(), tmp_path, {}).due == ()
    (tmp_path / "gaec_du_moulin" / names[1]).unlink()
    assert [paper.path.suffix for paper in annexes.plan(*of_client(), tmp_path, {}).due] == [".html"]


def test_a_client_whose_files_cannot_be_written_stops_no_other(tmp_path: Path) -> None:
    client, hosts = of_client()
    (tmp_path / "bad").write_text("no folder", "utf-8")
    both = [replace(client, id=name) for name in ("bad", "good")]
    (told,) = annexes.apply([annexes.plan(one, hosts, tmp_path, {}) for one in both])["bad"]
    assert "cannot be written: " in told
    assert len(list((tmp_path / "good").iterdir())) == 3
    assert [len(annexes.plan(one, hosts, tmp_path, {}).due) for one in both] == [2, 0]


def test_the_amendment_says_what_changes_and_what_it_replaces(tmp_path: Path) -> None:
    client, hosts = of_client()
    for paper in annexes.plan(client, hosts, tmp_path, {}).due:
        paper.write()
    before = agreed.fingerprint(agreed.of_contract(client, hosts))
    copy = Signed(before, SIGNED_ON, "Mme Jeanne Martin")
    changed = replace(client, subscribed_gb=250, paper=Paper(signed=copy))
    made = annexes.plan(changed, hosts, tmp_path, {})
    assert made.state == "an amendment is to be signed"
    amendment = next(paper for paper in made.due if paper.path.name.startswith("avenant"))
    text = Page(amendment.text).all("main")[0]
    assert f"signées le 27 novembre 2026 par Mme Jeanne Martin (empreinte {agreed.shown(before)})" in text
    assert "Volume souscrit 200 Go 250 Go" in text
    assert f"portent l'empreinte {made.fingerprint}" in text
    (told,) = [one["after"] for one in annexes.diff(made) if "avenant" in one["after_header"]]
    assert told == "Volume souscrit: 200 Go → 250 Go\n"


def test_as_signed_there_is_no_amendment(tmp_path: Path) -> None:
    client, hosts = of_client()
    digits = agreed.fingerprint(agreed.of_contract(client, hosts))
    copy = Signed(digits, SIGNED_ON, "Mme Jeanne Martin")
    made = annexes.plan(replace(client, paper=Paper(signed=copy)), hosts, tmp_path, {})
    assert made.state == "signed"
    assert [paper.path.suffix for paper in made.due] == [".json", ".html"]
