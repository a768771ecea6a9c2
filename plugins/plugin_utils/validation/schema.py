"""What a JSON Schema finds wrong, said in words with a remedy; a value that is secret is never shown."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict, cast

from ..libraries import from_pypi
from ..wording import nearest, one_of
from .mistakes import Mistake, Way

with from_pypi():
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import ValidationError
    from jsonschema.protocols import Validator


_NOUNS = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "a yes or no",
    "array": "a list",
    "object": "a group of fields",
    "null": "nothing",
}


Schema = TypedDict(
    "Schema",
    {
        "properties": Mapping[str, "Schema"],
        "required": Sequence[str],
        "description": str,
        "x-remedy": str,
    },
    total=False,
)
"""What is read of a JSON Schema beside what jsonschema makes of it; `x-remedy` is this project's own."""


def validator_of(schema: Path) -> Validator:
    """The validator of a schema's file."""
    return Draft202012Validator(json.loads(schema.read_text(encoding="utf-8")))


def mistakes(validator: Validator, value: Any, at: Way = (), secret: bool = False) -> Iterator[Mistake]:
    """What a schema finds wrong with a value that stands `at` a place, in words; a secret is never shown."""
    for error in validator.iter_errors(value):
        way = (*at, *error.absolute_path)
        schema = cast(Schema, error.schema)
        if error.validator in ("required", "additionalProperties"):
            # Both are said together, once: a misspelt field is not missing as well.
            given = list(cast(Iterable[str], error.instance))
            if error.validator == "required" and schema["properties"].keys() >= {*given}:
                name = error.message.split("'")[1]
                yield Mistake(way, f'"{name}" is missing', f"Add {name}: {_field(schema, name)}")
            elif error.validator == "additionalProperties":
                yield from _wrong_fields(way, given, schema)
        else:
            yield Mistake(way, *_said(error, schema, secret))


def _wrong_fields(way: Way, given: Sequence[str], schema: Schema) -> Iterator[Mistake]:
    absent = [name for name in schema["required"] if name not in given]
    for name in given:
        if name not in schema["properties"]:
            meant = nearest(name, absent)
            if meant:
                absent.remove(meant)
            remedy = f'Did you mean "{meant}"?' if meant else one_of(name, list(schema["properties"]))
            yield Mistake((*way, name), "no such field", remedy)
    for name in absent:
        yield Mistake(way, f'"{name}" is missing', f"Add {name}: {_field(schema, name)}")


def _field(schema: Schema, name: str) -> str:
    return schema["properties"][name].get("description", "a value")


def _said(error: ValidationError, schema: Schema, secret: bool) -> tuple[str, str]:
    """(problem, remedy) of a JSON Schema error in words."""
    value = "the value" if secret else shown(error.instance)
    limit: Any = error.validator_value
    own = schema.get("x-remedy")
    match error.validator:
        case "type":
            return _wrong_type(error.instance, limit, value, own)
        case "enum":
            return f"{value} is unknown", one_of(str(error.instance), limit)
        case "minLength" | "minItems":
            return "it is empty", own or "Write a value, or remove the line"
        case "maxLength":
            return f"it is longer than {limit} characters", own or "Shorten it"
        case "minimum":
            return f"{value} is less than {limit}", own or f"Write {limit} or more"
        case "exclusiveMinimum":
            return f"{value} is not more than {limit}", own or f"Write more than {limit}"
        case "maximum":
            return f"{value} is more than {limit}", own or f"Write {limit} or less"
        case "uniqueItems":
            items = cast(list[Any], error.instance)
            twice = next(item for index, item in enumerate(items) if item in items[:index])
            return f"{shown(twice)} is in the list twice", "Keep one of the two lines"
        case _:
            return f"{value} is not of the expected form", own or schema.get("description", "")


def _wrong_type(value: Any, expected: str | list[str], shown: str, own: str | None) -> tuple[str, str]:
    kinds = [expected] if isinstance(expected, str) else [kind for kind in expected if kind != "null"]
    if value is None:
        return "it has no value", own or f"Write {_NOUNS[kinds[0]]}"
    if kinds[0] == "string" and isinstance(value, int) and own and "quotes" in own and 600 <= value < 1440:
        # YAML 1.1 takes 22:00 for a number to the base of 60.
        time = f"{value // 60:02}:{value % 60:02}"
        return f"without quotes, {time} is the number {value} in YAML", f'Write "{time}", with the quotes'
    problem = f"{shown} is {_kind(value)}, not {_NOUNS[kinds[0]]}"
    if kinds[0] == "string" and not isinstance(value, (dict, list)):
        return problem, "Write it in quotes"
    if kinds[0] in ("integer", "number") and isinstance(value, str) and re.fullmatch(r"\s*\d+\s*", value):
        return problem, "Write the number without quotes"
    if kinds[0] == "array":
        return problem, "Write one line for each entry, beginning with a hyphen and a space"
    return problem, own or f"Write {_NOUNS[kinds[0]]}"


def _kind(value: Any) -> str:
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return _NOUNS[kinds.get(type(value), "null")]


def shown(value: Any) -> str:
    if isinstance(value, (dict, list)):
        return "this"
    text = json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else f'"{value}"'
    return text if len(text) <= 80 else f'{text[:78]}…"'
