"""A new client as somebody says it: a technician's file of answers, and the annex that the client filled in.

Both say variables of a client file by their names. What may stand in them is told here; whether it is right
the check of the contract tells, of the file that is going to be written. An annex comes from outside: it is
JSON of a bounded size, says nothing but what the form asks for, and above all neither where a server is
reached nor where its backups go.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..contract import variables
from ..contract.files import GROUP_NAME, slug
from ..errors import ProSecoursError
from ..validation.lines import Scope, document, placed
from ..validation.mistakes import Mistake, PlacedMistake, Way
from ..wording import one_of

CLIENT, SERVERS, ADDRESS, FROM = "client", "servers", "ansible_host", "annex_server"
"""The keys that are no variables of ours; FROM: which server of the annex is meant."""
OWN = re.compile(r"prosecours_(repository_(?!host)|encryption_|signed|retired_|catalogue_)")
"""What the playbook makes itself, or what comes later."""
LARGEST, LONGEST, MOST_SERVERS = 65_536, 300, 20
"""Of an annex: bytes, characters of a text, servers."""

ANNEX_OF_CLIENT = (
    "prosecours_client_name",
    "prosecours_subscribed_gb",
    "prosecours_options",
    "prosecours_contact_main",
    "prosecours_contact_substitute",
    "prosecours_postal_address",
    "prosecours_instructions_by_mail",
)
ANNEX_OF_SERVER = ("prosecours_root", "prosecours_software", "prosecours_variants", "prosecours_office")
"""What the form of an annex asks for."""


class BadAnnex(ProSecoursError):
    """The file is no annex that was filled in."""


@dataclass(frozen=True)
class Wanted:
    """What is said of a new client; of nothing it says nothing."""

    client: str = ""
    """Its name in the inventory."""
    shared: Mapping[str, Any] = field(default_factory=dict)
    servers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """By their names in the inventory; in an annex, by what the client calls them."""


def of_client() -> list[str]:
    """The variables that answers may give below no server: those of servers too, for all of them."""
    return [*(name for name in variables.variables() if not OWN.match(name)), "prosecours_repository_host"]


def of_server() -> list[str]:
    known = variables.variables().items()
    return [ADDRESS, FROM, *(name for name, one in known if not one.of_client and not OWN.match(name))]


# -- a technician's file --------------------------------------------------------------------------------


def read(path: Path, text_of: Callable[[Path], str]) -> tuple[Wanted, Scope | None, list[PlacedMistake]]:
    """What a file of answers says, where it says it, and what is wrong with its shape."""
    scope, value, errors = document(path, text_of)
    if scope is None:
        return Wanted(), None, errors
    wanted, wrong = understood(value, of_client(), of_server())
    return wanted, scope, [*errors, *(placed(scope, one) for one in wrong)]


def named(told: Wanted) -> tuple[Wanted, list[Mistake]]:
    """With a name in the inventory, made of the client's own unless it was given; and what is missing."""
    wrong = []
    if not told.servers:
        wrong.append(Mistake((), "there is no server", f"Write each server by its name, below {SERVERS}"))
    name = str(told.shared.get("prosecours_client_name") or "")
    if not told.client and not name:
        wrong.append(Mistake((), "the name of the client is missing", "Add prosecours_client_name"))
    return replace(told, client=told.client or slug(name)), wrong


# -- an annex -------------------------------------------------------------------------------------------


def read_annex(path: Path) -> Wanted:
    """What the client filled in. Raises BadAnnex with all that is wrong."""
    try:
        if not path.is_file():
            raise BadAnnex(f"{path} is no file", "Name the file that the client sent back")
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise BadAnnex(
            f"{path} cannot be read ({error.strerror})", "Correct the path, or the rights"
        ) from None
    again = "Have the client save the form once more, and send that file"
    if len(data) > LARGEST:
        raise BadAnnex(f"{path} has more than {LARGEST} bytes: no annex has", again)
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise BadAnnex(f"{path} is not what the form saves", again) from None
    wanted, wrong = understood(value, ANNEX_OF_CLIENT, ANNEX_OF_SERVER)
    if len(wanted.servers) > MOST_SERVERS:
        wrong.append(Mistake((SERVERS,), f"it has more than {MOST_SERVERS} servers", "Split it"))
    if wanted.client:
        wrong.append(Mistake((CLIENT,), "an annex does not name a client in the inventory", "Remove it"))
    for server, own in wanted.servers.items():
        # What the form saves of a server is right by itself, or it is told here, before anybody is asked.
        _typed, mistakes = variables.check({**wanted.shared, **own})
        wrong += [
            Mistake((SERVERS, server, *one.way) if one.way[0] in own else one.way, one.problem, one.remedy)
            for one in mistakes
        ]
    if wrong:
        told = {f"{_printed(one.way)}: {one.problem}. {one.remedy}" for one in wrong}
        raise BadAnnex(f"{path} cannot be used. " + ". ".join(sorted(told)), again)
    return wanted


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


