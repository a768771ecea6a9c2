"""A server has another name: its repository, and what is remembered of it, go to that name on its host.

Each move is a rename within a folder. It may be cut at any point, and is finished by a second run: what is
there by the new name already is not moved again, and nothing is put over anything. The repository goes first:
a maintenance between two runs finds none by the old name, and so begins no second memory of it there.
Standard library only.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from .errors import ProSecoursError
from .locks import HOLDS
from .state import State
from .volume import Usage


class CannotRename(ProSecoursError):
    """The repository stays where it is."""


@dataclass(frozen=True)
class Move:
    """From one place to another, in the same folder."""

    source: Path
    target: Path

    def apply(self) -> None:
        if self.target.is_dir():
            self.target.rmdir()  # made for a server of that name, and empty
        self.source.rename(self.target)


def rename(data: Path, state: Path, config: Path, old: str, new: str, check: bool) -> list[Move]:
    """Moves what a client's server has in its three folders; the moves that were due.

    `data`: the client's repositories; `state`: what the maintenance remembers of it; `config`: its logins and
    passwords. Raises CannotRename, Busy, Unreadable, Unwritable, OSError.
    """
    with ExitStack() as stack:
        if (state / old).is_dir() and not check:
            stack.enter_context(State(state / old).locked())
        due = list(_due(data, state, config, old, new))
        if not check:
            _count_once(State(state), old, new)
            for move in due:
                move.apply()
    return due


def _count_once(client: State, old: str, new: str) -> None:
    """Else a deploy, which measures it by its new name, would count it twice, and close the client."""
    if not _counted(client, old):
        return
    with client.locked():
        if known := _counted(client, old):
            servers = {new if name == old else name: use for name, use in known.servers.items()}
            client.keep_usage(replace(known, servers=servers))


def _counted(client: State, server: str) -> Usage | None:
    known = client.usage()
    return known if known and server in known.servers else None


def _due(data: Path, state: Path, config: Path, old: str, new: str) -> Iterator[Move]:
    repository, there = data / old, data / new
    if (repository / "config").is_file():
        if (there / "config").is_file():
            raise CannotRename(
                f"{there} is a repository already, and {repository} another one",
                "Give the server another name, or remove one of the two by hand; nothing was moved",
            )
        locks = repository / "locks"
        if any(time.time() - one.stat().st_mtime < HOLDS.total_seconds() for one in _files(locks)):
            raise CannotRename(
                f"A backup or a restore is under way in {repository}: it has a lock",
                "Start again when it has ended, or half an hour after it broke off; nothing was moved",
            )
        if there.is_dir() and any(there.iterdir()):
            raise CannotRename(f"{there} is there and not empty", "Look at what it is; nothing was moved")
    memory, known = State(state / new), State(state / old)
    if known.kept and memory.kept:
        raise CannotRename(
            f"{memory.folder} remembers another server of that name",
            "Give the server another name, or move that folder away; nothing was moved",
        )
    if (repository / "config").is_file():
        yield Move(repository, there)
    if known.kept:
        if memory.folder.is_dir():
            # Left by a deploy that came before: nothing in it that is not made anew.
            yield Move(memory.folder, memory.folder.with_name(f".before-{new}-{time.time_ns()}"))
        yield Move(known.folder, memory.folder)
    passwords = config / "encryption-passwords"
    if (passwords / old).is_file() and not (passwords / new).exists():
        yield Move(passwords / old, passwords / new)


def _files(folder: Path) -> Iterator[Path]:
    yield from (one for one in folder.iterdir() if one.is_file()) if folder.is_dir() else ()
