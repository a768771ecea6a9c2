"""What is sent: a table, one row a line. A new question to Windows is a new row; a test holds `settles`
against docs/windows-lab.md, "What it rests on".

Lines that the product composes are taken from it, so that they cannot grow apart.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from string import Template

from ansible_collections.prosecours.backup.plugins.plugin_utils.agent import facts as agent
from ansible_collections.prosecours.backup.plugins.plugin_utils.contract.model import Entry
from ansible_collections.prosecours.backup.plugins.plugin_utils.preflight import facts as preflight
from ansible_collections.prosecours.backup.plugins.plugin_utils.restore import facts as restore
from ansible_collections.prosecours.backup.plugins.plugin_utils.windows import command_line, delivery, probe
from ansible_collections.prosecours.backup.plugins.plugin_utils.windows import task as windows_task
from ansible_collections.prosecours.backup.plugins.plugin_utils.windows.probe import Probe

FOLDER = r"C:\Program Files\ProSecours-record"
"""All that the recorder makes on a server stands in here: where no plain user can lay something ready."""
TASK = r"\ProSecours-record"
PROGRAM = "prosecours-record.exe"
"""restic.exe by a second name, as the agent has it: the child that outlives its task."""
MAPPED, VOLUME, EXCLUDED = "mapped drives", "volume label and names", "excluded folders"
"""What an answer tells beside what is asked: `anonymous.Names` takes it out."""

LOGIN, SYSTEM, BOTH = "login", "system", "both"
ALONE, START, HELD, ENDED, FREED, LAST = range(6)
"""When a line is sent: before the task is there, to start it, while it holds its lock, after the scheduler
ended it, after its child was ended, to take it away. As SYSTEM everything is ALONE."""


@dataclass(frozen=True)
class Line:
    """One row. `settles`: a row of docs/windows-lab.md by its name; `$session` becomes login or system."""

    name: str
    line: str
    settles: str
    session: str = BOTH
    when: int = ALONE
    stdin: bytes = b""
    codepage: int = 65001
    hides: str = ""
    timeout: float = 120.0


def _at(name: str) -> str:
    return f"{FOLDER}\\{name}"


ALL_BYTES = bytes(range(256)) * 300
_LOCK, _HELD = f'"{_at("backup.lock")}"', f'"{_at("held.lock")}"'
_TEXT = f'"{_at("lines.txt")}"'
_RESTIC = f'"{_at("restic.exe")}"'
_SHADOW = f'{_RESTIC} backup --use-fs-snapshot --json --no-scan --host record "{_at("data")}"'
_STAMP = "robocopy . nowhere stamp.txt /L /TS /NC /NS /NDL /NJH /NJS /NP"
_COPY = "/E /COPYALL /DCOPY:DAT /B /XJ /R:2 /W:2 /NP /NFL /NDL /NJH /NJS"
_CRASH = "cmd /d /c exit -1073741819"  # 0xC0000005


def _archive() -> bytes:
    """All byte values, several times over, in a gzip tar."""
    made = io.BytesIO()
    delivery.pack({"all.bin": ALL_BYTES}, made)
    return made.getvalue()


def _saved(name: str, kept: str) -> str:
    return f'icacls "{name}" /save "{_at(kept)}" /c /q>nul&type "{_at(kept)}"'


_DATA, _SUB = _at("data"), _at(r"data\sub")
_QUOTED = f'"{_at("say.cmd")}" "a & b" "c^d"'
_PUT_BACK = (
    f'icacls "{_SUB}" /save "{_at("kept.acl")}" /c /q>nul&&icacls "{_SUB}" /grant *S-1-1-0:R /q>nul'
    f'&&icacls "{_DATA}\\." /restore "{_at("kept.acl")}" /c /q>nul&&{_saved(_SUB, "now.acl")}'
)
_PART = "/" + _DATA.replace(":", "").replace("\\", "/")
_ABOVE = (
    f'icacls "{_SUB}" /grant *S-1-1-0:(OI)(CI)R /q>nul'
    f'&{_RESTIC} restore "latest:{_PART}" --target "{_DATA}" --include /sub/b.txt --json >nul'
    f"&{_saved(_SUB, 'above.acl')}&{_saved(_SUB + chr(92) + '*', 'below.acl')}"
)


def _padded(size: int) -> str:
    """A line of `size` characters with what the session puts before it, without cmd.exe's own name."""
    begin = command_line.SYSTEM_PATH.replace("%SystemRoot%", r"C:\Windows") + "echo ok&rem "
    return "echo ok&rem " + "x" * (size - len(begin))


