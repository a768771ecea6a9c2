"""The promise C7 on every day of thousands of simulated years."""

from __future__ import annotations

import pytest
from unit.maintenance.simulation import live, simulate
from unit.maintenance.test_promise import proven

HISTORIES, PART = 2000, 500


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, HISTORIES, PART))
def test_the_promise_holds_on_every_day_of_thousands_of_years(first: int) -> None:
    """A failure names its seed: `live(simulate(seed), proven)` repeats it."""
    found = {seed: live(simulate(seed), proven)[0] for seed in range(first, first + PART)}
    assert {seed: problem for seed, problem in found.items() if problem} == {}
