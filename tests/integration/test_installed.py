"""The collection as Galaxy installs it: in an environment of its own, by what docs/install.md says."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.playbook import Played
from support.site import AGENT, Site

CHECKOUT = Path(__file__).resolve().parents[2]
WHEELS = Path(os.environ.get("PROSECOURS_CACHE", "~/.cache/prosecours")).expanduser() / "wheels"
"""What tools/setup keeps of requirements.txt, so that no test asks a registry."""
pytestmark = pytest.mark.lab


@dataclass
class Installed:
    """A technician's folder: an environment, collections, an ansible.cfg, an inventory."""

    folder: Path
    site: Site

    @property
    def python(self) -> Path:
        return self.folder / "venv" / "bin" / "python"

    @property
    def collection(self) -> Path:
        return self.folder / "home" / ".ansible/collections/ansible_collections/prosecours/backup"

    @property
    def environment(self) -> Mapping[str, str]:
        """Nothing of the checkout's: what a login shell has."""
        return {
            "PATH": f"{self.python.parent}{os.pathsep}{os.defpath}",
            "HOME": str(self.folder / "home"),
            "LANG": "C.UTF-8",
            "ANSIBLE_NOCOLOR": "1",
            "PROSECOURS_CACHE": str(WHEELS.parent),
            "PROSECOURS_LAB": str(self.site.state),
        }

    def run(self, *words: str | Path) -> Played:
        done = subprocess.run(
            [str(word) for word in words],
            cwd=self.folder / "work",
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        return Played(done.returncode, done.stdout, done.stderr)

    def play(self, playbook: str) -> Played:
        return self.run("ansible-playbook", "-i", self.site.inventory, f"prosecours.backup.{playbook}")


@pytest.fixture
def installed(bare: Site, tmp_path: Path) -> Installed:
    one = Installed(tmp_path, bare)
    (tmp_path / "home").mkdir()
    work = tmp_path / "work"
    work.mkdir()
    subprocess.run(
        ["ansible-galaxy", "collection", "build", "--output-path", str(tmp_path)],
        cwd=CHECKOUT,
        check=True,
        capture_output=True,
    )
    subprocess.run(["python3", "-m", "venv", str(tmp_path / "venv")], check=True)
    pip = (one.python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-index")
    core = one.run(*pip, "--no-compile", "--find-links", WHEELS, "ansible-core")
    assert core.code == 0, core.output
    (tarball,) = tmp_path.glob("*.tar.gz")
    galaxy = one.run("ansible-galaxy", "collection", "install", "--offline", tarball)
    assert galaxy.code == 0, galaxy.output
    lock = one.collection / "requirements.txt"
    rest = one.run(*pip, "--no-compile", "--find-links", WHEELS, "--require-hashes", "-r", lock)
    assert rest.code == 0, rest.output
    page = (one.collection / "docs" / "install.md").read_text("utf-8")
    (settings,) = re.findall(r"```ini\n(.*?)```", page, re.DOTALL)
    (work / "ansible.cfg").write_text(settings, "utf-8")
    return one


def test_what_is_installed_from_a_tarball_deploys(installed: Installed) -> None:
    first = installed.play("deploy")
    assert first.code == 0, first.output
    again = installed.play("deploy")
    assert (again.code, again.stdout.splitlines()[-1]) == (0, f"{installed.site.host}  ok"), again.output
    installed.site.expect(f'if not exist "{AGENT}\\restic.exe" exit 1')
    assert str(CHECKOUT) not in first.output + again.output
    # The journal and the report are where docs/install.md says.
    journal = installed.folder / "home/.local/state/prosecours/journal.jsonl"
    entries = [json.loads(line) for line in journal.read_text("utf-8").splitlines()]
    assert [entry["kind"] for entry in entries] == ["begin", "end"] * 2
    assert list((installed.folder / "work/build/reports").iterdir())

    # What is not there is one sentence that says what to do.
    settings = installed.folder / "work" / "ansible.cfg"
    settings.rename(settings.with_suffix(".away"))
    refused = installed.play("check")
    assert refused.code != 0
    assert "callbacks_enabled = prosecours.backup.journal. Nothing was done." in refused.text
    settings.with_suffix(".away").rename(settings)
    for library in installed.folder.glob("venv/lib/python3*/site-packages/babel"):
        shutil.rmtree(library)
    lacking = installed.play("check")
    assert lacking.code != 0
    assert f"has no babel, which this collection needs. Install all that it needs: {installed.python}" in (
        re.sub(r"bin/python3[.0-9]*", "bin/python", lacking.text)
    )
    assert "Traceback" not in refused.output + lacking.output
