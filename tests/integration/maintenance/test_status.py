"""The status of a client: what the repository and the state say together, past all code that wrote them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance import status
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.fleet import Client as Known
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.fleet import Settings, maintain
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.model import Status
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.shape import as_json, read
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.status import statuses
from ansible_collections.prosecours.backup.plugins.plugin_utils.repository import status as status_report
from ansible_collections.prosecours.backup.plugins.plugin_utils.repository.status import (
    Statuses,
    answer,
    table,
    wrong,
)
from integration.maintenance.client import PASSWORD, Client, days, new_client
from unit.maintenance.simulation import ONE_DAY, at

Look = Callable[..., tuple[dict[str, Any], dict[str, str]]]


def combine(results: dict[str, Any], clients: dict[str, Any]) -> Statuses:
    return status_report.combine({host: answer(one) for host, one in results.items()}, clients)


def problems(told: dict[str, Any]) -> list[str]:
    return status.problems(read(Status, told))


@pytest.fixture
def settings(restic: str, tmp_path: Path) -> Settings:
    return Settings(str(tmp_path / "state"), restic, 2, 15, 24, patience=0, reserve_megabytes=0)


@pytest.fixture
def moulin(client: Client) -> Known:
    """With two servers, of which one has not sent anything."""
    servers = {"srv": str(client.path), "sql": str(client.path.parent / "sql")}
    return Known("moulin", "PS-2026-0042", 1, 7, 2, servers, str(client.path.parent))


@pytest.fixture
def look(moulin: Known, settings: Settings) -> Look:
    def at_time(now: datetime, *others: Known) -> tuple[dict[str, Any], dict[str, str]]:
        found, failures = statuses([moulin, *others], lambda _client, _server: PASSWORD, settings, now)
        return {client: as_json(one) for client, one in found.items()}, failures

    return at_time


def maintained(client: Known, settings: Settings) -> None:
    outcome = maintain([client], lambda _client, _server: PASSWORD, settings, check=False)
    assert not outcome.failures


def test_it_tells_of_versions_that_retention_has_removed(
    regular: Client, moulin: Known, settings: Settings, look: Look
) -> None:
    sent = sorted(regular.snapshots())
    maintained(moulin, settings)
    [newer] = days(regular, 1, start=20)
    found, failures = look(at("2026-01-26", 8))
    assert failures == {}
    server = found["moulin"]["servers"]["srv"]
    left = json.loads(regular.run("snapshots", "--json"))
    assert server["versions"] == len(left) < 20
    assert datetime.fromisoformat(server["last"]) == datetime.fromisoformat(left[-1]["time"])
    assert server["last_any"] == server["last"]
    assert server["oldest_day"] == "2026-01-11"
    assert sorted(one["id"] for one in server["history"]) == sorted([*sent, newer])
    assert [one["time"] for one in server["history"]] == sorted(one["time"] for one in server["history"])
    newest = server["history"][-1]
    summary = left[-1]["summary"]
    assert (newest["bytes"], newest["files"]) == (
        sum(path.stat().st_size for path in regular.folder.rglob("*") if path.is_file()),
        summary["total_files_processed"],
    )
    assert newest["added_bytes"] == summary["data_added_packed"] > 0
    assert (newest["complete"], newest["seconds"] > 0) == (True, True)
    assert found["moulin"]["servers"]["sql"] == {
        "versions": 0,
        "incomplete": 0,
        "last": None,
        "last_any": None,
        "oldest_day": None,
        "history": [],
    }
    assert found["moulin"]["promise"] == {"kept": True, "problems": []}
    assert found["moulin"]["volume"]["newest_bytes"] == newest["bytes"]
    assert found["moulin"]["volume"]["stored_bytes"] == sum(
        path.stat().st_size for path in regular.path.rglob("*") if path.is_file()
    )


def test_it_leaves_no_trace_and_works_while_a_backup_runs(
    regular: Client, moulin: Known, settings: Settings, look: Look
) -> None:
    maintained(moulin, settings)
    with subprocess.Popen(
        [regular.restic, "--repo", str(regular.path), "--no-cache", "backup", "--stdin", "--host", "sql"],
        env={**os.environ, "RESTIC_PASSWORD": PASSWORD},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    ) as backup:
        while not [path for path in (regular.path / "locks").iterdir() if len(path.name) == 64]:
            assert backup.poll() is None
        folders = (regular.path, Path(settings.state_folder))
        before = {path: path.stat().st_mtime_ns for folder in folders for path in folder.rglob("*")}
        found, _ = look(datetime.now().astimezone())
        assert {path: path.stat().st_mtime_ns for path in before} == before
        [lock] = found["moulin"]["locks"]
        assert lock["stale"] is False
        backup.kill()
    found, _ = look(datetime.now().astimezone())
    assert found["moulin"]["locks"][0]["stale"] is True


def test_a_version_that_someone_removed_breaks_the_promise_at_once(
    regular: Client, moulin: Known, settings: Settings, look: Look
) -> None:
    maintained(moulin, settings)
    ids = {entry["time"][:10]: entry["id"] for entry in json.loads(regular.run("snapshots", "--json"))}
    regular.run("forget", ids["2026-01-23"])
    found, _ = look(at("2026-01-25", 8))
    assert found["moulin"]["promise"]["kept"] is False
    assert "the promise is not kept: srv: on 2026-01-25 the last version of 2026-01-23 would be missing" in (
        problems(found["moulin"])
    )


def test_incomplete_forged_and_silent_are_told(client: Client, look: Look) -> None:
    client.backup(at("2026-01-05"))
    part = client.backup(at("2026-01-06"))
    client.backup(at("2026-01-06", 22.1), tag=f"incomplete={part}")
    forged = client.backup(at("2026-03-01"), arrival=at("2026-01-06", 23))
    found, _ = look(at("2026-01-07", 8))
    server = found["moulin"]["servers"]["srv"]
    assert (server["versions"], server["incomplete"], server["last_any"][:10]) == (1, 1, "2026-01-06")
    assert found["moulin"]["set_aside"] == [forged]
    assert [one["complete"] for one in server["history"]] == [True, False]
    assert problems(found["moulin"]) == [
        "sql has no complete backup yet",
        f"{forged[:8]} set aside: own time and arrival disagree",
    ]
    found, _ = look(at("2026-01-07", 12))
    assert "the last complete backup of srv is of 2026-01-05" in problems(found["moulin"])


def test_one_client_that_cannot_be_read_stops_no_other(
    client: Client, moulin: Known, settings: Settings, look: Look, tmp_path: Path
) -> None:
    client.backup(at("2026-01-05"))
    maintained(moulin, settings)
    nowhere = str(tmp_path / "nothing sent")
    bois = Known("bois", "PS-2", 1, 7, 2, {"bois-srv": f"{nowhere}/bois-srv"}, nowhere)
    tilleuls = Known("tilleuls", "PS-3", 1, 7, 2, {"srv": str(client.path)}, str(client.path.parent))
    (tmp_path / "state" / "tilleuls" / "srv").mkdir(parents=True)
    (tmp_path / "state" / "tilleuls" / "srv" / "versions.json").write_text('{"cut in the mi')
    found, failures = look(at("2026-01-06"), bois, tilleuls)
    assert sorted(found) == ["bois", "moulin"]
    assert problems(found["bois"]) == ["bois-srv has no complete backup yet"]
    assert failures["tilleuls"].endswith(
        "versions.json: it is damaged. Move it away: no version is lost by that, measures are taken anew."
    )
    # The maintenance tells it too, whatever is damaged besides.
    outcome = maintain([moulin, bois, tilleuls], lambda _client, _server: PASSWORD, settings, check=False)
    assert (list(outcome.reports), list(outcome.failures), outcome.empty) == (
        ["moulin"],
        ["tilleuls"],
        ("bois",),
    )
    shutil.rmtree(client.path)  # a disk that is not mounted
    outcome = maintain([moulin, tilleuls], lambda _client, _server: PASSWORD, settings, check=False)
    assert list(outcome.failures) == ["moulin", "tilleuls"]
    found, failures = look(at("2026-01-06"))
    assert failures["moulin"].endswith(
        "the repository does not exist. Correct the path, or deploy the client first."
    )


def test_a_maintenance_that_failed_is_told_until_one_went_well(
    client: Client, moulin: Known, settings: Settings, look: Look
) -> None:
    client.backup(at("2026-01-05"))
    maintain([moulin], lambda _client, _server: "another password", settings, check=True)
    assert look(at("2026-01-06"))[0]["moulin"]["retention"] == {"at": None, "failure": None}
    maintain([moulin], lambda _client, _server: "another password", settings, check=False)
    retention = look(at("2026-01-06"))[0]["moulin"]["retention"]
    assert "the repository refuses the encryption password" in retention["failure"]
    maintained(moulin, settings)
    retention = look(at("2026-01-06"))[0]["moulin"]["retention"]
    assert (retention["failure"], retention["at"] is not None) == (None, True)


def test_the_history_forgets_after_400_days(
    client: Client, moulin: Known, settings: Settings, look: Look
) -> None:
    first = date(2026, 1, 5)
    for later, known in ((0, 1), (399, 2), (401, 2)):
        client.backup(at(first + later * ONE_DAY))
        maintained(moulin, settings)
        found, _ = look(at(first + later * ONE_DAY))
        assert len(found["moulin"]["servers"]["srv"]["history"]) == known


def test_who_has_waited_longest_comes_first(
    client: Client, moulin: Known, settings: Settings, tmp_path: Path
) -> None:
    """One at a time: the order in which they begin."""
    client.backup(at("2026-01-05"))
    moulin = replace(moulin, servers={"srv": str(client.path)})
    others = [replace(moulin, client=name) for name in ("bois", "gue", "tilleuls")]
    alone = replace(settings, side_by_side=1)
    for name in ("gue", "moulin", "bois"):
        [one] = [one for one in (moulin, *others) if one.client == name]
        maintained(one, alone)
        report = tmp_path / "state" / name / "srv" / "retention.json"
        at_times = {"gue": "2026-01-07", "moulin": "2026-01-05", "bois": "2026-01-06"}
        report.write_text(
            json.dumps({**json.loads(report.read_text()), "at": f"{at_times[name]}T06:30:00+00:00"})
        )
    said: list[str] = []
    maintain([moulin, *others], lambda _client, _server: PASSWORD, alone, check=True, say=said.append)
    begun = [line.partition(":")[0] for line in said if line.endswith(": begins")]
    assert begun == ["tilleuls", "moulin", "bois", "gue"]


# -- several servers of a client ------------------------------------------------------------------------


@pytest.fixture
def second(client: Client) -> Client:
    """The client's other server, which sends the same files."""
    return new_client(client.restic, client.path.parent / "sql", client.folder)


