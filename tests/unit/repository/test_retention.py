"""What the journal keeps of a maintenance (C10)."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.prosecours.backup.plugins.action.retention import _kept
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.model import Maintained
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.shape import read
from unit.monitoring.fleet import STATUS


@pytest.mark.parametrize(
    ("found", "kept"),
    [
        ({}, {}),
        ({"dropped": ["moulin-old"]}, {"repositories_dropped": ["moulin-old"]}),
        ({"fence_put_up": True}, {"fence_put_up": True}),
        (
            {"removed": ["ab" * 32], "dropped": ["moulin-old"], "fence_put_up": True},
            {"versions_removed": 1, "repositories_dropped": ["moulin-old"], "fence_put_up": True},
        ),
    ],
)
def test_what_went_and_what_stood_open_is_kept(found: dict[str, Any], kept: dict[str, Any]) -> None:
    report = read(Maintained, {**STATUS, "removed": [], "released": [], **found})
    assert _kept({"moulin": report}, {}) == ({"moulin": kept} if kept else {})
