"""The running lab: hosts and repositories of one state folder. The daemon holds one; tests may too.

State folder: ca.pem, hosts/<name>/ (journal.jsonl and what the machine keeps), repositories/<client>/
(password file and log of its server), data/<client>/ (its repositories).
"""

from __future__ import annotations

import errno
import os
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from windows_lab.certificates import Authority
from windows_lab.errors import LabError
from windows_lab.inventory import HostSpec, Plan
from windows_lab.machine.protocol import WINDOWS, Machine
from windows_lab.repository import Repository, find_program
from windows_lab.winrm.authentication import Accounts
from windows_lab.winrm.faults import Faults
from windows_lab.winrm.journal import Journal
from windows_lab.winrm.shells import Limits, Shells
from windows_lab.winrm.wsman import Host, Listener

HTTP_PORT, HTTPS_PORT = 5985, 5986
Say = Callable[[str], None]


class LabMachine(Machine, Protocol):
    """A machine that the lab makes and ends."""

    def prepare(self) -> None:
        """Makes what it needs on disk; may take seconds. Raises LabError."""

    def close(self) -> None:
        """Ends every process of it."""

    def now(self) -> datetime:
        """The clock of its task scheduler, UTC."""

    def advance(self, to: datetime) -> None:
        """Moves that clock, in steps: every task that comes due runs to its end. Raises LabError."""

    def tasks(self) -> list[dict[str, Any]]:
        """Its registered tasks, in plain JSON types: task, enabled, last_run, last_result, next_run ..."""

    def limit_disk(self, free_bytes: int | None) -> None:
        """What its drives can still take; None takes the limit away."""


MakeMachine = Callable[[str, Path, dict[str, Any], dict[str, str]], LabMachine]


class LabHost:
    """One host: its machine behind two listeners."""

    def __init__(self, spec: HostSpec, machine: LabMachine, folder: Path, authority: Authority) -> None:
        self.spec = spec
        self.machine = machine
        self.journal = Journal(spec.name, folder / "journal.jsonl")
        self.faults = Faults()
        self.accounts = Accounts(spec.name, spec.users, folder / "ntlm-users")
        limits = Limits()
        self.shells = Shells(machine, self.journal, spec.address, limits)
        allow = bool(spec.settings.get("lab_allow_unencrypted", False))
        host = Host(spec.name, self.accounts, self.shells, self.journal, self.faults, limits, allow)
        self._listeners: list[Listener] = []
        try:
            tls = authority.server_context(spec.name, [spec.address, spec.name])
            for port, security in ((HTTP_PORT, None), (HTTPS_PORT, tls)):
                self._listeners.append(_listen(host, spec, port, security))
        except LabError:
            self.stop()
            raise
        for listener in self._listeners:
            listener.start()

    def update(self, spec: HostSpec) -> None:
        """Takes the logins of a re-read inventory; the rest of a running host stays."""
        self.spec = spec
        self.machine.users.clear()
        self.machine.users.update(spec.users)
        self.accounts.replace(spec.users)

    def stop(self) -> None:
        """Closes listeners, connections, commands and the journal; the machine is the lab's to close."""
        for listener in self._listeners:
            listener.stop()
        self.shells.close()
        self.journal.close()

    def describe(self) -> dict[str, Any]:
        """Plain JSON types for `status`."""
        return {
            "name": self.spec.name,
            "client": str(self.spec.settings.get("prosecours_client_name", "")),
            "address": self.spec.address,
            "http": f"http://{self.spec.address}:{HTTP_PORT}/wsman",
            "https": f"https://{self.spec.address}:{HTTPS_PORT}/wsman",
            "users": sorted(self.spec.users),
            "windows": str(self.spec.settings.get("lab_windows", WINDOWS)),
            "shells": self.shells.count(),
            "counters": self.journal.counters(),
            "faults": [asdict(fault) for fault in self.faults.armed()],
            "clock": self.machine.now().isoformat(timespec="seconds"),
            "tasks": self.machine.tasks(),
            "clock_offset": self.faults.clock_offset,
        }


