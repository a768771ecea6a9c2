"""Layers 2 and 3 of the contract's validation: each variable by itself, its type, then its value.

The types, defaults and limits are those of schemas/client.schema.json, which editors use too. What a schema
cannot say well (Windows paths, e-mail, telephone) is checked here. A value marked writeOnly is never printed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, cast

import phonenumbers
from email_validator import EmailNotValidError, validate_email
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.protocols import Validator

from . import windows_paths
from .contract_errors import nearest, one_of
from .contract_files import Way

SCHEMA = Path(__file__).parents[2] / "schemas" / "client.schema.json"

_NOUNS = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "a yes or no",
    "array": "a list",
    "object": "a group of fields",
    "null": "nothing",
}


class Finding(NamedTuple):
    """One mistake in the variables of a server: the way to it, what is wrong, what to do."""

    way: Way
    problem: str
    remedy: str


class Variable(NamedTuple):
    """A variable of the client file, from the schema."""

    name: str
    of_client: bool  # one value for all servers of a client
    required: bool
    secret: bool
    default: Any
    description: str
    validator: Validator


@cache
def variables() -> dict[str, Variable]:
    """All variables of a client file, in the order of the schema."""
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    whole = Draft202012Validator(schema)
    return {
        name: Variable(
            name,
            definition["x-scope"] == "client",
            definition.get("x-required", False),
            definition.get("writeOnly", False),
            definition.get("default"),
            definition["description"],
            whole.evolve(schema=definition),
        )
        for name, definition in schema["$defs"].items()
        if name.startswith("prosecours_")
    }


def unknown(names: Iterable[str], known: Sequence[str]) -> Iterator[Finding]:
    """The variables with our prefix that nothing reads: a misspelt one would leave a default in force."""
    for name in names:
        if name not in known:
            meant = nearest(name, known)
            remedy = (
                f'Did you mean "{meant}"?'
                if meant
                else "Remove it, or see docs/fr/inventaire.md for the names"
            )
            yield Finding((name,), "no such variable", remedy)


def check(given: Mapping[str, Any]) -> tuple[dict[str, Any], list[Finding]]:
    """Values (plain, resolved) -> values with defaults, without those of a wrong type; and what is wrong.

    A variable without value (`prosecours_options:`) counts as not given.
    """
    typed: dict[str, Any] = {}
    findings: list[Finding] = []
    for name, variable in variables().items():
        value = given.get(name)
        if value is None:
            typed[name] = variable.default
        elif wrong := list(mistakes(variable.validator, value, (variable.name,), variable.secret)):
            findings += wrong
        else:
            typed[name] = value
            findings += _value_mistakes(name, value)
    return typed, findings


def missing(given: Mapping[str, Any]) -> Iterator[Finding]:
    """The required variables that have no value."""
    for name, variable in variables().items():
        if variable.required and given.get(name) is None:
            yield Finding((name,), "it is missing, or has no value", f"Add it: {variable.description}")


# Layer 2: types


def validator_of(schema: Path) -> Validator:
    """The validator of a schema's file."""
    return Draft202012Validator(json.loads(schema.read_text(encoding="utf-8")))


def mistakes(validator: Validator, value: Any, at: Way = (), secret: bool = False) -> Iterator[Finding]:
    """What a schema finds wrong with a value that stands `at` a place, in words; a secret is never shown."""
    for error in validator.iter_errors(value):
        way = (*at, *error.absolute_path)
        schema, given = cast(Mapping[str, Any], error.schema), cast(Mapping[str, Any], error.instance)
        if error.validator in ("required", "additionalProperties"):
            # Both are said together, once: a misspelt field is not missing as well.
            if error.validator == "required" and given.keys() <= schema["properties"].keys():
                name = error.message.split("'")[1]
                yield Finding(way, f'"{name}" is missing', f"Add {name}: {_field(schema, name)}")
            elif error.validator == "additionalProperties":
                yield from _wrong_fields(way, given, schema)
        else:
            yield Finding(way, *_said(error, schema, secret))


