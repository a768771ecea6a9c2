"""French documents: what their filters print, what their HTML and PDF hold, and what they never load."""

from __future__ import annotations

import socket
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import NoReturn

import jinja2
import pypdf
import pytest
from ansible_collections.prosecours.backup.plugins.plugin_utils.documents import french
from ansible_collections.prosecours.backup.plugins.plugin_utils.documents import render as documents
from hypothesis import given
from hypothesis import strategies as st

# A page of a document as another part writes it.
PAGE = """{% extends "base.html.j2" %}
{% block content %}
<p>Établi le {{ at | moment }} pour {{ client }}.</p>
<p class="state {{ state }}">{{ word }}</p>
{% endblock %}"""


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = documents._environment()
    environment.loader = jinja2.ChoiceLoader(
        [jinja2.DictLoader({"page.html.j2": PAGE, "mail.txt.j2": "{{ client }}"}), environment.loader]  # type: ignore[list-item]
    )
    monkeypatch.setattr(documents, "_ENVIRONMENT", environment)


def _page(client: str = "GAEC de l'Œillet & fils") -> str:
    return documents.render(
        "page.html.j2",
        title="Procès-verbal",
        at="2026-03-29T01:30:00Z",
        client=client,
        state="ok",
        word="En ordre",
    )


def _plain(text: str) -> str:
    """No-break spaces are right in print and hard to read in a test."""
    return text.replace("\N{NARROW NO-BREAK SPACE}", "_").replace("\N{NO-BREAK SPACE}", "~")


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("weekday", "2026-11-23", "lundi 23~novembre~2026"),
        ("day", "2026-05-01", "1er~mai~2026"),
        ("month", "2026-02-28", "février~2026"),
        ("short_day", "2026-08-09", "09/08/2026"),
        # An instant is shown on the day that it is in Paris, in winter, in summer and around both changes.
        ("day", "2026-12-31T23:30:00Z", "1er~janvier~2027"),
        ("moment", "2026-01-15T21:04:00Z", "jeudi 15~janvier~2026 à 22~h~04"),
        ("moment", "2026-07-15T21:04:00+00:00", "mercredi 15~juillet~2026 à 23~h~04"),
        ("moment", "2026-03-29T01:30:00Z", "dimanche 29~mars~2026 à 03~h~30"),
        ("clock", "2026-10-25T00:30:00Z", "02~h~30"),
        ("clock", "2026-10-25T01:30:00.123456789Z", "02~h~30"),
        ("clock", "2026-01-15T21:04:00", "22~h~04"),
        ("short_moment", "2026-01-15T21:04:00Z", "15/01/2026 22~h~04"),
        ("number", 1234567, "1_234_567"),
        ("number", -0.25, "-0"),
        ("size", 0, "0~o"),
        ("size", 999, "999~o"),
        ("size", 1000, "1,0~ko"),
        ("size", 12_345_678, "12,3~Mo"),
        ("size", 99_960_000, "100~Mo"),
        ("size", 999_999_999, "1,0~Go"),
        ("size", 50_000_000_000, "50,0~Go"),
        ("size", 1_500_000_000_000, "1,5~To"),
        ("size", 4_000_000_000_000_000, "4_000~To"),
        ("both_sizes", 999, "999~o"),
        ("both_sizes", 1000, "1,0~ko (1_000~o)"),
        ("both_sizes", 99_900_000_000, "99,9~Go (93,0~Gio)"),
        ("both_sizes", 100 * 2**30, "107~Go (100~Gio)"),
        ("both_sizes", 1023.7 * 2**30, "1,1~To (1,0~Tio)"),
        ("subscribed", 200, "200~Go (186~Gio)"),
        ("duration", 0.4, "0~s"),
        ("duration", 59.6, "1~min"),
        ("duration", 3599, "1~h"),
        ("duration", 3900, "1~h~05~min"),
        ("duration", 86399, "1~j"),
        ("duration", 187200, "2~j~4~h"),
    ],
)
def test_a_french_reader_is_told(name: str, value: object, shown: str) -> None:
    assert _plain(french.FILTERS[name](value)) == shown


def test_numbers_have_a_decimal_comma() -> None:
    assert _plain(french.number(12345.678, 1)) == "12_345,7"


def test_zero_and_one_are_singular() -> None:
    assert [_plain(french.count(n, "fichier")) for n in (0, 1, 2)] == [
        "0~fichier",
        "1~fichier",
        "2~fichiers",
    ]
    assert _plain(french.count(3, "cheval", "chevaux")) == "3~chevaux"


