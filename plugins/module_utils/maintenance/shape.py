"""JSON read as frozen dataclasses, and written from them.

What another machine, or an earlier run, wrote comes through here once: bounded, and of the shape that the
annotations of a dataclass say. From there to the end it is typed. Standard library only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import UTC, date, datetime
from functools import cache
from types import UnionType
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

LONGEST = 1_000_000
"""Characters of a text, and entries of a list or mapping: a file of a terabyte has about as many parts."""
LARGEST = 2**63
"""Of a number: more bytes than there are disks."""
YEARS = range(1900, 9000)
"""Of a day or an instant: in these every time zone has a calendar."""

_SHOWN = 100

Kind = TypeVar("Kind")


class NotOfShape(ValueError):
    """A value is not what its type says. `way` leads to it, as in "servers.srv.last"; empty for the whole."""

    def __init__(self, way: str) -> None:
        shown = way if len(way) <= _SHOWN else f"{way[:_SHOWN]}…"  # the names in it are another's, too
        super().__init__(f'"{shown}" is missing from it, or of another type' if way else "it is none")
        self.way = way


def read(kind: type[Kind], value: Any) -> Kind:
    """The dataclass `kind` from JSON types. Raises NotOfShape.

    A field that has a default may be missing, and what no field asks for is passed over: so what an older or
    newer version wrote is read as far as it is understood.
    """
    return cast(Kind, _read(kind, value, ()))


def as_json(one: Any) -> dict[str, Any]:
    """A dataclass as JSON types, in the order of its fields; `read` takes it back."""
    return cast(dict[str, Any], _plain(one))


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, date):  # a datetime is one, too
        return value.isoformat()
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _read(kind: Any, value: Any, way: tuple[str, ...]) -> Any:
    """A value as what an annotation says."""
    if kind is Any:
        return value
    if isinstance(kind, UnionType):
        inner, _unused = get_args(kind)  # always "… | None"
        return None if value is None else _read(inner, value, way)
    if isinstance(value, (str, list, tuple, dict)) and len(value) > LONGEST:
        raise NotOfShape(".".join(way))
    if is_dataclass(kind) and isinstance(value, Mapping):
        return _fields(cast(type, kind), value, way)
    wanted, inside = get_origin(kind), get_args(kind)
    if wanted is tuple and isinstance(value, (list, tuple)):
        kinds = (inside[0],) * len(value) if inside[-1] is ... else inside
        if len(kinds) == len(value):
            pairs = enumerate(zip(kinds, value, strict=True))
            return tuple(_read(one, item, (*way, str(number))) for number, (one, item) in pairs)
    elif wanted is Mapping and isinstance(value, Mapping):
        return {str(name): _read(inside[1], item, (*way, str(name))) for name, item in value.items()}
    elif kind in (date, datetime) and isinstance(value, str):
        return _moment(kind, value, way)
    elif kind in (str, int, float, bool) and _fits(kind, value):
        return value
    raise NotOfShape(".".join(way))


def _fields(kind: type, value: Mapping[str, Any], way: tuple[str, ...]) -> Any:
    hints, found = _hints(kind), {}
    for field in fields(kind):
        if field.name in value:
            found[field.name] = _read(hints[field.name], value[field.name], (*way, field.name))
        elif field.default is MISSING and field.default_factory is MISSING:
            raise NotOfShape(".".join((*way, field.name)))
    return kind(**found)


def _fits(kind: type, value: Any) -> bool:
    """JSON's true is no number, and its numbers may be none, or without end."""
    if kind in (str, bool):
        return isinstance(value, kind)
    if isinstance(value, int):
        return not isinstance(value, bool) and abs(value) < LARGEST
    return kind is float and isinstance(value, float) and math.isfinite(value)


def _moment(kind: type[date], text: str, way: tuple[str, ...]) -> date:
    """A day, or an instant; one without an offset is taken as UTC."""
    try:
        found = kind.fromisoformat(text)
    except ValueError:
        raise NotOfShape(".".join(way)) from None
    if found.year not in YEARS:
        raise NotOfShape(".".join(way))
    return found.replace(tzinfo=found.tzinfo or UTC) if isinstance(found, datetime) else found
