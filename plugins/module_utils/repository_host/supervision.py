"""What keeps the instances of a repository host running: systemd, else supervisord. Standard library only."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from .changes import HostError, run

STATE = "PROSECOURS_STATE"
"""What an instance was started with; read back from its /proc/<pid>/environ."""
START_SECONDS = 60.0
"""Seconds for an instance to listen after its start; it first counts the bytes of its data."""
DEAD_SECONDS = 8.0
"""Seconds without a process, after which a start has failed."""


@dataclass(frozen=True)
class Instance:
    """One rest-server of one client: plugin_utils.repository decides it on the controller."""

    client: str
    user: str
    """The system user that it runs as, and that owns the data."""
    servers: Sequence[str]
    """The client's servers: each has a login, and below the client's folder a repository, of that name."""
    listen: str
    """Address and port where it listens; no address is all of them."""
    name: str
    """Name or address by which the client's servers reach it: what its certificate must say."""
    max_bytes: int
    """Bytes of all files of all repositories at which it refuses more."""


@dataclass(frozen=True)
class Settings:
    """What all instances of the host share. Lifetimes are in days."""

    data: Path
    config: Path
    program: Path
    program_sha256: str | None
    certificate: str | None
    """PEM of a certificate from elsewhere, for all instances; its key is among the secrets."""
    certificate_days: int
    renew_days: int
    check: bool
    units: Path = Path("/etc/systemd/system")

    @property
    def authority(self) -> Path:
        return self.config / ".authority"

    @property
    def separate_users(self) -> bool:
        """Only root can make users; without it (a developer's machine) all instances are one's own."""
        return os.geteuid() == 0


class Process(NamedTuple):
    """What the supervision says of one instance."""

    pid: int
    enabled: bool


class Supervision(ABC):
    """What keeps the instances running: starts them at boot, and again when they end."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @abstractmethod
    def shared(self) -> dict[Path, str]:
        """The files that all instances share -> their text."""

    @abstractmethod
    def own_file(self, client: str) -> Path:
        """The file that describes one instance."""

    @abstractmethod
    def own_text(self, instance: Instance, state: str | None) -> str:
        """Its text; without `state` as people see it."""

    @abstractmethod
    def processes(self, clients: list[str]) -> dict[str, Process]:
        """Those that run, or are to be started at boot."""

    @abstractmethod
    def restart(self, client: str) -> None:
        """Has it run with what its file now says, and at every boot."""

    @abstractmethod
    def remove(self, client: str) -> None:
        """Stops it for good and forgets it."""

    @abstractmethod
    def last_words(self, client: str) -> str:
        """The last line of its log."""


UNIT = """\
# Written by Ansible (prosecours.backup.repository): the same for every client. What differs is in
# prosecours-repository@<client>.service.d/instance.conf
[Unit]
Description=Pro Secours repository of %i
Documentation=https://github.com/restic/rest-server
Wants=network-online.target
After=network-online.target
RequiresMountsFor={data}
StartLimitIntervalSec=0

[Service]
Type=exec
Restart=always
RestartSec=5
UMask=0077
LimitNOFILE=65536
ReadWritePaths={data}/%i
CapabilityBoundingSet=
AmbientCapabilities=
NoNewPrivileges=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
PrivateDevices=yes
PrivateTmp=yes
PrivateUsers=yes
ProcSubset=pid
ProtectClock=yes
ProtectControlGroups=yes
ProtectHome=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProtectSystem=strict
RemoveIPC=yes
RestrictAddressFamilies=AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SocketBindDeny=any
SystemCallArchitectures=native
SystemCallErrorNumber=EPERM
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources

