"""Preflight on lab servers: a good one, and one for each thing that may be wrong with a server or with its
contract.

The lab of this file has several servers of two clients.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support import inventory as inventories
from support.addresses import address
from support.playbook import Played, play

from windows_lab.cli import main as lab_cli
from windows_lab.control import Control

from .conftest import AGENT

pytestmark = pytest.mark.lab

FILES = {
    "D:\\isa_sauvegarde_dossier": {
        "2025": {"dossier.zip": 40_000, "été.zip": 1234},
        "2026": {"dossier.zip": 700},
    },
    "D:\\isagiwf": {"B0001.GIW": 500, "B0002.GIW": 600, "lisez-moi.txt": "rien", "BAK": {"B0003.GIW": 9000}},
    "D:\\Bureautique\\Élevage & Cultures (2026)": {"courrier.txt": "Bonjour", "brouillon.tmp": 99_999},
}
SIZES = {"isa_sauvegarde_dossier": (3, 41_934), "isagiwf_giw": (2, 1100), "office": (1, 7)}


REPOSITORY = address()
NO_REPOSITORY = f"rest:https://{REPOSITORY}:8799/"  # nothing listens at that port
OF_SERVER = {"prosecours_root", "prosecours_office"}


def server(**variables: Any) -> dict[str, Any]:
    """The variables of one server."""
    return {
        "ansible_host": address(),
        "prosecours_root": "D:\\",
        "prosecours_software": ["isa_sauvegarde_dossier", "isagiwf_giw"],
        "prosecours_office": ["D:\\Bureautique\\Élevage & Cultures (2026)"],
        "prosecours_excludes": ["*.tmp"],
        "lab_files": FILES,
        **variables,
    }


def client(name: str, port: int, hosts: dict[str, Any], **variables: Any) -> dict[str, Any]:
    """One client file, as data."""
    return inventories.client(
        name,
        f"rest:https://{REPOSITORY}:{port}/",
        hosts,
        **{
            **inventories.OVER_WINRM,
            "prosecours_client_name": name.capitalize(),
            "prosecours_contract_reference": f"PS-2026-{port}",
            "prosecours_repository_ca": inventories.read_when_asked(inventories.LAB_CA),
            **variables,
        },
    )


OTHERS, ODD = r"D:\outils\usr\bin", r"C:\Temp d'Élodie & co (1)"
"""Programs of others, which stand before Windows' own; a strange name for a folder of temporary files."""


# Every server of the first client has one trouble of its own; "bon" has none, "bizarre" none that counts.
SERVERS: dict[str, dict[str, Any]] = {
    "bon": server(),
    "vieux": server(lab_windows="2012r2"),
    "poste": server(lab_windows="10"),
    "srv-2016": server(lab_windows="2016"),
    "filtre": server(lab_elevated=False),
    "bizarre": server(
        lab_environment={"Path": rf"{OTHERS};C:\Windows\system32;C:\Windows", "TEMP": ODD},
        lab_files={
            **FILES,
            ODD: {},
            OTHERS: dict.fromkeys(("find.exe", "tar.exe", "whoami.exe", "curl.exe"), "x"),
        },
    ),
    "redacteur": server(lab_vss_writers={"System Writer": 9, "Base\x1b[2J d'été": 15, "WMI Writer": 5}),
    "sans-temp": server(lab_environment={"TEMP": r"C:\n'existe\pas"}),
}


@dataclass
class Place:
    """A running lab, the inventory that it was made from, and where reports go."""

    state: Path
    inventory: Path
    reports: Path
    environment: dict[str, str]

    @property
    def control(self) -> Control:
        return Control(self.state)

    def play(self, *arguments: str, inventory: Path | None = None) -> Played:
        reports = ("-e", f"prosecours_report_dir={self.reports}")
        return play(
            inventory or self.inventory, "preflight", *reports, *arguments, environment=self.environment
        )

    def report(self, host: str) -> dict[str, Any]:
        text = (self.reports / "preflight" / f"{host}.json").read_text(encoding="utf-8")
        found: dict[str, Any] = json.loads(text)
        return found

    def findings(self, host: str) -> dict[str, str]:
        return {finding["id"]: finding["severity"] for finding in self.report(host)["findings"]}

    def drive(self, host: str, path: str) -> Path:
        """The Linux path of D:\\<path> of a lab host."""
        return self.state / "hosts" / host / "drives" / "D" / path

    def all_files(self, host: str) -> list[str]:
        return sorted(
            str(path) for path in (self.state / "hosts" / host).rglob("*") if "journal" not in path.name
        )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("preflight")
    inventory = folder / "inventory"
    inventory.mkdir()
    write(inventory, client("essai", 8701, SERVERS))
    state = folder / "lab"
    environment = os.environ | {"PROSECOURS_LAB": str(state), "ANSIBLE_NOCOLOR": "1"}
    try:
        assert lab_cli(["up", "--state", str(state), "--inventory", str(inventory)]) == 0
        yield Place(state, inventory, folder / "reports", environment)
    finally:
        lab_cli(["down", "--state", str(state), "--purge"])


