"""Each way to disable or alter the tool (C12): found, dated, called a breach; repaired by deploy; closed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from monitoring import Run, deploy, lab, monitor
from verifier import AGENT, TASK, Server

ALTERATIONS = {
    # finding: what a client does, with Windows' own programs
    "task_disabled": rf'schtasks /change /tn "{TASK}" /disable',
    "binary_changed": rf'copy /y "%SystemRoot%\System32\whoami.exe" "{AGENT}\restic.exe"',
    "configuration_changed": rf'echo D:\isapawp>"{AGENT}\perimeter.txt"',
    "credentials_changed": rf'echo autre>"{AGENT}\password.txt"',
    "rights_opened": rf'icacls "{AGENT}" /grant "*S-1-5-32-545:(OI)(CI)M" /q',
    "shadow_copies_off": r"reg add HKLM\SYSTEM\CurrentControlSet\Services\VSS /v Start /t REG_DWORD /d 4 /f",
}
DEPLOY_REPAIRS = set(ALTERATIONS) - {"shadow_copies_off"}


@pytest.fixture(scope="module")
def well(server: Server) -> Run:
    """The first run: there is nothing to find but that the first night is still to come."""
    run = monitor()
    assert run.code == 0, run.output
    assert set(run.findings()) == {"no_backup_yet"}
    return run


def test_alterations_are_found_dated_repaired_and_closed(well: Run, server: Server) -> None:
    before = datetime.fromisoformat(well.report["at"])
    for line in ALTERATIONS.values():
        server.expect(line)
    lab("fault", server.name, "clock", "--seconds", "-1200")
    try:
        found = monitor()
    finally:
        lab("fault", server.name, "clear")
    assert found.code != 0
    assert "The table above says what to do" in found.output
    expected = {*ALTERATIONS, "clock_moved"}
    assert set(found.findings("new")) - {"deploy_due"} == expected
    for kind in expected:
        finding = found.findings()[kind]
        assert finding["clause"] == "C12", kind
        assert finding["host"] == server.name
        assert before <= datetime.fromisoformat(finding["since"]) <= datetime.now(UTC), kind
    for kind in DEPLOY_REPAIRS:
        finding = found.findings()[kind]
        assert f"in order until {well.report['at'][:10]}" in finding["sentence"], kind
        assert "VI.1" in finding["sentence_fr"], kind
        assert "deploy.yml" in finding["remedy"], kind
    assert "autre" not in str(found.report)
    server.expect(ALTERATIONS["shadow_copies_off"].replace("/d 4", "/d 3"))
    deploy()
    repaired = monitor()
    assert repaired.closed >= expected
    assert set(repaired.findings()) == {"no_backup_yet"}
    assert repaired.code == 0


def test_a_login_that_the_repository_refuses_and_a_deleted_task(well: Run, server: Server) -> None:
    server.expect(rf'echo autre>"{AGENT}\rest-password.txt"')
    lab("clock", "--advance", "1d")
    server.expect(rf'schtasks /delete /tn "{TASK}" /f')
    found = monitor()
    assert set(found.findings("new")) == {
        "credentials_changed",
        "login_to_repository_refused",
        "task_deleted",
    }
    assert "401" in found.findings()["login_to_repository_refused"]["sentence"]
    assert "gone" in found.findings()["task_deleted"]["sentence"]
    deploy()


def test_a_removed_agent(well: Run, server: Server) -> None:
    server.expect(rf'rmdir /s /q "{AGENT}"')
    found = monitor()
    assert set(found.findings("new")) >= {"agent_removed"}
    assert found.closed >= {"credentials_changed", "task_deleted"}
    assert "VI.1" in found.findings()["agent_removed"]["sentence"]
    deploy()
    repaired = monitor()
    assert repaired.closed >= {"agent_removed"}
    assert repaired.code == 0, repaired.output
