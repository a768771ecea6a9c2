"""A small inventory to break: files on disk, and their variables resolved as Ansible would, without it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible_collections.prosecours.backup.plugins.plugin_utils.ansible_adapter import tagged
from ansible_collections.prosecours.backup.plugins.plugin_utils.contract import contracts as contract
from ansible_collections.prosecours.backup.plugins.plugin_utils.validation.mistakes import Origin, Way

MOULIN = r"""
prosecours_clients:
  children:
    gaec_du_moulin:
      vars:
        prosecours_client_name: GAEC du Moulin
        prosecours_contract_reference: PS-2026-0042
        prosecours_subscribed_gb: 200
        prosecours_options: [import]
        prosecours_contact_main:
          title: Mme
          first_name: Élodie
          name: Lefèvre
          email: elodie@moulin.example
          mobile: "06 12 34 56 78"
        prosecours_contact_substitute:
          title: M.
          first_name: Gaëtan
          name: Lefèvre
          email: gaetan@moulin.example
          mobile: "+33 7 82 34 56 78"
      hosts:
        moulin-srv1:
          ansible_host: 127.0.1.11
          prosecours_root: D:\
          prosecours_software:
            - isagiwf_backup
            - isagiwf_giw
          prosecours_office:
            - D:\Bureautique
        moulin-sql:
          ansible_host: 127.0.1.12
          prosecours_root: D:\
          prosecours_software: [isagiwf_backup]
          prosecours_variants: [dedicated_sql_server]
""".lstrip()

LAC = r"""
prosecours_clients:
  children:
    ferme_du_lac:
      vars:
        prosecours_client_name: Ferme du Lac
        prosecours_contract_reference: PS-2026-0043
        prosecours_subscribed_gb: 20
        prosecours_contact_main:
          title: M.
          first_name: Jean
          name: Petit
          email: jean@lac.example
          mobile: "07 61 23 45 67"
      hosts:
        lac-srv:
          ansible_host: 127.0.1.13
          prosecours_office:
            - D:\Commun
""".lstrip()

SECRETS = {
    "prosecours_repository_url": "rest:https://{client}.example:8000/",
    "prosecours_repository_password": "S3cret-of-the-repository-of-{host}",
    "prosecours_encryption_password": "S3cret-of-the-encryption-of-{host}",
}


class Inventory:
    """Client files in a folder; `check` loads the contract from them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.documents = folder.parent / "documents"
        self.write("clients/moulin.yml", MOULIN)
        self.write("clients/lac.yml", LAC)

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def edit(self, name: str, *changes: tuple[str, str]) -> None:
        """Replaces each text, which must be there exactly once, by the other."""
        text = (self.folder / name).read_text(encoding="utf-8")
        for old, new in changes:
            assert text.count(old) == 1, f"{old!r} is {text.count(old)} times in {name}"
            text = text.replace(old, new)
        self.write(name, text)

    def resolved(self, failures: Mapping[str, Mapping[str, str]]) -> dict[str, contract.Resolved]:
        hosts: dict[str, dict[str, Any]] = {}
        for path in sorted((self.folder / "clients").glob("*.yml")):
            try:
                clients = yaml.safe_load(path.read_text(encoding="utf-8"))["prosecours_clients"]["children"]
                for client, parts in clients.items():
                    for host, own in parts["hosts"].items():
                        shared = {
                            name: value.format(client=client, host=host) for name, value in SECRETS.items()
                        }
                        hosts.setdefault(host, {}).update({**shared, **parts["vars"], **(own or {})})
            except (yaml.YAMLError, TypeError, KeyError, AttributeError, UnicodeDecodeError):
                continue  # As Ansible does: a file that it cannot read gives no hosts.
        found = {}
        for host, values in hosts.items():
            failed = failures.get(host, {})
            computed = {name: value for name, value in values.items() if name not in failed}
            found[host] = contract.Resolved(computed, failed, self._origin(host))
        return found

    def _origin(self, host: str) -> Callable[[Way], Origin | None]:
        """What Ansible's own reader of YAML knows of the places in a server's file."""

        def origin(way: Way) -> Origin | None:
            for path in sorted((self.folder / "clients").glob("*.yml")):
                try:
                    clients = DataLoader().load_from_file(str(path))["prosecours_clients"]["children"]
                    for parts in clients.values():
                        if host in parts["hosts"]:
                            return tagged({**parts["vars"], **(parts["hosts"][host] or {})}, way)
                except (AnsibleError, TypeError, KeyError, AttributeError):
                    continue
            return None

        return origin

    def check(self, failures: Mapping[str, Mapping[str, str]] | None = None) -> contract.Contract:
        playbook = self.folder / "playbooks"
        text_of: Callable[[Path], str] = Path.read_text
        resolved = self.resolved(failures or {})
        return contract.load([self.folder], playbook, text_of, resolved, self.documents)

    def errors(self, **failures: Mapping[str, str]) -> list[str]:
        """Every error as "file:line who key: problem → remedy"."""
        return [
            f"{error.file.name if error.file else '-'}:{error.line or '-'} {error.who} {error.key}: "
            f"{error.problem} → {error.remedy}"
            for error in self.check(failures).errors
        ]


@pytest.fixture
def inventory(tmp_path: Path) -> Inventory:
    return Inventory(tmp_path / "inventory")
