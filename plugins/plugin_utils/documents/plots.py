"""Plots as inline SVG for documents: small, the same bytes for the same data, their text as text.

Here the places of lines and words are computed; `templates/plot.svg.j2` draws them. A plot is made for a
telephone (340 units wide) and scales. Its colours are the page's (`base.css.j2`), each written as
`var(--name, #rrggbb)`, so that a dark page has its own, and `on_paper` leaves the plain colour for programs
that know no variables. No plot speaks by colour alone: series differ in line and marker as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from itertools import pairwise
from typing import NamedTuple

from ...module_utils.maintenance.volume import Day
from ..wording import GB
from . import french
from .french import number
from .render import render

WIDTH = 340
_HEX = {
    "ink": "#1b2420",
    "soft": "#53615a",
    "line": "#d5dcd8",
    "ok": "#14603f",
    "critical": "#a01717",
    "notice": "#1d4f8c",
    "warning": "#7a4a00",
    "fourth": "#6a3d8f",
}
_PAINT = {name: f"var(--{name}, {plain})" for name, plain in _HEX.items()}


class Pen(NamedTuple):
    """How a line is drawn: a name of a colour of the page, units, SVG's dash array."""

    colour: str
    width: float = 1.0
    dashes: str = ""


_GRID = Pen("line", 0.6)
_CROSS = Pen("critical", 1)
_SERIES = (
    (Pen("ok"), "m-2 0a2 2 0 1 0 4 0a2 2 0 1 0 -4 0z"),
    (Pen("notice", dashes="3.7 1.6"), "m-1.9 -1.9h3.8v3.8h-3.8z"),
    (Pen("warning", dashes="6.4 1.6 1 1.6"), "m0 -2.3l2.3 4.2h-4.6z"),
    (Pen("fourth", dashes="1 1.6"), "m0 -2.6l2.6 2.6l-2.6 2.6l-2.6 -2.6z"),
)
"""Of one server after the other: pen, and a marker around its centre."""
_LETTER = 5.6
"""The breadth of one in the legend: rather too much, as readers have fonts of their own."""


class Line(NamedTuple):
    """A path that is drawn."""

    path: str
    pen: Pen


class Shape(NamedTuple):
    """A path that is filled."""

    path: str
    colour: str


class Entry(NamedTuple):
    """A line of the legend: where it begins, and on what line its words stand."""

    x: float
    y: float
    pen: Pen
    words: str
    marker: str = ""


@dataclass(frozen=True)
class Panel:
    """An area with days from left to right and values from zero at the bottom to `most` at the top."""

    top: float
    height: float
    left: float
    width: float
    first: date
    last: date
    most: float
    unit: str = ""
    """Beside the topmost value."""
    title: str = ""
    days: Sequence[tuple[float, str]] = ()
    """What stands below: place and word."""
    lines: list[Line] = field(default_factory=list)
    shapes: list[Shape] = field(default_factory=list)
    notes: list[tuple[float, float, str, str, str]] = field(default_factory=list)
    """x, y, words, anchor, colour."""

    @property
    def bottom(self) -> float:
        return self.top + self.height

    def x(self, day: date, aside: float = 0.0) -> float:
        """The middle of a day; `aside` in days. There are 0.6 days of room beside the first and the last."""
        return self.left + self.width * ((day - self.first).days + 0.6 + aside) / (
            (self.last - self.first).days + 1.2
        )

    def y(self, value: float) -> float:
        return self.bottom - self.height * value / self.most

    def path(self, points: Iterable[tuple[date, float]]) -> str:
        """A line through these points."""
        return "M" + "L".join(_at(self.x(day), self.y(value)) for day, value in points)

    def marks(self, points: Iterable[tuple[date, float]], marker: str) -> str:
        return "".join(f"M{_at(self.x(day), self.y(value))}{marker}" for day, value in points)

    def values(self) -> list[tuple[float, str]]:
        """Round values from zero on, at most six: where their lines are, and their words."""
        step = next(
            step
            for power in range(-9, 16)
            for factor in (1, 2, 2.5, 5)
            if self.most <= 5.5 * (step := factor * 10.0**power)
        )
        ticks = [step * position for position in range(int(self.most / step + 1e-9) + 1)]
        # As many decimals as tell the ticks apart: 2,5 is not to be read as 2.
        decimals = next((count for count in range(9) if abs(round(step, count) - step) < step / 1e6), 9)
        words = [number(tick, decimals) for tick in ticks]
        words[-1] = f"{words[-1]}\N{NO-BREAK SPACE}{self.unit}".strip()
        return [(self.y(tick), word) for tick, word in zip(ticks, words, strict=True)]


