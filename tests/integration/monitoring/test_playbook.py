"""The action as a scheduler meets it: exit codes, files, mail to a real SMTP server, a watchdog and a channel
behind a real HTTPS server. No server is asked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.playbook import play
from unit.documents.smtp_server import PASSWORD, USER, Inbox, running
from unit.monitoring.fleet import CONTRACT, HOST, HOSTS, STATUS, TASK, drift, server
from unit.monitoring.https_server import TOKEN, Heard, listening

from windows_lab.certificates import Authority


@dataclass
class Site:
    """A play of the role on this machine, with what the plays before would have registered."""

    folder: Path
    inbox: Inbox
    heard: Heard
    authority: str
    variables: dict[str, Any] = field(default_factory=dict)

    def play(self, facts: dict[str, Any], *arguments: str, **variables: Any) -> tuple[int, str]:
        inventory = {
            "prosecours_clients": {
                "hosts": {HOST: {"agent_monitor": facts}},
                "vars": {
                    "contract_result": {
                        "clients": {CONTRACT.id: CONTRACT.plain()},
                        "hosts": {name: one.plain() for name, one in HOSTS.items()},
                    },
                    **self.variables,
                    **variables,
                },
            },
            "prosecours_repositories": {
                "hosts": {"depot": {"status_result": {"clients": {CONTRACT.id: STATUS}, "failures": {}}}}
            },
        }
        (self.folder / "hosts.yml").write_text(yaml.safe_dump(inventory), "utf-8")
        tasks = [
            {"hosts": "prosecours_clients", "gather_facts": False, "roles": ["prosecours.backup.monitor"]}
        ]
        (self.folder / "play.yml").write_text(yaml.safe_dump(tasks), "utf-8")
        environment = {
            "PROSECOURS_JOURNAL": str(self.folder / "journal"),
            "REQUESTS_CA_BUNDLE": self.authority,
        }
        played = play(
            self.folder / "hosts.yml", self.folder / "play.yml", *arguments, environment=environment
        )
        return played.code, played.output

    @property
    def report(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(
            (self.folder / "reports" / "monitoring" / "report.json").read_text("utf-8")
        )
        return found


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    authority = Authority(tmp_path / "authority")
    with running(authority) as (port, inbox), listening(authority) as heard:
        made = Site(tmp_path, inbox, heard, str(authority.certificate_path))
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
            "prosecours_monitor_watchdog": f"https://{heard.place}/alive-{TOKEN}",
            "prosecours_monitor_channels": [f"jsons://{heard.place}/told-{TOKEN}"],
        }
        yield made


NOW_OFF = server(**drift("task", TASK, "disabled"), watched={TASK: "xx"})


def test_an_alarm_from_its_mail_to_its_end(site: Site) -> None:
    code, output = site.play(NOW_OFF, "--check")
    assert (code, site.inbox.messages, site.heard.paths) == (2, [], [])
    assert not (site.folder / "reports").exists()

    code, output = site.play(NOW_OFF, "-vvv")
    assert code == 2
    assert "CRITICAL  gaec_du_moulin" in output
    assert "severity warning or critical: gaec_du_moulin" in output
    assert PASSWORD not in output
    assert TOKEN not in output
    assert site.heard.paths == [f"/told-{TOKEN}", f"/alive-{TOKEN}"], "bad findings are no bad round"
    [mail] = site.inbox.messages
    assert mail["To"] == "systemes@prestataire.example", "a task that is disabled concerns the systems"
    [page] = mail.iter_attachments()
    assert page.get_filename() == "surveillance.html"
    assert "concerne les systèmes (systemes@prestataire.example)" in page.get_payload(decode=True).decode()

    assert site.play(NOW_OFF)[0] == 2
    assert len(site.inbox.messages) == 1, "told twice"
    assert site.heard.paths[2:] == [f"/alive-{TOKEN}"]
    assert site.play({})[0] == 2  # as by --limit: this server was not asked
    assert len(site.heard.paths) == 3, "a round that is not whole gives no sign of life"
    code, output = site.play(NOW_OFF, prosecours_monitor_fail_on="never")
    assert code == 0, output

    facts = server(status__start="2099-01-01T00:00:00Z")
    letters = site.folder / "documents" / CONTRACT.id / "consignes.json"
    letters.parent.mkdir(parents=True)
    letters.write_text("{")
    site.play(facts)
    told = {mail["To"]: mail.get_body(("plain",)).get_content() for mail in site.inbox.messages[1:]}
    assert set(told) == {"applications@prestataire.example", "systemes@prestataire.example"}
    assert "courriers reçus" in told["applications@prestataire.example"]
    assert "courriers reçus" not in told["systemes@prestataire.example"]
    assert "task_disabled" in {finding["kind"] for finding in site.report["closed"]}
    assert "letters_unknown" in {finding["kind"] for finding in site.report["clients"][0]["findings"]}
    assert site.report["journal"]["entries"] > 0


def test_a_mail_server_that_refuses_costs_a_sentence_and_no_report(site: Site) -> None:
    wrong = {**site.variables["prosecours_mail"], "password": "wrong"}
    site.heard.answers[f"/told-{TOKEN}"] = (503, "")
    code, output = site.play(NOW_OFF, prosecours_mail=wrong, prosecours_monitor_fail_on="never")
    assert code == 2
    assert "refuses the login" in output
    assert "Channel 1 (JSON) was not told what monitoring found (HTTP 503)" in " ".join(output.split())
    assert "Traceback" not in output
    assert site.heard.paths[-1] == f"/alive-{TOKEN}/fail"
    site.heard.answers.clear()
    statuses = {finding["status"] for client in site.report["clients"] for finding in client["findings"]}
    assert statuses == {"new"}
    assert site.play(NOW_OFF, prosecours_monitor_fail_on="never")[0] == 0
    assert len(site.inbox.messages) == 1, "what could not be told is told now"
