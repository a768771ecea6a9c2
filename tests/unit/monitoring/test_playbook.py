"""The action as a scheduler meets it: exit codes, files, mail to a real SMTP server. No server is asked."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from unit.mail.smtp_server import PASSWORD, USER, Inbox, running
from windows_lab.certificates import Authority

from .fleet import CONTRACT, HOST, HOSTS, STATUS, TASK, drift, server

CHECKOUT = Path(__file__).resolve().parents[3]


@dataclass
class Site:
    """A play of the role on this machine, with what the plays before would have registered."""

    folder: Path
    inbox: Inbox
    variables: dict[str, Any] = field(default_factory=dict)

    def play(self, facts: dict[str, Any], *arguments: str, **variables: Any) -> tuple[int, str]:
        inventory = {
            "prosecours_clients": {
                "hosts": {HOST: {"agent_monitor": facts}},
                "vars": {
                    "contract_result": {"clients": {CONTRACT["id"]: CONTRACT}, "hosts": HOSTS},
                    **self.variables,
                    **variables,
                },
            },
            "prosecours_repositories": {
                "hosts": {"depot": {"status_result": {"clients": {CONTRACT["id"]: STATUS}}}}
            },
        }
        (self.folder / "hosts.yml").write_text(yaml.safe_dump(inventory), "utf-8")
        tasks = [
            {"hosts": "prosecours_clients", "gather_facts": False, "roles": ["prosecours.backup.monitor"]}
        ]
        (self.folder / "play.yml").write_text(yaml.safe_dump(tasks), "utf-8")
        done = subprocess.run(
            ["ansible-playbook", "-i", self.folder / "hosts.yml", self.folder / "play.yml", *arguments],
            cwd=CHECKOUT,
            env=os.environ | {"ANSIBLE_NOCOLOR": "1", "PROSECOURS_JOURNAL": str(self.folder / "journal")},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    @property
    def report(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(
            (self.folder / "reports" / "monitoring" / "report.json").read_text("utf-8")
        )
        return found


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    authority = Authority(tmp_path / "authority")
    with running(authority) as (port, inbox):
        made = Site(tmp_path, inbox)
        made.variables = {
            "prosecours_report_dir": str(tmp_path / "reports"),
            "prosecours_provider_contacts": {
                "applications": "applications@prestataire.example",
                "systems": "systemes@prestataire.example",
                "telephone": "03 44 00 00 00",
            },
            "prosecours_mail": {
                "host": "localhost",
                "port": port,
                "sender": "surveillance@prestataire.example",
                "username": USER,
                "password": PASSWORD,
                "ca_file": str(authority.certificate_path),
            },
        }
        yield made


NOW_OFF = server(**drift("task", TASK, "disabled"), watched={TASK: "xx"})


def test_an_alarm_from_its_mail_to_its_end(site: Site) -> None:
    code, output = site.play(NOW_OFF, "--check")
    assert (code, site.inbox.messages) == (2, [])
    assert not (site.folder / "reports").exists()

    code, output = site.play(NOW_OFF)
    assert code == 2
    assert "CRITICAL  gaec_du_moulin" in output
    assert "severity warning or critical: gaec_du_moulin" in output
    assert PASSWORD not in output
    [mail] = site.inbox.messages
    assert mail["To"] == "applications@prestataire.example, systemes@prestataire.example"
    assert [part.get_filename() for part in mail.iter_attachments()] == ["surveillance.html"]

    assert site.play(NOW_OFF)[0] == 2
    assert len(site.inbox.messages) == 1, "told twice"
    code, output = site.play(NOW_OFF, prosecours_monitor_fail_on="never")
    assert code == 0, output

    facts = server(status__start="2099-01-01T00:00:00Z")
    site.play(facts)
    assert len(site.inbox.messages) == 2
    assert "task_disabled" in {finding["kind"] for finding in site.report["closed"]}
    assert site.report["journal"]["entries"] > 0


def test_a_mail_server_that_refuses_costs_a_sentence_and_no_report(site: Site) -> None:
    wrong = {**site.variables["prosecours_mail"], "password": "wrong"}
    code, output = site.play(NOW_OFF, prosecours_mail=wrong, prosecours_monitor_fail_on="never")
    assert code == 2
    assert "refuses the login" in output
    assert "Traceback" not in output
    statuses = {finding["status"] for client in site.report["clients"] for finding in client["findings"]}
    assert statuses == {"new"}
    assert site.play(NOW_OFF, prosecours_monitor_fail_on="never")[0] == 0
    assert len(site.inbox.messages) == 1, "what could not be told is told now"
