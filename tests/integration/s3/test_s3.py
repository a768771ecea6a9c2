"""A client whose repository is in a bucket (C20): what his key can do, what it cannot, and the way back."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance import fleet
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.bucket import KEY, Bucket
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.checks import Damaged
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.client import Order, run
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.repository import Repository
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.retention import Rules
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.state import State
from botocore.exceptions import ClientError

from .conftest import PROVIDER, Client, Supplier, changed, restic


@pytest.fixture(scope="module")
def farm(supplier: Supplier) -> Client:
    """Its bucket made by the role, with two backups in it; it has a neighbour."""
    client, _ = supplier.add("ferme_du_gue", "gue-srv", "gue-sql", prefix="/repository")
    supplier.add("ferme_voisine", "voisine-srv")
    assert supplier.play("repository", "--check").count("+made\n") == 2
    assert supplier.provider.list_buckets()["Buckets"] == []
    supplier.play("repository")
    client.restic("init")
    for text in ("accounts", "more accounts"):
        send(client, text)
    return client


@pytest.fixture(scope="module")
def neighbour(supplier: Supplier, farm: Client) -> Client:
    base = f"s3:{supplier.endpoint}/ferme-voisine"
    return replace(farm, name="ferme_voisine", server="voisine-srv", base=base)


@pytest.fixture(scope="module")
def second(farm: Client) -> Client:
    """Another server of the same client, with a backup of its own."""
    other = replace(farm, server="gue-sql")
    other.restic("init")
    send(other, "databases")
    return other


def send(client: Client, text: str, code: int = 0, *options: str) -> str:
    """A backup of what the farm has, most of which stays from day to day."""
    if not client.files.exists():
        client.files.mkdir()
        for name in ("ledger", "letters", "plans"):
            (client.files / name).write_bytes(os.urandom(100_000))
    (client.files / "accounts").write_text(text)
    (client.files / "random").write_bytes(os.urandom(5000))
    return client.restic("backup", *options, str(client.files), code=code)


@pytest.fixture
def providers_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the maintenance program is given it; what a client's restic is given is its own."""
    for name, value in zip(KEY, (*PROVIDER, "us-east-1"), strict=True):
        monkeypatch.setenv(name, value)


def objects(supplier: Supplier, client: Client) -> dict[str, str]:
    """Name -> ETag of all that is in the bucket now, less locks."""
    pages = supplier.provider.get_paginator("list_objects_v2").paginate(Bucket=client.bucket)
    found = (one for page in pages for one in page.get("Contents", ()))
    return {one["Key"]: one["ETag"] for one in found if "/locks/" not in one["Key"]}


def refused(call: Any, **arguments: Any) -> None:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    assert caught.value.response["Error"]["Code"] == "AccessDenied"


def uploaded(supplier: Supplier, client: Client, bucket: str, name: str) -> int:
    """The HTTP status of an upload. Not by boto3: it waits for a go-ahead, and the server just hangs up."""
    address = supplier.of(client).generate_presigned_url("put_object", {"Bucket": bucket, "Key": name})
    return requests.put(address, data=b"rubbish", verify=str(supplier.ca), timeout=60).status_code


def test_a_host_of_buckets_gets_nothing_of_an_instance(supplier: Supplier, farm: Client) -> None:
    assert not [name for name in ("data", "config", "bin/rest-server") if (supplier.folder / name).exists()]


def test_the_role_repairs_a_bucket_and_then_leaves_it_alone(supplier: Supplier, neighbour: Client) -> None:
    bucket = neighbour.bucket
    suspended = {"Status": "Suspended"}
    supplier.provider.put_bucket_versioning(Bucket=bucket, VersioningConfiguration=suspended)
    everything = {
        "Effect": "Allow",
        "Principal": {"AWS": [neighbour.key]},
        "Action": ["s3:*"],
        "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
    }
    opened = {"Version": "2012-10-17", "Statement": [everything]}
    supplier.provider.put_bucket_policy(Bucket=bucket, Policy=json.dumps(opened))
    repaired = supplier.play("repository")
    assert f"versions of {bucket}" in repaired
    assert f"policy of {bucket}" in repaired
    refused(supplier.of(neighbour).delete_object, Bucket=bucket, Key="voisine-srv/config")
    assert changed(supplier.play("repository")) == 0


