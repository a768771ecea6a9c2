"""Grafana's dashboard: its questions are PromQL, about metrics that there are, and it can be imported."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import promql_parser
import pytest

from .fleet import client, server
from .test_metrics import samples

DASHBOARD = Path(__file__).resolve().parents[3] / "roles" / "monitor" / "files" / "grafana.json"


@pytest.fixture(scope="module")
def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(DASHBOARD.read_text("utf-8"))
    return found


def selectors(expression: promql_parser.Expr) -> Iterator[promql_parser.VectorSelector]:
    """The metrics that are asked for, wherever in the expression."""
    if isinstance(expression, promql_parser.VectorSelector):
        yield expression
    for name in ("lhs", "rhs", "expr", "args", "param"):
        part = getattr(expression, name, None)
        for one in part if isinstance(part, list) else [part]:
            if isinstance(one, promql_parser.Expr):
                yield from selectors(one)


def test_its_questions_are_about_metrics_and_labels_that_there_are(dashboard: dict[str, Any]) -> None:
    ill = samples(client(server(reachable=False, failure="no answer")))
    there = {name: set().union(*map(dict, of)) for name, of in {**samples(client()), **ill}.items()}
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    found = [one for text in asked for one in selectors(promql_parser.parse(text))]
    assert len(found) >= len(asked)
    for one in found:
        assert one.name in there
        assert {matcher.name for matcher in one.matchers.matchers} <= there[one.name]
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            labels = set().union(*(there[one.name] for one in selectors(promql_parser.parse(target["expr"]))))
            assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= labels, panel["title"]


def test_it_can_be_imported(dashboard: dict[str, Any]) -> None:
    """By what Grafana's page on a dashboard's JSON model asks for."""
    inputs = {f"${{{one['name']}}}" for one in dashboard["__inputs"]}
    known = {one["name"] for one in dashboard["templating"]["list"]}
    text = json.dumps(dashboard)
    assert set(re.findall(r'"uid": "(\$\{\w+\})"', text)) == inputs
    assert set(re.findall(r"\$(\w+)", text)) - {"__all"} == known
    numbers = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(numbers)) == len(numbers)
    assert all(panel["title"] for panel in dashboard["panels"])
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in dashboard["panels"])
    for one, other in combinations((panel["gridPos"] for panel in dashboard["panels"]), 2):
        beside = one["x"] >= other["x"] + other["w"] or other["x"] >= one["x"] + one["w"]
        assert beside or one["y"] >= other["y"] + other["h"] or other["y"] >= one["y"] + one["h"]
