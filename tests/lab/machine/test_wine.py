"""A Wine host as a Windows host: command lines, bytes, exit codes, environment, editions, drives."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.prosecours.backup.plugins.plugin_utils.windows.command_line import SYSTEM_PATH
from lab.wine_host import Answer, run

from windows_lab.errors import LabError
from windows_lab.machine.protocol import NotStarted
from windows_lab.server import WindowsServer

pytestmark = pytest.mark.lab

LONG = "\\".join(["dossier " + "x" * 40] * 6)
FILES = {
    "D:\\Données & l'été (1)": {"relevé^.txt": "à lire\n", "vide": None},
    "D:\\isagiwf": {"B0001.GIW": 2048, "B0002.GIW": 100, "backup": {"base.bak": 5000}},
    f"I:\\{LONG}\\fin.txt": "long\n",
}


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WindowsServer]:
    machine = WindowsServer(
        "moulin-srv1", tmp_path_factory.mktemp("wine"), {"lab_files": FILES}, {"Administrateur": "x"}
    )
    machine.prepare()
    yield machine
    machine.close()


@pytest.mark.parametrize(
    ("line", "code", "out"),
    [
        ("exit 70001", 70001, ""),
        ("cmd /c exit -1073741510", 0xC000013A, ""),
        ("cmd /c exit 3 && echo wrong", 3, ""),
        ("cmd /c exit 3 || echo right", 3, "right\r\n"),
        ("cmd /c exit 0 || echo wrong", 0, ""),
        ("echo é œ € & echo b", 0, "é œ € \r\nb\r\n"),
        ('echo "a&b^^c" ^& d', 0, '"a&b^^c" & d\r\n'),
        ('""C:\\windows\\system32\\cmd.exe" /c "echo a b""', 0, "a b\r\n"),
        ("chcp", 0, "Active code page: 65001\r\n"),
        ("cd", 0, "C:\\Users\\Administrateur\r\n"),
        ("nonesuch 2>nul", 9009, ""),
        ('type "D:\\Données & l\'été (1)\\relevé^.txt"', 0, "à lire\n"),
        ('dir /b "D:\\Données & l\'été (1)"', 0, "relevé^.txt\r\nvide\r\n"),
        ('type "D:\\none" 2>nul || echo no', 1, "no\r\n"),
        (f'type "I:\\{LONG}\\fin.txt"', 0, "long\n"),
        ('for %F in ("D:\\isagiwf\\B0001.GIW") do @echo %~zF', 0, "2048\r\n"),
        ("set HOME & set LC_ALL & echo %PATH%", 1,
         "C:\\Windows\\system32;C:\\Windows;C:\\Windows\\System32\\Wbem\r\n"),
        ("echo %USERNAME% %COMPUTERNAME% %TEMP%", 0,
         "Administrateur MOULIN-SRV1 C:\\Users\\Administrateur\\AppData\\Local\\Temp\r\n"),
        ("if exist Z:\\ echo Linux is there", 0, ""),
    ],
)  # fmt: skip
def test_command_lines(host: WindowsServer, line: str, code: int, out: str) -> None:
    answer = run(host, line)
    assert (answer.out.decode(), answer.code) == (out, code)


def test_a_line_is_too_long_once_its_variables_are_in_it(host: WindowsServer) -> None:
    assert run(host, "echo %TEMP%" + "a" * 8080).code == 0
    answer = run(host, "echo %TEMP%" + "a" * 8150)
    assert (answer.code, answer.out, answer.err.strip()) == (1, b"", b"La ligne de commande est trop longue.")


def test_a_shell_answers_in_the_code_page_that_it_was_opened_with(host: WindowsServer) -> None:
    for codepage, printed in ((437, b"\x82\x90\r\n"), (65001, "éÉ\r\n".encode())):
        assert run(host, "echo éÉ", codepage=codepage).out == printed
        assert run(host, "chcp", codepage=codepage).out.strip().endswith(str(codepage).encode())
    # An emulated program prints in its console's too; a file's bytes are nobody's to convert.
    groups = run(host, "whoami /groups /fo csv /nh", codepage=437).out
    assert "Étiquette obligatoire".encode("cp437") in groups
    assert run(host, 'type "D:\\Données & l\'été (1)\\relevé^.txt"', codepage=437).out == "à lire\n".encode()


def test_the_session_s_path_names_the_programs_of_windows(host: WindowsServer) -> None:
    """Git's usr\\bin before System32 has a find and a tar of its own."""
    run(host, "mkdir C:\\git & echo @echo of git>C:\\git\\whoami.cmd")
    odd = {"Path": "C:\\git;C:\\Windows\\system32;C:\\Windows"}
    assert run(host, "whoami", environment=odd).text == "of git\r\n"
    assert run(host, f"{SYSTEM_PATH}whoami", environment=odd).text.endswith("\\administrateur\r\n")


