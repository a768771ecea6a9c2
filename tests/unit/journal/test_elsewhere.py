"""Heads that leave the machine: a real TLS receiver of syslog, a real authority for time stamps (openssl)."""

from __future__ import annotations

import base64
import json
import re
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.prosecours.backup.plugins.plugin_utils.journal import elsewhere
from ansible_collections.prosecours.backup.plugins.plugin_utils.journal import entries as journal
from ansible_collections.prosecours.backup.plugins.plugin_utils.journal.elsewhere import Channels
from unit.journal.receivers import Stamps, syslog

from windows_lab.certificates import Authority

FRAME = re.compile(
    rb"<109>1 (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ) (\S+) prosecours (\d+) journal -"
    rb" head (\d+):([0-9a-f]{64}) (\w+) (.*)"
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Stamps:
    return Stamps(tmp_path_factory.mktemp("stamps") / "authority")


@pytest.fixture
def stamps(made: Stamps) -> Iterator[tuple[Stamps, Channels]]:
    made.answer, made.status = None, 200
    with made.serving() as address:
        yield made, Channels(authority=address, authority_ca=str(made.root))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


def add(path: Path, channels: Channels, kind: str = "end", **told: object) -> list[str]:
    return elsewhere.tell(channels, path, journal.append(path, {"kind": kind, "run": "r", **told}))


# -- syslog ---------------------------------------------------------------------------------------------


def test_each_head_is_told_in_the_form_of_the_standards(path: Path, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    with syslog(authority) as (place, got):
        channels = Channels(place, str(authority.certificate_path))
        for kind in ("begin", "end"):
            assert add(path, channels, kind, what="Élevage") == []
        end = time.monotonic() + 10
        while len(got) < 2 and time.monotonic() < end:
            time.sleep(0.02)
    heads = []
    for message in got:
        found = FRAME.fullmatch(message)
        assert found, message
        heads.append((int(found[4]), found[5].decode(), found[6].decode(), found[7].decode()))
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert heads == [(one["n"], one["hash"], one["kind"], str(path)) for one in lines]
    assert "Élevage".encode() not in b"".join(got), "nothing but a head is told"


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("localhost:1", "The syslog receiver localhost:1 was not told the head of the journal (Connection"),
        ("tls://x", 'journal_syslog: "tls://x" is no address of a receiver. Write its name, or name:port.'),
        ("localhost:99999", "is no address of a receiver"),
    ],
)  # fmt: skip
def test_a_receiver_that_is_not_there_costs_a_sentence_and_no_entry(
    path: Path, place: str, said: str
) -> None:
    [sentence] = add(path, Channels(place))
    assert said in sentence
    assert journal.head(path).entries == 1


def test_a_receiver_whose_certificate_is_not_trusted_is_told_nothing(path: Path, tmp_path: Path) -> None:
    with syslog(Authority(tmp_path / "authority")) as (place, got):
        [sentence] = add(path, Channels(place))
    assert "its certificate is not trusted" in sentence
    assert got == []


def test_a_receiver_that_is_silent_ends_in_time(path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        entry = journal.append(path, {"kind": "begin"})
        [sentence] = elsewhere.tell(
            Channels(f"localhost:{silent.getsockname()[1]}"), path, entry, seconds=0.3
        )
    assert time.monotonic() - began < 3
    assert "the head of the journal" in sentence or "was not taken within" in sentence


# -- stamps ---------------------------------------------------------------------------------------------


def test_the_head_of_a_run_that_ended_is_stamped_and_openssl_agrees(
    path: Path, stamps: tuple[Stamps, Channels]
) -> None:
    authority, channels = stamps
    assert add(path, channels, "begin") == []
    assert not Path(f"{path}.stamps").exists()
    assert add(path, channels) == []
    [line] = Path(f"{path}.stamps").read_text().splitlines()
    last = json.loads(path.read_text().splitlines()[-1])
    kept = json.loads(line)
    assert kept["head"] == f"2:{last['hash']}"
    (authority.folder / "head").write_text(kept["head"])
    (authority.folder / "answer").write_bytes(base64.b64decode(kept["token"]))
    said = authority.openssl("ts", "-verify", "-in", "answer", "-data", "head", "-CAfile", "root.pem")
    assert b"Verification: OK" in said
    problems, [note] = elsewhere.checked(path, channels.authority_ca)
    assert problems == []
    assert note.startswith(f"1 heads were stamped, the last true one 2:{last['hash']} on 20")
    assert elsewhere.checked(path, "")[1] == [
        "1 time stamps were not checked: journal_timestamp_ca is not set."
    ]


def test_a_journal_that_was_written_anew_does_not_hold_the_stamped_head(
    path: Path, stamps: tuple[Stamps, Channels]
) -> None:
    for number in range(2):
        add(path, stamps[1], what=number)
    path.unlink()
    path.with_name(f"{path.name}.head").unlink()
    for number in range(3):
        journal.append(path, {"kind": "end", "what": f"otherwise {number}"})
    problems = journal.verify(path).problems
    assert len([one for one in problems if "the journal was rewritten" in one]) == 2


def test_a_cut_that_was_acknowledged_explains_the_stamps_that_it_took(
    path: Path, stamps: tuple[Stamps, Channels]
) -> None:
    for number in range(3):
        add(path, stamps[1], what=number)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:1]))
    journal.append(path, {"kind": "end", "what": "later"})
    assert len(journal.verify(path).problems) >= 3
    journal.acknowledge(path, 2, "A. Martin", "the save of Sunday was put back")
    assert journal.verify(path).problems == []


@pytest.mark.parametrize("forged", ["another head", "another root", "no token", "no line"])
def test_a_stamp_that_is_not_true_is_named(
    path: Path, stamps: tuple[Stamps, Channels], forged: str, tmp_path: Path
) -> None:
    add(path, stamps[1])
    file, root = Path(f"{path}.stamps"), stamps[1].authority_ca
    kept = json.loads(file.read_text())
    if forged == "another head":
        kept["head"] = f"1:{'a' * 64}"
    if forged == "no token":
        kept["token"] = base64.b64encode(b"x" * 500).decode()
    if forged == "another root":
        root = str(Stamps(tmp_path / "other").root)
    file.write_text(("rubbish" if forged == "no line" else json.dumps(kept)) + "\n")
    [problem], _notes = elsewhere.checked(path, root)
    assert "is not true (" in problem or "is no time stamp" in problem
    assert problem.endswith(".")


def test_an_authority_that_refuses_or_lies_costs_a_sentence_and_is_not_kept(
    path: Path, stamps: tuple[Stamps, Channels]
) -> None:
    authority, channels = stamps
    add(path, channels)
    before = Path(f"{path}.stamps").read_bytes()
    again = base64.b64decode(json.loads(before)["token"])
    for answer, status, said in (
        (b"", 503, "(HTTP 503)"),
        (b"x" * 300, 200, "as it should ("),
        (again, 200, "as it should ("),  # a true stamp, of an earlier head
    ):
        authority.answer, authority.status = answer, status
        [sentence] = add(path, channels)
        assert sentence.startswith("The time stamp authority 127.0.0.1:")
        assert said in sentence
    [sentence] = add(path, replace(channels, authority="http://localhost:1/"))
    assert "it cannot be reached" in sentence
    [sentence] = add(path, replace(channels, authority_ca=str(path)))
    assert "is no PEM file of certificates" in sentence
    assert Path(f"{path}.stamps").read_bytes() == before
    assert journal.head(path).entries == 6
