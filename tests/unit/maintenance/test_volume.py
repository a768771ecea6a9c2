"""The subscribed volume (C15): thresholds, the date when it is full, and the rows of the bill."""

from __future__ import annotations

import random
from datetime import date, timedelta

import pytest
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.volume import (
    GB,
    Carried,
    Day,
    bill,
    bills_as_csv,
    full_on,
)

START = date(2026, 3, 1)


def grows(days: int, first: float, daily: float, subscribed: int = 100) -> list[Day]:
    """GB on the first day, and more on each."""
    return [
        Day(START + timedelta(days=n), round((first + n * daily) * GB), round(70 * GB), subscribed)
        for n in range(days)
    ]


@pytest.mark.parametrize(
    ("used", "threshold"),
    [(79.9, 0), (80, 80), (94.99, 80), (95, 95), (100, 100), (130, 100)],
)
def test_a_threshold_is_reached_at_its_very_percent(used: float, threshold: int) -> None:
    assert Day(START, round(used * GB), 0, 100).threshold == threshold


def test_the_files_count_not_what_is_stored() -> None:
    assert Day(START, 50 * GB, 500 * GB, 100).percent == 50


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        (grows(30, 50, 0.5), START + timedelta(days=100)),
        (grows(30, 50, 0.5)[::3], START + timedelta(days=100)),  # missed days
        (grows(30, 50, 0.0), None),
        (grows(30, 50, -1.0), None),
        (grows(30, 10, 0.001), None),  # in a lifetime
        (grows(13, 50, 0.5), None),  # too little is known
        (grows(30, 90, 0.5), START + timedelta(days=20)),  # it is full since; said when it was last measured
        ([], None),
    ],
)
def test_the_date_when_it_is_full(history: list[Day], expected: date | None) -> None:
    found = full_on(history)
    assert found == (max(expected, history[-1].date) if expected else None)


def test_an_old_slope_does_not_count() -> None:
    """It grew fast last year; since then hardly."""
    history = grows(200, 10, 0.3)
    last = history[-1].newest / GB
    history += [
        Day(history[-1].date + timedelta(days=n), round((last + n * 0.01) * GB), 0, 100) for n in range(1, 91)
    ]
    found = full_on(history)
    assert found is not None
    assert (found - history[-1].date).days > 2500


def series(levels: list[float]) -> list[Day]:
    return [Day(START + timedelta(days=n), round(level * GB), 0, 100) for n, level in enumerate(levels)]


def _shape(name: str, days: int, noise: random.Random) -> tuple[list[float], float | None]:
    """GB on each day, with some noise, and how many days from the last one it will be full; None: never."""
    rate = 0.25
    levels = {
        "linear growth": [40 + rate * n for n in range(days)],
        "weekly steps": [40 + 7 * rate * (n // 7) for n in range(days)],
        "deletion, then growth": [40 + rate * n - (18 if n >= days - 20 else 0) for n in range(days)],
        "growth that stopped": [40 + rate * min(n, days - 31) for n in range(days)],
        "a jump": [50.0 if n < days - 21 else 62.0 for n in range(days)],
    }[name]
    never = name in ("growth that stopped", "a jump")
    return [one + noise.gauss(0, 0.02) for one in levels], None if never else (100 - levels[-1]) / rate


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("linear growth", 0.02),
        ("weekly steps", 0.03),
        ("deletion, then growth", 0.04),
        ("growth that stopped", None),
        ("a jump", None),
    ],
)
def test_the_forecast_of_a_shape_is_so_far_off_at_most(name: str, most: float | None) -> None:
    """Shares of the time that is left, over a hundred series; printed with -s."""
    errors: list[float] = []
    for seed in range(100):
        noise = random.Random(seed)  # noqa: S311 -- repeatable, not secret
        levels, left = _shape(name, 60 + seed % 40, noise)
        found = full_on(series(levels))
        if left is None or most is None:
            # Noise may look like growth; a date within five years would be an alarm about nothing.
            assert found is None or (found - START).days > 5 * 365, (name, seed, found)
        else:
            assert found is not None, (name, seed)
            days = (found - START).days - (len(levels) - 1)
            errors.append(abs(days - left) / left)
    if most is not None:
        print(
            f"{name}: off by {max(errors):.1%} of the time left, {sum(errors) / len(errors):.1%} on average"
        )
        assert max(errors) <= most


@pytest.mark.parametrize("ago", [5, 10, 15, 20, 25, 29, 40, 60])
def test_a_deletion_hides_no_growth(ago: int) -> None:
    levels = [40 + 0.25 * n - (18 if n >= 90 - ago else 0) for n in range(90)]
    found = full_on(series(levels))
    assert found is not None
    assert abs((found - START).days - 89 - (100 - levels[-1]) / 0.25) <= 3


def test_growth_that_doubled_last_month_counts_at_once() -> None:
    levels = [40 + 0.1 * n + 0.4 * max(0, n - 59) for n in range(90)]
    found = full_on(series(levels))
    assert found is not None
    assert abs((found - START).days - 89 - (100 - levels[-1]) / 0.5) <= 3


def test_the_bill_of_a_month() -> None:
    history = grows(62, 60, 1)  # to 30 April; 100 GB are passed on 10 April
    disks = [Carried(date(2026, 4, 30), 42_500_000_000), Carried(date(2026, 5, 1), 10**9)]
    disks.append(Carried(date(2026, 4, 2), 3 * 10**9, taken=True))
    row = bill("gaec_du_moulin", "PS-2026-0042", "2026-04", history, disks)
    assert row is not None
    assert bills_as_csv([row]) == (
        "month;client;reference;days;subscribed_gb;average_gb;highest_gb;over_gb;stored_gb;imported_gb;exported_gb\n"
        "2026-04;gaec_du_moulin;PS-2026-0042;30;100;105.500;120.000;20.000;70.000;42.500;3.000\n"
    )
    assert bill("gaec_du_moulin", "PS-2026-0042", "2026-06", history) is None


def test_one_measured_day_is_billed() -> None:
    row = bill("c", "r", "2026-03", grows(1, 20, 0))
    assert row is not None
    assert (row.days, row.average_gb, row.over_gb) == (1, "20.000", "0.000")
