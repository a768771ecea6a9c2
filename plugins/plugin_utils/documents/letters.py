"""The letter that recalls the instructions for the main backup (C13, VI.2): at set-up, and every year.

facts (contracts, who received what and when) -> plan -> apply. What it says is instructions.yml. One
file has all letters that are due, to be printed and posted; a client that wishes so gets its own by mail
too. The record of a client is written last: what was not handed over stays due.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from ...module_utils.maintenance import shape
from ..contract import catalogue
from ..contract.model import ClientContract, Contact, HostContract, PostalAddress
from ..errors import ProSecoursError
from ..files import CannotWrite, write_whole
from ..wording import one_of, typographic
from . import mail
from .render import DocumentError, pdf, pdf_of_all, render

POST, MAIL = "post", "mail"
"""The ways of a letter."""
AHEAD = timedelta(days=30)
"""So long before its day a letter is due, so that one run a month is enough; so long a new client waits for
its first one before that is told."""
OFFICE = "office"
WINDOW_LINES, WINDOW_CHARACTERS = 6, 38
"""What the window of an envelope shows of an address (NF Z 10-011)."""


class LetterError(ProSecoursError):
    """Instructions or a record that cannot be read."""


class NoAddress(ProSecoursError):
    """A letter that cannot go by post: it waits for an address."""


@dataclass(frozen=True)
class Product:
    """What the letter says to the clients that have ticked one of these boxes; to all without boxes."""

    id: str
    title: str
    boxes: tuple[str, ...]
    instructions: tuple[str, ...]


@dataclass(frozen=True)
class Instructions:
    """instructions.yml, or a provider's own file of that shape."""

    introduction: str
    products: tuple[Product, ...]
    conclusion: str


@dataclass(frozen=True)
class Handed:
    """A letter that was handed over: on which way, when, to whom, about which products."""

    by: str
    on: date
    to: str
    products: tuple[str, ...]


@dataclass(frozen=True)
class Letter:
    """A letter that is due: on which ways, and what it says."""

    client: str
    ways: tuple[str, ...]
    contact: Contact
    address: tuple[str, ...]
    products: tuple[str, ...]
    subject: str
    html: str


@dataclass(frozen=True)
class Delivered:
    """The file to print; client -> what was handed over; client -> sentences about what failed."""

    file: Path | None = None
    handed: Mapping[str, Sequence[Handed]] = field(default_factory=dict)
    failures: Mapping[str, Sequence[str]] = field(default_factory=dict)


# -- facts ----------------------------------------------------------------------------------------------


def instructions(path: str | Path = "") -> Instructions:
    """The collection's own, or those of a file. Raises LetterError."""
    file = Path(path).expanduser() if path else Path(__file__).with_name("instructions.yml")
    remedy = "Write it in the shape of plugins/plugin_utils/documents/instructions.yml"
    try:
        found = shape.read(Instructions, typographic(yaml.safe_load(file.read_text("utf-8"))))
    except OSError as error:
        raise LetterError(
            f"The instructions {file} cannot be read: {error.strerror}", "See prosecours_instructions_file"
        ) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise LetterError(f"The instructions {file}{line} are no YAML", remedy) from error
    except (shape.NotOfShape, UnicodeDecodeError) as error:
        raise LetterError(f"{file} holds no instructions: {error}", remedy) from error
    known = [*catalogue.annexe_1().boxes, OFFICE]
    for product in found.products:
        for box in product.boxes:
            if box not in known:
                raise LetterError(
                    f'{file}: the box "{box}" of the product "{product.id}" is unknown', one_of(box, known)
                )
    return found


def record(folder: Path, client: str) -> Path:
    """The file that tells what was handed over to a client."""
    return folder / client / "consignes.json"


def handed(folder: Path, client: str) -> tuple[Handed, ...]:
    """What was handed over to a client, the oldest first. Raises LetterError."""
    path = record(folder, client)
    try:
        return shape.read(_Record, json.loads(path.read_text("utf-8"))).letters
    except FileNotFoundError:
        return ()
    except OSError as error:
        reason = error.strerror or str(error)
    except ValueError:
        reason = "it is damaged"
    raise LetterError(
        f"{path}, which tells the letters that {client} received, cannot be read ({reason})",
        "Put it back from a backup; or remove it, and the letter is due once more",
    )


@dataclass(frozen=True)
class _Record:
    letters: tuple[Handed, ...]


