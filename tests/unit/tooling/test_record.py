"""The recorder without a server: its table, names out of what is printed, and that nothing is left behind."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from ansible_collections.prosecours.backup.plugins.plugin_utils.windows.session import (
    ConnectionLost,
    Output,
    TimedOut,
)
from ansible_collections.prosecours.backup.plugins.plugin_utils.windows.winrm import WinRMSession
from recordings import replay

from tools.record import direct, inventory, lines, recording, run, server
from tools.record.anonymous import EXCLUDED, MAPPED, VOLUME, Names

PAGE = Path(__file__).parents[3] / "docs" / "windows-lab.md"


# -- the table ------------------------------------------------------------------------------------------


def beliefs() -> dict[str, str]:
    """Name of each behaviour that the lab models -> what it rests on."""
    table = PAGE.read_text("utf-8").split("## What it rests on")[1].split("\n## ")[0]
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in table.splitlines() if line.startswith("| ")][1:]
    return {row[0].strip().strip("`"): row[2].strip() for row in rows}


def test_each_line_has_a_name_of_its_own_and_settles_something() -> None:
    names = [row.name for row in lines.TABLE]
    assert len(names) == len(set(names))
    assert {row.settles for row in lines.TABLE} <= beliefs().keys()


NEVER_SENT = {"console", "empty-hash", "http"}
"""Of what the lab refuses or does there nothing rests on Windows: the product sends nothing of the kind."""


def believed() -> set[str]:
    return {name for name, kind in beliefs().items() if kind == "believed"}


def test_what_is_believed_has_a_line_that_settles_it() -> None:
    assert believed() - NEVER_SENT <= {row.settles for row in lines.TABLE}


def test_the_first_run_has_to_tell_what_is_believed_and_no_more() -> None:
    """docs/traceability.md's last chapter names exactly the rows."""
    chapter = (PAGE.parent / "traceability.md").read_text("utf-8").split("\n## ")[-1]
    assert set(re.findall(r"(?m)^- `([a-z-]+)`", chapter)) == believed() - NEVER_SENT


def test_what_is_replayed_is_recorded() -> None:
    names = {row.name for row in lines.TABLE}
    assert replay.READINGS.keys() <= names
    assert replay.EXPECTED.keys() <= replay.READINGS.keys()


@pytest.mark.parametrize(
    ("line", "file"),
    [
        ("for /f %k in ('a') do @reg query %k\\Network", "for /f %%k in ('a') do @reg query %%k\\Network"),
        ('if exist "%SystemRoot%\\x" echo 1', 'if exist "%SystemRoot%\\x" echo 1'),
        ('for %f in (*) do @%~zf "%TEMP%\\%f" %A1%%A1%', 'for %%f in (*) do @%%~zf "%TEMP%\\%%f" %A1%%A1%'),
        ("chcp", "chcp"),
    ],
)  # fmt: skip
def test_a_line_as_it_stands_in_a_batch_file(line: str, file: str) -> None:
    assert lines.batch(line) == file


# -- names ----------------------------------------------------------------------------------------------

NAMES = Names(
    [
        ("host", "SRV-MOULIN"), ("host", "moulin-srv1"), ("user", "Jérôme"), ("user", "Administrateur"),
        ("secret", "Mot:2 passe"), ("host", "192.0.2.7"),
    ]
)  # fmt: skip


@pytest.mark.parametrize("encoding", ["utf-8", "cp850", "cp437", "cp1252", "utf-16-le"])
def test_a_name_has_the_same_stand_in_in_every_encoding(encoding: str) -> None:
    text = "srv-moulin\\jérôme C:\\Users\\JÉRÔME Administrateurs moulin-srv10 Mot:2 passe 192.0.2.7"
    printed = text.encode(encoding, "replace")  # what a code page lacks is a question mark
    said = NAMES.out_of(printed).decode(encoding)
    assert said == "host-1\\user-1 C:\\Users\\user-1 Administrateurs moulin-srv10 secret-1 host-3"


def test_sids_of_a_machine_are_numbered_and_those_of_everyone_stay() -> None:
    text = "S-1-5-21-1111-2222-3333-500 S-1-5-21-1111-2222-3333-1105 S-1-5-21-9-9-9-513 S-1-5-32-544 S-1-1-0"
    wanted = "S-1-5-21-1-1-1-500 S-1-5-21-1-1-1-1000 S-1-5-21-2-2-2-513 S-1-5-32-544 S-1-1-0"
    names = Names([])
    assert names.out_of(text.encode()).decode() == wanted
    assert names.out_of(text.encode("utf-16-le")).decode("utf-16-le") == wanted, "the same twice, in both"


