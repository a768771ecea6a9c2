"""playbooks/server.yml as technicians use it: a server gets another name, and one leaves."""

from __future__ import annotations

import json
import os
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible_collections.prosecours.backup.plugins.plugin_utils import binaries
from support.inventory import repository_host, write
from support.playbook import Played, play
from support.sealed import empty_repository

FILE = """\
---
# A client, as somebody wrote it
prosecours_clients:
  children:
    gaec:
      vars:
        # The contract
        prosecours_client_name: "GAEC d'Été"   # with a comment of its own
        prosecours_contract_reference: PS-1
        prosecours_subscribed_gb:   5
        prosecours_contact_main: {title: Mme, first_name: Zoé, name: Petit,
          email: z@ete.example.com, mobile: "06 12 34 56 78"}
        prosecours_repository_url: rest:https://depot.example:8041/
        prosecours_repository_password: "repository-of-{{ inventory_hostname }}"
        prosecours_encryption_password: "encryption-of-{{ inventory_hostname }}"

      # Annexe 1
      hosts:
        # The big one
        ete-srv1:
          ansible_host: 10.0.0.1
          prosecours_office:
            - D:\\Données   # since 2019
        # The old one
        ete-sql:
          ansible_host: 10.0.0.2
          prosecours_office: ['E:\\SQL']
# The end
"""
SAID = ("-e", '{"prosecours_instruction": "e-mail of Mme Petit of 3 May"}')


class _Loader(yaml.SafeLoader):
    """A client's file as YAML has it; what is in the vault stays closed."""


_Loader.add_constructor("!vault", lambda loader, node: node.value)  # type: ignore[no-untyped-call]


class Provider:
    """A client with three servers, of which the first has a repository."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.depot, self.journal = folder, folder / "depot", folder / "journal"
        self.vault = folder / "vault"
        self.vault.write_text("Coffre\n", "utf-8")
        write(folder / "inventory" / "repositories.yml", repository_host(self.depot))
        self.path = folder / "inventory" / "clients" / "gaec.yml"
        self.path.parent.mkdir()
        self.path.write_text(FILE, "utf-8")
        empty_repository(self.depot / "data" / "gaec" / "ete-srv1", "encryption-of-ete-srv1")
        memory = self.depot / "state" / "gaec" / "ete-srv1"
        memory.mkdir(parents=True)
        (memory / "versions.json").write_text("{}")
        passwords = self.depot / "config" / "gaec" / "encryption-passwords"
        passwords.mkdir(parents=True)
        (passwords / "ete-srv1").write_text("encryption-of-ete-srv1\n")

    def run(self, *more: str, playbook: str = "server") -> Played:
        return play(
            self.folder / "inventory",
            playbook,
            *more,
            "--diff",
            f"--vault-password-file={self.vault}",
            environment={"PROSECOURS_JOURNAL": str(self.journal)},
        )

    def kept(self) -> list[str]:
        places = ("data/gaec", "state/gaec", "config/gaec/encryption-passwords")
        return sorted(f"{place}/{path.name}" for place in places for path in (self.depot / place).iterdir())

    def opened(self, text: str) -> str:
        return str(VaultLib([("default", VaultSecret(b"Coffre"))]).decrypt(text).decode())

    def data(self) -> Any:
        loaded = yaml.load(self.path.read_text("utf-8"), Loader=_Loader)  # noqa: S506
        return loaded["prosecours_clients"]["children"]["gaec"]


def server(which: str, **more: object) -> tuple[str, ...]:
    given = {"prosecours_server": which, **{f"prosecours_server_{key}": value for key, value in more.items()}}
    return ("-e", json.dumps(given))


def test_a_server_keeps_its_repository_by_another_name_and_one_leaves(tmp_path: Path) -> None:
    provider = Provider(tmp_path)
    before = provider.kept()
    lock = provider.depot / "data/gaec/ete-srv1/locks/one"
    lock.write_text("")
    refused = provider.run(*server("ete-srv1", name="ete-neuf"), *SAID)
    assert "A backup or a restore is under way" in refused.text
    lock.unlink()
    assert (provider.kept(), provider.path.read_text("utf-8")) == (before, FILE)

    to = server("ete-srv1", name="ete-neuf", address="10.0.0.9")
    foretold = provider.run(*to, *SAID, "--check")
    assert foretold.code == 0, foretold.output
    assert (provider.kept(), provider.path.read_text("utf-8")) == (before, FILE)
    # Cut between the host and the file: the second run finds the repository moved, and goes on.
    (provider.depot / "config/gaec/encryption-passwords/ete-srv1").rename(
        provider.depot / "config/gaec/encryption-passwords/ete-neuf"
    )
    renamed = provider.run(*to, *SAID)
    assert renamed.code == 0, renamed.output
    assert set(renamed.changes) <= set(foretold.changes)
    assert provider.kept() == [one.replace("ete-srv1", "ete-neuf") for one in before]
    text = provider.path.read_text("utf-8")
    lines = text.splitlines()
    assert [line for line in FILE.splitlines() if line not in lines] == [
        "        ete-srv1:",
        "          ansible_host: 10.0.0.1",
    ]
    new = provider.data()["hosts"]["ete-neuf"]
    assert list(provider.data()["hosts"]) == ["ete-neuf", "ete-sql"]
    assert new["ansible_host"] == "10.0.0.9"
    # The inventory made its passwords of the name that is gone; its versions are read with what it had.
    assert provider.opened(new["prosecours_repository_password"]) == "repository-of-ete-srv1"
    password = provider.opened(new["prosecours_encryption_password"])
    restic = binaries.cached(binaries.artefact("restic", "linux/amd64"), binaries.default_cache())
    assert restic is not None
    read = [str(restic.path), "--no-cache", "-r", str(provider.depot / "data/gaec/ete-neuf"), "cat", "config"]
    subprocess.run(read, env={**os.environ, "RESTIC_PASSWORD": password}, check=True, capture_output=True)

    gone = server("ete-sql", retire=True)
    retired = provider.run(*gone, *SAID)
    assert retired.code == 0, retired.output
    assert [
        line for line in text.splitlines() if line not in provider.path.read_text("utf-8").splitlines()
    ] == [
        "        ete-sql:",
        "          ansible_host: 10.0.0.2",
        "          prosecours_office: ['E:\\SQL']",
    ]
    (left,) = provider.data()["vars"]["prosecours_retired_servers"].items()
    assert left[0] == "ete-sql"
    assert left[1]["date"] == datetime.now(ZoneInfo("Europe/Paris")).date()
    assert provider.opened(left[1]["encryption_password"]) == "encryption-of-ete-sql"
    back = provider.run(*server("ete-neuf", name="ete-sql"), *SAID)
    assert "has left, and its repository is kept by that name" in back.text
    assert provider.run(playbook="check").code == 0
    kept = provider.journal.read_text("utf-8")
    assert "e-mail of Mme Petit of 3 May" in kept
    assert '"renamed_to":"ete-neuf"' in kept
    assert "encryption-of" not in kept + renamed.output + retired.output