def due_on(letters: Sequence[Handed], way: str) -> date | None:
    """The day of the next letter on a way; None for the first one, which is due at once."""
    last = max((one.on for one in letters if one.by == way), default=None)
    if last is None:
        return None
    leap = last.month == 2 and last.day == 29
    return last.replace(year=last.year + 1, day=28 if leap else last.day)


# -- plan -----------------------------------------------------------------------------------------------


class Planned(NamedTuple):
    """The letters that are due, and of other clients: what a letter that is due waits for, or why it is not
    known whether one is due."""

    letters: list[Letter]
    waiting: dict[str, str]
    failures: dict[str, list[str]]


def plan(
    clients: Mapping[str, ClientContract],
    hosts: Mapping[str, HostContract],
    folder: Path,
    said: Instructions,
    provider: Mapping[str, Any],
    today: date,
) -> Planned:
    """The letters that are due, and those that cannot be.

    `provider`: applications, systems, telephone and address (lines), each may be missing.
    """
    planned = Planned([], {}, {})
    for client in clients.values():
        try:
            found = _letter(client, hosts, handed(folder, client.id), said, provider, today)
        except NoAddress as error:
            planned.waiting[client.id] = str(error)
        except LetterError as error:
            planned.failures[client.id] = [str(error)]
        else:
            planned.letters.extend([found] if found else [])
    return planned


def _letter(
    client: ClientContract,
    hosts: Mapping[str, HostContract],
    before: Sequence[Handed],
    said: Instructions,
    provider: Mapping[str, Any],
    today: date,
) -> Letter | None:
    wished = (POST, MAIL) if client.paper.by_mail else (POST,)
    days = {way: due_on(before, way) for way in wished}
    ways = tuple(way for way, day in days.items() if day is None or day - AHEAD <= today)
    if not ways:
        return None
    address = _address(client)
    products = [_concerned(product, client, hosts) for product in said.products]
    subject = "Consignes applicables à votre sauvegarde principale"
    html = render(
        "letter.html.j2",
        title=subject,
        client=client,
        address=address,
        salutation=_salutation(client.contacts.main),
        today=today,
        first=days[ways[0]] is None,
        said=said,
        products=[one for one in products if one],
        provider={name: provider.get(name) or "" for name in ("applications", "systems", "telephone")},
        sender=list(provider.get("address") or ()),
    )
    return Letter(
        client.id,
        ways,
        client.contacts.main,
        address,
        tuple(one["id"] for one in products if one),
        f"{subject} ({client.reference})",
        html,
    )


def _concerned(
    product: Product, client: ClientContract, hosts: Mapping[str, HostContract]
) -> dict[str, Any] | None:
    """What a client is told of a product, with its own directories; None where it has none of its boxes."""
    folders = {
        host: [entry.path for entry in hosts[host].perimeter if entry.box in product.boxes]
        for host in sorted(client.hosts)
    }
    folders = {host: paths for host, paths in folders.items() if paths}
    if product.boxes and not folders:
        return None
    return {
        "id": product.id,
        "title": product.title,
        "folders": folders,
        "instructions": product.instructions,
    }


def _address(client: ClientContract) -> tuple[str, ...]:
    """The lines in the window. Raises NoAddress."""
    where: PostalAddress | None = client.paper.address
    if where is None:
        raise NoAddress(
            f"{client.id}: the letter about the main backup is due, and its file has no postal address",
            "Add prosecours_postal_address",
        )
    contact = client.contacts.main
    wrap = partial(textwrap.wrap, width=WINDOW_CHARACTERS)
    lines = (
        *wrap(client.name),
        *wrap(f"{contact.title} {contact.first_name} {contact.name}"),
        *where.lines,
        f"{where.postal_code} {where.city.upper()}",
    )
    if len(lines) > WINDOW_LINES:
        raise NoAddress(
            f"{client.id}: its address has {len(lines)} lines, and the window of an envelope shows"
            f" {WINDOW_LINES}",
            f"Shorten prosecours_postal_address; a name takes a line for each {WINDOW_CHARACTERS} characters",
        )
    return lines


def _salutation(contact: Contact) -> str:
    titles = {"mme": "Madame", "madame": "Madame", "m.": "Monsieur", "m": "Monsieur", "monsieur": "Monsieur"}
    title = titles.get(contact.title.lower())
    return f"{title} {contact.name}" if title else "Madame, Monsieur"


# -- apply ----------------------------------------------------------------------------------------------