def test_a_snapshot_with_a_forged_name_is_still_the_server_s(
    client: Client, second: Client, moulin: Known, settings: Settings, look: Look
) -> None:
    client.backup(at("2026-01-05"))
    client.backup(at("2026-01-06"), host="sql")
    client.backup(at("2026-01-07"), host="ghost")
    second.backup(at("2026-01-05"))
    maintained(moulin, settings)
    found, _ = look(at("2026-01-08", 8))
    servers = found["moulin"]["servers"]
    assert {name: one["versions"] for name, one in servers.items()} == {"srv": 3, "sql": 1}
    size = sum(path.stat().st_size for path in client.folder.rglob("*") if path.is_file())
    assert found["moulin"]["volume"]["newest_bytes"] == 2 * size, "each server once"


def test_a_server_that_fails_stops_no_other_of_its_client(
    client: Client, second: Client, moulin: Known, settings: Settings, look: Look
) -> None:
    for one in (client, second):
        one.backup(at("2026-01-05"))
    both = maintain([moulin], lambda _client, _server: PASSWORD, settings, check=False)
    assert not both.failures
    (second.path / "config").write_bytes(b"rubbish")
    outcome = maintain([moulin], lambda _client, _server: PASSWORD, settings, check=False)
    assert outcome.failures["moulin"].startswith("sql: ")
    assert list(outcome.reports["moulin"]["servers"]) == ["srv"]
    # What is known of the other still counts, as long as nobody can look.
    before = both.reports["moulin"]["volume"]["newest_bytes"]
    assert outcome.reports["moulin"]["volume"]["newest_bytes"] == before > 0
    found, failures = look(at("2026-01-06", 8))
    assert list(found["moulin"]["servers"]) == ["srv"]
    assert failures["moulin"].startswith("sql: ")