@given(st.integers(0, 10**16))
def test_a_size_is_never_a_thousand_of_a_smaller_unit(value: int) -> None:
    amount, unit = french.size(value).split("\N{NO-BREAK SPACE}")
    shown = float(amount.replace(",", ".").replace("\N{NARROW NO-BREAK SPACE}", ""))
    assert unit == "To" or shown < 1000
    factor = {"o": 1, "ko": 10**3, "Mo": 10**6, "Go": 10**9, "To": 10**12}[unit]
    assert shown * factor == pytest.approx(value, rel=0.05)


def test_a_page_is_french_and_whole(page: None) -> None:
    html = _page()
    assert '<html lang="fr">' in html
    assert "GAEC de l&#39;Œillet &amp; fils" in html
    assert "http://" not in html
    assert "https://" not in html
    assert "<script" not in html


def test_the_words_of_a_template_are_as_print_has_them_and_what_is_filled_in_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = (
        """<p title="l'un : x">{% set y = "l'un" %}L'un : « {{ one }} » ;{# d'où ? #} 5 % ! {{ y }}</p>"""
    )
    environment = documents._environment()
    environment.loader = jinja2.DictLoader({"a.html.j2": source, "a.txt.j2": source, "a.css.j2": source})
    environment.autoescape = False
    monkeypatch.setattr(documents, "_ENVIRONMENT", environment)
    path = "D:\\l'a ; b"
    page, mail, style = (
        _plain(documents.render(f"a.{kind}.j2", one=path)) for kind in ("html", "txt", "css")
    )
    assert page == mail == f"""<p title="l'un : x">L’un~: «~{path}~»_; 5~%_! l'un</p>"""
    assert style == f"""<p title="l'un : x">L'un : « {path} » ; 5 % ! l'un</p>"""


def test_what_a_client_writes_is_text(page: None) -> None:
    html = _page('<img src="x" onerror="alert(1)">')
    assert "<img" not in html


def test_a_mail_in_plain_text_is_not_escaped(page: None) -> None:
    assert documents.render("mail.txt.j2", client="M. & Mme Œillet") == "M. & Mme Œillet"


def test_a_value_that_is_not_given_is_an_error(page: None) -> None:
    with pytest.raises(jinja2.UndefinedError, match="client"):
        documents.render("page.html.j2", title="", at="2026-01-01T00:00:00Z", state="ok", word="")


def test_the_pdf_has_the_text_with_accents_and_shapes(page: None) -> None:
    made = pypdf.PdfReader(BytesIO(documents.pdf(_page())))
    text = made.pages[0].extract_text().replace("\N{NO-BREAK SPACE}", " ")
    assert "Procès-verbal" in text
    assert "Établi le dimanche 29 mars 2026 à 03 h 30 pour GAEC de l'Œillet & fils." in text
    assert "✓" in text
    assert "En ordre" in text
    assert "page 1 sur 1" in text
    assert made.metadata is not None
    assert made.metadata.title == "Procès-verbal"
    root = made.root_object
    assert root["/Lang"] == "fr"
    assert root["/MarkInfo"]["/Marked"]  # type: ignore[index]
    width, height = (float(value) / 72 * 25.4 for value in made.pages[0].mediabox[2:])
    assert (round(width), round(height)) == (210, 297)


def test_the_same_page_gives_the_same_pdf(page: None) -> None:
    assert documents.pdf(_page()) == documents.pdf(_page())


@pytest.mark.parametrize("address", ["https://example.org/x.png", "file:///etc/hostname"])
def test_nothing_is_loaded(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def dial(*_: object, **__: object) -> NoReturn:
        raise AssertionError("a document dialled out")

    monkeypatch.setattr(socket.socket, "connect", dial)
    with pytest.raises(documents.DocumentError, match="loads nothing: Error fetching"):
        documents.pdf(f'<p>Image : <img src="{address}"></p>')


def test_html_needs_no_pdf_library() -> None:
    """A repository host or a controller without Pango still writes its HTML."""
    done = subprocess.run(
        [
            *(sys.executable, "-c"),
            "import sys\n"
            f"sys.path.insert(0, {str(Path(documents.__file__).parents[6])!r})\n"
            "from ansible_collections.prosecours.backup.plugins.plugin_utils.documents"
            " import render as documents\n"
            "print(documents.render('base.html.j2', title='Été'), 'weasyprint' in sys.modules)",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.rstrip().endswith("False")
