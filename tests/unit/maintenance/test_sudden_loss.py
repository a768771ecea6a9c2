"""What counts as a sudden loss, and what a working client may do."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance import sudden_loss
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.sudden_loss import (
    Compared,
    Measure,
)

MB = 10**6


def losses(nights: Sequence[Measure]) -> list[tuple[str, ...]]:
    """One version a day, each against the one before."""
    return sudden_loss.losses(Compared(day, (one,), (day - 1,)) for day, one in enumerate(nights))


def night(
    changed: int = 10,
    removed: int = 0,
    entries: int = 1000,
    size: int = 500 * MB,
    before: tuple[int, int] = (1000, 500 * MB),
    gone: tuple[str, ...] = (),
) -> Measure:
    return Measure(entries, size, "before", *before, changed, removed, gone)


FIRST = Measure(1000, 500 * MB)


def last(*nights: Measure) -> tuple[str, ...]:
    return losses([FIRST, *nights])[-1]


@pytest.mark.parametrize(
    ("one", "phrase"),
    [
        (night(), None),
        (night(changed=399), None),
        (night(changed=400), "400 files changed and 0 went of 1000"),
        (night(changed=100, removed=350), "100 files changed and 350 went of 1000"),
        (night(entries=499), "499 entries of 500.0 MB are left of 1000 of 500.0 MB"),
        (night(size=249 * MB), "1000 entries of 249.0 MB are left of 1000 of 500.0 MB"),
        (night(size=12 * 10**9), None),
        (night(gone=(r"D:\Bureautique",)), r"D:\Bureautique is gone"),
    ],
)
def test_what_is_a_loss(one: Measure, phrase: str | None) -> None:
    assert last(night(), night(), one) == ((phrase,) if phrase else ())


def test_the_first_version_has_lost_nothing() -> None:
    assert losses([FIRST]) == [()]


def test_an_empty_version_is_a_loss_and_what_follows_it_is_none() -> None:
    empty = night(entries=1, size=0, removed=990)
    again = Measure(1, 0, "empty", 1, 0, 0, 0)
    assert [bool(found) for found in losses([FIRST, night(), empty, again])] == [False, False, True, False]


def test_where_everything_changes_every_night_the_first_week_is_told() -> None:
    """Folders of dumps: each night all are new. After seven nights that is usual, and not before."""
    found = losses([FIRST, *[night(changed=900)] * 9])
    assert [bool(one) for one in found] == [False, *[True] * 7, False, False]


def test_one_large_file_counts_as_what_it_is() -> None:
    one = Measure(1000, 500 * MB, "before", 1000, 500 * MB, 1, 0, (), 300 * MB)
    assert last(*[night()] * 8, one) == ("1 files changed and 0 went of 1000, 300.0 MB of 500.0 MB vanished",)


def test_small_steps_show_against_the_oldest_and_slow_change_does_not() -> None:
    calm = [Compared(day, (FIRST if day == 0 else night(),), (day - 1,)) for day in range(9)]
    step = Compared(9, (night(changed=390), night(changed=610)), (8, 2))
    slow = Compared(9, (night(changed=10), night(changed=60)), (8, 2))
    assert [bool(sudden_loss.losses([*calm, one])[-1]) for one in (step, slow)] == [True, False]


def test_eleven_backups_of_an_evening_make_nothing_usual() -> None:
    calm = [Compared(day, (FIRST if day == 0 else night(),), (day - 1,)) for day in range(9)]
    evening = [
        Compared(9, (night(changed=390), night(changed=min(1000, 390 * n))), (9, 8), 1) for n in range(1, 12)
    ]
    found = sudden_loss.losses([*calm, *evening])
    assert all(found[-10:])


def test_two_bad_nights_do_not_become_usual() -> None:
    nights = [night()] * 10 + [night(changed=900)] * 2
    assert [bool(one) for one in losses([FIRST, *nights])][-2:] == [True, True]


def test_growth_is_no_loss() -> None:
    sizes = [100 * MB * 2**n for n in range(8)]
    nights = [night(size=after, before=(1000, before)) for before, after in pairwise(sizes)]
    assert not any(losses([FIRST, *nights]))
