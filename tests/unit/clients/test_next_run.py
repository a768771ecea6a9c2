"""What new_client.yml and server.yml say to run next: lines that work as they stand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible import context
from ansible_collections.prosecours.backup.plugins.plugin_utils.ansible_adapter import next_run

CHECKOUT = Path("/srv/checkout")
INSTALLED = Path("/usr/share/ansible/collections/ansible_collections/prosecours/backup/playbooks")


@pytest.mark.parametrize(
    ("playbooks", "given", "line"),
    [
        (CHECKOUT / "playbooks", {}, "ansible-playbook -i mine playbooks/deploy.yml"),
        (
            CHECKOUT / "playbooks",
            {"ask_vault_pass": True},
            "ansible-playbook -i mine --ask-vault-pass playbooks/deploy.yml",
        ),
        (Path("/elsewhere/playbooks"), {}, "ansible-playbook -i mine /elsewhere/playbooks/deploy.yml"),
        (
            INSTALLED,
            {"vault_password_files": ["/etc/the vault"], "vault_ids": ["a@prompt"]},
            "ansible-playbook -i mine --vault-id a@prompt --vault-password-file '/etc/the vault'"
            " prosecours.backup.deploy",
        ),
    ],
    ids=["checkout", "asked for the password", "from elsewhere", "installed"],
)
def test_the_line_that_follows(
    playbooks: Path, given: dict[str, Any], line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(context, "CLIARGS", given)
    monkeypatch.setattr(Path, "cwd", lambda: CHECKOUT)
    assert next_run(playbooks, [Path("mine")])("deploy") == line
