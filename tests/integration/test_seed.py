"""A first backup on a disk (C16), from the request to the night after, on a lab server and a repository host
that see the same disk; and what a technician is told when a step is not due, or the disk is not there."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import pytest
import yaml
from pypdf import PdfReader
from support.addresses import address
from support.inventory import repository_host, write

from windows_lab.cli import main as lab_cli

from . import conftest
from .conftest import AGENT, Played, Site

pytestmark = pytest.mark.lab

CLIENT, SERVER = "ferme_du_disque", "disque-srv"
SERIAL, LABEL = "1A2B-3C4D", "AMORCE"
TODAY = f"{datetime.now(ZoneInfo('Europe/Paris')):%Y-%m-%d}"
SECRETS = ("repository-of-", "encryption-of-", "Mot2Passe")
BIG = 4_000_000


class Farm(Site):
    """The site, its disk, and requests about it."""

    folder: Path

    @property
    def disk(self) -> Path:
        """E: of the server, on the Linux side; unplugged, it is not there."""
        return self.state / "hosts" / SERVER / "drives" / "E"

    @property
    def on_disk(self) -> Path:
        return self.disk / "ProSecours" / SERVER

    @property
    def repository(self) -> Path:
        """Of the server, behind its rest-server."""
        return self.state / "data" / CLIENT / SERVER

    asked: ClassVar[dict[str, Any]] = {
        "client": CLIENT,
        "server": SERVER,
        "requester": "jeanne.martin@ferme.example.com",
        "mail_date": TODAY,
        "disk": {"serial": SERIAL, "label": LABEL},
    }

    def step(self, name: str, *arguments: str) -> Played:
        file = self.folder / "request.yml"
        file.write_text(yaml.safe_dump(self.asked), encoding="utf-8")
        settings = {
            "prosecours_seed_request": str(file),
            "prosecours_seed_step": name,
            "prosecours_technician": "A. Martin",
        }
        return self.play("seed", "-e", json.dumps(settings), *arguments)

    def export(self, *arguments: str) -> Played:
        content = {**self.asked, "main_backup_failed": True, "date": TODAY}
        file = self.folder / "export.yml"
        file.write_text(yaml.safe_dump(content), encoding="utf-8")
        settings = {"prosecours_export_request": str(file), "prosecours_technician": "B. Durand"}
        return self.play("export", "-e", json.dumps(settings), *arguments)

    def plug_in(self, where: str | None) -> None:
        """The disk at the provider: mounted at `where`."""
        device = {"path": "/dev/sdb1", "uuid": "01D8B6C81A2B3C4D", "label": LABEL, "fstype": "ntfs"}
        devices = [{**device, "mountpoints": [where]}] if where else []
        program = self.folder / "lsblk"
        program.write_text(f"#!/bin/sh\ncat <<'E'\n{json.dumps({'blockdevices': devices})}\nE\n")
        program.chmod(0o755)


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    """A server with an agent, whose repository is empty; nothing has been done about the disk."""
    folder = tmp_path_factory.mktemp("seed")
    inventory, state, own = folder / "inventory", folder / "lab", address()
    disks = {"E": {"serial": SERIAL, "label": LABEL}}
    content = conftest.farm(CLIENT, SERVER, own, "PS-2026-0716", lab_disks=disks)
    content["prosecours_clients"]["children"][CLIENT]["vars"]["prosecours_options"] = ["import", "export"]
    write(inventory / "disque.yml", content)
    host = repository_host(
        folder / "depot",
        prosecours_repository_data=f"{state}/data",
        prosecours_seed_lsblk=str(folder / "lsblk"),
        prosecours_retention_restic=os.environ.get("PROSECOURS_RESTIC") or shutil.which("restic"),
    )
    write(inventory / "depot.yml", host)
    environment = os.environ | {
        "PROSECOURS_LAB": str(state),
        "PROSECOURS_JOURNAL": str(folder / "journal.jsonl"),
        "ANSIBLE_NOCOLOR": "1",
    }
    made = Farm(state, inventory, SERVER, CLIENT, own, environment)
    made.folder = folder
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PROSECOURS_LAB", str(state))
        try:
            made.up()
            big = state / "hosts" / SERVER / "drives" / "D" / "isa_sauvegarde_dossier" / "big.zip"
            big.write_bytes(random.Random(1).randbytes(BIG))  # noqa: S311 -- nothing that compresses
            deployed = made.play("deploy")
            assert deployed.code == 0, deployed.output
            yield made
        finally:
            lab_cli(["down", "--state", str(state)])


def refused(played: Played, says: str) -> None:
    """A failure in one sentence, without a traceback or a secret."""
    assert played.code != 0, played.output
    assert says in played.text, played.output
    quiet(played)


def went(played: Played, says: str) -> None:
    assert played.code == 0, played.output
    assert says in played.text, played.output
    quiet(played)


def quiet(played: Played) -> None:
    assert "Traceback" not in played.output
    assert not [secret for secret in SECRETS if secret in played.output]


def files(folder: Path) -> dict[str, int]:
    return {
        str(path.relative_to(folder)): path.stat().st_size
        for kind in ("data", "index", "snapshots")
        for path in (folder / kind).rglob("*")
        if path.is_file()
    }


# The steps are days apart; each test goes on where the one before it stopped.


def test_prepare(farm: Farm) -> None:
    farm.plug_in(None)
    missing = f"the disk {SERIAL} is not here (disks that are: none). Plug the right disk in"
    refused(farm.step("prepare"), missing)
    farm.plug_in(str(farm.disk))
    went(farm.step("prepare", "--check"), f"the disk {SERIAL} would be prepared for {SERVER}")
    assert not farm.on_disk.exists()
    went(farm.step("prepare"), f"the disk {SERIAL} was prepared for {SERVER}")
    assert (farm.on_disk / "config").read_bytes() == (farm.repository / "config").read_bytes()


def test_fill(farm: Farm) -> None:
    away = farm.disk.rename(farm.folder / "away")
    refused(farm.step("fill"), f"the disk {SERIAL} is not plugged in (drives that are there: D:")
    away.rename(farm.disk)
    went(farm.step("fill", "--check"), f"{SERVER} would be backed up onto the disk {SERIAL}")
    assert files(farm.on_disk) == {}
    went(farm.step("fill"), f"the backup of {SERVER} on the disk {SERIAL}: complete")
    assert sum(files(farm.on_disk).values()) > BIG
    # Nothing went over the link, and no password is on the disk.
    assert files(farm.repository) == {}
    content = b"".join(path.read_bytes() for path in farm.disk.rglob("*") if path.is_file())
    assert b"encryption-of-" not in content


def test_hand_over(farm: Farm) -> None:
    played = farm.step("hand_over")
    went(played, f"the disk {SERIAL} holds {len(files(farm.on_disk))} files")
    [page] = (farm.folder / "documents" / "disks" / CLIENT).glob("*.pdf")
    text = " ".join(" ".join(sheet.extract_text() for sheet in PdfReader(page).pages).split())
    for says in (SERIAL, LABEL, "PS-2026-0716", "A. Martin", "Remis par"):
        assert says in text
    # Nothing of it stays on the server.
    assert farm.run(f'dir /b "{AGENT}\\seed"')[0] != 0
    assert farm.run(r'schtasks /query /tn "\ProSecours\Amorce" /xml')[0] != 0


def test_load(farm: Farm) -> None:
    went(farm.step("load"), f"the disk {SERIAL} was loaded for {SERVER}: {len(files(farm.on_disk))} files")
    assert files(farm.repository) == files(farm.on_disk)
    again = farm.step("load")
    went(again, f"this disk was loaded on {TODAY}")
    assert again.counters(SERVER)["changed"] == 0


def test_finish_by_bytes(farm: Farm) -> None:
    changed = farm.state / "hosts" / SERVER / "drives" / "D" / "isapawp" / "b.txt"
    changed.write_text("changed meanwhile")
    backed_up = farm.play("backup")
    assert backed_up.code == 0, backed_up.output
    went(farm.step("finish"), f"the disk {SERIAL} may be erased")
    first, second = farm.snapshots()
    assert second["parent"] == first["id"]
    assert second["summary"]["total_bytes_processed"] > BIG
    assert second["summary"]["data_added"] < 20_000


def test_export_and_restore_at_the_server(farm: Farm) -> None:
    """The disk may be the same one: it was said that it may be erased."""
    shutil.rmtree(farm.disk / "ProSecours")
    went(farm.export("--check"), f"would be put on the disk {SERIAL}")
    assert list(farm.disk.iterdir()) == []
    went(farm.export(), f"was put on the disk {SERIAL} and read back")
    papers = farm.folder / "documents" / "disks" / CLIENT
    [apart] = papers.glob("*-code.pdf")
    [kept] = papers.glob("*.code")
    code = kept.read_text("ascii").strip()
    assert {path.stat().st_mode & 0o077 for path in (apart, kept)} == {0}
    assert code in PdfReader(apart).pages[0].extract_text()
    open_to_others = [path for path in papers.iterdir() if path.stat().st_mode & 0o077]
    on_disk = [path for path in farm.disk.rglob("*") if path.is_file()]
    journal = farm.folder / "journal.jsonl"
    assert not [path for path in (*open_to_others, *on_disk, journal) if code.encode() in path.read_bytes()]
    # What the client does, at the server.
    line = r'"E:\ProSecours\restaurer.cmd" "D:\Restauration (1)"'
    assert farm.run(f"echo wrong-code|{line}")[0] == 12
    farm.expect(f"echo {code}|{line}")
    drive = farm.state / "hosts" / SERVER / "drives" / "D"
    for name in ("isa_sauvegarde_dossier/big.zip", "isapawp/b.txt"):
        assert (drive / "Restauration (1)" / "D" / name).read_bytes() == (drive / name).read_bytes()
    refused_there = farm.run(f"echo {code}|{line}")
    assert refused_there[0] == 1
    assert "n'est pas vide" in refused_there[1]


def test_who_did_what_on_whose_instruction(farm: Farm) -> None:
    entries = [json.loads(line) for line in (farm.folder / "journal.jsonl").read_text("utf-8").splitlines()]
    kept = json.dumps([entry for entry in entries if entry["kind"] == "end"], ensure_ascii=False)
    for says in (
        '"step": "hand_over"',
        '"step": "load"',
        '"step": "export"',
        f'"disk": "{SERIAL}"',
        "jeanne.martin@ferme.example.com",
    ):
        assert says in kept
    assert not [secret for secret in SECRETS if secret in kept]
