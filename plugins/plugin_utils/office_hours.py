"""Office hours (C5, C8, C9): 08:30 to 18:00 in Europe/Paris, Monday to Friday, without public holidays.

The calendar of France is that of the library `holidays`. In Alsace and Moselle the local law of 1892 adds
Good Friday and 26 December; a client there has `prosecours_alsace_moselle: true`. Every time that is taken
has a time zone, every time that is given is in Europe/Paris. 08:30 is open, 18:00 is closed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from functools import cache
from typing import NamedTuple

from .clock import PARIS
from .libraries import from_pypi
from .wording import show_day

with from_pypi():
    from holidays import HolidayBase, country_holidays


OPENS, CLOSES = time(8, 30), time(18)

NAMED = 5
"""So many clients are named in a sentence; the others are counted."""


class Interval(NamedTuple):
    """The office hours of one day."""

    opens: datetime
    closes: datetime


class Closed(NamedTuple):
    """Why it is closed now, in words that follow "today is" or the like, and when it opens."""

    why: str
    opens: datetime


class Overrun(NamedTuple):
    """Work that would end after the office hours in which it begins."""

    ends: datetime
    closes: datetime


@cache
def _calendar(alsace_moselle: bool) -> HolidayBase:
    # The library has Alsace (6AE) and Moselle (57) apart, with the same two days more. It computes a year
    # when it is first asked for one.
    return country_holidays("FR", subdiv="6AE" if alsace_moselle else None, language="fr")


def holiday(day: date, alsace_moselle: bool = False) -> str | None:
    """The French name of the public holiday that this day is, or None."""
    name: str | None = _calendar(alsace_moselle).get(day)
    return name


def interval(day: date, alsace_moselle: bool = False) -> Interval | None:
    """The office hours of a day, None if it has none."""
    if day.weekday() >= 5 or holiday(day, alsace_moselle):
        return None
    return Interval(datetime.combine(day, OPENS, PARIS), datetime.combine(day, CLOSES, PARIS))


def closes_at(now: datetime, alsace_moselle: bool = False) -> datetime | None:
    """The end of the office hours in which `now` lies, None outside of them.

    Raises ValueError for a time without time zone, like all that follow.
    """
    now = _in_paris(now)
    hours = interval(now.date(), alsace_moselle)
    return hours.closes if hours and hours.opens <= now < hours.closes else None


def next_opening(now: datetime, alsace_moselle: bool = False) -> datetime:
    """The first opening after `now`; also when it is open now."""
    now = _in_paris(now)
    day = now.date()
    while True:
        hours = interval(day, alsace_moselle)
        if hours and hours.opens > now:
            return hours.opens
        day += timedelta(days=1)


def closed(now: datetime, alsace_moselle: bool = False) -> Closed | None:
    """Why it is closed at `now` and when it opens; None when it is open."""
    now = _in_paris(now)
    hours = interval(now.date(), alsace_moselle)
    if hours is None:
        name = holiday(now.date(), alsace_moselle)
        why = (
            f"{show_day(now, 'd MMMM')} is a public holiday ({name})"
            if name
            else f"it is {show_day(now, 'EEEE')}"
        )
    elif now < hours.opens or now >= hours.closes:
        why = f"it is {now:%H:%M} in Paris"
    else:
        return None
    return Closed(why, next_opening(now, alsace_moselle))


def overrun(now: datetime, hours: float, alsace_moselle: bool = False) -> Overrun | None:
    """Work of so many hours that begins now, in office hours, and would end after them; else None."""
    closes = closes_at(now, alsace_moselle)
    # In seconds of real time: added to a time in Paris, a timedelta would pass over a change of the clock.
    ends = datetime.fromtimestamp(now.timestamp() + hours * 3600, PARIS)
    return Overrun(ends, closes) if closes and ends > closes else None


def refusal(now: datetime, clients: Mapping[str, bool]) -> tuple[dict[str, Closed], str]:
    """The clients (name -> Alsace-Moselle?) for which it is closed now, and the sentence that says so.

    Each is judged by its own calendar. With none of them closed the sentence is empty.
    """
    shut = {name: found for name, special in clients.items() if (found := closed(now, special))}
    by_reason: dict[Closed, list[str]] = {}
    for name, found in shut.items():
        by_reason.setdefault(found, []).append(name)
    parts = [
        f"{found.why}; the next opening{_of(names, len(clients))} is {moment(found.opens)}"
        for found, names in by_reason.items()
    ]
    return shut, f"Outside office hours: {', and '.join(parts)}." if parts else ""


def work_past_closing(now: datetime, hours: float, alsace_moselle: bool, what: str) -> str:
    """The sentence that says that `what`, which takes so many hours from now on, would run past the office
    hours of a client; empty when it would not, or when it is closed already.
    """
    past = overrun(now, hours, alsace_moselle)
    if not past:
        return ""
    same_day = past.ends.date() == past.closes.date()
    ends = f"{past.ends:%H:%M}" if same_day else moment(past.ends)
    return f"{what} would run until about {ends}, past the end of office hours at {past.closes:%H:%M}."


def real_reason(text: str) -> str:
    """The reason on one line; empty when it has no letter, and so is none."""
    line = " ".join(text.split())
    return line if any(character.isalpha() for character in line) else ""


def moment(at: datetime) -> str:
    """A time in English words: Tuesday 24 November 2026 at 08:30."""
    at = at.astimezone(PARIS)
    return f"{show_day(at, 'EEEE d MMMM y')} at {at:%H:%M}"


def _of(names: Sequence[str], of_all: int) -> str:
    """ " for A, B and 3 more", or nothing when it is all of several."""
    if len(names) == of_all:
        return ""
    return f" for {_listed(names)}"


def _listed(names: Iterable[str]) -> str:
    named = list(names)
    rest = len(named) - NAMED
    return ", ".join(named[:NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _in_paris(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError("a time without time zone has no office hours")
    return at.astimezone(PARIS)
