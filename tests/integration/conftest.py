"""One lab of its own for the tests of whole playbooks: one client, one server, addresses 127.0.5.x.

The server is looked at through the lab, past WinRM and past the collection.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from windows_lab.cli import main as lab_cli
from windows_lab.control import Control

CHECKOUT = Path(__file__).resolve().parents[2]
AGENT = r"C:\Program Files\ProSecours"

CLIENT = r"""
prosecours_clients:
  children:
    {client}:
      vars:
        lab: "{{{{ lookup('ansible.builtin.env', 'PROSECOURS_LAB') }}}}"
        prosecours_client_name: {client}
        prosecours_reason: the lab keeps no office hours
        prosecours_contract_reference: {reference}
        prosecours_subscribed_gb: 10
        prosecours_contact_main:
          title: Mme
          first_name: Jeanne
          name: Martin
          email: jeanne.martin@ferme.example.com
          mobile: "06 12 34 56 78"
        prosecours_repository_url: rest:https://{address}:8443/{client}/
        prosecours_repository_username: {client}
        prosecours_repository_password: repository-of-{client}
        prosecours_encryption_password: encryption-of-{client}
        prosecours_repository_ca: "{{{{ lookup('ansible.builtin.file', lab ~ '/ca.pem') }}}}"
      hosts:
        {host}:
          ansible_host: {address}
          ansible_connection: ansible.builtin.winrm
          ansible_port: 5986
          ansible_winrm_transport: ntlm
          ansible_winrm_ca_trust_path: "{{{{ lab }}}}/ca.pem"
          ansible_user: technicien
          ansible_password: Mot2Passe
          prosecours_root: 'D:\'
          prosecours_software: [isa_sauvegarde_dossier, isapawp]
          prosecours_office: ['D:\Bureautique\Élevage & Cultures (2026)']
          lab_files:
            'D:\isa_sauvegarde_dossier\a.txt': first
            'D:\isapawp\b.txt': second
            'D:\Bureautique\Élevage & Cultures (2026)\c.txt': third
"""


@dataclass(frozen=True)
class Played:
    """What one ansible-playbook run left: its exit code and all that it printed."""

    code: int
    output: str

    @property
    def recap(self) -> dict[str, int]:
        """The counters of the last line of the recap (one host)."""
        last = [line for line in self.output.splitlines() if "ok=" in line and "failed=" in line][-1]
        pairs = (part.split("=") for part in last.split(":", 1)[1].split())
        return {name: int(number) for name, number in pairs}


@dataclass
class Site:
    """A lab with one client in an inventory that tests may edit."""

    state: Path
    inventory: Path
    host: str
    client: str
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def control(self) -> Control:
        return Control(self.state)

    def up(self) -> None:
        assert lab_cli(["up", "--state", str(self.state), "--inventory", str(self.inventory)]) == 0

    def play(self, playbook: str, *arguments: str, timeout: float = 300) -> Played:
        """Run a playbook of the collection on the site's inventory, as a technician does."""
        done = subprocess.run(
            self.command(playbook, *arguments),
            cwd=CHECKOUT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        return Played(done.returncode, done.stdout + done.stderr)

    def command(self, playbook: str, *arguments: str) -> list[str]:
        return ["ansible-playbook", "-i", str(self.inventory), f"playbooks/{playbook}.yml", *arguments]

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

    def counters(self) -> dict[str, Any]:
        """What the server was asked since the last reset."""
        hosts = self.control.ask("status")["hosts"]
        found: dict[str, Any] = next(host["counters"] for host in hosts if host["name"] == self.host)
        return found

    def snapshots(self) -> list[dict[str, Any]]:
        """The snapshots of the client, read from the server with its own credentials."""
        found: list[dict[str, Any]] = json.loads(
            self.expect(f'"{AGENT}\\restic.cmd" snapshots --json --no-lock')
        )
        return found


def client_file(client: str, host: str, address: str, reference: str) -> str:
    """The whole of one client's file."""
    return dedent(CLIENT).format(client=client, host=host, address=address, reference=reference).lstrip()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The lab, up; its server has the data of the perimeter and no agent."""
    folder = tmp_path_factory.mktemp("site")
    inventory = folder / "inventory"
    inventory.mkdir()
    (inventory / "ferme.yml").write_text(
        client_file("ferme_du_val", "val-srv", "127.0.5.11", "PS-2026-0500"), encoding="utf-8"
    )
    state = folder / "lab"
    environment = os.environ | {
        "PROSECOURS_LAB": str(state),
        "ANSIBLE_NOCOLOR": "1",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    os.environ["PROSECOURS_LAB"] = str(state)
    made = Site(state, inventory, "val-srv", "ferme_du_val", environment)
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
