"""The promise C7 in thousands of histories: the checker shares no code with plan, proof or removal."""

from __future__ import annotations

import ast
import inspect
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance import proof, retention
from unit.maintenance import checker
from unit.maintenance.histories import World, live, modules, verdicts

HISTORIES, PARTS = 5000, 5


@pytest.mark.parametrize("part", range(PARTS))
def test_no_history_breaks_the_promise(part: int) -> None:
    """A failure names its seed: `live(seed, ...)` repeats it."""
    code, seen = modules(retention, proof.objections), Counter[str]()
    for seed in range(part, HISTORIES, PARTS):
        world = live(seed, code)
        assert not world.problem, f"history {seed}: {world.problem}"
        seen.update(removed=world.removals, kills=world.kills, judged=world.judged)
    # They are histories of something: versions go, runs are killed, technicians judge.
    assert min(seen["removed"] / 5, seen["kills"], seen["judged"]) > 700, seen


def test_the_proof_and_the_checker_agree_about_any_removal() -> None:
    found = Counter[tuple[bool, bool]]()

    def watch(world: World, now: datetime) -> None:
        found[verdicts(world, now, proof.objections)] += 1

    for seed in range(400):
        live(seed, modules(retention, None), watch)
    assert set(found) == {(True, True), (False, False)}, found
    assert min(found.values()) > 500, found


@pytest.mark.parametrize(
    ("judge", "borrows"), [(checker, set()), (proof, {"Rules", "Snapshot"})], ids=["checker", "proof"]
)
def test_who_judges_the_plan_shares_no_code_with_it(judge: ModuleType, borrows: set[str]) -> None:
    """The proof has the shape of what it is given, and no more."""
    tree = ast.parse(inspect.getsource(judge))
    assert not any(isinstance(node, ast.Import) for node in ast.walk(tree))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    taken = {
        name.name
        for node in imports
        if node.level or str(node.module).partition(".")[0] not in sys.stdlib_module_names
        for name in node.names
    }
    assert taken == borrows


def _wrong_rules(change: Callable[[Any], Any]) -> dict[str, Any]:
    return {"plan": lambda seen, now, rules: retention.plan(seen, now, change(rules))}


def _marks_first(removed: list[str], seen: list[Any]) -> list[tuple[str, ...]]:
    return list(reversed(retention.removal_order(removed, seen)))


def _removes_at_once(seen: list[Any], now: datetime, rules: Any) -> list[Any]:
    """Whatever the promise says, all but the newest ten."""
    old = sorted(seen, key=lambda one: one.time)[:-10]
    return [SimpleNamespace(id=one.id, action=retention.Action.REMOVE) for one in old]


@pytest.mark.parametrize(
    "wrong",
    [
        {"plan": _removes_at_once},
        {"removal_order": _marks_first},
        _wrong_rules(lambda rules: replace(rules, daily=rules.daily - 1)),
        _wrong_rules(lambda rules: replace(rules, weekly=rules.weekly - 1)),
        _wrong_rules(lambda rules: replace(rules, ahead=timedelta(days=60), behind=timedelta(days=60))),
        _wrong_rules(lambda rules: replace(rules, settle=timedelta(0))),
        _wrong_rules(lambda rules: replace(rules, rejected=frozenset())),
        _wrong_rules(
            lambda rules: replace(rules, released=rules.released | rules.rejected, rejected=frozenset())
        ),
    ],
    ids=[
        "ten are enough",
        "marks first",
        "a day short",
        "a week short",
        "any time is believed",
        "no waiting for marks",
        "rejected ones count",
        "rejected ones are released",
    ],
)
def test_the_checker_finds_a_removal_that_is_wrong(wrong: dict[str, Any]) -> None:
    code = modules(retention, None, **wrong)
    assert any(live(seed, code).problem for seed in range(600))