# -- what the product asks ------------------------------------------------------------------------------

WANTED = preflight.Wanted(
    perimeter=(
        Entry("office", _at("data"), "directory"),
        Entry("office", _at("none"), "directory"),
        Entry("office", "Q:\\none", "directory"),
        Entry("isagiwf", _at(r"data\B?????.GIW"), "pattern"),
    ),
    folder=FOLDER,
    repository=preflight.Repository("rest:https://127.0.0.1:9/", ca="none"),
)
"""Nobody listens at the repository's port 9: the refusal is what is recorded."""


def _few(probes: Iterable[Probe]) -> Iterator[Probe]:
    """Of probes that are the same but for a file name (`type:ca.pem`) the first two."""
    seen: dict[str, int] = {}
    for one in probes:
        kind = one.name.partition(":")[0]
        seen[kind] = seen.get(kind, 0) + 1
        if seen[kind] <= 2:
            yield one


def _product() -> Iterator[tuple[str, Probe]]:
    for one in preflight.probes(WANTED):
        yield "preflight", one
    # The agent's own task may be on the server, with a client's name in it: ours is asked for below.
    for one in _few(agent.probes(FOLDER)):
        if one.name != "task":
            yield "agent", one
    for one in restore.listings([_at("data"), _at(r"data\*.txt")]):
        yield "restore", one


PROBES = tuple(_product())
_IN_BOTH = {
    "preflight/groups", "preflight/mapped", "preflight/disk", "preflight/entry0", "preflight/entry1",
    "agent/folder_rights", "agent/hash-restic.exe",
}  # fmt: skip
"""The probes whose answer may be another one for SYSTEM."""
_HIDES = {"mapped": MAPPED, "disk": VOLUME, "excluded": EXCLUDED}


def _rows() -> Iterator[Line]:
    for room, one in PROBES:
        name = f"{room}/{one.name.replace(':', '-')}"
        session = BOTH if name in _IN_BOTH else LOGIN  # the product asks as the login
        yield Line(name, one.line, "probes", session, hides=_HIDES.get(one.name, ""))
    numbered = [Probe(f"{room}-{one.name}", one.line) for room, one in PROBES if one.name not in _HIDES]
    for number, line in enumerate(probe.commands(numbered, "record")):
        yield Line(f"probes/together-{number}", line, "probes", LOGIN)


# -- what is asked of Windows alone ---------------------------------------------------------------------

