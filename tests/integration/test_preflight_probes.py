"""What preflight learns of a server's registry by its own command line, on a lab server without WinRM."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.prosecours.backup.plugins.plugin_utils.preflight.facts import (
    Entry,
    Repository,
    Wanted,
    add_writers,
    gather,
)
from ansible_collections.prosecours.backup.plugins.plugin_utils.windows.session import Output
from lab.wine_host import run

from windows_lab.machine.protocol import UTF8
from windows_lab.programs.console import DOS_ATTRIBUTES
from windows_lab.server import WindowsServer

pytestmark = pytest.mark.lab

FOLDER = r"C:\Program Files\ProSecours"


class Direct:
    """A session without WinRM in between."""

    host = "srv"
    clock_offset = None

    def __init__(self, machine: WindowsServer, codepage: int = UTF8) -> None:
        self.machine = machine
        self.codepage = codepage

    def run(self, line: str, stdin: Iterable[bytes] = (), timeout: float = 120.0) -> Output:
        answer = run(self.machine, line, b"".join(stdin), codepage=self.codepage)
        return Output(answer.code, answer.out, answer.err)


@pytest.mark.parametrize(("defender", "defended"), [("on", True), ("c:\\program files", False)])
def test_network_drives_and_defender(tmp_path: Path, defender: str, defended: bool) -> None:
    settings = {
        "lab_drives": ["D"],
        "lab_network_drives": {"I": "\\\\nas\\isa data"},
        "lab_defender": defender,
        "lab_shell_memory": 512,
        "lab_vss_writers": {"Base d'été": 7},
    }
    machine = WindowsServer("srv", tmp_path, settings, {"Administrateur": "x"})
    machine.prepare()
    try:
        for name, attributes in (("a.txt", b"0x4020"), ("b.txt", b"0x401620"), ("c.txt", b"0x20")):
            run(machine, f"mkdir D:\\bureau\\sous & echo 1 >D:\\bureau\\sous\\{name}")
            os.setxattr(machine.drives.find(f"D:\\bureau\\sous\\{name}"), DOS_ATTRIBUTES, attributes)
        perimeter = (Entry("office", "I:\\isagri", "directory"), Entry("office", "D:\\bureau", "directory"))
        wanted = Wanted(perimeter, FOLDER, Repository("local:x"))
        session = Direct(machine)
        facts = add_writers(session, gather(session, wanted)[0])  # type: ignore[arg-type]
        # A console of another code page prints other bytes for the same facts.
        codepage = 437 if defended else 850
        session = Direct(machine, codepage)
        again = add_writers(session, gather(session, wanted)[0])  # type: ignore[arg-type]
        assert replace(again, free=facts.free) == facts
    finally:
        machine.close()
    assert facts.mapped == {"I": "\\\\nas\\isa data"}
    assert facts.entries[0].missing
    assert facts.defended is defended
    assert facts.shell_memory == 512
    assert [one for one in facts.writers if one.state != 1] == [("Base d'été", 7)]
    assert ("System Writer", 1) in facts.writers
    assert [entry.apart for entry in facts.entries] == [0, 2], "encrypted by EFS; a placeholder of OneDrive"
