"""The emulated inbox programs, called through cmd.exe on a Wine host."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import os
import re
import shutil
import tarfile
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from lab.machine.test_scheduler import task, utf16
from lab.wine_host import run

from windows_lab.machine.call import split
from windows_lab.server import WindowsServer

pytestmark = pytest.mark.lab

AGENT = "C:\\Program Files\\ProSecours"
FULL = '"*S-1-5-18:(OI)(CI)F" "*S-1-5-32-544:(OI)(CI)F"'
FILES = {
    "D:\\arbre": {
        "été.txt": 1000,
        "long.log": 50,
        "b": {"c": {"d.txt": 5}, "vide": None},
        "cache": {"x.tmp": 77},
    },
    "D:\\texte.txt": 'une ligne\n{"message_type":"summary","n":1}\nautre Ligne\n',
}


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WindowsServer]:
    machine = WindowsServer(
        "srv", tmp_path_factory.mktemp("programs"), {"lab_files": FILES}, {"Administrateur": "x"}
    )
    machine.prepare()
    yield machine
    machine.close()


def journal(host: WindowsServer) -> list[dict[str, str]]:
    return [
        json.loads(line) for line in (host.state / "journal.jsonl").read_text(encoding="utf-8").splitlines()
    ]


@pytest.mark.parametrize(
    ("line", "arguments"),
    [
        ('x.exe a "b c" d"e f"g', ["x.exe", "a", "b c", "de fg"]),
        (r'x "a\"b" "c\\" d\\e "f\\\"g"', ["x", 'a"b', "c\\", r"d\\e", r"f\"g"]),
        ('"C:\\Program Files\\x.exe" ""  "a""b"', ["C:\\Program Files\\x.exe", "", 'a"b']),
    ],
)
def test_arguments_as_the_c_library_splits_them(line: str, arguments: list[str]) -> None:
    assert split(line) == arguments


@pytest.mark.parametrize(
    "line",
    [
        "systeminfo", "powershell -c 1", "wevtutil el", "vssadmin list shadows", "sc query", "tasklist",
        "schtasks /create /sc daily /tn x /tr y", "schtasks /query /v", "icacls D:\\arbre /verify",
        "certutil -urlcache http://x", "tar -cf x y", "curl -L http://x", "robocopy D:\\arbre D:\\b",
        "robocopy D:\\arbre NULL /L /MIR", "whoami /all", "findstr /s x D:\\*", "forfiles /d 01/01/2026",
        "where /r C:\\ x", "cscript //nologo x.vbs", "ping 8.8.8.8", "icacls", "notepad", "bitsadmin /list",
        "fsutil fsinfo drives", "fsutil volume diskfree D:",
        "findstr /c:une /c:ligne D:\\texte.txt", "findstr \"VSS error\" D:\\texte.txt",
    ],
)  # fmt: skip
def test_what_is_not_modelled_is_loud(host: WindowsServer, line: str) -> None:
    answer = run(host, line)
    assert answer.code == 9009
    assert b"does not model" in answer.err
    last = journal(host)[-1]
    assert last["event"] == "not_modelled"
    assert last["program"] == line.split()[0]


def test_whoami(host: WindowsServer) -> None:
    assert run(host, "whoami").text == "srv\\administrateur\r\n"
    groups = run(host, "whoami /groups /fo csv /nh").text
    assert '"BUILTIN\\Administrateurs","Alias","S-1-5-32-544"' in groups
    assert '"S-1-16-12288"' in groups
    assert run(host, "hostname").text == "SRV\r\n"


def test_certutil(host: WindowsServer) -> None:
    host.drives.find("D:\\abc").write_bytes(b"abc")
    answer = run(host, "certutil -hashfile D:\\abc SHA256")
    assert answer.code == 0
    assert answer.text.splitlines()[1] == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert run(host, "certutil -hashfile D:\\none SHA256").code == 0x80070002
    assert run(host, "certutil -hashfile D:\\none\\x SHA256").code == 0x80070003
    assert run(host, "certutil -hashfile D:\\arbre SHA256").code == 0x80070005
    assert run(host, "type nul >D:\\empty.txt&certutil -hashfile D:\\empty.txt SHA256").code == 0x800703EE


def saved(host: WindowsServer, name: str) -> list[str]:
    """Names and SDDL in turn."""
    answer = run(host, f'icacls "{name}" /save %TEMP%\\a.acl /c /q>nul&type %TEMP%\\a.acl')
    return answer.out.decode("utf-16-le").split("\r\n")[:-1]


def test_icacls_closes_a_folder_to_all_but_two(host: WindowsServer) -> None:
    run(host, f'md "{AGENT}\\sub" & echo x>"{AGENT}\\secret.txt"')
    assert "BU" in saved(host, AGENT)[1]
    line = f'icacls "{AGENT}" /reset /q&&icacls "{AGENT}" /setowner *S-1-5-32-544 /q'
    line += f'&&icacls "{AGENT}" /inheritance:r /grant:r {FULL} /q'
    assert run(host, line).code == 0
    assert saved(host, AGENT) == ["ProSecours", "D:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)"]
    inherited = [
        "secret.txt", "D:AI(A;ID;FA;;;SY)(A;ID;FA;;;BA)",
        "sub", "D:AI(A;OICIID;FA;;;SY)(A;OICIID;FA;;;BA)",
    ]  # fmt: skip
    assert saved(host, AGENT + "\\*") == inherited
    run(host, f'icacls "{AGENT}\\secret.txt" /grant *S-1-1-0:R /q')
    assert saved(host, AGENT + "\\*")[1] == "D:AI(A;;FR;;;WD)(A;ID;FA;;;SY)(A;ID;FA;;;BA)"
    # What is explicit moves with the file, and a copy does not have it.
    run(host, f'move "{AGENT}\\secret.txt" "{AGENT}\\sub\\moved.txt"')
    run(host, f'copy "{AGENT}\\sub\\moved.txt" "{AGENT}\\secret.txt"')
    assert "WD" in saved(host, AGENT + "\\sub\\moved.txt")[1]
    assert "WD" not in saved(host, AGENT + "\\secret.txt")[1]
    run(host, f'move "{AGENT}\\sub\\moved.txt" "{AGENT}\\secret.txt" & icacls "{AGENT}\\*" /reset /t /c /q')
    assert saved(host, AGENT + "\\*") == inherited


def test_icacls_restores_what_it_saved(host: WindowsServer) -> None:
    run(host, "icacls D:\\arbre\\b /inheritance:r /grant:r *S-1-5-18:F /q")
    run(host, "icacls D:\\arbre\\b /save D:\\b.acl /t /q")
    before = saved(host, "D:\\arbre\\b")
    run(host, "icacls D:\\arbre\\b /reset /t /q")
    assert saved(host, "D:\\arbre\\b") != before
    assert run(host, "icacls D:\\arbre /restore D:\\b.acl /q").code == 0
    assert saved(host, "D:\\arbre\\b") == before
    run(host, "icacls D:\\arbre\\b /reset /t /q")


def test_icacls_goes_on_after_a_file_that_has_gone(host: WindowsServer) -> None:
    """A backup renames what it writes while a deploy reads the rights; here a link leads nowhere."""
    run(host, "md D:\\bruit & echo x>D:\\bruit\\a.txt & echo x>D:\\bruit\\z.txt")
    gone = host.drives.find("D:\\bruit") / "m.txt"
    gone.symlink_to("nowhere")
    assert saved(host, "D:\\bruit\\*")[::2] == ["a.txt", "z.txt"]
    answer = run(host, "icacls D:\\bruit\\* /reset /c /q")
    assert (answer.code, "traités ; échec du traitement de 1" in answer.text) == (2, True)
    assert "2 fichiers correctement" in answer.text
    assert "1 fichiers correctement" in run(host, "icacls D:\\bruit\\* /reset /q").text
    gone.unlink()
    assert run(host, "icacls D:\\bruit\\* /reset /q").code == 0


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("D:\\arbre /grant Administrators:F", 1332),
        ("D:\\arbre /grant S-1-5-18:F", 1332),
        ("D:\\arbre /grant Administrateurs:F", 0),
        ("D:\\arbre /grant *S-1-5-18:Z", 87),
        ("D:\\arbre /inheritance:x", 87),
        ("D:\\none", 2),
        ("D:\\none\\x", 3),
        ("D:\\none\\*", 3),
    ],
)
def test_icacls_refuses_as_windows_does(host: WindowsServer, arguments: str, code: int) -> None:
    assert run(host, f"icacls {arguments}").code == code


def archive(files: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return made.getvalue()


def test_tar_from_standard_input(host: WindowsServer) -> None:
    content = bytes(range(256)) * 9000
    data = archive({"a.bin": content, "dossier/é.txt": b"x"})
    assert run(host, "md D:\\t1 & cd /d D:\\t1&&tar -xzf -", data).code == 0
    assert host.drives.find("D:\\t1\\a.bin").read_bytes() == content
    assert run(host, "type D:\\t1\\dossier\\é.txt").out == b"x"
    assert run(host, "tar -tzf -", data).text == "a.bin\r\ndossier/é.txt\r\n"
    assert "bsdtar 3.5.2" in run(host, "tar.exe --version").text


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (archive({"a.bin": b"x" * 100000})[:150], b"truncated"),
        (b"this is no archive at all" * 50, b"Unrecognized"),
        (gzip.compress(b"nor is this " * 100, mtime=0), b"Unrecognized"),
        (archive({"../../evil.txt": b"x"}), b"'..'"),
    ],
)
def test_tar_refuses(host: WindowsServer, data: bytes, word: bytes) -> None:
    answer = run(host, "md D:\\t2 2>nul & tar -xzf - -C D:\\t2", data)
    assert answer.code == 1
    assert word in answer.err
    assert not host.drives.find("D:\\evil.txt").exists()


def test_a_full_disk(host: WindowsServer) -> None:
    host.limit_disk(50000)
    try:
        answer = run(
            host, "md D:\\t3 & tar -xzf - -C D:\\t3", archive({"a": b"a" * 40000, "b": b"b" * 40000})
        )
    finally:
        host.limit_disk(None)
    assert answer.code == 1
    assert "Espace insuffisant sur le disque" in answer.err.decode()
    assert host.drives.find("D:\\t3\\a").stat().st_size == 40000


def rows(out: bytes) -> list[list[int]]:
    """The numbers of robocopy's summary, without the row of durations."""
    lines = [line for line in out.decode("cp850").splitlines() if " :" in line]
    return [[int(number) for number in line.split(":")[1].split()] for line in lines[-4:-1]]


