"""The recorder against a lab server, and each recording through the product's parsers and against the lab.

A recording of a real Windows is committed beside this file, <build>-<language>.zip. The lab's is made here.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import pytest
from recordings import replay
from support.inventory import PASSWORD, USER
from support.playbook import CHECKOUT
from support.site import Site

from tools.record import lines
from tools.record.recording import Answer, Recording
from tools.record.recording import read as read_recording

pytestmark = pytest.mark.lab

KNOWN: dict[str, set[tuple[str, str]]] = {}
"""Recording -> the lines in which the lab is known to differ. A new one is a correction that is due."""


ANSIBLE, DIRECT = "Ansible", "direct"
"""How the recorder reaches the server: through Ansible's connection, or by itself as on Windows."""


def _packages(folder: Path) -> Path:
    """A folder with what tools/record/requirements.txt pins, and nothing else."""
    folder.mkdir()
    lock = (CHECKOUT / "tools" / "record" / "requirements.txt").read_text("utf-8")
    for name, condition in re.findall(r"(?m)^([a-z0-9-]+)==\S+(.*)$", lock):
        if "win32" in condition:
            continue
        files = metadata.files(name)
        assert files, name
        for top in {file.parts[0] for file in files} - {"..", "__pycache__"}:
            (folder / top).symlink_to(metadata.distribution(name).locate_file(top))
    return folder


