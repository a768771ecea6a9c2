"""What is left after retention, by restic and by the calendar: nothing here knows how it was decided."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

DEPOT = Path(os.environ["PROSECOURS_DEPOT"])
# The first backup is of Monday 19 January, the last of Tuesday 3 February. D-6 ... D, and of the two weeks
# before those that serve the longest.
PROMISED = [f"2026-01-{day}" for day in (19, 21, 28, 29, 30, 31)]
PROMISED += [f"2026-02-0{day}" for day in (1, 2, 3)]


def server_of(client: str) -> str:
    """The one server of a client."""
    return f"{client.replace('_', '-')}-srv"


def restic(client: str, *arguments: str) -> str:
    server = server_of(client)
    done = subprocess.run(
        [DEPOT / "bin" / "restic", "--repo", DEPOT / "data" / client / server, "--no-cache", *arguments],
        env={**os.environ, "RESTIC_PASSWORD": f"encryption-of-{server}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def listed(client: str) -> list[tuple[str, str]]:
    """The text of the file `today` in each snapshot, and the snapshot's id, by the time that it claims."""
    snapshots = json.loads(restic(client, "snapshots", "--json"))
    return [(restic(client, "dump", one["id"], "/files/today"), one["id"]) for one in snapshots]


@pytest.mark.parametrize("client", ["gaec_des_saules", "earl_du_gue"])
def test_what_is_promised_is_there_and_nothing_else(client: str) -> None:
    assert [day for day, _ in sorted(listed(client)) if day != "forged"] == PROMISED


def test_what_claims_another_time_than_its_arrival_is_still_there() -> None:
    assert [day for day, _ in listed("earl_du_gue")].count("forged") == 8


@pytest.mark.parametrize("client", ["gaec_des_saules", "earl_du_gue"])
def test_all_data_is_sound_and_restores(client: str, tmp_path: Path) -> None:
    restic(client, "check", "--read-data")
    for day, name in listed(client):
        restic(client, "restore", name, "--target", str(tmp_path / name))
        assert (tmp_path / name / "files" / "today").read_text() == day
        assert (tmp_path / name / "files" / "0").read_text() == "accounts of day 0"


def test_the_report_names_what_was_set_aside() -> None:
    report = json.loads((DEPOT / "state" / "earl_du_gue" / "retention.json").read_text())
    assert report["promise"] == {"kept": True, "problems": []}
    assert sorted(report["set_aside"]) == sorted(
        name for day, name in listed("earl_du_gue") if day == "forged"
    )


@pytest.mark.parametrize("client", ["gaec_des_saules", "earl_du_gue"])
def test_checks_and_drills_went_well_and_left_no_file(client: str) -> None:
    state = DEPOT / "state" / client / server_of(client)
    checks = json.loads((state / "check.json").read_text())["results"]
    assert checks
    assert all(one["ok"] for one in checks)
    [drill] = json.loads((state / "drill.json").read_text())
    newest = json.loads(restic(client, "ls", "--json", drill["versions"][0]).splitlines()[0])
    assert (drill["ok"], drill["files"]) == (True, 17)  # today's, and one of each of the sixteen evenings
    assert newest["time"].startswith("2026-02-03")
    assert list(DEPOT.glob("prosecours-drill-*")) == []
