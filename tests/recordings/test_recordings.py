"""The recorder against a lab server, and each recording through the product's parsers and against the lab.

A recording of a real Windows is committed beside this file, <build>-<language>.zip. The lab's is made here.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from recordings import replay
from support.inventory import PASSWORD, USER
from support.playbook import CHECKOUT
from support.site import Site

from tools.record import lines
from tools.record.recording import Recording
from tools.record.recording import read as read_recording

pytestmark = pytest.mark.lab

KNOWN: dict[str, set[tuple[str, str]]] = {}
"""Recording -> the lines in which the lab is known to differ. A new one is a correction that is due."""


def _command(site: Site, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "tools.record", site.host, "-i", str(site.inventory), *arguments]


def _gone(site: Site) -> bool:
    """Nothing of a recording is on the server: folder, task, program."""
    looks = (
        f'if exist "{lines.FOLDER}" exit 1',
        f"schtasks /query /tn {lines.TASK} /xml && exit 1 || exit 0",
        f"taskkill /f /im {lines.PROGRAM} >nul 2>nul && exit 1 || exit 0",
    )
    return all(site.run(look)[0] == 0 for look in looks)


@pytest.fixture(scope="module")
def zipped(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of the lab, made where an earlier one was cut."""
    site.expect(f'mkdir "{lines.FOLDER}\\data" & echo x>"{lines.FOLDER}\\done.txt"')
    target = tmp_path_factory.mktemp("recording") / "lab.zip"
    done = subprocess.run(
        _command(site, "-o", str(target)),
        cwd=CHECKOUT, env={**os.environ, **site.environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(target)
    return target


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


def test_ctrl_c_leaves_nothing_either(site: Site, tmp_path: Path) -> None:
    recorder = subprocess.Popen(
        _command(site, "-o", str(tmp_path / "none.zip")),
        cwd=CHECKOUT, env={**os.environ, **site.environment}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
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
