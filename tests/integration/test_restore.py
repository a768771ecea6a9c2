"""Restores on a lab with two servers: what goes wrong, what a technician is told, and that the next run
converges. What goes well, byte for byte, is in molecule/restore."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml
from ansible_collections.prosecours.backup.plugins.plugin_utils import binaries
from attacks.forger import Forger
from support.addresses import address
from support.inventory import repository_host, write

from windows_lab.cli import main as lab_cli

from . import conftest
from .conftest import AGENT, Played, Site

pytestmark = pytest.mark.lab

CLIENT, SERVER, OTHER = "ferme_du_lavoir", "lavoir-srv", "lavoir-sql"
TASK = r"\ProSecours\Restauration"
NOW = datetime.now(ZoneInfo("Europe/Paris"))
TODAY, YESTERDAY = f"{NOW:%Y-%m-%d}", f"{NOW - timedelta(days=1):%Y-%m-%d}"
SECRETS = ("repository-of-", "encryption-of-", "Mot2Passe")


class Farm(Site):
    """The site, and requests to it."""

    reports: Path

    def request(self, *arguments: str, **wanted: Any) -> list[str]:
        """The arguments of restore.yml for a request; by the date of its mail each is another one."""
        number = len(list(self.state.glob("request-*.yml")))
        content = {
            "client": CLIENT,
            "requester": "jeanne.martin@ferme.example.com",
            "mail_date": f"{NOW - timedelta(days=number):%Y-%m-%d}",
            "main_backup_failed": True,
            "server": SERVER,
            "date": TODAY,
            "items": [r"D:\isapawp"],
            **wanted,
        }
        file = self.state / f"request-{number}.yml"
        file.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
        settings = {
            "prosecours_restore_request": str(file),
            "prosecours_restore_poll": 1,
            "prosecours_report_dir": str(self.reports),
        }
        return ["-e", json.dumps(settings), *arguments]

    def restore(self, **wanted: Any) -> Played:
        return self.play("restore", *self.request(**wanted))

    def drive(self, host: str = SERVER) -> Path:
        """D: of a server, on the Linux side."""
        return self.state / "hosts" / host / "drives" / "D"

    def logs(self) -> Path:
        """Where the server keeps what restores leave."""
        return self.state / "hosts" / SERVER / "wine/drive_c/Program Files/ProSecours/restore"

    def started(self) -> str | None:
        """When the task of restores was last started."""
        (host,) = [host for host in self.control.ask("status")["hosts"] if host["name"] == SERVER]
        runs = [task["last_run"] for task in host["tasks"] if task["task"] == TASK]
        return runs[0] if runs else None


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    """Two servers with an agent each, and one backup of both."""
    folder = tmp_path_factory.mktemp("restore")
    inventory, state = folder / "inventory", folder / "lab"
    own = address()
    first = conftest.farm(CLIENT, SERVER, own, "PS-2026-0361")
    hosts = first["prosecours_clients"]["children"][CLIENT]["hosts"]
    hosts[OTHER] = {
        **hosts[SERVER],
        "ansible_host": address(),
        "lab_files": {r"D:\isapawp\sql.txt": "sql"},
    }
    write(inventory / "lavoir.yml", first)
    environment = os.environ | {
        "PROSECOURS_LAB": str(state),
        "PROSECOURS_JOURNAL": str(folder / "journal.jsonl"),
        "ANSIBLE_NOCOLOR": "1",
    }
    made = Farm(state, inventory, SERVER, CLIENT, own, environment)
    made.reports = folder / "reports"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PROSECOURS_LAB", str(state))
        try:
            made.up()
            big = made.drive() / "isa_sauvegarde_dossier" / "big.zip"
            big.write_bytes(random.Random(1).randbytes(4_000_000))  # noqa: S311 -- nothing that compresses
            deployed = made.play("deploy")
            assert deployed.code == 0, deployed.output
            made.control.ask("clock", host=None, advance=86400.0, to=None)
            yield made
        finally:
            lab_cli(["down", "--state", str(state)])


def refused(played: Played, says: str) -> None:
    """A failure in one sentence, without a traceback or a secret."""
    assert played.code != 0, played.output
    assert says in played.text, played.output
    assert "Traceback" not in played.output
    assert not [secret for secret in SECRETS if secret in played.output]


# -- refused before anything is done --------------------------------------------------------------------


def test_all_that_is_wrong_with_a_request_is_said_at_once(farm: Farm) -> None:
    played = farm.restore(
        requester="someone@elsewhere.example", main_backup_failed=False, items=["C:\\Windows", r"D:\isapawp"]
    )
    refused(played, "3 errors in the request, listed above. Nothing was restored.")
    for says in (
        '"someone@elsewhere.example" is no contact of ferme_du_lavoir (Annexe 2)',
        "The main backup has not failed",
        "lies outside the perimeter of lavoir-srv",
    ):
        assert says in played.text, played.output


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ({"date": YESTERDAY}, f"asked for {YESTERDAY}, but the oldest version of lavoir-srv is of {TODAY}"),
        ({"items": [r"D:\isapawp\perdu.txt"]}, r"D:\isapawp\perdu.txt is not in the version of"),
        ({"target": {"folder": r"Z:\x"}}, "lavoir-srv has no drive Z:"),
        ({"target": {"folder": r"C:\Windows"}}, r"C:\Windows exists already on lavoir-srv"),
    ],
    ids=["date", "item", "drive", "folder"],
)
def test_what_only_the_server_can_tell(farm: Farm, wanted: dict[str, Any], says: str) -> None:
    refused(farm.restore(**wanted), says)
    assert not (farm.drive() / "Restauration").exists()


def test_a_server_that_is_down(farm: Farm) -> None:
    played = farm.play("restore", *farm.request("-e", "ansible_port=5999"))
    refused(played, f"no answer from {farm.address} port 5999")


def test_no_agent_yet(farm: Farm) -> None:
    wrong = r'{"prosecours_agent_folder": "C:\\Nowhere"}'
    refused(farm.play("restore", *farm.request("-e", wrong)), r"no agent is deployed in C:\Nowhere")


# -- on the way -----------------------------------------------------------------------------------------


def test_an_incomplete_version_is_passed_over(farm: Farm) -> None:
    """The mark is what backup.cmd writes: a snapshot of its status with the name of the incomplete one."""
    restic = f'cd /d "{AGENT}"&&restic.cmd'
    farm.expect(f'{restic} backup --host {SERVER} "D:\\isapawp"')
    newest = farm.snapshots()[-1]["id"]
    farm.expect(f"{restic} backup --host {SERVER} --tag incomplete={newest} status.json")
    shown = farm.play("restore", *farm.request("--check"))
    assert shown.code == 0, shown.output
    assert "(passed over, incomplete: " in shown.text
    taken = farm.play("restore", *farm.request("--check", accept_incomplete=True))
    assert "the newest version, an incomplete one, up to then" in taken.text


def test_a_cut_connection_does_not_stop_a_restore_and_the_next_run_joins_it(farm: Farm) -> None:
    seen, before = set(farm.logs().glob("*/restore.log")), set(farm.drive().glob("Restauration/*/D"))
    slowly = ["-e", "prosecours_restore_limit_kib=150"]
    arguments = farm.request(*slowly, items=[r"D:\isa_sauvegarde_dossier"])
    first = subprocess.Popen(
        farm.command("restore", *arguments),
        cwd=Path(__file__).parents[2],
        env=farm.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    deadline = time.monotonic() + 120
    while not any(log.stat().st_size for log in set(farm.logs().glob("*/restore.log")) - seen):
        assert first.poll() is None, first.communicate()[0]
        assert time.monotonic() < deadline, "the restore did not begin"
        time.sleep(0.2)
    farm.control.ask("fault", host=SERVER, kind="cut", on="Command")
    printed = first.communicate(timeout=120)[0]
    refused(Played(first.returncode, printed), "the restore goes on there")
    started = farm.started()
    assert started

    other = farm.play("restore", *farm.request(items=[r"D:\isapawp"]))
    refused(other, "another restore runs there")

    joined = farm.play("restore", *arguments)
    assert joined.code == 0, joined.output
    assert farm.started() in (started, None), "a second restore was started beside the first"
    (folder,) = set(farm.drive().glob("Restauration/*/D")) - before
    big = "isa_sauvegarde_dossier/big.zip"
    assert (folder / big).read_bytes() == (farm.drive() / big).read_bytes()


def test_a_file_that_is_in_use_is_named_and_the_next_run_restores_it(farm: Farm) -> None:
    live = farm.drive() / "isapawp" / "b.txt"
    original = live.read_bytes()
    before = set(farm.drive().glob("Restauration/avant */D/isapawp/b.txt"))
    enough = farm.drive() / "enough.txt"
    enough.unlink(missing_ok=True)
    farm.expect(r"echo another>D:\isapawp\b.txt")
    changed = live.read_bytes()
    arguments = farm.request(target={"in_place": True})
    # cmd opens what it redirects to for itself alone, as an accounting program does.
    holder = subprocess.Popen(
        [
            *(sys.executable, "-m", "windows_lab", "run", "--state", str(farm.state), SERVER),
            r"(for /l %i in (1,1,3000) do @if not exist D:\enough.txt ping -n 2 127.0.0.1 >nul)"
            r" >>D:\isapawp\b.txt",
        ],
        env=farm.environment | {"PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.DEVNULL,
    )
    try:
        while farm.run(r"echo 1 2>>D:\isapawp\b.txt")[1].strip() == "1":
            assert holder.poll() is None
            time.sleep(0.2)
        failed = farm.play("restore", *arguments)
    finally:
        enough.touch()
        holder.wait(timeout=60)
    refused(failed, "not everything could be restored")
    assert "b.txt" in failed.text
    assert live.read_bytes() == changed
    (kept,) = set(farm.drive().glob("Restauration/avant */D/isapawp/b.txt")) - before
    assert kept.read_bytes() == changed
    records = (farm.reports / "restores" / CLIENT).glob("*.html")
    record = max(records, key=lambda file: file.stat().st_mtime)
    assert "Restauration incomplète" in record.read_text(encoding="utf-8")

    done = farm.play("restore", *arguments)
    assert done.code == 0, done.output
    assert live.read_bytes() == original
    assert kept.read_bytes() == changed, "the second run overwrote what the first had kept"
    assert "Restauration complète et vérifiée" in record.read_text(encoding="utf-8")


def test_a_report_folder_that_cannot_be_written(farm: Farm, tmp_path: Path) -> None:
    (tmp_path / "reports").write_text("a file in its place", encoding="utf-8")
    arguments = farm.request(target={"server": OTHER})
    failed = farm.play("restore", *arguments, "-e", f"prosecours_report_dir={tmp_path}/reports")
    refused(failed, "cannot be written")
    again = farm.play("restore", *arguments)
    assert again.code == 0, again.output
    assert again.recap["failed"] == 0


# -- looking for an item --------------------------------------------------------------------------------


def lent(farm: Farm, host: str) -> list[Path]:
    """What opens another server's repository, on the disk of a server: past Windows and the collection."""
    agent = farm.state / "hosts" / host / "wine/drive_c/Program Files/ProSecours"
    small = [path for path in agent.rglob("*") if path.is_file() and path.stat().st_size < 1000]
    foreign = "-of-" + (SERVER if host == OTHER else OTHER)
    return [*agent.rglob("access"), *(path for path in small if foreign.encode() in path.read_bytes())]


