"""The monthly report: only this client's facts, made once, sent once, and told when it is not."""

from __future__ import annotations

import copy
import json
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pypdf
import pytest
from ansible_collections.prosecours.backup.plugins.plugin_utils.documents import client_report, mail
from ansible_collections.prosecours.backup.plugins.plugin_utils.secret import Secret
from unit.documents.smtp_server import USER, Inbox

from . import fleet
from .pages import Page, plain

CHECKOUT = Path(__file__).resolve().parents[3]
OCTOBER = client_report.Month(date(2026, 10, 1))


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    return fleet.report(10)


def _plan(
    report: dict[str, Any], folder: Path, *clients: str, post: bool = True, again: bool = False
) -> tuple[list[client_report.Due], dict[str, list[str]]]:
    return client_report.plan(
        fleet.typed(report), clients, OCTOBER, folder, fleet.PROVIDER, post=post, again=again
    )


def _page(report: dict[str, Any], client: str) -> Page:
    (one,), failures = _plan(report, Path("/nowhere"), client)
    assert failures == {}
    return Page(one.html)


def test_facts_of_the_month(report: dict[str, Any]) -> None:
    page = _page(report, "client_03")
    (lead,) = page.all("p", class_="lead")
    history = {
        host: {entry["time"][:10] for entry in server["history"] if entry["complete"]}
        for host, server in report["clients"][3]["repository"]["servers"].items()
    }
    days = [f"2026-10-{day:02}" for day in range(1, 32)]
    whole = [day for day in days if all(day in of_host for of_host in history.values())]
    assert 20 < len(whole) < 31
    assert lead == (
        f"En octobre 2026, vos serveurs ont tous une sauvegarde complète pour {len(whole)} jours sur 31."
    )
    assert len(page.find("td", class_="day complete")) == len(whole)
    (body,) = page.all("main")
    for host, of_host in history.items():
        assert f"{host} : {len(of_host & set(days))} jours complets dans le mois" in body
    assert body.count("/5 serveurs") == 31 - len(whole)


@pytest.mark.parametrize(
    ("client", "sentence"),
    [
        ("client_01", "Au rythme actuel, le volume souscrit serait atteint vers le 6 février 2027."),
        ("client_01", "Vous pouvez souscrire un volume plus grand"),
        ("client_07", "Les nouvelles sauvegardes sont suspendues."),
        ("client_04", "Aucune sauvegarde n'était encore en place en octobre 2026."),
        ("client_04", "Aucun essai de restauration n'a encore été fait."),
        ("client_08", "Une version que prévoit le contrat (article IV.2.3) n'a pas été retrouvée."),
        ("client_08", "Contrôle du dépôt le 23 novembre 2026 : un défaut a été constaté."),
        (
            "client_00",
            "Essai de restauration le 14 novembre 2026 : 12 fichiers relus, 48,3 Mo (46,1 Mio), identiques",
        ),
        ("client_00", "Elles ne valent pas garantie du contenu des fichiers (article IV.2.2 du contrat)."),
        ("client_00", "Matériel et systèmes : noc@groupeisagri.example, 03.44.06.41.14."),
    ],
)
def test_what_a_client_is_told(client: str, sentence: str, report: dict[str, Any]) -> None:
    (body,) = _page(report, "gaec_du_moulin" if client == "client_00" else client).all("main")
    assert sentence in body


def test_a_whole_month(report: dict[str, Any]) -> None:
    changed = copy.deepcopy(report)
    for entry in changed["clients"][6]["repository"]["servers"]["srv6-principal"]["history"]:
        entry["complete"] = True
    first = changed["clients"][6]["repository"]["servers"]["srv6-principal"]["history"]
    present = {entry["time"][:10] for entry in first}
    for day in range(1, 32):
        if f"2026-10-{day:02}" not in present:
            first.append({**first[-1], "id": f"{day:064}", "time": f"2026-10-{day:02}T22:00:00+02:00"})
    (lead,) = _page(changed, "client_06").all("p", class_="lead")
    assert lead == "En octobre 2026, votre serveur a une sauvegarde complète pour chaque jour."


def test_a_month_before_the_first_backup_has_no_calendar(report: dict[str, Any]) -> None:
    assert not _page(report, "client_04").find("table", class_="calendar")
    assert _page(report, "client_03").find("table", class_="calendar")


