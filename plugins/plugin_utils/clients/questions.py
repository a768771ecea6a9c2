"""A technician is asked for what a new client's file needs; what is wrong is said at once and asked again."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from ..contract import variables
from ..contract.catalogue import annexe_1
from ..contract.contracts import RESERVED
from ..contract.files import GROUP_NAME, HOST_NAME, slug
from ..validation.mistakes import Mistake
from ..wording import as_sentence
from .answers import ADDRESS, FROM, Wanted, refusal

Ask = Callable[[str], str]
"""One question -> one line."""
Problem = tuple[str, str]
"""What is wrong with an answer, and what to do."""

CONTACT = (
    ("title", "title (M., Mme)"),
    ("first_name", "first name"),
    ("name", "family name"),
    ("email", "e-mail address"),
    ("mobile", "mobile number"),
)
_SOMEBODY = {
    "title": "M.",
    "first_name": "x",
    "name": "x",
    "email": "a@b.fr",
    "mobile": "06 00 00 00 00",
}
"""A contact without a mistake: so each answer is judged alone."""
YES, NO = ("y", "yes", "o", "oui"), ("n", "no", "non", "")


def asked(ask: Ask, annex: Wanted, clients: Collection[str], servers: Collection[str]) -> Wanted:
    """All answers, but for those of the `annex`. `clients` and `servers`: names that are taken."""
    return _Asking(ask, annex, clients, servers).all()


class _Asking:
    def __init__(self, ask: Ask, annex: Wanted, clients: Collection[str], servers: Collection[str]) -> None:
        self._ask, self._annex, self._clients, self._servers = ask, annex, clients, servers

    def all(self) -> Wanted:
        shared: dict[str, Any] = dict(self._annex.shared)
        for name, question, read in _OF_CLIENT:
            if name not in shared:
                shared[name] = self._variable(name, question, read)
        client = self._client(str(shared["prosecours_client_name"]))
        if "prosecours_contact_main" not in shared:
            shared["prosecours_contact_main"] = self._contact(
                "prosecours_contact_main", "Main contact", False
            )
            shared["prosecours_contact_substitute"] = self._contact(
                "prosecours_contact_substitute", "Substitute", True
            )
            shared["prosecours_postal_address"] = self._address()
        given = self._annex.servers or None
        servers: dict[str, dict[str, Any]] = {}
        for label in given or (None,):
            servers |= self._server(client, label, servers)
        while given is None and self._yes("Another server? (y/n)"):
            servers |= self._server(client, None, servers)
        return Wanted(client, {name: one for name, one in shared.items() if one not in (None, [])}, servers)

    # -- one question -----------------------------------------------------------------------------------

    def _until(
        self, question: str, read: Callable[[str], Any], check: Callable[[Any], Problem | None]
    ) -> Any:
        """Asks until the answer is right."""
        said = ""
        while True:
            text = self._ask(said + question)
            value = read(text)
            wrong = refusal(text) or check(value)
            if wrong is None:
                return value
            said = f"{as_sentence(wrong[0])} {as_sentence(wrong[1])}\n"

    def _variable(self, name: str, question: str, read: Callable[[str], Any]) -> Any:
        def check(value: Any) -> Problem | None:
            needed = variables.variables()[name].required and value is None
            return ("it is empty", "Write a value") if needed else _wrong(name, value)

        return self._until(question, read, check)

    def _yes(self, question: str) -> bool:
        def check(value: str) -> Problem | None:
            return None if value in YES + NO else (f'"{value}" is neither yes nor no', "Write y or n")

        return self._until(question, str.lower, check) in YES

    def _client(self, name: str) -> str:
        def check(value: str) -> Problem | None:
            if not GROUP_NAME.fullmatch(value):
                return (
                    f'"{value}" cannot be its name',
                    "Write lower-case letters without accents, digits and _",
                )
            return (
                (f'the client "{value}" is in the inventory already', "Write another")
                if value in self._clients
                else None
            )

        proposed = slug(name)
        return str(
            self._until(f"Its name in the inventory [{proposed}]", lambda text: text or proposed, check)
        )

    # -- groups of questions ----------------------------------------------------------------------------

    def _contact(self, name: str, who: str, optional: bool) -> dict[str, str] | None:
        fields: dict[str, str] = {}
        for key, words in CONTACT:

            def check(value: str, key: str = key) -> Problem | None:
                if not value:
                    return None if optional and key == "title" else ("it is empty", "Write a value")
                return _wrong(name, {**_SOMEBODY, key: value})

            none = " (empty: none)" if optional and key == "title" else ""
            fields[key] = self._until(f"{who}, {words}{none}", str, check)
            if not fields[key]:
                return None
        return fields

    def _address(self) -> dict[str, Any] | None:
        name, whole = "prosecours_postal_address", {"lines": ["x"], "postal_code": "00000", "city": "x"}

        def field(key: str, question: str) -> Any:
            def check(value: Any) -> Problem | None:
                return _wrong(name, {**whole, key: value}) if value else ("it is empty", "Write a value")

            return self._until(question, str, check)

        def lines(text: str) -> list[str]:
            return [part.strip() for part in text.split("/") if part.strip()]

        question = "Postal address, one or two lines with / between (empty: none)"
        found = self._until(
            question, lines, lambda one: _wrong(name, {**whole, "lines": one}) if one else None
        )
        if not found:
            return None
        return {
            "lines": found,
            "postal_code": field("postal_code", "Postal code"),
            "city": field("city", "City"),
        }

    def _server(self, client: str, label: str | None, others: Collection[str]) -> dict[str, dict[str, Any]]:
        proposed = f"{client.replace('_', '-')}-srv{len(others) + 1}"
        known = f' of the server that the annex calls "{label}"' if label else ""

        def named(value: str) -> Problem | None:
            if not HOST_NAME.fullmatch(value) or value in RESERVED:
                return f'"{value}" cannot be its name', "Write letters without accents, digits, - and ."
            taken = value in self._servers or value in others
            return (f'the server "{value}" is in the inventory already', "Write another") if taken else None

        def reached(value: str) -> Problem | None:
            return _first(variables.reached("x", {ADDRESS: value or None}))

        name = self._until(f"Name{known} in the inventory [{proposed}]", lambda text: text or proposed, named)
        own: dict[str, Any] = {ADDRESS: self._until(f"Address of {name}", str, reached)}
        if label:
            return {name: {**own, FROM: label}}
        for variable, question, read in _OF_SERVER:
            own[variable] = self._variable(variable, question(own) if callable(question) else question, read)
        return {name: {key: one for key, one in own.items() if one not in (None, [])}}


def _wrong(name: str, value: Any) -> Problem | None:
    _typed, mistakes = variables.check({name: value})
    return _first(one for one in mistakes)


def _first(mistakes: Iterator[Mistake]) -> Problem | None:
    return next(((one.problem, one.remedy) for one in mistakes), None)


# -- what is asked --------------------------------------------------------------------------------------


def _text(text: str) -> str | None:
    return text or None


def _number(text: str) -> Any:
    return int(text) if re.fullmatch(r"\d{1,9}", text) else text or None


def _words(known: Sequence[str]) -> Callable[[str], list[str]]:
    """Names, or their numbers in a list."""

    def read(text: str) -> list[str]:
        words = [word for word in re.split(r"[\s,;]+", text) if word]
        return [known[int(one) - 1] if one.isdigit() and 0 < int(one) <= len(known) else one for one in words]

    return read


def _listed(question: str, known: Mapping[str, str]) -> str:
    rows = [f"  {number:2} {name}: {printed}" for number, (name, printed) in enumerate(known.items(), 1)]
    return "\n".join([*rows, question])


_BOXES = {name: box.printed for name, box in annexe_1().boxes.items()}
_VARIANTS = {name: one.printed for name, one in annexe_1().variants.items()}


def _paths(text: str) -> list[str]:
    return [part.strip() for part in text.split(";") if part.strip()]


_OF_CLIENT: tuple[tuple[str, str, Callable[[str], Any]], ...] = (
    ("prosecours_client_name", "Name of the client, as in the contract", _text),
    ("prosecours_contract_reference", "Reference of the contract", _text),
    ("prosecours_subscribed_gb", "Subscribed volume, in whole GB", _number),
    ("prosecours_options", "Options of Annexe 1: import, export (empty: none)", _words(["import", "export"])),
)
_OF_SERVER: tuple[tuple[str, Any, Callable[[str], Any]], ...] = (
    ("prosecours_root", "<racine>, the root of the provider's software, like D:\\ (empty: none)", _text),
    (
        "prosecours_software",
        _listed("Ticked boxes, by number or name (empty: none)", _BOXES),
        _words([*_BOXES]),
    ),
    (
        "prosecours_variants",
        _listed("What is true of the server, by number or name (empty: none)", _VARIANTS),
        _words([*_VARIANTS]),
    ),
    ("prosecours_office", "Office directories, with ; between (empty: none)", _paths),
)