[Install]
WantedBy=multi-user.target
"""


class Systemd(Supervision):
    """One instance of a template unit for each client."""

    def unit(self, client: str) -> str:
        return f"prosecours-repository@{client}.service"

    def shared(self) -> dict[Path, str]:
        template = self.settings.units / "prosecours-repository@.service"
        return {template: UNIT.format(data=self.settings.data)}

    def own_file(self, client: str) -> Path:
        return self.settings.units / f"{self.unit(client)}.d" / "instance.conf"

    def own_text(self, instance: Instance, state: str | None) -> str:
        lines = [
            "[Service]",
            f"User={instance.user}",
            f"Group={instance.user}",
            f"ExecStart={' '.join(command(instance, self.settings))}",
            f"SocketBindAllow=tcp:{instance.listen.rpartition(':')[2]}",
        ]
        return "\n".join([*lines, f"Environment={STATE}={state}", ""] if state else [*lines, ""])

    def processes(self, clients: list[str]) -> dict[str, Process]:
        if not clients:
            return {}
        properties = "--property=MainPID,UnitFileState"
        shown = run("systemctl", "show", properties, *map(self.unit, clients)).stdout
        found = {}
        # One block for each unit, in the order asked for, with an empty line between.
        for client, block in zip(clients, shown.strip().split("\n\n"), strict=True):
            facts = dict(line.partition("=")[::2] for line in block.splitlines())
            found[client] = Process(int(facts.get("MainPID") or 0), facts.get("UnitFileState") == "enabled")
        return found

    def restart(self, client: str) -> None:
        run("systemctl", "daemon-reload")
        run("systemctl", "enable", "--quiet", self.unit(client))
        run("systemctl", "restart", self.unit(client))

    def remove(self, client: str) -> None:
        run("systemctl", "disable", "--quiet", "--now", self.unit(client))
        shutil.rmtree(self.own_file(client).parent)
        run("systemctl", "daemon-reload")

    def last_words(self, client: str) -> str:
        tail = ("--lines=1", "--output=cat", "--no-pager")
        return run("journalctl", f"--unit={self.unit(client)}", *tail, allowed=None).stdout.strip()


SUPERVISORD = """\
; Written by Ansible (prosecours.backup.repository).
[supervisord]
logfile={folder}/supervisord.log
logfile_maxbytes=1MB
logfile_backups=1
pidfile={folder}/supervisord.pid
childlogdir={folder}
directory={folder}
umask=077
{user}
[unix_http_server]
file={folder}/control
chmod=0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

[supervisorctl]
serverurl=unix://{folder}/control

