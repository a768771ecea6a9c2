"""What of a contract is signed (C17, C21), as data with a fingerprint, and what an amendment changes.

Boxes, variants, office directories, volume, options and contacts: `terms` is the table of them. How the
servers are reached, when they are backed up and with which credentials is the provider's business, and
no part of it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ...module_utils.maintenance import shape
from . import catalogue, form
from .model import ClientContract, Contact, Contacts, HostContract

FORMAT = 1
_DIGITS = 32
"""Hexadecimal digits of a fingerprint: 128 bits, so that nobody makes two annexes that have the same."""
TICKED, OPEN = "☑", "☐"
NOTHING = "—"
"""What a term says that one side does not have."""


@dataclass(frozen=True)
class Box:
    """A ticked line of Annexe 1, part A, and the paths that it stands for on this server."""

    id: str
    printed: str
    paths: tuple[str, ...]


@dataclass(frozen=True)
class Server:
    """Annexe 1 of one server."""

    host: str
    root: str
    boxes: tuple[Box, ...]
    variants: tuple[str, ...]
    office: tuple[str, ...]


@dataclass(frozen=True)
class Agreed:
    """What the parties sign."""

    name: str
    reference: str
    subscribed_gb: int
    options: tuple[str, ...]
    contacts: Contacts
    servers: tuple[Server, ...]


@dataclass(frozen=True)
class Difference:
    """A term that is not what was signed; French, as the annexes are."""

    term: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.term}: {self.before} → {self.after}"


def of_contract(client: ClientContract, hosts: Mapping[str, HostContract]) -> Agreed:
    """What is signed of a client; the same whatever the order in which its file says it."""
    return Agreed(
        client.name,
        client.reference,
        client.subscribed_gb,
        tuple(sorted(client.options)),
        client.contacts,
        tuple(_server(hosts[host]) for host in sorted(client.hosts)),
    )


def _server(host: HostContract) -> Server:
    paths = {
        name: tuple(entry.path for entry in host.perimeter if entry.box == name)
        for name in (*host.form.boxes, "office")
    }
    return Server(
        host.host,
        host.form.root,
        tuple(Box(name, printed, paths[name]) for name, printed in host.form.boxes.items()),
        tuple(sorted(host.form.variants)),
        tuple(sorted(paths["office"], key=str.lower)),
    )


# -- the fingerprint ------------------------------------------------------------------------------------


def text(agreed: Agreed) -> str:
    """The file that keeps what was printed: JSON that people can read too."""
    data = {"format": FORMAT, "agreed": shape.as_json(agreed)}
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def fingerprint(agreed: Agreed) -> str:
    """Of the data: 32 hexadecimal digits."""
    return fingerprint_of(shape.as_json(agreed))


def fingerprint_of(data: Any) -> str:
    """Of what a file of `text` has below "agreed", also of one that another version wrote."""
    canonical = json.dumps(data, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:_DIGITS]


def shown(digits: str) -> str:
    """A fingerprint for people: groups of four."""
    return " ".join(digits[start : start + 4] for start in range(0, len(digits), 4))


def written(text: str) -> str:
    """A fingerprint as people write it -> as `fingerprint` gives it."""
    return text.replace(" ", "").lower()


# -- the terms ------------------------------------------------------------------------------------------


def person(contact: Contact | None) -> str:
    """A contact of Annexe 2 on one line."""
    if contact is None:
        return NOTHING
    return f"{contact.title} {contact.first_name} {contact.name}, {contact.email}, {contact.mobile}"


def terms(agreed: Agreed) -> dict[str, str]:
    """The table of what is signed: each term's name -> what it says, in the order of the annexes."""
    found = {
        "Client": agreed.name,
        "Référence du contrat": agreed.reference,
        "Volume souscrit": f"{agreed.subscribed_gb} Go",
    }
    for name, printed in form.printed_form().perimeter.option.items():
        found[f"Option « {printed.split(' (')[0]} »"] = TICKED if name in agreed.options else OPEN
    found["Contact principal"] = person(agreed.contacts.main)
    found["Suppléant"] = person(agreed.contacts.substitute)
    for server in agreed.servers:
        for name, value in _terms(server):
            term = f"{server.host}, {name}"
            # Two boxes that the inventory added may be printed alike: neither hides the other.
            found[term] = f"{found[term]}; {value}" if term in found else value
    return found


def _terms(server: Server) -> Iterator[tuple[str, str]]:
    if server.root:
        yield "<racine>", server.root
    for box in server.boxes:
        yield box.printed, " ".join((TICKED, *box.paths))
    known = catalogue.annexe_1().variants
    for name in server.variants:
        yield f"variante « {known[name].printed if name in known else name} »", TICKED
    for path in server.office:
        yield f"bureautique {path}", TICKED


def differences(before: Agreed, after: Agreed) -> tuple[Difference, ...]:
    """The terms that are not the same, in the order of the annexes; a box that one side has not is open."""
    old, new = terms(before), terms(after)
    return tuple(
        Difference(name, _said(old, name, new), _said(new, name, old))
        for name in {**new, **old}
        if old.get(name) != new.get(name)
    )


def _said(own: Mapping[str, str], name: str, other: Mapping[str, str]) -> str:
    return own.get(name, OPEN if other.get(name, "").startswith(TICKED) else NOTHING)
