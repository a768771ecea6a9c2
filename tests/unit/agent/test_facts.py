"""What a host prints, in French and with old and new programs, as facts."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from ansible_collections.prosecours.backup.plugins.plugin_utils.agent import desired as agent_desired
from ansible_collections.prosecours.backup.plugins.plugin_utils.agent import facts as agent_facts
from ansible_collections.prosecours.backup.plugins.plugin_utils.windows import probe

from .hosts import FOLDER, IDENTITY, answers_of, in_order, request, sections

WANTED = agent_desired.desired(request(), shadow_copies=False)


def observed(answers: dict[str, str]) -> agent_facts.Facts:
    line = probe.compose(agent_facts.probes(FOLDER), "n1")
    return agent_facts.parse(probe.split(sections(answers)(line).stdout, "n1"))


def test_facts_come_back_as_they_are() -> None:
    facts = in_order(WANTED)
    assert observed(answers_of(facts)) == replace(facts, task_xml=facts.task_xml.strip())


def test_a_bare_host_has_nothing() -> None:
    assert observed({"has_tar": "1 \r\n"}) == agent_facts.Facts(tar=True)


def test_the_question_fits_a_line_for_the_longest_folder() -> None:
    folder = "C:\\" + "x" * 240
    assert len(probe.compose(agent_facts.probes(folder), "abcd1234")) < 8191


@pytest.mark.parametrize(
    ("answer", "present"),
    [
        ("    Start    REG_DWORD    0x3", True),
        ("    Start    REG_DWORD    0x4", False),
        ("Erreur : introuvable", False),
    ],
)
def test_shadow_copies_need_a_service_that_is_not_disabled(answer: str, present: bool) -> None:
    assert observed({"vss": answer}).shadow_copies is present


@pytest.mark.parametrize(
    "answer",
    [
        "Hachage SHA256 de restic.exe :\r\n"
        + "ab" * 32
        + "\r\nCertUtil: -hashfile La commande s’est terminée",
        "SHA256 hash of file x:\r\n" + " ".join(["AB"] * 32) + "\r\n",
    ],
)
def test_a_hash_is_the_line_of_hex_digits(answer: str) -> None:
    assert probe.hashed(answer) == "ab" * 32


def test_no_hash_without_a_whole_line_of_it() -> None:
    assert probe.hashed("CertUtil: -hashfile ÉCHEC de la commande : 0x80070002\r\n" + "ab" * 20) == ""


@pytest.mark.parametrize(
    ("free", "names", "running"),
    [("1 ", "backup.lock", False), ("", "backup.lock", True), ("", "restic.exe", False)],
)
def test_a_lock_that_cannot_be_opened_is_a_running_backup(free: str, names: str, running: bool) -> None:
    assert observed({"exists": "1", "free": free, "names": names}).running is running


def test_the_status_names_what_was_missing() -> None:
    facts = observed(
        {
            "exists": "1",
            "names": "STATUS.JSON\r\nstatus.json\r\nmissing.txt",
            "type:status.json": '{"format": 1, "exit_code": 3, "missing": 2, "summary":\n{"files_new": 1}\n}',
            "type:missing.txt": 'pattern "D:\\\\isagiwf\\\\[Bb]????.[Gg][Ii][Ww]" does not match any files,'
            " skipping\n"
            "E:\\Élevage & cultures does not exist, skipping\n"
            "E:\\Élevage & cultures does not exist, skipping\n",
        }
    )
    assert facts.status == {
        "format": 1,
        "exit_code": 3,
        "missing": ["D:\\isagiwf\\[Bb]????.[Gg][Ii][Ww]", "E:\\Élevage & cultures"],
        "summary": {"files_new": 1},
    }


@pytest.mark.parametrize("text", ["", "{", "[]", '{"exit_code": '])
def test_a_status_that_was_cut_is_none(text: str) -> None:
    assert observed({"exists": "1", "names": "status.json", "type:status.json": text}).status is None


def test_a_repository_id_is_64_hex_digits() -> None:
    assert (
        observed({"exists": "1", "names": "repository.id", "type:repository.id": IDENTITY}).repository_id
        == IDENTITY
    )
    assert observed({"exists": "1", "names": "repository.id", "type:repository.id": "x"}).repository_id == ""


@pytest.mark.parametrize(
    ("start", "end", "own", "wanted"),
    [
        # robocopy in UTC, and in the local time of Paris, as a Windows might have it
        ("21:00:05", "21:40:01", "2026-11-23T22:40:00.123456789+01:00", ("21:00:05Z", "21:40:01Z")),
        ("22:00:05", "22:40:01", "2026-11-23T22:40:00.123456789+01:00", ("21:00:05Z", "21:40:01Z")),
        ("21:00:05", "21:40:01", "2026-11-23T21:40:00", ("21:00:05Z", "21:40:01Z")),
        ("21:00:05", "21:40:01", "?", ("21:00:05Z", "21:40:01Z")),
    ],
)
def test_times_are_held_against_restics_own(start: str, end: str, own: str, wanted: tuple[str, str]) -> None:
    status = {
        "start": f"2026-11-23T{start}Z", "end": f"2026-11-23T{end}Z", "summary": {"backup_end": own},
    }  # fmt: skip
    found = observed({"exists": "1", "names": "status.json", "type:status.json": json.dumps(status)}).status
    assert found is not None
    assert (found["start"], found["end"]) == tuple(f"2026-11-23T{time}" for time in wanted)
