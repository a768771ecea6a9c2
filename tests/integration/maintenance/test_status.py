"""The status of a client: what the repository and the state say together, past all code that wrote them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance import status
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.fleet import Client as Known
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.fleet import Settings, maintain
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.model import Status
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.retention import PARIS
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


@pytest.fixture
def alone(client: Client, moulin: Known) -> Known:
    """Its other server has left the contract."""
    return replace(moulin, servers={"srv": str(client.path)})


def sighted(settings: Settings, **changes: Any) -> None:
    """Change what is remembered of the server sql that left."""
    path = Path(settings.state_folder, "moulin", "retired.json")
    known = json.loads(path.read_text())
    path.write_text(json.dumps({"sql": known["sql"] | changes}))


def test_a_server_that_left_the_contract_is_kept_and_counts_for_nothing(
    client: Client, second: Client, moulin: Known, alone: Known, settings: Settings, look: Look
) -> None:
    today = datetime.now(PARIS).date()
    client.backup(at("2026-01-05"))
    second.backup(at(today - ONE_DAY))  # 14 days are promised: it arrived yesterday, and goes in 14 days
    maintained(moulin, settings)
    kept = second.snapshots()
    outcome = maintain([alone], lambda _client, _server: "not the password of sql", settings, check=True)
    assert not Path(settings.state_folder, "moulin", "retired.json").exists()
    outcome = maintain([alone], lambda _client, _server: PASSWORD, settings, check=False)
    size = sum(path.stat().st_size for path in client.folder.rglob("*") if path.is_file())
    report = outcome.reports["moulin"]
    assert report["volume"]["newest_bytes"] == size
    assert list(report["servers"]) == ["srv"]
    assert second.snapshots() == kept
    goes_on = (today + 14 * ONE_DAY).isoformat()
    assert (report["retired"]["sql"]["goes_on"], report["dropped"]) == (goes_on, [])
    said = (
        f"sql is in the contract no more (last backup: {today - ONE_DAY}): its repository goes on {goes_on}"
    )
    assert outcome.notes["moulin"] == [said]
    assert not [text for text in outcome.worries["moulin"] if "sql" in text], "nobody needs to look"
    found, _ = statuses([alone], lambda _client, _server: PASSWORD, settings, datetime.now(UTC))
    told = as_json(found["moulin"])
    assert list(told["servers"]) == ["srv"]
    assert told["retired"]["sql"]["goes_on"] == goes_on
    assert not [text for text in problems(told) if "sql" in text]
    report = combine({"depot": {"clients": {"moulin": told}, "problems": {}, "failures": {}}}, {"moulin": {}})
    assert table(report).splitlines()[-2:] == ["To know:", f"moulin: {said}"]
    # Another run of the same day counts no other day.
    maintained(alone, settings)
    found, _ = statuses([alone], lambda _client, _server: PASSWORD, settings, datetime.now(UTC))
    assert as_json(found["moulin"])["retired"]["sql"]["goes_on"] == goes_on
    # It comes back, and leaves again: all begins anew.
    sighted(settings, days=14)
    maintained(moulin, settings)
    maintained(alone, settings)
    found, _ = statuses([alone], lambda _client, _server: PASSWORD, settings, datetime.now(UTC))
    assert as_json(found["moulin"])["retired"]["sql"]["goes_on"] == goes_on


def test_a_retired_server_s_repository_goes_with_its_login_when_nothing_of_it_is_promised(
    client: Client, second: Client, moulin: Known, alone: Known, settings: Settings, tmp_path: Path
) -> None:
    config = tmp_path / "etc" / "config"
    passwords = config / "moulin" / "encryption-passwords"
    passwords.mkdir(parents=True)
    for name in ("srv", "sql"):
        (passwords / name).write_text("secret")
    logins = config / "moulin" / "htpasswd"
    logins.write_text("srv:$2b$10$x\nsql:$2b$10$y\nsql2:$2b$10$z\n")
    logins.chmod(0o640)
    settings = replace(settings, config=str(config))
    outside = tmp_path / "outside"
    outside.write_text("the host's own")
    for one in (client, second):
        one.backup(at("2026-01-05"))
    maintained(moulin, settings)
    maintained(alone, settings)
    (second.path / "snapshots" / f"{'0' * 64}.rest-server-temp1").touch()  # of an upload that was refused
    # A hostile server could put what he wants into his own folder, if he broke into the rest-server.
    (second.path / "data" / "link").symlink_to(outside)
    os.mkfifo(second.path / "data" / "pipe")
    (second.path / "keys").chmod(0o500)

    sighted(settings, days=13, on="2026-01-30")
    maintained(alone, settings)
    assert second.path.is_dir(), "it was seen missing on 14 days, and not on 14 days before"
    sighted(settings, on="2026-01-31")
    foretold = maintain([alone], lambda _client, _server: PASSWORD, settings, check=True).reports["moulin"]
    assert (foretold["changed"], foretold["dropped"], second.path.is_dir()) == (True, ["sql"], True)
    assert "repository of sql" in foretold["diff"]["before"]
    outcome = maintain([alone], lambda _client, _server: PASSWORD, settings, check=False)
    report = outcome.reports["moulin"]
    assert (report["changed"], report["dropped"], report["retired"]) == (True, ["sql"], {})
    assert outcome.notes["moulin"] == ["sql is in the contract no more: its repository was dropped"]
    assert not [path for path in client.path.parent.iterdir() if "sql" in path.name]
    assert outside.read_text() == "the host's own"
    assert sorted(path.name for path in passwords.iterdir()) == ["srv"]
    assert (logins.read_text(), logins.stat().st_mode & 0o777) == ("srv:$2b$10$x\nsql2:$2b$10$z\n", 0o640)
    assert not Path(settings.state_folder, "moulin", "sql").exists()
    assert client.snapshots(), "the other server has all it had"
    again = maintain([alone], lambda _client, _server: PASSWORD, settings, check=False).reports["moulin"]
    assert (again["changed"], again["dropped"], again["retired"]) == (False, [], {})


def test_a_drop_that_was_cut_off_is_finished(
    client: Client, second: Client, moulin: Known, alone: Known, settings: Settings
) -> None:
    for one in (client, second):
        one.backup(at("2026-01-05"))
    maintained(moulin, settings)
    maintained(alone, settings)
    sighted(settings, going=True)
    going = second.path.with_name(".going-sql")
    second.path.rename(going)
    (going / "config").unlink()
    outcome = maintain([alone], lambda _client, _server: PASSWORD, settings, check=False)
    assert outcome.reports["moulin"]["dropped"] == ["sql"]
    assert not going.exists()
    assert not Path(settings.state_folder, "moulin", "sql").exists()


def test_what_nobody_judged_holds_the_repository_of_a_retired_server(
    client: Client, second: Client, moulin: Known, alone: Known, settings: Settings
) -> None:
    """The server was encrypted, and was taken out of the inventory: what is older is all that is left."""
    client.backup(at("2026-01-05"))
    second.backup(at("2026-01-05"))
    shutil.rmtree(second.folder / "office")
    second.write(ledger="x")
    lost = second.backup(at("2026-01-06"))
    maintained(moulin, settings)
    maintained(alone, settings)
    sighted(settings, days=100, on="2026-01-31")
    outcome = maintain([alone], lambda _client, _server: PASSWORD, settings, check=False)
    assert outcome.reports["moulin"]["dropped"] == []
    assert second.path.is_dir()
    assert [text for text in outcome.worries["moulin"] if lost[:8] in text and "it stays" in text]
    # Judged while it was in the inventory again.
    judging = replace(settings, release=(lost,), release_by="A. Martin", release_why="a server replaced")
    maintain([moulin], lambda _client, _server: PASSWORD, judging, check=False)
    # Of what arrived after its last maintenance nobody knows what it is: the password has left with it.
    late = second.backup(at("2026-01-07"))
    maintained(alone, settings)
    sighted(settings, days=100, on="2026-01-31")
    outcome = maintain([alone], lambda _client, _server: PASSWORD, settings, check=False)
    assert outcome.reports["moulin"]["dropped"] == []
    assert outcome.reports["moulin"]["retired"]["sql"]["held"] == [late]
    assert [text for text in outcome.worries["moulin"] if late[:8] in text and "it stays" in text]
    maintained(moulin, settings)
    maintained(alone, settings)
    sighted(settings, days=14, on="2026-01-31")
    outcome = maintain([alone], lambda _client, _server: PASSWORD, settings, check=False)
    assert outcome.reports["moulin"]["dropped"] == ["sql"]


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
