"""One recording, whole: what an earlier one left goes, everything is sent, all is removed again."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ansible_collections.prosecours.backup.plugins.plugin_utils.errors import ProSecoursError
from ansible_collections.prosecours.backup.plugins.plugin_utils.preflight import facts as preflight
from ansible_collections.prosecours.backup.plugins.plugin_utils.windows import delivery, probe
from ansible_collections.prosecours.backup.plugins.plugin_utils.windows.probe import Probe
from ansible_collections.prosecours.backup.plugins.plugin_utils.windows.session import (
    Session,
    SessionError,
    TimedOut,
)

from . import lines
from .anonymous import Names
from .lines import FOLDER, LOGIN, PROGRAM, SYSTEM, TASK, Line
from .recording import Answer, Recording, duration
from .server import Server

Say = Callable[[str], None]
_SLOWEST = 8_000  # bytes a second that a link must carry, as for a deploy
_TASK_LIMIT = 1800.0  # seconds until the task has done all its lines
_PATIENCE = 60.0  # seconds for what is ended to let go of the folder
_GROUP = re.compile(r'"(?:[^"\\]*\\)?([^"]+)","[^"]*","S-1-5-21-')


class RecorderError(ProSecoursError):
    """The recording could not be made, or something of it is left on the server."""


def record(server: Server, restic: Path, say: Say) -> Recording:
    """The whole of it, without names. Raises ProSecoursError; then nothing is left either, or it says so."""
    say("Removing what an earlier recording may have left")
    clean(server)
    try:
        names, windows = _who(server)
        say("Bringing restic.exe and the lines of the task")
        _bring(server, restic)
        answers = list(_alone(server, say))
        say(f"Running {len(lines.of(SYSTEM))} lines as SYSTEM")
        answers += _as_system(server)
        return Recording(windows, tuple(answers)).anonymous(names)
    finally:
        say("Removing everything again")
        clean(server)


# -- what is there before -------------------------------------------------------------------------------


def _who(server: Server) -> tuple[Names, dict[str, Any]]:
    """The names that are to be left out, and the Windows."""
    nls = r"reg query HKLM\SYSTEM\CurrentControlSet\Control\Nls"
    variables = ("COMPUTERNAME", "USERNAME", "USERDOMAIN", "USERDNSDOMAIN", "LOGONSERVER")
    asked = [
        *(one for room, one in lines.PROBES if room == "preflight" and one.name in ("windows", "groups")),
        Probe("language", rf"{nls}\Language /v InstallLanguage"),
        Probe("oem", rf"{nls}\CodePage /v OEMCP"),
        Probe("ansi", rf"{nls}\CodePage /v ACP"),
        *(Probe(name, f"echo %{name}%") for name in variables),
        Probe("users", r"dir /b /ad %SystemDrive%\Users"),
        Probe("hostname", "hostname"),
    ]
    text = {name: probe.decode(answer).strip() for name, answer in probe.ask(server, asked).items()}
    found = preflight.windows(text["windows"].encode())
    words = [
        ("host", text["hostname"]),
        ("host", server.host),
        ("host", str(server.values.get("ansible_host", ""))),
    ]
    for name in variables:
        if not text[name].startswith("%"):
            words.append(("user" if name == "USERNAME" else "host", text[name].strip("\\")))
    words.append(("secret", str(server.values.get("ansible_password", ""))))
    login = re.split(r"[\\@]", str(server.values.get("ansible_user", "")))
    ours = {"public", "default", "default user", "all users", "defaultapppool"}
    users = [*login, *(name for name in text["users"].splitlines() if name.strip().lower() not in ours)]
    for name in users:
        words += [("user", name.strip()), ("user", f"{name.strip()[:6]}~1")]
    words += [("group", group) for group in _GROUP.findall(text["groups"])]
    words = [(kind, word) for kind, word in words if word.casefold() != "prosecours"]  # ours, and no name
    value = {name: text[name].split()[-1] if text[name] else "" for name in ("language", "oem", "ansi")}
    return Names(words), {
        "build": found.build,
        "installation": found.installation,
        "product": found.product,
        **value,
    }


def _bring(server: Server, restic: Path) -> None:
    full = "*S-1-5-18:(OI)(CI)F", "*S-1-5-32-544:(OI)(CI)F"
    made = server.run(
        f'mkdir "{FOLDER}"&&icacls "{FOLDER}" /inheritance:r /grant:r "{full[0]}" "{full[1]}" /q>nul'
        f"&&{lines.PREPARE}"
    )
    has_tar = server.run('if exist "%SystemRoot%\\System32\\tar.exe" echo 1').stdout.strip() == b"1"
    sent = not made.exit_code and delivery.send(server, FOLDER, lines.files(), has_tar)
    if sent and has_tar:
        with tempfile.TemporaryFile() as archive:
            size = delivery.pack({"restic.exe": restic}, archive)
            line = f'cd /d "{FOLDER}"&&tar -xzf -'
            sent = not server.run(line, delivery.read(archive), 120 + size / _SLOWEST).exit_code
    elif sent:
        server.put_file(str(restic), f"{FOLDER}\\restic.exe")
    if not sent:
        raise RecorderError(
            f"{FOLDER} cannot be made, or what is brought there arrives altered",
            "Use an administrator's login, and see that no antivirus removes restic.exe",
            server.host,
        )


# -- the two sessions -----------------------------------------------------------------------------------


def _alone(server: Server, say: Say) -> Iterator[Answer]:
    rows = lines.of(LOGIN, lines.ALONE)
    for number, row in enumerate(rows):
        if number % 10 == 0:
            say(f"Line {number + 1} of {len(rows)}")
        yield _ask(server, row)


def _ask(server: Server, row: Line) -> Answer:
    """One line by itself. That it did not end in time is an answer too."""
    line = row.line.replace("$session", LOGIN)
    begin = time.monotonic()
    try:
        output, whole = server.run(line, [row.stdin] if row.stdin else (), row.timeout, row.codepage), True
    except TimedOut as late:
        output, whole = late.partial, False
    clock = datetime.now(UTC) + timedelta(seconds=server.clock_offset or 0)
    return Answer(
        row.name,
        LOGIN,
        line,
        row.codepage,
        output.exit_code,
        duration(time.monotonic() - begin),
        clock.isoformat(timespec="seconds"),
        whole=whole,
        hides=row.hides,
        out=output.stdout,
        err=output.stderr,
    )


def _as_system(server: Server) -> list[Answer]:
    """The task: what it recorded, and what the login sees of it meanwhile and after its end."""
    answers = [_ask(server, row) for row in lines.of(LOGIN, lines.START)]
    if failed := next(
        (one for one in answers if one.name in ("task/create", "task/run") and one.exit_code), None
    ):
        raise RecorderError(
            f"the task {TASK} cannot be started ({failed.name}: code {failed.exit_code})",
            "Check that the service Schedule runs and that no group policy forbids tasks",
            server.host,
        )
    _until(server, "done.txt", _TASK_LIMIT, "the task did not come to its end")
    _until(server, "held.log", _PATIENCE, "the task's child did not start")
    answers += _recorded(server)
    for when in (lines.HELD, lines.ENDED, lines.FREED, lines.LAST):
        for row in lines.of(LOGIN, when):
            if row.name == "task/watch":
                server.run(f'type nul>"{FOLDER}\\released.txt"')
                _until(server, "survived.txt", _PATIENCE / 4, "")
            answers.append(_ask(server, row))
        if when == lines.ENDED:
            _freed(server)
    return answers


def _recorded(server: Server) -> list[Answer]:
    """What the task's lines printed, brought home by the product's own way and cut where each began."""
    rows, names = lines.of(SYSTEM), ("codes.txt", "rows.out", "rows.err")
    answers, kept = [], probe.ask(server, [Probe(name, f'type "{FOLDER}\\{name}"') for name in names], 600)
    ends = [one.split() for one in probe.decode(kept["codes.txt"]).splitlines() if one.strip()]
    if [int(words[0]) for words in ends] != list(range(len(rows))):
        problem = f"the task told the end of {len(ends)} lines, not of {len(rows)}"
        raise RecorderError(problem, "Run it again; if it stays so, report it", server.host)
    out = err = 0
    for row, (_number, code, begin, end, *sizes) in zip(rows, ends, strict=True):
        before, (out, err) = (out, err), map(int, sizes)
        answers.append(
            Answer(
                row.name,
                SYSTEM,
                row.line.replace("$session", SYSTEM),
                0,
                int(code),
                duration((_clock(end) - _clock(begin)) % 86_400),
                whole=len(kept["rows.out"]) >= out and len(kept["rows.err"]) >= err,
                hides=row.hides,
                out=kept["rows.out"][before[0] : out],
                err=kept["rows.err"][before[1] : err],
            )
        )
    return answers


def _clock(time_of_day: str) -> float:
    """Seconds from `%TIME%` to hundredths, whatever stands between its numbers; 0 from another form of it."""
    numbers = [int(number) for number in re.findall(r"\d+", time_of_day)]
    if len(numbers) != 4:
        return 0
    hours, minutes, seconds, hundredths = numbers
    return hours * 3600 + minutes * 60 + seconds + hundredths / 100


def _until(server: Server, file: str, limit: float, problem: str) -> None:
    """Wait for a file of the task; without `problem` its absence is an answer."""
    deadline = time.monotonic() + limit
    while server.run(f'if exist "{FOLDER}\\{file}" echo 1').stdout.strip() != b"1":
        if time.monotonic() > deadline:
            if problem:
                raise RecorderError(
                    f"{problem} within {limit:.0f} s", "See Task Scheduler's history", server.host
                )
            return
        time.sleep(0.5)


def _freed(server: Server) -> None:
    """Until what was killed has let go of its lock, or a while."""
    lock, deadline = f'"{FOLDER}\\held.lock"', time.monotonic() + _PATIENCE / 4
    while time.monotonic() < deadline and server.run(f"echo 1 2>>{lock}").stdout.strip() != b"1":
        time.sleep(0.5)


# -- nothing is left ------------------------------------------------------------------------------------


def clean(server: Session) -> None:
    """Remove all that a recording makes, also one that was cut. Raises RecorderError when something stays."""
    deadline = time.monotonic() + _PATIENCE
    away = (
        # What the watch and the hanging child look for, to let go of the folder.
        f'if exist "{FOLDER}\\" (type nul>"{FOLDER}\\released.txt"&type nul>"{FOLDER}\\freed.txt")',
        f"schtasks /end /tn {TASK}",
        f"schtasks /delete /tn {TASK} /f",
        f"taskkill /f /im {PROGRAM}",
        f'if exist "{FOLDER}\\" rmdir /s /q "{FOLDER}"',
    )
    look = f'(if exist "{FOLDER}\\" echo 1)&schtasks /query /tn {TASK} /xml>nul 2>nul&&echo 1'
    try:
        while True:
            server.run("&".join(f"({one})>nul 2>nul" for one in away))
            if b"1" not in server.run(look).stdout:
                return
            if time.monotonic() > deadline:
                break
            time.sleep(1)
    except SessionError as error:
        raise RecorderError(
            f"{error.problem}; {FOLDER} and the task {TASK} may be left on the server",
            "Run the recorder again: it begins by removing them",
            server.host,
        ) from error
    raise RecorderError(
        f"{FOLDER} or the task {TASK} cannot be removed",
        "See which program works in that folder, then run the recorder again",
        server.host,
    )