def _recorder(site: Site, way: str, folder: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tools.record", site.host, "-i", str(site.inventory)]
    environment = {**os.environ, **site.environment}
    if way == DIRECT:
        program = str(Path(__file__).with_name("as_on_windows.py"))
        command = [sys.executable, "-I", "-S", program, str(_packages(folder / "packages")), str(CHECKOUT)]
        command += ["tools.record", site.host, "--direct"]
        environment |= {
            "PROSECOURS_WINDOWS_HOST": site.address,
            "PROSECOURS_WINDOWS_USER": USER,
            "PROSECOURS_WINDOWS_PASSWORD": PASSWORD,
            "PROSECOURS_WINDOWS_CA": str(site.state / "ca.pem"),
        }
    return subprocess.Popen(
        [*command, *arguments],
        cwd=CHECKOUT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def _gone(site: Site) -> bool:
    """Nothing of a recording is on the server: folder, task, program."""
    looks = (
        f'if exist "{lines.FOLDER}" exit 1',
        f"schtasks /query /tn {lines.TASK} /xml && exit 1 || exit 0",
        f"taskkill /f /im {lines.PROGRAM} >nul 2>nul && exit 1 || exit 0",
    )
    return all(site.run(look)[0] == 0 for look in looks)


@pytest.fixture(scope="module")
def zips(site: Site, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A recording of the lab each way, made where an earlier one was cut."""
    made: dict[str, Path] = {}
    for way in (ANSIBLE, DIRECT):
        site.expect(f'mkdir "{lines.FOLDER}\\data" & echo x>"{lines.FOLDER}\\done.txt"')
        folder = tmp_path_factory.mktemp("recording")
        made[way] = folder / "lab.zip"
        recorder = _recorder(site, way, folder, "-o", str(made[way]))
        printed, said = recorder.communicate()
        assert recorder.returncode == 0, said
        assert printed.strip() == str(made[way])
        assert made[way].stat().st_mode & 0o007 == 0, "names may be left in it"
    return made


@pytest.fixture(scope="module", params=[ANSIBLE, DIRECT])
def zipped(request: pytest.FixtureRequest, zips: dict[str, Path]) -> Path:
    return zips[request.param]


@pytest.fixture(scope="module")
def lab(zipped: Path) -> Recording:
    return read_recording(zipped)


def test_nothing_is_left_on_the_server(site: Site, zipped: Path) -> None:
    assert _gone(site)


def test_every_line_is_in_it_once(lab: Recording) -> None:
    recorded = [(one.session, one.name) for one in lab.answers]
    wanted = [(session, row.name) for session in (lines.LOGIN, lines.SYSTEM) for row in lines.of(session)]
    assert sorted(recorded) == sorted(wanted)
    assert (lab.windows["build"], lab.windows["installation"]) == (20348, "Server")


NEW_EACH_TIME = (
    rb"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d",
    rb" \d+ bytes free",
    rb"%TEMP%\\[0-9a-f]{8}\.acl",
    rb"with PID \d+",
    rb" after \d+ ms",
    rb'"id":"[0-9a-f]{64}"',
    rb'\{"message_type":"status".*\}\n',
    rb'"(?:backup_start|backup_end|data_added|data_added_packed|snapshot_id|total_duration)":[^,}]+',
)
"""Times, the room on a disk, names and numbers drawn at random, how far restic is and what times weigh."""
_NEW = re.compile(b"|".join(NEW_EACH_TIME))


def _lasting(answer: Answer) -> Answer:
    """What of an answer is the same each time."""
    out, err, line = (_NEW.sub(b"", data) for data in (answer.out, answer.err, answer.line.encode()))
    return replace(answer, clock="", duration="", out=out, err=err, line=line.decode())


def test_both_ways_bring_home_the_same(zips: dict[str, Path]) -> None:
    """Row by row and byte by byte."""
    by_ansible, by_itself = (read_recording(zips[way]) for way in (ANSIBLE, DIRECT))
    assert by_itself.windows == by_ansible.windows
    for one, other in zip(by_itself.answers, by_ansible.answers, strict=True):
        ours, theirs = _lasting(one), _lasting(other)
        lines = zip(ours.out.splitlines(), theirs.out.splitlines(), strict=False)
        assert ours == theirs, (one.session, one.name, [pair for pair in lines if pair[0] != pair[1]])
    same = [
        one for one, other in zip(by_itself.answers, by_ansible.answers, strict=True) if one.out == other.out
    ]
    assert len(same) > 0.8 * len(by_itself.answers), "most have nothing that is new each time"


def test_the_product_reads_what_the_lab_answers(lab: Recording) -> None:
    assert not replay.wrong(lab)


def test_recordings_of_windows_are_what_the_product_reads_and_the_lab_answers(lab: Recording) -> None:
    for path in sorted(Path(__file__).parent.glob("*.zip")):
        real = read_recording(path)
        assert not replay.wrong(real), path.name
        assert replay.differences(real, lab).keys() == KNOWN.get(path.name, set()), path.name


def test_another_answer_is_seen(lab: Recording) -> None:
    """What this file would say of a Windows that is not as the lab believes."""
    assert replay.differences(lab, lab) == {}
    other = {
        "findstr/one": {"out": b""},
        "preflight/disk": {"out": b"nothing"},
        "times/robocopy": {"out": b"\t2026/01/01 10:00:00\ta", "clock": "2026-01-01T09:00:00+00:00"},
        "lock/after-the-end": {"out": b"1\r\n"},
    }  # fmt: skip
    answers = tuple(
        replace(one, **other.get(one.name, {})) if one.session == lines.LOGIN else one  # type: ignore[arg-type]
        for one in lab.answers
    )
    found = replay.differences(replace(lab, answers=answers), lab)
    assert found.keys() == {(lines.LOGIN, name) for name in other}
    assert found[lines.LOGIN, "times/robocopy"] == (4, 0)
    wrong = replay.wrong(replace(lab, answers=answers))
    assert [one.split(":")[0] for one in wrong] == ["login preflight/disk", "login findstr/one"]


def test_no_name_is_in_it(site: Site, zipped: Path, lab: Recording) -> None:
    words = (site.host, USER, PASSWORD, site.address, "Administrateur\\")
    printed = [data for one in lab.answers for data in (one.out, one.err, one.line.encode())]
    for word in words:
        coded = {word.encode(encoding) for encoding in ("utf-8", "cp850", "utf-16-le")}
        assert not [data for data in printed for form in coded if form.lower() in data.lower()], word
        assert word.encode() not in zipped.read_bytes()


@pytest.mark.parametrize("way", [ANSIBLE, DIRECT])
def test_ctrl_c_leaves_nothing_either(site: Site, tmp_path: Path, way: str) -> None:
    recorder = _recorder(site, way, tmp_path, "-o", str(tmp_path / "none.zip"))
    assert recorder.stderr
    for line in recorder.stderr:
        if line.startswith("Line 1 of"):
            break
    deadline = time.monotonic() + 30
    while site.run(f'if exist "{lines.FOLDER}\\restic.exe" exit 5')[0] != 5:
        assert time.monotonic() < deadline
    recorder.send_signal(signal.SIGINT)
    said = recorder.stderr.read()
    assert recorder.wait(60) == 130, said
    assert said.endswith("Interrupted; what was made on the server has been removed.\n")
    assert _gone(site)
    assert not (tmp_path / "none.zip").exists()