def test_a_server_that_left_the_contract_is_kept_and_counts_for_nothing(
    client: Client, second: Client, moulin: Known, settings: Settings, look: Look
) -> None:
    for one in (client, second):
        one.backup(at("2026-01-05"))
    maintained(moulin, settings)
    alone = replace(moulin, servers={"srv": str(client.path)})
    kept = second.snapshots()
    outcome = maintain([alone], lambda _client, _server: "not the password of sql", settings, check=True)
    outcome = maintain([alone], lambda _client, _server: PASSWORD, settings, check=False)
    size = sum(path.stat().st_size for path in client.folder.rglob("*") if path.is_file())
    assert outcome.reports["moulin"]["volume"]["newest_bytes"] == size
    assert list(outcome.reports["moulin"]["servers"]) == ["srv"]
    assert second.snapshots() == kept
    for day, over in (("2026-01-19", False), ("2026-01-20", True)):
        found, _ = statuses([alone], lambda _client, _server: PASSWORD, settings, at(day, 8))
        told = as_json(found["moulin"])
        assert list(told["servers"]) == ["srv"]
        assert "sql" in told["retired"]
        assert told["retired"]["sql"]["over"] is over
        assert any("sql is in the contract no more" in text for text in problems(told)) is over


# -- the table ------------------------------------------------------------------------------------------