def test_robocopy_counts(host: WindowsServer) -> None:
    flags = "/L /BYTES /NFL /NDL /NJH /XJ /R:0 /W:0"
    answer = run(host, f"robocopy D:\\arbre NULL /E {flags}")
    assert answer.code == 1
    assert rows(answer.out) == [[5, 5, 0, 0, 0, 0], [4, 4, 0, 0, 0, 0], [1132, 1132, 0, 0, 0, 0]]
    answer = run(host, f"robocopy D:\\arbre NULL *.txt /E {flags} /XD cache")
    assert rows(answer.out) == [[5, 4, 1, 0, 0, 0], [2, 2, 0, 0, 0, 0], [1005, 1005, 0, 0, 0, 0]]
    assert rows(run(host, f"robocopy D:\\arbre NULL {flags}").out)[1][0] == 2
    assert rows(run(host, f"robocopy D:\\arbre NULL /E /LEV:2 {flags}").out)[0][0] == 3


def test_robocopy_says_what_is_missing(host: WindowsServer) -> None:
    for source, code in (("D:\\none", 2), ("D:\\none\\x", 3), ("Q:\\x", 3), ("D:\\texte.txt", 267)):
        answer = run(host, f"robocopy {source} NULL /E /L /NJH")
        assert answer.code == 16
        assert f"(0x{code:08X})" in answer.out.decode("cp850")