def write(inventory: Path, content: dict[str, Any]) -> Path:
    inventories.write(inventory / "essai.yml", content)
    return inventory


@pytest.fixture
def good(place: Place) -> Iterator[Place]:
    """The lab with everything right on "bon"."""
    place.control.ask("clear", host="bon")
    place.control.ask("reset", host="bon")
    shutil.rmtree(place.reports, ignore_errors=True)
    yield place
    place.control.ask("clear", host="bon")
    place.control.ask("wrong_clock", host="bon", seconds=0.0)
    place.control.ask("repository", client="essai", order="start")


def test_each_server_gets_its_own_verdict_and_the_others_go_on(good: Place) -> None:
    played = good.play()
    assert played.code != 0
    verdicts = {host: good.report(host)["verdict"] for host in SERVERS}
    assert verdicts == {
        "bon": "ready",
        "vieux": "blocked",
        "poste": "blocked",
        "srv-2016": "ready",
        "filtre": "blocked",
        "bizarre": "ready",
        "redacteur": "ready",
        "sans-temp": "blocked",
    }, played.output
    assert good.findings("bizarre") == good.findings("bon")
    assert good.findings("sans-temp") == {"answer": "blocks"}
    assert "See that %TEMP% of the WinRM user can be written to" in played.text
    assert good.findings("bon") == {"repository_unproved": "informs"}
    assert good.findings("vieux")["windows_unsupported"] == "blocks"
    assert good.findings("poste")["windows_unsupported"] == "blocks"
    assert good.findings("filtre")["rights_filtered"] == "blocks"
    assert good.findings("srv-2016") == {"tar_missing": "informs", "repository_not_checked": "informs"}
    assert (
        "Windows Server 2012 R2 Standard, build 9600 (Server), is not Windows Server 2016 to 2025"
        in played.output
    )


def test_vss_writers_that_failed_are_a_note_before_the_agent_is_there_and_no_more(good: Place) -> None:
    """By the numbers of their states: the words are French."""
    played = good.play("-l", "bon,redacteur")
    assert played.code == 0, played.output
    assert "vss_writers" not in good.findings("bon")
    assert good.findings("redacteur")["vss_writers"] == "informs"
    said = next(one for one in good.report("redacteur")["findings"] if one["id"] == "vss_writers")
    assert said["sentence"] == (
        "VSS writers of this server failed last time: System Writer [9], freeze;"
        " Base<U+001B>[2J d'été [15], backup shutdown"
    )
    assert "restart the service of each" in said["remedy"]
    folder = good.state / "hosts" / "redacteur" / "wine" / "drive_c" / "Program Files" / "ProSecours"
    folder.mkdir()
    try:
        (folder / "repository.id").write_text("1")
        good.play("-l", "redacteur")
        assert "vss_writers" not in good.findings("redacteur")
    finally:
        shutil.rmtree(folder)


def test_sizes_are_those_of_the_files(good: Place) -> None:
    """Of those too into which no administrator may look: a backup may, and so does robocopy /B."""
    to_another_alone = '/inheritance:r /grant "*S-1-5-21-1-2-3-1105:(OI)(CI)F"'
    forbidden = f"icacls D:\\isa_sauvegarde_dossier\\2026 {to_another_alone}"
    assert lab_cli(["run", "--state", str(good.state), "bon", forbidden]) == 0
    assert good.play("-l", "bon").code == 0
    facts = good.report("bon")["facts"]
    assert {item["box"]: (item["files"], item["bytes"]) for item in facts["perimeter"]} == SIZES
    assert facts["perimeter_bytes"] == sum(size for _, size in SIZES.values())
    assert facts["first_backup"]["basis"] == "measured"


def test_nothing_is_changed_and_a_server_with_its_agent_is_asked_once(good: Place) -> None:
    before = good.all_files("bon")
    played = good.play("-l", "bon", "--check", "--diff")
    assert played.code == 0, played.output
    assert played.recap["changed"] == 0
    assert good.all_files("bon") == before
    folder = good.state / "hosts" / "bon" / "wine" / "drive_c" / "Program Files" / "ProSecours"
    folder.mkdir()
    try:
        (folder / "repository.id").write_text("1")
        good.control.ask("reset", host="bon")
        assert good.play("-l", "bon").code == 0
        host = next(host for host in good.control.ask("status")["hosts"] if host["name"] == "bon")
        assert host["counters"]["commands"] == 1
        assert host["counters"]["authenticated_requests"] <= 5, host["counters"]
        assert host["counters"]["body_bytes"] <= 20 * 1024, "the questions about the agent among them"
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"ansible_port": 5999}, {"winrm": "blocks"}),
        ({"ansible_password": "faux"}, {"winrm": "blocks"}),
        ({"ansible_winrm_ca_trust_path": "/etc/ssl/certs/ca-certificates.crt"}, {"winrm": "blocks"}),
        ({"prosecours_office": ["D:\\Nulle part"]}, {"missing": "warns"}),
        ({"prosecours_root": "E:\\", "prosecours_office": []}, {"missing": "blocks"}),
        ({"prosecours_uplink_mbit": 0.000001}, {"first_backup_long": "warns"}),
        (
            {"prosecours_uplink_mbit": 0.000001, "prosecours_options": ["import"]},
            {"first_backup_import": "informs"},
        ),
        (
            {"prosecours_repository_url": NO_REPOSITORY},
            {"repository_way": "blocks"},
        ),
        (
            {"prosecours_repository_url": "rest:https://depot.invalid:8701/"},
            {"repository_way": "blocks"},
        ),
        ({"prosecours_repository_ca": ""}, {"repository_way": "blocks"}),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_each_fault_of_the_contract_or_the_way(
    good: Place, tmp_path: Path, variables: dict[str, Any], expected: dict[str, str]
) -> None:
    of_server = {name: value for name, value in variables.items() if name in OF_SERVER}
    of_client = {name: value for name, value in variables.items() if name not in OF_SERVER}
    inventory = write(
        tmp_path / "inventory", client("essai", 8701, {"bon": {**SERVERS["bon"], **of_server}}, **of_client)
    )
    played = good.play(inventory=inventory)
    found = good.findings("bon")
    found.pop("repository_unproved", None)
    assert found == expected, played.output
    assert (played.code != 0) == ("blocks" in expected.values()), played.output
    assert "Mot2Passe" not in played.output
    assert "repository-of-" not in played.output