def test_an_item_is_found_in_all_versions_also_when_its_server_is_down(farm: Farm) -> None:
    """Each looks through its own; of one that is down another one does, and keeps nothing of its access."""
    settings = {
        "prosecours_find_client": CLIENT,
        "prosecours_find_name": "C.TXT",
        "prosecours_report_dir": str(farm.reports),
    }
    inventory = farm.inventory / "lavoir.yml"
    text = inventory.read_text(encoding="utf-8")
    down = yaml.safe_load(text)
    down["prosecours_clients"]["children"][CLIENT]["hosts"][SERVER]["ansible_port"] = 5999
    inventory.write_text(yaml.safe_dump(down, allow_unicode=True), encoding="utf-8")
    try:
        silent = farm.play("find", "-e", json.dumps(settings))
        assert silent.code != 0, silent.output
        assert (farm.reports / "find" / f"{OTHER}.json").exists(), silent.output
        settings |= {"prosecours_find_server": SERVER, "prosecours_find_on": OTHER}
        found = farm.play("find", "-e", json.dumps(settings))
    finally:
        inventory.write_text(text, encoding="utf-8")
    assert found.code == 0, found.output
    assert not [secret for secret in SECRETS if secret in found.output]
    assert r"lavoir-srv D:\Bureautique\Élevage & Cultures (2026)\c.txt" in found.text
    assert re.search(rf"changed {TODAY} \d\d:\d\d +5 B +version of {TODAY}", found.output), found.output
    kept = json.loads((farm.reports / "find" / f"{SERVER}.json").read_text(encoding="utf-8"))
    assert {(entry["server"], entry["size"], entry["complete"]) for entry in kept} == {(SERVER, 5, True)}
    assert lent(farm, OTHER) == []


