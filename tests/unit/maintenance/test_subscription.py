"""What a deploy settles: a server that has left, or that another one replaces, closes nobody's repository."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.state import State
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.subscription import settle
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.volume import Usage, Use


@dataclass
class Open:
    """A door that nobody may move."""

    closed: bool | None = False
    fenced: bool = True
    moved: list[bool] = field(default_factory=list)

    def move(self, closed: bool) -> None:
        self.moved.append(closed)


def test_a_server_that_is_in_the_contract_no_more_counts_for_nothing(tmp_path: Path) -> None:
    state, door = State(tmp_path), Open()
    state.keep_usage(Usage(1, {"gone": Use(600_000_000, datetime(2026, 11, 2, tzinfo=UTC))}))
    told = settle(door, state, 1, {"new"}, {"new": 600_000_000}, check=False)
    assert (told["counted_bytes"], told["closed"], door.moved) == (600_000_000, False, [])
    told = settle(door, state, 1, {"new", "gone"}, {"new": 600_000_000}, check=False)
    assert (told["counted_bytes"], told["closed"], door.moved) == (1_200_000_000, True, [True])
