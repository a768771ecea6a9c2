"""What a French reader expects of numbers, sizes, spans and dates: the filters of all templates.

Instants are shown in Europe/Paris. No-break spaces stand before units and inside dates, narrow ones between
the thousands of a number.
"""

from __future__ import annotations

from datetime import date, datetime

from ..clock import local
from ..wording import (
    FRENCH,
    GB,
    is_one,
    show_both_sizes,
    show_day,
    show_number,
    show_size,
    size_power,
    size_unit,
)

_SPACE = "\N{NO-BREAK SPACE}"


def _day(value: str | date | datetime) -> date:
    """The calendar day: of an instant the one in Europe/Paris, of a day itself."""
    if isinstance(value, str):
        value = date.fromisoformat(value) if len(value) == len("2026-11-23") else local(value)
    return local(value).date() if isinstance(value, datetime) else value


def _words(day: date, pattern: str) -> str:
    return show_day(day, pattern, FRENCH).replace(" ", _SPACE)


def month(value: str | date | datetime) -> str:
    """novembre 2026"""
    return _words(_day(value), "MMMM y")


def day(value: str | date | datetime) -> str:
    """23 novembre 2026; the first of a month is 1er."""
    day = _day(value)
    return f"{'1er' if day.day == 1 else day.day}{_SPACE}{month(day)}"


def weekday(value: str | date | datetime) -> str:
    """lundi 23 novembre 2026"""
    return f"{_words(_day(value), 'EEEE')} {day(value)}"


def short_day(value: str | date | datetime) -> str:
    """23/11/2026, for tables"""
    return _words(_day(value), "dd/MM/y")


def day_of_month(day: date) -> str:
    """23 nov., for plots"""
    return _words(day, "d MMM")


def month_of_year(day: date) -> str:
    """nov., and janv. 2027, for plots"""
    return _words(day, "MMM y" if day.month == 1 else "MMM")


def clock(value: str | datetime) -> str:
    """22 h 04"""
    return f"{local(value):%H}{_SPACE}h{_SPACE}{local(value):%M}"


def moment(value: str | datetime) -> str:
    """lundi 23 novembre 2026 à 22 h 04"""
    return f"{weekday(value)} à {clock(value)}"


def short_moment(value: str | datetime) -> str:
    """23/11/2026 22 h 04, for tables"""
    return f"{short_day(value)} {clock(value)}"


def number(value: float, decimals: int = 0) -> str:
    """12 345,6: a decimal comma, thousands apart."""
    return show_number(value, decimals, FRENCH)


def size(value: float) -> str:
    """12,3 Go"""
    return show_size(value, FRENCH)


def both_sizes(value: float) -> str:
    """12,3 Go (11,5 Gio), for clients: Explorer shows the second, and calls it Go."""
    return show_both_sizes(value, FRENCH)


def subscribed(gigabytes: int) -> str:
    """200 Go (186,3 Gio): whole Go, as the contract writes them"""
    return f"{number(gigabytes)}{_SPACE}Go ({show_size(gigabytes * GB, FRENCH, 1024)})"


def unit(most: float) -> tuple[float, str]:
    """(bytes, name) of the unit in which up to so many bytes read well."""
    power = size_power(most)
    return 1000.0**power, size_unit(power, FRENCH)


def duration(seconds: float) -> str:
    """45 s, 12 min, 3 h 05 min, 2 j 4 h: the two largest units, rounded to the smaller."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}{_SPACE}s"
    minutes = round(whole / 60)
    if minutes < 60:
        return f"{minutes}{_SPACE}min"
    hours, rest = divmod(minutes, 60)
    if hours < 24:
        return f"{hours}{_SPACE}h" + (f"{_SPACE}{rest:02}{_SPACE}min" if rest else "")
    days, hours = divmod(round(minutes / 60), 24)
    return f"{days}{_SPACE}j" + (f"{_SPACE}{hours}{_SPACE}h" if hours else "")


def count(value: int, one: str, many: str | None = None) -> str:
    """1 fichier, 2 fichiers: 0 and 1 are singular in French; `many` is `one` and an s unless given."""
    return f"{number(value)}{_SPACE}{one if is_one(value, FRENCH) else many or one + 's'}"


FILTERS = {
    function.__name__: function
    for function in (
        *(local, month, day, weekday, short_day, clock, moment, short_moment),
        *(number, size, both_sizes, subscribed, duration, count),
    )
}
