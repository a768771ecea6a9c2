"""What every test needs: the collection under its own name, and the tools of the running Python on PATH."""

from __future__ import annotations

import gc
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

pytest_plugins = ["support.site"]

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
# Tests count tasks by Ansible's own output; what a technician reads is for integration/test_lines.py.
os.environ["ANSIBLE_STDOUT_CALLBACK"] = "ansible.builtin.default"
# And they start many: see there.
STARTED = str(CHECKOUT / "tests" / "support" / "started")
if STARTED not in os.environ.get("PYTHONPATH", ""):
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [STARTED, os.environ.get("PYTHONPATH")]))
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "alone")
# What tests do is no intervention: never into the journal of whoever runs them.
os.environ["PROSECOURS_JOURNAL"] = str(CHECKOUT / "build" / f"tests-journal-{WORKER}.jsonl")
os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", str(CHECKOUT / "build" / "hypothesis"))
# What a shell starts in the background ignores Ctrl-C, and so do its children; tests send it to theirs.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

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


# -- side by side ---------------------------------------------------------------------------------------

CROWD = 1.5
"""Workers per processor: what is tested is mostly waited for."""
ORDER = (
    "integration/test_deploy.py",
    *("molecule", "integration", "attacks", "recordings", "lab", "browser", "unit"),
)
"""What takes longest begins first, so that short tests fill up the end."""
ALONE = ("molecule", "integration/maintenance/test_years.py", "unit/maintenance/test_histories.py")
"""A file goes to one worker, since its tests share machines; but each test of these is by itself."""
TOGETHER = ("integration/repository",)
"""The files of these go to one worker: they share what this machine has but one of, its users."""


class Files(LoadScopeScheduling):
    """What goes to one worker, in the order of collection and not by the number of tests."""

    def __init__(self, config: pytest.Config, log: Any) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0].removeprefix("tests/")
        if file.startswith(ALONE):
            return nodeid
        return next((folder for folder in TOGETHER if file.startswith(folder)), file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Files:
    return Files(config, log)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """For -n auto."""
    return max(2, round(CROWD * len(os.sched_getaffinity(0))))


def pytest_collection_finish() -> None:
    """What was collected stays to the end: the garbage collector need not look at it any more."""
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        file = str(item.path.relative_to(CHECKOUT / "tests"))
        return next((at for at, begin in enumerate(ORDER) if file.startswith(begin)), len(ORDER))

    items.sort(key=place)
