"""The shells of one lab host: Create, Command, Send, Receive, Signal, Delete on a `Machine` (MS-WSMV 3.1.4).

Knows nothing of HTTP: a `soap.Request` and the name of the user go in, a reply envelope comes out, and every
refusal is a `soap.WSManFault`.
"""

from __future__ import annotations

import base64
import binascii
import threading
import time
import uuid
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from windows_lab.machine.protocol import NotStarted
from windows_lab.winrm import soap
from windows_lab.winrm.soap import SHELL, Request, WSManFault

if TYPE_CHECKING:
    from windows_lab.machine.protocol import Machine, Process
    from windows_lab.winrm.journal import Journal

SIGNALS = {f"{SHELL}/signal/{name}" for name in ("terminate", "ctrl_c", "ctrl_break")}
CODEPAGES = (437, 850, 1252, 65001)
"""Those that a client may open a shell with here; Windows has more."""
TOO_LONG = "La ligne de commande est trop longue.\r\n"


@dataclass(frozen=True)
class Limits:
    """The quotas of a new Windows Server (winrm get winrm/config), and how long it gathers output."""

    envelope: int = 500 * 1024  # bytes, MaxEnvelopeSizekb
    shells_per_user: int = 30  # MaxShellsPerUser
    processes_per_shell: int = 25  # MaxProcessesPerShell, counted as commands ever started (see _start)
    command_line: int = 8191  # characters, of cmd.exe
    idle_timeout: float = 7200.0  # seconds without a request, after which a shell is closed
    batch: float = 0.3  # seconds of silence that end the gathering of output for one Receive


class RefusedLine:
    """What cmd.exe does with a line over 8191 characters: a sentence on stderr, exit code 1."""

    def __init__(self, message: bytes) -> None:
        self._message = message

    def send(self, data: bytes, end: bool) -> None:
        """Nobody reads it."""

    def receive(self, timeout: float) -> tuple[list[tuple[str, bytes]], int | None]:
        """The sentence once, and the end."""
        message, self._message = self._message, b""
        return ([("stderr", message)] if message else []), 1

    def terminate(self) -> None:
        """It has ended already."""


@dataclass
class Command:
    """One started command. `sending` is one thread: input keeps its order and a full pipe blocks nobody."""

    id: str
    line: str
    process: Process
    started: float = field(default_factory=time.monotonic)
    receiving: threading.Lock = field(default_factory=threading.Lock)
    sending: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "stdin"))
    pending: Future[None] | None = None
    ended: bool = False  # its input was closed by End="true"
    stdin_bytes: int = 0
    # WINRS_CONSOLEMODE_STDIN: the input is a console's, ^Z ends it. FALSE, the default, leaves bytes alone.
    console_input: bool = False
    exit_code: int | None = None
    backlog: list[tuple[str, bytes]] = field(
        default_factory=list
    )  # read from the process, over the client's envelope

    def close(self) -> None:
        """Ends the process, whatever it does."""
        with suppress(OSError):
            self.process.terminate()
        self.sending.shutdown(wait=False, cancel_futures=True)


@dataclass
class Shell:
    """One shell: an environment for commands, no process of its own."""

    id: str
    user: str
    cwd: str | None
    environment: dict[str, str]
    codepage: int
    streams: str
    idle_timeout: float
    last_used: float = field(default_factory=time.monotonic)
    started_commands: int = 0
    commands: dict[str, Command] = field(default_factory=dict)


