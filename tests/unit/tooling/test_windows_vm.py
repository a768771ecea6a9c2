"""What leads to a real Windows cannot run here; what can be said of it without one is said."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import tree_sitter
import tree_sitter_powershell
import yaml

from tools.record import direct
from tools.record.__main__ import arguments

CHECKOUT = Path(__file__).parents[3]
VM = CHECKOUT / "tools" / "windows-vm"


def start(tmp_path: Path, version: str, docker: str | None, kvm: Path) -> subprocess.CompletedProcess[str]:
    """tools/windows-vm/start with this docker (a script's text, None: there is none) and this KVM."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("dirname", "openssl", "mkdir", "cp", "cat", "env", "bash"):
        (programs / name).symlink_to(f"/usr/bin/{name}")
    if docker is not None:
        (programs / "docker").write_text(f"#!/bin/bash\n{docker}\n")
        (programs / "docker").chmod(0o755)
    environment = {"PATH": str(programs), "BUILD": str(tmp_path / "build"), "KVM": str(kvm)}
    return subprocess.run(
        [VM / "start", version], env=environment, capture_output=True, text=True, check=False
    )


def test_without_kvm_and_docker_it_says_what_it_needs(tmp_path: Path) -> None:
    done = start(tmp_path, "2022", None, tmp_path / "none")
    assert (done.returncode, done.stdout) == (1, "")
    assert "KVM" in done.stderr
    assert "Docker" in done.stderr
    assert not (tmp_path / "build").exists()


def test_another_windows_is_refused(tmp_path: Path) -> None:
    assert start(tmp_path, "2012", "", tmp_path).stderr == "VERSION is 2012. Use 2016, 2019, 2022 or 2025.\n"


def test_all_that_the_first_boot_needs_is_laid_ready(tmp_path: Path) -> None:
    docker = f'[ "$*" = "compose version" ] || echo "$VERSION $PASSWORD $BUILD $*" >{tmp_path}/called'
    done = start(tmp_path, "2019", docker, Path(os.devnull))
    assert done.returncode == 0, done.stderr
    build = tmp_path / "build"
    password = (build / "password.txt").read_text().strip()
    called = (tmp_path / "called").read_text()
    assert called == f"2019 {password} {build} compose --file tools/windows-vm/compose.yml up --detach\n"
    assert password not in done.stdout
    assert {path.name for path in (build / "oem").iterdir()} == {
        "install.bat", "winrm.ps1", "server.pfx", "pfx.txt",
    }  # fmt: skip
    verified = ["openssl", "verify", "-CAfile", build / "ca.pem", build / "server.pem"]
    assert subprocess.run(verified, capture_output=True, check=False).returncode == 0
    assert (build / "password.txt").stat().st_mode & 0o077 == 0


def test_the_compose_file_hands_over_what_start_makes() -> None:
    (service,) = yaml.safe_load((VM / "compose.yml").read_text())["services"].values()
    assert service["environment"]["LANGUAGE"] == "French"
    assert service["environment"]["DISK2_SIZE"]
    assert "/dev/kvm" in service["devices"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert any(volume.endswith(":/oem") for volume in service["volumes"])


def test_scripts_for_windows_are_what_it_reads() -> None:
    attributes = subprocess.run(
        ["git", "check-attr", "eol", VM / "oem" / "install.bat"],
        cwd=CHECKOUT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert attributes.stdout.endswith("eol: crlf\n")
    assert (VM / "oem" / "winrm.ps1").read_bytes().isascii()  # Windows PowerShell reads others as ANSI


def _steps() -> list[dict[str, Any]]:
    workflow = yaml.safe_load((CHECKOUT / ".github" / "workflows" / "windows.yml").read_text())
    steps: list[dict[str, Any]] = workflow["jobs"]["molecule"]["steps"]
    return steps


def _mistakes(script: bytes) -> list[bytes]:
    """The places in a script of PowerShell that its grammar has no word for."""
    language = tree_sitter.Language(tree_sitter_powershell.language())
    nodes, found = [tree_sitter.Parser(language).parse(script).root_node], []
    while nodes:
        node = nodes.pop()
        nodes += node.children
        if node.is_error or node.is_missing:
            found.append(script[max(0, node.start_byte - 40) : node.end_byte + 40])
    return found


def test_what_windows_is_to_run_is_powershell() -> None:
    scripts = [step["run"] for step in _steps() if step.get("shell") in ("powershell", "pwsh")]
    assert len(scripts) == 5
    for script in [(VM / "oem" / "winrm.ps1").read_text(), *scripts]:
        assert _mistakes(script.encode()) == []
    assert _mistakes(b"if ($a -eq 1) { Write-Output 'b' ")
    assert _mistakes(b"Set-Item -Path") == []


@pytest.mark.parametrize(
    ("holds", "shell"),
    [("New-LocalUser", "powershell"), ("molecule test", "wsl-bash {0}"), ("tools.record", "pwsh")],
)
def test_each_step_has_the_shell_that_it_needs(holds: str, shell: str) -> None:
    found = [step for step in _steps() if holds in step.get("run", "")]
    assert found
    assert {step["shell"] for step in found} == {shell}


def _place(word: str) -> int:
    """The number of the one step that runs or uses this."""
    [found] = [
        number
        for number, step in enumerate(_steps())
        if word in step.get("run", "") or word in step.get("uses", "")
    ]
    return found


def test_the_recorder_asks_first_in_windows_own_python() -> None:
    order = [
        _place(word)
        for word in (
            "New-LocalUser",
            "setup-python",
            "pip install",
            "tools.record t",
            "setup-wsl",
            "molecule test",
        )
    ]
    assert order == sorted(order)
    assert not [step for step in _steps()[: _place("setup-wsl")] if "wsl" in step.get("shell", "")]
    install, record = (_steps()[_place(word)] for word in ("pip install", "tools.record t"))
    assert "--require-hashes --only-binary :all: -r tools/record/requirements.txt" in install["run"]
    words = shlex.split(record["run"].replace("\\", "/"))
    assert words[:3] == ["python", "-m", "tools.record"]
    given = arguments().parse_args(words[3:])
    assert given.direct
    upload = next(step for step in _steps() if "upload-artifact" in step.get("uses", ""))
    assert upload["if"] == "always()"
    assert str(given.output.parent) == "$env:RUNNER_TEMP/kept"
    assert upload["with"]["path"] == "${{ runner.temp }}/kept"
    workflow = yaml.safe_load((CHECKOUT / ".github" / "workflows" / "windows.yml").read_text())
    told = {*workflow["jobs"]["molecule"]["env"], *record["env"], "PROSECOURS_WINDOWS_PASSWORD"}
    assert {*direct.VARIABLES.values()} - {"PROSECOURS_WINDOWS_PORT"} <= told


def test_the_password_is_on_no_command_line() -> None:
    """The step that makes it hands it on in a file, to the environment; a cmdlet is no program of its own."""
    lines = [line for step in _steps() for line in step.get("run", "").splitlines()]
    secret = [line for line in lines if "PASSWORD" in line or "$value" in line]
    assert len(secret) == 4
    for line in secret:
        assert re.search(r"^\$value = |::add-mask::|Out-File|ConvertTo-SecureString", line), line


def test_the_scenario_is_told_all_that_the_page_names() -> None:
    plays = _place("molecule test")
    page = (
        (CHECKOUT / "docs" / "molecule.md")
        .read_text("utf-8")
        .split("| variable | meaning |")[1]
        .split("\n\n")[0]
    )
    named = set(re.findall(r"PROSECOURS_\w+", page)) - {"PROSECOURS_WINDOWS_PORT"}  # the usual one
    assert {word.strip() for word in _steps()[plays]["env"]["WSLENV"].split(":")} == named | {"SCENARIO"}


def test_what_a_step_starts_it_ends() -> None:
    for step in _steps():
        script = step.get("run", "")
        assert (" &\n" in script) == ('trap "kill $!" EXIT' in script), step["name"]
