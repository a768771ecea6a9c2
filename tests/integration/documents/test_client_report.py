"""playbooks/client_report.yml: one mail for each client that wants it, and none twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.prosecours.backup.plugins.plugin_utils.documents import client_report, mail
from support.playbook import Played, play
from unit.documents import fleet
from unit.documents.smtp_server import PASSWORD, USER, Inbox, of_the_provider

from windows_lab.certificates import Authority


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def smtp(authority: Authority) -> Iterator[tuple[mail.Server, Inbox]]:
    with of_the_provider(authority) as served:
        yield served


SERVER = {
    "ansible_host": "127.0.27.9",
    "prosecours_root": "D:\\",
    "prosecours_software": ["isagdwf"],
}


class Playbook:
    """playbooks/client_report.yml on an inventory of two clients, of whom one wants reports."""

    def __init__(self, folder: Path, report: dict[str, Any], server: mail.Server) -> None:
        self.folder = folder
        self.reports = folder / "reports"
        self.journal = folder / "journal"
        (self.reports / "monitoring").mkdir(parents=True)
        (self.reports / "monitoring" / "report.json").write_text(json.dumps(report), "utf-8")
        for number, wished in ((0, True), (1, False)):
            client = report["clients"][number]
            self.write(f"clients/{client['id']}.yml", {"prosecours_clients": {"children": {client["id"]: {
                "vars": {
                    "prosecours_client_name": client["name"],
                    "prosecours_contract_reference": client["reference"],
                    "prosecours_subscribed_gb": 50,
                    "prosecours_monthly_report": wished,
                    "prosecours_contact_main": client["contacts"]["main"],
                    "prosecours_repository_url": f"rest:https://127.0.27.9:{8000 + number}/",
                    "prosecours_repository_password": f"repository-{number}",
                    "prosecours_encryption_password": f"encryption-{number}",
                },
                "hosts": {f"srv{number}": {**SERVER, "ansible_host": f"127.0.27.{number + 1}"}},
            }}}})  # fmt: skip
        self.write("all_clients.yml", {"prosecours_clients": {"vars": {
            "prosecours_report_dir": str(self.reports),
            "prosecours_provider_contacts": fleet.PROVIDER,
            "prosecours_mail": {
                "host": server.host,
                "port": server.port,
                "username": USER,
                "password": PASSWORD,
                "ca_file": server.ca_file,
                "sender": server.sender,
            },
        }}})  # fmt: skip

    def write(self, name: str, content: dict[str, Any]) -> None:
        path = self.folder / "inventory" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(content, allow_unicode=True), "utf-8")

    def run(self, *more: str) -> Played:
        journal = {"PROSECOURS_JOURNAL": str(self.journal)}
        return play(self.folder / "inventory", "client_report", *more, environment=journal)


def test_the_playbook(authority: Authority, smtp: tuple[mail.Server, Inbox], tmp_path: Path) -> None:
    server, inbox = smtp
    now = datetime.now(UTC)
    playbook = Playbook(tmp_path, fleet.report(2, now), server)
    month = client_report.month_of("", now)
    folder = playbook.reports / "clients" / str(month)

    predicted = playbook.run("--check")
    assert predicted.code == 0, predicted.output
    assert "changed=1 " in predicted.output
    assert not folder.exists()
    assert inbox.messages == []

    done = playbook.run("-vvv")
    assert done.code == 0, done.output
    assert "changed=1 " in done.output
    assert PASSWORD not in done.output
    assert sorted(path.name for path in folder.iterdir()) == [
        ".lock",
        f"sauvegardes-{month}-gaec_du_moulin.html",
        f"sauvegardes-{month}-gaec_du_moulin.pdf",
        "sent.json",
    ]
    assert [message["To"] for message in inbox.messages] == ["elodie.lefevre@gaec-du-moulin.example"]

    journalled = json.loads(playbook.journal.read_text("utf-8").splitlines()[-1])
    details = [row["details"] for row in journalled["rows"] if row["details"]]
    assert {"month": str(month), "sent_to": ["elodie.lefevre@gaec-du-moulin.example"]} in details
    assert PASSWORD not in playbook.journal.read_text("utf-8")

    second = playbook.run()
    assert second.code == 0, second.output
    assert "changed=0 " in second.output
    assert len(inbox.messages) == 1

    unknown = playbook.run("-e", "prosecours_report_client=gaec_du_moulain")
    assert unknown.code == 2
    said = unknown.output
    assert "There is no client" in said
    assert "Did you mean" in said