@dataclass(frozen=True)
class Backup:
    """One backup as it is plotted."""

    day: date
    seconds: float
    added: int
    """Bytes that were new to the repository."""
    complete: bool


def volume(
    name: str,
    history: Sequence[Day],
    full_on: date | None,
    thresholds: Sequence[int],
    *,
    stored: bool,
    title: str,
    description: str,
) -> str:
    """The newest versions, against the subscribed volume and its thresholds (C15).

    `stored`: the bytes on disk are shown too.
    `history`: the `volume.history` of a status, by date, not empty. `full_on`: the day of the forecast.
    `name` is unique in its page; `title` and `description` are for those who hear the page.
    """
    days = [entry.date for entry in history]
    subscribed = [entry.subscribed_gb * GB for entry in history]
    newest = [entry.newest for entry in history]
    top = max(*newest, *subscribed, *(entry.stored for entry in history if stored))
    bytes_, unit = french.unit(top)
    # Past the last day there is room for the forecast, or for the names of the thresholds alone.
    last, span = days[-1], max((days[-1] - days[0]).days, 14)
    end = last + timedelta(days=max(7, round(span * 0.35)) if full_on else max(2, round(span * 0.04)))
    panel = Panel(32, 146, 39, 267, days[0], end, top * 1.07 / bytes_, unit)
    panel = _with_days(panel)

    for threshold in thresholds:
        levels = [value * threshold / 100 / bytes_ for value in subscribed]
        whole = threshold == 100
        pen = Pen("critical", 1.1) if whole else Pen("critical", 0.7, "0.7 1.4")
        panel.lines.append(Line(_steps(panel, [*days, end], [*levels, levels[-1]]), pen))
        lower = -1.5 if whole else 9 if threshold > 90 else 3.5
        words = f"{threshold}\N{NO-BREAK SPACE}%"
        panel.notes.append((panel.x(end) + 3, panel.y(levels[-1]) + lower, words, "start", "critical"))
    legend: list[tuple[Pen, str]] = []
    if stored:
        pen = Pen("soft", 1, "3.7 1.6")
        occupied = [entry.stored / bytes_ for entry in history]
        panel.lines.append(Line(panel.path(zip(days, occupied, strict=True)), pen))
        legend.append((pen, "occupé sur disque"))
    pen, saved = Pen("ok", 1.6), [value / bytes_ for value in newest]
    legend.append((pen, "fichiers sauvegardés"))
    if len(days) == 1:  # one point makes no line
        panel.shapes.append(Shape(panel.marks([(days[0], saved[0])], _SERIES[0][1]), "ok"))
    else:
        panel.lines.append(Line(panel.path(zip(days, saved, strict=True)), pen))
    if full_on and full_on > last:
        share = min(1.0, (end - last).days / (full_on - last).days)
        goal = saved[-1] + (subscribed[-1] / bytes_ - saved[-1]) * share
        pen = Pen("ok", 1.6, "3.2 3.2")
        ends = last + (full_on - last) * share
        panel.lines.append(Line(panel.path([(last, saved[-1]), (ends, goal)]), pen))
        legend.append((pen, "prévision"))
    return _drawn(name, title, description, 200, [panel], _in_a_row(legend))