class Shells:
    """All shells of a host, safe to use from the threads of many connections."""

    def __init__(
        self, machine: Machine, journal: Journal, address: str, limits: Limits | None = None
    ) -> None:
        self._machine = machine
        self._journal = journal
        self._address = address
        self._limits = limits or Limits()
        self._lock = threading.Lock()
        self._shells: dict[str, Shell] = {}

    def handle(self, request: Request, user: str) -> bytes:
        """The reply envelope. Raises WSManFault, its `relates_to` set."""
        operation = {
            "Create": self._create,
            "Command": self._start,
            "Send": self._send,
            "Receive": self._receive,
            "Signal": self._signal,
            "Delete": self._delete,
        }[request.action]
        try:
            return soap.reply(request, operation(request, user))
        except WSManFault as fault:
            fault.relates_to = request.message_id
            raise

    def kill_commands(self) -> int:
        """Ends every running process, as an administrator or an antivirus would; returns how many."""
        with self._lock:
            commands = [command for shell in self._shells.values() for command in shell.commands.values()]
        running = [command for command in commands if command.exit_code is None]
        for command in running:
            with suppress(OSError):
                command.process.terminate()
        return len(running)

    def count(self) -> int:
        """Open shells."""
        with self._lock:
            return len(self._shells)

    def close(self) -> None:
        """Closes all shells, as stopping the WinRM service does."""
        with self._lock:
            shells, self._shells = list(self._shells.values()), {}
        for shell in shells:
            self._end(shell.commands.values())

    # -- operations: each returns the body of the reply -------------------------------------------------

    def _create(self, request: Request, user: str) -> str:
        body = _element(request, "Shell")
        codepage = request.options.get("WINRS_CODEPAGE", "437")
        if not codepage.isdecimal() or int(codepage) not in CODEPAGES:
            raise WSManFault(soap.INVALID_OPTION)
        variables = f"{{{SHELL}}}Environment/{{{SHELL}}}Variable"
        shell = Shell(
            id=(body.get("ShellId") or str(uuid.uuid4())).upper(),
            user=user,
            cwd=soap.child_text(body, "WorkingDirectory") or None,
            environment={entry.get("Name", ""): entry.text or "" for entry in body.iterfind(variables)},
            codepage=int(codepage),
            streams=soap.child_text(body, "InputStreams"),
            idle_timeout=soap.duration(soap.child_text(body, "IdleTimeOut"), self._limits.idle_timeout),
        )
        self._close_idle_shells()
        with self._lock:
            if sum(other.user == user for other in self._shells.values()) >= self._limits.shells_per_user:
                raise WSManFault(soap.TOO_MANY_SHELLS)
            self._shells[shell.id] = shell
        return (
            f"<x:ResourceCreated><a:Address>http://{self._address}:5985/wsman</a:Address>"
            "<a:ReferenceParameters>"
            f"<w:ResourceURI>{soap.CMD_SHELL}</w:ResourceURI><w:SelectorSet>"
            f'<w:Selector Name="ShellId">{escape(shell.id)}</w:Selector></w:SelectorSet>'
            "</a:ReferenceParameters>"
            f"</x:ResourceCreated><rsp:Shell><rsp:ShellId>{escape(shell.id)}</rsp:ShellId>"
            f"<rsp:ResourceUri>{soap.CMD_SHELL}</rsp:ResourceUri><rsp:Owner>{escape(user)}</rsp:Owner>"
            "<rsp:ClientIP>127.0.0.1</rsp:ClientIP>"
            f"<rsp:IdleTimeOut>PT{shell.idle_timeout:.3f}S</rsp:IdleTimeOut>"
            "<rsp:InputStreams>stdin</rsp:InputStreams><rsp:OutputStreams>stdout stderr</rsp:OutputStreams>"
            "<rsp:ShellRunTime>P0DT0H0M0S</rsp:ShellRunTime>"
            "<rsp:ShellInactivity>P0DT0H0M0S</rsp:ShellInactivity>"
            "</rsp:Shell>"
        )

    def _start(self, request: Request, user: str) -> str:
        body = _element(request, "CommandLine")
        words = [soap.child_text(body, "Command")]
        words += [argument.text or "" for argument in body.iterfind(f"{{{SHELL}}}Arguments")]
        if not words[0]:
            raise WSManFault(soap.INVALID_PARAMETER)
        console = _flag(request, "WINRS_CONSOLEMODE_STDIN", default=False)
        _flag(request, "WINRS_SKIP_CMD_SHELL", default=False)  # checked, then ignored, as since 2012 R2
        shell = self._find(request, user)
        line = " ".join(words)
        with self._lock:
            # Signal does not give an operation back (MS-WSMV note 118): only a new shell does. Windows counts
            # the running ones against this limit, all started ones against 1500; the lab counts strictly.
            if shell.started_commands >= self._limits.processes_per_shell:
                raise WSManFault(soap.TOO_MANY_OPERATIONS)
            shell.started_commands += 1
        command_id = (body.get("CommandId") or str(uuid.uuid4())).upper()
        command = Command(command_id, line, self._process(shell, line), console_input=console)
        with self._lock:
            shell.commands[command_id] = command
        self._journal.command_started(shell.id, command_id, line, user)
        return f"<rsp:CommandResponse><rsp:CommandId>{command_id}</rsp:CommandId></rsp:CommandResponse>"

    def _process(self, shell: Shell, line: str) -> Process:
        if len(line) > self._limits.command_line:
            return RefusedLine(TOO_LONG.encode("utf-8" if shell.codepage == 65001 else "cp850", "replace"))
        try:
            return self._machine.start(line, shell.cwd, shell.environment, shell.codepage)
        except NotStarted as refused:
            raise WSManFault(soap.cannot_start(refused.number)) from None

    def _send(self, request: Request, user: str) -> str:
        command, streams = self._command_of_streams(request, user)
        for data, end in streams:
            if command.pending is not None and not command.pending.done():
                raise WSManFault(soap.BUSY)  # an earlier Send timed out and is still on its way
            if command.ended:
                raise WSManFault(soap.PIPE_CLOSED)
            visible, end_of_file = _typed(data) if command.console_input else (data, False)
            command.stdin_bytes += len(data)
            command.ended = end or end_of_file
            command.pending = command.sending.submit(command.process.send, visible, command.ended)
            try:
                command.pending.result(request.timeout)
            except FutureTimeoutError:
                raise WSManFault(soap.TIMED_OUT) from None
            except (OSError, ValueError):  # the process has gone
                raise WSManFault(soap.PIPE_CLOSED) from None
        return "<rsp:SendResponse/>"

    def _receive(self, request: Request, user: str) -> str:
        body = _element(request, "Receive")
        desired = body.find(f"{{{SHELL}}}DesiredStream")
        if desired is None or not set((desired.text or "").split()) <= {"stdout", "stderr"}:
            raise WSManFault(soap.STREAM_NOT_FOUND)
        shell = self._find(request, user)
        command = self._command(shell, desired.get("CommandId", ""))
        with command.receiving:
            chunks = self._gather(command, request)
            shell.last_used = time.monotonic()
        if not chunks and command.exit_code is None:
            raise WSManFault(soap.TIMED_OUT)
        streams = "".join(
            f'<rsp:Stream Name="{name}" CommandId="{command.id}">{encode(data)}</rsp:Stream>'
            for name, data in chunks
        )
        if command.exit_code is None or command.backlog:
            state = f'<rsp:CommandState CommandId="{command.id}" State="{SHELL}/CommandState/Running"/>'
        else:
            streams += "".join(
                f'<rsp:Stream Name="{name}" CommandId="{command.id}" End="true"></rsp:Stream>'
                for name in ("stdout", "stderr")
            )
            state = (
                f'<rsp:CommandState CommandId="{command.id}" State="{SHELL}/CommandState/Done">'
                f"<rsp:ExitCode>{command.exit_code}</rsp:ExitCode></rsp:CommandState>"
            )
        return f"<rsp:ReceiveResponse>{streams}{state}</rsp:ReceiveResponse>"

    def _gather(self, command: Command, request: Request) -> list[tuple[str, bytes]]:
        """Output of one Receive: waits up to OperationTimeout for the first bytes, then as more follows."""
        # Base64 takes 4 bytes for 3; 4 KB are left for the envelope.
        room = (min(request.max_envelope, self._limits.envelope) - 4096) * 3 // 4
        gathered, command.backlog = command.backlog, []
        deadline = time.monotonic() + request.timeout
        while command.exit_code is None and _size(gathered) < room:
            left = deadline - time.monotonic()
            chunks, exit_code = command.process.receive(
                max(0.0, min(left, self._limits.batch) if gathered else left)
            )
            gathered += chunks
            if exit_code is not None:
                command.exit_code = exit_code
                self._journal.command_ended(
                    command.id,
                    command.line,
                    exit_code,
                    command.stdin_bytes,
                    time.monotonic() - command.started,
                )
            if not chunks:
                break
        sent, command.backlog = _cut(gathered, room)
        return sent

    def _signal(self, request: Request, user: str) -> str:
        body = _element(request, "Signal")
        shell = self._find(request, user)
        command = self._command(shell, body.get("CommandId", ""))
        if soap.child_text(body, "Code") not in SIGNALS:
            raise WSManFault(soap.INVALID_PARAMETER)
        with self._lock:
            shell.commands.pop(command.id, None)
        self._end([command])
        return "<rsp:SignalResponse/>"

    def _delete(self, request: Request, user: str) -> str:
        shell = self._find(request, user)
        with self._lock:
            self._shells.pop(shell.id, None)
        self._end(shell.commands.values())
        return ""

    # -- look-ups ---------------------------------------------------------------------------------------

    def _find(self, request: Request, user: str) -> Shell:
        """The shell of the request; one of another user is as good as absent."""
        with self._lock:
            shell = self._shells.get(request.shell_id or "")
        if shell is None or shell.user.casefold() != user.casefold():
            raise WSManFault(soap.SHELL_NOT_FOUND)
        shell.last_used = time.monotonic()
        return shell

    def _command(self, shell: Shell, command_id: str) -> Command:
        with self._lock:
            command = shell.commands.get(command_id.upper())
        if command is None:
            raise WSManFault(soap.INVALID_PARAMETER)
        return command

    def _command_of_streams(self, request: Request, user: str) -> tuple[Command, list[tuple[bytes, bool]]]:
        body = _element(request, "Send")
        shell = self._find(request, user)
        elements = body.findall(f"{{{SHELL}}}Stream")
        ids = {element.get("CommandId", "") for element in elements}
        if len(ids) != 1:
            raise WSManFault(soap.INVALID_PARAMETER)
        command = self._command(shell, ids.pop())
        if any(element.get("Name") not in shell.streams.split() for element in elements):
            raise WSManFault(soap.STREAM_NOT_FOUND)
        return command, [(decode(element.text), element.get("End") in ("true", "1")) for element in elements]

    def _close_idle_shells(self) -> None:
        now = time.monotonic()
        with self._lock:
            idle = [shell for shell in self._shells.values() if now - shell.last_used > shell.idle_timeout]
            for shell in idle:
                del self._shells[shell.id]
        for shell in idle:
            self._end(shell.commands.values())

    def _end(self, commands: Iterable[Command]) -> None:
        for command in list(commands):
            command.close()
            if command.exit_code is None:
                seconds = time.monotonic() - command.started
                self._journal.command_ended(command.id, command.line, None, command.stdin_bytes, seconds)


