"""Whether the inventory is still what was signed (C21).

The data of all annexes that were printed are kept in the folder of documents, by their fingerprints, so
that what was signed can be shown beside what is deployed. A file is believed only if it has the
fingerprint that its name says.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...module_utils.maintenance import shape
from ..wording import plural
from . import agreed
from .agreed import Agreed, Difference
from .model import ClientContract, HostContract, Signed

_SHOWN = 4
"""Differences that a sentence names; the amendment has all."""


@dataclass(frozen=True)
class Standing:
    """How the inventory stands to what was signed. No problem: it is the same, or nothing is signed yet."""

    problem: str = ""
    remedy: str = ""
    before: Agreed | None = None
    """What was signed, where it is known and is not what the inventory says."""
    differences: tuple[Difference, ...] = ()


class _Unusable(Exception):
    """What was signed is not known: the sentence of a problem."""


def kept_in(documents: Path, client: str, digits: str) -> Path:
    """The file that keeps the data of annexes."""
    return documents / client / f"annexes-{digits}.json"


def standing(client: ClientContract, hosts: Mapping[str, HostContract], documents: Path) -> Standing:
    """Of a client's inventory to its signed copy. `documents` is the folder that documents.yml writes."""
    copy = client.paper.signed
    if copy is None:
        return Standing()
    now = agreed.of_contract(client, hosts)
    if agreed.fingerprint(now) == copy.fingerprint:
        return Standing()
    try:
        before = _read(documents, client.id, copy)
    except _Unusable as error:
        remedy = (
            "Copy the fingerprint from the foot of the signed pages once more; if it is right, put the file"
            " back, or run playbooks/documents.yml and have the annexes signed anew"
        )
        return Standing(str(error), remedy)
    found = agreed.differences(before, now)
    if not found:
        return Standing()
    return Standing(
        f"{plural(len(found), 'term is', 'terms are')} no longer what {copy.signatory} signed on {copy.date}:"
        f" {_first(found)}",
        "Run playbooks/documents.yml, which prints the amendment (avenant) to sign; or correct the inventory",
        before,
        found,
    )


def _first(found: Sequence[Difference]) -> str:
    told = "; ".join(str(one) for one in found[:_SHOWN])
    return f"{told}; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else told


def _read(documents: Path, client: str, copy: Signed) -> Agreed:
    path = kept_in(documents, client, copy.fingerprint)
    named = f"{agreed.shown(copy.fingerprint)} of {copy.date}"
    try:
        data = json.loads(path.read_text("utf-8"))["agreed"]
        known = shape.read(Agreed, data)
    except FileNotFoundError:
        other = next(documents.glob(f"*/{path.name}"), None)
        if other:
            raise _Unusable(f"the signed annexes {named} are those of {other.parent.name}") from None
        raise _Unusable(f"no annexes {named} were printed: there is no {path}") from None
    except OSError as error:
        raise _Unusable(f"the signed annexes cannot be read: {path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise _Unusable(f"{path} is damaged: it holds no annexes") from None
    if agreed.fingerprint_of(data) != copy.fingerprint:
        raise _Unusable(f"{path} was altered: what it holds has another fingerprint than its name")
    return known