def backups(
    name: str,
    servers: Mapping[str, Sequence[Backup]],
    first: date,
    last: date,
    *,
    title: str,
    description: str,
) -> str:
    """How long the backups of each server took, and what they added, from `first` to `last`.

    A backup that is not complete is a cross. `servers` holds at least one backup.
    """
    everything = [backup for of_server in servers.values() for backup in of_server]
    longest = max(backup.seconds for backup in everything)
    seconds, time_name = _time_unit(longest)
    bytes_, size_name = french.unit(max(backup.added for backup in everything))
    highest = max(
        sum(backup.added for backup in everything if backup.day == day)
        for day in {backup.day for backup in everything}
    )
    legend = _in_columns(list(servers)) if len(servers) > 1 else []
    top = 26 + (legend[-1].y if legend else 0)
    above = Panel(
        top, 76, 42, 294, first, last, (longest / seconds or 5) * 1.05, title=f"Durée, en {time_name}"
    )
    below = Panel(
        *(top + 98, 80, 42, 294, first, last, (highest / bytes_ or 5) * 1.05),
        title=f"Données ajoutées, en {size_name}",
    )
    below = _with_days(below)
    under: dict[date, float] = {}
    for position, of_server in enumerate(servers.values()):
        pen, marker = _SERIES[position % len(_SERIES)]
        points = [(backup.day, backup.seconds / seconds) for backup in of_server]
        if points:
            above.lines.append(Line(above.path(points), pen))
        marked = points[:: max(1, len(points) // 8)]
        above.shapes.append(Shape(above.marks(marked, marker), pen.colour))
        partial = [point for point, backup in zip(points, of_server, strict=True) if not backup.complete]
        above.lines.append(Line(above.marks(partial, "m-3 -3l6 6m0 -6l-6 6"), _CROSS))
        below.shapes.append(Shape(_bars(below, of_server, bytes_, under), pen.colour))
    return _drawn(name, title, description, below.bottom + 20, [above, below], legend)


def on_paper(page: str) -> str:
    """The page with plain colours in its plots, for WeasyPrint, whose SVG knows no variables."""
    return re.sub(r"var\(--\w+, (#[0-9a-f]{6})\)", r"\1", page)


# -- parts ----------------------------------------------------------------------------------------------


def _drawn(
    name: str, title: str, description: str, height: float, panels: list[Panel], legend: Sequence[Entry]
) -> str:
    return " ".join(
        render(
            "plot.svg.j2",
            **{"name": name, "title": title, "description": description},
            **{"width": WIDTH, "height": round(height), "panels": panels, "legend": legend},
            **{"paint": _PAINT, "grid": _GRID},
        ).split("\n")
    )


def _at(x: float, y: float) -> str:
    return f"{x:.2f} {y:.2f}"


def _steps(panel: Panel, days: Sequence[date], values: Sequence[float]) -> str:
    """A value holds until the next day that has one."""
    path = f"M{_at(panel.x(days[0]), panel.y(values[0]))}"
    for (_unused, before), (day, value) in pairwise(zip(days, values, strict=True)):
        path += f"H{panel.x(day):.2f}" + (f"V{panel.y(value):.2f}" if value != before else "")
    return path


def _bars(panel: Panel, backups: Sequence[Backup], unit: float, under: dict[date, float]) -> str:
    """A bar for each day upon what `under` holds, which grows."""
    path = ""
    for backup in backups:
        low = under.get(backup.day, 0.0)
        high = under[backup.day] = low + backup.added / unit
        left, right = panel.x(backup.day, -0.36), panel.x(backup.day, 0.36)
        path += f"M{_at(left, panel.y(low))}V{panel.y(high):.2f}H{right:.2f}V{panel.y(low):.2f}z"
    return path


def _in_a_row(entries: Sequence[tuple[Pen, str]]) -> list[Entry]:
    """The legend of a few lines: as close as their words let them be."""
    x, placed = 2.0, []
    for pen, words in entries:
        placed.append(Entry(x, 14, pen, words))
        x += 20 + 8 + len(words) * 5.3  # these words are known: they fit
    return placed


def _in_columns(names: Sequence[str]) -> list[Entry]:
    """The legend of the servers, in as many columns as the longest name leaves room for."""
    columns = max(1, min(3, int((WIDTH - 2) // (30 + _LETTER * max(map(len, names))))))
    breadth = (WIDTH - 2) / columns
    placed = []
    for position, words in enumerate(names):
        row, column = divmod(position, columns)
        pen, marker = _SERIES[position % len(_SERIES)]
        x, y = 2 + column * breadth, 10 + 14.0 * row
        placed.append(Entry(x, y, pen, words, f"M{_at(x + 8, y - 3.5)}{marker}"))
    return placed


def _time_unit(longest: float) -> tuple[int, str]:
    """(seconds, name) of the unit in which so many seconds read well."""
    if longest < 120:
        return 1, "secondes"
    return (60, "minutes") if longest < 7200 else (3600, "heures")


def _with_days(panel: Panel) -> Panel:
    """Mondays where the span is short, else the first of months; at most six, none at an edge."""
    first, last = panel.first, panel.last
    span = (last - first).days
    edge = timedelta(days=span * 0.05)
    if span <= 75:
        days = [first + timedelta(days=offset) for offset in range(-first.weekday() % 7, span + 1, 7)]
    else:
        days = list(_months(first, last))
    days = days[-1 :: -max(1, -(-len(days) // 6))]
    shown = [day for day in days if first + edge <= day <= last - edge]
    words = french.day_of_month if span <= 75 else french.month_of_year
    return replace(panel, days=[(panel.x(day), words(day)) for day in shown])


def _months(first: date, last: date) -> Iterator[date]:
    month = first.replace(day=1)
    while month <= last:
        if month >= first:
            yield month
        month = (month + timedelta(days=31)).replace(day=1)