TABLE = (
    *_rows(),
    # name, line, what it settles, session, when
    Line("session/codepage", "chcp", "codepage"),
    Line("session/codepage-437", "chcp", "codepage", LOGIN, codepage=437),
    Line("session/accents", "echo é à ç É € œ", "codepage", LOGIN),
    Line("session/accents-437", "echo é à ç É € œ", "codepage", LOGIN, codepage=437),
    Line("session/crash", _CRASH, "crash"),
    Line("session/errorlevel", f"{_CRASH}&if errorlevel 1 (echo taken) else echo passed", "crash"),
    Line(
        "session/language",
        r"reg query HKLM\SYSTEM\CurrentControlSet\Control\Nls\Language /v InstallLanguage",
        "probes",
    ),
    Line(
        "session/quotas",
        r"cscript //nologo %SystemRoot%\System32\winrm.vbs get winrm/config/winrs",
        "quotas",
        LOGIN,
    ),
    Line("session/quotes", _QUOTED, "quotes"),
    Line("length/8150", _padded(8150), "length", LOGIN),
    Line("length/8191", _padded(8191), "length", LOGIN),
    Line("length/8192", _padded(8192), "length", LOGIN),
    Line("length/expanded", f"echo ok&rem {'%TEMP%' * 1200}", "length", LOGIN),
    Line("findstr/one", rf'findstr /c:"\"message_type\":\"summary\"" {_TEXT}', "findstr"),
    Line("findstr/several", f'findstr /i /c:"VssApi" /c:"VSS error" {_TEXT}', "findstr"),
    Line("findstr/several-by-case", f'findstr /c:"aaa" /c:"ffaa" /c:"fffaaab" {_TEXT}', "findstr"),
    Line("findstr/none", f'findstr /c:"not in there" {_TEXT}', "findstr"),
    Line("findstr/counted", f'type {_TEXT}|find /c "VSS"', "findstr"),
    Line("bytes/tar", f'cd /d "{FOLDER}"&&tar -xzf -', "stdin", LOGIN, stdin=_archive()),
    Line("bytes/hash", f'certutil -hashfile "{_at("all.bin")}" SHA256', "stdin"),
    Line(
        "bytes/hash-empty",
        f'cd /d "{FOLDER}"&type nul>empty.txt&certutil -hashfile empty.txt SHA256',
        "empty-hash",
    ),
    Line("bytes/closed", "exit 3", "closed-pipe", LOGIN, stdin=ALL_BYTES * 20),
    Line("bytes/type", f'type "{_at("all.bin")}"', "type"),
    Line("bytes/type-utf16", f'type "{_at("bom.txt")}"', "type"),
    Line("lock/free", f"if exist {_LOCK} echo 1 2>>{_LOCK}", "lock"),
    Line(
        "lock/held",
        f'cd /d "{FOLDER}"&(>own.lock cmd /d /c "echo 1 2>>own.lock")&type own.lock&del own.lock',
        "lock",
    ),
    Line("times/robocopy", f'cd /d "{FOLDER}"&echo.>stamp.txt&{_STAMP}', "utc"),
    Line("robocopy/copy", f'robocopy "{_at("data")}" "{_at("copy-$session")}" {_COPY}', "probes"),
    Line(
        "robocopy/root",
        f'robocopy C:\\. "{_at("top-$session")}" none.such /LEV:1 {_COPY[3:]}&dir /b /ah "{FOLDER}"',
        "root",
    ),
    Line("forfiles/none", f'forfiles /p "{FOLDER}" /m run-*.tmp /d -3 /c "cmd /c echo @file"', "probes"),
    Line("mklink", f'mklink /h "{_at("link-$session.exe")}" {_RESTIC}', "probes"),
    Line("rights/put-back", _PUT_BACK, "restore-dot"),
    Line("restic/version", f"{_RESTIC} version --json", "quotas", LOGIN),
    Line("restic/init", f"{_RESTIC} init --json", "restic-above", SYSTEM),
    Line("restic/shadow", _SHADOW, "shadow", SYSTEM, timeout=600),
    # What the first one has read is read again, or not: through shadow copies that is in doubt (restic#5285).
    Line("restic/again", _SHADOW, "shadow", SYSTEM, timeout=600),
    Line("restic/above", _ABOVE, "restic-above", SYSTEM, timeout=600),
    Line("vss/writers", preflight.WRITERS, "vss", LOGIN),
    Line("vss/storage", "vssadmin list shadowstorage", "vss", SYSTEM),
    Line("task/create", f'schtasks /create /tn {TASK} /xml "{_at("task.xml")}" /f', "task-xml", LOGIN, START),
    Line("task/xml", f"schtasks /query /tn {TASK} /xml", "task-xml", LOGIN, START),
    Line("task/row", f"schtasks /query /tn {TASK} /fo csv /nh", "task-xml", LOGIN, START),
    Line("task/run", f"schtasks /run /tn {TASK}", "task-xml", LOGIN, START),
    Line("lock/of-the-task", f"if exist {_HELD} echo 1 2>>{_HELD}", "lock", LOGIN, HELD),
    Line(
        "folder/held",
        next(one.line for one in agent.probes(FOLDER) if one.name == "leftovers"),
        "held-folder",
        LOGIN,
        HELD,
    ),
    Line(
        "folder/removed",
        f'rmdir "{_at("staging-held")}"&if exist "{_at("staging-held")}" echo 1',
        "held-folder",
        LOGIN,
        HELD,
    ),
    Line("task/end", f"schtasks /end /tn {TASK}", "first-process", LOGIN, ENDED),
    Line("lock/after-the-end", f"if exist {_HELD} echo 1 2>>{_HELD}", "inherited", LOGIN, ENDED),
    Line("task/watch", f'if exist "{_at("survived.txt")}" echo 1', "start-b", LOGIN, ENDED),
    Line("task/kill", f"taskkill /f /im {PROGRAM}", "taskkill", LOGIN, ENDED),
    Line("lock/after-the-kill", f"if exist {_HELD} echo 1 2>>{_HELD}", "inherited", LOGIN, FREED),
    Line("task/kill-none", f"taskkill /f /im {PROGRAM}", "taskkill", LOGIN, FREED),
    Line("task/delete", f"schtasks /delete /tn {TASK} /f", "task-xml", LOGIN, LAST),
    Line("task/absent", f"schtasks /query /tn {TASK} /xml", "task-xml", LOGIN, LAST),
)