def test_no_client_sees_another(report: dict[str, Any]) -> None:
    page = _page(report, "client_03")
    text = " ".join(["".join(words) for _, _, words in page.elements])
    for client in report["clients"]:
        if client["id"] != "client_03":
            assert client["name"] not in text
            assert client["reference"] not in text


@pytest.mark.parametrize("given", ["", "applications", "systems", "telephone"])
def test_a_provider_that_says_little_of_itself(given: str, report: dict[str, Any]) -> None:
    contacts = fleet.PROVIDER.items() if given else ()
    provider: dict[str, Any] = {key: value if key == given else None for key, value in contacts}
    plans, _ = client_report.plan(
        fleet.typed(report), ["client_01"], OCTOBER, Path("/nowhere"), provider, post=True
    )
    assert plans[0].message is not None
    for text in (plans[0].html, plans[0].message.text, plans[0].message.html):
        shown = {key for key, value in fleet.PROVIDER.items() if value in text}
        assert shown == ({given} - {"telephone"} if given else set())
        assert "None" not in text


def test_no_jargon(report: dict[str, Any]) -> None:
    for client in report["clients"]:
        if client["repository"]:
            (body,) = _page(report, client["id"]).all("main")
            for word in ("restic", "snapshot", "WinRM", "pack ", "prune", "sur disque", "clause C"):
                assert word not in body


def test_a_report_is_made_and_sent_once(
    report: dict[str, Any], tmp_path: Path, smtp: tuple[mail.Server, Inbox]
) -> None:
    server, inbox = smtp
    plans, _ = _plan(report, tmp_path, "gaec_du_moulin", "client_01")
    assert [one.write for one in plans] == [True, True]
    assert list(tmp_path.iterdir()) == []
    outcome = client_report.apply(plans, tmp_path, server, fleet.AT)
    assert outcome.failures == {}
    assert outcome.sent == {
        "gaec_du_moulin": ("elodie.lefevre@gaec-du-moulin.example",),
        "client_01": ("elodie.lefevre@client-01.example",),
    }
    first = inbox.messages[0]
    assert plain(first["Subject"]) == "Vos sauvegardes : octobre 2026"
    (attached,) = first.iter_attachments()
    assert attached.get_filename() == "sauvegardes-2026-10-gaec_du_moulin.pdf"
    written = tmp_path / "sauvegardes-2026-10-gaec_du_moulin.pdf"
    assert attached.get_content() == written.read_bytes()
    pages = [plain(page.extract_text()) for page in pypdf.PdfReader(written).pages]
    assert len(pages) == 1
    assert "GAEC du Moulin, contrat PS-2026-0042" in pages[0]
    text = first.get_body(("plain",))
    assert text is not None
    assert text.get_content().startswith("Madame Lefèvre,")

    # A later monitoring run has other figures: what was sent stays.
    later = {**report, "at": "2026-11-24T13:05:00Z"}
    assert _plan(later, tmp_path, "gaec_du_moulin", "client_01") == ([], {})
    again, _ = _plan(report, tmp_path, "gaec_du_moulin", again=True)
    assert [(one.write, one.message is not None) for one in again] == [(False, True)]


def test_without_mail_the_files_are_made_once(report: dict[str, Any], tmp_path: Path) -> None:
    plans, _ = _plan(report, tmp_path, "client_02", post=False)
    assert client_report.apply(plans, tmp_path, None, fleet.AT).failures == {}
    assert _plan(report, tmp_path, "client_02", post=False) == ([], {})
    (tmp_path / "sauvegardes-2026-10-client_02.pdf").unlink()
    assert [one.write for one in _plan(report, tmp_path, "client_02", post=False)[0]] == [True]