def _no_number(_text: str) -> float:
    raise ValueError


def _printed(way: Way) -> str:
    return ascii(", ".join(str(step) for step in way)[:80])[1:-1]


def joined(told: Wanted, annex: Wanted) -> tuple[Wanted, list[Mistake]]:
    """A technician's answers, with what the annex says beside them; what both say is a mistake.

    Which server of the annex one is, its key annex_server says; of one server each nobody has to.
    """
    wrong = [
        Mistake((name,), "the annex says it too", "Remove it here, or correct it in the client's file later")
        for name in told.shared
        if name in annex.shared
    ]
    servers: dict[str, Mapping[str, Any]] = {}
    left = list(annex.servers)
    for server, own in told.servers.items():
        label = own.get(FROM, left[0] if len(annex.servers) == len(told.servers) == 1 else None)
        if not isinstance(label, str) or label not in annex.servers:
            known = ", ".join(ascii(one)[1:-1] for one in annex.servers)
            problem = (
                "the annex has no such server" if label else "which server of the annex it is, is missing"
            )
            wrong.append(Mistake((SERVERS, server, FROM), problem, f"Write one of: {known}"))
            continue
        if label in left:
            left.remove(label)
        twice = [name for name in own if name in annex.servers[label]]
        wrong += [Mistake((SERVERS, server, name), "the annex says it too", "Remove it") for name in twice]
        rest = {name: value for name, value in own.items() if name != FROM}
        servers[server] = {**rest, **annex.servers[label]}
    for label in left if not wrong else ():
        problem = f"the server {label!a} of the annex has no place here"
        wrong.append(Mistake((SERVERS,), problem, f"Add it with {FROM}: {label!a}"))
    return replace(told, shared={**annex.shared, **told.shared}, servers=servers), wrong


# -- both -----------------------------------------------------------------------------------------------


def understood(
    value: Any, of_client: Iterable[str], of_server: Iterable[str]
) -> tuple[Wanted, list[Mistake]]:
    """What a document says, and what is wrong with its shape: names, and texts that are none."""
    shared_names, server_names = list(of_client), list(of_server)
    if not isinstance(value, dict):
        return Wanted(), [Mistake((), "it holds no keys", "Write a key and a value for each answer")]
    wrong = list(_texts(value))
    client = value.get(CLIENT) or ""
    if not isinstance(client, str) or (client and not GROUP_NAME.fullmatch(client)):
        remedy = "Write lower-case letters without accents, digits and _, like gaec_du_moulin"
        wrong.append(Mistake((CLIENT,), "it cannot be the name of a client in the inventory", remedy))
        client = ""
    servers = value.get(SERVERS) or {}
    if not isinstance(servers, dict) or not all(isinstance(own, dict) for own in servers.values()):
        remedy = "Write each server by its name, and below it what is its own"
        wrong.append(Mistake((SERVERS,), "it is no list of servers by their names", remedy))
        servers = {}
    shared = {name: one for name, one in value.items() if name not in (CLIENT, SERVERS)}
    wrong += _unknown((), shared, shared_names)
    for server, own in servers.items():
        wrong += _unknown((SERVERS, server), own, server_names)
    return Wanted(client, shared, servers), wrong


def _unknown(way: Way, given: Iterable[str], known: list[str]) -> Iterator[Mistake]:
    for name in given:
        if OWN.match(str(name)) and name not in known:
            problem = "it is made by the playbook, or comes later"
            yield Mistake((*way, name), problem, "Remove it; edit the client's file afterwards where needed")
        elif name not in known:
            yield Mistake((*way, name), "no such answer", one_of(str(name)[:80], known))


def _texts(value: Any, way: Way = ()) -> Iterator[Mistake]:
    """Texts that Ansible would compute, that steer a terminal, or that are none: in keys too."""
    match value:
        case dict():
            for key, item in value.items():
                yield from _text(str(key), way)
                yield from _texts(item, (*way, key))
        case list():
            for index, item in enumerate(value):
                yield from _texts(item, (*way, index))
        case str():
            yield from _text(value, way)


def _text(text: str, way: Way) -> Iterator[Mistake]:
    if wrong := refusal(text):
        yield Mistake(way, *wrong)


def refusal(text: str) -> tuple[str, str] | None:
    """Why a text may not go into a client's file, and what to do."""
    if re.search(r"\{[{%#]", text):
        return "it holds {{, {% or {#, which Ansible would compute", "Write the text itself"
    if any(unicodedata.category(one) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp") for one in text):
        return "it holds a character that cannot be seen, or a line end", "Type it again, on one line"
    if len(text) > LONGEST:
        return f"it is longer than {LONGEST} characters", "Shorten it"
    return None
