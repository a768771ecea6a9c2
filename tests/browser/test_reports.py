"""The reports in a real browser: telephone and screen, light and dark, axe's rules, the printed sheets."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from io import BytesIO
from pathlib import Path
from typing import Any

import pypdf
import pytest
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.shape import read
from ansible_collections.prosecours.backup.plugins.plugin_utils.clients import answers
from ansible_collections.prosecours.backup.plugins.plugin_utils.contract import agreed
from ansible_collections.prosecours.backup.plugins.plugin_utils.documents import annexes, client_report
from ansible_collections.prosecours.backup.plugins.plugin_utils.monitoring import mail as monitoring_mail
from ansible_collections.prosecours.backup.plugins.plugin_utils.monitoring import report as monitoring_report
from ansible_collections.prosecours.backup.plugins.plugin_utils.restore import record as restore_record
from ansible_collections.prosecours.backup.plugins.plugin_utils.restore import run as restore
from ansible_collections.prosecours.backup.plugins.plugin_utils.restore.record import Restored
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright
from unit.documents import fleet, test_annexes, test_letters
from unit.restore.test_run import ENDED, IN_PLACE, REQUEST, WELL

# Debian's, or the one that GitHub's Ubuntu machines have. Nothing is downloaded.
PROGRAM = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chromium-browser"))), None)
pytestmark = pytest.mark.skipif(
    PROGRAM is None, reason="no Chromium: Ubuntu has it as a snap only; install google-chrome"
)

PHONE, SCREEN = 360, 1280
DOCUMENTS = ("surveillance", "un client", "courriel", "procès-verbal", "annexes", "courrier")
VIEWS = [(PHONE, "light"), (PHONE, "dark"), (SCREEN, "light")]
AXE_RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """name -> a page. Few clients, each with another story: axe looks at every element."""
    folder = tmp_path_factory.mktemp("pages")
    whole = fleet.typed(fleet.report(9))
    report = replace(whole, clients=tuple(whole.clients[number] for number in (0, 3, 5, 7)))
    month = client_report.Month(date(2026, 10, 1))
    provider = {"applications": "iah@groupeisagri.example", "systems": "noc@groupeisagri.example"}
    plans, _ = client_report.plan(
        report, ["client_03", "gaec_du_moulin"], month, folder, provider, post=False
    )
    message = monitoring_mail.announcement(report, ["noc@groupeisagri.example"])
    assert message is not None
    restored = restore._report("srv", REQUEST, IN_PLACE, True, WELL, ENDED)
    record = restore_record.document(REQUEST, read(Restored, restored), "A. Technicien")
    paper = annexes.annexes(agreed.of_contract(*test_annexes.of_client()), {}, test_annexes.KEPT)
    (letter,), _, _ = test_letters.plan(folder, test_letters.client())
    texts = (
        *(monitoring_report.html(report), plans[0].html, message.html, record),
        *(paper, letter.html, plans[1].html),
    )
    paths = {}
    for name, text in zip((*DOCUMENTS, "un client ordinaire"), texts, strict=True):
        paths[name] = folder / f"{name}.html"
        paths[name].write_text(text, "utf-8")
    return paths


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=PROGRAM, args=sandbox)
        yield browser
        browser.close()


@dataclass
class View:
    """A page on a screen, with all that it said and asked for."""

    page: Page
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


@pytest.fixture(params=VIEWS, ids=lambda view: f"{view[0]}-{view[1]}")
def size(request: pytest.FixtureRequest) -> tuple[int, Any]:
    width, scheme = request.param
    return width, scheme


@pytest.fixture(params=DOCUMENTS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def view(browser: Browser, documents: dict[str, Path], name: str, size: tuple[int, Any]) -> Iterator[View]:
    width, scheme = size
    page = browser.new_page(viewport={"width": width, "height": 740}, color_scheme=scheme)
    shown = View(page)
    page.on("console", lambda message: shown.said.append(message.text))
    page.on("pageerror", lambda error: shown.said.append(str(error)))
    page.on("request", lambda request: shown.asked.append(request.url))
    page.goto(documents[name].as_uri())
    yield shown
    page.close()


STICKING_OUT = """() => [...document.querySelectorAll('body *')].filter(element => {
    const box = element.getBoundingClientRect();
    return box.width > 1 && box.right > document.documentElement.clientWidth + 0.5
        && !element.closest('.wide') && !element.closest('svg') && !element.closest('.spoken');
}).map(element => element.outerHTML.slice(0, 120))"""
"""Elements that stick out of the window, but for those inside a part that scrolls by itself."""
SMALLEST = """() => Math.min(...[...document.querySelectorAll('body *')]
    .filter(element => [...element.childNodes].some(node => node.nodeType == 3 && node.data.trim()))
    .filter(element => !element.closest('svg') && element.getBoundingClientRect().height > 1)
    .map(element => parseFloat(getComputedStyle(element).fontSize)))"""
PLOT_TEXT = """() => Math.min(...[...document.querySelectorAll('svg text')]
    .map(text => text.getBoundingClientRect().height))"""


def test_it_fits_is_silent_and_accessible(view: View, name: str) -> None:
    page = view.page
    if page.query_selector("details"):
        page.locator("details").first.evaluate("element => element.open = true")
    assert page.evaluate(STICKING_OUT) == []
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert page.evaluate(SMALLEST) >= 12
    if page.query_selector("svg"):
        assert page.evaluate(PLOT_TEXT) >= 9
    found = Axe().run(page, options=AXE_RULES)
    assert [(one["id"], one["nodes"][0]["html"][:160]) for one in found.response["violations"]] == []
    assert len(found.response["passes"]) > 5
    assert view.said == []
    assert view.asked == [page.url]


def test_a_page_that_wants_something_would_be_seen(browser: Browser, tmp_path: Path) -> None:
    """The checks above can fail: a page with an outside picture, a script and a grey text does not pass."""
    bad = tmp_path / "bad.html"
    bad.write_text(
        '<html><body><p style="color:#ccc; width:3000px">Texte<img src="https://example.invalid/x.png">'
        "<script>console.log('bonjour')</script></p></body></html>"
    )
    page = browser.new_page(viewport={"width": PHONE, "height": 740})
    shown = View(page)
    page.on("console", lambda message: shown.said.append(message.text))
    page.on("request", lambda request: shown.asked.append(request.url))
    page.goto(bad.as_uri())
    assert page.evaluate(STICKING_OUT) != []
    assert "bonjour" in shown.said
    assert len(shown.asked) == 2
    broken = {one["id"] for one in Axe().run(page, options=AXE_RULES).response["violations"]}
    assert {"image-alt", "color-contrast", "html-has-lang"} <= broken
    page.close()


def test_nothing_is_loaded_even_if_a_page_asked(browser: Browser, documents: dict[str, Path]) -> None:
    """The page's own policy: a picture that somebody managed to put into it is not fetched."""
    page = browser.new_page()
    asked: list[str] = []
    page.goto(documents["surveillance"].as_uri())
    page.on("requestfinished", lambda request: asked.append(request.url))
    page.evaluate("document.body.append(Object.assign(new Image(), {src: 'https://example.invalid/x.png'}))")
    page.wait_for_timeout(200)
    assert asked == []
    page.close()