COPY = "/COPYALL /DCOPY:DAT /B /XJ /R:2 /W:2 /NP /NFL /NDL /NJH /NJS"


def test_robocopy_makes_a_copy_of_a_root_hidden(host: WindowsServer) -> None:
    run(host, "mkdir C:\\racine & echo x>D:\\seul.txt")
    assert run(host, f"robocopy D:\\. C:\\racine\\D seul.txt /LEV:1 {COPY}").code & 1
    assert run(host, "dir /b C:\\racine").text == ""
    run(host, "attrib -h -s C:\\racine\\D & del D:\\seul.txt")
    assert run(host, "dir /b C:\\racine & dir /b C:\\racine\\D").text == "D\r\nseul.txt\r\n"


def test_robocopy_b_needs_an_elevated_login(host: WindowsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "settings", {**host.settings, "lab_elevated": False})
    assert run(host, "robocopy D:\\ C:\\none /L /B /BYTES /NFL /NDL /NJH").code == 16
    assert run(host, "robocopy D:\\ C:\\none /L /BYTES /NFL /NDL /NJH").code in (0, 1)


def test_robocopy_reads_what_is_forbidden_with_b_only(host: WindowsServer) -> None:
    run(host, 'mkdir "D:\\coffre\\à lui" & echo x>"D:\\coffre\\à lui\\a.txt" & echo x>D:\\coffre\\b.txt')
    listing = "robocopy D:\\coffre NULL /E /L /BYTES /NFL /NDL /NJH"
    assert run(host, listing).code == 1
    for forbidden in ("/deny *S-1-1-0:(OI)(CI)F", "/inheritance:r /grant *S-1-5-21-1-2-3-1105:(OI)(CI)F"):
        run(host, f'icacls "D:\\coffre\\à lui" {forbidden} /q')
        answer = run(host, listing)
        assert (answer.code, "(0x00000005)" in answer.out.decode("cp850")) == (9, True)
        assert [row[0] for row in rows(answer.out)] == [2, 1, 3]
        assert rows(answer.out)[0][4] == 1
        assert [row[0] for row in rows(run(host, f"{listing} /B").out)] == [2, 2, 7]
        run(host, 'icacls "D:\\coffre\\à lui" /reset')


