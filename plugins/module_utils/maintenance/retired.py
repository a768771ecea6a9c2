"""Repositories of servers that have left the inventory: kept until nothing of them is promised, then dropped.

A server's file with a wrong name, or an inventory that lost a part for a night, must drop nothing. So two
things have to be so, each for all days of which the contract promises something:

- its last snapshot arrived so long ago, by the times of the repository host or of the supplier, which no
  client writes;
- on so many *different days* the maintenance has found the server missing. A clock that jumps ahead counts
  as one day. A server that comes back begins anew.

A sudden loss in it that nobody has judged holds it: what is older may be all that the client has left. So
does a snapshot that arrived after its last good maintenance, of which nobody knows what it is: of a server
that has left no repository is read any more. Pure but for `drop`. Standard library only.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path

from .model import LastReport, Retired
from .retention import day_of
from .storage import WRITE, As, Whole, shell

HTPASSWD = "htpasswd"


@dataclass(frozen=True)
class Sighting:
    """How often the maintenance found a server missing from the inventory whose repository is there."""

    days: int
    """Different ones."""
    on: date
    """The last of them."""
    going: bool = False
    """The removal has begun: the next run finishes it, whatever is left to judge by."""


def seen(missing: Iterable[str], before: Mapping[str, Sighting], today: date) -> dict[str, Sighting]:
    """The sightings with today's; of a server that is not missing any more there is none.

    Another day is one more, also one that lies before the last: the clock was wrong then, or is now.
    """
    return {
        name: replace(known, days=known.days + (known.on != today), on=today)
        if (known := before.get(name))
        else Sighting(1, today)
        for name in missing
    }


def judge(arrivals: Mapping[str, datetime], known: LastReport, sighting: Sighting, span: int) -> Retired:
    """What becomes of one. The day that is told holds if there is a maintenance each day.

    `arrivals`: of the snapshots that lie there; `known`: of its last good maintenance; `span`: days of which
    something is promised.
    """
    last = max(arrivals.values(), default=None)
    held = tuple(sorted({*known.losses, *known.unmeasured, *(arrivals.keys() - set(known.seen))}))
    on = sighting.on + timedelta(days=span + 1 - sighting.days)
    if last is not None:
        on = max(on, day_of(last) + timedelta(days=span))
    if sighting.going:
        return Retired(last, sighting.on, ())
    return Retired(last, None if held else on, held)


def due(found: Retired, today: date) -> bool:
    """Whether it goes today."""
    return found.goes_on is not None and found.goes_on <= today


def announced(found: Mapping[str, Retired]) -> Iterator[str]:
    """A sentence for each that will go, for people."""
    for name, one in found.items():
        if one.goes_on:
            yield f"{name} is in the contract no more{_last(one)}: its repository goes on {one.goes_on}"


def held(found: Mapping[str, Retired]) -> Iterator[str]:
    """A sentence for each that does not go before somebody has looked."""
    for name, one in found.items():
        if one.held:
            ids = ", ".join(snapshot[:8] for snapshot in one.held[:5])
            yield (
                f"{name} is in the contract no more{_last(one)}, and nobody has judged {ids} in its"
                " repository: it stays. Put the server back into the inventory, let a maintenance run and"
                " judge what it names, or remove the repository by hand"
            )


def _last(one: Retired) -> str:
    return f" (last backup: {day_of(one.last)})" if one.last else ""


def drop(server: str, repository: Whole, state: Path, config: Path) -> None:
    """The repository, and after it all that only it needed. May be killed at any point, and called again.

    `state`: what was remembered of the server; `config`: its client's folder of logins and passwords.
    Raises OSError, ProSecoursError.
    """
    repository.drop()
    (config / "encryption-passwords" / server).unlink(missing_ok=True)
    _forget_login(config / HTPASSWD, server)
    if state.is_dir():
        shutil.rmtree(state)


def _forget_login(path: Path, server: str) -> None:
    """The rest-server, whose user reads the file by its group, reads it again by itself."""
    if not path.is_file():
        return
    lines = path.read_text("utf-8").splitlines(keepends=True)
    kept = [line for line in lines if line.partition(":")[0] != server]
    if kept != lines:
        known = path.stat()
        # The timer's unit may become a group, and not give a file to one.
        group: As = {} if known.st_gid == os.getegid() else {"group": known.st_gid, "extra_groups": []}
        shell(WRITE, str(path), f"{stat.S_IMODE(known.st_mode):o}", who=group, given="".join(kept).encode())
