"""JSON read as frozen dataclasses, and written from them.

What another machine, or an earlier run, wrote comes through here once: bounded, and of the shape that the
annotations of a dataclass say. From there to the end it is typed. Standard library only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from dataclasses import MISSING, fields, is_dataclass
from datetime import UTC, date, datetime
from functools import cache
from itertools import repeat
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
Reader = Callable[[Any], Any]
"""Takes JSON types, gives what an annotation says, or raises NotOfShape."""


class NotOfShape(ValueError):
    """A value is not what its type says. `way` leads to it, as in "servers.srv.last"; empty for the whole."""

    def __init__(self, *way: str) -> None:
        self._names = way
        super().__init__()

    def below(self, name: object) -> NotOfShape:
        """The same, seen from one level above, where what was read is called `name`."""
        return NotOfShape(str(name), *self._names)

    @property
    def way(self) -> str:
        return ".".join(self._names)

    def __str__(self) -> str:
        way = self.way
        shown = way if len(way) <= _SHOWN else f"{way[:_SHOWN]}…"  # the names in it are another's, too
        return f'"{shown}" is missing from it, or of another type' if way else "it is none"


def read(kind: type[Kind], value: Any) -> Kind:
    """The dataclass `kind` from JSON types. Raises NotOfShape.

    A field that has a default may be missing, and what no field asks for is passed over: so what an older or
    newer version wrote is read as far as it is understood.
    """
    return cast(Kind, _reader(cast(Any, kind))(value))


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
def _reader(kind: Any) -> Reader:
    """What reads a value as what an annotation says; made once, since a report has a million values."""
    if kind is Any:
        return _as_it_is
    if isinstance(kind, UnionType):
        inner, _unused = get_args(kind)  # always "… | None"
        return _optional(_reader(inner))
    if is_dataclass(kind):
        return _fields(cast(type, kind))
    origin, inside = get_origin(kind), get_args(kind)
    if origin is tuple:
        return _sequence(_reader(inside[0])) if inside[-1] is ... else _parts(*map(_reader, inside))
    if origin is Mapping:
        return _mapping(_reader(inside[1]))
    return _READERS[kind]


def _as_it_is(value: Any) -> Any:
    return value


def _optional(inner: Reader) -> Reader:
    return lambda value: None if value is None else inner(value)


def _fields(kind: type) -> Reader:
    hints = get_type_hints(kind)
    parts = [
        (field.name, _reader(hints[field.name]), field.default is field.default_factory is MISSING)
        for field in fields(kind)
    ]

    def reads(value: Any) -> Any:
        _bounded(value, Mapping)
        found = {}
        for name, reader, required in parts:
            if name in value:
                try:
                    found[name] = reader(value[name])
                except NotOfShape as wrong:
                    raise wrong.below(name) from None
            elif required:
                raise NotOfShape(name)
        return kind(**found)

    return reads


def _sequence(reader: Reader) -> Reader:
    def reads(value: Any) -> tuple[Any, ...]:
        _bounded(value, (list, tuple))
        return tuple(_each(enumerate(value), repeat(reader)))

    return reads


def _parts(*readers: Reader) -> Reader:
    def reads(value: Any) -> tuple[Any, ...]:
        _bounded(value, (list, tuple))
        if len(value) != len(readers):
            raise NotOfShape
        return tuple(_each(enumerate(value), readers))

    return reads


def _mapping(reader: Reader) -> Reader:
    def reads(value: Any) -> dict[str, Any]:
        _bounded(value, Mapping)
        return dict(zip(map(str, value), _each(value.items(), repeat(reader)), strict=True))

    return reads


def _each(items: Iterable[tuple[Any, Any]], readers: Iterable[Reader]) -> Iterator[Any]:
    for (name, item), reader in zip(items, readers, strict=False):  # one reader may be enough for all
        try:
            yield reader(item)
        except NotOfShape as wrong:
            raise wrong.below(name) from None


def _bounded(value: Any, kind: type[Sized] | tuple[type[Sized], ...]) -> None:
    if not isinstance(value, kind) or len(value) > LONGEST:
        raise NotOfShape


def _text(value: Any) -> Any:
    _bounded(value, str)
    return value


def _truth(value: Any) -> Any:
    if isinstance(value, bool):
        return value
    raise NotOfShape


def _whole(value: Any) -> Any:
    """JSON's true is no number, and its numbers may be without end."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < LARGEST:
        return value
    raise NotOfShape


def _number(value: Any) -> Any:
    return value if isinstance(value, float) and math.isfinite(value) else _whole(value)


def _moment(kind: type[date]) -> Reader:
    """A day, or an instant; one without an offset is taken as UTC."""

    def reads(value: Any) -> date:
        _bounded(value, str)
        try:
            found = kind.fromisoformat(value)
        except ValueError:
            raise NotOfShape from None
        if found.year not in YEARS:
            raise NotOfShape
        if isinstance(found, datetime) and found.tzinfo is None:
            return found.replace(tzinfo=UTC)
        return found

    return reads


_READERS: Mapping[Any, Reader] = {
    str: _text,
    bool: _truth,
    int: _whole,
    float: _number,
    date: _moment(date),
    datetime: _moment(datetime),
}