def test_a_client_s_key_cannot_delete(supplier: Supplier, farm: Client, tmp_path: Path) -> None:
    key, before = supplier.of(farm), objects(supplier, farm)
    kinds = {name.split("/")[2] for name in before if "/gue-srv/" in name}
    assert kinds == {"config", "data", "index", "keys", "snapshots"}
    for name in before:  # its own, and those of the client's other server
        refused(key.delete_object, Bucket=farm.bucket, Key=name)
        for one in versions(supplier, farm, name):
            refused(key.delete_object, Bucket=farm.bucket, Key=name, VersionId=one)
    together = key.delete_objects(
        Bucket=farm.bucket, Delete={"Objects": [{"Key": name} for name in sorted(before)]}
    )
    assert "Deleted" not in together
    farm.restic("forget", "latest", "--prune", code=3)
    assert objects(supplier, farm) == before
    farm.restic("unlock", "--remove-all")
    farm.restic("check", "--read-data")


def versions(supplier: Supplier, client: Client, name: str) -> list[str]:
    found = supplier.provider.list_object_versions(Bucket=client.bucket, Prefix=name)
    return [one["VersionId"] for one in found.get("Versions", ())]


def test_a_client_s_key_cannot_change_the_rules(supplier: Supplier, farm: Client) -> None:
    key, opened = supplier.of(farm), json.dumps({"Version": "2012-10-17", "Statement": []})
    refused(key.put_bucket_policy, Bucket=farm.bucket, Policy=opened)
    refused(key.delete_bucket_policy, Bucket=farm.bucket)
    refused(key.put_bucket_versioning, Bucket=farm.bucket, VersioningConfiguration={"Status": "Suspended"})
    refused(key.put_bucket_acl, Bucket=farm.bucket, ACL="public-read-write")
    refused(key.put_object_acl, Bucket=farm.bucket, Key="repository/gue-srv/config", ACL="public-read-write")
    refused(key.delete_bucket, Bucket=farm.bucket)
    assert uploaded(supplier, farm, farm.bucket, "beside/the/repository") == 403


def test_a_client_s_key_reaches_no_other_client(supplier: Supplier, farm: Client, neighbour: Client) -> None:
    key = supplier.of(neighbour)
    refused(key.list_objects_v2, Bucket=farm.bucket)
    refused(key.get_object, Bucket=farm.bucket, Key="repository/gue-srv/config")
    assert uploaded(supplier, neighbour, farm.bucket, "repository/gue-srv/data/00/00") == 403
    source = f"{farm.bucket}/repository/gue-srv/config"
    refused(key.copy_object, Bucket=neighbour.bucket, Key="a", CopySource=source)


def test_a_server_s_key_reaches_no_other_server(supplier: Supplier, farm: Client, second: Client) -> None:
    """Of the same client, by prefix. The names of objects it can list: they are hashes."""
    key, bucket = supplier.of(farm), farm.bucket
    theirs = [name for name in objects(supplier, farm) if "/gue-sql/" in name]
    assert theirs
    for name in theirs:
        refused(key.get_object, Bucket=bucket, Key=name)
        refused(key.delete_object, Bucket=bucket, Key=name)
        assert uploaded(supplier, farm, bucket, name) == 403
    assert uploaded(supplier, farm, bucket, "repository/gue-sql/locks/00") == 403
    assert uploaded(supplier, farm, bucket, "repository/elsewhere/config") == 403
    source = f"{bucket}/repository/gue-sql/config"
    refused(key.copy_object, Bucket=bucket, Key="repository/gue-srv/a", CopySource=source)
    second.restic("check", "--read-data")


def test_what_was_overwritten_comes_back(supplier: Supplier, farm: Client, tmp_path: Path) -> None:
    """S3 has no right to add without the right to overwrite."""
    supplier.play("repository")  # the repository is there: its fence, too
    before = objects(supplier, farm)
    mine = [name for name in before if "/gue-srv/" in name]
    # What is no backup is fenced: the key that he would put in the place of ours, too.
    fenced = [name for name in mine if name.split("/")[2] in ("config", "keys")]
    for name in fenced:
        assert uploaded(supplier, farm, farm.bucket, name) == 403
    mine = [name for name in mine if name not in fenced]
    for name in mine:
        assert uploaded(supplier, farm, farm.bucket, name) == 200
    assert uploaded(supplier, farm, farm.bucket, mine[0]) == 200  # once more
    farm.restic("check", code=1)
    assert objects(supplier, farm) != before

    held = supplier.play("retention", code=2)
    assert "objects were overwritten" in held
    foretold = supplier.play("repository", "--check")
    assert foretold.count("-overwritten on ") == len(mine) + 1
    assert objects(supplier, farm) != before
    supplier.play("repository")
    assert objects(supplier, farm) == before
    farm.restic("check", "--read-data")
    farm.restic("restore", "latest", "--target", str(tmp_path))
    [accounts] = tmp_path.rglob("accounts")
    assert accounts.read_text() == "more accounts"