def test_robocopy_copies_data_times_and_rights(host: WindowsServer) -> None:
    source, target = (host.drives.find(f"D:\\{name}") for name in ("[2026] l'été", "copie"))
    for folder in (source, target, host.drives.find("D:\\un")):
        shutil.rmtree(folder, ignore_errors=True)
    (source / "vide").mkdir(parents=True)
    (source / "a.txt").write_bytes(b"un")
    (source / "b.log").write_bytes(b"deux")
    os.utime(source / "a.txt", (1_700_000_000, 1_700_000_000))
    run(host, 'icacls "D:\\[2026] l\'été\\a.txt" /grant "*S-1-1-0:R" /q')
    assert run(host, f'robocopy "D:\\[2026] l\'été" D:\\copie *.* /E {COPY}').code == 1
    assert {path.name for path in target.iterdir()} == {"vide", "a.txt", "b.log"}
    assert (target / "a.txt").stat().st_mtime == 1_700_000_000
    assert "tout le monde:(R)" in run(host, "icacls D:\\copie\\a.txt").text.replace("T", "t")
    assert run(host, f'robocopy "D:\\[2026] l\'été" D:\\copie *.* /E {COPY}').code == 0, "nothing is new"
    (target / "autre.txt").write_bytes(b"")
    (source / "b.log").write_bytes(b"trois")
    assert run(host, f'robocopy "D:\\[2026] l\'été" D:\\copie *.* /E {COPY}').code == 3
    assert (target / "b.log").read_bytes() == b"trois"
    assert run(host, f'robocopy "D:\\[2026] l\'été" D:\\un a.txt /LEV:1 {COPY}').code == 1
    assert [path.name for path in host.drives.find("D:\\un").iterdir()] == ["a.txt"]