def of(session: str, when: int | None = None) -> list[Line]:
    """The rows of a session, of one time or of all."""
    return [row for row in TABLE if row.session in (session, BOTH) and when in (None, row.when)]


# -- what is put on the server --------------------------------------------------------------------------

_TEXTS = {
    "lines.txt": '{"message_type":"summary"}\n{"message_type":"error"}\nVssApi\nVSS error 5\nxffffaaay\n',
    "status.json": '{"format": 1, "exit_code": 0}\n',
    "repository.txt": "rest:https://127.0.0.1:9/\n",
    "password.txt": "of a repository that is thrown away\n",
    "say.cmd": "@echo [%1] [%2]\n",
}


def task_values() -> dict[str, str]:
    """The recorder's task: the properties of the agent's, so that Windows' own XML of them is seen."""
    return {
        "author": "Pro Secours",
        "description": "Enregistrement",
        "trigger enabled": "true",
        "start": "2026-01-01T22:07:00",
        "every n days": "1",
        "principal": "Author",
        "account": "S-1-5-18",
        "run level": "HighestAvailable",
        "overlap": "IgnoreNew",
        "not on batteries": "false",
        "stop on batteries": "false",
        "may be killed": "true",
        "catch up a missed start": "false",
        "stop when no longer idle": "false",
        "restart when idle": "false",
        "may be started by hand": "true",
        "enabled": "true",
        "time limit": "PT1H",
        "priority": "7",
        "retry a start after": "PT10M",
        "start retries": "3",
        "action as": "Author",
        "command": "%SystemRoot%\\System32\\cmd.exe",
        "arguments": f'/d /e:on /v:off /c ""{_at("record.cmd")}""',
        "folder": FOLDER,
    }


def files() -> dict[str, bytes]:
    """Name -> content of what is delivered into FOLDER, beside restic.exe."""
    xml = "\ufeff" + windows_task.render(task_values()).replace("\n", "\r\n")
    made = {name: text.replace("\n", "\r\n").encode("ascii") for name, text in _TEXTS.items()}
    rows = "".join(
        f":{number}\n{batch(row.line.replace('$session', SYSTEM))}\nexit /b %ERRORLEVEL%\n"
        for number, row in enumerate(of(SYSTEM))
    )
    template = Path(__file__).with_name("record.cmd").read_text("ascii")
    script = Template(template).substitute(last=str(len(of(SYSTEM)) - 1), program=PROGRAM)
    return {
        **made,
        "rows.cmd": f"@echo off\ngoto %1\n{rows}".replace("\n", "\r\n").encode("ascii"),
        "task.xml": xml.encode("utf-16-le"),
        "bom.txt": "\ufeffé\r\n".encode("utf-16-le"),
        "record.cmd": script.replace("\n", "\r\n").encode("ascii"),
    }


PREPARE = "&&".join(
    (
        f'cd /d "{FOLDER}"',
        "mkdir data\\sub staging-held staging-free",
        ">data\\a.txt echo un",
        ">data\\B00001.GIW echo deux",
        ">data\\sub\\b.txt echo trois",
        '>"data\\Élevage & Cultures (2026), l\'été.txt" echo quatre',
        "type nul>backup.lock",
    )
)
"""One command: the data of a perimeter, and folders as deploys leave them."""


def batch(line: str) -> str:
    """A line of `cmd /c` as it stands in a file: there the `%` of a `for` is doubled, %TEMP%'s is not."""
    doubled = []
    parts = line.split("%")
    at = 0
    while at < len(parts) - 1:
        doubled.append(parts[at])
        if parts[at + 1].isidentifier() and len(parts[at + 1]) > 1 and at + 2 < len(parts):
            doubled.append(f"%{parts[at + 1]}%")
            at += 2
        else:
            doubled.append("%%")
            at += 1
    return "".join([*doubled, *parts[at:]])
