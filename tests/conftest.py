"""What every test needs: the collection under its own name, and the tools of the running Python on PATH."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

CHECKOUT = Path(__file__).resolve().parent.parent
COLLECTIONS = CHECKOUT / "build" / "collections"


def _link_collection() -> None:
    """Ansible finds a collection by folder names only, so the checkout gets a link that has them."""
    link = COLLECTIONS / "ansible_collections" / "prosecours" / "backup"
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.exists():
        link.unlink(missing_ok=True)
        link.symlink_to("../../../..")


_link_collection()
if str(COLLECTIONS) not in sys.path:
    sys.path.insert(0, str(COLLECTIONS))
# Tests start ansible-playbook, molecule and others: those of the Python that runs the tests.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
os.environ["ANSIBLE_CONFIG"] = str(CHECKOUT / "ansible.cfg")
# What tests do is no intervention: never into the journal of whoever runs them.
os.environ["PROSECOURS_JOURNAL"] = str(CHECKOUT / "build" / "tests-journal.jsonl")
os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", str(CHECKOUT / "build" / "hypothesis"))

# The same examples at every run, however slow the machine is: a failure is a defect, not the luck of a draw.
settings.register_profile(
    "prosecours", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("prosecours")


def _load_collections_as_ansible_does() -> None:
    """From the start: a module of the collection that Python imported by itself keeps Ansible's loader from
    importing its neighbours."""
    from ansible.plugins.loader import init_plugin_loader

    init_plugin_loader()


_load_collections_as_ansible_does()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of real processes and sockets share the machine with whatever else it does: a failure gets a
    second try, which the summary counts as a rerun and which is a defect to look at. Unit tests get none."""
    for item in items:
        if not item.path.is_relative_to(CHECKOUT / "tests" / "unit"):
            item.add_marker(pytest.mark.flaky(reruns=1))