def test_the_keyboard_leads_to_a_client_and_to_its_figures(
    browser: Browser, documents: dict[str, Path]
) -> None:
    page = browser.new_page(viewport={"width": PHONE, "height": 740})
    page.goto(documents["surveillance"].as_uri())
    page.keyboard.press("Tab")
    focused = page.evaluate(
        "[document.activeElement.textContent, document.activeElement.getAttribute('href')]"
    )
    assert focused == ["EARL du Gué", "#client_07"]
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    assert page.url.endswith("#client_07")
    assert page.evaluate("document.getElementById('client_07').getBoundingClientRect().top") < 10
    summary = page.locator("#client_07 summary").first
    summary.focus()
    page.keyboard.press("Enter")
    assert page.locator("#client_07 details[open] table").first.is_visible()
    page.close()


@pytest.mark.parametrize("width", [PHONE, 1200])
def test_a_client_is_found_in_a_fleet(browser: Browser, tmp_path: Path, width: int) -> None:
    file = tmp_path / "surveillance.html"
    file.write_text(monitoring_report.html(fleet.typed(fleet.report(40))), "utf-8")
    page = browser.new_page(viewport={"width": width, "height": 740})
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(file.as_uri())
    rows = page.get_by_role("table").first.locator("tbody tr")
    shown, state = rows.filter(visible=True), page.get_by_role("combobox", name="État")
    assert shown.count() == 40
    page.get_by_label("Chercher").fill("ELEVAGE fils")  # of EARL Élevage & Fils
    assert shown.get_by_role("rowheader").all_inner_texts() == ["EARL Élevage & Fils"]
    assert page.locator("output").inner_text() == "1 sur 40"
    page.get_by_label("Chercher").fill("")
    state.select_option("Critique")
    assert shown.count() == 4
    if width > PHONE:
        state.select_option("tous")
        for turn, last in ((min, "ascending"), (max, "descending")):
            page.get_by_role("button", name="Volume").click()
            texts = page.get_by_role("table").first.locator("tbody tr td:nth-child(4)").all_inner_texts()
            shares = [int(text.split("%")[0]) for text in texts if "%" in text]
            assert shares[0] == turn(shares)
            assert page.get_by_role("columnheader", name="Volume").get_attribute("aria-sort") == last
    broken = {one["id"] for one in Axe().run(page, options=AXE_RULES).response["violations"]}
    assert broken == set()
    assert said == []
    page.close()


def test_a_screen_reader_hears_plots_days_and_states(browser: Browser, documents: dict[str, Path]) -> None:
    page = browser.new_page()
    page.goto(documents["surveillance"].as_uri())
    client = page.locator("#gaec_du_moulin")
    assert client.get_by_role("img", name="Volume sauvegardé et volume souscrit").count() == 1
    calendar = client.get_by_role("table", name="Sauvegardes par jour")
    assert calendar.get_by_role("columnheader").count() == 7
    assert re.fullmatch(r"26 .*complète", calendar.get_by_role("cell").first.inner_text().replace("\n", " "))
    table = page.get_by_role("table").first
    assert table.get_by_role("rowheader").count() == 4
    page.close()


