"""Layers 2 and 3 of the contract's validation: each variable by itself, its type, then its value.

The types, defaults and limits are those of schemas/client.schema.json, which editors use too. What a schema
cannot say well (Windows paths, e-mail, telephone) is checked here. A value marked writeOnly is never printed.
What the roles take besides is checked once for all servers too: were it left to the roles, Ansible would
start a process for each role of each server, so the playbooks switch that off (rolespec_validate).
"""

from __future__ import annotations

import ipaddress
import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from functools import cache
from typing import Any, NamedTuple

from ..files import COLLECTION
from ..libraries import from_pypi
from ..validation.lines import read_yaml
from ..validation.mistakes import Mistake, Way
from ..validation.schema import mistakes, shown
from ..windows import paths as windows_paths
from ..wording import nearest

with from_pypi():
    import phonenumbers
    from email_validator import EmailNotValidError, validate_email
    from jsonschema import Draft202012Validator
    from jsonschema.protocols import Validator


Values = Mapping[str, Any]
"""A server's variables by name, as the inventory has them: what the schema is asked about."""

SCHEMA = COLLECTION / "schemas" / "client.schema.json"


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


class Setting(NamedTuple):
    """A variable of a role, from its meta/argument_specs.yml."""

    type: str
    secret: bool
    validator: Validator


_TAKEN = {
    "bool": ["boolean"],
    "dict": ["object", "string"],
    "float": ["number"],
    "int": ["integer"],
    "list": ["array", "string", "number"],
    "path": ["string"],
    "str": ["string", "number", "boolean"],
}
"""What an option's type is in a schema, with what Ansible makes such a value of."""
_TRUE, _FALSE = ("yes", "true", "on", "1"), ("no", "false", "off", "0")


@cache
def settings() -> dict[str, Setting]:
    """All variables that the roles take."""
    found = {}
    for path in sorted(COLLECTION.glob("roles/*/meta/argument_specs.yml")):
        points = (read_yaml(path.read_text(encoding="utf-8")) or {}).get("argument_specs", {})
        for point in points.values():
            for name, option in (point.get("options") or {}).items():
                kind = option.get("type", "str")
                schema = {"type": _TAKEN[kind]} if kind in _TAKEN else {}
                if "choices" in option:
                    schema["enum"] = option["choices"]
                secret = option.get("no_log", False)
                found[name] = Setting(kind, secret, Draft202012Validator(schema))
    return found


def check_settings(given: Values) -> Iterator[Mistake]:
    """What is wrong with the values of the roles' own variables. One without value counts as not given."""
    for name, setting in settings().items():
        value = given.get(name)
        if value is not None and name not in variables():
            meant = _meant(setting.type, value)
            yield from mistakes(setting.validator, meant, (name,), setting.secret)


def _meant(kind: str, value: Any) -> Any:
    """What Ansible makes of a text, which is all that `-e name=value` gives."""
    if isinstance(value, str):
        if kind in ("int", "float") and re.fullmatch(r"-?\d+", value.strip()):
            return int(value)
        if kind == "bool" and value.lower() in (*_TRUE, *_FALSE):
            return value.lower() in _TRUE
    return value


def unknown(names: Iterable[str], known: Sequence[str]) -> Iterator[Mistake]:
    """The variables with our prefix that nothing reads: a misspelt one would leave a default in force."""
    for name in names:
        if name not in known:
            meant = nearest(name, known)
            remedy = (
                f'Did you mean "{meant}"?'
                if meant
                else "Remove it, or see docs/fr/inventaire.md for the names"
            )
            yield Mistake((name,), "no such variable", remedy)


def check(given: Values) -> tuple[dict[str, Any], list[Mistake]]:
    """Values (plain, resolved) -> values with defaults, without those of a wrong type; and what is wrong.

    A variable without value (`prosecours_options:`) counts as not given.
    """
    typed: dict[str, Any] = {}
    found: list[Mistake] = []
    for name, variable in variables().items():
        value = given.get(name)
        if value is None:
            typed[name] = variable.default
        elif wrong := list(mistakes(variable.validator, value, (variable.name,), variable.secret)):
            found += wrong
        else:
            typed[name] = value
            if not variable.secret:
                found += _word_processed(value, (name,))
            found += _value_mistakes(name, value)
    return typed, found


def missing(given: Values) -> Iterator[Mistake]:
    """The required variables that have no value."""
    for name, variable in variables().items():
        if variable.required and given.get(name) is None:
            yield Mistake((name,), "it is missing, or has no value", f"Add it: {variable.description}")


# -- layer 3: values ------------------------------------------------------------------------------------


def _value_mistakes(name: str, value: Any) -> Iterator[Mistake]:
    if name in _VALUES:
        for way, problem, remedy in _VALUES[name](value):
            yield Mistake((name, *way), problem, remedy)


_BLANKS = " \t\u00a0\u2007\u202f"
_QUOTES = {"«": "»", "\u201c": "\u201d", "\u201e": "\u201c", "\u2018": "\u2019", "‹": "›"}


