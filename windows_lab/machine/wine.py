"""One lab host: Wine behind the Machine protocol, drives, emulated inbox programs and a task scheduler.

Settings (inventory variables of the host; all have defaults):
    lab_windows   2016, 2019, 2022 (default), 2025: Windows Server; 10: a client; 2012r2: too old
    lab_drives    letters beside C:, by default those of prosecours_root and lab_files, at least D
    lab_files     drives.Drives.seed: absolute Windows paths to contents
    lab_disks     letters of external disks to their serial and label, as fsutil tells them
    lab_fixture   a Linux folder with a folder per drive, copied at the first start
    lab_shadow_copies  ok (default): the service VSS is there and copies succeed; broken: they fail;
                  denied: for want of a right; busy: the first one fails, as another program makes its own;
                  off: the service is disabled
    lab_vss_writers  names of VSS writers to the number of their state, by default all of Windows' own are
                  stable (1); or hangs: vssadmin does not end
    lab_network_drives  letters to shares: what a user of the host has mapped; no session sees them
    lab_defender  Microsoft Defender's registry: absent (default), on, or a folder that it excludes
    lab_elevated  whether the login is a full administrator (default true)
    lab_environment  variables of every session, by Windows' own name for each: another Path, another TEMP
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import threading
import uuid
import zlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from windows_lab.errors import LabError
from windows_lab.machine import template
from windows_lab.machine.acl import Rights
from windows_lab.machine.call import NOT_MODELLED, Call, Gone, NotModelled, Program, exactly, split
from windows_lab.machine.drives import Drives, NoSuchDrive
from windows_lab.machine.protocol import UTF8, WINDOWS, NotStarted
from windows_lab.machine.resident import Resident, WineProcess
from windows_lab.machine.scheduler import Scheduler

LONGEST_LINE = (
    8191  # characters that cmd.exe reads, its own name with them, once the variables are in (KB 830473)
)
OEM_CODEPAGE = 850
_SHELL = r"C:\Windows\system32\cmd.exe"


SHADOW_COPIES = ("ok", "broken", "denied", "busy", "off")
VSS_STATES = range(16)  # VSS_WRITER_STATE of vss.h


class Edition(NamedTuple):
    """A Windows as its registry describes it."""

    build: int
    product: str
    kind: str  # InstallationType
    version: str = "6.3"  # CurrentVersion: the same since 8.1
    display: str = ""


NO_FOLDER = 267  # ERROR_DIRECTORY
EDITIONS = {
    "2012r2": Edition(9600, "Windows Server 2012 R2 Standard", "Server"),
    "2016": Edition(14393, "Windows Server 2016 Standard", "Server", display="1607"),
    "2019": Edition(17763, "Windows Server 2019 Standard", "Server", display="1809"),
    "2022": Edition(20348, "Windows Server 2022 Standard", "Server", display="21H2"),
    "2025": Edition(26100, "Windows Server 2025 Standard", "Server", display="24H2"),
    "10": Edition(19045, "Windows 10 Pro", "Client", display="22H2"),
}
# Programs of every Windows Server that Wine has not even as stubs: calling one is loud too.
ABSENT_IN_WINE = (
    "bitsadmin", "cipher", "compact", "diskpart", "dism", "driverquery", "gpupdate", "logman",
    "netsh", "nltest", "openfiles", "quser", "setx", "shutdown", "sort", "takeown", "tasklist",
    "w32tm", "waitfor", "wbadmin", "wevtutil",
)  # fmt: skip
SINCE_1803 = ("tar.exe", "curl.exe")  # in Windows from build 17063 on


class WineMachine:
    """Implements `lab.LabMachine`. `state` keeps everything of the host between runs of the lab."""

    programs: Mapping[str, Program]
    """The emulated programs by name: a machine does not choose them, server.WindowsServer does."""

    def __init__(
        self, name: str, state_dir: Path, settings: Mapping[str, Any], users: dict[str, str]
    ) -> None:
        self.name = name
        self.users = users
        self.settings = settings
        self.state = state_dir.resolve()
        edition = str(settings.get("lab_windows", WINDOWS)).lower()
        if edition not in EDITIONS:
            raise LabError(f"{name}: lab_windows is {edition}. Use one of {', '.join(EDITIONS)}.")
        self.edition = EDITIONS[edition]
        self.shadow_copies = str(settings.get("lab_shadow_copies", "ok"))
        if self.shadow_copies not in SHADOW_COPIES:
            raise LabError(
                f"{name}: lab_shadow_copies is {self.shadow_copies}. Use one of {', '.join(SHADOW_COPIES)}."
            )
        writers = settings.get("lab_vss_writers") or {}
        self.vss_hangs = writers == "hangs"
        self.vss_writers: dict[str, int] = {} if self.vss_hangs else dict(writers)
        if unknown := set(self.vss_writers.values()) - set(VSS_STATES):
            raise LabError(f"{name}: lab_vss_writers has {unknown}. Use states of 0 to {VSS_STATES[-1]}.")
        self.prefix = self.state / "wine"
        folders = {"C": self.prefix / "drive_c"}
        folders.update({letter: self.state / "drives" / letter for letter in _letters(settings)})
        self.drives = Drives(folders)
        self.rights = Rights(self.drives)
        self.scheduler = Scheduler(self.state / "tasks.json", self._start_task)
        self._residents: dict[int, Resident] = {}
        self._starting = threading.Lock()
        self._journal = threading.Lock()
        self._token = uuid.uuid4().hex
        self._server: socket.socket | None = None

    @property
    def computer(self) -> str:
        """The NetBIOS name: 15 characters, upper case."""
        return "".join(c for c in self.name.upper() if c.isalnum() or c == "-")[:15] or "LAB"

    @property
    def login(self) -> str:
        """The account that commands run as, without a domain."""
        first = next(iter(self.users), "Administrateur")
        return first.rsplit("\\", 1)[-1].split("@")[0]

    @property
    def profile(self) -> str:
        """The account's profile folder."""
        return f"C:\\Users\\{self.login}"

    def volume(self, letter: str) -> tuple[str, str]:
        """Serial number (1A2B-3C4D) and label of what is in a drive."""
        named = (self.settings.get("lab_disks") or {}).get(letter)
        if named:
            return str(named["serial"]), str(named["label"])
        digits = f"{zlib.crc32(f'{self.name}/{letter}'.encode()):08X}"
        return f"{digits[:4]}-{digits[4:]}", "" if letter == "C" else "Données"

    # -- LabMachine -------------------------------------------------------------------------------------

    @classmethod
    def template(cls, say: Callable[[str], None] = lambda _: None) -> Path:
        """What each host is copied from, made where this machine has none yet. Raises LabError."""
        return template.make([f"{name}.exe" for name in (*cls.programs, *ABSENT_IN_WINE)], say)

    def prepare(self) -> None:
        """Makes the host on disk where it does not exist yet, and boots it."""
        for folder in self.drives.folders.values():
            if folder != self.prefix / "drive_c":
                folder.mkdir(parents=True, exist_ok=True)
        source = self.template()
        made_from = self.prefix / "template"
        if not made_from.exists():
            shutil.rmtree(self.prefix, ignore_errors=True)
            template.copy(source, self.prefix)
            self._furnish()
            if fixture := self.settings.get("lab_fixture"):
                self.drives.copy(Path(str(fixture)))
            self.drives.seed(self.settings.get("lab_files") or {})
        elif made_from.read_text(encoding="ascii") != source.name:
            template.renew(source, self.prefix)
            self._furnish()
        made_from.write_text(source.name, encoding="ascii")
        for stale in self.state.glob("streams-*"):
            shutil.rmtree(stale, ignore_errors=True)
        for name in (rf"{self.profile}\AppData\Local\Temp", r"C:\windows\temp", r"C:\ProgramData"):
            self.drives.find(name).mkdir(parents=True, exist_ok=True)
        self.rights.check()
        self._serve()
        self._resident(UTF8)

    def close(self) -> None:
        """Ends all processes of the host. What is on disk stays."""
        if self._server:
            # close() alone leaves the thread in accept(), where a signal has the call begin anew: on the
            # number of the closed socket, which by then may be that of another one.
            with contextlib.suppress(OSError):
                self._server.shutdown(socket.SHUT_RDWR)
            self._server.close()
            self._server = None
        with self._starting:
            for resident in self._residents.values():
                resident.close()
            self._residents.clear()
        if self.prefix.exists():
            for option in ("-k", "-w"):
                subprocess.run(
                    [template.program("wineserver"), option], env=template.environment(self.prefix),
                    stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False,
                )  # fmt: skip

    def start(
        self, line: str, cwd: str | None, environment: Mapping[str, str], codepage: int = UTF8
    ) -> WineProcess:
        variables = {**self.variables(self.login, self.profile), **environment}
        if len(_expand(f'{_SHELL} /C "{line}"', variables)) > LONGEST_LINE:
            line = "(echo La ligne de commande est trop longue.)>&2&exit 1"
        return self._spawn(f"{_SHELL} /c {line}", cwd or self.profile, variables, codepage)

    def now(self) -> datetime:
        return self.scheduler.now()

    def tasks(self) -> list[dict[str, Any]]:
        """See Scheduler.status."""
        return self.scheduler.status()

    def advance(self, to: datetime) -> None:
        self.scheduler.advance(to)

    def limit_disk(self, free_bytes: int | None) -> None:
        self.drives.limit(free_bytes)

    # -- for emulated programs --------------------------------------------------------------------------

    def spawn(self, line: str, cwd: str, environment: Mapping[str, str]) -> WineProcess:
        """A process for an emulated program that starts others (forfiles)."""
        return self._spawn(line, cwd, environment, UTF8)

    def journal(self, event: str, **fields: object) -> None:
        """One line in the journal of the host."""
        line = json.dumps(
            {
                "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "host": self.name,
                "event": event,
                **fields,
            },
            ensure_ascii=False,
        )
        with self._journal, (self.state / "journal.jsonl").open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def variables(self, user: str, profile: str) -> dict[str, str]:
        """The environment that Windows gives a process of `user`; nothing of Linux is in it."""
        return {
            "ALLUSERSPROFILE": r"C:\ProgramData",
            "APPDATA": rf"{profile}\AppData\Roaming",
            "CommonProgramFiles": r"C:\Program Files\Common Files",
            "CommonProgramW6432": r"C:\Program Files\Common Files",
            "COMPUTERNAME": self.computer,
            "ComSpec": r"C:\Windows\system32\cmd.exe",
            "LOCALAPPDATA": rf"{profile}\AppData\Local",
            "NUMBER_OF_PROCESSORS": str(os.cpu_count() or 1),
            "OS": "Windows_NT",
            "Path": r"C:\Windows\system32;C:\Windows;C:\Windows\System32\Wbem",
            "PATHEXT": ".COM;.EXE;.BAT;.CMD;.VBS;.VBE;.JS;.JSE;.WSF;.WSH;.MSC",
            "PROCESSOR_ARCHITECTURE": "AMD64",
            "ProgramData": r"C:\ProgramData",
            "ProgramFiles": r"C:\Program Files",
            "ProgramFiles(x86)": r"C:\Program Files (x86)",
            "ProgramW6432": r"C:\Program Files",
            "PROMPT": "$P$G",
            "PUBLIC": r"C:\Users\Public",
            "SystemDrive": "C:",
            "SystemRoot": r"C:\Windows",
            "TEMP": r"C:\Windows\TEMP" if user == "SYSTEM" else rf"{profile}\AppData\Local\Temp",
            "TMP": r"C:\Windows\TEMP" if user == "SYSTEM" else rf"{profile}\AppData\Local\Temp",
            "USERDOMAIN": self.computer,
            "USERNAME": f"{self.computer}$" if user == "SYSTEM" else user,
            "USERPROFILE": profile,
            "windir": r"C:\Windows",
            **{name: str(value) for name, value in (self.settings.get("lab_environment") or {}).items()},
        }

    # -- inside -----------------------------------------------------------------------------------------

    def _spawn(self, line: str, cwd: str, environment: Mapping[str, str], codepage: int) -> WineProcess:
        try:
            if not self.drives.find(self.drives.absolute(cwd, cwd)).is_dir():
                raise NotStarted(NO_FOLDER, cwd)
        except NoSuchDrive:
            raise NotStarted(NO_FOLDER, cwd) from None
        return self._resident(codepage).start(line, cwd, environment)

    def _start_task(self, command: str, arguments: str, folder: str) -> WineProcess:
        """An Exec action, as SYSTEM. Raises NotStarted."""
        variables = self.variables("SYSTEM", r"C:\Windows\system32\config\systemprofile")
        command = _expand(command, variables).strip('"')
        line = f'"{command}" {_expand(arguments, variables)}'.strip()
        folder = _expand(folder, variables).strip('"')
        return self._spawn(line, folder or r"C:\Windows\system32", variables, OEM_CODEPAGE)

    def _resident(self, codepage: int) -> Resident:
        with self._starting:
            if self._server is None:
                raise OSError(f"{self.name} is switched off")
            if codepage not in self._residents:
                self._residents[codepage] = Resident(self.prefix, codepage)
            return self._residents[codepage]

    def _furnish(self) -> None:
        system32 = self.prefix / template.SYSTEM32
        if self.edition.build < 17063:
            for name in SINCE_1803:
                (system32 / name).unlink(missing_ok=True)
        if self.shadow_copies not in ("ok", "off"):
            (system32 / f"vss.{self.shadow_copies}").touch()
        for letter, folder in self.drives.folders.items():
            link = self.prefix / "dosdevices" / f"{letter.lower()}:"
            if letter != "C" and not link.is_symlink():
                link.symlink_to(folder)
        for name in (
            "Program Files/Common Files",
            "Program Files (x86)",
            "windows/system32/config/systemprofile",
        ):
            (self.prefix / "drive_c" / name).mkdir(parents=True, exist_ok=True)
        with (self.prefix / "system.reg").open("a", encoding="utf-8") as registry:
            registry.write(self._registry())
        with (self.prefix / "user.reg").open("a", encoding="utf-8") as registry:
            for letter, remote in (self.settings.get("lab_network_drives") or {}).items():
                value = str(remote).replace("\\", "\\\\")
                registry.write(f'\n[Network\\\\{letter}]\n"RemotePath"="{value}"\n')

    def _registry(self) -> str:
        """Text that overrides what the template's registry says, in the format of Wine's system.reg."""
        edition = self.edition
        current = {
            "CurrentBuild": str(edition.build),
            "CurrentBuildNumber": str(edition.build),
            "CurrentVersion": edition.version,
            "EditionID": "ServerStandard" if edition.kind == "Server" else "Professional",
            "InstallationType": edition.kind,
            "ProductName": edition.product,
            "ReleaseId": edition.display,
            "DisplayVersion": edition.display,
        }
        major = 10 if edition.build >= 10240 else 6
        vss = 4 if self.shadow_copies == "off" else 3
        lines = ["", r"[Software\\Microsoft\\Windows NT\\CurrentVersion]"]
        lines += [f'"{name}"="{value}"' for name, value in current.items()]
        lines += [
            f'"CurrentMajorVersionNumber"=dword:{major:08x}',
            f'"CurrentMinorVersionNumber"=dword:{3 * (major == 6):08x}',
        ]
        product = "ServerNT" if edition.kind == "Server" else "WinNT"
        lines += ["", r"[System\\CurrentControlSet\\Control\\ProductOptions]", f'"ProductType"="{product}"']
        lines += ["", r"[System\\CurrentControlSet\\Services\\VSS]", f'"Start"=dword:{vss:08x}']
        if defender := self.settings.get("lab_defender"):
            lines += ["", r"[System\\CurrentControlSet\\Services\\WinDefend]", '"Start"=dword:00000002']
            if str(defender) not in ("on", "True"):
                excluded = str(defender).replace("\\", "\\\\")
                lines += ["", r"[Software\\Microsoft\\Windows Defender\\Exclusions\\Paths]"]
                lines += [f'"{excluded}"=dword:00000000']
        for key in ("ComputerName", "ActiveComputerName"):
            lines += [
                "",
                rf"[System\\CurrentControlSet\\Control\\ComputerName\\{key}]",
                f'"ComputerName"="{self.computer}"',
            ]
        return "\n".join(lines) + "\n"

    # -- emulated programs ------------------------------------------------------------------------------

    def _serve(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0), backlog=64)
        port = self._server.getsockname()[1]
        config = self.prefix / template.SYSTEM32 / "lab.port"
        config.unlink(missing_ok=True)
        config.write_text(f"{port}\n{self._token}", encoding="ascii")
        threading.Thread(target=self._accept, args=(self._server,), daemon=True).start()

    def _accept(self, server: socket.socket) -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                (size,) = struct.unpack("<I", exactly(connection, 4))
                hello = exactly(connection, size).decode("utf-16-le", "surrogatepass").split("\0")
                token, path, line, cwd, codepage, *block = hello
                if token != self._token:
                    return
                pairs = (entry.split("=", 1) for entry in block if "=" in entry[1:])
                call = Call(
                    self,
                    path.rsplit("\\", 1)[-1].lower().removesuffix(".exe"),
                    split(line)[1:],
                    line,
                    cwd.rstrip("\\") if len(cwd) > 3 else cwd,
                    int(codepage),
                    {name.upper(): value for name, value in pairs},
                    connection,
                )
                code = self._run(call)
                connection.sendall(b"X" + struct.pack("<I", code & 0xFFFFFFFF))
            except (Gone, OSError):
                return

    def _run(self, call: Call) -> int:
        try:
            function = self.programs.get(call.name)
            if function is None:
                raise NotModelled("the lab has no such program")
            return function(call)
        except NotModelled as problem:
            self.journal("not_modelled", program=call.name, line=call.line, problem=str(problem))
            call.err(f"The lab does not model this use of {call.name}: {problem}\n")
            return NOT_MODELLED
        except (Gone, BrokenPipeError, ConnectionResetError):
            raise
        except Exception as problem:  # a fault of the lab must be as loud as one of the test
            self.journal("lab_fault", program=call.name, line=call.line, problem=repr(problem))
            call.err(f"The lab's {call.name} failed: {problem!r}\n")
            return NOT_MODELLED


def _expand(text: str, variables: Mapping[str, str]) -> str:
    """The text with its variables as %NAME% in it; others stay as they are."""
    values = {name.upper(): value for name, value in variables.items()}
    return re.sub(r"%(\w[\w()]*)%", lambda name: values.get(name[1].upper(), name[0]), text)


def _letters(settings: Mapping[str, Any]) -> list[str]:
    """The drives beside C:."""
    disks = [str(letter) for letter in settings.get("lab_disks") or ()]
    named = [str(letter) for letter in settings.get("lab_drives") or ()]
    if not named:
        paths = [*(settings.get("lab_files") or {}), str(settings.get("prosecours_root") or "D:\\")]
        paths += [str(path) for path in settings.get("prosecours_office") or ()]
        if "sql_express" in (settings.get("prosecours_variants") or ()):
            paths.append("I:\\")
        named = [path[0] for path in paths if path[1:2] == ":"]
    return sorted({letter[:1].upper() for letter in (*named, *disks)} - {"C"})
