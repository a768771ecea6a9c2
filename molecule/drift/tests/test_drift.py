"""Each way to disable or alter the agent (C12): predicted by check mode, named and repaired by deploy."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass

import pytest
from verifier import AGENT, TASK, Server

# Written at every run of the agent or of a backup; the lock and the stamp hold nothing.
CHANGES_BY_ITSELF = ("backup.lock", "stamp.txt")


@dataclass(frozen=True)
class Drift:
    """What a client does, the resource that deploy has to name, and what its diff has to show."""

    tamper: str
    named: str
    shown: str


# One look of the agent finds what all of a round have done, so no resource stands twice in one.
ROUNDS: tuple[dict[str, Drift], ...] = (
    {
        "task disabled": Drift(rf'schtasks /change /tn "{TASK}" /disable', rf"task {TASK}", "enabled: false"),
        "binary replaced": Drift(
            rf'copy /y "%SystemRoot%\System32\whoami.exe" "{AGENT}\restic.exe"', "binary restic.exe", "sha256"
        ),
        "rights opened": Drift(
            rf'icacls "{AGENT}" /grant "*S-1-5-32-545:(OI)(CI)M" /q',
            f"rights {AGENT}",
            "(A;OICI;0x1301bf;;;BU)",
        ),
        "perimeter edited": Drift(
            rf'echo D:\isapawp>"{AGENT}\perimeter.txt"', "text perimeter.txt", "+D:\\isagiwf\\backup"
        ),
    },
    {
        "task deleted": Drift(rf'schtasks /delete /tn "{TASK}" /f', rf"task {TASK}", "enabled: true"),
        "binary deleted": Drift(rf'del /f /q "{AGENT}\restic.exe"', "binary restic.exe", "sha256"),
        "rights of one file opened": Drift(
            rf'icacls "{AGENT}\password.txt" /grant "*S-1-1-0:F" /q', f"rights {AGENT}", "password.txt"
        ),
        "script edited": Drift(rf'echo exit /b 0 >"{AGENT}\backup.cmd"', "text backup.cmd", "-exit /b 0"),
    },
    {
        "inheritance opened": Drift(rf'icacls "{AGENT}" /inheritance:e /q', f"rights {AGENT}", AGENT),
        "exclusion added": Drift(rf'echo *.bak>>"{AGENT}\excludes.txt"', "text excludes.txt", "-*.bak"),
        "password replaced": Drift(rf'echo autre>"{AGENT}\password.txt"', "secret password.txt", "***"),
    },
)


def deploy(*arguments: str) -> str:
    """Run the playbook as a technician does; it has to succeed. What it printed, with the diff."""
    done = subprocess.run(
        [
            "ansible-playbook",
            "-i",
            os.environ["PROSECOURS_INVENTORY"],
            "playbooks/deploy.yml",
            "--diff",
            *arguments,
        ],
        cwd=os.environ["MOLECULE_PROJECT_DIRECTORY"],
        env=os.environ | {"ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def changed(output: str) -> int:
    """How many tasks changed the server."""
    return int(re.findall(r"changed=(\d+)", output)[-1])


@pytest.mark.parametrize("drifts", ROUNDS, ids=", ".join)
def test_drift_is_predicted_named_and_repaired(server: Server, drifts: dict[str, Drift]) -> None:
    untouched = before = picture(server)
    for name, drift in drifts.items():
        server.expect(drift.tamper)
        tampered = picture(server)
        assert tampered != before, f"{name}: the tampering changed nothing: the test would show nothing"
        before = tampered

    predicted = deploy("--check")
    for drift in drifts.values():
        assert drift.shown in diff(predicted, f"{server.name}: {drift.named}")
    assert picture(server) == tampered, "check mode repaired"

    repaired = deploy()
    for drift in drifts.values():
        assert diff(repaired, f"{server.name}: {drift.named}")
    assert picture(server) == untouched

    assert changed(deploy()) == 0


def diff(output: str, resource: str) -> str:
    """What a run's diff says of one resource, "" if nothing."""
    return next((part for part in output.split("--- before: ")[1:] if part.startswith(f"{resource}\n")), "")


def picture(server: Server) -> dict[str, str]:
    """All that a client could alter, as the server's own programs tell it."""
    task = server.run(f'schtasks /query /tn "{TASK}" /xml')
    seen = {
        "task": re.sub(r"<Date>.*?</Date>", "", task.stdout) if task.rc == 0 else "",
        "rights": server.sddl(AGENT),
        **{f"sha256 of {name}": digest for name, digest in server.hashes(AGENT).items()},
        **{f"rights of {name}": rights for name, rights in server.rights(AGENT).items()},
    }
    return {name: value for name, value in seen.items() if not name.endswith(CHANGES_BY_ITSELF)}