def test_shares_labels_and_volumes_are_left_out() -> None:
    network = (
        b"HKEY_USERS\\S-1-5-21-1-2-3-1001\\Network\\I\r\n"
        b"    RemotePath    REG_SZ    \\\\nas-moulin\\isa data\r\n    UserName    REG_SZ    MOULIN\\paul\r\n"
    )
    said = Names([]).out_of(network, MAPPED)
    assert b"moulin" not in said.lower()
    assert b"    RemotePath    REG_SZ    \\\\server\\share\r\n    UserName    REG_SZ    name\r\n" in said
    label = " Le volume dans le lecteur C s'appelle MOULIN\r\n Le numéro de série du volume est 1A2B-3C4D\r\n"
    listing = f"{label}\r\n01/01/2026  GAEC du Moulin\r\n 0 fichier(s)\r\n 3 9 octets libres\r\n"
    assert Names([]).out_of(listing.encode(), VOLUME) == b" volume\r\n 0 fichier(s)\r\n 3 9 octets libres\r\n"
    excluded = b"HKEY_X\\Paths\r\n    D:\\GAEC du Moulin    REG_DWORD    0x0\r\n"
    assert Names([]).out_of(excluded, EXCLUDED) == b"HKEY_X\\Paths\r\n    C:\\folder    REG_DWORD    0x0\r\n"
    guid = b"\\\\?\\Volume{5e2a1bd6-0000-4000-8000-100000000000}\\"
    assert Names([]).out_of(guid) == b"\\\\?\\Volume{00000000-0000-0000-0000-000000000001}\\"


# -- the zip --------------------------------------------------------------------------------------------


def test_a_recording_is_read_as_it_was_written(tmp_path: Path) -> None:
    answer = recording.Answer(
        "lock/held", "login", "echo", 437, -1, recording.duration(4), out=b"\x00\xff", err=b"e"
    )
    made = recording.Recording({"build": 20348, "language": "040C"}, (answer,))
    (tmp_path / "r.zip").write_bytes(made.packed())
    assert recording.read(tmp_path / "r.zip") == made


# -- nothing is left ------------------------------------------------------------------------------------


class Server:
    """Answers as a Windows of which little is known; `breaks` at the line that holds a word."""

    host = "moulin-srv1"
    values: dict[str, Any] = {}  # noqa: RUF012 -- nothing writes to it
    clock_offset = 0.0

    def __init__(self, word: str, breaks: BaseException) -> None:
        self.word, self.breaks = word, breaks
        self.lines: list[str] = []

    def run(
        self, line: str, stdin: Iterable[bytes] = (), timeout: float = 120.0, codepage: int = 65001
    ) -> Output:
        self.lines.append(line)
        if self.word in line:
            raise self.breaks
        if found := re.search(r"echo ##([0-9a-f]{16}):", line):
            sections = re.findall(rf"echo ##{found[1]}:([^&)]*)", line)
            return Output(0, "".join(f"##{found[1]}:{name}\r\n\r\n" for name in sections).encode(), b"")
        return Output(0, b"", b"")

    def put_file(self, source: str, target: str) -> None:
        self.lines.append(f"put {target}")


@pytest.mark.parametrize(
    ("word", "breaks"),
    [
        ("mkdir", KeyboardInterrupt()),
        ("mkdir", ConnectionLost("moulin-srv1", "the connection broke", "Try again")),
    ],
)
def test_what_was_made_is_removed_whatever_happens(tmp_path: Path, word: str, breaks: BaseException) -> None:
    server = Server(word, breaks)
    with pytest.raises(type(breaks)):
        run.record(server, tmp_path / "restic.exe", lambda _text: None)  # type: ignore[arg-type]
    at = next(number for number, line in enumerate(server.lines) if word in line)
    after = " ".join(server.lines[at + 1 :])
    assert f'rmdir /s /q "{lines.FOLDER}"' in after
    assert f"schtasks /delete /tn {lines.TASK} /f" in after
    assert f"taskkill /f /im {lines.PROGRAM}" in after


