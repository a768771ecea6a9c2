"""The printed form of Annexes 1 to 3, beside the boxes of `catalogue`: form.yml, typed (C17, C18, C21)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ...module_utils.maintenance import shape
from ..validation.lines import read_yaml
from ..wording import typographic


@dataclass(frozen=True)
class Perimeter:
    """Annexe 1: titles, notes, and the lines of volume and options."""

    title: str
    note: str
    software: str
    software_note: str
    office: str
    office_note: str
    volume: str
    volume_lines: tuple[str, ...]
    """One of them has the volume, {volume}."""
    options: str
    options_note: str
    option: Mapping[str, str]


@dataclass(frozen=True)
class ContactsPage:
    """Annexe 2, with the provider's own addresses."""

    title: str
    note: str
    provider: str
    applications_label: str
    applications: str
    systems_label: str
    systems: str
    telephone: str
    client: str
    main_label: str
    substitute_label: str


@dataclass(frozen=True)
class Task:
    """A line of Annexe 3; `client` and `provider` are letters of its legend."""

    number: str
    words: str
    client: str
    provider: str


@dataclass(frozen=True)
class Group:
    """The lines below one heading."""

    number: str
    title: str
    tasks: tuple[Task, ...]


@dataclass(frozen=True)
class Part:
    """One of the two tables."""

    title: str
    groups: tuple[Group, ...]


@dataclass(frozen=True)
class Tasks:
    """Annexe 3."""

    title: str
    legend: str
    client: str
    provider: str
    parts: tuple[Part, ...]
    nota: str
    nota_lines: tuple[str, ...]


@dataclass(frozen=True)
class PrintedForm:
    """The three annexes as the contract prints them."""

    perimeter: Perimeter
    contacts: ContactsPage
    tasks: Tasks


@cache
def printed_form() -> PrintedForm:
    """The form of the contract."""
    text = Path(__file__).with_name("form.yml").read_text(encoding="utf-8")
    return shape.read(PrintedForm, typographic(read_yaml(text)))