def test_the_provider_s_retention_and_the_volume(supplier: Supplier, farm: Client, tmp_path: Path) -> None:
    """Over it a backup is refused at once; restores and the provider's own work are not (C7, C15)."""
    state = supplier.folder / "state" / farm.name
    assert changed(supplier.play("retention")) == 0
    report = json.loads((state / "retention.json").read_text())
    assert report["promise"] == {"kept": True, "problems": []}
    # They arrived just now and claim to be of now: both are kept, and nothing is set aside.
    assert {one["action"] for one in report["decisions"]} == {"keep"}
    stored = sum(
        one["Size"]
        for page in supplier.provider.get_paginator("list_objects_v2").paginate(Bucket=farm.bucket)
        for one in page["Contents"]
    )
    assert report["volume"]["stored_bytes"] == stored

    (farm.files / "large").touch()
    os.truncate(farm.files / "large", 1_100_000_000)
    send(farm, "too much")
    foretold = supplier.play("retention", "--check")
    assert "+new backups are refused: over the subscribed volume" in foretold
    send(farm, "too much")
    supplier.play("retention")
    (farm.files / "large").unlink()
    assert "Access Denied" in send(farm, "still too much", code=1)
    assert changed(supplier.play("repository")) == 0, "the role keeps it closed"
    farm.restic("restore", "latest", "--target", str(tmp_path), "--sparse")
    farm.restic("unlock", "--remove-all")

    supplier.play("retention", "-e", json.dumps({"prosecours_subscribed_gb": 2}))
    send(farm, "welcome again")


@dataclass(frozen=True)
class Backdated(Bucket):
    """A bucket where each snapshot has arrived when it says: no supplier lets anyone set that time."""

    times: Mapping[str, datetime] = field(default_factory=dict)

    def arrivals(self) -> dict[str, datetime]:
        return {name: self.times[name] + timedelta(minutes=2) for name in super().arrivals()}


@pytest.mark.usefixtures("providers_key")
def test_the_maintenance_removes_and_prunes(supplier: Supplier, neighbour: Client, tmp_path: Path) -> None:
    """What no coming day asks for goes; the supplier keeps it for thirty days more."""
    neighbour.restic("init")
    times = {}
    for day in range(1, 12):
        moment = datetime(2026, 1, day, 21, tzinfo=UTC)
        said = send(neighbour, f"{day}", 0, "--json", "--time", f"{moment.astimezone():%Y-%m-%d %H:%M:%S}")
        times[json.loads(said.splitlines()[-1])["snapshot_id"]] = moment
    before = objects(supplier, neighbour)
    bucket = Backdated(neighbour.url, supplier.ca.read_text(), times)
    repository = Repository(
        Path(neighbour.url), f"encryption-of-{neighbour.server}", restic(), patience=60, lies=bucket
    )
    order, state = Order(neighbour.server, Rules(), max_unused="0"), State(tmp_path)
    foretold = run(order, repository, state, check=True)
    assert objects(supplier, neighbour) == before
    done = run(order, repository, state, check=False)
    assert done["removed"] == foretold["removed"]
    assert done["removed"]

    left = objects(supplier, neighbour)
    kept = [name for name in left if name.startswith("voisine-srv/snapshots/")]
    assert len(kept) == len(times) - len(done["removed"])
    neighbour.restic("check", "--read-data")
    gone = set(before) - set(left)
    assert any(name.startswith("voisine-srv/data/") for name in gone)
    assert all(versions(supplier, neighbour, name) for name in gone), "a mistake could still be made good"
    assert run(order, repository, state, check=False)["changed"] is False
    bucket.forget(datetime.now(UTC) + timedelta(days=31))
    assert not any(versions(supplier, neighbour, name) for name in gone)
    assert objects(supplier, neighbour) == left


def of_folders(client: Client) -> set[str]:
    """The packs of the repository that hold folders."""
    indexes = [
        json.loads(client.restic("cat", "index", name)) for name in client.restic("list", "index").split()
    ]
    packs = (pack for index in indexes for pack in index["packs"])
    return {pack["id"] for pack in packs if any(blob["type"] == "tree" for blob in pack["blobs"])}