def file_of(folder: Path, today: date) -> Path:
    """The file of all letters that go by post today; one that was made before on the same day stays."""
    name, number = f"lettres-{today}", 1
    while (path := folder / f"{name}{f'-{number}' if number > 1 else ''}.pdf").exists():
        number += 1
    return path


def foretell(letters: Sequence[Letter], folder: Path, server: mail.Server | None, today: date) -> Delivered:
    """What `apply` will hand over when nothing fails."""
    ready = [one for one in letters if POST in one.ways or server]
    done = {one.client: _handed(one, one.ways if server else (POST,), today) for one in ready}
    file = file_of(folder, today) if any(POST in one.ways for one in letters) else None
    return Delivered(file, done, _no_way(letters) if server is None else {})


def diff(planned: Delivered) -> list[dict[str, str]]:
    """What a run changes, for Ansible's diff: the letters by whom they go to."""
    lines = [f"{client}: by {one.by} to {one.to}\n" for client, own in planned.handed.items() for one in own]
    header = str(planned.file or "letters by mail")
    made = {"before_header": header, "after_header": header, "before": "", "after": "".join(lines)}
    return [made] if lines else []


def apply(letters: Sequence[Letter], folder: Path, server: mail.Server | None, today: date) -> Delivered:
    """Write the file to print, send the mails in one go, then note for each client what it was handed over.

    A failure is a sentence of its client, and what failed stays due; the others' letters go on.
    """
    by_post = [one for one in letters if POST in one.ways]
    file = file_of(folder, today) if by_post else None
    unprinted: dict[str, list[str]] = {}
    if file:
        try:
            write_whole(file, pdf_of_all([one.html for one in by_post]))
        except (CannotWrite, DocumentError) as error:
            unprinted, file = {one.client: [str(error)] for one in by_post}, None
    sent, failures = _send([one for one in letters if MAIL in one.ways], folder, server, today)
    for client, told in unprinted.items():
        failures.setdefault(client, []).extend(told)
    done: dict[str, Sequence[Handed]] = {}
    for one in letters:
        done_by = {POST: file is not None, MAIL: one.client in sent}
        own = _handed(one, [way for way in one.ways if done_by[way]], today)
        if not own:
            continue
        done[one.client] = own
        try:
            _note(one.client, own, folder)
        except (CannotWrite, LetterError) as error:
            failures.setdefault(one.client, []).append(
                f"{one.client}: its letter was handed over, which cannot be noted: {error}"
            )
    return Delivered(file, done, failures)


def _handed(letter: Letter, ways: Sequence[str], today: date) -> tuple[Handed, ...]:
    to = {POST: ", ".join(letter.address), MAIL: letter.contact.email}
    return tuple(Handed(way, today, to[way], letter.products) for way in letter.ways if way in ways)


def _no_way(letters: Sequence[Letter]) -> dict[str, list[str]]:
    return {
        one.client: [
            f"{one.client} wishes its letter by mail too, and there is no way to send one: set"
            " prosecours_mail."
        ]
        for one in letters
        if MAIL in one.ways
    }


def _send(
    letters: Sequence[Letter], folder: Path, server: mail.Server | None, today: date
) -> tuple[set[str], dict[str, list[str]]]:
    """The clients whose mail is sent, and sentences about the others."""
    if server is None:
        return set(), _no_way(letters)
    failures: dict[str, list[str]] = {}
    messages: dict[str, mail.Message] = {}
    for one in letters:
        try:
            attached = write_whole(folder / one.client / f"consignes-{today}.pdf", pdf(one.html))
            text = render("letter_mail.txt.j2", salutation=_salutation(one.contact), subject=one.subject)
            messages[one.client] = mail.Message(
                (one.contact.email,), one.subject, text, attachments=(mail.attach(attached),)
            )
        except (CannotWrite, DocumentError, mail.MailError) as error:
            failures[one.client] = [str(error)]
    try:
        outcome = mail.send(server, list(messages.values()))
    except mail.MailError as error:
        outcome = [[str(error)]] * len(messages)
    failures |= {client: list(said) for client, said in zip(messages, outcome, strict=True) if said}
    return {client for client in messages if client not in failures}, failures


def _note(client: str, own: Sequence[Handed], folder: Path) -> None:
    known = _Record((*handed(folder, client), *own))
    text = json.dumps(shape.as_json(known), indent=2, ensure_ascii=False) + "\n"
    write_whole(record(folder, client), text)
