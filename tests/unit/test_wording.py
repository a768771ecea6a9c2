"""Sentences, sizes, plurals and dates in two languages, whatever locale the process has."""

from __future__ import annotations

import locale
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from ansible_collections.prosecours.backup.plugins.plugin_utils import wording
from ansible_collections.prosecours.backup.plugins.plugin_utils.wording import ENGLISH, FRENCH
from hypothesis import given
from hypothesis import strategies as st


@pytest.fixture(params=["C", "C.UTF-8"])
def process_locale(request: pytest.FixtureRequest) -> Iterator[None]:
    before = locale.setlocale(locale.LC_ALL)
    locale.setlocale(locale.LC_ALL, request.param)
    yield
    locale.setlocale(locale.LC_ALL, before)


@pytest.mark.parametrize(
    ("value", "english", "french", "rough"),
    [
        (0, "0 B", "0~o", "0 B"),
        (999, "999 B", "999~o", "999 B"),
        (1000, "1.0 kB", "1,0~ko", "1 kB"),
        (999_600, "1.0 MB", "1,0~Mo", "1 MB"),
        (12_345_678, "12.3 MB", "12,3~Mo", "12.3 MB"),
        (30 * 10**9, "30.0 GB", "30,0~Go", "30 GB"),
        (1_250_000_000, "1.2 GB", "1,2~Go", "1.25 GB"),
        (123_456_000_000, "123 GB", "123~Go", "123 GB"),
        (4 * 10**15, "4,000 TB", "4_000~To", "4000 TB"),
    ],
)
def test_a_size(value: int, english: str, french: str, rough: str) -> None:
    assert wording.show_size(value) == english
    shown = wording.show_size(value, FRENCH)
    assert shown.replace("\N{NARROW NO-BREAK SPACE}", "_").replace("\N{NO-BREAK SPACE}", "~") == french
    assert wording.rough_size(value) == rough


@given(st.integers(0, 10**15))
def test_a_rough_size_is_right_to_three_digits(value: int) -> None:
    amount, unit = wording.rough_size(value).split(" ")
    factor = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}[unit]
    assert float(amount) * factor == pytest.approx(value, rel=0.005)
    assert len(amount.replace(".", "").strip("0")) <= 3
    assert float(amount) <= 1000 or unit == "TB"


@pytest.mark.parametrize(("number", "shown"), [(0, "0 files"), (1, "1 file"), (2, "2 files")])
def test_a_plural(number: int, shown: str) -> None:
    assert wording.plural(number, "file") == shown


def test_a_plural_of_its_own() -> None:
    assert wording.plural(2, "directory", "directories") == "2 directories"
    assert [wording.is_one(number, FRENCH) for number in (0, 1, 2, -1)] == [True, True, False, True]
    assert [wording.is_one(number, ENGLISH) for number in (0, 1, 2, -1)] == [False, True, False, True]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("the disk is full", "The disk is full."),
        ("The disk is full.", "The disk is full."),
        ("is it there?", "Is it there?"),
        (r"d:\a is not there", r"d:\a is not there."),
        ("https://depot is not there", "https://depot is not there."),
    ],
)
def test_a_sentence(text: str, sentence: str) -> None:
    assert wording.as_sentence(text) == sentence


def test_days_are_in_the_language_that_is_asked_for(process_locale: None) -> None:
    at = datetime(2026, 2, 3, 7, 5, tzinfo=UTC)
    assert wording.show_day(at, "EEEE d MMMM y") == "Tuesday 3 February 2026"
    assert wording.show_day(at, "EEEE d MMMM y", FRENCH) == "mardi 3 février 2026"
    assert wording.show_moment(at) == "2026-02-03 08:05"
    assert wording.show_moment("2026-07-03T07:05:00Z") == "2026-07-03 09:05"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(59, "under a minute"), (60, "about 1 min"), (5399, "about 90 min"), (7200, "about 2 h")],
)
def test_a_length_of_time(seconds: float, shown: str) -> None:
    assert wording.show_seconds(seconds) == shown


@pytest.mark.parametrize(("name", "meant"), [("Moulin", "moulin"), ("moulim", "moulin"), ("etang", None)])
def test_the_name_that_was_meant(name: str, meant: str | None) -> None:
    assert wording.nearest(name, ["moulin", "lac"]) == meant
    remedy = f'Did you mean "{meant}"?' if meant else "Write one of: moulin, lac"
    assert wording.one_of(name, ["moulin", "lac"]) == remedy


def test_french_texts_are_printed_as_print_has_them() -> None:
    """In lists and tables too; what is no text stays what it is."""
    assert wording.typographic({"l'un": ["l'Internet : « 5 % » ; délai", 3, None, "D:\\x"]}) == {
        "l'un": ["l’Internet~: «~5~%~»_; délai".replace("~", "\xa0").replace("_", "\u202f"), 3, None, "D:\\x"]
    }
