"""Plan and proof, each with one mistake: the checker or a unit test finds every one of them.

A mutant is a text in a file and what stands there instead, in memory only. Where the text no longer stands
there, the mutant has to be written anew, with what it was there for.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance import proof, retention
from unit.maintenance import test_promise
from unit.maintenance.histories import World, live, modules, verdicts

MOST = 150
"""Histories for each mutant; most die in the first ten."""
PLAN = [
    ("a day short", "day > reference - rules.daily:", "day > reference - rules.daily + 1:"),
    ("a week short", "WEEK * (rules.weekly - 1) - 1, -1)", "WEEK * (rules.weekly - 2) - 1, -1)"),
    ("the weeks of one day", "(rules.weekly - 1) - 1, -1):", "(rules.weekly - 1) - 1, -WEEK):"),
    ("the newest of a week", "for day in week:", "for day in reversed(week):"),
    ("no week", "if served.isdisjoint(week):", "if False:"),
    ("files are not looked at", "yield from ([candidates", "yield from () and ([candidates"),
    ("paths that all have", "candidate.paths - common", "candidate.paths & common"),
    ("paths that one has", "frozenset.intersection(*", "frozenset.union(*"),
    ("nothing waits for its mark", "version.arrival <= now - rules.settle]", "version.arrival <= now]"),
    ("a loss serves a week", "if version.id not in lost]", "]"),
    ("incomplete ones do not count", "in (honest, whole, settled):", "in (honest, whole):"),
    ("incomplete ones count as complete", "in (honest, whole, settled):", "in (settled,):"),
    (
        "rejected ones count",
        "return snapshot.id not in rules.rejected and disagreement",
        "return disagreement",
    ),
    ("any time is believed", "and disagreement(snapshot, rules) is None", ""),
    ("days pass in silence", "reference = min(today, days[candidates[-1].id])", "reference = today"),
    ("what is set aside goes unjudged", "if judged and over else", "if over else"),
    ("what was judged goes at once", "if judged and over else", "if judged else"),
    ("a loss holds by its time only", "older.arrival <= last_arrival.arrival", "False"),
    ("a loss holds by its arrival only", "older.time <= last_time.time", "False"),
    ("marks first", "for last in (False, True))", "for last in (True, False))"),
    ("marks of what stays go", "or marked.action is Action.REMOVE", "or marked.action is not Action.KEEP"),
    ("days of Greenwich", 'ZoneInfo("Europe/Paris")', 'ZoneInfo("UTC")'),
]
PROOF = [
    ("the first of a day", "versions[number][-1] in removed", "versions[number][0] in removed"),
    ("a day short", "range(day - rules.daily + 1, day + 1)", "range(day - rules.daily + 2, day + 1)"),
    ("a week short", "range(day, day - 7 * rules.weekly, -7)", "range(day, day - 7 * rules.weekly + 7, -7)"),
    ("today only", "newest + max(rules.daily, 7 * rules.weekly) + 1)", "first + 1)"),
    (
        "files are not looked at",
        "in sorted(having.items())",
        "in () and sorted(having.items())",
    ),
    (
        "other files",
        "having.setdefault(path, []).append(one.id)",
        "having[path] = [one.id]",
    ),
    (
        "all files at once",
        'groups: dict[tuple[str, ...], str] = {tuple(one.id for one in by_time): ""}',
        "groups = {}",
    ),
    ("a loss serves a week", "if one.complete and one.id not in lost]", "if one.complete]"),
    ("incomplete ones count as complete", "filter(None, (honest, settled))", "filter(None, (settled,))"),
    ("incomplete ones do not count", "filter(None, (honest, settled))", "filter(None, (honest,))"),
    ("what has just arrived may go", "if one.id in removed and one.arrival > now - rules.settle", "if False"),
    ("nothing waits for its mark", "if one.arrival <= now - rules.settle]", "if one.arrival <= now]"),
    (
        "rejected ones count",
        "if _agrees(one, rules) and one.id not in rules.rejected]",
        "if _agrees(one, rules)]",
    ),
    (
        "what is set aside goes unjudged",
        "if one.id not in rules.released and one.id not in rules.rejected:",
        "if 0:",
    ),
    ("what was judged goes at once", "< max(rules.daily, 7 * rules.weekly):", "< 0:"),
    ("a loss holds by its time only", "or one.arrival <= loss.arrival", ""),
    ("a loss holds by its arrival only", "one.time <= loss.time or", ""),
    ("marks may go first", "one.id in gone and one.marks in here - gone", "False"),
    ("days pass in silence", "first = min(today, max([newest, *passed]))", "first = today"),
    (
        "a clock that is behind",
        "one.arrival - one.time <= rules.behind",
        "one.arrival - one.time <= rules.ahead",
    ),
]
UNIT = [
    test
    for name, test in vars(test_promise).items()
    if name.startswith("test_") and not inspect.signature(test).parameters
    if "thousands" not in (test.__doc__ or "").lower()  # too slow for so many mutants
]


def mutated(module: ModuleType, old: str, new: str) -> ModuleType:
    """The module with another text; imports stay those of the real one."""
    source = Path(inspect.getfile(module)).read_text("utf-8")
    assert source.count(old) == 1, f"{module.__name__}: {old!r} stands there {source.count(old)} times"
    copy = ModuleType(f"{module.__name__}_mutant")
    copy.__package__ = module.__package__
    sys.modules[copy.__name__] = copy  # dataclasses look their module up
    try:
        exec(compile(source.replace(old, new), inspect.getfile(module), "exec"), vars(copy))  # noqa: S102
    finally:
        del sys.modules[copy.__name__]
    return copy


@contextmanager
def in_the_unit_tests(**names: Any) -> Iterator[None]:
    before = {name: getattr(test_promise, name) for name in names}
    vars(test_promise).update(names)
    try:
        yield
    finally:
        vars(test_promise).update(before)


def a_unit_test_fails(**names: Any) -> bool:
    with in_the_unit_tests(**names):
        for test in UNIT:
            try:
                test()
            except Exception:
                return True
    return False


def the_checker_finds(plan: ModuleType, most: int = MOST) -> bool:
    return any(live(seed, modules(plan, None)).problem for seed in range(most))


def the_checker_disagrees(mutant: ModuleType, most: int = MOST) -> bool:
    disagreed = False

    def watch(world: World, now: datetime) -> None:
        nonlocal disagreed
        if not disagreed:
            proof_objects, checker_objects = verdicts(world, now, mutant.objections)
            disagreed = proof_objects is not checker_objects

    for seed in range(most):
        live(seed, modules(retention, None), watch)
        if disagreed:
            return True
    return False


def test_the_code_as_it_is_survives() -> None:
    """With the same histories and tests: none of them fails by itself."""
    plan, right = (
        mutated(retention, "PARIS = ", "PARIS = "),
        mutated(proof, 'Europe/Paris")', 'Europe/Paris")'),
    )
    names = {
        name: getattr(plan, name) for name in ("Action", "Decision", "Rules", "Snapshot", "plan", "day_of")
    }
    assert len(UNIT) > 15
    assert not a_unit_test_fails(**names)
    assert not a_unit_test_fails(objections=right.objections)
    assert not the_checker_finds(plan, 60)
    assert not the_checker_disagrees(right, 60)


@pytest.mark.parametrize(("old", "new"), [one[1:] for one in PLAN], ids=[one[0] for one in PLAN])
def test_no_mistake_in_the_plan_survives(old: str, new: str) -> None:
    plan = mutated(retention, old, new)
    names = {
        name: getattr(plan, name) for name in ("Action", "Decision", "Rules", "Snapshot", "plan", "day_of")
    }
    assert a_unit_test_fails(**names) or the_checker_finds(plan)


@pytest.mark.parametrize(("old", "new"), [one[1:] for one in PROOF], ids=[one[0] for one in PROOF])
def test_no_mistake_in_the_proof_survives(old: str, new: str) -> None:
    mutant = mutated(proof, old, new)
    assert a_unit_test_fails(objections=mutant.objections) or the_checker_disagrees(mutant)


def test_a_mutant_whose_text_is_gone_is_told() -> None:
    with pytest.raises(AssertionError, match="stands there 0 times"):
        mutated(retention, "no such text", "")
