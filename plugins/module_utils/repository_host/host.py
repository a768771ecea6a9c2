"""Runs on a repository host: brings its rest-server instances to what is wanted. Standard library only.

facts and wanted state -> plan -> apply -> report. A plan is an ordered row of changes; each looks at one
thing, knows it before and after, and can bring it about. Check mode stops at the plan.

    <data>/<client>/                root's, open to the client's system user: no instance makes a folder in it
    <data>/<client>/<server>/       owned by that user: a repository, fenced once it is made (see gate.py)
    <config>/<client>/              htpasswd tls.crt tls.key: root's, readable by that user, not writable
    <config>/.authority/            ca.crt ca.key: the own authority; made once, never replaced
    <config>/.supervisor/           only where there is no systemd

An instance is told the state that it was started with (a digest, in its environment). A run that was cut
between a new file and the restart is so made good by the next one.
"""

from __future__ import annotations

import grp
import hashlib
import os
import pwd
import re
import shutil
import stat
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from ..maintenance.gate import Gate
from . import certificates
from .changes import (
    Change,
    HostError,
    Owner,
    attributes,
    digest,
    directory,
    file,
    run,
    system_user,
    user_exists,
    write,
)
from .supervision import (
    DEAD_SECONDS,
    STATE,
    Instance,
    Process,
    Settings,
    Supervision,
    environment,
    listens,
    wait_until,
)

PLAIN_PATH = re.compile(r"/[A-Za-z0-9._/-]*")
"""Paths go into unit files and command lines: nothing that either reads in another way."""


class Secrets(NamedTuple):
    htpasswd: dict[str, str]
    """client -> the text of its password file"""
    key: str | None
    """PEM of the key of Settings.certificate"""


