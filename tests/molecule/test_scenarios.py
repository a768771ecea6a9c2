"""Every molecule scenario, whole: what `molecule test` says is the verdict.

Those that need nothing of the lab run against a server that is given to them as a real one would be: by an
address, a login and an authority (docs/molecule.md). They reach no control socket and none of its disks.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from support import inventory
from support.addresses import network
from support.playbook import play

from windows_lab.certificates import Authority
from windows_lab.cli import main as lab_cli

CHECKOUT = Path(__file__).resolve().parents[2]
ANYWHERE = {"default": "2016", "drift": "2022", "upgrade": "2025"}
"""The scenarios that pass on any Windows, and the Windows Server that each is given here."""
REFUSED = ("fatal:", "failed:", "[ERROR]")
"""How the lines of a task that failed begin."""
SERVER = "tilleuls-srv"
SCENARIOS = sorted(path.parent.name for path in CHECKOUT.glob("molecule/*/molecule.yml"))


@pytest.fixture
def alone(scenario: str) -> Iterator[None]:
    """The machine has one folder and one set of users for a repository host, and one folder for an inventory
    that is written in: another checkout waits here."""
    with (Path(tempfile.gettempdir()) / f"molecule-{scenario}-{os.geteuid()}.lock").open("w") as lock:
        text = (CHECKOUT / "molecule" / scenario / "molecule.yml").read_text("utf-8")
        if "PROSECOURS_DEPOT" in text or "MOLECULE_EPHEMERAL_DIRECTORY" in text:
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def commands(state: Path) -> list[str]:
    """The command lines that the server was sent, as its own journal has them."""
    lines = (state / "hosts" / SERVER / "journal.jsonl").read_text("utf-8").splitlines()
    events = [json.loads(line) for line in lines]
    return [event["line"] for event in events if event["event"] == "command"]


@pytest.fixture
def given(scenario: str, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a scenario. What ran on a foreign server has to leave it as it was."""
    if scenario not in ANYWHERE:
        yield {"PROSECOURS_NETWORK": network()}
        return
    state, address = tmp_path / "lab", f"{network()}.11"
    host = {"ansible_host": address, "lab_drives": ["D"], "lab_windows": ANYWHERE[scenario]}
    written = inventory.client("gaec_des_tilleuls", "", {SERVER: host}, **inventory.OVER_WINRM)
    file = inventory.write(tmp_path / "foreign.yml", written)
    try:
        assert lab_cli(["up", "--state", str(state), "--inventory", str(file)]) == 0
        certificate, key = Authority(state).issue("repository", [address])
        yield {
            "PROSECOURS_WINDOWS_HOST": address,
            "PROSECOURS_WINDOWS_USER": inventory.USER,
            "PROSECOURS_WINDOWS_PASSWORD": inventory.PASSWORD,
            "PROSECOURS_WINDOWS_CA": str(state / "ca.pem"),
            "PROSECOURS_REPOSITORY_ADDRESS": f"{address}:8443",
            "PROSECOURS_REPOSITORY_CERTIFICATE": str(certificate),
            "PROSECOURS_REPOSITORY_KEY": str(key),
        }
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((address, 8443), 5)
        assert not (CHECKOUT / "build" / "molecule" / scenario / "repository").exists()
        sent = "\n".join(commands(state)).lower()  # ansible-core writes PowerShell or powershell
        ways = {word for word in ("tar -xzf", "powershell -noprofile") if word in sent}
        assert ways == {"powershell -noprofile" if ANYWHERE[scenario] == "2016" else "tar -xzf"}
        looks = (
            r'if exist "C:\Program Files\ProSecours" exit 1',
            "dir /b D:\\ | findstr . >nul && exit 1 || exit 0",
        )
        for line in (*looks, r"schtasks /query /tn \ProSecours\Sauvegarde /xml && exit 1 || exit 0"):
            assert lab_cli(["run", "--state", str(state), SERVER, line]) == 0, line
    finally:
        lab_cli(["down", "--state", str(state)])


@pytest.mark.lab
@pytest.mark.molecule
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario(scenario: str, alone: None, given: dict[str, str]) -> None:
    done = subprocess.run(
        ["molecule", "test", "--scenario-name", scenario],
        cwd=CHECKOUT,
        env=os.environ | {"ANSIBLE_NOCOLOR": "1", "NO_COLOR": "1"} | given,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    # The refusals come last: a long report is cut in its middle.
    refused = [line for line in done.stdout.splitlines() if line.startswith(REFUSED)]
    assert done.returncode == 0, "\n".join([done.stdout[-20000:], "Refused:", *refused])


def test_the_scenarios_are_found() -> None:
    assert set(SCENARIOS) > set(ANYWHERE)
    create, *_ = yaml.safe_load((CHECKOUT / "molecule" / "shared" / "create.yml").read_text("utf-8"))
    assert set(create["vars"]["shared_anywhere"]) == set(ANYWHERE)


@pytest.mark.lab
def test_a_scenario_of_the_lab_refuses_a_real_server_before_it_is_asked_anything() -> None:
    create = CHECKOUT / "molecule" / "shared" / "create.yml"
    given = {"PROSECOURS_WINDOWS_HOST": "srv.example", "MOLECULE_SCENARIO_NAME": "tamper"}
    done = play(CHECKOUT / "molecule" / "shared" / "inventory", create, environment=given)
    assert done.code != 0
    assert "The scenario tamper is of the lab, and nothing was sent to srv.example." in done.text
    assert "PROSECOURS_WINDOWS_HOST" in done.text