def test_one_that_fails_stops_no_other(
    report: dict[str, Any], tmp_path: Path, smtp: tuple[mail.Server, Inbox]
) -> None:
    server, inbox = smtp
    changed = copy.deepcopy(report)
    changed["clients"][1]["contacts"]["main"]["email"] = "inconnu@client.example"
    (tmp_path / "sauvegardes-2026-10-client_02.pdf").mkdir()
    plans, failures = _plan(changed, tmp_path, *(client["id"] for client in report["clients"]), "client_99")
    assert failures == {
        "client_05": [
            "client_05: the last monitoring run knows nothing of its repository (The repository of this "
            "client cannot be opened: wrong password): see to that, then run playbooks/monitor.yml."
        ],
        "client_99": ["client_99 is not in the last monitoring report: run playbooks/monitor.yml first."],
    }
    outcome = client_report.apply(plans, tmp_path, server, fleet.AT)
    assert set(outcome.failures) == {"client_01", "client_02"}
    assert "refuses inconnu@client.example" in outcome.failures["client_01"][0]
    assert "cannot be written: Is a directory." in outcome.failures["client_02"][0]
    assert len(inbox.messages) == len(outcome.sent) == 7
    noted = json.loads((tmp_path / "sent.json").read_text("utf-8"))
    assert set(noted) == set(outcome.sent)
    # The next run tries the two that failed, and those alone.
    (tmp_path / "sauvegardes-2026-10-client_02.pdf").rmdir()
    rest, _ = _plan(report, tmp_path, *(client["id"] for client in report["clients"]))
    assert [one.client for one in rest] == ["client_01", "client_02"]


def test_a_server_that_refuses_is_told_for_each(
    report: dict[str, Any], tmp_path: Path, smtp: tuple[mail.Server, Inbox]
) -> None:
    server, inbox = smtp
    plans, _ = _plan(report, tmp_path, "client_01", "client_02")
    wrong = mail.Server(
        "localhost", server.sender, server.port, "starttls", USER, Secret("x"), server.ca_file
    )
    outcome = client_report.apply(plans, tmp_path, wrong, fleet.AT)
    assert outcome.sent == {}
    assert len(set(map(tuple, outcome.failures.values()))) == 1
    assert set(outcome.failures) == {"client_01", "client_02"}
    assert not (tmp_path / "sent.json").exists()
    assert (tmp_path / "sauvegardes-2026-10-client_01.pdf").exists()
    assert len(inbox.logins) <= 2


@pytest.mark.parametrize(
    ("wished", "now", "month"),
    [
        ("", "2026-11-23T13:00:00Z", "2026-10"),
        ("", "2026-01-01T00:00:00Z", "2025-12"),
        # Still December in UTC, already January in Paris.
        ("", "2025-12-31T23:30:00Z", "2025-12"),
        ("2026-02", "2026-03-01T00:00:00Z", "2026-02"),
    ],
)
def test_the_month(wished: str, now: str, month: str) -> None:
    assert str(client_report.month_of(wished, datetime.fromisoformat(now))) == month


@pytest.mark.parametrize(
    ("wished", "sentence"),
    [
        ("2026-11", "2026-11 is not over yet. Ask for a month before 2026-11."),
        ("2026-13", '"2026-13" is no month. Write prosecours_report_month like "2026-10".'),
        ("octobre", '"octobre" is no month. Write prosecours_report_month like "2026-10".'),
        ("../..", '"../.." is no month. Write prosecours_report_month like "2026-10".'),
    ],
)
def test_a_month_that_is_none(wished: str, sentence: str) -> None:
    with pytest.raises(client_report.ClientReportError) as caught:
        client_report.month_of(wished, fleet.AT)
    assert str(caught.value) == sentence


def test_a_monitoring_run_that_is_too_old(report: dict[str, Any]) -> None:
    with pytest.raises(client_report.ClientReportError) as caught:
        _plan({**report, "at": "2026-10-31T21:00:00Z"}, Path("/nowhere"), "client_01")
    assert str(caught.value) == (
        "The last monitoring run is of 2026-10-31, before the end of 2026-10. "
        "Run playbooks/monitor.yml first."
    )


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "There is no {}. Run playbooks/monitor.yml first."),
        ("{", "{} is no report of monitoring. Run playbooks/monitor.yml first."),
        ("[]", "{} is no report of monitoring that this version knows. Run playbooks/monitor.yml first."),
        (
            '{"format": 1, "at": "2026-11-23T13:05:00Z", "clients": [{"id": "moulin"}], "closed": []}',
            "{} is no report of monitoring that this version knows. Run playbooks/monitor.yml first.",
        ),
        (
            '{"format": 9}',
            "{} is no report of monitoring that this version knows. Run playbooks/monitor.yml first.",
        ),
    ],
)
def test_a_report_that_is_none(content: str | None, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(client_report.ClientReportError) as caught:
        client_report.read(path)
    assert str(caught.value) == sentence.format(path)


def test_a_note_of_what_was_sent_that_is_damaged(report: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "sent.json").write_text("{")
    with pytest.raises(client_report.ClientReportError, match="it tells what was sent already"):
        _plan(report, tmp_path, "client_01")
