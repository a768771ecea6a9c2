"""Plots as inline SVG for documents: small, the same bytes for the same data, their text as text.

A plot is drawn for a telephone (340 units wide) and scales. Its colours are the page's (`base.css.j2`), each
written as `var(--name, #rrggbb)`, so that a dark page has its own, and `on_paper` leaves the plain colour for
programs that know no variables. No plot speaks by colour alone: series differ in line and marker as well.
"""

from __future__ import annotations

import html
import io
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from .documents import number, size

WIDTH = 340

_INK, _SOFT, _LINE, _OK, _CRITICAL = "#1b2420", "#53615a", "#d5dcd8", "#14603f", "#a01717"
#: (colour, marker, dashes) of one server after the other.
_SERIES = (
    (_OK, "o", "-"),
    ("#1d4f8c", "s", "--"),
    ("#7a4a00", "^", "-."),
    ("#6a3d8f", "D", ":"),
)
_VARIABLES = {
    _INK: "--ink",
    _SOFT: "--soft",
    _LINE: "--line",
    _OK: "--ok",
    _CRITICAL: "--critical",
    "#1d4f8c": "--notice",
    "#7a4a00": "--warning",
    "#6a3d8f": "--fourth",
    "#ffffff": "--paper",
}
_STYLE: Any = {
    "svg.fonttype": "none",  # text stays text: searchable, spoken, in the reader's font
    "font.size": 10,
    "axes.edgecolor": _LINE,
    "axes.labelcolor": _SOFT,
    "axes.titlecolor": _INK,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": _LINE,
    "grid.linewidth": 0.6,
    "text.color": _INK,
    "xtick.color": _SOFT,
    "ytick.color": _SOFT,
    "xtick.major.size": 0,  # ticks are a <use> element each; the grid says as much
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 9.5,
    "lines.linewidth": 1.6,
    "lines.markersize": 3,
}
_MONTHS = ["janv.", "févr.", "mars", "avr.", "mai", "juin", "juil.", "août", "sept.", "oct.", "nov.", "déc."]
_SVG = "http://www.w3.org/2000/svg"
_XLINK = "{http://www.w3.org/1999/xlink}href"


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
    history: Sequence[Mapping[str, Any]],
    full_on: str | None,
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
    days = [date.fromisoformat(entry["date"]) for entry in history]
    subscribed = [entry["subscribed_gb"] * 10**9 for entry in history]
    newest = [entry["newest"] for entry in history]
    top = max(*newest, *subscribed, *(entry["stored"] for entry in history if stored))
    unit, unit_name = _unit(top)
    with mpl.rc_context({**_STYLE, "svg.hashsalt": name}):
        figure = Figure(figsize=(WIDTH / 72, 200 / 72))
        axes = figure.add_axes((0.115, 0.11, 0.785, 0.73))
        # Past the last day there is room for the forecast, or for the names of the thresholds alone.
        last, span = days[-1], max((days[-1] - days[0]).days, 14)
        end = last + timedelta(days=max(7, round(span * 0.35)) if full_on else max(2, round(span * 0.04)))
        reach = [*days, end]
        for threshold in thresholds:
            level = [value * threshold / 100 / unit for value in (*subscribed, subscribed[-1])]
            whole = threshold == 100
            axes.step(
                _numbers(reach),
                level,
                where="post",
                color=_CRITICAL,
                linewidth=1.1 if whole else 0.7,
                linestyle="-" if whole else (0, (1, 2)),
                clip_on=False,
            )
            axes.annotate(
                f"{threshold}\N{NO-BREAK SPACE}%",
                (end.toordinal(), level[-1]),
                xytext=(3, 0),
                textcoords="offset points",
                va="bottom" if whole else "top" if threshold > 90 else "center",
                color=_CRITICAL,
                fontsize=9.5,
                annotation_clip=False,
            )
        if stored:
            axes.plot(
                _numbers(days),
                [entry["stored"] / unit for entry in history],
                color=_SOFT,
                linewidth=1,
                linestyle="--",
                clip_on=False,
                label="occupé sur disque",
            )
        axes.plot(
            _numbers(days),
            [value / unit for value in newest],
            color=_OK,
            clip_on=False,
            marker="o" if len(days) == 1 else "",  # one point makes no line
            label="fichiers sauvegardés",
        )
        if full_on and date.fromisoformat(full_on) > last:
            until = date.fromisoformat(full_on)
            share = min(1.0, (end - last).days / (until - last).days)
            axes.plot(
                _numbers([last, last + (until - last) * share]),
                [newest[-1] / unit, (newest[-1] + (subscribed[-1] - newest[-1]) * share) / unit],
                color=_OK,
                linestyle=(0, (2, 2)),
                clip_on=False,
                label="prévision",
            )
        axes.set_ylim(0, top * 1.07 / unit)
        _days_below(axes, days[0], end)
        _numbers_beside(axes, unit_name)
        axes.legend(
            loc="lower left", bbox_to_anchor=(-0.12, 0.99), ncols=3, handlelength=1.6, columnspacing=1
        )
        return _finish(figure, name, title, description)


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
    time_unit, time_name = _time_unit(max(backup.seconds for backup in everything))
    unit, unit_name = _unit(max(backup.added for backup in everything))
    with mpl.rc_context({**_STYLE, "svg.hashsalt": name}):
        # From below: labels of days, bars, their title, lines, their title, names of servers.
        rows = -(-len(servers) // 3) if len(servers) > 1 else 0
        height = 222 + 14 * rows
        figure = Figure(figsize=(WIDTH / 72, height / 72))
        below = figure.add_axes((0.125, 20 / height, 0.865, 80 / height))
        above = figure.add_axes((0.125, 124 / height, 0.865, 76 / height))
        bottom: dict[date, float] = {}
        for position, (server, of_server) in enumerate(servers.items()):
            colour, marker, dashes = _SERIES[position % len(_SERIES)]
            above.plot(
                _numbers([backup.day for backup in of_server]),
                [backup.seconds / time_unit for backup in of_server],
                color=colour,
                linestyle=dashes,
                linewidth=1,
                marker=marker,
                markevery=max(1, len(of_server) // 8),
                clip_on=False,
                label=server,
            )
            partial = [backup for backup in of_server if not backup.complete]
            above.plot(
                _numbers([backup.day for backup in partial]),
                [backup.seconds / time_unit for backup in partial],
                color=_CRITICAL,
                linestyle="none",
                marker="x",
                markersize=6,
                clip_on=False,
            )
            below.add_patch(
                PathPatch(_bars(of_server, unit, bottom), facecolor=colour, linewidth=0, clip_on=False)
            )
        above.set_title(f"Durée, en {time_name}")
        below.set_title(f"Données ajoutées, en {unit_name}")
        above.set_ylim(bottom=0)
        below.set_ylim(0, max(1e-9, *bottom.values()) * 1.05)
        for axes in (above, below):
            _days_below(axes, first, last)
            _numbers_beside(axes)
        above.set_xticks([])
        if rows:
            figure.legend(
                loc="upper left", bbox_to_anchor=(0.02, 1.03), ncols=3, handlelength=2.4, columnspacing=1
            )
        return _finish(figure, name, title, description)


def on_paper(page: str) -> str:
    """The page with plain colours in its plots, for WeasyPrint, whose SVG knows no variables."""
    return re.sub(r"var\(--\w+, (#[0-9a-f]{6})\)", r"\1", page)


# -- parts ----------------------------------------------------------------------------------------------


def _numbers(days: Sequence[date]) -> list[int]:
    return [day.toordinal() for day in days]


def _unit(most: float) -> tuple[float, str]:
    """(bytes, name) of the unit in which `most` bytes read well."""
    name = size(most).split("\N{NO-BREAK SPACE}")[1]
    return {"o": 1, "Ko": 1e3, "Mo": 1e6, "Go": 1e9, "To": 1e12}[name], name


def _time_unit(longest: float) -> tuple[int, str]:
    """(seconds, name) of the unit in which so many seconds read well."""
    if longest < 120:
        return 1, "secondes"
    return (60, "minutes") if longest < 7200 else (3600, "heures")


def _bars(backups: Sequence[Backup], unit: float, bottom: dict[date, float]) -> Path:
    """A bar for each day upon what `bottom` holds, which grows. One path: bars would be an element each."""
    corners: list[tuple[float, float]] = []
    for backup in backups:
        middle, low = backup.day.toordinal(), bottom.get(backup.day, 0.0)
        high = bottom[backup.day] = low + backup.added / unit
        left, right = middle - 0.36, middle + 0.36
        corners += [(left, low), (left, high), (right, high), (right, low), (left, low)]
    return Path(corners, [Path.MOVETO, *[Path.LINETO] * 3, Path.CLOSEPOLY] * len(backups))


def _days_below(axes: Axes, first: date, last: date) -> None:
    """Mondays where the span is short, else the first of months; at most six, none at an edge."""
    span = (last - first).days
    edge = timedelta(days=span * 0.05)
    if span <= 75:
        days = [first + timedelta(days=offset) for offset in range(-first.weekday() % 7, span + 1, 7)]
    else:
        days = list(_months(first, last))
    days = days[-1 :: -max(1, -(-len(days) // 6))]
    ticks = [day for day in days if first + edge <= day <= last - edge]
    labels = [
        f"{day.day}\N{NO-BREAK SPACE}{_MONTHS[day.month - 1]}"
        if span <= 75
        else _MONTHS[day.month - 1] + (f"\N{NO-BREAK SPACE}{day.year}" if day.month == 1 else "")
        for day in ticks
    ]
    axes.set_xticks(_numbers(ticks), labels)
    axes.set_xlim(first.toordinal() - 0.6, last.toordinal() + 0.6)


def _months(first: date, last: date) -> Iterator[date]:
    month = first.replace(day=1)
    while month <= last:
        if month >= first:
            yield month
        month = (month + timedelta(days=31)).replace(day=1)


def _numbers_beside(axes: Axes, unit: str = "") -> None:
    axes.locator_params(axis="y", nbins=5)
    ticks = [tick for tick in axes.get_yticks() if axes.get_ylim()[0] <= tick <= axes.get_ylim()[1]]
    # As many decimals as tell the ticks apart: 2,5 is not to be read as 2.
    decimals = next(
        (count for count in range(3) if all(abs(round(tick, count) - tick) < 1e-9 for tick in ticks)), 3
    )
    labels = [number(tick, decimals) for tick in ticks]
    axes.set_yticks(ticks, [*labels[:-1], f"{labels[-1]}\N{NO-BREAK SPACE}{unit}".strip()])


def _finish(figure: Figure, name: str, title: str, description: str) -> str:
    """matplotlib's file as an element of a page: no prologue, no metadata, no id but those that are used."""
    file = io.StringIO()
    figure.savefig(
        file, format="svg", transparent=True, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
    )
    text = re.sub(r"<!--.*?-->", "", file.getvalue(), flags=re.DOTALL)
    root = ET.fromstring(text[text.index("<svg") :])  # noqa: S314  matplotlib's own output
    wanted = set(re.findall(r'(?:url\(|href=")#([\w-]+)', text))
    for element in root.iter():
        # A style element would hold for the whole page; an invisible patch draws nothing.
        for child in [child for child in element if _draws_nothing(child)]:
            element.remove(child)
        if (own := element.attrib.pop("id", None)) in wanted:
            element.set("id", f"{name}-{own}")
        if reference := element.attrib.pop(_XLINK, None):
            element.set("href", f"#{name}-{reference[1:]}")
        if clip := element.get("clip-path"):
            element.set("clip-path", clip.replace("#", f"#{name}-"))
        if style := element.get("style"):
            element.set("style", _style(style))
        if element.get("transform", "").startswith("rotate(-0 "):
            del element.attrib["transform"]
        element.tag = element.tag.removeprefix(f"{{{_SVG}}}")
        element.text, element.tail = (element.text or "").strip() or None, None
    inside = "".join(ET.tostring(child, encoding="unicode") for child in root)
    inside = re.sub(r"(\d+\.\d)\d+", r"\1", " ".join(inside.split()))
    while inside != (inside := re.sub(r"<(g|defs)>\s*</\1>|<(g|defs)\s*/>", "", inside)):
        pass
    return (
        f'<svg xmlns="{_SVG}" viewBox="{root.get("viewBox")}" role="img" '
        f'stroke-linejoin="round" aria-labelledby="{name}-title {name}-text">'
        f'<title id="{name}-title">{html.escape(title)}</title>'
        f'<desc id="{name}-text">{html.escape(description)}</desc>{inside}</svg>'
    )


def _draws_nothing(element: ET.Element) -> bool:
    tag, style = element.tag.removeprefix(f"{{{_SVG}}}"), element.get("style", "").strip("; ")
    return tag in ("metadata", "style") or (tag == "path" and style == "fill: none")


def _style(style: str) -> str:
    """The page's colours and font instead of matplotlib's."""
    style = re.sub(r"#[0-9a-f]{6}", lambda found: f"var({_VARIABLES[found[0]]}, {found[0]})", style)
    style = re.sub(r" ?font-family: [^;]*;", "", style)
    return re.sub(r"\s*([:;])\s*", r"\1", style)