def test_a_server_that_is_gone_at_the_end_is_said_to_have_something_left() -> None:
    gone = Server("rmdir", ConnectionLost("moulin-srv1", "the connection broke", "Try again"))
    with pytest.raises(run.RecorderError, match=r"may be left on the server.*Run the recorder again"):
        run.clean(gone)


def test_a_login_whose_end_is_interrupted_is_not_gone_on_with(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while one login takes the place of another: what removes everything needs one that works."""
    opened = []

    class Login:
        def close(self) -> None:
            raise KeyboardInterrupt

        def run(self, line: str, *_: Any) -> str:
            return line

    def connect(there: server.Server, codepage: int) -> Any:
        opened.append(login := Login())
        there._open[codepage] = login, login, 0  # type: ignore[assignment]
        return there._open[codepage]

    monkeypatch.setattr(server.Server, "_connect", connect)
    there = server.Server("srv", {}, lambda: None)
    for _ in range(server._COMMANDS):
        there.run("a")
    with pytest.raises(KeyboardInterrupt):
        there.run("b")
    assert (there.run("c"), len(opened)) == ("c", 2)


def test_a_line_that_does_not_end_in_time_is_an_answer_too() -> None:
    late = TimedOut("srv", "it took too long", "wait", Output(-1, b"half", b""))
    row = next(row for row in lines.TABLE if row.name == "vss/writers")
    answer = run._ask(Server("vssadmin", late), row)  # type: ignore[arg-type]
    assert (answer.out, answer.exit_code, answer.whole) == (b"half", -1, False)


# -- without Ansible ------------------------------------------------------------------------------------

ENVIRONMENT = {
    "PROSECOURS_WINDOWS_HOST": "127.0.0.9",
    "PROSECOURS_WINDOWS_USER": "prosecours",
    "PROSECOURS_WINDOWS_PASSWORD": "Mot2Passe",
    "PROSECOURS_WINDOWS_CA": "/etc/ssl/certs/ca-certificates.crt",
}


class Stopped(Exception):
    """What was to be seen has been sent."""


def test_pywinrm_is_told_and_sends_what_it_does_under_ansible(monkeypatch: pytest.MonkeyPatch) -> None:
    """Certificates, limits, envelope, code page: what differed here would differ in a recording."""
    seen: list[tuple[dict[str, Any], str]] = []

    class Transport:
        def __init__(self, **options: Any) -> None:
            self.options = options

        def send_message(self, message: Any) -> None:
            text = message if isinstance(message, str) else message.decode()
            seen.append((self.options, re.sub(r"uuid:[0-9a-fA-F-]{36}", "uuid", text)))
            raise Stopped

    monkeypatch.setattr("winrm.protocol.Transport", Transport)
    values: dict[str, Any] = {**direct.variables("srv", ENVIRONMENT)}
    in_an_inventory = {**values, "ansible_port": 5986, "ansible_winrm_transport": "ntlm"}
    for made in (direct.Connection(values), inventory.connection(in_an_inventory)):
        with pytest.raises(Exception):  # noqa: B017, PT011 -- Ansible's own in the place of ours
            made._connect()
    by_itself, by_ansible = seen
    assert by_itself == by_ansible
    assert by_itself[0]["endpoint"] == "https://127.0.0.9:5986/wsman"
    assert by_itself[0]["server_cert_validation"] == "validate"
    assert 'WINRS_CODEPAGE">65001<' in by_itself[1]


def test_all_that_the_environment_does_not_say_is_said_at_once() -> None:
    with pytest.raises(direct.NotSaid, match="lacks PROSECOURS_WINDOWS_USER, PROSECOURS_WINDOWS_PASSWORD"):
        direct.variables("srv", {**ENVIRONMENT, **dict.fromkeys(list(ENVIRONMENT)[1:3], "")})
    assert direct.variables("srv", {**ENVIRONMENT, "PROSECOURS_WINDOWS_PORT": "1"})["ansible_port"] == "1"


def test_a_server_without_tar_is_sent_to_ansible(monkeypatch: pytest.MonkeyPatch) -> None:
    made = direct.Connection(direct.variables("srv", ENVIRONMENT))
    monkeypatch.setattr(made, "_connect", lambda: None)
    monkeypatch.setattr(
        made, "protocol", SimpleNamespace(transport=SimpleNamespace(session=requests.Session()))
    )
    with pytest.raises(direct.NoPowerShell, match="without --direct"):
        WinRMSession(made, "srv").put_file("a.txt", "C:\\a.txt")
