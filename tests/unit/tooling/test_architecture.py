"""docs/architecture.md against the code: its picture, and whatever the documents name."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[3]
PLUGINS = CHECKOUT / "plugins"
PAGE = CHECKOUT / "docs" / "architecture.md"
PAGES = [*CHECKOUT.glob("*.md"), *CHECKOUT.glob("docs/**/*.md")]
Arrows = Mapping[str, set[str]]


def _room(path: Path) -> str:
    """The folder, or the file that stands by itself, directly below plugin_utils or module_utils."""
    return path.relative_to(PLUGINS).parts[1].removesuffix(".py")


def _imported(path: Path) -> Iterator[Path]:
    """The files and folders of plugins/ that a file imports, wherever in it that stands."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            # `from .x import y`: y is a file of the folder x, or a name in the file x.
            yield from ({base / name.name for name in node.names} if base.is_dir() else {base})


def _arrows() -> Arrows:
    """Room -> the rooms that it imports from."""
    arrows: dict[str, set[str]] = {}
    for path in PLUGINS.glob("*_utils/**/*.py"):
        others = arrows.setdefault(_room(path), set())
        others |= {_room(one) for one in _imported(path)} - {_room(path)}
    return arrows


def _floors(arrows: Arrows) -> list[list[str]]:
    """The rooms, lowest floor first; each imports from floors below its own only. A cycle has no floor."""
    floors: list[list[str]] = []
    left = set(arrows)
    while left:
        floor = sorted(room for room in left if not arrows[room] & left)
        assert floor, f"these rooms import each other in a circle: {', '.join(_circle(arrows, left))}"
        floors.append(floor)
        left -= set(floor)
    return floors


def _circle(arrows: Arrows, left: set[str]) -> list[str]:
    """Of rooms that have no floor those that are to blame: the others only stand above them."""
    while above := {room for room in left if not any(room in arrows[other] for other in left)}:
        left = left - above
    return sorted(left)


def _picture(arrows: Arrows) -> str:
    """The rooms as mermaid draws them. An arrow that others imply is left out."""
    below: dict[str, set[str]] = {}
    for floor in _floors(arrows):
        for room in floor:
            below[room] = arrows[room].union(*(below[one] for one in arrows[room]))
    lines = ["flowchart TD"]
    for number, floor in reversed(list(enumerate(_floors(arrows)))):
        lines += [f"  subgraph floor{number} [floor {number}]", *(f"    {room}" for room in floor), "  end"]
    for room in sorted(arrows):
        implied = set().union(*(below[one] for one in arrows[room]))
        lines += [f"  {room} --> {one}" for one in sorted(arrows[room] - implied)]
    return "\n".join(lines)


def test_the_picture_of_the_rooms_is_true() -> None:
    wanted = _picture(_arrows())
    drawn = re.findall(r"```mermaid\n(flowchart TD\n.*?)\n```", PAGE.read_text("utf-8"), re.DOTALL)
    assert drawn == [wanted], f"docs/architecture.md has to have this picture:\n{wanted}"


def test_two_rooms_that_import_each_other_are_refused() -> None:
    with pytest.raises(AssertionError, match=r"circle: a, b\n"):
        _floors({"a": {"b"}, "b": {"a"}, "c": set(), "d": {"a"}})


def test_each_room_has_a_line() -> None:
    """What each is for; the files that stand alone too."""
    text = PAGE.read_text("utf-8")
    assert sorted(room for room in _arrows() if f"| `{room}` |" not in text) == []


def test_what_the_documents_name_is_there() -> None:
    """Files and folders in `code`, by their path in the repository or in plugins/, and links."""
    roots = [CHECKOUT, PLUGINS, PLUGINS / "plugin_utils", PLUGINS / "module_utils", CHECKOUT / "tests"]
    tops = {one.name for root in roots for one in root.iterdir() if one.is_dir()} - {"build"}
    lost = []
    for page in PAGES:
        text = page.read_text("utf-8")
        named = re.findall(r"`([\w.]+(?:/[\w.-]+)*/?(?:[\w-]+\.(?:py|yml|json|cmd|in|txt))?)`", text)
        for place in named:
            top, *rest = place.rstrip("/").split("/")
            if rest and top in tops and not any((root / place).exists() for root in roots):
                lost.append(f"{page.name}: {place}")
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
            if not (page.parent / link).exists():
                lost.append(f"{page.name}: {link}")
    assert lost == []
