"""French documents for clients and technicians: a Jinja2 template becomes HTML, and HTML becomes PDF.

A document is one file. Its templates name no script, font or picture of elsewhere, a browser is told to load
none, and WeasyPrint is refused every address; so it reads the same from a mail, a USB stick or an archive.
Instants are shown in Europe/Paris, sizes in the contract's unit (Go of 10⁹ bytes).
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import jinja2

PARIS = ZoneInfo("Europe/Paris")
TEMPLATES = Path(__file__).parent / "document_templates"

_DAYS = ("lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche")
_MONTHS = (
    *("janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août"),
    *("septembre", "octobre", "novembre", "décembre"),
)
# French sets no-break spaces inside numbers (narrow) and before units.
_THOUSANDS = "\N{NARROW NO-BREAK SPACE}"
_UNIT = "\N{NO-BREAK SPACE}"
_SIZES = ((10**12, "To"), (10**9, "Go"), (10**6, "Mo"), (10**3, "Ko"))


class DocumentError(Exception):
    """A document that could not be made: one sentence that says which, why and what to do."""


# -- filters: what a French reader expects --------------------------------------------------------------


def local(moment: str | datetime) -> datetime:
    """An instant in Europe/Paris, from ISO 8601 or a datetime; one without an offset is taken as UTC."""
    instant = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).astimezone(PARIS)


def _day(value: str | date | datetime) -> date:
    """The calendar day: of an instant the one in Europe/Paris, of a day itself."""
    if isinstance(value, str):
        value = date.fromisoformat(value) if len(value) == len("2026-11-23") else local(value)
    return local(value).date() if isinstance(value, datetime) else value


def month(value: str | date | datetime) -> str:
    """novembre 2026"""
    day = _day(value)
    return f"{_MONTHS[day.month - 1]}{_UNIT}{day.year}"


def day(value: str | date | datetime) -> str:
    """23 novembre 2026; the first of a month is 1er."""
    day = _day(value)
    return f"{'1er' if day.day == 1 else day.day}{_UNIT}{month(day)}"


def weekday(value: str | date | datetime) -> str:
    """lundi 23 novembre 2026"""
    return f"{_DAYS[_day(value).weekday()]} {day(value)}"


def short_day(value: str | date | datetime) -> str:
    """23/11/2026, for tables"""
    return _day(value).strftime("%d/%m/%Y")


def clock(value: str | datetime) -> str:
    """22 h 04"""
    return f"{local(value):%H}{_UNIT}h{_UNIT}{local(value):%M}"


def moment(value: str | datetime) -> str:
    """lundi 23 novembre 2026 à 22 h 04"""
    return f"{weekday(value)} à {clock(value)}"


def short_moment(value: str | datetime) -> str:
    """23/11/2026 22 h 04, for tables"""
    return f"{short_day(value)} {clock(value)}"


def number(value: float, decimals: int = 0) -> str:
    """12 345,6: a decimal comma, thousands apart."""
    return f"{value:,.{decimals}f}".replace(",", _THOUSANDS).replace(".", ",")


def size(value: float) -> str:
    """12,3 Go: bytes in the largest unit that they fill, decimal as the contract's Go."""
    for position, (unit, name) in enumerate(_SIZES):
        # What would be shown as 1 000 of the next smaller unit is 1 of this one.
        if abs(value) >= unit * (0.9995 if position < len(_SIZES) - 1 else 1):
            amount = value / unit
            return f"{number(amount, 0 if abs(amount) >= 99.95 else 1)}{_UNIT}{name}"
    return f"{number(value)}{_UNIT}o"


def duration(seconds: float) -> str:
    """45 s, 12 min, 3 h 05 min, 2 j 4 h: the two largest units, rounded to the smaller."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}{_UNIT}s"
    minutes = round(whole / 60)
    if minutes < 60:
        return f"{minutes}{_UNIT}min"
    hours, rest = divmod(minutes, 60)
    if hours < 24:
        return f"{hours}{_UNIT}h" + (f"{_UNIT}{rest:02}{_UNIT}min" if rest else "")
    days, hours = divmod(round(minutes / 60), 24)
    return f"{days}{_UNIT}j" + (f"{_UNIT}{hours}{_UNIT}h" if hours else "")


def count(value: int, one: str, many: str | None = None) -> str:
    """1 fichier, 2 fichiers: 0 and 1 are singular in French; `many` is `one` and an s unless given."""
    return f"{number(value)}{_UNIT}{one if abs(value) < 2 else many or one + 's'}"


FILTERS = {
    function.__name__: function
    for function in (
        *(local, month, day, weekday, short_day, clock, moment, short_moment),
        *(number, size, duration, count),
    )
}


# -- documents ------------------------------------------------------------------------------------------


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=jinja2.select_autoescape(enabled_extensions=("html.j2",)),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(FILTERS)
    return environment


_ENVIRONMENT = _environment()


def render(template: str, **context: Any) -> str:
    """The text of a file of `document_templates`, for example `render("record.html.j2", title=...)`.

    `*.html.j2` is escaped, `*.txt.j2` (the body of a mail) is not. Every HTML page extends `base.html.j2`,
    which wants `title` and says what else a page may set. Raises jinja2.UndefinedError for a value that is
    not given: that is a mistake of the caller, never of a user.
    """
    return _ENVIRONMENT.get_template(template).render(**context)


def pdf(html: str) -> bytes:
    """A document as PDF, tagged for screen readers. The same HTML gives the same bytes.

    Raises DocumentError when this machine lacks a library, or when the page wants to load something.
    """
    try:
        import weasyprint  # late: a second of work, and the system's Pango, that HTML alone does not need
        from weasyprint.urls import FatalURLFetchingError, URLFetcher
    except OSError as error:
        raise DocumentError(
            f"No PDF can be made on this machine, a library is missing ({error}): install libpango-1.0-0, "
            "libpangoft2-1.0-0 and libharfbuzz-subset0, or run tools/setup packages."
        ) from error
    closed = URLFetcher(allowed_protocols=("data",), fail_on_errors=True)
    try:
        made: bytes = weasyprint.HTML(string=html, url_fetcher=closed).write_pdf(
            pdf_tags=True, pdf_identifier=b"prosecours.backup"
        )
    except FatalURLFetchingError as error:
        raise DocumentError(
            f"A document is one file and loads nothing: {error}. Put it into the page."
        ) from error
    return made


def write_whole(path: str | Path, content: str | bytes) -> Path:
    """Write a file that others read whole or not at all, mode 0640; a missing folder is made.

    Raises DocumentError when the folder cannot be written.
    """
    target = Path(path)
    data = content.encode() if isinstance(content, str) else content
    temporary = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            os.fchmod(file.fileno(), 0o640)
            file.flush()
            os.fsync(file.fileno())  # else a power cut may leave the new name with nothing in it
        Path(temporary).replace(target)
    except OSError as error:
        if temporary:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
        raise DocumentError(
            f"{target} cannot be written: {error.strerror}. "
            "Name another folder, or make room and see to the rights there."
        ) from error
    return target


def write_html(html: str, path: str | Path) -> Path:
    """Raises DocumentError when the folder cannot be written."""
    return write_whole(path, html)


def write_pdf(html: str, path: str | Path) -> Path:
    """Raises DocumentError when the folder cannot be written or this machine cannot make PDFs."""
    return write_whole(path, pdf(html))