def test_another_server_s_data_open_only_while_they_are_restored(farm: Farm) -> None:
    """On the other one; beside it lies what a run that was killed has left."""
    agent = farm.state / "hosts" / OTHER / "wine/drive_c/Program Files/ProSecours"
    old = agent / "restore" / "0123456789ab" / "access"
    old.mkdir(parents=True)
    (old / "password.txt").write_text("what a kill has left")
    wanted = {"items": [r"D:\isapawp"], "target": {"server": OTHER, "folder": r"D:\Retour"}}
    arguments = farm.request(**wanted)
    foretold = farm.play("restore", "--check", *arguments)
    assert foretold.code == 0, foretold.output
    assert lent(farm, OTHER) == []
    done = farm.play("restore", *arguments)
    assert done.code == 0, done.output
    assert not [secret for secret in SECRETS if secret in done.output + foretold.output]
    assert [path.read_text() for path in (farm.drive(OTHER) / "Retour").rglob("b.txt")] == ["second"]
    assert lent(farm, OTHER) == []

    # A kill in the middle, and nobody who runs a restore there again: the night's backup takes it away.
    old.mkdir(parents=True)
    (old / "password.txt").write_text("what a kill has left")
    farm.control.ask("clock", host=None, advance=86400.0, to=None)
    assert lent(farm, OTHER) == []


