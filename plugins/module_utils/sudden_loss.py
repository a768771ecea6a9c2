"""Sudden loss: a version lost, against the one before it, what a working client does not lose in a night.

A client that is encrypted, emptied or half unplugged goes on sending backups, each regular, and in two weeks
the last good version would have expired by rule. What is measured here is read from the repository's own
trees, not from the summary that a client writes into its snapshot. Pure: standard library only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

SMALLER = 0.5
"""A version of less than this share of the size, or of the entries, of the one before it is a loss."""
CHANGED = 0.4
"""So is one in which this share of the entries changed or went. Folders are entries that never count as
changed, so that the half of all files is a little less than the half of all entries."""
USUAL = 7
"""Unless as much is usual: half of it in the middle of so many versions before (nightly dumps all change)."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A version as its trees tell it, and how it differs from the version before."""

    entries: int
    """Files and folders."""
    bytes: int
    """Of all files, as a restore would write them."""
    before: str | None = None
    """The id of the version before; None: it is the first, and nothing below is known."""
    entries_before: int = 0
    bytes_before: int = 0
    changed: int = 0
    """Files that both have, with other contents."""
    removed: int = 0
    """Files that only the version before has."""
    gone: tuple[str, ...] = ()
    """Folders of the perimeter that only the version before has."""

    @property
    def share(self) -> float:
        """Of the entries before: changed or removed."""
        return (self.changed + self.removed) / max(1, self.entries_before)


def losses(versions: Iterable[Measure]) -> list[tuple[str, ...]]:
    """For each version of one server, by time: how it is a sudden loss, as phrases; empty when it is none."""
    result: list[tuple[str, ...]] = []
    shares: list[float] = []
    for one in versions:
        found: list[str] = []
        if one.before is not None:
            found += [f"{path} is gone" for path in one.gone]
            if one.bytes < SMALLER * one.bytes_before or one.entries < SMALLER * one.entries_before:
                found.append(
                    f"{one.entries} entries of {_size(one.bytes)} are left "
                    f"of {one.entries_before} of {_size(one.bytes_before)}"
                )
            usual = median(shares[-USUAL:]) if shares else 0.0
            if one.share >= CHANGED and usual < CHANGED / 2:
                found.append(f"{one.changed} files changed and {one.removed} went of {one.entries_before}")
            shares.append(one.share)
        result.append(tuple(found))
    return result


def _size(count: int) -> str:
    """Decimal units, as the contract's Go."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} B"