def _sheets(page: Page) -> list[str]:
    made = pypdf.PdfReader(BytesIO(page.pdf(prefer_css_page_size=True)))
    for sheet in made.pages:
        assert [round(float(value) / 72 * 25.4) for value in sheet.mediabox[2:]] == [210, 297]
    texts = [" ".join(sheet.extract_text().split()) for sheet in made.pages]
    for number, text in enumerate(texts, 1):
        assert text.startswith(f"page {number} sur {len(texts)} ")
    return [text.split(" ", 4)[4] for text in texts]


def test_on_paper_each_client_has_a_sheet(browser: Browser, documents: dict[str, Path]) -> None:
    page = browser.new_page()
    page.goto(documents["surveillance"].as_uri())
    sheets = _sheets(page)
    names = [client["name"] for client in fleet.report(9)["clients"]]
    for sheet in sheets:
        assert len(sheet) > 200, f"a sheet with next to nothing: {sheet}"
    begun = [next((name for name in names if sheet.startswith(name)), None) for sheet in sheets]
    assert len([name for name in begun if name]) == 4
    # Summary and findings first; five servers may take a second sheet.
    assert begun[0] is None
    assert len(sheets) <= 2 + 4 + 1
    assert "Les chiffres" not in " ".join(sheets)
    page.close()


def test_on_paper_a_record_is_signed_on_one_sheet(browser: Browser, documents: dict[str, Path]) -> None:
    page = browser.new_page()
    page.goto(documents["procès-verbal"].as_uri())
    (sheet,) = _sheets(page)
    assert sheet.count("Date, signature") == 2
    page.close()


def test_on_paper_a_client_reads_one_sheet(browser: Browser, documents: dict[str, Path]) -> None:
    page = browser.new_page()
    page.goto(documents["un client ordinaire"].as_uri())
    (sheet,) = _sheets(page)
    assert "Une question ?" in sheet
    page.close()


def test_what_a_client_fills_in_comes_back_as_an_annex(browser: Browser, tmp_path: Path) -> None:
    """By hand, as a client does; and nothing is asked of anywhere, whatever stands in the fields."""
    page_path = tmp_path / annexes.BLANK
    page_path.write_text(annexes.blank(), "utf-8")
    page = browser.new_page(viewport={"width": 360, "height": 740})
    view = View(page)
    page.on("console", lambda message: view.said.append(message.text))
    page.on("pageerror", lambda error: view.said.append(str(error)))
    page.on("request", lambda request: view.asked.append(request.url))
    page.goto(page_path.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    axe = Axe().run(page, options=AXE_RULES)
    assert axe.violations_count == 0, axe.generate_report()
    page.click("#add")
    for name, value in (
        ("client_name", "GAEC d'Été <b>"),
        ("subscribed_gb", "20"),
        ("main_title", "Mme"),
        ("main_first_name", "Zoé"),
        ("main_name", "Petit"),
        ("main_email", "zoe.petit@ete.example.com"),
        ("main_mobile", "06 12 34 56 78"),
        ("address_lines", "Ferme d'Été\n4 chemin Creux"),
        ("address_postal_code", "60190"),
        ("address_city", "Avrigny"),
    ):
        page.fill(f"[name={name}]", value)
    page.check("[name=options][value=import]")
    first, second = page.locator("#servers fieldset").all()
    first.locator("[name=root]").fill("D:\\")
    first.locator("[value=isagdwf]").check()
    second.locator("[name=label]").fill("Serveur principal")
    second.locator("[name=office]").fill("D:\\Bureautique\n\n  E:\\Photos d'été\n")
    with page.expect_download() as download:
        page.click("button[type=submit]")
    saved = tmp_path / download.value.suggested_filename
    download.value.save_as(saved)
    found = answers.read_annex(saved)
    assert saved.read_text("utf-8") == page.input_value("#data")
    page.close()
    assert found.shared == {
        "prosecours_client_name": "GAEC d'Été <b>",
        "prosecours_subscribed_gb": 20,
        "prosecours_options": ["import"],
        "prosecours_contact_main": {
            "title": "Mme",
            "first_name": "Zoé",
            "name": "Petit",
            "email": "zoe.petit@ete.example.com",
            "mobile": "06 12 34 56 78",
        },
        "prosecours_postal_address": {
            "lines": ["Ferme d'Été", "4 chemin Creux"],
            "postal_code": "60190",
            "city": "Avrigny",
        },
        "prosecours_instructions_by_mail": False,
    }
    nothing: dict[str, Any] = {"prosecours_software": [], "prosecours_variants": [], "prosecours_office": []}
    assert found.servers == {
        "Serveur principal": nothing | {"prosecours_root": "D:\\", "prosecours_software": ["isagdwf"]},
        "Serveur principal (2)": nothing | {"prosecours_office": ["D:\\Bureautique", "E:\\Photos d'été"]},
    }
    assert view.said == []
    assert [one for one in view.asked if not one.startswith(("file:", "blob:"))] == []
