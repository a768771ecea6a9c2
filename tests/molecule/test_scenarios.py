"""Every molecule scenario, whole: what `molecule test` says is the verdict."""

from __future__ import annotations

import fcntl
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.addresses import network

CHECKOUT = Path(__file__).resolve().parents[2]
SCENARIOS = sorted(path.parent.name for path in CHECKOUT.glob("molecule/*/molecule.yml"))


@pytest.fixture
def alone(scenario: str) -> Iterator[None]:
    """The machine has one folder and one set of users for a repository host: another checkout waits here."""
    with (Path(tempfile.gettempdir()) / f"molecule-{scenario}-{os.geteuid()}.lock").open("w") as lock:
        if "PROSECOURS_DEPOT" in (CHECKOUT / "molecule" / scenario / "molecule.yml").read_text("utf-8"):
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.mark.lab
@pytest.mark.molecule
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario(scenario: str, alone: None) -> None:
    done = subprocess.run(
        ["molecule", "test", "--scenario-name", scenario],
        cwd=CHECKOUT,
        env=os.environ | {"ANSIBLE_NOCOLOR": "1", "NO_COLOR": "1", "PROSECOURS_NETWORK": network()},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-20000:]


def test_the_scenarios_are_found() -> None:
    assert {"default", "drift", "upgrade"} <= set(SCENARIOS)
