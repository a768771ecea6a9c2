"""The table of `make mutants`: it is whole, and each mutant can still be made. They all take minutes."""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

CHECKOUT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def mutants() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("mutants", CHECKOUT / "tools" / "mutants.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["mutants"] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
        yield module
    finally:
        del sys.modules["mutants"]


def test_each_row_that_names_a_defence_has_a_mutant_or_says_why_not(mutants: ModuleType) -> None:
    named = [cell for cell, _tests in mutants.rows(mutants.TABLE.read_text("utf-8"))]
    assert len(named) > 50
    beginnings = {*(one.row for one in mutants.MUTANTS), *mutants.ELSEWHERE}
    for one in beginnings:
        assert len([cell for cell in named if cell.startswith(one)]) == 1, one
    assert [cell for cell in named if not cell.startswith(tuple(beginnings))] == []


def test_each_mutant_is_another_program(mutants: ModuleType) -> None:
    for one in mutants.MUTANTS:
        text = mutants.mutated(one)
        if one.file.endswith(".py"):
            ast.parse(text)


def test_each_test_is_one_that_its_row_names(mutants: ModuleType) -> None:
    """By its name, or the name of its file; and it is there."""
    tests = dict(mutants.rows(mutants.TABLE.read_text("utf-8")))
    for one in mutants.MUTANTS:
        [said] = [text for cell, text in tests.items() if cell.startswith(one.row)]
        file, _, name = one.test.partition("::")
        source = (CHECKOUT / "tests" / file).read_text("utf-8")
        assert f"def {name or 'test_'}" in source, one.test
        named = (name and name in said) or Path(file).stem in said
        assert named, f"{one.row}: docs/security.md does not name {one.test}"


def test_a_text_that_is_gone_is_told(mutants: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "source.py").write_text("x = 1\n")
    gone = mutants.Mutant("a row", "source.py", "y = 2", "", "a test")
    with pytest.raises(ValueError, match="stands there 0 times"):
        mutants.mutated(gone, tmp_path)
