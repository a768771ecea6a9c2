"""What preflight leaves for the agent's action: of that host and folder, private, and taken once."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.prosecours.backup.plugins.plugin_utils.agent import deploy, handover
from ansible_collections.prosecours.backup.plugins.plugin_utils.agent import desired as agent_desired
from ansible_collections.prosecours.backup.plugins.plugin_utils.agent import facts as agent_facts
from ansible_collections.prosecours.backup.plugins.plugin_utils.preflight import facts as preflight_facts
from ansible_collections.prosecours.backup.plugins.plugin_utils.windows import probe

from .hosts import FOLDER, answers_of, in_order, request, sections

HOST = "moulin-srv1"
FACTS = in_order(agent_desired.desired(request(), shadow_copies=False))


def printed(facts: agent_facts.Facts) -> dict[str, bytes]:
    line = probe.compose(agent_facts.probes(FOLDER), "n1")
    found = probe.split(sections(answers_of(facts))(line).stdout, "n1")
    assert found is not None
    return found


def test_what_was_left_is_taken_once(tmp_path: Path) -> None:
    # In the code page of the host: bytes that are no UTF-8 come back as they were.
    answers = {**printed(FACTS), "type:missing.txt": b"D:\\\x82t\x82 does not exist, skipping\r\n"}
    path = handover.leave(tmp_path, HOST, FOLDER, answers)
    assert stat.S_IMODE(Path(path).stat().st_mode) == 0o600, "the SHA-256 of passwords are in it"
    assert handover.take(path, HOST, FOLDER) == agent_facts.parse(answers)
    assert handover.take(path, HOST, FOLDER) is None, "the server may have changed since"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("host", "folder"), [("moulin-srv2", FOLDER), (HOST, "D:\\Ailleurs")])
def test_nothing_is_believed_of_another_server_or_folder(tmp_path: Path, host: str, folder: str) -> None:
    path = handover.leave(tmp_path, HOST, FOLDER, printed(FACTS))
    assert handover.take(path, host, folder) is None


def test_a_full_disk_is_one_more_question(tmp_path: Path) -> None:
    assert handover.leave(tmp_path / "gone", HOST, FOLDER, printed(FACTS)) == ""
    assert handover.take("", HOST, FOLDER) is None
    (tmp_path / "cut.json").write_text('{"host": ', "utf-8")
    assert handover.take(str(tmp_path / "cut.json"), HOST, FOLDER) is None


@pytest.mark.parametrize("drift", [{"task_xml": ""}, {"hashes": {}}, {"names": frozenset(), "exists": False}])
def test_only_a_server_in_order_is_settled(drift: dict[str, Any]) -> None:
    assert deploy.settled(request(), FACTS) is not None
    assert deploy.settled(request(), replace(FACTS, **drift)) is None


def test_no_question_of_preflight_has_the_name_of_one_about_the_agent() -> None:
    repository = preflight_facts.Repository("rest:https://depot.example/", ca="PEM")
    wanted = preflight_facts.Wanted(request().contract.perimeter, FOLDER, repository)
    names = [asked.name for asked in (*preflight_facts.probes(wanted), *agent_facts.probes(FOLDER))]
    assert len(names) == len(set(names))
