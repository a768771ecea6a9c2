"""The monthly report: only this client's facts, made once, sent once, and told when it is not."""

from __future__ import annotations

import copy
import json
import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pypdf
import pytest
import yaml
from ansible_collections.prosecours.backup.plugins.plugin_utils import client_report, mail
from ansible_collections.prosecours.backup.plugins.plugin_utils.agent_desired import Secret
from unit.mail.smtp_server import PASSWORD, USER, Inbox, running
from windows_lab.certificates import Authority

from . import fleet
from .pages import Page, plain

CHECKOUT = Path(__file__).resolve().parents[3]
OCTOBER = client_report.Month(date(2026, 10, 1))
PROVIDER = {
    "applications": "iah@groupeisagri.example",
    "systems": "noc@groupeisagri.example",
    "telephone": "03.44.06.41.14",
}


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    return fleet.report(10)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def smtp(authority: Authority) -> Iterator[tuple[mail.Server, Inbox]]:
    with running(authority) as (port, inbox):
        yield (
            mail.Server(
                "localhost",
                "surveillance@groupeisagri.example",
                port,
                "starttls",
                USER,
                Secret(PASSWORD),
                str(authority.certificate_path),
            ),
            inbox,
        )


def _plan(
    report: dict[str, Any], folder: Path, *clients: str, post: bool = True, again: bool = False
) -> tuple[list[client_report.Plan], dict[str, list[str]]]:
    return client_report.plan(report, clients, OCTOBER, folder, PROVIDER, post=post, again=again)


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
        ("client_00", "Essai de restauration le 14 novembre 2026 : 12 fichiers relus (48,3 Mo), identiques"),
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
    provider: dict[str, Any] = {key: PROVIDER[key] if key == given else None for key in PROVIDER if given}
    plans, _ = client_report.plan(report, ["client_01"], OCTOBER, Path("/nowhere"), provider, post=True)
    assert plans[0].message is not None
    for text in (plans[0].html, plans[0].message.text, plans[0].message.html):
        shown = {key for key, value in PROVIDER.items() if value in text}
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
        ("2026-11", "2026-11 is not over yet: ask for a month before 2026-11."),
        ("2026-13", '"2026-13" is no month: write prosecours_report_month like "2026-10".'),
        ("octobre", '"octobre" is no month: write prosecours_report_month like "2026-10".'),
        ("../..", '"../.." is no month: write prosecours_report_month like "2026-10".'),
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
        "The last monitoring run is of 2026-10-31, before the end of 2026-10: "
        "run playbooks/monitor.yml first."
    )


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "There is no {}: run playbooks/monitor.yml first."),
        ("{", "{} is no report of monitoring: run playbooks/monitor.yml first."),
        ("[]", "{} is no report of monitoring that this version knows: run playbooks/monitor.yml first."),
        (
            '{"format": 9}',
            "{} is no report of monitoring that this version knows: run playbooks/monitor.yml first.",
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


def test_two_at_once_do_not_send_twice(tmp_path: Path) -> None:
    folder = tmp_path / "2026-10"
    refused = pytest.raises(client_report.ClientReportError, match="Another run is at work")
    with client_report.alone(folder), refused, client_report.alone(folder):
        pytest.fail("two at once")
    with client_report.alone(folder):
        pass


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused = pytest.raises(
        client_report.ClientReportError, match=r"cannot be written \(Not a directory\): set"
    )
    with refused, client_report.alone(tmp_path / "file" / "clients"):
        pytest.fail("no folder")


# -- the playbook -----------------------------------------------------------------------------------------

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
                    "prosecours_repository_url": f"rest:https://127.0.27.9:{8000 + number}/{client['id']}/",
                    "prosecours_repository_username": client["id"],
                    "prosecours_repository_password": f"repository-{number}",
                    "prosecours_encryption_password": f"encryption-{number}",
                },
                "hosts": {f"srv{number}": {**SERVER, "ansible_host": f"127.0.27.{number + 1}"}},
            }}}})  # fmt: skip
        self.write("all_clients.yml", {"prosecours_clients": {"vars": {
            "prosecours_report_dir": str(self.reports),
            "prosecours_provider_contacts": PROVIDER,
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

    def run(self, *more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["ansible-playbook", "-i", self.folder / "inventory", "playbooks/client_report.yml", *more],
            cwd=CHECKOUT,
            env={**os.environ, "ANSIBLE_NOCOLOR": "1", "PROSECOURS_JOURNAL": str(self.journal)},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )


def test_the_playbook(authority: Authority, smtp: tuple[mail.Server, Inbox], tmp_path: Path) -> None:
    server, inbox = smtp
    now = datetime.now(UTC)
    playbook = Playbook(tmp_path, fleet.report(2, now), server)
    month = client_report.month_of("", now)
    folder = playbook.reports / "clients" / str(month)

    predicted = playbook.run("--check")
    assert predicted.returncode == 0, predicted.stdout + predicted.stderr
    assert "changed=1 " in predicted.stdout
    assert not folder.exists()
    assert inbox.messages == []

    done = playbook.run("-vvv")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "changed=1 " in done.stdout
    assert PASSWORD not in done.stdout + done.stderr
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
    assert second.returncode == 0, second.stdout + second.stderr
    assert "changed=0 " in second.stdout
    assert len(inbox.messages) == 1

    unknown = playbook.run("-e", "prosecours_report_client=gaec_du_moulain")
    assert unknown.returncode == 2
    said = unknown.stdout + unknown.stderr
    assert "There is no client" in said
    assert "Did you mean" in said
