"""tools/setup on machines that lack something."""

from __future__ import annotations

import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from unit.tooling.machine import Machine


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def _lacks_wine(machine: Machine) -> None:
    machine.program("dpkg-query", '[[ $* == *wine* ]] && echo "not-installed" || echo installed')


def test_nothing_is_said_when_nothing_is_missing(machine: Machine) -> None:
    assert machine.setup("packages") == (0, "")


def test_missing_packages_are_named_and_installed_with_sudo(machine: Machine) -> None:
    _lacks_wine(machine)
    machine.program("sudo", 'if [ "$1" = -n ]; then exit 1; fi; exec "$@"')
    machine.program("apt-get", "")
    assert machine.setup("packages") == (
        0,
        "sudo may ask for your password, only to install these packages.\n"
        "Installing Debian packages: wine wine64\n",
    )
    assert machine.calls("apt-get") == [
        "apt-get update",
        "apt-get install -y --no-install-recommends wine wine64",
    ]


def test_root_needs_no_sudo(machine: Machine) -> None:
    _lacks_wine(machine)
    machine.program("id", "echo 0")
    machine.program("apt-get", "")
    assert machine.setup("packages") == (0, "Installing Debian packages: wine wine64\n")


def test_without_sudo_the_missing_right_is_one_sentence(machine: Machine) -> None:
    _lacks_wine(machine)
    assert machine.setup("packages") == (
        1,
        "These Debian packages are missing and sudo is not installed: "
        "as root, run apt-get install wine wine64\n",
    )


@pytest.mark.skipif("ID=ubuntu" in Path("/etc/os-release").read_text(), reason="Ubuntu's chromium is a snap")
def test_what_tests_alone_need_is_a_step_of_its_own(machine: Machine) -> None:
    machine.program("id", "echo 0")
    machine.program("apt-get", "[[ $* != *download* ]] || : >nagios4-core_1.deb")
    machine.program("dpkg-deb", "mkdir -p usr/sbin; ln -s /bin/true usr/sbin/nagios4")
    machine.program("dpkg-query", '[[ $* == *chromium* ]] && echo "not-installed" || echo installed')
    assert machine.setup("packages") == (0, "")
    _python(machine, "exit 0")
    machine.setup("venv")
    cache = {"PROSECOURS_CACHE": str(machine.folder / "cache")}
    code, said = machine.run("setup", "tests", **cache)
    assert code == 0
    assert re.fullmatch(
        r"Installing Debian packages: chromium\nFetching Nagios .*\n"
        r"Downloading the collection awx.awx, .*\nDownloading the [0-9]+ Python packages of .*\n",
        said,
    )
    calls = [line for line in machine.calls("pip") if line != "pip -V"]
    assert calls[-5:-3] == [
        "pip tools/fetch.py versitygw/linux/amd64 restic/windows/amd64@0.18.1",
        "pip -m windows_lab template",
    ]
    fetched = [line for line in calls if line.startswith("pip -m pip download --quiet --require-hashes")]
    assert [line.split(" -r ")[1].rsplit("/", 1)[-1] for line in fetched] == ["package", "requirements.txt"]
    # What is there is not downloaded again.
    assert machine.run("setup", "tests", **cache) == (0, "Installing Debian packages: chromium\n")


def test_grammalecte_is_fetched_once_whole_or_not_at_all(machine: Machine) -> None:
    cache = machine.folder / "cache"
    machine.program("apt-get", "exit 100")
    code, said = machine.run("setup", "grammar", PROSECOURS_CACHE=str(cache))
    assert (code, said.count("\n"), list(cache.glob("grammalecte-*[!w]"))) == (1, 2, [])
    assert "apt-get could not download python3-grammalecte" in said
    machine.program("apt-get", ": >python3-grammalecte_2.deb")
    machine.program("dpkg-deb", "mkdir -p usr/lib/python3/dist-packages/grammalecte")
    code, said = machine.run("setup", "grammar", PROSECOURS_CACHE=str(cache))
    assert (code, said) == (
        0,
        "Fetching Grammalecte (3 MB), which reads the French for make lint (package python3-grammalecte);"
        " it is not installed\n",
    )
    assert machine.run("setup", "grammar", PROSECOURS_CACHE=str(cache)) == (0, "")