def _wrong_fields(way: Way, given: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[Finding]:
    absent = [name for name in schema["required"] if name not in given]
    for name in given:
        if name not in schema["properties"]:
            meant = nearest(name, absent)
            if meant:
                absent.remove(meant)
            remedy = f'Did you mean "{meant}"?' if meant else one_of(name, list(schema["properties"]))
            yield Finding((*way, name), "no such field", remedy)
    for name in absent:
        yield Finding(way, f'"{name}" is missing', f"Add {name}: {_field(schema, name)}")


def _field(schema: Mapping[str, Any], name: str) -> str:
    return str(schema["properties"][name].get("description", "a value"))


def _said(error: ValidationError, schema: Mapping[str, Any], secret: bool) -> tuple[str, str]:
    """(problem, remedy) of a JSON Schema error in words."""
    value = "the value" if secret else _shown(error.instance)
    limit: Any = error.validator_value
    own: str | None = schema.get("x-remedy")
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
            return f"{_shown(twice)} is in the list twice", "Keep one of the two lines"
        case _:
            return f"{value} is not of the expected form", own or str(schema.get("description", ""))


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


def _shown(value: Any) -> str:
    if isinstance(value, (dict, list)):
        return "this"
    text = json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else f'"{value}"'
    return text if len(text) <= 80 else f'{text[:78]}…"'


# Layer 3: values


def _value_mistakes(name: str, value: Any) -> Iterator[Finding]:
    if name in _VALUES:
        for way, problem, remedy in _VALUES[name](value):
            yield Finding((name, *way), problem, remedy)


def _contact(contact: Mapping[str, str]) -> Iterator[Finding]:
    try:
        # The domain is not looked up: a check touches no network.
        validate_email(contact["email"], check_deliverability=False)
    except EmailNotValidError as error:
        yield Finding(
            ("email",),
            f"{_shown(contact['email'])} is no e-mail address: {error}",
            "Write it as name@domain.fr",
        )
    if problem := _mobile_problem(contact["mobile"]):
        remedy = 'Write a mobile number in quotes, like "06 12 34 56 78" or "+33 6 12 34 56 78"'
        yield Finding(("mobile",), f"{_shown(contact['mobile'])} {problem}", remedy)


def _mobile_problem(text: str) -> str | None:
    try:
        number = phonenumbers.parse(text, "FR")
    except phonenumbers.NumberParseException:
        return "is no telephone number"
    if not phonenumbers.is_possible_number(number):
        return "does not have the digits of a telephone number"
    if number.country_code == 33:
        # By its first digit: the library's list of allocated blocks lags behind the numbering authority's.
        return None if str(number.national_number)[0] in "67" else "is not the number of a mobile telephone"
    kinds = (phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE)
    return None if phonenumbers.number_type(number) in kinds else "is not the number of a mobile telephone"


def _root(path: str) -> Iterator[Finding]:
    if re.fullmatch(r"[A-Za-z]", path):
        yield Finding((), f'"{path}" is not the root of a drive', f"Write {path.upper()}:\\")
    elif found := windows_paths.problem(path):
        yield Finding((), found.what, found.remedy)


def _office(paths: list[str]) -> Iterator[Finding]:
    for index, path in enumerate(paths):
        if found := windows_paths.problem(path):
            yield Finding((index,), found.what, found.remedy)


def _excludes(patterns: list[str]) -> Iterator[Finding]:
    for index, pattern in enumerate(patterns):
        if re.search(r"[\x00-\x1f\x7f]", pattern) or pattern != pattern.strip():
            yield Finding(
                (index,), "the pattern holds a line end or a space at an end", "Write it on one line"
            )
        elif not pattern.strip("*/\\"):
            yield Finding(
                (index,), f'"{pattern}" excludes everything', "Write what is to be left out, like *.tmp"
            )


_VALUES: dict[str, Callable[[Any], Iterator[Finding]]] = {
    "prosecours_contact_main": _contact,
    "prosecours_contact_substitute": _contact,
    "prosecours_root": _root,
    "prosecours_office": _office,
    "prosecours_excludes": _excludes,
}
