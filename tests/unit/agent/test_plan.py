"""Contract and facts in, changes out: one table."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.prosecours.backup.plugins.plugin_utils.agent import desired as agent_desired
from ansible_collections.prosecours.backup.plugins.plugin_utils.agent.facts import Facts
from ansible_collections.prosecours.backup.plugins.plugin_utils.agent.plan import plan

from .hosts import in_order, request

WANTED = agent_desired.desired(request(), shadow_copies=False)
GOOD = in_order(WANTED)


def without(mapping: Any, *names: str) -> dict[str, str]:
    return {name: value for name, value in mapping.items() if name not in names}


def edited(found: str, replacement: str) -> str:
    return GOOD.task_xml.replace(found, replacement)


def test_a_host_in_order_needs_nothing() -> None:
    assert plan(WANTED, GOOD) == ()


def test_a_bare_host_needs_everything_in_order() -> None:
    changes = plan(replace(WANTED, first_backup_now=True), Facts(tar=True))
    assert list(dict.fromkeys(change.kind for change in changes)) == [
        "folder", "rights", "binary", "text", "secret", "repository", "task", "first backup",
    ]  # fmt: skip
    assert {change.name for change in changes if change.kind in ("text", "secret")} == {
        *WANTED.texts,
        *WANTED.secrets,
    }
    assert all(change.before in ("", f"{WANTED.folder}: \n") for change in changes)


@pytest.mark.parametrize(
    ("facts", "kind", "says", "before", "after"),
    [
        ({"task_xml": edited("<Enabled>true</Enabled>\n    <Hidden>", "<Enabled>0</Enabled>\n    <Hidden>")},
         "task", "was altered (disabled)", "enabled: false", "enabled: true"),
        ({"task_xml": edited("T22:59", "T23:00")},
         "task", "start 2026-01-01T23:00:00 -> 2026-01-01T22:59:00)", "start: 2026-01-01T23", "T22:59"),
        ({"task_xml": edited("PT72H", "PT1H")}, "task", "time limit 3600 s", "limit: 3600 s", "259200 s"),
        ({"task_xml": ""}, "task", "registered, daily at 22:59", "", "account: S-1-5-18"),
        ({"task_xml": "<Task"}, "task", "unreadable", "<Task", "account: S-1-5-18"),
        ({"hashes": {**GOOD.hashes, "restic.exe": "ff" * 32}},
         "binary", "0.19.1 replaced", "ff" * 32, WANTED.binary.sha256),
        ({"hashes": without(GOOD.hashes, "restic.exe")},
         "binary", "0.19.1 delivered", "", WANTED.binary.sha256),
        ({"texts": {**GOOD.texts, "perimeter.txt": "D:\\\r\n"}},
         "text", "perimeter.txt differed", "D:\\", "isagiwf"),
        ({"texts": {**GOOD.texts, "backup.cmd": ""}}, "text", "backup.cmd differed", "", "@echo off"),
        ({"folder_rights": GOOD.folder_rights + "(A;OICI;0x1200a9;;;BU)"},
         "rights", "to S-1-5-32-545: SYSTEM and Adm", ";;;BU", "D:PAI"),
        ({"rights": {**GOOD.rights, "password.txt": "D:AI(A;;FR;;;WD)(A;ID;FA;;;SY)(A;ID;FA;;;BA)"}},
         "rights", "password.txt to S-1-1-0", "(A;;FR;;;WD)", "(A;ID;FA;;;SY)"),
        ({"rights": without(GOOD.rights, "password.txt")},
         "rights", "password.txt: SYSTEM", "txt: \n", "D:AI"),
        ({"rights": {**GOOD.rights, "logs": "not SDDL"}}, "rights", "logs: SYSTEM", "not SDDL", "D:AI"),
        ({"repository_id": ""}, "repository", "opened", "", "the id"),
        ({"leftovers": frozenset({"staging-0a1b2c3d"})}, "staging", "leftovers", "folder", ""),
    ],
)  # fmt: skip
def test_each_drift_is_one_named_change(
    facts: dict[str, Any], kind: str, says: str, before: str, after: str
) -> None:
    (change,) = plan(WANTED, replace(GOOD, **facts))
    assert change.kind == kind
    assert says in change.sentence
    assert before in change.before
    assert after in change.after


def test_what_only_inherits_from_an_opened_folder_is_not_named_for_itself() -> None:
    inherited = "D:AI(A;ID;FA;;;SY)(A;ID;FA;;;BA)(A;ID;0x1301bf;;;BU)"
    own = inherited + "(A;;FR;;;WD)"
    opened = replace(
        GOOD,
        folder_rights=GOOD.folder_rights + "(A;OICI;0x1301bf;;;BU)",
        rights={**dict.fromkeys(GOOD.rights, inherited), "password.txt": own},
    )
    (change,) = plan(WANTED, opened)
    assert change.sentence == (
        "rights altered on C:\\Program Files\\ProSecours, C:\\Program Files\\ProSecours\\password.txt"
        " to S-1-1-0, S-1-5-32-545: SYSTEM and Administrators only again"
    )
    assert change.before.count("\n") == change.after.count("\n") == 2


def test_a_secret_that_differs_is_named_and_not_shown_and_reopens_the_repository() -> None:
    changes = plan(WANTED, replace(GOOD, hashes={**GOOD.hashes, "password.txt": "ff" * 32}))
    assert [change.kind for change in changes] == ["secret", "repository"]
    assert changes[0].sentence == "configuration: password.txt differed, written anew"
    assert (changes[0].before, changes[0].after) == ("*** (another)\n", "***\n")
    assert "encryption password" not in repr(changes)


def test_what_a_host_no_longer_needs_is_removed() -> None:
    wanted = agent_desired.desired(request(ca=""), shadow_copies=False)
    changes = plan(wanted, GOOD)
    assert [(change.kind, change.sentence) for change in changes] == [
        ("text", "configuration: ca.pem removed"),
        ("repository", "repository opened with the client's password, or initialised if new"),
    ]


@pytest.mark.parametrize("facts", [{"status": {"exit_code": 1}}, {"running": True}])
def test_a_first_backup_is_started_once(facts: dict[str, Any]) -> None:
    now = replace(WANTED, first_backup_now=True)
    assert [change.kind for change in plan(now, GOOD)] == ["first backup"]
    assert plan(now, replace(GOOD, **facts)) == ()


def test_an_older_agent_is_upgraded_and_its_history_kept() -> None:
    older = replace(
        GOOD,
        hashes={**GOOD.hashes, "restic.exe": "aa" * 32},
        texts=without({**GOOD.texts, "backup.cmd": "@restic backup D:\\\r\n"}, "patterns.txt"),
    )
    changes = plan(WANTED, older)
    assert [change.name for change in changes] == ["restic.exe", "backup.cmd", "patterns.txt"]
