"""Every molecule scenario, whole: what `molecule test` says is the verdict.

Those that need nothing of the lab run against a server that is given to them as a real one would be: by its
address, a login and an authority (docs/molecule.md). They reach no control socket and none of its disks.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import inventory
from support.addresses import network

from windows_lab.cli import main as lab_cli

CHECKOUT = Path(__file__).resolve().parents[2]
ANYWHERE = {"default", "drift", "upgrade"}
"""The scenarios that pass on any Windows."""
SCENARIOS = sorted(path.parent.name for path in CHECKOUT.glob("molecule/*/molecule.yml"))


@pytest.fixture
def alone(scenario: str) -> Iterator[None]:
    """The machine has one folder and one set of users for a repository host: another checkout waits here."""
    with (Path(tempfile.gettempdir()) / f"molecule-{scenario}-{os.geteuid()}.lock").open("w") as lock:
        if "PROSECOURS_DEPOT" in (CHECKOUT / "molecule" / scenario / "molecule.yml").read_text("utf-8"):
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def windows(folder: Path, address: str) -> dict[str, str]:
    """A server and a repository that molecule knows by these variables only."""
    name, client = "tilleuls-srv", "gaec_des_tilleuls"
    url = f"rest:https://{address}:8443/"
    server = {"ansible_host": address, "lab_drives": ["D"]}
    inventory.write(
        folder / "foreign.yml", inventory.client(client, url, {name: server}, **inventory.OVER_WINRM)
    )
    state = folder / "lab"
    assert lab_cli(["up", "--state", str(state), "--inventory", str(folder / "foreign.yml")]) == 0
    return {
        "PROSECOURS_WINDOWS_HOST": address,
        "PROSECOURS_WINDOWS_USER": inventory.USER,
        "PROSECOURS_WINDOWS_PASSWORD": inventory.PASSWORD,
        "PROSECOURS_WINDOWS_CA": str(state / "ca.pem"),
        "PROSECOURS_REPOSITORY_URL": url,
        "PROSECOURS_REPOSITORY_PASSWORD": f"repository-of-{name}",
        "PROSECOURS_ENCRYPTION_PASSWORD": "of-the-foreign-host",
    }


@pytest.fixture
def given(scenario: str, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a scenario. What ran on a foreign server has to leave it as it was."""
    if scenario not in ANYWHERE:
        yield {"PROSECOURS_NETWORK": network()}
        return
    state = tmp_path / "lab"
    try:
        yield windows(tmp_path, f"{network()}.11")
        looks = (
            r'if exist "C:\Program Files\ProSecours" exit 1',
            "dir /b D:\\ | findstr . >nul && exit 1 || exit 0",
        )
        for line in (*looks, r"schtasks /query /tn \ProSecours\Sauvegarde /xml && exit 1 || exit 0"):
            assert lab_cli(["run", "--state", str(state), "tilleuls-srv", line]) == 0, line
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
    assert done.returncode == 0, done.stdout[-20000:]


def test_the_scenarios_are_found() -> None:
    assert set(SCENARIOS) > ANYWHERE
