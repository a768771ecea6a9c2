"""Plots, read back from their SVG: by the numbers beside the grid, lines and bars have to tell the data."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise

import pytest
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.volume import Day
from ansible_collections.prosecours.backup.plugins.plugin_utils.documents import plots
from ansible_collections.prosecours.backup.plugins.plugin_utils.documents.plots import Backup
from hypothesis import given, settings
from hypothesis import strategies as st

FIRST = date(2026, 9, 1)
UNITS = {"o": 1, "ko": 10**3, "Mo": 10**6, "Go": 10**9, "To": 10**12}
SVG = "{http://www.w3.org/2000/svg}"
Point = tuple[float, float]


class Plot:
    """What a reader sees: words and where they stand, lines and filled shapes by colour."""

    def __init__(self, svg: str) -> None:
        self.root = ET.fromstring(svg)  # noqa: S314  the product's own
        _, _, self.width, self.height = map(float, str(self.root.get("viewBox")).split())
        self.words = [
            (float(text.get("x", "")), float(text.get("y", "")), str(text.text), text.get("text-anchor"))
            for text in self.root.iter(f"{SVG}text")
        ]
        self.paths = list(self.root.iter(f"{SVG}path"))
        self.grids = [
            [float(y) for y in re.findall(r"M\S+ (\S+?)h", path.get("d", ""))]
            for path in self.paths
            if "--line" in path.get("stroke", "")
        ]

    def drawn(self, colour: str, kind: str = "stroke") -> list[str]:
        return [path.get("d", "") for path in self.paths if f"--{colour}," in path.get(kind, "")]

    def value(self, y: float, grid: int = 0) -> float:
        """What a height is worth, by the numbers beside the grid."""
        heights = self.grids[grid]
        numbers = [
            float(re.sub(r"[^\d,]", "", word).replace(",", "."))
            for height in heights
            for _, at, word, anchor in self.words
            if anchor == "end" and abs(at - 3.5 - height) < 0.11
        ]
        assert len(numbers) == len(heights)
        assert numbers[0] == 0
        assert len(set(numbers)) == len(numbers)
        return numbers[-1] * (heights[0] - y) / (heights[0] - heights[-1])

    def unit(self) -> int:
        """Of the topmost number."""
        (word,) = [word for _, _, word, anchor in self.words if anchor == "end" and word[-1] in "o"]
        return UNITS[word.split("\N{NO-BREAK SPACE}")[-1]]


def points(path: str) -> list[Point]:
    return [(float(x), float(y)) for x, y in re.findall(r"[ML](\S+?) ([\d.]+)", path)]


def history(newest: list[int], subscribed: int, step: int = 3) -> list[Day]:
    return [
        Day(FIRST + timedelta(days=step * position), value, value + value // 3, subscribed)
        for position, value in enumerate(newest)
    ]


def volume(of: list[Day], full_on: date | None = None, *, stored: bool = True) -> Plot:
    words = {"title": "Volume", "description": "Texte & <signes>"}
    return Plot(plots.volume("name", of, full_on, (80, 95, 100), stored=stored, **words))


def backups(servers: dict[str, list[Backup]], days: int = 30) -> Plot:
    last = FIRST + timedelta(days=days)
    return Plot(plots.backups("name", servers, FIRST, last, title="Durée", description="Texte"))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 5 * 10**12), min_size=2, max_size=60), st.integers(1, 3000))
def test_the_volume_is_read_off_the_grid(newest: list[int], subscribed: int) -> None:
    plot = volume(history(newest, subscribed))
    unit = plot.unit()
    least = (
        plot.value(plot.grids[0][0] - 0.15) * unit
    )  # a grid line and a point, each rounded by 0.05, and the scale
    [line] = plot.drawn("ok")[:1]
    assert [plot.value(y) * unit for _, y in points(line)] == pytest.approx(newest, abs=least)
    assert all(before < after for (before, _), (after, _) in pairwise(points(line)))
    levels = [plot.value(points(path)[0][1]) * unit for path in plot.drawn("critical")]
    assert levels == pytest.approx([subscribed * 10**9 * part for part in (0.8, 0.95, 1)], abs=least)
    assert len(plot.grids[0]) in range(2, 8)


def test_a_volume_that_is_subscribed_anew_is_a_step() -> None:
    of = history([10**10] * 4, 100)
    of[2:] = [replace(day, subscribed_gb=200) for day in of[2:]]
    path = volume(of).drawn("critical")[2]
    at, up = re.fullmatch(r"M\S+ \S+?H\S+?H(\S+?)V(\S+?)H\S+H\S+", path).groups()  # type: ignore[union-attr]
    plot = volume(of)
    assert plot.value(float(up)) == pytest.approx(200, abs=1)
    assert float(at) == pytest.approx(points(plot.drawn("ok")[0])[2][0], abs=0.1)


def test_the_forecast_meets_what_is_subscribed_on_its_day_or_leaves_the_plot() -> None:
    of = history([50 * 10**9, 60 * 10**9, 70 * 10**9], 100)
    near = volume(of, FIRST + timedelta(days=10))
    assert near.value(points(near.drawn("ok")[1])[1][1]) == pytest.approx(100, abs=1)
    far = volume(of, date(2027, 9, 1))
    (x, y) = points(far.drawn("ok")[1])[1]
    assert 70 < far.value(y) < 80
    assert x <= far.width


def test_one_day_is_a_point() -> None:
    plot = volume(history([10**10], 100))
    assert all("L" not in path for path in plot.drawn("ok"))
    [mark] = plot.drawn("ok", "fill")
    assert plot.value(points(mark)[0][1]) == pytest.approx(10, abs=1)


def test_what_is_stored_is_the_providers_business() -> None:
    words = [word for _, _, word, _ in volume(history([1, 2], 1), stored=False).words]
    assert "occupé sur disque" not in words
    assert "fichiers sauvegardés" in words


SOME = st.lists(
    st.tuples(st.integers(0, 10**5), st.integers(0, 10**12), st.booleans()), min_size=1, max_size=30
)


@settings(deadline=None, max_examples=60)
@given(st.lists(SOME, min_size=1, max_size=6))
def test_backups_are_read_off_the_grid(of: list[list[tuple[int, int, bool]]]) -> None:
    servers = {
        f"srv{number}": [Backup(FIRST + timedelta(days=day), *one) for day, one in enumerate(some)]
        for number, some in enumerate(of)
    }
    plot = backups(servers)
    titles = [word for _, _, word, _ in plot.words if " en " in word]
    seconds = {"secondes": 1, "minutes": 60, "heures": 3600}[titles[0].split(" en ")[1]]
    unit = UNITS[titles[1].split(" en ")[1]]
    least = plot.value(plot.grids[0][0] - 0.11) * seconds
    series = re.compile(r"--(ok|notice|warning|fourth),")
    lines = [
        path.get("d", "")
        for path in plot.paths
        if series.search(path.get("stroke", "")) and "h16" not in path.get("d", "")
    ]
    assert len(lines) == len(of)
    for line, some in zip(lines, of, strict=True):
        shown = [plot.value(y) * seconds for _, y in points(line)]
        assert shown == pytest.approx([one[0] for one in some], abs=least)
    crosses = "".join(plot.drawn("critical")).count("m-3 -3")
    assert crosses == sum(not complete for some in of for *_, complete in some)
    least = plot.value(plot.grids[1][0] - 0.11, 1) * unit
    bars = "".join(path.get("d", "") for path in plot.paths if path.get("fill"))
    corners = re.findall(r"M\S+ (\S+?)V(\S+?)H\S+?V\S+?z", bars)
    heights = [(plot.value(float(high), 1) - plot.value(float(low), 1)) * unit for low, high in corners]
    assert heights == pytest.approx([one[1] for some in of for one in some], abs=2 * least)


@pytest.mark.parametrize("name", ["srv", "un-serveur-dont-le-nom-est-tres-long.client.example"])
@pytest.mark.parametrize("number", [1, 2, 5])
def test_everything_is_in_the_picture(name: str, number: int) -> None:
    one = [Backup(FIRST, 3600, 10**9, True), Backup(FIRST + timedelta(days=30), 60, 0, False)]
    plot = backups({f"{name}{position}": one for position in range(number)})
    for x, y, word, anchor in plot.words:
        assert 0 <= x <= plot.width
        assert 9 <= y <= plot.height - 2
        assert anchor != "start" or x + 4.8 * len(word) <= plot.width
    assert len({(x, y) for x, y, *_ in plot.words}) == len(plot.words)


def test_nothing_added_is_a_grid_that_can_be_read() -> None:
    plot = backups({"srv": [Backup(FIRST, 0, 0, True)]})
    assert len({word for x, _, word, anchor in plot.words if anchor == "end"}) == 6


def test_words_of_others_are_text() -> None:
    plot = backups({"<script>": [Backup(FIRST, 1, 1, True)], "a & b": []})
    assert {"<script>", "a & b"} <= {word for _, _, word, _ in plot.words}
    assert volume(history([1, 2], 1)).root[1].text == "Texte & <signes>"


def test_on_paper_no_variable_is_left() -> None:
    svg = plots.on_paper(
        plots.volume("name", history([1, 2], 1), None, (80,), stored=True, title="", description="")
    )
    assert "var(" not in svg
    assert "#14603f" in svg
