"""Errors of a contract: where, what is wrong, what to do, a sentence each; and the list that people read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from ..wording import as_sentence, plural

Way = tuple[str | int, ...]
"""A key's name, then the keys and indices that lead to a part of its value."""


class Origin(NamedTuple):
    """Where a value comes from. `file` is None for what no file holds; `line` counts from 1."""

    file: Path | None
    line: int | None


class Mistake(NamedTuple):
    """One mistake in a value, before its place is known: the way to it, what is wrong, what to do."""

    way: Way
    problem: str
    remedy: str


@dataclass(frozen=True, order=True)
class PlacedMistake:
    """One mistake. `file` is None for a value that no file of the inventory holds, `line` counts from 1."""

    file: Path | None
    line: int | None
    who: str
    """Whom it concerns: a client's or a server's name; empty for the file itself."""
    key: str
    """The variable, with the way into it: `prosecours_office, entry 2`; empty for the file itself."""
    problem: str
    remedy: str


def merged(errors: Iterable[PlacedMistake]) -> list[PlacedMistake]:
    """The errors in the order of files and lines; what several servers inherit from one line is said once."""
    concerned: dict[PlacedMistake, list[str]] = {}
    for error in errors:
        names = concerned.setdefault(replace(error, who=""), [])
        if error.who and error.who not in names:
            names.append(error.who)
    found = [replace(error, who=", ".join(names)) for error, names in concerned.items()]
    return sorted(found, key=lambda error: (str(error.file or ""), error.line or 0, error.who, error.key))


def listing(errors: Sequence[PlacedMistake], base: Path) -> str:
    """The errors as text: a heading for each file (relative to `base` if it lies below), then its errors."""
    parts = []
    for file, group in groupby(errors, key=lambda error: error.file):
        parts.append(_shown(file, base) if file else "Not in the inventory's files (given with -e?)")
        for error in group:
            line = f"line {error.line}" if error.line else ""
            parts.append("  " + (" · ".join(filter(None, [line, error.who, error.key])) or "the whole file"))
            parts.append(f"      {as_sentence(error.problem)}")
            parts.append(f"      → {as_sentence(error.remedy)}")
        parts.append("")
    return "\n".join(parts)


def sentence(error: PlacedMistake, base: Path) -> str:
    """One of them in one line: where, what, what to do."""
    place = [_shown(error.file, base)] if error.file else []
    place += [f"line {error.line}"] if error.line else []
    place += filter(None, (error.who, error.key))
    return f"{', '.join(place)}: {as_sentence(error.problem)} {as_sentence(error.remedy)}"


def summary(errors: Sequence[PlacedMistake]) -> str:
    """One sentence: how many errors in how many files."""
    files = len({error.file for error in errors})
    return f"{plural(len(errors), 'error')} in {plural(files, 'file')} of the inventory"


def _shown(file: Path, base: Path) -> str:
    return str(file.relative_to(base)) if file.is_relative_to(base) else str(file)
