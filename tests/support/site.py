"""One lab of its own for the tests of whole playbooks: one client, one server. A plugin of pytest: who asks
for `site` shares it with all tests of the same worker.

The server is looked at through the lab, past WinRM and past the collection.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from support import inventory
from support.addresses import address
from support.playbook import Played, command, play
from windows_lab.cli import main as lab_cli
from windows_lab.control import Control

AGENT = r"C:\Program Files\ProSecours"


@dataclass
class Site:
    """A lab with one client in an inventory that tests may edit."""

    state: Path
    inventory: Path
    host: str
    client: str
    address: str
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def control(self) -> Control:
        return Control(self.state)

    def up(self) -> None:
        assert lab_cli(["up", "--state", str(self.state), "--inventory", str(self.inventory)]) == 0

    def play(self, playbook: str, *arguments: str, timeout: float = 300) -> Played:
        """Run a playbook of the collection on the site's inventory, as a technician does."""
        return play(self.inventory, playbook, *arguments, environment=self.environment, timeout=timeout)

    def command(self, playbook: str, *arguments: str) -> list[str]:
        return command(self.inventory, playbook, *arguments)

    def run(self, line: str) -> tuple[int, str]:
        """Run one line on the server, past WinRM; the exit code and what it printed."""
        printed = bytearray()
        code: int = self.control.ask(
            "run", host=self.host, line=line, output=lambda stream, data: printed.extend(data)
        )
        return code, printed.decode("utf-8", errors="replace")

    def expect(self, line: str) -> str:
        code, printed = self.run(line)
        assert code == 0, f"{line}: exit {code}: {printed}"
        return printed

    def wipe(self) -> None:
        """Bring the server back to a Windows without the agent; the repository stays."""
        self.control.ask("clear", host=self.host)
        self.control.ask("reset", host=self.host)
        self.run(r'schtasks /delete /tn "\ProSecours\Sauvegarde" /f')
        self.run(f'rmdir /s /q "{AGENT}"')

    def status(self) -> dict[str, Any]:
        """What the lab tells of the server: what it was asked (`counters`), the `faults` that still wait."""
        hosts = self.control.ask("status")["hosts"]
        found: dict[str, Any] = next(host for host in hosts if host["name"] == self.host)
        return found

    def counters(self) -> dict[str, Any]:
        """What the server was asked since the last reset."""
        asked: dict[str, Any] = self.status()["counters"]
        return asked

    def snapshots(self) -> list[dict[str, Any]]:
        """The snapshots of the client, read from the server with its own credentials."""
        found: list[dict[str, Any]] = json.loads(
            self.expect(f'"{AGENT}\\restic.cmd" snapshots --json --no-lock')
        )
        return found


def farm(client: str, host: str, address: str, reference: str, **settings: Any) -> dict[str, Any]:
    """The file of a client with one server on the lab; `settings` are the server's."""
    server = {
        "ansible_host": address,
        "prosecours_root": "D:\\",
        "prosecours_software": ["isa_sauvegarde_dossier", "isapawp"],
        "prosecours_office": [r"D:\Bureautique\Élevage & Cultures (2026)"],
        "lab_files": {
            r"D:\isa_sauvegarde_dossier\a.txt": "first",
            r"D:\isapawp\b.txt": "second",
            r"D:\Bureautique\Élevage & Cultures (2026)\c.txt": "third",
        },
        **settings,
    }
    return inventory.client(
        client,
        f"rest:https://{address}:8443/",
        {host: server},
        **inventory.OVER_WINRM,
        prosecours_contract_reference=reference,
        prosecours_subscribed_gb=10,
        prosecours_repository_ca=inventory.read_when_asked(inventory.LAB_CA),
    )


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The lab, up; its server has the data of the perimeter and no agent."""
    folder = tmp_path_factory.mktemp("site")
    own = address()
    inventory.write(folder / "inventory" / "ferme.yml", farm("ferme_du_val", "val-srv", own, "PS-2026-0500"))
    state = folder / "lab"
    environment = os.environ | {"PROSECOURS_LAB": str(state), "ANSIBLE_NOCOLOR": "1"}
    os.environ["PROSECOURS_LAB"] = str(state)
    made = Site(state, folder / "inventory", "val-srv", "ferme_du_val", own, environment)
    try:
        made.up()
        yield made
    finally:
        lab_cli(["down", "--state", str(state)])
        del os.environ["PROSECOURS_LAB"]


@pytest.fixture
def bare(site: Site) -> Site:
    """The site's server without agent, faults or counters."""
    site.wipe()
    return site
