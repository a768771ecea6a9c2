"""Every molecule scenario, whole: what `molecule test` says is the verdict."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
SCENARIOS = sorted(path.parent.name for path in CHECKOUT.glob("molecule/*/molecule.yml"))


@pytest.mark.lab
@pytest.mark.molecule
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario(scenario: str) -> None:
    done = subprocess.run(
        ["molecule", "test", "--scenario-name", scenario],
        cwd=CHECKOUT,
        env=os.environ | {"ANSIBLE_NOCOLOR": "1", "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-20000:]


def test_the_scenarios_are_found() -> None:
    assert {"default", "drift", "upgrade"} <= set(SCENARIOS)
