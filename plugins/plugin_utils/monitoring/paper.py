"""The contract's paper as monitoring sees it: what was signed (C21), and the yearly letter (C13)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from ..contract.model import ClientContract, HostContract
from ..contract.signed import Standing, standing
from ..documents import letters


@dataclass(frozen=True)
class PaperFacts:
    """How the inventory stands to the signed copy, and when the letter by post is due again."""

    standing: Standing
    next_letter: date | None = None
    """None: none was handed over yet."""
    letter_problem: str = ""
    """Why it is not known."""


def look(client: ClientContract, hosts: Mapping[str, HostContract], documents: Path) -> PaperFacts:
    """Of one client, in the folder where documents.yml keeps all."""
    found = standing(client, hosts, documents)
    try:
        return PaperFacts(found, letters.due_on(letters.handed(documents, client.id), letters.POST))
    except letters.LetterError as error:
        return PaperFacts(found, letter_problem=error.problem)
