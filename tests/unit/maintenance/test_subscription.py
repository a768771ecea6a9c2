"""What a deploy settles, and a maintenance after it: a server that has left, or that another one replaces,
closes nobody's repository; and a day is counted once."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from ansible_collections.prosecours.backup.plugins.module_utils.maintenance import subscription
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.state import State
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.volume import (
    Counted,
    Day,
    Usage,
    Use,
)


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
    told = subscription.settle(door, state, 1, {"new"}, {"new": 600_000_000}, check=False)
    assert (told["counted_bytes"], told["closed"], door.moved) == (600_000_000, False, [])
    told = subscription.settle(door, state, 1, {"new", "gone"}, {"new": 600_000_000}, check=False)
    assert (told["counted_bytes"], told["closed"], door.moved) == (1_200_000_000, True, [True])


def test_check_mode_foretells_the_day_once_also_after_the_maintenance_of_that_day(tmp_path: Path) -> None:
    """A month that grows by 10 MB a day, at which the 1 GB will be full on 10 December."""
    state, door, now = State(tmp_path), Open(), datetime(2026, 11, 30, 4, tzinfo=UTC)
    state.keep_volume(
        [Day(date(2026, 11, day), 600_000_000 + day * 10_000_000, 0, 1) for day in range(1, 30)]
    )

    def report(at: datetime, check: bool) -> dict[str, Any]:
        counted = {"srv": Counted(Use(900_000_000, now), 0)}
        accounted = subscription.account(door, state, 1, counted, at, check)
        return subscription.told("earl", "PS-1", *accounted, ())

    foretold = report(now, check=True)
    assert report(now, check=False) == foretold
    assert report(now + timedelta(hours=1), check=True) == foretold
    assert foretold["volume"]["full_on"] == "2026-12-10"
    assert [bill["days"] for bill in foretold["bills"]] == [30]