@pytest.mark.usefixtures("providers_key")
def test_a_night_fetches_each_file_once_and_sees_what_the_supplier_has_lost(
    supplier: Supplier, neighbour: Client, tmp_path: Path
) -> None:
    """restic asks for folders one by one; what one night fetched hides nothing from the next."""
    if not objects(supplier, neighbour):  # where this test is chosen alone
        neighbour.restic("init")
    for day in range(6):
        for number in range(60):
            path = neighbour.files / "folders" / f"{number}" / "accounts"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{day}")
        send(neighbour, f"{day}")
    bucket = Bucket(neighbour.url, supplier.ca.read_text())
    password = f"encryption-of-{neighbour.server}"
    repository = Repository(Path(neighbour.url), password, restic(), patience=60, lies=bucket)
    order, state = Order(neighbour.server, Rules()), State(tmp_path)

    packs = of_folders(neighbour)
    once = ("index", "keys", "snapshots", *(f"data/{name[:2]}/{name}" for name in packs))

    def fetched(work: Callable[[], Any]) -> Counter[str]:
        """How often each of these was."""
        before = len(supplier.asked())
        work()
        names = (name.partition("/")[2] for what, name in supplier.asked()[before:] if what == "GetObject")
        return Counter(name for name in names if name.startswith(once))

    bare = fetched(lambda: neighbour.restic("check", "--no-cache"))
    ours = fetched(lambda: run(order, repository, state, check=False))
    assert {*ours.values()} == {1}
    assert ours.keys() >= bare.keys()
    assert ours.total() * 5 < bare.total(), (ours, bare)

    lost = f"{neighbour.server}/data/{min(packs)[:2]}/{min(packs)}"
    gone = supplier.provider.delete_object(Bucket=neighbour.bucket, Key=lost)
    with pytest.raises(Damaged, match=min(packs)):
        run(order, repository, state, check=False)
    supplier.provider.delete_object(Bucket=neighbour.bucket, Key=lost, VersionId=gone["VersionId"])
    assert run(order, repository, state, check=False)["check"]["ok"]
    file = supplier.folder / "objects" / neighbour.bucket / lost
    true = file.read_bytes()
    file.write_bytes(true[:50] + b"rot" + true[53:])
    with pytest.raises(Damaged, match=min(packs)):
        run(order, repository, state, check=False)
    file.write_bytes(true)
    assert run(order, repository, state, check=False)["check"]["ok"]


@pytest.mark.usefixtures("providers_key")
def test_what_is_spoiled_at_the_supplier_is_handed_over_to_be_judged(
    supplier: Supplier, neighbour: Client
) -> None:
    """What the provider writes, as a prune does, has a checksum there; what a client writes has none."""
    bucket, lock = Bucket(neighbour.url, supplier.ca.read_text()), "5" * 64
    bucket.write("locks", lock, b"as it was sent")
    try:
        place = supplier.folder / "objects" / neighbour.bucket / neighbour.server / "locks" / lock
        place.write_bytes(b"as it came out")
        assert bucket.read("locks", lock) == b"as it came out"
    finally:
        bucket.remove("locks", lock)


@pytest.mark.usefixtures("providers_key")
def test_a_retired_server_s_part_of_the_bucket_goes_whole(
    supplier: Supplier, farm: Client, second: Client, tmp_path: Path
) -> None:
    """The last test here: gue-srv has left the contract."""
    bucket = {"location": farm.base, "keys": {second.server: second.key}, "ca": supplier.ca.read_text()}
    left = fleet.Client(farm.name, "PS-1", 2, 7, 2, {second.server: second.url}, farm.base, bucket)
    before = replace(left, servers={**left.servers, farm.server: farm.url})
    settings = fleet.Settings(str(tmp_path), restic(), 1, 15, 24, patience=60, reserve_megabytes=0)

    def maintained(
        client: fleet.Client = left, release: tuple[str, ...] = (), **sighting: Any
    ) -> dict[str, Any]:
        path = tmp_path / farm.name / "retired.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({farm.server: {"days": 100, "on": "2026-01-01", **sighting}}))
        judging = replace(settings, release=release, release_by="A. Martin", release_why="a test")
        done = fleet.maintain([client], lambda _, server: f"encryption-of-{server}", judging, check=False)
        assert done.failures == {}
        return done.reports[farm.name]

    theirs = {name: tag for name, tag in objects(supplier, second).items() if "/gue-sql/" in name}
    arrived = {name.rpartition("/")[2] for name in objects(supplier, farm) if "/gue-srv/snapshots/" in name}
    assert set(maintained()["retired"][farm.server]["held"]) == arrived, "nobody has looked at any"
    maintained(before, release=tuple(arrived))
    report = maintained()
    goes_on = datetime.now(UTC).date() + timedelta(days=14)  # its last backup arrived today
    assert report["retired"][farm.server]["goes_on"] in {f"{goes_on}", f"{goes_on + timedelta(days=1)}"}
    assert report["dropped"] == []
    assert uploaded(supplier, farm, farm.bucket, "repository/gue-srv/locks/00") == 403, "its key is out"
    assert maintained(going=True)["dropped"] == [farm.server]
    assert objects(supplier, second) == theirs
    assert not versions(supplier, farm, "repository/gue-srv/")
    second.restic("check", "--read-data")
