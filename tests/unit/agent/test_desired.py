"""Contract and settings in, files and task out."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible_collections.prosecours.backup.plugins.plugin_utils.agent import desired as agent_desired
from ansible_collections.prosecours.backup.plugins.plugin_utils.contract.model import HostContract
from ansible_collections.prosecours.backup.plugins.plugin_utils.secret import Secret
from hypothesis import given
from hypothesis import strategies as st

from .hosts import CONTRACT, request


def contract(**changes: Any) -> HostContract:
    return HostContract.from_plain({**CONTRACT, **changes})


def test_the_perimeter_is_files_that_restic_reads() -> None:
    texts = agent_desired.desired(request(), shadow_copies=False).texts
    assert texts["perimeter.txt"] == "D:\\isagiwf\\backup\r\nE:\\Données partagées\\Élevage & cultures\r\n"
    assert texts["patterns.txt"] == "D:\\isagiwf\\[Bb]????.[Gg][Ii][Ww]\r\n"
    assert texts["excludes.txt"] == "$$RECYCLE.BIN\r\nSystem Volume Information\r\n*.tmp\r\n"
    assert texts["repository.txt"] == "rest:https://backup.example:8000/moulin/\r\n"


@pytest.mark.parametrize(
    ("url", "name", "password"),
    [
        ("rest:https://backup.example/moulin/", "RESTIC_REST_USERNAME", "RESTIC_REST_PASSWORD"),
        ("s3:https://s3.example/moulin", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
    ],
)
def test_restic_is_told_who_signs_in_as_its_back_end_asks(url: str, name: str, password: str) -> None:
    lines = agent_desired.desired(request(url=url), shadow_copies=False).texts["restic.cmd"].splitlines()
    assert f'set /p {name}=<"%~dp0rest-username.txt"' in lines
    assert f'set /p {password}=<"%~dp0rest-password.txt"' in lines
    assert len([line for line in lines if line.startswith("set /p ")]) == 2


def test_the_backup_command_says_what_the_contract_says() -> None:
    wanted = agent_desired.desired(request(contract=contract(upload_limit_kib=512)), shadow_copies=True)
    script = wanted.texts["backup.cmd"]
    (command,) = re.findall(r"^cmd /d /c restic.cmd backup (.*) %SHADOW% >>", script, re.MULTILINE)
    assert command == (
        "--json --no-scan --files-from-verbatim perimeter.txt --files-from patterns.txt"
        " --iexclude-file excludes.txt --host moulin-srv1 --tag PS-2026-0042 --group-by host,tags"
        " --retry-lock 30m --limit-upload 512"
    )
    assert 'set "SHADOW=--use-fs-snapshot"' in script
    assert "if %ATTEMPT% geq 3 goto finish" in script
    assert "ping -n 601 127.0.0.1" in script
    assert "/d -30 " in script
    assert script.isascii()
    assert "\n" not in script.replace("\r\n", "")


def test_without_patterns_limit_or_shadow_copies_the_options_go() -> None:
    perimeter = [entry for entry in CONTRACT["perimeter"] if entry["kind"] == "directory"]
    wanted = agent_desired.desired(
        request(contract=contract(perimeter=perimeter), ca=""), shadow_copies=False
    )
    for option in ("--files-from patterns.txt", "--limit-upload", "--use-fs-snapshot"):
        assert option not in wanted.texts["backup.cmd"]
    assert not {"patterns.txt", "ca.pem"} & wanted.texts.keys()


def test_no_text_holds_a_secret() -> None:
    wanted = agent_desired.desired(request(), shadow_copies=False)
    shown = repr(wanted)
    for secret in ("http-password", "encryption password é"):
        assert secret not in shown
        assert all(secret not in text for text in wanted.texts.values())


@given(spread=st.integers(0, 600), host=st.text("abcdef-0123456789", min_size=1), hour=st.integers(0, 23))
def test_the_spread_is_fixed_and_in_its_bounds(spread: int, host: str, hour: int) -> None:
    schedule = {"time": f"{hour:02d}:30", "spread_minutes": spread}
    first, again = (contract(host=host, schedule=schedule).starts_at for _ in range(2))
    assert first == again
    hours, minutes = map(int, first.split(":"))
    late = (hours * 60 + minutes - hour * 60 - 30) % 1440
    assert late == 0 or late < spread


def test_the_servers_of_a_client_do_not_start_together() -> None:
    times = {contract(host=f"srv{number}").starts_at for number in range(20)}
    assert len(times) > 10


@pytest.mark.parametrize(
    ("pattern", "restic"),
    [
        ("D:\\isagiwf\\B????.GIW", "D:\\isagiwf\\[Bb]????.[Gg][Ii][Ww]"),
        ("D:\\Été [1]\\B*.giw", "D:\\[Éé][Tt][Éé] [[]1]\\[Bb]*.[Gg][Ii][Ww]"),
        ("D:\\straße\\ß?", "D:\\straße\\ß?"),
    ],
)
def test_patterns_ignore_case(pattern: str, restic: str) -> None:
    assert agent_desired.any_case(pattern) == restic


def test_the_task_runs_in_the_folder_that_was_chosen() -> None:
    wanted = agent_desired.desired(request(folder="D:\\Pro & Co (1)\\"), shadow_copies=False)
    assert wanted.folder == "D:\\Pro & Co (1)"
    assert wanted.task["arguments"] == '/d /e:on /v:off /c ""D:\\Pro & Co (1)\\backup.cmd""'
    assert wanted.task["folder"] == "D:\\Pro & Co (1)"


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"folder": "ProSecours"}, "prosecours_agent_folder"),
        ({"folder": "C:\\"}, "prosecours_agent_folder"),
        ({"folder": "\\\\server\\share\\x"}, "prosecours_agent_folder"),
        ({"folder": "C:\\100%\\x"}, "prosecours_agent_folder"),
        ({"username": "é"}, "prosecours_repository_username"),
        ({"http_password": Secret("a\nb")}, "prosecours_repository_password"),
        ({"encryption_password": Secret(" a")}, "prosecours_encryption_password"),
        ({"encryption_password": Secret("")}, "prosecours_encryption_password"),
        ({"contract": contract(host="srv&1")}, "inventory name"),
        ({"contract": contract(perimeter=[])}, "perimeter of moulin-srv1 is empty"),
    ],
)
def test_what_would_arrive_as_something_else_is_refused(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(agent_desired.UnusableError, match=says) as caught:
        agent_desired.check_request(request(**settings))
    assert "a\nb" not in str(caught.value)


def test_what_is_usual_is_accepted() -> None:
    agent_desired.check_request(request())
    agent_desired.check_request(request(folder="D:\\Pro & Co (1)"))


def test_a_secret_shows_stars() -> None:
    secret = Secret("x")
    assert f"{secret} {secret!r}" == "*** ***"
    assert secret == Secret("x")
    assert secret != "x"
    assert len({secret, Secret("x")}) == 1