def test_apt_that_fails_is_told_with_its_reason(machine: Machine) -> None:
    _lacks_wine(machine)
    machine.program("id", "echo 0")
    machine.program("apt-get", '[ "$1" = update ] || { echo "E: no space left"; exit 100; }')
    code, text = machine.setup("packages")
    assert code == 1
    assert "E: no space left\napt-get could not install wine wine64; its whole output is in " in text


def test_another_system_is_told_what_to_install(machine: Machine) -> None:
    (machine.programs / "dpkg-query").unlink()
    code, text = machine.setup("packages")
    assert code == 1
    assert text.startswith("This is not Debian or Ubuntu: install Python 3.11 to 3.13, Wine")


def _python(machine: Machine, pip: str) -> None:
    """A Python that answers questions and makes a .venv of one file, whose pip does `pip`."""
    made = f'#!/bin/bash\\necho "pip $*" >>{machine.calls_file}\\n{pip}\\n'
    machine.program(
        "python3",
        f'if [ "$1" = -c ]; then exec {sys.executable} "$@"; fi\n'
        f"mkdir -p .venv/bin; printf '{made}' >.venv/bin/python; /bin/chmod +x .venv/bin/python",
    )


def test_a_second_run_finds_the_environment_ready(machine: Machine) -> None:
    _python(machine, "exit 0")
    code, text = machine.setup("venv")
    assert (code, text[:11]) == (0, "Installing ")
    assert "--require-hashes" in machine.calls("pip")[0]
    assert machine.setup("venv") == (0, "")
    assert machine.calls("pip") == []


def test_a_new_lock_updates_the_environment(machine: Machine) -> None:
    _python(machine, "exit 0")
    machine.setup("venv")
    (machine.checkout / ".venv" / "kept").touch()
    with (machine.checkout / "requirements-dev.txt").open("a") as lock:
        lock.write("another==1.0\n")
    machine.setup("venv")
    assert len(machine.calls("pip")) == 1
    assert not [call for call in machine.calls("python3") if "venv" in call]
    assert machine.setup("venv") == (0, "")


def test_two_at_once_install_once(machine: Machine) -> None:
    _python(machine, "sleep 1; exit 0")
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: machine.setup("venv", keep_calls=True), range(2))
    assert first[0] == second[0] == 0
    assert "Another make is setting up this checkout: waiting for it\n" in first[1] + second[1]
    assert len(machine.calls("pip")) == 1


def test_an_interrupted_installation_starts_again(machine: Machine) -> None:
    _python(machine, "kill -INT $PPID; sleep 0.2; exit 130")
    assert machine.setup("venv")[0] != 0
    _python(machine, "exit 0")
    assert machine.setup("venv")[0] == 0
    assert len(machine.calls("pip")) == 1
    assert machine.setup("venv") == (0, "")


def test_pip_that_fails_is_told(machine: Machine) -> None:
    _python(machine, "echo no route >&2; exit 1")
    code, text = machine.setup("venv")
    assert code == 1
    assert "no route\npip could not install requirements-dev.txt" in text


def test_an_unsupported_python_is_told(machine: Machine) -> None:
    for name in ("python3", "python3.11", "python3.12", "python3.13"):
        machine.program(name, "exit 1")
    if Path("/usr/bin/python3").exists():
        refusing = machine.checkout / "tools" / "setup"
        refusing.write_text(refusing.read_text().replace(" /usr/bin/python3;", ";"))
    code, text = machine.setup("venv")
    assert code == 1
    assert text.startswith("No Python 3.11 to 3.13 was found: install one")


def test_the_collection_gets_its_folders(machine: Machine) -> None:
    link = machine.checkout / "build/collections/ansible_collections/prosecours/backup"
    for _ in range(2):
        assert machine.setup("link") == (0, "")
        assert link.samefile(machine.checkout)
