"""What can differ on a host, and how it is put right: files, folders, users. Standard library only.

Each function looks at one thing and yields the change that it needs, if any; Change.apply carries it out.
"""

from __future__ import annotations

import grp
import hashlib
import os
import pwd
import stat
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from ..maintenance.errors import ProSecoursError
from ..maintenance.files import write_whole


class HostError(ProSecoursError):
    """What went wrong on the repository host."""


class Owner(NamedTuple):
    user: str
    group: str


@dataclass(frozen=True)
class Change:
    """One difference. `before` and `after` are for people and hold no secret."""

    client: str
    """Empty for the host as a whole."""
    what: str
    before: str
    after: str
    apply: Callable[[], None]
    restarts: bool = False
    """Whether the client's instance has to be started anew for it."""

    def diff(self) -> dict[str, str]:
        """As Ansible shows it."""
        title = f"{self.what} ({self.client})" if self.client else self.what
        return {"before_header": title, "after_header": title, "before": self.before, "after": self.after}


def system_user(client: str, user: str, home: Path) -> Iterator[Change]:
    """A user without login, and a group of the same name."""

    def make() -> None:
        options = ("--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin")
        run("useradd", *options, "--home-dir", str(home), user)

    if not user_exists(user):
        yield Change(client, f"user {user}", "", "system user\n", make)


def directory(client: str, path: Path, owner: Owner, mode: int) -> Iterator[Change]:
    def make() -> None:
        path.mkdir(parents=True, exist_ok=True)
        own(path, owner, mode)

    before, after = seen(path), f"{owner.user}:{owner.group} {mode:04o}\n"
    if before != after:
        yield Change(client, str(path), before, after, make)


def file(
    client: str, path: Path, text: str, owner: Owner, mode: int, shown: str | None = None
) -> Iterator[Change]:
    """A file with this text, replaced in one step; `shown` stands for a text that is secret."""
    old = path.read_text("utf-8", "replace") if path.exists() else None
    if old == text:
        yield from attributes(client, path, owner, mode)
        return
    before, after = ("" if old is None else old), text
    if shown is not None:
        before, after = ("" if old is None else f"{shown}, another one\n"), f"{shown}\n"
    apply = partial(write, path, text, owner, mode)
    yield Change(client, str(path), before, after, apply, restarts=True)


def attributes(client: str, path: Path, owner: Owner, mode: int) -> Iterator[Change]:
    before, after = seen(path), f"{owner.user}:{owner.group} {mode:04o}\n"
    if before != after:
        yield Change(client, str(path), before, after, lambda: own(path, owner, mode))


def seen(path: Path) -> str:
    """Owner, group and mode, as a diff shows them; empty when there is nothing."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return ""
    try:
        owner = f"{pwd.getpwuid(found.st_uid).pw_name}:{grp.getgrgid(found.st_gid).gr_name}"
    except KeyError:  # of a user that is no more
        owner = f"{found.st_uid}:{found.st_gid}"
    return f"{owner} {stat.S_IMODE(found.st_mode):04o}\n"


def own(path: Path, owner: Owner, mode: int) -> None:
    """Only the entry itself: never through a link that somebody else may have put there."""
    if path.is_symlink():
        raise HostError(f"{path} is a symbolic link", "Remove it, or write the path that it leads to")
    os.chown(path, *_ids(owner))
    path.chmod(mode)


def _ids(owner: Owner) -> tuple[int, int]:
    return pwd.getpwnam(owner.user).pw_uid, grp.getgrnam(owner.group).gr_gid


def write(path: Path, text: str, owner: Owner, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, text.encode(), mode, _ids(owner))


def digest(path: Path) -> str:
    """SHA-256, lower-case hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def user_exists(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def run(*arguments: str, allowed: tuple[int, ...] | None = (0,)) -> subprocess.CompletedProcess[str]:
    """Run a program; another exit code than `allowed` (None: all) raises HostError."""
    try:
        done = subprocess.run(
            arguments, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, umask=0o077
        )
    except FileNotFoundError as error:
        raise HostError(f"{arguments[0]} is not installed", "Install it and run this again") from error
    if allowed is not None and done.returncode not in allowed:
        said = (done.stderr.strip() or done.stdout.strip() or "no word").splitlines()[0]
        raise HostError(
            f"{' '.join(arguments[:2])} ended with {done.returncode} ({said})",
            "Correct it and run this again",
        )
    return done
