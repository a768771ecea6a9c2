"""A new client after `deploy` and one night: what stands on the server, what lies in the repository."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path, PureWindowsPath

import pytest
from verifier import AGENT, TASK_NAMESPACE, Repository, Server

# The signed Annexe 1 of the scenario's client, written down here by hand, not computed by the collection.
TICKED = (
    r"D:\isa_sauvegarde_dossier",
    r"D:\isagiwf\backup",
    r"D:\isagiwf\B0001.GIW",
    r"D:\isagiwf\b0002.giw",
    r"D:\isaflux\backup",
    r"D:\isapawp",
    r"D:\Bureautique\Élevage & Cultures (2026)",
)


def stored(path: str) -> PureWindowsPath:
    """Return where restic keeps `D:\\x`: below a folder named by the drive."""
    return PureWindowsPath(path.replace(":", "", 1))


@pytest.fixture(scope="module")
def expected(server: Server) -> dict[str, str]:
    """SHA-256 of every file of the perimeter, listed and hashed by the server itself."""
    files: list[str] = []
    for entry in TICKED:
        is_file = entry.lower().endswith(".giw")
        files.extend([entry] if is_file else server.files(entry))
    return {file: server.sha256(file) for file in files}


def test_backup_restores_byte_for_byte(expected: dict[str, str], restored: Path) -> None:
    found = {
        str(PureWindowsPath(path.relative_to(restored))): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in restored.rglob("*")
        if path.is_file()
    }
    assert found == {str(stored(path)): digest for path, digest in expected.items()}
    assert len(found) > 10


def test_snapshot_names_the_server_and_the_contract(repository: Repository, server: Server) -> None:
    (snapshot,) = repository.snapshots()
    assert snapshot["hostname"] == server.name
    assert server.variables["prosecours_contract_reference"] in snapshot["tags"]
    assert snapshot["summary"]["total_files_processed"] > 0


def test_repository_holds_together(repository: Repository) -> None:
    repository.run("check", "--read-data")


def test_task_runs_every_day_as_system(server: Server) -> None:
    task = server.task()

    def text(path: str) -> str | None:
        return task.findtext(path, namespaces=TASK_NAMESPACE)

    assert text(".//t:Principal/t:UserId") == "S-1-5-18"
    assert text(".//t:CalendarTrigger/t:ScheduleByDay/t:DaysInterval") == "1"
    start = text(".//t:CalendarTrigger/t:StartBoundary") or ""
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT22:[0-5]\d:\d\d", start), start
    assert text(".//t:Settings/t:StartWhenAvailable") == "true"
    assert text(".//t:Settings/t:MultipleInstancesPolicy") == "IgnoreNew"
    assert text(".//t:Settings/t:DisallowStartIfOnBatteries") == "false"
    assert text(".//t:Settings/t:StopIfGoingOnBatteries") == "false"
    # Three days are Windows' own default, which it may leave out; PT0S would be no limit at all.
    assert text(".//t:Settings/t:ExecutionTimeLimit") in (None, "P3D", "PT72H")
    assert text(".//t:Settings/t:Enabled") in (None, "true")


def test_only_system_and_administrators_can_read(server: Server) -> None:
    assert server.sddl(AGENT) == "D:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)"
    for name in ("password.txt", "rest-password.txt", "backup.cmd"):
        entries = re.findall(r"\(([^)]*)\)", server.sddl(rf"{AGENT}\{name}"))
        assert {entry.split(";")[-1] for entry in entries} == {"SY", "BA"}, name


def test_status_is_in_utc_and_complete(server: Server) -> None:
    status = server.status()
    for moment in ("start", "end"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", status[moment]), status
    assert status["exit_code"] == 0
    assert status["summary"]["message_type"] == "summary"


def test_no_secret_on_any_command_line(server: Server) -> None:
    """The task, the scripts and what Windows shows of processes carry no password."""
    secrets = [
        server.variables[f"prosecours_{name}"] for name in ("repository_password", "encryption_password")
    ]
    for name in ("backup.cmd", "restic.cmd", "repository.txt", "perimeter.txt"):
        text = server.expect(f'type "{AGENT}\\{name}"')
        assert not [secret for secret in secrets if secret in text], name
