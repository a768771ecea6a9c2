"""The attacks where the repository lies in a bucket: by the server's key there, past restic and our code.

versitygw is the supplier, under the product's policy; what it lets through the project's maintenance judges.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.bucket import (
    KEY,
    Bucket,
    ClientBucket,
)
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.checks import Damaged
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.client import run
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.repository import Repository
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.state import State
from attacks.conftest import ORDER
from attacks.forger import Forger
from attacks.test_drills import node

# A supplier on this machine.
from integration.s3.conftest import PROVIDER, Client, Supplier, restic, supplier  # noqa: F401
from support.sealed import empty_repository


@dataclass
class AtASupplier(Forger):
    """The same by the requests of S3, which compares no name with any hash."""

    s3: Any = None
    bucket: str = ""

    def list(self, kind: str) -> list[str]:
        found = self.s3.list_objects_v2(Bucket=self.bucket, Prefix=f"{self.url}{kind}/")
        return [one["Key"].rpartition("/")[2] for one in found.get("Contents", ())]

    def get(self, path: str) -> bytes:
        return bytes(self.s3.get_object(Bucket=self.bucket, Key=f"{self.url}{path}")["Body"].read())

    def add(self, kind: str, data: bytes, name: str = "") -> str:
        name = name or hashlib.sha256(data).hexdigest()
        folder = f"data/{name[:2]}" if kind == "data" else kind
        self.s3.put_object(Bucket=self.bucket, Key=f"{self.url}{folder}/{name}", Body=data)
        return name


def opened(supplier: Supplier, place: Path) -> Client:  # noqa: F811
    """A server whose repository is there and empty, behind the policy that the product writes."""
    [client] = supplier.add("ferme_du_gue", "srv")
    bucket = ClientBucket(client.base, supplier.ca.read_text(), {client.server: client.key})
    bucket.make()
    bucket.keep_versions()
    empty_repository(place, f"encryption-of-{client.server}")
    for path in filter(Path.is_file, place.rglob("*")):
        key = f"{client.server}/{path.relative_to(place)}"
        supplier.provider.put_object(Bucket=client.bucket, Key=key, Body=path.read_bytes())
    bucket.move(closed=False)
    assert bucket.fenced
    return client


def sent(client: Client) -> str:
    """A backup with a new database, by restic."""
    client.files.mkdir(exist_ok=True)
    (client.files / "letter").write_text("Madame, Monsieur")
    (client.files / "isagiwf.mdf").write_bytes(os.urandom(1_000_000))
    said = client.restic("backup", "--json", "--no-cache", str(client.files))
    return str(json.loads(said.splitlines()[-1])["snapshot_id"])


def test_what_the_policy_lets_through_is_named_and_takes_nothing_away(
    supplier: Supplier,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in zip(KEY, (*PROVIDER, "us-east-1"), strict=True):
        monkeypatch.setenv(name, value)
    client = opened(supplier, tmp_path / "empty")
    password = f"encryption-of-{client.server}"
    place = Bucket(client.url, supplier.ca.read_text())
    repository = Repository(Path(client.url), password, restic(), patience=0, lies=place, server="srv")
    state = State(tmp_path / "state")
    forger = AtASupplier("srv/", password, s3=supplier.of(client), bucket=client.bucket)

    good, encrypted = sent(client), sent(client)
    blobs = forger.listing()
    packed: list[tuple[str, bytes]] = []
    part = forger.blob("data", b"bytes", packed)
    huge = json.dumps({"nodes": [node("huge", size=10**15, content=[part])]}).encode() + b"\n"
    tree = forger.blob("tree", huge, packed)
    forger.pack(packed)
    claims = forger.snapshot(tree, datetime.now(UTC).isoformat())
    rubbish = {f"{kind}/{forger.add(kind, b'x' * 100)[:8]}" for kind in ("index", "snapshots", "locks")} | {
        f"locks/{forger.add('locks', b'of another content', '0' * 64)[:8]}"
    }
    before = {one.key for one in place.versions() if "locks/" not in one.key}

    result = run(ORDER, repository, state, check=False)
    assert set(result["losses"]) >= {encrypted, claims}
    assert good not in result["losses"]
    assert {text.partition(" ")[0] for text in result["rubbish"]} == rubbish
    assert state.versions()[claims].measure.bytes == 5
    assert (result["removed"], result["check"]["ok"]) == ([], True)
    assert place.listed("locks") == {}, "what is no lock holds up nobody's restic"

    pack, index = forger.false_copy(blobs)
    forger.add("index", index)
    with pytest.raises(Damaged, match=f"the pack {pack} .*Nothing is removed"):
        run(ORDER, repository, state, check=False)
    assert before <= {one.key for one in place.versions() if one.latest and not one.marker}
