"""A machine that lacks a Python package of the collection is told so, by a real run of a playbook."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[3]
# Python reads it before anything else. `None` is how it marks a module that must not be found.
WITHOUT = "import sys\nsys.modules[{name!r}] = None\n"


@pytest.mark.parametrize("name", ["phonenumbers", "jsonschema", "babel"])
def test_a_missing_package_is_one_sentence(name: str, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(WITHOUT.format(name=name), "utf-8")
    run = subprocess.run(
        ["ansible-playbook", "-i", "inventories/example", "playbooks/check.yml"],
        cwd=CHECKOUT,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    shown = run.stdout + run.stderr
    assert run.returncode != 0
    assert "Traceback" not in shown
    assert f"has no {name}, which this collection needs" in " ".join(shown.split())
    assert f"-m pip install -r {CHECKOUT / 'requirements.txt'}" in " ".join(shown.split())
