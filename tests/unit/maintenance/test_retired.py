"""When the repository of a server that left the inventory goes: by the calendar, and what it hangs on."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.model import LastReport, Retired
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.retired import (
    Sighting,
    announced,
    due,
    held,
    judge,
    seen,
)

SPAN = 21
FIRST = date(2026, 3, 2)
"""The first maintenance that finds the server missing."""
SEEN = "3fa2bc10" * 8
WELL = LastReport(seen=(SEEN,))


def at_noon(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC)


def goes(last: date | None, days: list[date], known: LastReport = WELL) -> tuple[date | None, list[Retired]]:
    """On which of the days of maintenance it goes, and what each told."""
    sightings: dict[str, Sighting] = {}
    told = []
    for day in days:
        sightings = seen(["sql"], sightings, day)
        told.append(judge({SEEN: at_noon(last)} if last else {}, known, sightings["sql"], SPAN))
        if due(told[-1], day):
            return day, told
    return None, told


def nights(count: int, first: date = FIRST) -> list[date]:
    return [first + timedelta(days=number) for number in range(count)]


@pytest.mark.parametrize(
    ("last", "on"),
    [
        (FIRST - timedelta(days=1), FIRST + timedelta(days=SPAN)),  # what was seen decides
        (FIRST - timedelta(days=400), FIRST + timedelta(days=SPAN)),
        (None, FIRST + timedelta(days=SPAN)),  # it never sent anything
        (FIRST + timedelta(days=5), FIRST + timedelta(days=5 + SPAN)),  # it went on sending
    ],
)
def test_it_goes_when_both_have_passed_and_each_night_tells_that_day(last: date | None, on: date) -> None:
    when, told = goes(last, nights(60))
    assert when == on
    assert {one.goes_on for one in told} == {on}


def test_a_clock_that_jumps_ahead_drops_nothing() -> None:
    """All arrivals are a year old by then: it is one more day on which the server was missing."""
    a_year_later = FIRST + timedelta(days=365)
    when, _ = goes(FIRST, [FIRST, *[a_year_later] * 100])
    assert when is None
    # Back again, and no sighting is lost or counted twice.
    when, _ = goes(FIRST, [FIRST, a_year_later, *nights(60, FIRST + timedelta(days=1))])
    assert when == FIRST + timedelta(days=SPAN)


def test_it_is_seen_so_often_and_not_only_so_long() -> None:
    """A maintenance once a week has seen it missing three times in three weeks."""
    weekly = [FIRST + timedelta(weeks=number) for number in range(SPAN + 5)]
    assert goes(FIRST, weekly)[0] == FIRST + timedelta(weeks=SPAN)


def test_a_server_that_comes_back_begins_anew() -> None:
    sightings: dict[str, Sighting] = {}
    for day in nights(SPAN):
        sightings = seen(["sql"], sightings, day)
    assert sightings["sql"].days == SPAN
    back = seen([], sightings, FIRST + timedelta(days=SPAN))
    assert back == {}
    assert seen(["sql"], back, FIRST + timedelta(days=SPAN + 1))["sql"].days == 1


@pytest.mark.parametrize(
    "known",
    [
        replace(WELL, losses={SEEN: ("half is gone",)}),
        replace(WELL, unmeasured=(SEEN,)),
        LastReport(seen=("ab" * 32,)),  # it arrived after the last maintenance
        LastReport(),  # no maintenance ever ended well
    ],
)
def test_what_nobody_has_judged_holds_it(known: LastReport) -> None:
    when, told = goes(FIRST, nights(100), known)
    assert when is None
    assert list(announced({"sql": told[-1]})) == []
    [sentence] = held({"sql": told[-1]})
    assert "3fa2bc10" in sentence
    assert "sql is in the contract no more (last backup: 2026-03-02)" in sentence


def test_what_was_begun_is_finished() -> None:
    """Its snapshots are gone by then, and what was remembered of it may be."""
    one = judge({}, LastReport(), Sighting(1, FIRST, going=True), SPAN)
    assert due(one, FIRST)
