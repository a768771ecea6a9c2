"""The mail after a monitoring run: what is news, what is none, and what is said when it cannot be sent."""

from __future__ import annotations

import copy
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.prosecours.backup.plugins.plugin_utils import options as declared
from ansible_collections.prosecours.backup.plugins.plugin_utils.documents import mail
from ansible_collections.prosecours.backup.plugins.plugin_utils.monitoring import mail as monitoring_mail
from unit.documents import fleet
from unit.documents.pages import Page, plain
from unit.documents.smtp_server import PASSWORD, USER, running

from windows_lab.certificates import Authority

MAIL = declared.documented("findings")["mail"]["suboptions"]
TO = ("noc@groupeisagri.example",)


@pytest.fixture
def report() -> dict[str, Any]:
    return fleet.report(10)


def _with(report: dict[str, Any], *statuses: str) -> dict[str, Any]:
    """The report with only the findings of these statuses."""
    changed = copy.deepcopy(report)
    for client in changed["clients"]:
        client["findings"] = [one for one in client["findings"] if one["status"] in statuses]
    changed["closed"] = changed["closed"] if "closed" in statuses else []
    return changed


def test_what_is_new_reminded_or_closed_is_told(report: dict[str, Any]) -> None:
    message = monitoring_mail.announcement(fleet.typed(report), TO)
    assert message is not None
    assert plain(message.subject) == (
        "Sauvegardes : 4 nouveaux, 2 rappels, 1 clos "
        "(GAEC des Trois Chênes, EARL du Gué, SCEA Saint-Aubin-en-Bray et Villers-sur-Auchy et 3 autres)"
    )
    page = Page(message.html)
    for text in (plain(message.text), page.all("body")[0]):
        for client in report["clients"]:
            for finding in client["findings"]:
                assert (plain(finding["sentence_fr"]) in text) == (finding["status"] != "open")
                assert (plain(finding["remedy_fr"]) in text) == (finding["status"] != "open")
        assert "4 en état critique, 3 en avertissement, 1 à noter, 2 en ordre." in text
        assert "clos le 23/11/2026 14 h 05" in text
    headings = [line for line in message.text.splitlines() if line in ("NOUVEAU", "TOUJOURS OUVERT", "CLOS")]
    assert headings == ["NOUVEAU", "TOUJOURS OUVERT", "CLOS"]
    assert page.all("h2") == ["Nouveau", "Toujours ouvert", "Clos"]


@pytest.mark.parametrize(
    ("provider", "told"),
    [
        ({"applications": "a@x", "systems": "s@x"}, {"applications": "a@x", "systems": "s@x"}),
        ({"applications": "a@x", "systems": None}, {"applications": "a@x", "systems": "a@x"}),
        ({"systems": "s@x", "telephone": "03"}, {"applications": "s@x", "systems": "s@x"}),
        ({"telephone": "03"}, {}),
        ({}, {}),
    ],
)
def test_who_is_told_of_what(provider: dict[str, str | None], told: dict[str, str]) -> None:
    assert monitoring_mail.contacts(provider) == told


def test_a_mail_names_whoever_is_told_the_rest(report: dict[str, Any]) -> None:
    report["provider"] = {"applications": "iah@groupeisagri.example", "systems": TO[0]}
    message = monitoring_mail.announcement(fleet.typed(report), TO)
    assert message is not None
    said = "Ce qui concerne les applications est dit à iah@groupeisagri.example."
    for text in (plain(message.text), Page(message.html).all("body")[0]):
        assert said in text
        assert "Ce qui concerne les systèmes" not in text
    report["provider"]["applications"] = TO[0]
    alone = monitoring_mail.announcement(fleet.typed(report), TO)
    assert alone is not None
    assert "Ce qui concerne" not in alone.text + alone.html


@pytest.mark.parametrize("statuses", [(), ("open",)])
def test_what_was_told_is_not_told_again(statuses: tuple[str, ...], report: dict[str, Any]) -> None:
    assert monitoring_mail.announcement(fleet.typed(_with(report, *statuses)), TO) is None
    assert monitoring_mail.announce(fleet.typed(_with(report, *statuses)), partial(mail.server, {}), TO) == []


def test_one_client_alone(report: dict[str, Any]) -> None:
    message = monitoring_mail.announcement(fleet.typed(_with(report, "closed")), TO)
    assert message is not None
    assert plain(message.subject) == "Sauvegardes : 1 clos (GAEC du Moulin)"


def test_it_arrives_with_its_report(report: dict[str, Any], tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    (tmp_path / "surveillance.html").write_text("<p>é</p>", "utf-8")
    with running(authority) as (port, inbox):
        options = {
            **{name: option.get("default") for name, option in MAIL.items()},
            "host": "localhost",
            "port": port,
            "sender": "surveillance@groupeisagri.example",
            "username": USER,
            "password": PASSWORD,
            "ca_file": str(authority.certificate_path),
        }
        problems = monitoring_mail.announce(
            fleet.typed(report),
            partial(mail.server, options),
            TO,
            [str(tmp_path / "surveillance.html"), str(tmp_path / "absent.pdf")],
        )
        refused = monitoring_mail.announce(
            fleet.typed(report), partial(mail.server, {**options, "password": "x"}), TO
        )
    assert problems == [
        f"{tmp_path / 'absent.pdf'} cannot be attached: No such file or directory. See that it can be read."
    ]
    assert refused == [
        f"localhost:{port} refuses the login surveillance (535). "
        "See username and password of prosecours_mail."
    ]
    (arrived,) = inbox.messages
    assert [part.get_filename() for part in arrived.iter_attachments()] == ["surveillance.html"]
    assert "Ci-joint : surveillance.html" in plain(arrived.get_body(("plain",)).get_content())


def test_what_others_wrote_is_text(report: dict[str, Any]) -> None:
    report["clients"][3]["name"] = "<script>\nBcc: x"
    message = monitoring_mail.announcement(fleet.typed(report), TO)
    assert message is not None
    assert "<script" not in message.html
    made = mail.compose("a@b.example", message)
    assert made["Bcc"] is None
    assert "<script> Bcc: x" in made["Subject"]