def test_robocopy_says_that_the_disk_is_full_and_goes_on(host: WindowsServer) -> None:
    host.limit_disk(100)
    try:
        answer = run(host, f"robocopy D:\\arbre D:\\plein *.* {COPY}")
    finally:
        host.limit_disk(None)
    assert answer.code & 8
    assert "(0x00000070)" in answer.out.decode("cp850")


@pytest.mark.parametrize(
    "flags", ["/E", "/E /COPYALL", f"/MIR {COPY}", f"/E /L {COPY}", COPY.replace("/XJ ", "")]
)
def test_robocopy_models_no_other_way_to_copy(host: WindowsServer, flags: str) -> None:
    assert run(host, f"robocopy D:\\arbre D:\\ailleurs {flags}").code == 9009
    assert not host.drives.find("D:\\ailleurs").exists()


def test_a_bracket_is_a_letter_for_robocopy(host: WindowsServer) -> None:
    folder = host.drives.find("D:\\crochets")
    folder.mkdir()
    (folder / "[2026] a.txt").write_bytes(b"1")
    (folder / "2 a.txt").write_bytes(b"22")
    answer = run(host, 'robocopy D:\\crochets NULL "[2026] a.txt" /L /BYTES /NFL /NDL /NJH /XJ /R:0 /W:0')
    assert rows(answer.out)[2][0] == 1


def test_robocopy_tells_the_time_in_utc(host: WindowsServer) -> None:
    line = "cd /d D:\\arbre & robocopy . nowhere long.log /L /TS /NC /NS /NDL /NJH /NJS /NP"
    stamp = host.now() - timedelta(0)
    day, _, name = run(host, line).out.decode("cp850").split()
    assert day == stamp.strftime("%Y/%m/%d")
    assert name == "long.log"


@pytest.mark.parametrize(
    ("arguments", "out"),
    [
        ('/c:"\\"message_type\\":\\"summary\\"" D:\\texte.txt', '{"message_type":"summary","n":1}\r\n'),
        ("/i /b AUTRE D:\\texte.txt", "autre Ligne\r\n"),
        ("/e /i ligne D:\\texte.txt", "une ligne\r\nautre Ligne\r\n"),
        ("/v ligne D:\\texte.txt", '{"message_type":"summary","n":1}\r\nautre Ligne\r\n'),
        ('/r "^une.*e$" D:\\texte.txt', "une ligne\r\n"),
        ("/m une D:\\*.txt", "D:\\texte.txt\r\n"),
        ("/n /c:une D:\\texte.txt", "1:une ligne\r\n"),
        ("rien D:\\texte.txt", ""),
    ],
)
def test_findstr(host: WindowsServer, arguments: str, out: str) -> None:
    answer = run(host, f"findstr {arguments}")
    assert (answer.text, answer.code) == (out, 0 if out else 1)


def test_find(host: WindowsServer) -> None:
    assert run(host, 'type D:\\texte.txt | find /c /v ""').text == "3\r\n"
    assert run(host, 'find "absent" D:\\texte.txt').code == 1


def test_forfiles_deletes_what_is_old(host: WindowsServer) -> None:
    import os

    run(host, "md D:\\logs & echo a>D:\\logs\\old.log & echo b>D:\\logs\\new.log")
    stamp = (host.now() - timedelta(days=31)).timestamp()
    os.utime(host.drives.find("D:\\logs\\old.log"), (stamp, stamp))
    line = 'cd /d D:\\&&forfiles /p logs /m *.log /d -30 /c "cmd /c del @path"'
    assert run(host, line).code == 0
    assert run(host, "dir /b D:\\logs").text == "new.log\r\n"
    assert run(host, line).code == 1


def test_fsutil_tells_which_volume_is_in_a_drive(host: WindowsServer) -> None:
    told = run(host, "fsutil fsinfo volumeinfo D:\\")
    first, second, *_rest = told.text.splitlines()
    assert first.partition(":")[2].strip() == "Données"
    assert re.search(r": 0x[0-9a-f]{8}$", second)
    assert (told.code, run(host, "fsutil fsinfo volumeinfo d:\\").text) == (0, told.text)
    assert run(host, "fsutil fsinfo volumeinfo D:").code == 1
    assert run(host, "fsutil fsinfo volumeinfo Q:\\").code == 1


