"""Errors of a contract: where, what is wrong, what to do, a sentence each; and the list that people read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from itertools import groupby
from pathlib import Path


@dataclass(frozen=True, order=True)
class ContractError:
    """One mistake. `file` is None for a value that no file of the inventory holds, `line` counts from 1."""

    file: Path | None
    line: int | None
    #: Whom it concerns: a client's or a server's name; empty for the file itself.
    who: str
    #: The variable, with the way into it: `prosecours_office, entry 2`; empty for the file itself.
    key: str
    problem: str
    remedy: str


def nearest(name: str, known: Iterable[str], likeness: float = 0.6) -> str | None:
    """The known name that was probably meant, at least so much alike (0 to 1); case does not count."""
    plain = {_plain(candidate): candidate for candidate in known}
    found = get_close_matches(_plain(name), list(plain), n=1, cutoff=likeness)
    return plain[found[0]] if found else None


def one_of(name: str, known: Sequence[str]) -> str:
    """The remedy for an unknown name: the nearest one, or all of them."""
    meant = nearest(name, known)
    return f'Did you mean "{meant}"?' if meant else f"Write one of: {', '.join(known)}"


def full_stop(remedy: str) -> str:
    """A remedy as the end of a sentence: with a full stop, unless it asks."""
    return remedy if remedy.endswith("?") else f"{remedy}."


def _plain(name: str) -> str:
    return name.lower().replace("-", "_").replace(" ", "_")


def merged(errors: Iterable[ContractError]) -> list[ContractError]:
    """The errors in the order of files and lines; what several servers inherit from one line is said once."""
    concerned: dict[ContractError, list[str]] = {}
    for error in errors:
        names = concerned.setdefault(replace(error, who=""), [])
        if error.who and error.who not in names:
            names.append(error.who)
    found = [replace(error, who=", ".join(names)) for error, names in concerned.items()]
    return sorted(found, key=lambda error: (str(error.file or ""), error.line or 0, error.who, error.key))


def listing(errors: Sequence[ContractError], base: Path) -> str:
    """The errors as text: a heading for each file (relative to `base` if it lies below), then its errors."""
    parts = []
    for file, group in groupby(errors, key=lambda error: error.file):
        parts.append(_shown(file, base) if file else "Not in the inventory's files (given with -e?)")
        for error in group:
            line = f"line {error.line}" if error.line else ""
            parts.append("  " + (" · ".join(filter(None, [line, error.who, error.key])) or "the whole file"))
            parts.append(f"      {_sentence(error.problem)}")
            parts.append(f"      → {_sentence(error.remedy)}")
        parts.append("")
    return "\n".join(parts)


def summary(errors: Sequence[ContractError]) -> str:
    """One sentence: how many errors in how many files."""
    files = len({error.file for error in errors})
    return f"{_count(len(errors), 'error')} in {_count(files, 'file')} of the inventory"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _shown(file: Path, base: Path) -> str:
    return str(file.relative_to(base)) if file.is_relative_to(base) else str(file)


def _sentence(text: str) -> str:
    text = text[0].upper() + text[1:]
    return text if text[-1] in ".?!\\" else f"{text}."