def test_bytes_pass_untouched(host: WindowsServer) -> None:
    data = bytes(range(256)) * 4000
    host.drives.find("C:\\bytes.bin").write_bytes(data)
    assert run(host, "type C:\\bytes.bin").out == data


def test_standard_input_reaches_the_program(host: WindowsServer) -> None:
    data = b"".join(b"%06d line\r\n" % number for number in range(20000))
    assert run(host, 'findstr /c:"019999 line"', data).text == "019999 line\r\n"


def test_two_streams(host: WindowsServer) -> None:
    assert run(host, "echo a & echo b>&2") == Answer(0, b"a \r\n", b"b\r\n")


def test_all_processes_of_a_host_share_a_processor(host: WindowsServer) -> None:
    waiting = host.start("set /p x=", None, {})
    waiting.send(b"", end=False)
    prefix = f"WINEPREFIX={host.prefix}".encode()
    processes = (entry for entry in Path("/proc").iterdir() if entry.name.isdigit())
    allowed = [found for process in processes if (found := _processors(process, prefix))]
    waiting.terminate()
    assert len(allowed) >= 3, "lab.exe, its wineserver and cmd.exe"
    assert len(set(allowed)) == 1
    assert allowed[0].isdigit()


def _processors(process: Path, variable: bytes) -> str:
    """Where a process with this environment variable may run, as Linux lists it; "" for others."""
    try:
        if variable not in (process / "environ").read_bytes().split(b"\0"):
            return ""
        status = (process / "status").read_text("utf-8")
    except OSError:  # it has ended meanwhile
        return ""
    return status.partition("Cpus_allowed_list:")[2].split()[0]


def test_unknown_folder_cannot_be_the_current_one(host: WindowsServer) -> None:
    with pytest.raises(NotStarted, match="267"):
        host.start("cd", "D:\\nowhere", {})


def test_environment_of_the_shell(host: WindowsServer) -> None:
    assert run(host, "echo %LETTER%", environment={"LETTER": "é"}).text == "é\r\n"


def test_held_file_cannot_be_opened(host: WindowsServer) -> None:
    lines = [
        "@echo off",
        ">%~dp0held call :main || exit /b 251",
        "exit /b 0",
        ":main",
        "set /p X=",
        "exit /b 0",
        "",
    ]
    host.drives.find("C:\\hold.cmd").write_text("\r\n".join(lines), newline="")
    first = host.start("C:\\hold.cmd", "C:\\", {})
    deadline = time.monotonic() + 20
    while not host.drives.find("C:\\held").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert run(host, "2>nul (>>C:\\held rem) && echo free || echo held").text.strip() == "held"
    assert run(host, "C:\\hold.cmd").code == 251
    first.send(b"go on\r\n", True)
    assert [code for _, code in [first.receive(20)] if code is not None] in ([0], [])
    while first.receive(5)[1] is None:
        pass
    assert run(host, "2>nul (>>C:\\held rem) && echo free || echo held").text.strip() == "free"


