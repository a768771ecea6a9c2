"""The provider's report: everything of the input is in it, nothing else is, and it stays small."""

from __future__ import annotations

import copy
import re
import xml.etree.ElementTree as ET
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pypdf
import pytest
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.model import Status
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.shape import read
from ansible_collections.prosecours.backup.plugins.plugin_utils.documents import french
from ansible_collections.prosecours.backup.plugins.plugin_utils.documents import views as report_views
from ansible_collections.prosecours.backup.plugins.plugin_utils.monitoring import report as monitoring_report
from unit.documents import fleet
from unit.documents.pages import Page, plain


def html(report: dict[str, Any]) -> str:
    return monitoring_report.html(fleet.typed(report))


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    return fleet.report(10)


@pytest.fixture(scope="module")
def page(report: dict[str, Any]) -> Page:
    return Page(html(report))


def test_the_worst_clients_come_first(page: Page) -> None:
    first_table = page.all("table", class_="stack")[0]
    places = [
        first_table.index(name)
        for name in ("EARL du Gué", "EARL des Tilleuls", "M. Gaëtan", "GAEC du Moulin")
    ]
    assert places == sorted(places)
    assert page.all("ul", class_="counts") == ["4 Critique 3 Avertissement 1 À noter 2 En ordre"]


def test_every_client_has_its_row_and_its_section(page: Page, report: dict[str, Any]) -> None:
    links = page.values("href")
    for client in report["clients"]:
        assert f"#{client['id']}" in links
        assert page.find("section", id=client["id"])
    assert all(link[1:] in page.values("id") for link in links if link.startswith("#"))


def test_every_finding_is_told_with_its_remedy(page: Page, report: dict[str, Any]) -> None:
    told = page.all("article", class_="finding")
    findings = [finding for client in report["clients"] for finding in client["findings"]]
    assert len(told) == len(findings) + len(report["closed"])
    for finding in findings:
        (text,) = [text for text in told if plain(finding["sentence_fr"]) in text]
        assert plain(finding["remedy_fr"]) in text
        assert finding["clause"] in text
        concerned = {"applications": "les applications", "systems": "les systèmes (noc@groupeisagri.example)"}
        assert text.endswith(f"concerne {concerned[finding['concern']]}")
        assert plain(french.short_moment(finding["since"])) in text


def test_a_closed_finding_asks_for_nothing(page: Page) -> None:
    (closed,) = [text for text in page.all("article", class_="finding") if "clos le" in text]
    assert "Ouvert le 19/11/2026 14 h 05, clos le 23/11/2026 14 h 05" in closed
    assert "À faire" not in closed


def test_colour_never_stands_alone(page: Page) -> None:
    words = {"ok": "En ordre", "notice": "À noter", "warning": "Avertissement", "critical": "Critique"}
    for _, attributes, text in page.find("span", class_="state"):
        assert plain("".join(text)) == words[attributes["class"].split()[1]]
    for cell in page.all("td", class_="day"):
        assert re.fullmatch(
            r"\d+ ✓complète|\d+ !incomplète|\d+ \d/\d ?complète pour \d serveurs? sur \d|\d+ ✕aucune|"
            r"\d+ …pas encore|\d+ ·sans objet",
            cell,
        )


def test_a_page_is_one_file(page: Page) -> None:
    assert not {"script", "link", "img", "iframe", "object", "image"} & {tag for tag, _, _ in page.elements}
    assert {
        link.split(":")[0][:1] if link.startswith("#") else link.split(":")[0] for link in page.values("href")
    } == {
        "#",
        "tel",
        "mailto",
    }
    assert not page.values("src")
    assert not any("url(http" in style for style in page.values("style"))


def test_ids_are_unique(page: Page) -> None:
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    named = {name for names in page.values("aria-labelledby") for name in names.split()}
    assert named <= set(ids)


