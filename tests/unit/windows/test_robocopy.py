"""Summaries as a French Windows prints them, in UTF-8 (as WinRM asks for) and in code page 850."""

from __future__ import annotations

import random
import re

import pytest
from ansible_collections.prosecours.backup.plugins.plugin_utils.windows import robocopy
from support.console import ENCODINGS, narrowed

NBSP, NARROW = "\u00a0", "\u202f"

SUMMARY = (
    "\r\n------------------------------------------------------------------------------\r\n\r\n"
    "               Total    Copié      IgnoréDiscordance     ÉCHEC    Extras\r\n"
    "     Rép :        12        11         1         0         0         0\r\n"
    "Fichiers :       340       340         0         0         0         0\r\n"
    "  Octets : 123456789012 123456789012         0         0         0         0\r\n"
    "   Heures:   0:00:00   0:00:00                       0:00:00   0:00:00\r\n"
    "   Fin : lundi 23 novembre 2026 12:00:01\r\n\r\n"
)
NOT_THERE = (
    "2026/11/23 12:00:00 ERREUR 2 (0x00000002) Accès au répertoire source D:\\isagiwf\\\r\n"
    "Le fichier spécifié est introuvable.\r\n\r\n"
)
REFUSED_BELOW = (
    "2026/11/23 12:00:00 ERREUR 5 (0x00000005) Analyse du répertoire source D:\\isagiwf\\privé\\\r\n"
    "Accès refusé.\r\n"
)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_summary_of_robocopy(encoding: str) -> None:
    assert robocopy.tree(narrowed(SUMMARY, encoding)) == (robocopy.Tree(12, 340, 123456789012), None)


def test_a_directory_that_refuses_is_counted() -> None:
    found, _ = robocopy.tree((REFUSED_BELOW * 2 + SUMMARY).encode())
    assert found == robocopy.Tree(12, 340, 123456789012, unreadable=2)


def test_a_directory_that_refuses_at_the_top_has_no_size() -> None:
    empty = re.sub(r"(?m)^(.*?:)(?: +\d+){6}", r"\1 0 0 0 0 0 0", SUMMARY).replace("0", "1", 1)
    assert robocopy.tree((REFUSED_BELOW + empty).encode()) == (None, 5)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_missing_directory_is_told_by_its_error_code(encoding: str) -> None:
    assert robocopy.tree(narrowed(NOT_THERE, encoding)) == (None, 2)


@pytest.mark.parametrize("output", ["", SUMMARY.replace("123456789012 123456789012", "12.3 g    12.3 g")])
def test_a_summary_that_cannot_be_read_is_no_size(output: str) -> None:
    assert robocopy.tree(output.encode()) == (None, None)


def _row(title: str, numbers: list[int], width: int, separator: str) -> str:
    """A summary row as robocopy writes it: right-aligned columns that large numbers overflow."""
    shown = (f"{number:,}".replace(",", separator) for number in numbers)
    return f"{title:>8} :" + "".join(f"{number:>{width}}" for number in shown) + "\r\n"


LAYOUTS = [(10, ""), (11, ""), (20, " "), (20, NBSP), (20, NARROW), (20, ".")]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(("width", "separator"), LAYOUTS)
def test_summaries_of_any_size_with_exclusions(encoding: str, width: int, separator: str) -> None:
    """A property: files and bytes are total less skipped, glued or grouped as the columns may be."""
    chance = random.Random(20261123)  # noqa: S311 -- test data, the same every time
    for _ in range(200):
        rows = []
        for title in ("Rép", "Fichiers", "Octets"):
            copied, skipped = (chance.randrange(10 ** chance.randrange(1, 14)) for _ in range(2))
            copied += 2 * (title == "Rép")
            rows.append((title, [copied + skipped, copied, skipped, 0, 0, 0]))
        text = "".join(_row(title, numbers, width, separator) for title, numbers in rows)
        found, _ = robocopy.tree(narrowed(text, encoding))
        assert found == robocopy.Tree(rows[0][1][0], rows[1][1][1], rows[2][1][1]), text
