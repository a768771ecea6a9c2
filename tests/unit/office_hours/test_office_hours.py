"""Office hours against a second computation that shares nothing with the first, Easter's formula included."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from ansible_collections.prosecours.backup.plugins.plugin_utils import office_hours as hours
from hypothesis import example, given, settings
from hypothesis import strategies as st

PARIS = ZoneInfo("Europe/Paris")
MOMENTS = st.datetimes(
    datetime(2024, 1, 1), datetime(2060, 12, 31), timezones=st.sampled_from([UTC, PARIS])
).map(lambda at: at.astimezone(UTC))
"""The years for which the law is what it is today (8 May since 1982)."""


def easter(year: int) -> date:
    """Meeus, Jones and Butcher."""
    a, (b, c) = year % 19, divmod(year, 100)
    d, e = divmod(b, 4)
    g = (8 * b + 13) // 25
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    m = (32 + 2 * e + 2 * i - h - k) % 7
    n = (a + 11 * h + 22 * m) // 451
    month, day = divmod(h + m - 7 * n + 114, 31)
    return date(year, month, day + 1)


def closed_days(year: int, alsace_moselle: bool) -> set[date]:
    """Code du travail, L3133-1; for Alsace-Moselle L3134-13."""
    fixed = {(1, 1), (5, 1), (5, 8), (7, 14), (8, 15), (11, 1), (11, 11), (12, 25)}
    moving = {1, 39, 50}  # days after Easter Sunday
    if alsace_moselle:
        fixed.add((12, 26))
        moving.add(-2)
    return {date(year, *day) for day in fixed} | {easter(year) + timedelta(days=days) for days in moving}


def open_by_hand(at: datetime, alsace_moselle: bool) -> bool:
    local = at.astimezone(PARIS)
    minutes = local.hour * 60 + local.minute
    return (
        local.isoweekday() <= 5
        and 510 <= minutes < 1080
        and local.date() not in closed_days(local.year, alsace_moselle)
    )


@settings(max_examples=1000, deadline=None)
@given(MOMENTS, st.booleans())
@example(datetime(2026, 3, 29, 0, 59, 59, tzinfo=UTC), False)  # the clock goes to 3:00
@example(datetime(2026, 10, 25, 0, 30, tzinfo=UTC), False)  # 2:30 comes twice
@example(datetime(2026, 10, 25, 1, 30, tzinfo=UTC), False)
@example(datetime(2026, 12, 31, 23, 30, tzinfo=UTC), True)  # it is next year in Paris
def test_open_is_what_the_law_and_the_contract_say(at: datetime, alsace_moselle: bool) -> None:
    assert (hours.closed(at, alsace_moselle) is None) == open_by_hand(at, alsace_moselle)
    closes = hours.closes_at(at, alsace_moselle)
    assert (closes is not None) == open_by_hand(at, alsace_moselle)
    if closes:
        assert closes > at
        assert not open_by_hand(closes, alsace_moselle)
        assert open_by_hand(closes.astimezone(UTC) - timedelta(seconds=1), alsace_moselle)


@settings(max_examples=300, deadline=None)
@given(MOMENTS, st.booleans())
def test_the_next_opening_is_the_first(at: datetime, alsace_moselle: bool) -> None:
    opens = hours.next_opening(at, alsace_moselle)
    assert opens > at
    assert f"{opens:%H:%M:%S}" == "08:30:00"
    assert opens.utcoffset() == opens.astimezone(PARIS).utcoffset()
    assert open_by_hand(opens, alsace_moselle)
    # Every quarter of an hour before it is closed, or in the office hours in which `at` lies.
    moment = opens.astimezone(UTC) - timedelta(minutes=15)
    leaving = open_by_hand(at, alsace_moselle)
    while moment > at:
        now_open = open_by_hand(moment, alsace_moselle)
        assert not now_open or (leaving and moment.date() == at.date())
        moment -= timedelta(minutes=15)


@pytest.mark.parametrize(
    ("at", "special", "opens", "why"),
    [
        ("2026-11-20 17:59:59", False, None, None),
        ("2026-11-20 18:00", False, "2026-11-23 08:30", "it is 18:00 in Paris"),
        ("2026-11-23 08:29:59", False, "2026-11-23 08:30", "it is 08:29 in Paris"),
        ("2026-11-23 08:30", False, None, None),
        ("2026-11-22 12:00", False, "2026-11-23 08:30", "it is Sunday"),
        ("2027-05-01 10:00", False, "2027-05-03 08:30", "1 May is a public holiday (Fête du Travail)"),
        ("2026-12-31 18:30", False, "2027-01-04 08:30", "it is 18:30 in Paris"),
        ("2026-04-03 10:00", False, None, None),
        ("2026-04-03 10:00", True, "2026-04-07 08:30", "3 April is a public holiday (Vendredi saint)"),
        ("2025-12-26 10:00", False, None, None),
        ("2025-12-26 10:00", True, "2025-12-29 08:30", "26 December is a public holiday (Saint-Étienne)"),
        # Ascension and Victory Day in one week, then the weekend.
        ("2026-05-07 19:00", False, "2026-05-11 08:30", "it is 19:00 in Paris"),
    ],
)
def test_days_to_remember(at: str, special: bool, opens: str | None, why: str | None) -> None:
    found = hours.closed(datetime.fromisoformat(at).replace(tzinfo=PARIS), special)
    expected = (why, datetime.fromisoformat(opens).replace(tzinfo=PARIS)) if opens else None
    assert found == expected


def test_openings_keep_the_wall_clock_over_both_changes() -> None:
    """The same 08:30, an hour apart in UTC."""
    for saturday, before, after in [("2026-03-28", 1, 2), ("2026-10-24", 2, 1)]:
        at = datetime.fromisoformat(f"{saturday} 12:00").replace(tzinfo=PARIS)
        assert at.utcoffset() == timedelta(hours=before)
        assert hours.next_opening(at).utcoffset() == timedelta(hours=after)


def test_a_time_without_zone_is_refused() -> None:
    for question in (hours.closes_at, hours.next_opening, hours.closed):
        with pytest.raises(ValueError, match="time zone"):
            question(datetime(2026, 11, 23, 10))


# -- several clients, and the sentences -----------------------------------------------------------------


def test_each_client_by_its_own_calendar() -> None:
    good_friday = datetime(2026, 4, 3, 10, tzinfo=PARIS)
    shut, sentence = hours.refusal(good_friday, {"moulin": False, "kochersberg": True})
    assert list(shut) == ["kochersberg"]
    assert sentence == (
        "Outside office hours: 3 April is a public holiday (Vendredi saint); the next opening for kochersberg"
        " is Tuesday 7 April 2026 at 08:30."
    )
    assert hours.refusal(good_friday, {"moulin": False}) == ({}, "")


def test_different_openings_are_both_said() -> None:
    thursday_evening = datetime(2026, 4, 2, 19, tzinfo=PARIS)
    shut, sentence = hours.refusal(thursday_evening, {"moulin": False, "kochersberg": True})
    assert set(shut) == {"moulin", "kochersberg"}
    assert "for moulin is Friday 3 April 2026 at 08:30" in sentence
    assert "for kochersberg is Tuesday 7 April 2026 at 08:30" in sentence


def test_many_clients_are_counted() -> None:
    night = datetime(2026, 11, 23, 22, tzinfo=PARIS)
    many = {f"client_{number}": False for number in range(8)}
    assert "client" not in hours.refusal(night, many)[1]
    sentence = hours.refusal(
        datetime(2025, 12, 26, 10, tzinfo=PARIS), dict.fromkeys(many, True) | {"a": False}
    )[1]
    assert "for client_0, client_1, client_2, client_3, client_4 and 3 more is" in sentence


@pytest.mark.parametrize(
    ("now", "length", "says"),
    [
        ("2026-11-23 17:00", 0.9, ""),
        ("2026-11-23 17:00", 1.0, ""),
        (
            "2026-11-23 17:00",
            2.5,
            "The restore would run until about 19:30, past the end of office hours at 18:00.",
        ),
        (
            "2026-10-23 16:00",
            48.0,
            "The restore would run until about Sunday 25 October 2026 at 15:00, past the end of office hours"
            " at 18:00.",
        ),
        ("2026-11-23 19:00", 5.0, ""),  # closed already, and that was said
    ],
)
def test_long_work(now: str, length: float, says: str) -> None:
    at = datetime.fromisoformat(now).replace(tzinfo=PARIS)
    assert hours.work_past_closing(at, length, False, "The restore") == says


@pytest.mark.parametrize(
    ("text", "line"), [("", ""), (" \n\t", ""), ("...", ""), ("-", ""), (" a\nb ", "a b")]
)
def test_a_reason_is_a_text(text: str, line: str) -> None:
    assert hours.real_reason(text) == line
