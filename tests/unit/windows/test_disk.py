"""Free space as a French Windows prints it, in UTF-8 (as WinRM asks for) and in code page 850."""

from __future__ import annotations

import random

import pytest
from ansible_collections.prosecours.backup.plugins.plugin_utils.windows import disk
from support.console import ENCODINGS, narrowed

NBSP, NARROW = "\u00a0", "\u202f"

DIRECTORY = (
    " Le volume dans le lecteur C s'appelle Système\r\n Le numéro de série du volume est 9A1B-22C3\r\n\r\n"
    " Répertoire de C:\\\r\n\r\n"
    "05/11/2026  09:12    <DIR>          Program Files\r\n"
    "05/11/2026  09:12              1234 pagefile.sys\r\n"
    "               1 fichier(s)             1234 octets\r\n"
    "               {count} Rép(s)  {free} octets libres\r\n"
)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("separator", ["", " ", ".", NBSP, NARROW])
def test_free_space_of_any_disk_in_any_grouping(encoding: str, separator: str) -> None:
    """A property: whatever the number and the separator of thousands, the same number comes back."""
    chance = random.Random(20261123)  # noqa: S311 -- test data, the same every time
    numbers = [0, 1, 999, 1000, 10**15] + [
        chance.randrange(10 ** chance.randrange(1, 16)) for _ in range(200)
    ]
    for number in numbers:
        free = f"{number:,}".replace(",", separator)
        output = narrowed(DIRECTORY.format(count=chance.randrange(1, 2000), free=free), encoding)
        assert disk.free_space(output) == number, free


@pytest.mark.parametrize(
    "output", [b"", "Le système ne trouve pas le chemin d'accès 2\r\n".encode(), b"\r\n\r\n"]
)
def test_free_space_is_unknown_rather_than_wrong(output: bytes) -> None:
    assert disk.free_space(output) is None