# -- a version that a hostile server has forged ---------------------------------------------------------

PLANTED = b"planted by a hostile server"


def everything(farm: Farm, host: str) -> dict[str, str]:
    """All that lies on a server, seen from Linux, but for what commands and restores leave of themselves."""
    found = {}
    for root in (farm.state / "hosts" / host / "wine/drive_c", farm.state / "hosts" / host / "drives"):
        for folder, names, files in os.walk(root):
            own = {"ProSecours": ("restore", "cache"), "Local": ("Temp",)}.get(Path(folder).name, ())
            names[:] = [name for name in names if name not in own]
            for path in (Path(folder, name) for name in (*names, *files)):
                plain = path.is_file() and not path.is_symlink()
                what = hashlib.sha256(path.read_bytes()).hexdigest() if plain else str(path.lstat().st_mode)
                found[str(path.relative_to(farm.state / "hosts" / host))] = what
    return found


def forged(farm: Farm) -> str:
    """The id of a version of lavoir-srv that somebody has sent who has taken it over."""
    forger = Forger(
        f"https://{farm.address}:8443/{SERVER}/",
        f"encryption-of-{SERVER}",
        (SERVER, f"repository-of-{SERVER}"),
        farm.state / "ca.pem",
    )
    now = datetime.now(ZoneInfo("Europe/Paris")).isoformat()
    packed: list[tuple[str, bytes]] = []
    content = forger.blob("data", PLANTED, packed)

    def entry(name: str, kind: str = "file", **fields: Any) -> dict[str, Any]:
        """`name` as restic's trees have it."""
        own = {"size": len(PLANTED), "content": [content]} if kind == "file" else {}
        times = dict.fromkeys(("mtime", "atime", "ctime"), now)
        return {"name": name, "type": kind, "mode": 0o755, "uid": 0, "gid": 0, **times, **own, **fields}

    def folder(*entries: dict[str, Any]) -> str:
        return forger.blob("tree", json.dumps({"nodes": entries}).encode() + b"\n", packed)

    inner = folder(entry("planted-inside.txt"))
    up = "..\\\\" * 4
    named = folder(
        entry("..", "dir", subtree=inner),
        entry(f"{up}planted-above.txt"),
        entry("/planted-root.txt"),
        entry("C:\\\\planted-absolute.txt"),
        entry("C:planted-drive.txt"),
        entry("COM1"),
        entry("NUL"),
        entry("a.txt:planted-stream.txt"),
        entry("device", "chardev", device=0x103),
        entry("pipe", "fifo"),
        entry("good.txt"),
    )
    doubled = folder(
        entry("a", "symlink", linktarget="C:\\windows", mode=0o777 | 0o1000000000),
        entry("a", "dir", subtree=inner),
        entry("b", "symlink", linktarget="C:\\planted-by-link.txt", mode=0o777 | 0o1000000000),
        entry("b"),
        entry("c"),
        entry("c", "dir", subtree=inner),
    )
    item = folder(entry("doubled", "dir", subtree=doubled), entry("named", "dir", subtree=named))
    drive = folder(entry("isapawp", "dir", subtree=item))
    tree = folder(entry("D", "dir", subtree=drive))
    forger.pack(packed)
    return forger.snapshot(tree, now, paths=["D:\\isapawp"], hostname=SERVER)