def test_a_plot_has_its_figures_beside_it(page: Page, report: dict[str, Any]) -> None:
    client = report["clients"][0]
    since = fleet.AT.astimezone(fleet.PARIS).date() - timedelta(days=report_views.BACKUP_DAYS)
    backups = sum(
        date.fromisoformat(entry["time"][:10]) >= since
        for server in client["repository"]["servers"].values()
        for entry in server["history"]
    )
    bodies = Page(html({**report, "clients": [client]}))
    tables = [text for _, attributes, text in bodies.find("div", class_="wide")]
    volume, durations = (plain("".join(text)) for text in tables)
    assert len(re.findall(r"\d\d/\d\d/\d{4}", durations)) == backups
    assert 40 < len(re.findall(r"\d\d/\d\d/\d{4}", volume)) <= report_views.VOLUME_POINTS
    last = client["repository"]["volume"]["history"][-1]
    assert f"23/11/2026 {plain(french.size(last['newest']))}" in plain(volume)


def test_a_plot_speaks(report: dict[str, Any]) -> None:
    """Each plot is a picture with a name and a description, and its text is text."""
    text = html(report)
    plots = [ET.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", text, re.DOTALL)]  # noqa: S314
    assert len(plots) == 2 * 9
    for plot in plots:
        assert plot.get("role") == "img"
        title, description = plot[0], plot[1]
        assert plot.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
        assert title.text
        assert re.search(r"\d", description.text or "")
        assert [text for text in plot.iter("{http://www.w3.org/2000/svg}text") if text.text]
    tilleuls = next(plot[1].text for plot in plots if plot[1].get("id") == "client_01-volume-text")
    assert plain(str(tilleuls)) == (
        "96,5 Go sur 100 Go souscrits le 23 novembre 2026, 82,1 Go le 20 octobre 2025. "
        "Au rythme actuel, le volume souscrit serait atteint vers le 6 février 2027."
    )


def test_the_same_report_gives_the_same_bytes(report: dict[str, Any], tmp_path: Path) -> None:
    first, second = (
        monitoring_report.write(fleet.typed(report), tmp_path / name) for name in ("first", "second")
    )
    assert Path(first["html"]).read_bytes() == Path(second["html"]).read_bytes()
    assert first == {"html": str(tmp_path / "first" / "surveillance.html")}


def test_what_others_wrote_is_text(report: dict[str, Any]) -> None:
    evil = copy.deepcopy(report["clients"][:1])
    evil[0]["name"] = "</title><script>alert(1)</script>"
    evil[0]["repository"]["promise"]["problems"] = ["<b>&"]
    servers = evil[0]["repository"]["servers"]
    servers["<script>x</script>"] = servers.pop("srv0-sql")
    text = html({**report, "clients": evil})
    assert "<script" not in text
    assert "&lt;b&gt;&amp;" in text
    assert "&lt;script&gt;x" in text


@pytest.mark.parametrize("number", range(10))
def test_each_story_is_shown(number: int, report: dict[str, Any]) -> None:
    client = report["clients"][number]
    alone = Page(html({**report, "clients": [client], "closed": [], "journal": None}))
    (section,) = alone.all("section", class_="client")
    expected = {
        0: "✓ tenue",
        1: "vers le 6 février 2027",
        2: "✓ joint 19/11/2026 22 h 40 il y a 3 j 15 h 8, dont 3 incomplètes",
        3: "il y a 5 j 15 h",
        4: "Pas encore fait.",
        5: "wrong password",
        6: "✕ injoignable srv6-principal does not answer on port 5986",
        7: "Les nouvelles sauvegardes sont refusées.",
        8: "✕ rompue",
        9: "Windows n'a pas fait de cliché",
    }
    assert expected[number] in section


def test_a_fleet_that_has_nothing_to_say() -> None:
    page = Page(
        html({"format": 1, "at": "2026-11-23T13:05:00Z", "clients": [], "closed": [], "journal": None})
    )
    assert "Aucun constat : tout est en ordre." in page.all("main")[0]


def test_a_client_of_today_has_no_plots_yet(report: dict[str, Any]) -> None:
    client = copy.deepcopy(report["clients"][0])
    for server in client["repository"]["servers"].values():
        server.update(last=None, last_any=None, versions=0, oldest_day=None, history=[])
    client["repository"]["volume"].update(history=[], full_on=None, percent=0.0)
    page = Page(html({**report, "clients": [client]}))
    assert not page.find("svg")
    assert not page.find("table", class_="calendar")
    assert page.all("section")[0].count("✕ aucune") == len(client["servers"])


def test_a_repository_that_was_not_asked_is_no_failure(report: dict[str, Any]) -> None:
    client = {**report["clients"][5], "repository_failure": None}
    text = Page(html({**report, "clients": [client]})).all("main")[0]
    assert "dépôt non interrogé" in text
    assert "None" not in text
    assert "✕" not in text


def test_a_single_backup_is_plotted(report: dict[str, Any]) -> None:
    client = copy.deepcopy(report["clients"][4])
    for server in client["repository"]["servers"].values():
        server["history"] = [{**server["history"][-1], "added_bytes": 0, "seconds": 0.2}]
    client["repository"]["volume"]["history"] = client["repository"]["volume"]["history"][-1:]
    assert len(Page(html({**report, "clients": [client]})).find("svg")) == 2


def test_a_backup_without_figures_is_counted(report: dict[str, Any]) -> None:
    client = copy.deepcopy(report["clients"][0])
    history = client["repository"]["servers"]["srv0-sql"]["history"]
    history[-1].update(seconds=None, added_bytes=None, bytes=None, files=None)
    text = html({**report, "clients": [client]})
    assert "1\N{NO-BREAK SPACE}sauvegarde sans mesure." in text
    for entry in history:
        entry.update(seconds=None)
    assert "srv0-sql" in html({**report, "clients": [client]})


@pytest.fixture(scope="module")
def large() -> dict[str, Any]:
    return fleet.report(500)


def test_five_hundred_clients_stay_a_page_to_mail(large: dict[str, Any]) -> None:
    """Measured: 0.8 MB."""
    text = html(large)
    assert len(text.encode()) < 1_000_000
    page = Page(text)
    assert len(page.find("section", class_="client sheet")) == 10
    assert {tag for tag, _, _ in page.elements} & {"script", "link", "img", "iframe", "object"} == {"script"}
    worst = {client["id"] for client in large["clients"] if client["state"] != "ok"}
    assert worst <= {attributes["id"] for _, attributes, _ in page.find("section", class_="client sheet")}


def test_a_client_whose_section_is_elsewhere_has_a_page(tmp_path: Path) -> None:
    report = fleet.report(14)
    (tmp_path / "clients").mkdir()
    (tmp_path / "clients" / "who_has_left.html").write_text("old", "utf-8")
    written = monitoring_report.write(fleet.typed(report), tmp_path)
    page = Page(Path(written["html"]).read_text("utf-8"))
    links = {link for link in page.values("href") if link.startswith("clients/")}
    assert links == {f"clients/{path.name}" for path in (tmp_path / "clients").iterdir()}
    assert len(links) == 4
    names = {client["id"]: client["name"] for client in report["clients"]}
    for link in links:
        alone = Page((tmp_path / link).read_text("utf-8"))
        [section] = alone.find("section", class_="client sheet")
        assert names[Path(link).stem] in plain("".join(section[2]))
        assert "../surveillance.html#clients" in alone.values("href")
    monitoring_report.write(fleet.typed(fleet.report(10)), tmp_path)
    assert list((tmp_path / "clients").iterdir()) == []


def test_a_pdf_on_wish(report: dict[str, Any], tmp_path: Path) -> None:
    paths = monitoring_report.write(
        fleet.typed({**report, "clients": report["clients"][1:2]}), tmp_path, with_pdf=True
    )
    pages = [plain(page.extract_text()) for page in pypdf.PdfReader(paths["pdf"]).pages]
    assert len(pages) == 2
    assert "EARL des Tilleuls" in pages[1]
    assert "Prévenir le client avant que le volume ne soit plein." in pages[0]


# -- the calendar ---------------------------------------------------------------------------------------

MONDAY = date(2026, 11, 16)
TODAY = date(2026, 11, 23)


def _status(**servers: list[tuple[str, bool]]) -> Status:
    """A status with these backups; one of a forged time begins with an exclamation mark."""
    whole = fleet.report(1)["clients"][0]["repository"]
    one = whole["servers"]["srv0-principal"]
    histories = {
        host: [
            {
                **one["history"][0],
                "id": "aside" if time.startswith("!") else time,
                "time": time.lstrip("!"),
                "complete": complete,
            }
            for time, complete in history
        ]
        for host, history in servers.items()
    }
    of = {host: {**one, "history": history} for host, history in histories.items()}
    return read(Status, {**whole, "set_aside": ["aside"], "servers": of})


@pytest.mark.parametrize(
    ("servers", "hosts", "shown"),
    [
        # From the first backup on; today is not lost yet.
        ({"a": [("2026-11-18T21:00:00Z", True)]}, "a", "··✓✕✕✕✕…"),
        # 23:30 UTC in winter is the day after in Paris.
        ({"a": [("2026-11-18T23:30:00Z", True)]}, "a", "···✓✕✕✕…"),
        ({"a": [("2026-11-16T21:00:00Z", True), ("2026-11-17T21:00:00Z", False)]}, "a", "✓!✕✕✕✕✕…"),
        # Incomplete first, complete later on the same day.
        ({"a": [("2026-11-16T11:00:00Z", False), ("2026-11-16T21:00:00Z", True)]}, "a", "✓✕✕✕✕✕✕…"),
        # The second server joins on Tuesday, and misses Wednesday.
        (
            {
                "a": [(f"2026-11-{day}T21:00:00Z", True) for day in range(16, 24)],
                "b": [("2026-11-17T21:00:00Z", True), ("2026-11-19T21:00:00Z", False)],
            },
            "ab",
            "✓✓!!!!!!",
        ),
        # A server that left the contract is missed no longer.
        (
            {
                "a": [(f"2026-11-{day}T21:00:00Z", True) for day in range(16, 24)],
                "b": [("2026-11-17T21:00:00Z", True)],
            },
            "a",
            "✓✓✓✓✓✓✓✓",
        ),
        # A forged time shows nothing.
        ({"a": [("2026-11-16T21:00:00Z", True), ("!2026-11-18T21:00:00Z", True)]}, "a", "✓✕✕✕✕✕✕…"),
        ({}, "a", "········"),
    ],
)
def test_the_calendar(servers: dict[str, list[tuple[str, bool]]], hosts: str, shown: str) -> None:
    symbols = {"complete": "✓", "incomplete": "!", "none": "✕", "pending": "…", "idle": "·"}
    cells = report_views.days(_status(**servers), set(hosts), MONDAY, TODAY, TODAY)
    assert "".join(symbols[cell.state] for cell in cells) == shown


def test_a_part_of_the_servers_is_counted() -> None:
    servers = _status(a=[("2026-11-16T21:00:00Z", True)], b=[("2026-11-16T21:00:00Z", False)])
    cell = report_views.days(servers, {"a", "b"}, MONDAY, MONDAY, TODAY)[0]
    assert (cell.note, plain(cell.words)) == ("1/2", "complète pour 1 serveur sur 2")


def test_weeks_are_whole_rows() -> None:
    cells = report_views.days(_status(), set(), date(2026, 11, 18), TODAY, TODAY)
    rows = list(report_views.weeks(cells))
    assert [len(row) for row in rows] == [7, 7]
    assert [cell is None for cell in rows[0]] == [True, True, False, False, False, False, False]
    assert rows[1][0] is not None
    assert rows[1][0].date == TODAY
