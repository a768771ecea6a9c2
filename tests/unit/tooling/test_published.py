"""What Galaxy gets: a tarball that holds what a user needs and nothing else, and what describes it."""

from __future__ import annotations

import subprocess
import tarfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml

CHECKOUT = Path(__file__).resolve().parents[3]
WHOLE = {"awx", "docs", "playbooks", "plugins", "roles", "schemas"}
"""Folders that are published with all that git has in them."""
BESIDE = {
    *("CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "README.fr.md", "README.md", "SECURITY.md"),
    *("bindep.txt", "execution-environment.yml", "requirements.in", "requirements.txt"),
    *("meta/execution-environment.yml", "meta/runtime.yml"),
    *("changelogs/changelog.yaml", "changelogs/config.yaml"),
}


def _load(path: str) -> Any:
    return yaml.safe_load((CHECKOUT / path).read_text("utf-8"))


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    folder = tmp_path_factory.mktemp("published")
    subprocess.run(
        ["ansible-galaxy", "collection", "build", "--output-path", str(folder)],
        cwd=CHECKOUT,
        check=True,
        capture_output=True,
    )
    with tarfile.open(next(folder.iterdir())) as tarball:
        return {one.name for one in tarball.getmembers() if one.isfile()}


def test_the_tarball_holds_what_a_user_needs_and_nothing_else(published: set[str]) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *WHOLE, "inventories/example"],
        cwd=CHECKOUT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\n")
    there = {name for name in listed if name and (CHECKOUT / name).exists()}
    made_by_galaxy = {"FILES.json", "MANIFEST.json"}
    assert published - made_by_galaxy == there | BESIDE


def test_a_group_of_actions_is_all_that_shares_its_options() -> None:
    """`module_defaults` for a group would else pass by the action that was forgotten."""
    groups = _load("meta/runtime.yml")["action_groups"]
    pages = {path.stem: path.read_text("utf-8") for path in (CHECKOUT / "plugins/modules").glob("*.py")}
    assert {name for names in groups.values() for name in names} <= pages.keys()
    on_hosts = {name for name, page in pages.items() if "- prosecours.backup.repository_host\n" in page}
    assert on_hosts <= set(groups["repository_host"])
    actions = (CHECKOUT / "plugins/action").glob("*.py")
    through_winrm = {path.stem for path in actions if "(WindowsAction)" in path.read_text("utf-8")}
    assert through_winrm == set(groups["server"])


def test_an_execution_environment_gets_what_the_collection_imports() -> None:
    """ansible-builder reads these files; the versions of ansible-core are the ones that are tested."""
    needs = _load("meta/execution-environment.yml")["dependencies"]
    assert all((CHECKOUT / name).exists() for name in needs.values())
    wanted = (CHECKOUT / "requirements.in").read_text("utf-8")
    built = _load("execution-environment.yml")["dependencies"]
    assert built["ansible_core"]["package_pip"] in [line.partition(";")[0] for line in wanted.splitlines()]
    assert built["galaxy"]["collections"] == [{"name": "prosecours.backup"}]


IGNORED = {
    path.stem.removeprefix("ignore-"): path.read_text("utf-8").splitlines()
    for path in sorted((CHECKOUT / "tests/sanity").iterdir())
}
"""Version of the core -> the lines that its ansible-test reads, and it alone."""


def test_each_core_ignores_what_the_one_before_it_does() -> None:
    """A newer ansible-test has more rules; what an older one leaves out stays so, for the same reason."""
    older, newer = IGNORED["2.19"], IGNORED["2.21"]
    assert set(older) < set(newer)
    # The rules that came with 2.20 and 2.21.
    assert {line.split()[1] for line in set(newer) - set(older)} == {"pylint:ansible-bad-function"}
    for lines in (older, newer):
        assert lines == sorted(lines)
        assert all(" # " in line and (CHECKOUT / line.split()[0]).is_file() for line in lines)


def test_the_core_that_is_installed_has_its_list() -> None:
    assert version("ansible-core").rpartition(".")[0] in IGNORED