class Host:
    """The repository host: plans and reports. Nothing changes but by Change.apply."""

    def __init__(self, settings: Settings, secrets: Secrets, keeper: Supervision) -> None:
        for path in (settings.data, settings.config, settings.program):
            if not PLAIN_PATH.fullmatch(str(path)):
                raise HostError(
                    f"{path} is not a plain absolute path", "Use letters, digits and . _ - / only"
                )
        if settings.renew_days >= settings.certificate_days:
            raise HostError(
                f"Certificates of {settings.certificate_days} days would be renewed "
                f"{settings.renew_days} days before their end, at every run",
                "Set prosecours_repository_renew_days to less than prosecours_repository_certificate_days",
            )
        self.settings, self.secrets, self.keeper = settings, secrets, keeper
        self._root = Owner(pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(os.getegid()).gr_name)

    def plan(self, instances: list[Instance]) -> Iterator[Change]:
        """The changes in the order in which they have to be made; each is planned when the last was made.

        None without instances: a host of buckets needs no program, no folder and no supervision.
        """
        settings = self.settings
        if not instances:
            return
        self._check_program()
        # Root's, and open to pass through: each client's folders below are closed.
        yield from directory("", settings.data, self._root, 0o711)
        yield from directory("", settings.config, self._root, 0o711)
        for path, text in self.keeper.shared().items():
            yield from file("", path, text, self._root, 0o644)
        if settings.certificate is None:
            yield from self._own_authority()
        stale = set()
        for one in instances:
            for change in self._files(one):
                if change.restarts:
                    stale.add(one.client)
                yield change
        # Last: one supervisor that is started for the first client needs the users of all.
        running = self.keeper.processes([one.client for one in instances])
        for one in instances:
            yield from self._running(one, running.get(one.client, Process(0, False)), one.client in stale)

    def _check_program(self) -> None:
        """What is started as a service is the pinned program (version and SHA-256), whoever put it there."""
        program, wanted = self.settings.program, self.settings.program_sha256
        if self.settings.check and not (program.exists() and wanted):
            return
        if not program.exists():
            raise HostError(f"{program} is missing", "Copy rest-server there first")
        found = digest(program)
        if wanted and found != wanted and not self.settings.check:
            raise HostError(
                f"{program} has the SHA-256 {found}, not {wanted}", "Copy rest-server there again"
            )

    def _files(self, one: Instance) -> Iterator[Change]:
        settings, config = self.settings, self.settings.config / one.client
        if settings.separate_users:
            yield from system_user(one.client, one.user, settings.data / one.client)
            owner, reads = Owner(one.user, one.user), Owner(self._root.user, one.user)
            folder_mode, file_mode = 0o750, 0o640
        else:
            owner = reads = self._root
            folder_mode, file_mode = 0o700, 0o600
        yield from self._data_folder(one, owner, reads)
        yield from directory(one.client, config, reads, folder_mode)
        htpasswd = self.secrets.htpasswd[one.client]
        shown = f"the passwords of {', '.join(one.servers)}"
        yield from file(one.client, config / "htpasswd", htpasswd, reads, file_mode, shown)
        if settings.certificate is not None:
            key = self.secrets.key or ""
            certificates.check_given(settings.certificate, key, one.name)
            yield from file(one.client, config / "tls.key", key, reads, file_mode, "the key given")
            yield from file(one.client, config / "tls.crt", settings.certificate, reads, file_mode)
        else:
            yield from self._own_certificate(one, config, reads, file_mode)

    def _data_folder(self, one: Instance, owner: Owner, reads: Owner) -> Iterator[Change]:
        """A folder for each server, made here: an instance makes none. Once a repository is in it, nothing is
        added but what a backup adds. What the volume's gate has closed stays closed (C15)."""
        folder = self.settings.data / one.client
        closed = folder.is_dir() and stat.S_IMODE(folder.stat().st_mode) in (0o500, 0o550)
        mode = 0o750 if self.settings.separate_users else 0o700
        yield from directory(one.client, folder, reads, mode & ~0o200 if closed else mode)
        for server in one.servers:
            if not (folder / server).is_dir():
                yield from directory(one.client, folder / server, owner, 0o700)
        gate = Gate(folder, tuple(folder / server for server in one.servers))
        if not gate.fenced:
            now = "keys, configurations and further repositories: {}\n"
            before, after = now.format("accepted"), now.format("refused")
            yield Change(one.client, f"{folder} (fence)", before, after, gate.fence)

    def _own_authority(self) -> Iterator[Change]:
        folder = self.settings.authority
        certificate, key = folder / "ca.crt", folder / "ca.key"
        yield from directory("", folder, self._root, 0o700)
        if certificate.exists():
            if not certificates.is_pair(certificate, key):
                raise HostError(
                    f"{key} is missing or not the key of {certificate}",
                    "Put it back from your backup of this host; a new authority would lock out every agent, "
                    "so it is made only when ca.crt is moved away too",
                )
            yield from attributes("", key, self._root, 0o600)
            if not certificates.lasts(certificate, self.settings.certificate_days):
                raise HostError(
                    f"The authority in {folder} ends before a new certificate would",
                    "Move the folder away, run this again, and deploy all agents to trust the new one",
                )
            return

        made = f"a new authority for {certificates.AUTHORITY_DAYS} days\n"
        yield Change("", str(certificate), "", made, partial(certificates.make_authority, folder))

    def _own_certificate(self, one: Instance, config: Path, reads: Owner, mode: int) -> Iterator[Change]:
        certificate, key, authority = config / "tls.crt", config / "tls.key", self.settings.authority
        days = self.settings.certificate_days
        if certificates.is_good(certificate, key, authority / "ca.crt", one.name, self.settings.renew_days):
            yield from attributes(one.client, key, reads, mode)
            yield from attributes(one.client, certificate, reads, mode)
            return
        before = f"ends {certificates.end_of(certificate)}\n" if certificate.exists() else ""

        issue = partial(
            certificates.issue, authority, config, one.client, one.name, days, reads=reads, mode=mode
        )
        after = f"for {one.name}, {days} days\n"
        yield Change(one.client, str(certificate), before, after, issue, restarts=True)

    def _running(self, one: Instance, process: Process, stale: bool) -> Iterator[Change]:
        """It runs, with what the files say now; `stale` when this run changed them, or would."""
        keeper, path = self.keeper, self.keeper.own_file(one.client)
        state = None if stale else self._state(one)
        text = path.read_text("utf-8") if path.exists() else ""
        shown = "".join(line for line in text.splitlines(keepends=True) if STATE not in line)
        runs_with = environment(process.pid).get(STATE)
        if process.enabled and runs_with and runs_with == state and text == keeper.own_text(one, state):
            return
        before = "running with other files" if runs_with else "not running"

        def start() -> None:
            write(path, keeper.own_text(one, self._state(one)), self._root, 0o644)
            keeper.restart(one.client)
            self._wait_for(one)

        after = keeper.own_text(one, None)
        if shown == after:
            before, after = f"{before}\n", "running\n"
        else:
            before, after = f"{shown}{before}\n", f"{after}running\n"
        yield Change(one.client, str(path), before, after, start)

    def _wait_for(self, one: Instance) -> None:
        """Until it listens; what ends at once is not waited for."""
        wanted, lived = self._state(one), time.monotonic()

        def ready() -> bool:
            nonlocal lived
            process = self.keeper.processes([one.client]).get(one.client, Process(0, False))
            if process.pid:
                lived = time.monotonic()
            return environment(process.pid).get(STATE) == wanted and listens(one.listen)

        wait_until(
            ready,
            f"The instance of {one.client}",
            lambda: self.keeper.last_words(one.client),
            lambda: time.monotonic() - lived < DEAD_SECONDS,
        )

    def _state(self, one: Instance) -> str | None:
        """A digest of all that an instance reads when it starts; None while a file is missing."""
        config = self.settings.config / one.client
        parts = [*map(str.encode, self.keeper.shared().values()), self.keeper.own_text(one, None).encode()]
        try:
            parts += [path.read_bytes() for path in (config / "htpasswd", config / "tls.crt")]
            parts.append((self.settings.program_sha256 or digest(self.settings.program)).encode())
        except FileNotFoundError:
            return None
        return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()[:32]

    # -- what is there ----------------------------------------------------------------------------------

    def clients(self) -> list[str]:
        """Everyone of whom there is something on this host."""
        folders = [self.settings.data, self.settings.config]
        names = {path.name for folder in folders if folder.is_dir() for path in folder.iterdir()}
        return sorted(name for name in names if re.fullmatch(r"[a-z][a-z0-9_]*", name))

    def ends(self, instances: list[Instance]) -> dict[str, str]:
        """client -> when the certificate of its instance ends, as openssl prints it."""
        paths = {one.client: self.settings.config / one.client / "tls.crt" for one in instances}
        return {client: certificates.end_of(path) for client, path in paths.items() if path.exists()}

    def ca(self) -> str | None:
        path = self.settings.authority / "ca.crt"
        return path.read_text("utf-8") if self.settings.certificate is None and path.exists() else None

    def removal(self, client: str, user: str) -> Iterator[Change]:
        """All that is left of a client, the data last but for the user who owns them."""
        keeper, settings = self.keeper, self.settings
        if keeper.own_file(client).exists():
            path = str(keeper.own_file(client))
            yield Change(client, path, "instance\n", "", partial(keeper.remove, client))
        for folder in (settings.config / client, settings.data / client):
            if folder.is_dir():
                size, snapshots = measured(folder)
                kept = f"{size} bytes, {snapshots} snapshots"
                before = f"{kept}\n" if folder.parent == settings.data else "settings\n"
                yield Change(client, str(folder), before, "", partial(shutil.rmtree, folder))
        if settings.separate_users and user_exists(user):

            def forget() -> None:
                run("userdel", user)

            yield Change(client, f"user {user}", "system user\n", "", forget)


def measured(folder: Path) -> tuple[int, int]:
    """Bytes of all files, and number of snapshots, of a client's data."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return sum(path.stat().st_size for path in files), sum(path.parent.name == "snapshots" for path in files)