@pytest.mark.parametrize(
    ("seconds", "severity"),
    [(60.0, None), (-300.0, "warns"), (7200.0, "blocks")],
    ids=["right", "off", "wrong"],
)
def test_clock(good: Place, seconds: float, severity: str | None) -> None:
    good.control.ask("wrong_clock", host="bon", seconds=seconds)
    good.play("-l", "bon")
    assert good.findings("bon").get("clock") == severity


def test_repository_that_is_down(good: Place) -> None:
    good.control.ask("repository", client="essai", order="stop")
    played = good.play("-l", "bon")
    assert good.findings("bon")["repository_way"] == "blocks"
    assert "the connection was refused (curl 7)" in played.output


def test_wrong_password_of_the_repository_once_its_certificate_can_be_checked(
    good: Place, tmp_path: Path
) -> None:
    folder = good.state / "hosts" / "bon" / "wine" / "drive_c" / "Program Files" / "ProSecours"
    folder.mkdir()
    try:
        shutil.copy(good.state / "ca.pem", folder)
        assert good.play("-l", "bon").code == 0
        assert good.report("bon")["facts"]["repository"] == {
            "exit_code": 0,
            "status": 404,
            "trust": "contract",
            "signed_in": True,
        }
        wrong = client("essai", 8701, {"bon": SERVERS["bon"]}, prosecours_repository_password="wrong")
        played = good.play(inventory=write(tmp_path / "inventory", wrong))
        assert good.findings("bon") == {"repository_answer": "blocks"}, played.output
        asked = (good.state / "hosts" / "bon" / "journal.jsonl").read_text(encoding="utf-8")
        assert "repository-of-" not in asked
    finally:
        shutil.rmtree(folder)
    assert AGENT.endswith(folder.name)


def test_too_large_a_perimeter_names_its_largest_directories(good: Place) -> None:
    large = good.drive("bon", "isa_sauvegarde_dossier/2025/énorme.bak")
    with large.open("wb") as file:
        file.truncate(1_500_000_000)  # sparse
    try:
        played = good.play("-l", "bon")
    finally:
        large.unlink()
    assert good.findings("bon")["volume"] == "blocks"
    (largest, *_) = good.report("bon")["facts"]["largest"]
    assert largest == {"path": "D:\\isa_sauvegarde_dossier\\2025", "bytes": 1_500_041_234}
    assert "over the subscribed 1 GB" in played.output


def test_servers_of_one_client_share_its_volume(good: Place, tmp_path: Path) -> None:
    large = [good.drive(host, "isa_sauvegarde_dossier/grand.bak") for host in ("bon", "srv-2016")]
    for path in large:
        with path.open("wb") as file:
            file.truncate(600_000_000)
    try:
        hosts = {host: SERVERS[host] for host in ("bon", "srv-2016")}
        played = good.play(inventory=write(tmp_path / "inventory", client("essai", 8701, hosts)))
    finally:
        for path in large:
            path.unlink()
    assert [good.report(host)["verdict"] for host in hosts] == ["ready", "ready"]
    assert played.code != 0
    assert "The servers of Essai have 1.2 GB together" in played.output


@pytest.mark.parametrize("kind", ["cut", "500", "shells", "kill"])
def test_a_session_that_breaks_is_a_report_and_the_next_run_is_fine(good: Place, kind: str) -> None:
    on = {"cut": "Command", "kill": "Receive"}.get(kind, "Create")
    good.control.ask("fault", host="bon", kind=kind, on=on)
    broken = good.play("-l", "bon")
    assert broken.code != 0, broken.output
    (finding,) = good.report("bon")["findings"]
    assert finding["id"] in ("winrm", "answer")
    assert "Traceback" not in broken.output
    good.control.ask("reset", host="bon")
    assert good.play("-l", "bon").code == 0