def test_a_hostile_server_s_version_writes_nothing_elsewhere_on_another_server(farm: Farm) -> None:
    """It is refused before anything is written. Where nobody judges it, its links are refused, and restic.exe
    keeps to the target. What is honest is restored as ever."""
    restic = binaries.obtain(binaries.artefact("restic", "linux/amd64"), binaries.default_cache(), print).path
    keeper = repository_host(
        farm.state / "keeper",
        prosecours_repository_data=f"{farm.state}/data",
        prosecours_retention_restic=str(restic),
    )
    version = farm.state / "data" / CLIENT / SERVER / "snapshots" / forged(farm)
    looked_after = write(farm.inventory / "repositories.yml", keeper)
    before = everything(farm, OTHER)

    def to_the_other(folder: str, *items: str, unjudged: bool) -> Played:
        wanted = {"items": [*items], "target": {"server": OTHER, "folder": folder}}
        return farm.play(
            "restore", *farm.request(**wanted), "-e", json.dumps({"prosecours_restore_unjudged": unjudged})
        )

    try:
        named = f"the version {version.name[:8]} of {SERVER}"
        judged = to_the_other(r"D:\Hostile", r"D:\isapawp\named", unjudged=False)
        refused(judged, f"{named} is not to be restored (")
        linked = to_the_other(r"D:\Hostile", r"D:\isapawp", unjudged=True)
        refused(linked, f"{named} was judged by no repository host, and /D/isapawp/doubled/")
        assert everything(farm, OTHER) == before
        assert lent(farm, OTHER) == []

        alone = to_the_other(r"D:\Hostile", r"D:\isapawp\named", unjudged=True)
        refused(alone, "not everything could be restored: ")
        after = everything(farm, OTHER)
        target = "drives/D/Hostile"
        assert {name: what for name, what in after.items() if not name.startswith(target)} == before
        assert after[f"{target}/D/isapawp/named/good.txt"] == hashlib.sha256(PLANTED).hexdigest()
        assert not [path for path in farm.state.rglob("planted*") if target not in str(path)]
        assert lent(farm, OTHER) == []

        version.unlink()
        honest = to_the_other(r"D:\Honest", r"D:\isapawp", unjudged=False)
        assert honest.code == 0, honest.output
        assert [path.read_text() for path in (farm.drive(OTHER) / "Honest").rglob("b.txt")] == ["second"]
    finally:
        version.unlink(missing_ok=True)
        looked_after.unlink()