[include]
files={folder}/instances/*.conf
"""


class Supervisor(Supervision):
    """supervisord (supervisord.org) in a folder of its own, where there is no systemd: a lab, a container."""

    def __init__(self, settings: Settings, supervisord: str = "") -> None:
        super().__init__(settings)
        self.folder = settings.config / ".supervisor"
        self._daemon = supervisord or shutil.which("supervisord") or ""
        if len(f"{self.folder}/control.00000000") > 107:  # sun_path of unix(7), with what supervisord appends
            raise HostError(
                f"The path {self.folder} is too long for a socket",
                "Set a shorter prosecours_repository_config",
            )

    def shared(self) -> dict[Path, str]:
        # Said once, root silences supervisord's warning that it is root; otherwise it is who started it.
        user = "user=root\n" if self.settings.separate_users else ""
        return {self.folder / "supervisord.conf": SUPERVISORD.format(folder=self.folder, user=user)}

    def own_file(self, client: str) -> Path:
        return self.folder / "instances" / f"{client}.conf"

    def own_text(self, instance: Instance, state: str | None) -> str:
        lines = [
            f"[program:{instance.client}]",
            f"command={' '.join(command(instance, self.settings))}",
            *([f"user={instance.user}"] if self.settings.separate_users else []),
            "autorestart=true",
            "startretries=1000",
            "redirect_stderr=true",
            f"stdout_logfile={self.folder}/{instance.client}.log",
            "stdout_logfile_maxbytes=1MB",
            "stdout_logfile_backups=1",
        ]
        return "\n".join([*lines, f'environment={STATE}="{state}"', ""] if state else [*lines, ""])

    def processes(self, clients: list[str]) -> dict[str, Process]:
        if not (self.folder / "supervisord.conf").exists():
            return {}
        listed = self._control("status", allowed=(0, 3, 4)).stdout
        found = re.findall(r"^(\S+) +RUNNING +pid (\d+)", listed, re.MULTILINE)
        return {client: Process(int(pid), True) for client, pid in found if client in clients}

    def restart(self, client: str) -> None:
        if not self._runs():
            if not self._daemon:
                raise HostError(
                    "There is neither systemd nor supervisord here",
                    "Install the package supervisor, or set prosecours_repository_supervisord",
                )
            run(self._daemon, "-c", f"{self.folder}/supervisord.conf")
            wait_until(self._runs, "supervisord", lambda: tail(self.folder / "supervisord.log"))
        before = self.processes([client]).get(client)
        self._control("update", client)  # starts it, or restarts it if its file has changed since it was read
        after = self.processes([client]).get(client)
        if before and after == before:
            self._control("restart", client)
        elif not after:
            self._control("start", client, allowed=None)  # it may be about to start already

    def remove(self, client: str) -> None:
        running = self._runs()
        if running:
            self._control("stop", client, allowed=None)
        self.own_file(client).unlink()
        if running:
            self._control("update", client)
        for log in self.folder.glob(f"{client}.log*"):
            log.unlink()

    def last_words(self, client: str) -> str:
        return tail(self.folder / f"{client}.log")

    def _runs(self) -> bool:
        return self._control("pid", allowed=None).returncode == 0

    def _control(
        self, *arguments: str, allowed: tuple[int, ...] | None = (0,)
    ) -> subprocess.CompletedProcess[str]:
        beside = Path(self._daemon).with_name("supervisorctl") if self._daemon else Path("supervisorctl")
        return run(str(beside), "-c", f"{self.folder}/supervisord.conf", *arguments, allowed=allowed)


def supervision(kind: str, settings: Settings, supervisord: str) -> Supervision:
    return Systemd(settings) if kind == "systemd" else Supervisor(settings, supervisord)


def command(instance: Instance, settings: Settings) -> list[str]:
    """The command line, the same under every supervision. No secret is on it."""
    config = settings.config / instance.client
    return [
        str(settings.program),
        *("--path", str(settings.data / instance.client)),
        *("--listen", instance.listen),
        *("--tls", "--tls-cert", f"{config}/tls.crt", "--tls-key", f"{config}/tls.key"),
        "--append-only",
        "--private-repos",
        *("--htpasswd-file", f"{config}/htpasswd"),
        *("--max-size", str(instance.max_bytes)),
    ]


def environment(pid: int) -> dict[str, str]:
    """The environment that a process was started with; empty when there is none."""
    try:
        raw = Path(f"/proc/{pid}/environ").read_bytes() if pid else b""
    except OSError:
        return {}
    entries = (entry.partition(b"=") for entry in raw.split(b"\0") if entry)
    return {
        name.decode("utf-8", "replace"): value.decode("utf-8", "replace") for name, _unused, value in entries
    }


def listens(listen: str) -> bool:
    address, _unused, port = listen.rpartition(":")
    try:
        socket.create_connection((address.strip("[]") or "localhost", int(port)), 1).close()
    except OSError:
        return False
    return True


def wait_until(
    ready: Callable[[], bool],
    what: str,
    last_words: Callable[[], str],
    alive: Callable[[], bool] = lambda: True,
) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        if time.monotonic() > deadline or not alive():
            words = last_words() or "its log is empty"
            raise HostError(f"{what} does not answer ({words})", "Correct it and run this again")
        time.sleep(0.1)


def tail(path: Path) -> str:
    """The last line of a log."""
    lines = path.read_text("utf-8", "replace").strip().splitlines() if path.exists() else []
    return lines[-1] if lines else ""
