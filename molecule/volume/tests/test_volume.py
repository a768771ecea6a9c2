"""Who is near his volume is told, who is over it is refused, and both ways out of it work (C15)."""

from __future__ import annotations

import csv
import json
import os
import subprocess
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

DEPOT = Path(os.environ["PROSECOURS_DEPOT"])
ADDRESS = f"{os.environ['PROSECOURS_NETWORK']}.1"
CHECKOUT = Path(__file__).resolve().parents[3]
OVER = "ferme_a_110"
PORTS = {"ferme_a_70": 28901, "ferme_a_85": 28902, "ferme_a_97": 28903, OVER: 28904}


def report(client: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DEPOT / "state" / client / "retention.json").read_text())
    return found


def restic(client: str, *arguments: str) -> subprocess.Popen[str]:
    """The client's own, through rest-server; it takes what it is refused for an outage and tries on."""
    server = f"{client.replace('_', '-')}-srv"
    return subprocess.Popen(
        ["restic", "--no-cache", *arguments],
        env=os.environ
        | {
            "RESTIC_REPOSITORY": f"rest:https://{ADDRESS}:{PORTS[client]}/{server}/",
            "RESTIC_PASSWORD": f"encryption-of-{server}",
            "RESTIC_REST_USERNAME": server,
            "RESTIC_REST_PASSWORD": f"repository-of-{server}",
            "RESTIC_CACERT": os.environ["REQUESTS_CA_BUNDLE"],
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def succeeds(client: str, *arguments: str) -> str:
    with restic(client, *arguments) as process:
        said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said
    return said


def snapshots(client: str) -> int:
    return len(json.loads(succeeds(client, "snapshots", "--json")))


def backup_is_refused(client: str, folder: Path) -> None:
    before = snapshots(client)
    (folder / "new").write_bytes(os.urandom(1000))
    with restic(client, "backup", str(folder)) as process:
        assert process.stdout
        assert any("returned error, retrying after" in line and "(500)" in line for line in process.stdout)
        process.terminate()
        process.stdout.read()
    assert process.returncode != 0
    assert snapshots(client) == before


def deploy(subscribed_gb: int, measured: int) -> str:
    """The end of a deploy of the client that is over."""
    done = subprocess.run(
        [
            *("ansible-playbook", "-i", os.environ["PROSECOURS_INVENTORY"], "--limit", OVER, "--diff"),
            *("-e", json.dumps({"prosecours_subscribed_gb": subscribed_gb, "volume_measured": measured})),
            str(CHECKOUT / "molecule" / "volume" / "deployed.yml"),
        ],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("client", "threshold", "closed"),
    [("ferme_a_70", 0, False), ("ferme_a_85", 80, False), ("ferme_a_97", 95, False), (OVER, 100, True)],
)
def test_each_threshold_is_told(client: str, threshold: int, closed: bool) -> None:
    found = report(client)["volume"]
    assert (found["percent"], found["threshold"], found["closed"]) == (
        int(client.rpartition("_")[2]),
        threshold,
        closed,
    )
    # 10 MB a day, by the two weeks that the scenario has written down.
    days = {"ferme_a_70": 30, "ferme_a_85": 15, "ferme_a_97": 3, OVER: 0}[client]
    full = date.fromisoformat(found["full_on"])
    assert abs(full - date.today() - timedelta(days=days)) <= timedelta(days=1)


def test_the_bill_has_them_all() -> None:
    rows = [row for path in DEPOT.glob("volume-*.csv") for row in csv.DictReader(path.open(), delimiter=";")]
    highest = {row["client"]: (row["highest_gb"], row["over_gb"]) for row in rows}
    assert highest["ferme_a_85"] == ("0.850", "0.000")
    assert highest[OVER] == ("1.100", "0.100")


def test_near_the_volume_backups_go_on(tmp_path: Path) -> None:
    (tmp_path / "new").write_bytes(os.urandom(1000))
    succeeds("ferme_a_97", "backup", str(tmp_path))


def test_over_it_they_are_refused_until_there_is_more_or_less(tmp_path: Path) -> None:
    backup_is_refused(OVER, tmp_path)
    target = tmp_path / "restored"
    succeeds(OVER, "restore", "latest", "--target", str(target), "--sparse")
    assert next(target.rglob("*.dat")).stat().st_size == 1_100_000_000
    succeeds(OVER, "unlock")

    assert "+new backups: accepted" in deploy(2, 1_100_000_000)  # more was subscribed
    succeeds(OVER, "backup", str(tmp_path / "new"))
    assert "+new backups: refused" in deploy(1, 1_100_000_000)  # and is not any more
    backup_is_refused(OVER, tmp_path)

    assert "+new backups: accepted" in deploy(1, 1000)  # he deleted files
    succeeds(OVER, "backup", str(tmp_path / "new"))
    assert "changed=0" in deploy(1, 1000)
