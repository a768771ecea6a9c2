"""What the provider's inventory says that a server backs up (C1), and what it said before.

A directory that is unticked leaves the backups by contract: that it is not in a version any more is no sudden
loss. Nothing that a client sends says so, be it a snapshot without the directory or one that names other
paths: only the inventory does, by what a deploy or the playbook of the retention left here. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from .trees import Stands, in_tree, same


@dataclass(frozen=True)
class Ordered:
    """As the inventory had it last; empty: nobody has said yet."""

    paths: tuple[str, ...] = ()
    """Directories and patterns, as Windows has them."""
    left: tuple[str, ...] = ()
    """Those that it once had, and has no more."""

    def now(self, paths: Iterable[str]) -> Ordered:
        """What is ordered from now on."""
        wanted = {*paths}
        return Ordered(tuple(sorted(wanted)), tuple(sorted({*self.paths, *self.left} - wanted)))


class _Place(NamedTuple):
    """A directory or a pattern, as restic's trees have it."""

    above: tuple[str, ...]
    last: re.Pattern[str]

    @classmethod
    def of(cls, path: str) -> _Place:
        *above, last = _parts(in_tree(path))
        name = re.escape(last).replace(r"\*", ".*").replace(r"\?", ".")
        return cls(tuple(above), re.compile(name, re.DOTALL))

    def holds(self, parts: tuple[str, ...]) -> bool:
        """Whether a path is it, or lies in it."""
        depth = len(self.above)
        return len(parts) > depth and parts[:depth] == self.above and bool(self.last.fullmatch(parts[depth]))

    def lies_in(self, parts: tuple[str, ...]) -> bool:
        """Whether it lies in a path."""
        return self.above[: len(parts)] == parts


@dataclass(frozen=True)
class Left:
    """The part of a server's folders that has left its contract."""

    ordered: Ordered

    def __bool__(self) -> bool:
        return bool(self.ordered.left)

    @cached_property
    def _places(self) -> tuple[list[_Place], list[_Place]]:
        return [_Place.of(one) for one in self.ordered.paths], [_Place.of(one) for one in self.ordered.left]

    def stands(self, path: str) -> Stands:
        """How a path of restic's trees stands to it."""
        kept, left = self._places
        parts = _parts(path)
        if any(one.holds(parts) for one in kept):
            return Stands.IN
        if any(one.holds(parts) for one in left):
            return Stands.ABOVE if any(one.lies_in(parts) for one in kept) else Stands.OUT
        return Stands.ABOVE if any(one.lies_in(parts) for one in left) else Stands.IN

    def less(self, held: Callable[[Left], bool]) -> Left:
        """Without those directories and patterns of which something is `held` all the same."""
        each = [Ordered(self.ordered.paths, (path,)) for path in self.ordered.left]
        gone = tuple(one.left[0] for one in each if not held(Left(one)))
        return Left(Ordered(self.ordered.paths, gone))


NOTHING = Left(Ordered())


def _parts(path: str) -> tuple[str, ...]:
    return tuple(same(part) for part in path.split("/") if part)
