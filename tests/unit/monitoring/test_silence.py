"""A server that silently stops is found within a working day (C9), whenever that is."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

import holidays
from ansible_collections.prosecours.backup.plugins.plugin_utils.contract.model import Schedule
from ansible_collections.prosecours.backup.plugins.plugin_utils.monitoring.findings import (
    Limits,
    judge,
)
from ansible_collections.prosecours.backup.plugins.plugin_utils.monitoring.memory import Memory
from hypothesis import given
from hypothesis import strategies as st

from .fleet import HOST, HOSTS, PARIS, client, server, status

OPENS, CLOSES = time(8, 30), time(18, 0)
PUBLIC = holidays.country_holidays("FR", years=range(2026, 2030))
DAY = timedelta(days=1)
RUN = timedelta(hours=1)  # between two runs of the timer

days = st.dates(date(2026, 6, 1), date(2028, 12, 31))
starts = st.builds("{:02d}:{:02d}".format, st.integers(0, 23), st.integers(0, 59))


def works(day: date) -> bool:
    return day.weekday() < 5 and day not in PUBLIC


def runs_after(moment: datetime) -> list[datetime]:
    """The runs of an hourly timer in the office hours of the next working days."""
    found: list[datetime] = []
    day = moment.date()
    while len(found) < 40:
        at = datetime.combine(day, OPENS, PARIS)
        while works(day) and at.time() <= CLOSES and at.date() == day:
            found += [at] if at >= moment else []
            at += RUN
        day += DAY
    return found


def office_hours(begin: datetime, end: datetime) -> timedelta:
    """How long it is open between two moments."""
    total = timedelta()
    day = begin.date()
    while day <= end.date():
        if works(day):
            opens, closes = (datetime.combine(day, at, PARIS) for at in (OPENS, CLOSES))
            total += max(timedelta(), min(closes, end) - max(opens, begin))
        day += DAY
    return total


def looked_at(starts_at: str, last: datetime, now: datetime, both: bool) -> list[str]:
    """The kinds found of a server that last backed itself up at `last`, seen by one side or by both."""
    host = replace(HOSTS[HOST], schedule=Schedule(starts_at, 0))
    recent = now.isoformat()
    repository = status(
        server__last=last.isoformat(),
        server__last_any=last.isoformat(),
        retention__at=recent,
        check__at=recent,
        drill__at=recent,
    )
    facts = server(status__start=last.isoformat(), status__end=last.isoformat())
    of = replace(client(facts, repository if both else None), hosts={HOST: host})
    return [finding.kind for finding in judge(of, Memory.empty(), Limits(), now)]


def backed_up(day: date, starts_at: str) -> datetime:
    return datetime.combine(day, time.fromisoformat(starts_at), PARIS) + timedelta(seconds=5)


@given(day=days, starts_at=starts, both=st.booleans())
def test_it_is_found_within_a_working_day(day: date, starts_at: str, both: bool) -> None:
    last = backed_up(day, starts_at)
    due = backed_up(day + DAY, starts_at)
    for now in runs_after(due):
        if "silent" in looked_at(starts_at, last, now, both):
            assert office_hours(due, now) <= timedelta(hours=9, minutes=30)
            return
    raise AssertionError("never found")


@given(day=days, starts_at=starts, hours=st.integers(0, 23), both=st.booleans())
def test_a_server_that_backs_itself_up_every_day_is_never_called_silent(
    day: date, starts_at: str, hours: int, both: bool
) -> None:
    """At any hour after its last backup and before the next one is due, also over both clock changes."""
    last = backed_up(day, starts_at)
    now = (last.astimezone(UTC) + timedelta(hours=hours)).astimezone(PARIS)
    assert looked_at(starts_at, last, now, both) == []