def _word_processed(value: Any, way: Way) -> Iterator[Mistake]:
    """A value that was copied from a letter brings what the letter put around it."""
    match value:
        case dict():
            for key, item in value.items():
                yield from _word_processed(item, (*way, key))
        case list():
            for index, item in enumerate(value):
                yield from _word_processed(item, (*way, index))
        case str() if value != value.strip(_BLANKS):
            kind = "a space" if value != value.strip(" ") else "a no-break space or a tab"
            yield Mistake(way, f"it begins or ends with {kind}", f'Write "{value.strip(_BLANKS)}"')
        case str() if value and _QUOTES.get(value[0]) == value[-1] and value[-1] not in value[1:-1]:
            problem = f"the quotation marks {value[0]} {value[-1]} are part of it: YAML knows only \" and '"
            yield Mistake(way, problem, f'Write "{value[1:-1].strip(_BLANKS)}"')


def reached(host: str, given: Values) -> Iterator[Mistake]:
    """Where a server is reached; Ansible would find what is wrong there only when it calls."""
    name, port = "ansible_host", given.get("ansible_port")
    address = str(given.get(name) or host)
    if given.get(name) is None and "." not in host:
        yield Mistake((name,), "it is missing, or has no value", "Add the server's address or its DNS name")
    elif re.fullmatch(r"[\d.]+", address):
        if not _is_ip(address):
            remedy = "Write four numbers from 0 to 255 with dots between them"
            yield Mistake((name,), f'"{address}" is no IP address', remedy)
    elif not re.fullmatch(r"[\w-]+(\.[\w-]+)*\.?", address) and not _is_ip(address):
        yield Mistake((name,), f'"{address}" is no address', "Write the IP address or DNS name alone")
    if port is not None and not (re.fullmatch(r"\d{1,5}", str(port)) and 1 <= int(port) <= 65535):
        yield Mistake(("ansible_port",), f"{shown(port)} is no port", "Write a number from 1 to 65535")


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _contact(contact: Mapping[str, str]) -> Iterator[Mistake]:
    try:
        # The domain is not looked up: a check touches no network.
        validate_email(contact["email"], check_deliverability=False)
    except EmailNotValidError as error:
        yield Mistake(
            ("email",),
            f"{shown(contact['email'])} is no e-mail address: {error}",
            "Write it as name@domain.fr",
        )
    if problem := _mobile_problem(contact["mobile"]):
        remedy = 'Write a mobile number in quotes, like "06 12 34 56 78" or "+33 6 12 34 56 78"'
        yield Mistake(("mobile",), f"{shown(contact['mobile'])} {problem}", remedy)


def _mobile_problem(text: str) -> str | None:
    try:
        number = phonenumbers.parse(text, "FR")
    except phonenumbers.NumberParseException:
        return "is no telephone number"
    if not phonenumbers.is_possible_number(number):
        return "does not have the digits of a telephone number"
    if number.country_code == 33:
        if number.italian_leading_zero:  # one digit less than there should be, which is right in Italy only
            return "does not have the digits of a telephone number"
        # By its first digit: the library's list of allocated blocks lags behind the numbering authority's.
        return None if str(number.national_number)[0] in "67" else "is not the number of a mobile telephone"
    kinds = (phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE)
    return None if phonenumbers.number_type(number) in kinds else "is not the number of a mobile telephone"


def _signed(signed: Mapping[str, str]) -> Iterator[Mistake]:
    yield from _day(signed["date"])


def _day(text: str) -> Iterator[Mistake]:
    try:
        date.fromisoformat(text)
    except ValueError:
        yield Mistake(("date",), f"there is no day {shown(text)}", "Write it like 2026-11-27")


def _retired(servers: Mapping[str, Mapping[str, str]]) -> Iterator[Mistake]:
    for server, left in servers.items():
        yield from (one._replace(way=(server, *one.way)) for one in _day(left["date"]))


def _root(path: str) -> Iterator[Mistake]:
    if re.fullmatch(r"[A-Za-z]", path):
        yield Mistake((), f'"{path}" is not the root of a drive', f"Write {path.upper()}:\\")
    elif found := windows_paths.problem(path):
        yield Mistake((), found.what, found.remedy)


def _office(paths: list[str]) -> Iterator[Mistake]:
    for index, path in enumerate(paths):
        if found := windows_paths.problem(path):
            yield Mistake((index,), found.what, found.remedy)
        elif unicodedata.normalize("NFC", path) != path:
            problem = "its accents are letters of their own, as a Mac writes them: no such folder is found"
            yield Mistake((index,), problem, "Type the name again, or copy it from the server's Explorer")


def _excludes(patterns: list[str]) -> Iterator[Mistake]:
    for index, pattern in enumerate(patterns):
        if re.search(r"[\x00-\x1f\x7f]", pattern) or pattern != pattern.strip():
            yield Mistake(
                (index,), "the pattern holds a line end or a space at an end", "Write it on one line"
            )
        elif not pattern.strip("*/\\"):
            yield Mistake(
                (index,), f'"{pattern}" excludes everything', "Write what is to be left out, like *.tmp"
            )


_VALUES: dict[str, Callable[[Any], Iterator[Mistake]]] = {
    "prosecours_contact_main": _contact,
    "prosecours_contact_substitute": _contact,
    "prosecours_signed": _signed,
    "prosecours_retired_servers": _retired,
    "prosecours_root": _root,
    "prosecours_office": _office,
    "prosecours_excludes": _excludes,
}