class Lab:
    """All hosts and repositories of a state folder."""

    def __init__(self, state: Path, make_machine: MakeMachine, rest_server: str | None = None) -> None:
        self.state = state
        self.authority = Authority(state)
        self.hosts: dict[str, LabHost] = {}
        self.repositories: dict[str, Repository] = {}
        self._make_machine = make_machine
        self._rest_server = rest_server
        self._changing = threading.Lock()
        self._ending = threading.Event()

    def up(self, plan: Plan, say: Say) -> None:
        """Starts what of the plan does not run yet, takes new logins for what does. Raises LabError, and
        keeps what has started by then."""
        with self._changing:
            self._start_repositories(plan, say)
            new = [spec for spec in plan.hosts if spec.name not in self.hosts]
            for spec in plan.hosts:
                if spec.name in self.hosts:
                    self._update(spec)
            if new:
                self._start_hosts(new, say)

    def host(self, name: str) -> LabHost:
        """Raises LabError for a name that the lab does not know."""
        if name not in self.hosts:
            known = ", ".join(sorted(self.hosts)) or "none"
            raise LabError(f"The lab has no host {name}; it has: {known}.")
        return self.hosts[name]

    def repository(self, client: str) -> Repository:
        """Raises LabError for a client that has none."""
        if client not in self.repositories:
            known = ", ".join(sorted(self.repositories)) or "none"
            raise LabError(f"The lab has no repository of {client}; it has those of: {known}.")
        return self.repositories[client]

    def close(self, say: Say = lambda _: None) -> None:
        """Ends everything, listeners first so that no command starts any more; an `up` under way gives up."""
        self._ending.set()
        with self._changing:
            for host in self.hosts.values():
                host.stop()
            with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
                for name, _ in zip(self.hosts, pool.map(_close, self.hosts.values()), strict=True):
                    say(f"stopped {name}")
            for client, repository in self.repositories.items():
                repository.stop()
                say(f"stopped the repository of {client}")
            self.hosts.clear()
            self.repositories.clear()
            self._ending.clear()

    def _start_repositories(self, plan: Plan, say: Say) -> None:
        for spec in plan.repositories:
            known = self.repositories.get(spec.client)
            if known is not None and known.spec == spec:
                known.start()
                continue
            if known is not None:
                known.stop()
            # The data lie as on a repository host, so that the playbooks for one work on them.
            folder, data = (self.state / name / spec.client for name in ("repositories", "data"))
            repository = Repository(spec, folder, data, self.authority, find_program(self._rest_server))
            repository.start()
            self.repositories[spec.client] = repository
            say(f"repository of {spec.client}: https://{spec.host}:{spec.port}/")

    def _update(self, spec: HostSpec) -> None:
        host = self.hosts[spec.name]
        if host.spec.address != spec.address:
            raise LabError(
                f"{spec.name} runs on {host.spec.address} and the inventory now says {spec.address}. "
                "Run `down`, then `up`, to move it."
            )
        host.update(spec)

    def _start_hosts(self, new: list[HostSpec], say: Say) -> None:
        """Prepares as many machines at once as there are processors; opens each host when it is ready."""
        problems: list[str] = []
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            pending = {pool.submit(self._start_host, spec): spec for spec in new}
            for done, future in enumerate(as_completed(pending), start=1):
                spec = pending[future]
                try:
                    self.hosts[spec.name] = future.result()
                    say(f"host {done}/{len(new)}: {spec.name} on {spec.address}")
                except LabError as problem:
                    problems.append(str(problem))
                except Exception as problem:  # one host shall not take the others down with it
                    traceback.print_exc()
                    problems.append(f"{spec.name} did not start: {problem!r}. daemon.log has the details.")
        self.hosts = dict(sorted(self.hosts.items()))
        if problems:
            raise LabError("\n".join(problems))

    def _start_host(self, spec: HostSpec) -> LabHost:
        if self._ending.is_set():
            raise LabError(f"{spec.name} was not started: the lab is being stopped.")
        folder = self.state / "hosts" / spec.name
        folder.mkdir(parents=True, exist_ok=True)
        machine = self._make_machine(spec.name, folder, spec.settings, dict(spec.users))
        try:
            machine.prepare()
            return LabHost(spec, machine, folder, self.authority)
        except BaseException:
            machine.close()
            raise


def _listen(host: Host, spec: HostSpec, port: int, tls: Any) -> Listener:
    try:
        return Listener(host, (spec.address, port), tls)
    except OSError as problem:
        place = f"{spec.name}: {spec.address}:{port}"
        if problem.errno == errno.EADDRINUSE:
            raise LabError(
                f"{place} is already taken, perhaps by another lab: stop it, or change ansible_host."
            ) from None
        if problem.errno == errno.EADDRNOTAVAIL:
            raise LabError(
                f"{place} is no address of this machine. Linux has all of 127.0.0.0/8 once its loopback is "
                "up (`ip link set lo up`); elsewhere add the address to the loopback."
            ) from None
        raise LabError(f"{place} cannot be opened: {problem.strerror}.") from None


def _close(host: LabHost) -> None:
    host.machine.close()