def test_vssadmin_lists_writers_with_their_states(host: WindowsServer) -> None:
    told = run(host, "vssadmin LIST writers")
    blocks = told.text.split("\r\n\r\n")[1:-1]
    assert told.code == 0
    assert len(blocks) == 9
    for block in blocks:
        _name, kind, instance, state, error = block.split("\r\n")
        assert all(re.search(r": \{[0-9a-f-]{36}\}$", one) for one in (kind, instance))
        assert state == "   État : [1] Stable"
        assert error == "   Dernière erreur : Aucune erreur"
    host.vss_writers = {"System Writer": 9, "SqlServerWriter": 5}
    try:
        text = run(host, "vssadmin list writers").text
    finally:
        host.vss_writers = {}
    assert text.count("[1] Stable") == 8
    assert "[9] Échec\r\n   Dernière erreur : Délai dépassé\r\n" in text
    assert "[5] En attente de la conclusion\r\n" in text
    host.shadow_copies = "off"
    try:
        assert run(host, "vssadmin list writers").code == 2
    finally:
        host.shadow_copies = "ok"


def test_a_vssadmin_that_hangs_ends_with_its_shell(host: WindowsServer) -> None:
    host.vss_hangs = True
    try:
        process = host.start("vssadmin list writers", None, {})
        assert process.receive(2.0)[1] is None
        while process.receive(0.5)[0]:
            pass
        process.terminate()
        deadline = time.monotonic() + 20
        while process.receive(1.0)[1] is None:
            assert time.monotonic() < deadline
    finally:
        host.vss_hangs = False


def test_timeout_and_where(host: WindowsServer) -> None:
    assert run(host, "timeout /t 5").code == 1
    assert run(host, "where cmd").text.lower() == "c:\\windows\\system32\\cmd.exe\r\n"
    assert run(host, "where nonesuch").code == 1


