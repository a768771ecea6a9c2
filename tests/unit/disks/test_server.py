"""The steps on a server that answers what a test says: which drive it is, why a backup onto a disk failed,
what a listing says, and the night after."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from ansible_collections.prosecours.backup.plugins.plugin_utils.agent.facts import Facts
from ansible_collections.prosecours.backup.plugins.plugin_utils.disks import server as disk_server
from ansible_collections.prosecours.backup.plugins.plugin_utils.disks.server import SeedError, Seen
from ansible_collections.prosecours.backup.plugins.plugin_utils.windows import volume
from ansible_collections.prosecours.backup.plugins.plugin_utils.windows.session import Output
from ansible_collections.prosecours.backup.plugins.plugin_utils.windows.volume import Drive
from support.console import ENCODINGS, narrowed
from unit.agent.hosts import Host, sections

from .test_custody import REQUEST

FOLDER = r"C:\Program Files\ProSecours"
FRENCH = (
    "Nom de volume : {}\r\nNuméro de série du volume : 0x{}\r\nLongueur maximum des composants : 255\r\n"
    "Nom du système de fichiers : exFAT\r\nEst en lecture/écriture\r\n"
)
ENGLISH = "Volume Name : {}\r\nVolume Serial Number : 0x{}\r\nMax Component Length : 255\r\n"
DATA = "::D\r\n" + FRENCH.format("Données", "7c5e019")
AMORCE = "::F\r\n" + FRENCH.format("AMORCE", "1a2b3c4d")
LOADED = datetime(2026, 11, 26, 10, 0, 0, 400_000, tzinfo=UTC)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_drives_as_fsutil_tells_them(encoding: str) -> None:
    found = volume.drives(narrowed(DATA + "::E\r\n" + AMORCE + "::G\r\n" + ENGLISH.format("", "0"), encoding))
    assert found == [
        Drive("D", "07C5-E019", "Données"),
        Drive("F", "1A2B-3C4D", "AMORCE"),
        Drive("G", "0000-0000", ""),
    ]


def test_a_label_that_looks_like_an_answer_is_a_label() -> None:
    assert volume.drives(b"::D\r\nNom de volume : ::F\r\nNo : 0x00000001\r\n") == [
        Drive("D", "0000-0001", "::F")
    ]


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (
            DATA,
            r"1A2B-3C4D is not plugged in (drives that are there: D: 07C5-E019 Données). Have the right disk",
        ),
        ("", "is not plugged in (drives that are there: none)"),
        (AMORCE.replace("AMORCE", "AUTRE"), "the disk 1A2B-3C4D in F: is named AUTRE, not AMORCE"),
        (AMORCE + AMORCE.replace("::F", "::G"), "two drives have the serial number 1A2B-3C4D"),
    ],
)
def test_another_disk_is_one_sentence(answer: str, says: str) -> None:
    with pytest.raises(SeedError) as refused:
        disk_server.find(Host(("", sections({"drives": answer}))), REQUEST)
    assert says in str(refused.value)


def test_without_an_agent_nothing_is_asked_of_a_disk() -> None:
    host = Host(("", sections({})))
    with pytest.raises(
        SeedError, match=r"no agent is deployed in C:\\Program Files\\ProSecours\. Run playbooks/deploy"
    ):
        disk_server.observe(host, REQUEST, FOLDER)
    assert len(host.lines) == 1


SEEN = Seen(
    Facts(exists=True, repository_id="ab" * 32, tar=True),
    Drive("F", "1A2B-3C4D", "AMORCE"),
    r"F:\ProSecours\moulin-srv1",
    True,
    Facts(exists=False),
)


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        ({"drives": DATA}, "the disk 1A2B-3C4D is not plugged in"),
        (
            {"drives": AMORCE, "free": " 2 Rép(s)   1000000 octets libres"},
            "the disk 1A2B-3C4D is too small: 1.0 MB are left in F:. Write a request for a larger disk",
        ),
        (
            {"drives": AMORCE, "free": " 2 Rép(s)  900000000 octets libres"},
            "the backup onto F: failed: the repository stayed locked. See the newest log in the folder seed",
        ),
    ],
    ids=["pulled out", "full", "otherwise"],
)
def test_why_a_backup_onto_a_disk_failed(answers: dict[str, str], says: str) -> None:
    host = Host(("", sections(answers)))
    try:
        error = disk_server._failure(host, REQUEST, SEEN, {"exit_code": 11})
    except SeedError as raised:
        error = raised
    assert says in str(error)


# -- handing over ---------------------------------------------------------------------------------------


def listing(*files: tuple[int, str, str]) -> str:
    return "".join(f"{size} {name} \\ProSecours\\moulin-srv1\\{folder}\\\r\n" for size, name, folder in files)


GOOD = listing(
    (300, "config", ""),
    (400, "ab" * 32, "keys"),
    (1_000_000, "cd" * 32, r"data\cd"),
    (5, f"{'cd' * 32}.tmp", r"data\cd"),
    (200, "ef" * 32, "index"),
    (300, "12" * 32, "snapshots"),
)


def answering(files: str, check: Output | None = None) -> tuple[Host, Callable[[], dict[str, int]]]:
    agent = {"exists": "1", "names": "repository.id", "type:repository.id": "ab" * 32}
    answers = {**agent, "drives": AMORCE, "config": "1", "files": files}
    host = Host((r"restic\.cmd check", check or Output(0, b"", b"")), ("##", sections(answers)))
    return host, lambda: disk_server.contents(host, REQUEST, FOLDER, check=False)


def test_what_is_on_the_disk_by_name_and_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk_server.delivery, "send", lambda *_given: True)
    host, contents = answering(GOOD)
    assert contents() == {
        f"data/{'cd' * 32}": 1_000_000,
        f"index/{'ef' * 32}": 200,
        f"snapshots/{'12' * 32}": 300,
    }
    assert host.commands(r"schtasks /delete .*rmdir /s /q")


@pytest.mark.parametrize(
    ("files", "check", "says"),
    [
        (
            GOOD,
            Output(1, b"Fatal: repository contains errors\r\n", b""),
            "is not whole (code 1: Fatal: repository",
        ),
        (listing((200, "ef" * 32, "index")), None, r"no whole backup is in F:\ProSecours\moulin-srv1"),
    ],
)
def test_what_is_not_whole_is_not_handed_over(
    monkeypatch: pytest.MonkeyPatch, files: str, check: Output | None, says: str
) -> None:
    monkeypatch.setattr(disk_server.delivery, "send", lambda *_given: True)
    host, contents = answering(files, check)
    with pytest.raises(SeedError) as refused:
        contents()
    assert says in str(refused.value)
    assert not host.commands("rmdir")


# -- the night after ------------------------------------------------------------------------------------


def status(
    added: Any = 1000, total: Any = 1_000_000, start: Any = "2026-11-26T10:00:00Z", code: Any = 0
) -> Any:
    summary = {"data_added": added, "total_bytes_processed": total}
    return {"start": start, "exit_code": code, "summary": summary}


def test_a_night_that_builds_on_the_disk() -> None:
    assert disk_server.judge("srv", status(), LOADED) == {"added": 1000, "total": 1_000_000}
    assert disk_server.judge("srv", status(code=3), LOADED)["added"] == 1000


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (None, "no backup has ended well since the disk was loaded. Wait for the night"),
        (status(start="2026-11-26T09:59:59Z"), "no backup has ended well"),
        (status(start="2026-11-26T10:00:00"), "no backup has ended well"),
        (status(start=7), "no backup has ended well"),
        (status(code=1), "no backup has ended well"),
        (status(added="1"), "left no figures"),
        (status(added=True), "left no figures"),
        (status(added=600_000), "added 600 kB of 1.0 MB: it did not build on the disk"),
    ],
)
def test_a_night_that_does_not(found: Any, says: str) -> None:
    with pytest.raises(SeedError) as refused:
        disk_server.judge("srv", found, LOADED)
    assert says in str(refused.value)