def test_terminate_ends_children(host: WindowsServer) -> None:
    process = host.start("cmd /c findstr nothing", None, {})
    assert process.receive(0.5) == ([], None)
    begun = time.monotonic()
    process.terminate()
    while process.receive(1)[1] is None:
        assert time.monotonic() - begun < 20


@pytest.mark.parametrize(
    ("edition", "build", "kind", "tar"),
    [("2016", "14393", "Server", False), ("2025", "26100", "Server", True), ("10", "19045", "Client", True)],
)
def test_editions(tmp_path: Path, edition: str, build: str, kind: str, tar: bool) -> None:
    machine = WindowsServer("x", tmp_path, {"lab_windows": edition, "lab_shadow_copies": "off"}, {"a": "b"})
    machine.prepare()
    try:
        key = '"HKLM\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion"'
        answer = run(
            machine, f"reg query {key} /v CurrentBuildNumber & reg query {key} /v InstallationType"
        ).text
        assert build in answer
        assert kind in answer
        assert (run(machine, 'if exist "%SystemRoot%\\System32\\tar.exe" echo 1').text == "1\r\n") is tar
        assert "0x4" in run(machine, "reg query HKLM\\SYSTEM\\CurrentControlSet\\Services\\VSS /v Start").text
    finally:
        machine.close()


def test_a_host_keeps_its_state_and_touches_no_other(tmp_path: Path) -> None:
    first = WindowsServer("one", tmp_path / "one", {}, {"a": "b"})
    second = WindowsServer("two", tmp_path / "two", {}, {"a": "b"})
    for machine in (first, second):
        machine.prepare()
    try:
        tar = "C:\\windows\\system32\\tar.exe"
        before = second.drives.find(tar).read_bytes()
        run(first, f"reg add HKLM\\Software\\Essai /v X /d 1 /f & echo x>{tar} & echo y>D:\\y.txt")
        assert second.drives.find(tar).read_bytes() == before
        assert run(second, "reg query HKLM\\Software\\Essai").code == 1
        assert run(second, "if exist D:\\y.txt echo wrong").out == b""
        first.close()
        again = WindowsServer("one", tmp_path / "one", {}, {"a": "b"})
        again.prepare()
        try:
            assert run(again, "reg query HKLM\\Software\\Essai && type D:\\y.txt").text.endswith("y\r\n")
        finally:
            again.close()
    finally:
        first.close()
        second.close()


def test_a_host_of_an_older_lab_is_brought_up_to_date(tmp_path: Path) -> None:
    machine = WindowsServer("x", tmp_path, {"lab_windows": "2016"}, {"a": "b"})
    machine.prepare()
    run(machine, "reg add HKLM\\Software\\Essai /v X /d 1 /f & echo z>C:\\z.txt")
    machine.close()
    (machine.prefix / "template").write_text("wine-1.0-old")
    system32 = machine.prefix / "drive_c/windows/system32"
    (system32 / "icacls.exe").unlink()
    machine.prepare()
    try:
        assert run(machine, "reg query HKLM\\Software\\Essai && type C:\\z.txt").text.endswith("z\r\n")
        assert run(machine, "icacls C:\\z.txt").code == 0
        assert run(machine, "tar --version").code == 9009
        assert not (system32 / "tar.exe").exists()
    finally:
        machine.close()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"lab_windows": "95"}, "lab_windows"),
        ({"lab_shadow_copies": "maybe"}, "lab_shadow_copies"),
        ({"lab_vss_writers": {"System Writer": 16}}, "lab_vss_writers"),
        ({"lab_drives": ["D"], "lab_files": {"E:\\x": 1}}, "lies on no drive"),
        ({"lab_files": {"D:\\x": {"a:b": 1}}}, "no file of the name"),
        ({"lab_fixture": "/nowhere/at/all"}, "lab_fixture"),
    ],
)
def test_wrong_settings_are_told(tmp_path: Path, settings: dict[str, object], words: str) -> None:
    with pytest.raises(LabError, match=words):
        WindowsServer("x", tmp_path, settings, {}).prepare()
