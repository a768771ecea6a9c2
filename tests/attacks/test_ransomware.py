"""Ransomware that takes its time, or one file only: each way round the check.

It sends by the client's own restic and login, through a real append-only rest-server.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from attacks.conftest import Maintain
from attacks.forger import Forger
from attacks.test_drills import node
from integration.maintenance.client import Client
from unit.maintenance.simulation import at

BEGIN = at("2026-01-25")


def files(client: Client) -> list[Path]:
    return sorted(path for path in client.folder.rglob("*") if path.is_file())


def encrypt(paths: list[Path]) -> None:
    for path in paths:
        path.write_bytes(os.urandom(max(1, path.stat().st_size)))


def quarters_of_an_hour(client: Client) -> list[str]:
    every = files(client)
    sent = []
    for number in range(4):
        encrypt(every[number::4])
        sent.append(client.backup(BEGIN + timedelta(minutes=15 * number)))
    return sent


def junk_first(client: Client) -> list[str]:
    every = files(client)
    client.write(**{f"junk__{number}": "x" for number in range(300)})
    sent = [client.backup(BEGIN)]
    encrypt(every)
    return [*sent, client.backup(BEGIN + timedelta(days=1))]


def the_database_only(client: Client) -> list[str]:
    database = client.folder / "isagiwf.mdf"
    database.write_bytes(os.urandom(3_000_000))
    sent = [client.backup(BEGIN)]
    encrypt([database])
    return [*sent, client.backup(BEGIN + timedelta(days=1))]


def in_steps(client: Client, count: int, pause: timedelta) -> list[str]:
    """Each step leaves 61 % of what is not encrypted yet; the large file, which would show, comes last."""
    *left, large = sorted(files(client), key=lambda path: path.stat().st_size)
    sent = []
    random.Random(5).shuffle(left)  # noqa: S311 -- repeatable
    left.append(large)
    for number in range(count):
        now = int(0.39 * len(left))
        encrypt(left[:now])
        left = left[now:]
        sent.append(client.backup(BEGIN + number * pause))
    return sent


def eleven_in_an_evening(client: Client) -> list[str]:
    return in_steps(client, 11, timedelta(minutes=5))


def three_nights(client: Client) -> list[str]:
    return in_steps(client, 3, timedelta(days=1))


@pytest.mark.parametrize(
    "attack", [quarters_of_an_hour, junk_first, the_database_only, eleven_in_an_evening, three_nights]
)
def test_it_is_seen_and_the_good_versions_are_held(
    settled: Client, forger: Forger, maintain: Maintain, attack: Callable[[Client], list[str]]
) -> None:
    good = settled.snapshots()
    sent = attack(settled)
    tree = forger.document("snapshots", sent[-1])["tree"]
    for days in (3, 6, 9, 12, 15):  # two weeks in which nobody looks, and nothing changes any more
        begin = BEGIN + timedelta(days=days)
        sent.append(forger.snapshot(tree, begin.isoformat(), paths=[str(settled.folder)]))
        settled.arrived(sent[-1], begin + timedelta(minutes=2))
    result = maintain()
    assert set(result["losses"]) & set(sent)
    assert good <= settled.snapshots()


def test_sizes_that_a_version_claims_hide_no_loss(client: Client, forger: Forger, maintain: Maintain) -> None:
    """For some weeks he says of each file that it is empty; then the database alone is encrypted."""
    packed: list[tuple[str, bytes]] = []
    letters = [forger.blob("data", b"letter %d" % number, packed) for number in range(50)]

    def night(number: int, database: bytes) -> str:
        content = {f"{at:02}": part for at, part in enumerate(letters)}
        content["isagiwf.mdf"] = forger.blob("data", database, packed)
        nodes = [node(name, content=[part], size=0) for name, part in content.items()]
        tree = forger.blob("tree", json.dumps({"nodes": nodes}).encode() + b"\n", packed)
        forger.pack(packed)
        packed.clear()
        begin = BEGIN + timedelta(days=number)
        return client.arrived(forger.snapshot(tree, begin.isoformat()), begin + timedelta(minutes=2))

    true = os.urandom(3_000_000)
    for number in range(3):
        night(number, true)
    assert maintain()["losses"] == {}
    encrypted = night(3, os.urandom(3_000_000))
    [loss] = maintain()["losses"][encrypted]
    assert "3.0 MB of 3.0 MB vanished" in loss
