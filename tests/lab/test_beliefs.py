"""How much of the lab is believed and never seen: docs/windows-lab.md says what each behaviour rests on."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "windows-lab.md"
BELIEVED = 10
"""A new behaviour has a source, or the product is right either way and this is told. It goes up only where a
source is found to say less than was thought."""


def rows() -> list[tuple[str, str, str]]:
    """Behaviour, what it rests on, source; each has a name before them."""
    table = PAGE.read_text(encoding="utf-8").split("## What it rests on")[1].split("\n## ")[0]
    found = [line for line in table.splitlines() if line.startswith("| ")][1:]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in found]
    return [(one, two, three) for _name, one, two, three in cells]


def test_each_behaviour_says_what_it_rests_on() -> None:
    assert {kind for _, kind, _ in rows()} <= {"recorded", "documented", "believed"}
    assert all(source for *_, source in rows())


def test_the_believed_behaviours_are_counted() -> None:
    count = Counter(kind for _, kind, _ in rows())
    print(f"Behaviours of Windows: {dict(count)}")
    assert count["believed"] == BELIEVED
