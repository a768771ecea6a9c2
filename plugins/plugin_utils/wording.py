"""Words for people, in English for technicians and in French for clients: sentences, sizes, spans, dates.

What a language does by itself (names of days and months, marks in numbers, plurals) is CLDR's, by Babel;
nothing here follows the locale of the process.

Sizes are decimal: 1 GB is 10⁹ bytes, the contract's "Go" (Annexe 1). Explorer counts in 1024s and calls that
"Go" as well, so who may compare with it reads both (`show_both_sizes`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from difflib import get_close_matches
from typing import Any

from .clock import local
from .libraries import from_pypi

with from_pypi():
    from babel import Locale
    from babel.dates import format_date
    from babel.numbers import format_decimal


ENGLISH, FRENCH = "en_GB", "fr"  # by name: this file is loaded where Babel is missing, too
MB, GB = 10**6, 10**9

# CLDR's names of these units have spaces of two kinds in French, and "byte" in full in English.
_UNITS = {
    (ENGLISH, 1000): ("B", "kB", "MB", "GB", "TB"),
    (FRENCH, 1000): ("o", "ko", "Mo", "Go", "To"),
    (ENGLISH, 1024): ("B", "KiB", "MiB", "GiB", "TiB"),
    (FRENCH, 1024): ("o", "Kio", "Mio", "Gio", "Tio"),
}
_SPACES = {ENGLISH: " ", FRENCH: "\N{NO-BREAK SPACE}"}

# -- names ----------------------------------------------------------------------------------------------


def nearest(name: str, known: Iterable[str], likeness: float = 0.6) -> str | None:
    """The known name that was probably meant, at least so much alike (0 to 1); case does not count."""
    plain = {_plain(candidate): candidate for candidate in known}
    found = get_close_matches(_plain(name), list(plain), n=1, cutoff=likeness)
    return plain[found[0]] if found else None


def one_of(name: str, known: Sequence[str]) -> str:
    """The remedy for an unknown name: the nearest one, or all of them."""
    meant = nearest(name, known)
    return f'Did you mean "{meant}"?' if meant else f"Write one of: {', '.join(known)}"


def _plain(name: str) -> str:
    return name.lower().replace("-", "_").replace(" ", "_")


# -- sentences ------------------------------------------------------------------------------------------


def as_sentence(text: str) -> str:
    """With a capital and an end; a path or an address at the beginning keeps its own spelling."""
    first = text.split(" ", 1)[0]
    return ended(text if "\\" in first or "/" in first else text[:1].upper() + text[1:])


def ended(text: str) -> str:
    """With a full stop, unless it has an end of its own."""
    return text if text.endswith((".", "?", "!")) else f"{text}."


def typographic(data: Any) -> Any:
    """JSON types, their French texts as print has them: apostrophes, and no line that begins with a colon. As
    the Imprimerie nationale has it, the space before ; ! and ? is narrow."""
    if isinstance(data, dict):
        return {name: typographic(value) for name, value in data.items()}
    if isinstance(data, list):
        return [typographic(value) for value in data]
    if isinstance(data, str):
        data = re.sub(r" (?=[;!?])", "\N{NARROW NO-BREAK SPACE}", data)
        data = re.sub(r" (?=[:»%])|(?<=«) ", "\N{NO-BREAK SPACE}", data)
        return data.replace("'", "\N{RIGHT SINGLE QUOTATION MARK}")
    return data


def plural(number: int, one: str, many: str = "") -> str:
    """1 file, 2 files; `many` is `one` and an s unless given."""
    return f"{number} {one if is_one(number, ENGLISH) else many or one + 's'}"


def is_one(number: int, language: str) -> bool:
    """Whether so many are singular: in English 1, in French 0 and 1."""
    return Locale.parse(language).plural_form(abs(number)) == "one"


# -- numbers --------------------------------------------------------------------------------------------


def show_number(value: float, decimals: int = 0, language: str = ENGLISH) -> str:
    """12,345.6 and 12 345,6 (the space is narrow, and does not break)."""
    return format_decimal(value, f"#,##0.{'0' * decimals}".rstrip("."), locale=language)


def show_size(value: float, language: str = ENGLISH, base: int = 1000) -> str:
    """12.3 GB, 12,3 Go, 123 GB: bytes in the largest unit that they fill; 11.5 GiB by the base 1024."""
    power = size_power(value, base)
    amount = value / base**power
    decimals = 1 if power and abs(amount) < 99.95 else 0
    return show_number(amount, decimals, language) + _SPACES[language] + size_unit(power, language, base)


def show_both_sizes(value: float, language: str = ENGLISH) -> str:
    """12,3 Go (11,5 Gio): the contract's number and Explorer's; one where they are the same."""
    decimal = show_size(value, language)
    return decimal if value < 1000 else f"{decimal} ({show_size(value, language, 1024)})"


def rough_size(value: float) -> str:
    """30 GB, 1.25 GB, 123 GB: three significant digits, no zeros behind them."""
    power = size_power(value)
    if not power:
        return f"{value:.0f} {size_unit(0)}"
    return f"{format_decimal(value / 1000**power, '@##', locale=ENGLISH)} {size_unit(power)}"


def size_power(value: float, base: int = 1000) -> int:
    """The power of the base that is the unit; what would be shown as 1000 of a unit is 1 of the next one."""
    return next(
        (power for power in (4, 3, 2, 1) if abs(value) >= base**power * (0.9995 if power > 1 else 1)), 0
    )


def size_unit(power: int, language: str = ENGLISH, base: int = 1000) -> str:
    """The name of the unit of the base to that power bytes."""
    return _UNITS[language, base][power]


def percent(share: float) -> str:
    return f"{share * 100:.0f} %"


# -- time -----------------------------------------------------------------------------------------------


def show_seconds(seconds: float) -> str:
    """A length of time that nobody takes for exact."""
    if seconds < 60:
        return "under a minute"
    if seconds < 5400:
        return f"about {seconds / 60:.0f} min"
    return f"about {seconds / 3600:.0f} h"


def show_moment(moment: str | datetime) -> str:
    """An instant in Europe/Paris as tables have it: 2026-11-24 08:30."""
    return f"{local(moment):%Y-%m-%d %H:%M}"


def show_day(day: date, pattern: str, language: str = ENGLISH) -> str:
    """A day by a pattern of CLDR: "EEEE d MMMM y" is Tuesday 24 November 2026."""
    return format_date(day, pattern, locale=language)
