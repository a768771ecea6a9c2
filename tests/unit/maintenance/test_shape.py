"""JSON of another machine, or of an earlier run, as dataclasses: what passes, what is refused, and where."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.model import Status
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.shape import (
    LONGEST,
    NotOfShape,
    as_json,
    read,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.documents import fleet


@dataclass(frozen=True)
class Part:
    at: datetime
    day: date | None


@dataclass(frozen=True)
class Whole:
    name: str
    count: int
    share: float
    ok: bool
    parts: Mapping[str, Part]
    pairs: tuple[tuple[str, int], ...] = ()
    anything: Mapping[str, Any] = field(default_factory=dict)


GOOD: dict[str, Any] = {
    "name": "é",
    "count": 3,
    "share": 0.5,
    "ok": True,
    "parts": {"a": {"at": "2026-11-24T09:00:00+01:00", "day": "2026-11-24"}},
    "pairs": [["x", 1]],
    "anything": {"deep": [{"er": None}]},
}


def test_there_and_back() -> None:
    whole = read(Whole, GOOD)
    assert whole.parts["a"].at == datetime(2026, 11, 24, 8, tzinfo=UTC)
    assert whole.parts["a"].at.utcoffset() == timedelta(hours=1), "its own offset"
    assert (whole.parts["a"].day, whole.pairs) == (date(2026, 11, 24), (("x", 1),))
    assert as_json(whole) == GOOD
    assert read(Whole, json.loads(json.dumps(as_json(whole)))) == whole


def test_of_an_older_version_a_part_is_missing_and_of_a_newer_one_there_is_more() -> None:
    older = {name: value for name, value in GOOD.items() if name not in ("pairs", "anything")}
    assert read(Whole, older) == read(Whole, {**GOOD, "pairs": [], "anything": {}})
    assert read(Whole, {**GOOD, "colour": "red"}) == read(Whole, GOOD)


def test_an_instant_without_an_offset_is_utc() -> None:
    found = read(Part, {"at": "2026-11-24T09:00:00", "day": None})
    assert found.at == datetime(2026, 11, 24, 9, tzinfo=timezone(timedelta(0)))


@pytest.mark.parametrize(
    ("wrong", "way"),
    [
        ({"name": 3}, "name"),
        ({"name": None}, "name"),
        ({"name": "x" * (LONGEST + 1)}, "name"),
        ({"count": True}, "count"),
        ({"count": 3.0}, "count"),
        ({"count": 2**63}, "count"),
        ({"share": float("nan")}, "share"),
        ({"share": float("inf")}, "share"),
        ({"share": 10**400}, "share"),
        ({"ok": 1}, "ok"),
        ({"parts": [1]}, "parts"),
        ({"parts": {"a": 1}}, "parts.a"),
        ({"parts": {"a": {"at": "2026-11-24T09:00:00Z"}}}, "parts.a.day"),
        ({"parts": {"a": {"at": "yesterday", "day": None}}}, "parts.a.at"),
        ({"parts": {"a": {"at": "0001-01-01T00:00:00+14:00", "day": None}}}, "parts.a.at"),
        ({"parts": {"a": {"at": "9999-12-31T23:59:59-14:00", "day": None}}}, "parts.a.at"),
        ({"pairs": [["x", 1], ["y"]]}, "pairs.1"),
        ({"pairs": "xy"}, "pairs"),
        ({"pairs": [["x", 1]] * (LONGEST + 1)}, "pairs"),
    ],
)
def test_what_is_not_of_the_shape_is_named(wrong: dict[str, Any], way: str) -> None:
    with pytest.raises(NotOfShape, match=re.escape(f'"{way}" is missing from it, or of another type')):
        read(Whole, {**GOOD, **wrong})


def test_a_name_that_another_wrote_does_not_fill_the_sentence() -> None:
    with pytest.raises(NotOfShape) as caught:
        read(Whole, {**GOOD, "parts": {"x" * 100_000: 1}})
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("value", [None, [], "x", 3])
def test_what_is_none_at_all(value: Any) -> None:
    with pytest.raises(NotOfShape, match=r"^it is none$"):
        read(Whole, value)


STATUS = fleet.report(1)["clients"][0]["repository"]
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=300)
@given(part=st.sampled_from(sorted(STATUS)), value=json_values, deep=st.booleans())
def test_whatever_a_repository_host_says_is_a_status_or_is_refused(part: str, value: Any, deep: bool) -> None:
    """Never any other exception, and what passes can be told again."""
    told = {**STATUS, part: value}
    if deep and isinstance(STATUS[part], dict) and STATUS[part]:
        told[part] = {**STATUS[part], min(STATUS[part]): value}
    try:
        status = read(Status, told)
    except NotOfShape:
        return
    assert read(Status, json.loads(json.dumps(as_json(status)))) == status
