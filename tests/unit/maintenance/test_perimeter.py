"""Which part of a server's folders has left its contract."""

from __future__ import annotations

import pytest
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.perimeter import Left, Ordered
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.trees import Stands

BEFORE = (r"D:\Bureautique", r"D:\isagiwf\B????.GIW", r"E:\Photos", r"i:\isasuwf\backup")
NOW = (r"D:\Bureautique\Compta", r"D:\isagiwf\B00??.GIW", r"D:\isagiwp", r"E:\Photos")


@pytest.mark.parametrize(
    ("path", "stands"),
    [
        ("/D", Stands.ABOVE),
        ("/D/Bureautique", Stands.ABOVE),
        ("/d/BUREAUTIQUE/Courrier", Stands.OUT),
        ("/D/Bureautique/Compta", Stands.IN),
        ("/D/Bureautique/Compta/2026/solde", Stands.IN),
        ("/D/Bureautique2", Stands.IN),
        ("/D/isagiwf", Stands.ABOVE),
        ("/D/isagiwf/B1234.GIW", Stands.OUT),
        ("/D/isagiwf/B0034.GIW", Stands.IN),
        ("/D/isagiwf/B12345.GIW", Stands.IN),
        ("/D/isagiwp/x", Stands.IN),
        ("/E/Photos/x", Stands.IN),
        ("/I", Stands.ABOVE),
        ("/I/isasuwf/backup/", Stands.OUT),
    ],
)
def test_what_left(path: str, stands: Stands) -> None:
    assert Left(Ordered().now(BEFORE).now(NOW)).stands(path) is stands


def test_what_comes_back_has_not_left() -> None:
    ordered = Ordered().now(BEFORE).now(NOW).now((*BEFORE, *NOW))
    assert (ordered.paths, ordered.left) == (tuple(sorted({*BEFORE, *NOW})), ())
    assert not Left(ordered)
    assert not Left(Ordered().now(NOW))  # the first time that somebody says anything
