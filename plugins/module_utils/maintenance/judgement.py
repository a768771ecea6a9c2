"""What a restore is told of a server's versions by the repository host: which are believed, and why not.

It alone knows when each arrived and what technicians said of it, and reads a version's folders before anybody
restores them. The judgement is the one that retention goes by. Nothing is changed, and no lock is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from .client import Order, judged, put_aside
from .repository import Repository
from .retention import REJECTED, counts, disagreement
from .state import State
from .trees import TooLong

SECONDS = 1800.0
"""For all folders of a version."""


@dataclass(frozen=True)
class Judged:
    """One version."""

    id: str
    time: datetime
    complete: bool
    against: str | None
    """Why nothing of it is to be restored; None: nothing."""
    losses: tuple[str, ...]
    """How it is a sudden loss that no technician has released: it may be what ransomware left."""


def versions(order: Order, repository: Repository, state: State) -> tuple[Judged, ...]:
    """All of a server's, by time, without marks and what was set aside for its folders.

    Raises RepositoryError, Unreadable.
    """
    rules = judged(order.rules, state.judgements())
    report = state.report()
    losses = report.losses
    with repository.admitted(state.remembered(), writable=False) as (seen, admission):
        put_aside(admission, report.aside)
        found = (one for one in seen.snapshots() if one.marks is None)
        return tuple(
            Judged(
                one.id,
                one.time,
                one.complete,
                None if counts(one, rules) else disagreement(one, rules) or REJECTED,
                () if one.id in rules.released else tuple(losses.get(one.id, ())),
            )
            for one in sorted(found, key=lambda one: (one.time, one.id))
        )


def objection(repository: Repository, state: State, version: str, bare: Sequence[str]) -> str | None:
    """Why the folders of a version are not to be restored, as a phrase; `bare` as Trees.objection has it.

    Raises RepositoryError, Unreadable.
    """
    with repository.admitted(state.remembered(), writable=False) as (seen, _unused):
        trees = [one.tree for one in seen.snapshots() if one.id == version]
        if not trees or seen.trees is None:
            return "it is not there any more"
        try:
            return seen.trees.objection(trees[0], SECONDS, bare)
        except TooLong:
            return f"its folders could not all be read within {SECONDS:.0f} s"