def test_the_table_has_a_line_for_each_server_and_says_what_to_look_at(client: Client, look: Look) -> None:
    client.backup(at("2026-01-05"))
    new_client(client.restic, client.path.parent / "sql", client.folder).backup(at("2026-01-05", 23))
    found, _ = look(at("2026-01-06", 8))
    well = {"clients": found, "problems": {"moulin": problems(found["moulin"])}, "failures": {}}
    report = combine({"depot": well}, {"moulin": {}})
    assert wrong(report) == []
    head, _, first, second, _, last = table(report).splitlines()
    assert re.split(r"  +", head) == [
        *("client", "server", "last backup", "versions", "promise", "volume", "check", "drill")
    ]
    assert re.split(r"  +", first) == [
        *("moulin", "sql", "2026-01-05 23:00", "1", "kept", "0.0 % of 1 GB", "not yet", "not yet")
    ]
    assert second.split() == ["srv", "2026-01-05", "22:00", "1"]
    assert last == "Nothing needs a look."

    away = {"unreachable": True, "msg": "Connection refused"}
    report = combine({"depot": well, "depot2": away}, {"moulin": {}, "bois": {}})
    assert wrong(report) == ["bois"]
    assert table(report).splitlines()[-1] == (
        "bois: depot2: Connection refused. Look at this repository host."
    )
    assert wrong(combine({}, {"bois": {}})) == ["bois"]


def test_the_oldest_day_of_the_history_is_the_first(client: Client, look: Look) -> None:
    """By their time, not by the order in which they arrived or are named."""
    later, earlier = client.backup(at("2026-01-06")), client.backup(at("2026-01-05"))
    found, _ = look(at("2026-01-06") + timedelta(hours=1))
    assert [one["id"] for one in found["moulin"]["servers"]["srv"]["history"]] == [earlier, later]
