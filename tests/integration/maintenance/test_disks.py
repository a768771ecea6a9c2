"""A first backup on a disk, on the repository host's side: prepared, filled by a real restic, loaded; and
what comes back from a client's that is not what was handed over."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance import disks
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.client import Order
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.judgement import versions
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.repository import Repository
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.retention import Rules
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.state import State
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.storage import Folder
from integration.maintenance.client import PASSWORD, Client
from support.sealed import Seals, only_key

FILLED = datetime.now(UTC) - timedelta(days=5)
"""The disk is under way for days: longer than a backup may last."""


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(tmp_path / "state")


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    (tmp_path / "disk").mkdir()
    return tmp_path / "disk"


@pytest.fixture
def filled(client: Client, repository: Repository, state: State, disk: Path) -> Client:
    """The client on a disk that was prepared, with a backup of five days ago on it."""
    assert disks.prepare(repository, state, disk, check=False)
    on_disk = Client(client.restic, disk / "ProSecours" / "srv", client.folder)
    on_disk.backup(FILLED)
    return on_disk


def listed(path: Path) -> dict[str, int]:
    """What a manifest says of a repository, by a look at the folder."""
    return {
        f"{kind}/{file.name}": file.stat().st_size
        for kind in ("data", "index", "snapshots")
        for file in sorted((path / kind).rglob("*"))
        if file.is_file()
    }


def manifest(on_disk: Client) -> disks.Manifest:
    return disks.Manifest(listed(on_disk.path), FILLED - timedelta(minutes=1), FILLED + timedelta(hours=2))


def written(repository: Client) -> dict[str, int]:
    """All files of a repository with the time at which each was written."""
    return {str(path): path.stat().st_mtime_ns for path in repository.path.rglob("*") if path.is_file()}


def test_a_disk_brings_the_first_backup_and_the_next_one_adds_what_changed(
    client: Client, filled: Client, repository: Repository, state: State, disk: Path, tmp_path: Path
) -> None:
    [name] = filled.snapshots()
    told = manifest(filled)
    foretold = disks.load(repository, state, disk, told, "r1", check=True)
    assert (foretold.files, foretold.bytes) == (len(told.files), sum(told.files.values()))
    assert client.snapshots() == set()
    loaded = disks.load(repository, state, disk, told, "r1")
    assert loaded == foretold
    assert client.snapshots() == {name}
    # It counts as one of the day on which it was made, and can be restored.
    [version] = versions(Order("srv", Rules()), replace(repository, arrived=state.arrivals()), state)
    assert (version.id, version.against) == (name, None)
    assert client.restored(name, tmp_path / "out") == {
        str(path.relative_to(client.folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in client.folder.rglob("*")
        if path.is_file()
    }
    assert "no errors were found" in client.run("check", "--read-data")
    before = written(client)
    again = disks.load(repository, state, disk, told, "r1")
    assert (again.files, written(client)) == (0, before)
    [bill] = state.carried().values()
    assert bill.bytes == sum(told.files.values())
    # The next night: the one before is found, and only what changed is sent.
    client.write(new="n" * 1000)
    lines = client.run("backup", "--json", "--host", "srv", "--tag", "PS-2026-0042", str(client.folder))
    summary = json.loads(lines.splitlines()[-1])
    assert summary["files_unmodified"] == 3
    assert summary["data_added"] < 20_000 < summary["total_bytes_processed"]


def test_without_the_password_nothing_on_the_disk_is_read(filled: Client) -> None:
    whole = b"".join(path.read_bytes() for path in filled.path.rglob("*") if path.is_file())
    assert b"accounts" not in whole
    assert b"ledger" not in whole
    stranger = replace(filled, password="guessed")
    assert stranger.run("snapshots", check=False) == ""


def test_a_disk_is_prepared_once_and_for_one_server(
    client: Client, filled: Client, repository: Repository, state: State, disk: Path, tmp_path: Path
) -> None:
    assert not disks.prepare(repository, state, disk, check=False)
    # Cut before the configuration was there: the next run finishes.
    (filled.path / "config").unlink()
    assert disks.prepare(repository, state, disk, check=True)
    assert not (filled.path / "config").exists()
    assert disks.prepare(repository, state, disk, check=False)
    assert len(filled.snapshots()) == 1
    (filled.path / "config").write_bytes(b"another one's")
    with pytest.raises(disks.DiskError, match=r"holds another repository\. Take an empty disk"):
        disks.prepare(repository, state, disk, check=False)
    with pytest.raises(
        disks.DiskError, match="there is no repository that the server's encryption password opens"
    ):
        disks.prepare(replace(repository, password="wrong"), state, disk, check=False)
    # A disk that somebody gave links to the host's own files.
    (filled.path / "config").unlink()
    (tmp_path / "shadow").write_text("the host's")
    (filled.path / ".new-config").symlink_to(tmp_path / "shadow")
    assert disks.prepare(repository, state, disk, check=False)
    assert (tmp_path / "shadow").read_text() == "the host's"
    (tmp_path / "etc").mkdir()
    shutil.rmtree(disk / "ProSecours")
    (disk / "ProSecours").symlink_to(tmp_path / "etc")
    with pytest.raises(disks.DiskError, match="is a link, which no step made"):
        disks.prepare(repository, state, disk, check=False)
    assert list((tmp_path / "etc").iterdir()) == []
    (disk / "ProSecours").unlink()
    version = client.backup(FILLED)
    (disk / "ProSecours" / "restauration-srv" / "data").mkdir(parents=True)
    for start in {pack.name[:2] for pack in client.path.glob("data/*/*")}:
        (disk / "ProSecours" / "restauration-srv" / "data" / start).symlink_to(tmp_path / "etc")
    with pytest.raises(disks.DiskError, match="is a link, which no step made"):
        out(repository, state, disk, version)
    assert list((tmp_path / "etc").iterdir()) == []


def test_what_is_not_what_was_handed_over_is_not_loaded(
    client: Client, filled: Client, repository: Repository, state: State, disk: Path
) -> None:
    told = manifest(filled)
    pack = next(filled.path.glob("data/*/*"))
    true = pack.read_bytes()
    pack.chmod(0o600)
    # Gone, or cut short: told before anything is touched.
    pack.write_bytes(true[:-1])
    with pytest.raises(
        disks.DiskError, match=r"does not agree with its manifest: 1 of \d+ files are missing"
    ):
        disks.load(repository, state, disk, told, "r1")
    assert listed(client.path) == {}
    # Spoiled: found when it is read.
    pack.write_bytes(true[:-1] + bytes([true[-1] ^ 1]))
    with pytest.raises(disks.DiskError, match="on the disk is damaged: its content is not that of its name"):
        disks.load(repository, state, disk, told, "r1")
    assert client.snapshots() == set()
    # As large as no restic makes one: never read into memory.
    huge = replace(told, files={**told.files, f"data/{'0' * 64}": 2**40})
    with (filled.path / "data" / ("0" * 64)).open("wb") as file:
        file.truncate(2**40)
    (filled.path / "data" / "00").mkdir(exist_ok=True)
    (filled.path / "data" / ("0" * 64)).rename(filled.path / "data" / "00" / ("0" * 64))
    with pytest.raises(
        disks.DiskError, match="is larger than any file that restic makes; nothing was loaded"
    ):
        disks.load(repository, state, disk, huge, "r1")
    # Whole again: the next run goes on, and replaces nothing of what came before.
    pack.write_bytes(true)
    before = written(client)
    disks.load(repository, state, disk, told, "r1")
    assert written(client).items() >= before.items()
    assert client.snapshots() == filled.snapshots()


def test_what_was_added_on_the_way_stays_on_the_disk(
    client: Client, filled: Client, repository: Repository, state: State, disk: Path
) -> None:
    """By somebody with the password, after the disk was handed over."""
    told = manifest(filled)
    filled.write(ledger="forged")
    filled.backup(FILLED + timedelta(hours=1))
    loaded = disks.load(repository, state, disk, told, "r1")
    assert loaded.foreign == len(listed(filled.path)) - len(told.files) > 0
    assert listed(client.path) == dict(told.files)


def test_forgeries_that_were_handed_over_are_judged_as_uploads_are(
    client: Client, filled: Client, repository: Repository, state: State, disk: Path
) -> None:
    """By somebody with the password, before the disk was handed over: an index that lies about a pack, a
    version that claims another time."""
    seals = Seals.of_repository(PASSWORD, only_key(client.path))
    pack = next(filled.path.glob("data/*/*")).name
    blob = {"id": "0" * 64, "type": "data", "offset": 0, "length": 100}
    lie = seals.closed(json.dumps({"packs": [{"id": pack, "blobs": [blob]}]}).encode())
    name = hashlib.sha256(lie).hexdigest()
    (filled.path / "index" / name).write_bytes(lie)
    with pytest.raises(
        disks.DiskError, match=rf"index/{name[:8]} on the disk says of the pack {pack[:8]} what is not so"
    ):
        disks.load(repository, state, disk, manifest(filled), "r1")
    assert client.snapshots() == set()
    assert not (client.path / "index" / name).exists()
    (filled.path / "index" / name).unlink()
    old = filled.backup(FILLED - timedelta(days=3))
    disks.load(repository, state, disk, manifest(filled), "r1")
    found = versions(Order("srv", Rules()), replace(repository, arrived=state.arrivals()), state)
    assert {one.id for one in found if one.against} == {old}


def test_a_disk_that_is_pulled_out_is_gone_on_with(
    client: Client,
    filled: Client,
    repository: Repository,
    state: State,
    disk: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told, read, reads = manifest(filled), Folder.read, 0

    def pulled(self: Folder, kind: str, name: str, start: int = 0, size: int | None = None) -> bytes:
        nonlocal reads
        reads += self.path.is_relative_to(disk)
        if reads == 3:
            raise OSError(5, "Input/output error")
        return read(self, kind, name, start, size)

    monkeypatch.setattr(Folder, "read", pulled)
    with pytest.raises(
        disks.DiskError, match=r"\(Input/output error\); 2 of \d+ files are loaded\. .* it goes on"
    ):
        disks.load(repository, state, disk, told, "r1")
    monkeypatch.undo()
    assert len(listed(client.path)) == 2
    assert disks.load(repository, state, disk, told, "r1").files == len(told.files) - 2
    assert client.snapshots() == filled.snapshots()


def test_no_maintenance_works_while_a_disk_is_loaded(
    filled: Client, repository: Repository, state: State, disk: Path
) -> None:
    with state.locked(), pytest.raises(Exception, match="another maintenance of this client is running"):
        disks.load(repository, state, disk, manifest(filled), "r1")


def test_a_full_disk_of_the_repositories_is_told_before(
    client: Client,
    filled: Client,
    repository: Repository,
    state: State,
    disk: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    usage = shutil.disk_usage(disk)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(
        disks.DiskError, match="bytes are to be loaded, and the disk of the repositories has 1000 left"
    ):
        disks.load(repository, state, disk, manifest(filled), "r1")
    assert listed(client.path) == {}


# -- which disk -----------------------------------------------------------------------------------------

SEED = disks.Volume("1A2B-3C4D", "AMORCE")


def lsblk(tmp_path: Path, *devices: dict[str, object]) -> str:
    """A stand-in for the program, as strict about its options."""
    program = tmp_path / "lsblk"
    text = json.dumps({"blockdevices": devices})
    wanted = "--json --list --output PATH,UUID,LABEL,FSTYPE,MOUNTPOINTS"
    program.write_text(f"#!/bin/sh\n[ \"$*\" = '{wanted}' ] || exit 1\ncat <<'E'\n{text}\nE\n")
    program.chmod(0o755)
    return str(program)


def device(uuid: str, fstype: str = "exfat", label: str = "AMORCE", *places: str | None) -> dict[str, object]:
    return {
        "path": "/dev/sdb1",
        "uuid": uuid,
        "label": label,
        "fstype": fstype,
        "mountpoints": places or [None],
    }


def test_the_disk_is_known_by_the_number_that_windows_shows(tmp_path: Path) -> None:
    for uuid, fstype in (("1A2B-3C4D", "exfat"), ("01D8B6C81A2B3C4D", "ntfs"), ("1A2B-3C4D", "vfat")):
        program = lsblk(tmp_path, device("9999-0000"), device(uuid, fstype, "AMORCE", "/mnt"))
        assert disks.mounted(SEED, program) == Path("/mnt")


@pytest.mark.parametrize(
    ("devices", "says"),
    [
        ([], r"1A2B-3C4D is not here \(disks that are: none\)\. Plug the right disk in"),
        ([device("9999-0000", label="AUTRE")], r"is not here \(disks that are: 9999-0000 AUTRE\)"),
        ([device("1a2b3c4d-1111-2222-3333-44441a2b3c4d", "ext4")], "is not here"),
        ([device("1A2B-3C4D", label="AUTRE")], "has the label AUTRE, not AMORCE"),
        ([device("1A2B-3C4D")], r"is not mounted\. Run mount -o nodev,nosuid,noexec /dev/sdb1 /mnt"),
        ([device("1A2B-3C4D"), device("1A2B-3C4D")], "two disks have the serial number"),
    ],
    ids=["none", "another", "of Linux", "label", "not mounted", "two"],
)
def test_a_disk_that_is_not_the_one(tmp_path: Path, devices: list[dict[str, object]], says: str) -> None:
    with pytest.raises(disks.DiskError, match=says):
        disks.mounted(SEED, lsblk(tmp_path, *devices))


def test_the_real_program_is_understood() -> None:
    with pytest.raises(disks.DiskError, match="the disk 1A2B-3C4D is not here"):
        disks.mounted(SEED, "lsblk")
    with pytest.raises(disks.DiskError, match=r"does not list the disks .* Install util-linux"):
        disks.mounted(SEED, "/nonexistent/lsblk")


# -- export ---------------------------------------------------------------------------------------------

CODE = "abcde-fghjk-mnpqr-stuvw-xyz23"


def out(
    repository: Repository, state: State, disk: Path, version: str, check: bool = False
) -> disks.Exported:
    beside = {"LISEZMOI.html": b"a sheet"}
    return disks.export(repository, state, disk, version, CODE, beside, "r2", check=check)


def exported(client: Client, disk: Path) -> Client:
    return replace(client, path=disk / "ProSecours" / "restauration-srv", password=CODE)


def test_a_version_on_a_disk_is_all_that_a_restore_needs_and_no_more(
    regular: Client, repository: Repository, state: State, disk: Path, tmp_path: Path
) -> None:
    chosen = sorted(regular.snapshots())[7]
    before = written(regular)
    foretold = out(repository, state, disk, chosen, check=True)
    assert list(disk.iterdir()) == []
    told = out(repository, state, disk, chosen)
    assert told.files == foretold.files
    taken = exported(regular, disk)
    assert listed(taken.path) == dict(told.files)
    assert taken.restored(chosen, tmp_path / "disk") == regular.restored(chosen, tmp_path / "out")
    # Of twenty days' packs only those of that day. The repository is as it was, with its own password only.
    assert len(list(taken.path.glob("data/*/*"))) < len(list(regular.path.glob("data/*/*")))
    assert taken.snapshots() == {chosen}
    assert written(regular) == before
    assert replace(taken, password=PASSWORD).run("snapshots", check=False) == ""
    assert replace(regular, password=CODE).run("snapshots", check=False) == ""
    assert (disk / "ProSecours" / "LISEZMOI.html").read_bytes() == b"a sheet"
    [bill] = state.carried().values()
    assert (bill.bytes, bill.taken) == (sum(told.files.values()), True)
    # The same again, and another version on the same disk.
    first = written(taken)
    assert out(repository, state, disk, chosen).added == 0
    assert {
        name: at for name, at in written(taken).items() if not name.endswith("config")
    }.items() <= first.items()
    with pytest.raises(
        disks.DiskError, match=rf"holds another version \({chosen[:8]}\)\. Take an empty disk"
    ):
        out(repository, state, disk, sorted(regular.snapshots())[8])


def test_a_part_that_two_packs_hold_is_taken_with_both(
    client: Client, filled: Client, repository: Repository, state: State, disk: Path, tmp_path: Path
) -> None:
    """A night sent meanwhile what the disk brings too. The indexes that go along speak of both packs, and
    restic may read a part from either."""
    client.backup(FILLED + timedelta(days=1))
    disks.load(repository, state, disk, manifest(filled), "r1")
    version = min(client.snapshots())
    shutil.rmtree(disk / "ProSecours")
    out(repository, state, disk, version)
    taken = exported(client, disk)
    here = {path.name for path in taken.path.glob("data/*/*")}
    for folder in (client, taken):
        for index in folder.path.glob("index/*"):
            spoken = json.loads(folder.run("cat", "index", index.name))["packs"]
            assert index.name in {one.name for one in taken.path.glob("index/*")}
            assert {pack["id"] for pack in spoken if pack["blobs"]} <= here
    assert "no errors were found" in taken.run("check", "--read-data")


def test_an_export_that_was_cut_is_gone_on_with(
    client: Client, repository: Repository, state: State, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version, writes, write = client.backup(FILLED), 0, disks._write

    def pulled(path: Path, content: bytes) -> None:
        nonlocal writes
        writes += 1
        if writes == 3:
            raise OSError(5, "Input/output error")
        write(path, content)

    monkeypatch.setattr(disks, "_write", pulled)
    with pytest.raises(disks.DiskError, match=r"Input/output error\); 2 of \d+ files are on it"):
        out(repository, state, disk, version)
    monkeypatch.undo()
    taken = exported(client, disk)
    assert not (taken.path / "config").exists()
    told = out(repository, state, disk, version)
    assert told.added == len(told.files) - 2
    assert taken.run("snapshots", "--json").count('"id"') == 1


def test_a_disk_that_does_not_keep_what_was_written(
    client: Client, repository: Repository, state: State, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version, write, usage = client.backup(FILLED), disks._write, shutil.disk_usage(disk)
    with monkeypatch.context() as small:
        small.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
        with pytest.raises(
            disks.DiskError, match=r"the disk has 1000 left: it is too small\. Write a request"
        ):
            out(repository, state, disk, version)
    monkeypatch.setattr(disks, "_write", lambda path, content: write(path, content[:-1] + b"?"))
    with pytest.raises(
        disks.DiskError, match=r"the disk did not keep data/\w+ as it was written\. Take another"
    ):
        out(repository, state, disk, version)
    assert not (exported(client, disk).path / "config").exists()


def test_a_repository_with_an_index_that_lies_is_not_given_away(
    client: Client, repository: Repository, state: State, disk: Path
) -> None:
    version = client.backup(FILLED)
    pack = next(client.path.glob("data/*/*")).name
    blob = {"id": "0" * 64, "type": "data", "offset": 0, "length": 100}
    lie = json.dumps({"packs": [{"id": pack, "blobs": [blob]}]}).encode()
    lie = Seals.of_repository(PASSWORD, only_key(client.path)).closed(lie)
    (client.path / "index" / hashlib.sha256(lie).hexdigest()).write_bytes(lie)
    for check in (True, False):
        with pytest.raises(disks.DiskError, match=rf"says of the pack {pack} what is not so"):
            out(repository, state, disk, version, check)
    assert list(disk.iterdir()) == []


def test_damage_and_what_is_gone_are_not_given_away(
    client: Client, repository: Repository, state: State, disk: Path
) -> None:
    version = client.backup(FILLED)
    with pytest.raises(disks.DiskError, match="the version 00000000 is not there any more"):
        out(repository, state, disk, "0" * 64)
    pack = max(client.path.glob("data/*/*"), key=lambda path: path.stat().st_size)
    pack.chmod(0o600)
    pack.write_bytes(pack.read_bytes()[:-1] + b"?")
    with pytest.raises(disks.DiskError, match=rf"data/{pack.name[:8]} of the repository is damaged"):
        out(repository, state, disk, version)
    pack.unlink()
    with pytest.raises(
        disks.DiskError, match=rf"the version {version[:8]} (lacks a|lies in a pack that is not)"
    ):
        out(repository, state, disk, version)
