"""One look at a server: what is asked, what is told of it, what stays secret."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.shape import as_json
from ansible_collections.prosecours.backup.plugins.plugin_utils.agent import desired as agent_desired
from ansible_collections.prosecours.backup.plugins.plugin_utils.agent.facts import Facts
from ansible_collections.prosecours.backup.plugins.plugin_utils.documents.model import LastRun
from ansible_collections.prosecours.backup.plugins.plugin_utils.monitoring.facts import (
    ServerFacts,
    unreached,
)
from ansible_collections.prosecours.backup.plugins.plugin_utils.monitoring.server import (
    LOG_LINES,
    log_errors,
    look,
)
from ansible_collections.prosecours.backup.plugins.plugin_utils.windows.session import Output, Unreachable
from unit.agent.hosts import FOLDER, Host, answers_of, in_order, request, sections

REQUEST = request()
GOOD = in_order(agent_desired.desired(REQUEST, shadow_copies=False))
DISK = " 12 fichier(s)       123456 octets\r\n 3 Rép(s)  60581773312 octets libres\r\n"
DONE = {"start": "2026-11-23T21:00:05Z", "end": "2026-11-23T21:12:00Z", "exit_code": 0, "missing": 0}
_BEFORE, _SETTINGS, _AFTER = GOOD.task_xml.partition("<Settings>")
TASK_OFF = _BEFORE + _SETTINGS + _AFTER.replace("<Enabled>true</Enabled>", "<Enabled>false</Enabled>")


def looked(facts: Facts, log: str = "") -> tuple[ServerFacts, Host]:
    answers = {**answers_of(facts), "disk": DISK}
    if facts.status:
        answers["type:status.json"] = json.dumps(facts.status)
    host = Host(("^findstr", Output(0, log.encode(), b"")), ("##", sections(answers)))
    return look(host, REQUEST), host


def test_a_server_in_order_costs_one_command() -> None:
    told, host = looked(replace(GOOD, names=GOOD.names | {"status.json"}, status=DONE))
    assert len(host.lines) == 1
    assert told.reachable
    assert told.drift == ()
    assert told.free_bytes == 60581773312
    assert told.last_status == LastRun(
        datetime(2026, 11, 23, 21, 0, 5, tzinfo=UTC), datetime(2026, 11, 23, 21, 12, tzinfo=UTC), 0
    )
    assert told.log == ()


def test_the_log_is_asked_for_when_the_last_backup_was_not_well() -> None:
    status = {**DONE, "exit_code": 3, "log": "logs/2026-11-23T210005Z.log"}
    lines = [
        {"message_type": "error", "error": {"message": "access denied"}, "item": "D:\\é.txt"},
        {"message_type": "summary", "files_new": 1, "errors": 1},
        {"message_type": "exit_error", "code": 3, "message": "Warning: at least one source file"},
    ]
    log = "\r\n".join(json.dumps(line) for line in lines)
    told, host = looked(replace(GOOD, names=GOOD.names | {"status.json"}, status=status), log)
    assert host.commands("^findstr") == [
        'findstr /i /c:error /c:fatal "C:\\Program Files\\ProSecours\\logs\\2026-11-23T210005Z.log"'
    ]
    assert told.log == ("D:\\é.txt: access denied", "Warning: at least one source file")


@pytest.mark.parametrize("name", ["logs/../password.txt", "logs/a.log & del x", "", None, 7])
def test_a_log_that_is_none_is_not_opened(name: Any) -> None:
    status = {**DONE, "exit_code": 1, "log": name}
    told, host = looked(replace(GOOD, names=GOOD.names | {"status.json"}, status=status))
    assert host.commands("findstr") == []
    assert told.log == ()


def test_of_many_errors_the_last_distinct_ones_are_quoted() -> None:
    lines = [f'{{"message_type":"error","error":{{"message":"e{number % 9}"}}}}' for number in range(200)]
    assert log_errors("\r\n".join(lines).encode()) == tuple(f"e{number % 9}" for number in range(195, 200))
    assert len(log_errors("\n".join(lines).encode())) == LOG_LINES
    assert log_errors(b'[]\r\n{"message_type":1}\r\nFatal: no\r\n\xff\xfe') == ("Fatal: no",)


DRIFTS: dict[str, tuple[Facts, list[tuple[str, str, str]]]] = {
    "task gone": (replace(GOOD, task_xml=""), [("task", "\\ProSecours\\Sauvegarde", "gone")]),
    "task disabled": (replace(GOOD, task_xml=TASK_OFF), [("task", "\\ProSecours\\Sauvegarde", "disabled")]),
    "binary": (
        replace(GOOD, hashes={**GOOD.hashes, "restic.exe": "0" * 64}), [("binary", "restic.exe", "altered")],
    ),
    "binary gone": (
        replace(GOOD, hashes={name: h for name, h in GOOD.hashes.items() if name != "restic.exe"}),
        [("binary", "restic.exe", "gone")],
    ),
    "perimeter": (
        replace(GOOD, texts={**GOOD.texts, "perimeter.txt": "D:\\\r\n"}),
        [("text", "perimeter.txt", "altered")],
    ),
    "password": (
        replace(GOOD, hashes={**GOOD.hashes, "password.txt": "1" * 64}),
        [("secret", "password.txt", "altered")],
    ),
    "identity": (replace(GOOD, repository_id=""), [("repository", "repository.id", "gone")]),
    "folder": (Facts(tar=True, task_xml=GOOD.task_xml), [("folder", FOLDER, "gone")]),
    "all": (
        Facts(tar=True),
        [("folder", FOLDER, "gone"), ("task", "\\ProSecours\\Sauvegarde", "gone")],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("facts", "expected"), DRIFTS.values(), ids=DRIFTS.keys())
def test_what_deploy_would_change_is_told(facts: Facts, expected: list[tuple[str, str, str]]) -> None:
    told, _ = looked(facts)
    assert [(change.kind, change.name, change.state) for change in told.drift] == expected


def test_a_first_backup_that_is_due_is_no_drift() -> None:
    host = Host(("##", sections({**answers_of(GOOD), "disk": DISK})))
    assert look(host, replace(REQUEST, first_backup="now")).drift == ()


def test_without_its_hash_the_binary_is_not_judged() -> None:
    unknown = replace(REQUEST, binary=replace(REQUEST.binary, sha256=""))
    assert look(Host(("##", sections({**answers_of(GOOD), "disk": DISK}))), unknown).drift == ()


def test_no_secret_is_told_and_no_hash_that_passwords_could_be_tried_on() -> None:
    told, _ = looked(replace(GOOD, texts={**GOOD.texts, "perimeter.txt": "x"}))
    text = json.dumps(as_json(told))
    for secret in (REQUEST.http_password.reveal(), REQUEST.encryption_password.reveal()):
        digest = hashlib.sha256(f"{secret}\r\n".encode()).hexdigest()
        assert secret not in text
        assert digest[:4] not in (told.watched["password.txt"], told.watched["rest-password.txt"])
        assert digest[:8] not in text
    assert {len(told.watched[name]) for name in ("password.txt", "rest-password.txt")} == {2}


def test_a_server_that_does_not_answer_is_told_with_its_remedy() -> None:
    told = unreached("moulin-srv1", Unreachable("moulin-srv1", "no answer", "See that it runs"))
    assert (told.reachable, told.error, told.failure) == (False, "Unreachable", "no answer")
    assert told.remedy == "See that it runs"
