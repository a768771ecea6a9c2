"""Access rights of a file or folder as SDDL text (MS-DTYP 2.5.1), the one form that no Windows translates."""

from __future__ import annotations

import re
from typing import NamedTuple

SYSTEM = "S-1-5-18"
ADMINISTRATORS = "S-1-5-32-544"

# The abbreviations that name one account on every machine; those of a domain (DA, DU ...) stay.
_ACCOUNTS = {
    "AC": "S-1-15-2-1",
    "AN": "S-1-5-7",
    "AU": "S-1-5-11",
    "BA": ADMINISTRATORS,
    "BG": "S-1-5-32-546",
    "BO": "S-1-5-32-551",
    "BU": "S-1-5-32-545",
    "CG": "S-1-3-1",
    "CO": "S-1-3-0",
    "IU": "S-1-5-4",
    "LS": "S-1-5-19",
    "NS": "S-1-5-20",
    "NU": "S-1-5-2",
    "OW": "S-1-3-4",
    "PU": "S-1-5-32-547",
    "SU": "S-1-5-6",
    "SY": SYSTEM,
    "WD": "S-1-1-0",
}
_RIGHTS = {
    "FA": 0x1F01FF, "FR": 0x120089, "FW": 0x120116, "FX": 0x1200A0,
    "GA": 0x10000000, "GR": 0x80000000, "GW": 0x40000000, "GX": 0x20000000,
    "CC": 0x1, "DC": 0x2, "LC": 0x4, "SW": 0x8, "RP": 0x10, "WP": 0x20, "DT": 0x40, "LO": 0x80, "CR": 0x100,
    "SD": 0x10000, "RC": 0x20000, "WD": 0x40000, "WO": 0x80000,
}  # fmt: skip
_ACE = re.compile(r"\(([^()]*)\)")


class Ace(NamedTuple):
    """One entry: kind ("A" allows, "D" denies), flags ("OI", "CI", "ID" ...), access mask, SID."""

    kind: str
    flags: frozenset[str]
    mask: int
    sid: str

    @property
    def inherited(self) -> bool:
        return "ID" in self.flags


class Dacl(NamedTuple):
    """Who may do what, in no order. `protected`: nothing is inherited from the parent folder."""

    protected: bool
    aces: frozenset[Ace]

    @property
    def sids(self) -> frozenset[str]:
        return frozenset(ace.sid for ace in self.aces)


def parse(text: str) -> Dacl:
    """The DACL of an SDDL string such as `D:PAI(A;OICI;FA;;;SY)`. ValueError when there is none to read."""
    found = re.search(r"D:([A-Z_]*)((?:\([^()]*\))*)", text)
    if not found:
        raise ValueError(f"no DACL in {text!r}")
    flags, entries = found.groups()
    if "NO_ACCESS_CONTROL" in flags:  # a null DACL lets everyone do everything
        return Dacl(False, frozenset({Ace("A", frozenset(), _RIGHTS["FA"], _ACCOUNTS["WD"])}))
    protected = "P" in flags.replace("AI", "").replace("AR", "")
    return Dacl(protected, frozenset(_ace(entry) for entry in _ACE.findall(entries)))


def _ace(text: str) -> Ace:
    fields = text.split(";")
    if len(fields) < 6:
        raise ValueError(f"not an SDDL entry: {text!r}")
    kind, flags, rights, _unused, _unused, account = fields[:6]
    return Ace(kind, frozenset(_pairs(flags)), _mask(rights), _ACCOUNTS.get(account, account))


def _mask(text: str) -> int:
    if text[:1].isdigit():
        return int(text, 0)
    try:
        mask = 0
        for right in _pairs(text):
            mask |= _RIGHTS[right]
        return mask
    except KeyError as unknown:
        raise ValueError(f"unknown right {unknown} in {text!r}") from None


def _pairs(text: str) -> list[str]:
    return [text[at : at + 2] for at in range(0, len(text), 2)]


def parse_saved(text: str) -> dict[str, str]:
    """What `icacls /save` wrote: a line with the name, a line with its SDDL, and so on. Name -> SDDL."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return dict(zip(lines[::2], lines[1::2], strict=False))