def encode(data: bytes) -> str:
    """The base64 of a stream."""
    return base64.b64encode(data).decode()


def decode(text: str | None) -> bytes:
    """The bytes of a base64 stream; raises WSManFault for anything else."""
    try:
        return base64.b64decode((text or "").strip(), validate=True)
    except binascii.Error:
        raise WSManFault(soap.INVALID_PARAMETER) from None


def _typed(data: bytes) -> tuple[bytes, bool]:
    """What a console makes of input: everything after ^Z (0x1A) is lost."""
    before, end_of_file, _ = data.partition(b"\x1a")
    return before, bool(end_of_file)


def _element(request: Request, name: str) -> ElementTree.Element:
    if request.body is None or not soap.is_shell_element(request.body, name):
        raise WSManFault(soap.INVALID_XML)
    return request.body


def _flag(request: Request, name: str, default: bool) -> bool:
    value = request.options.get(name, str(default)).upper()
    if value not in ("TRUE", "FALSE", "1", "0"):
        raise WSManFault(soap.INVALID_OPTION)
    return value in ("TRUE", "1")


def _size(chunks: list[tuple[str, bytes]]) -> int:
    return sum(len(data) for _, data in chunks)


def _cut(
    chunks: list[tuple[str, bytes]], room: int
) -> tuple[list[tuple[str, bytes]], list[tuple[str, bytes]]]:
    """The first `room` bytes, neighbours of one stream joined, and what is left."""
    sent: list[tuple[str, bytes]] = []
    rest: list[tuple[str, bytes]] = []
    for name, data in chunks:
        now, later = data[:room], data[room:]
        room -= len(now)
        if now and sent and sent[-1][0] == name:
            sent[-1] = (name, sent[-1][1] + now)
        elif now:
            sent.append((name, now))
        if later:
            rest.append((name, later))
    return sent, rest