@pytest.fixture
def web() -> Iterator[str]:
    class Answer(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(200 if self.headers.get("Authorization") else 401)
            self.end_headers()

        def do_PUT(self) -> None:
            size = len(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(str(size).encode())

        def log_message(self, *args: object) -> None:
            """Silent."""

    server = HTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def test_curl(host: WindowsServer, web: str) -> None:
    configuration = f'url = "{web}"\nssl-no-revoke\nuser = "a:b\\"c"\n'.encode()
    assert run(host, "curl.exe -q -sS -I -K -", configuration).text.startswith("HTTP/1.0 200")
    assert run(host, f"curl.exe -q -sS -I --insecure {web}").text.startswith("HTTP/1.0 401")
    assert run(host, f'curl -s -S -T "D:\\arbre\\été.txt" {web}').text == "1000"
    assert run(host, f"curl -s -S -T - {web}", b"x" * 10).code in (0, 52, 56)
    assert run(host, "curl -sS -I --stderr - http://127.0.0.1:1/").text.startswith("curl: (7)")
    assert run(host, "curl -sS --cacert D:\\none.pem https://127.0.0.1:1/").code in (7, 77)


@pytest.mark.parametrize(
    ("version", "address", "codes"),
    [
        ("7.55.1", "depot.example:1", {60}),
        ("8.10.0", "127.0.0.1:1", {60}),
        ("8.10.0", "localhost:1", {7, 77}),
        ("8.11.0", "127.0.0.1:1", {7, 77}),
    ],
)
def test_curl_checks_what_its_version_can(
    host: WindowsServer, monkeypatch: pytest.MonkeyPatch, version: str, address: str, codes: set[int]
) -> None:
    monkeypatch.setattr(host, "settings", {**host.settings, "lab_curl": version})
    assert f"curl {version} " in run(host, "curl.exe --version").text
    assert run(host, f"curl -sS --cacert D:\\none.pem https://{address}/").code in codes
    assert run(host, f"curl -sS --insecure --cacert D:\\none.pem https://{address}/").code in {7, 6, 77}


def test_schtasks_runs_a_task(host: WindowsServer) -> None:
    host.drives.find("D:\\tâche.cmd").write_text(
        "@echo off\r\n>>%~dp0ran.txt echo %1 %USERNAME%\r\nexit /b 5\r\n"
    )
    xml = (
        task()
        .replace("C:\\x.cmd", "%SystemRoot%\\System32\\cmd.exe")
        .replace("/a<", '/d /c ""D:\\tâche.cmd" été"<')
    )
    host.drives.find("D:\\t.xml").write_bytes(utf16(xml))
    name = "\\ProSecours\\Sauvegarde"
    missing = run(host, f"schtasks /query /tn {name} /xml")
    assert (missing.code, missing.out) == (1, b"")
    assert run(host, f"schtasks /create /tn {name} /xml D:\\t.xml").code == 0
    assert run(host, f"schtasks /create /tn {name} /xml D:\\t.xml").code == 1
    assert run(host, f"schtasks /create /tn {name} /xml D:\\t.xml /f").code == 0
    assert f"<URI>{name}</URI>" in run(host, f"schtasks /query /tn {name} /xml").text
    begun = host.now()
    host.advance(begun + timedelta(days=1))
    assert run(host, "type D:\\ran.txt").out.decode("cp850") == "été SRV$\r\n"  # a task has the OEM code page
    state = host.scheduler.status()[0]
    assert (state["task"], state["last_result"]) == (name, 5)
    assert run(host, f"schtasks /change /tn {name} /disable").code == 0
    assert "Désactivée" in run(host, "schtasks /query /fo csv /nh").text
    assert run(host, f"schtasks /run /tn {name}").code == 1
    assert run(host, f"schtasks /change /tn {name} /enable & schtasks /run /tn {name}").code == 0
    host.scheduler.wait()
    assert len(run(host, "type D:\\ran.txt").out.splitlines()) == 2
    assert run(host, f"schtasks /delete /tn {name} /f").code == 0
    assert run(host, f"schtasks /query /tn {name} /xml").code == 1


def test_schtasks_refuses_a_wrong_file(host: WindowsServer) -> None:
    host.drives.find("D:\\bad.xml").write_bytes(task().encode())
    assert run(host, "schtasks /create /tn x /xml D:\\bad.xml /f").code == 1
    host.drives.find("D:\\bad.xml").write_bytes(utf16(task().replace("PT15M", "PT1S")))
    answer = run(host, "schtasks /create /tn x /xml D:\\bad.xml /f")
    assert answer.code == 1
    assert "Interval:PT1S" in answer.err.decode()
    assert run(host, "schtasks /create /tn x /xml D:\\none.xml").code == 1


def test_powershell_is_ansibles_put_file_and_nothing_else(host: WindowsServer) -> None:
    content = bytes(range(256)) * 3000
    manifest = {"actions": [{"name": "winrm_put_file.ps1", "params": {"Path": "D:\\posé.bin"}}]}
    parts = [base64.b64encode(content[at : at + 250000]) for at in range(0, len(content), 250000)]
    stdin = b"\n".join([b'{"script": ""}', b"\0\0\0\0", json.dumps(manifest).encode(), b"\0\0\0\0", *parts])
    script = base64.b64encode("'Ansible requires PowerShell v5.1'".encode("utf-16-le")).decode()
    flags = "PowerShell -NoProfile -NonInteractive -ExecutionPolicy Unrestricted -EncodedCommand"
    answer = run(host, f"{flags} {script}", stdin)
    assert json.loads(answer.text) == {"sha1": hashlib.sha1(content, usedforsecurity=False).hexdigest()}
    assert host.drives.find("D:\\posé.bin").read_bytes() == content
    other = base64.b64encode("Get-Process".encode("utf-16-le")).decode()
    assert run(host, f"{flags} {other}").code == 9009
