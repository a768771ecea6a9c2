"""The rooms of the lab import each other one way."""

from __future__ import annotations

import ast
from pathlib import Path

import windows_lab

PACKAGE = Path(windows_lab.__file__).parent
ALLOWED = {
    "machine": {"errors"},
    "programs": {"errors", "machine"},
    "winrm": {"errors", "machine.protocol"},
}
"""Room: what of the other parts of the lab its files may import."""


def imported(path: Path) -> set[str]:
    """Modules of the lab that a file imports, without the package's name."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports of the lab are absolute"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name.removeprefix("windows_lab.") for name in found if name.startswith("windows_lab.")}


def test_the_rooms_import_each_other_one_way() -> None:
    wrong = [
        f"{room}/{path.name} imports {name}"
        for room, others in ALLOWED.items()
        for path in (PACKAGE / room).glob("*.py")
        for name in imported(path)
        if not any(f"{name}.".startswith(f"{one}.") for one in {room, *others})
    ]
    assert wrong == []


def test_the_words_that_introduce_a_room_import_nothing() -> None:
    for path in PACKAGE.rglob("__init__.py"):
        assert [type(node) for node in ast.parse(path.read_text("utf-8")).body] == [ast.Expr], path
