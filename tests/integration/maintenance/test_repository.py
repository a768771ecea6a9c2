"""The maintenance of a real repository by a real restic: sixty days, faults, and kills."""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance import (
    repository as restic_repository,
)
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.admission import Remembered
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.client import Order, Refused, run
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.repository import Repository
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.retention import Rules, Snapshot
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.state import Busy, State
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.storage import Folder
from integration.maintenance.client import PASSWORD, Client, contents, days
from integration.maintenance.restic_lock import leave_lock
from unit.maintenance.simulation import ONE_DAY, Judge, at, history_of

ORDER = Order("srv", Rules())
Maintain = Callable[..., dict[str, Any]]


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(tmp_path / "state")


@pytest.fixture
def maintain(repository: Repository, state: State) -> Maintain:
    def once(check: bool = False, **changes: Any) -> dict[str, Any]:
        return run(replace(ORDER, **changes), repository, state, check)

    return once


@pytest.mark.slow
def test_sixty_days_keep_the_promise_and_every_version_restores(
    client: Client, maintain: Maintain, tmp_path: Path
) -> None:
    """Missed days, several backups a day, late-night backups, a perimeter that changes."""
    chance, first = random.Random(7), date(2026, 2, 15)  # noqa: S311 -- over the clock change of 29 March
    wrote: dict[str, dict[str, str]] = {}
    sent: list[Snapshot] = []

    def send(begin: datetime, *paths: Path) -> None:
        name = client.backup(begin, *paths)
        wrote[name] = {
            path: text
            for path, text in contents(client.folder).items()
            if not paths or any((client.folder / path).is_relative_to(one) for one in paths)
        }
        sent.append(Snapshot(name, "srv", begin, begin + timedelta(minutes=2)))
        judge.history.real.add(name)
        judge.arrived(sent[-1])

    judge = Judge(history_of([Snapshot("none", "", at(first), at(first))], []))
    for number in range(60):
        day = first + number * ONE_DAY
        client.write(today=f"day {number}", **{f"journal__{number % 20}": f"entry {number}"})
        if chance.random() > 0.15:
            for hour in (12.0, 23.98) if chance.random() < 0.3 else (22.0,):
                client.write(now=f"{number} {hour}")
                send(at(day, hour))
        if 20 <= number < 50 and number % 3:
            perimeter = [client.folder / "office"] if number < 35 else []
            send(at(day, 24.02), *perimeter)  # after midnight
        if number % 4 == 3:
            maintain()
        problem = judge.broken(day + ONE_DAY, client.snapshots())  # it is past midnight
        assert problem is None, problem
    result = maintain()

    left = client.snapshots()
    assert result["promise"] == {"kept": True, "problems": []}
    assert len(left) < len(sent) / 2
    client.run("check", "--read-data")
    for name in left:
        assert client.restored(name, tmp_path / "out" / name) == wrote[name]
    assert maintain()["changed"] is False


@pytest.mark.parametrize("options", [["--keep-daily", "7", "--keep-weekly", "2"], ["--keep-within", "7d"]])
def test_what_restic_itself_offers_breaks_the_promise(regular: Client, options: list[str]) -> None:
    assert broken_by(regular, options) == "2026-01-24: srv lacks the week that ends 2026-01-17"


def test_buckets_are_emptied_by_forged_times(regular: Client) -> None:
    """Keeping the last of fourteen days is enough, until someone claims fourteen later days."""
    options = ["--keep-daily", "14"]
    assert broken_by(regular, options) is None
    for number in range(1, 15):
        regular.backup(at("2026-01-24") + number * ONE_DAY, arrival=at("2026-01-24", 23))
    assert broken_by(regular, options) == "2026-01-24: srv lacks the last version of 2026-01-18"


def broken_by(client: Client, options: list[str]) -> str | None:
    """What the promise lacks on the evening of the twentieth day, when restic forgets with `options`."""
    judge = Judge(history_of([Snapshot("none", "", at("2026-01-05"), at("2026-01-05"))], []))
    for entry in json.loads(client.run("snapshots", "--json")):
        begin = datetime.fromisoformat(entry["time"])
        if begin < at("2026-01-24", 23):
            judge.history.real.add(entry["id"])
            judge.arrived(Snapshot(entry["id"], entry["hostname"], begin, begin))
    forgotten = json.loads(client.run("forget", "--json", "--dry-run", *options))
    return judge.broken(date(2026, 1, 24), {one["id"] for group in forgotten for one in group["keep"]})


def test_versions_in_another_name_count_as_the_server_s_own(client: Client, maintain: Maintain) -> None:
    """Were they another server's, they would have days of their own, and nothing would go."""
    earlier = [client.backup(at(f"2026-01-{day:02}", 12)) for day in range(5, 9)]
    later = [client.backup(at(f"2026-01-{day:02}", 22), host="ghost") for day in range(5, 9)]
    assert sorted(maintain()["removed"]) == sorted(earlier)
    assert sorted(client.snapshots()) == sorted(later)


def test_check_mode_foretells_and_leaves_no_trace(regular: Client, maintain: Maintain, state: State) -> None:
    before = {path: path.stat().st_mtime_ns for path in regular.path.rglob("*")}
    foretold = maintain(check=True)
    assert {path: path.stat().st_mtime_ns for path in regular.path.rglob("*")} == before
    assert not state.folder.exists()
    done = maintain()
    measured = {"check": None, "drill": None, "counted": None, "dumps": []}
    assert {**foretold, **measured} == {**done, **measured}
    assert len(done["removed"]) == 12
    assert done["diff"]["after"].count("\n") == 8
    assert not {*done["removed"]} & regular.snapshots()


def test_a_sudden_loss_is_seen_in_the_trees_and_held_until_released(
    regular: Client, maintain: Maintain
) -> None:
    maintain()
    kept = regular.snapshots()
    shutil.rmtree(regular.folder / "journal")
    (regular.folder / "office" / "plan").unlink()
    loss = regular.backup(at("2026-01-25"))
    later = days(regular, 20, start=21)
    result = maintain()
    assert list(result["losses"]) == [loss]
    assert regular.snapshots() >= kept | {loss}

    released = maintain(release=(loss[:8],), release_by="A. Martin", release_why="journal closed")
    assert released["released"] == [loss]
    assert released["losses"] == {}
    assert not regular.snapshots() & (kept | {loss})
    assert regular.snapshots() <= set(later)
    with pytest.raises(Refused, match="no version that can be released"):
        maintain(release=("0" * 64,))


def test_a_rejected_version_takes_the_place_of_no_honest_one(
    regular: Client, maintain: Maintain, state: State
) -> None:
    """Forged an hour after the night's real one, and empty: released, it would be the day's last."""
    honest = regular.backup(at("2026-01-25"))
    files = {path: path.read_bytes() for path in regular.folder.rglob("*") if path.is_file()}
    for path in files:
        path.unlink()
    forged = regular.backup(at("2026-01-25", 23))
    for path, content in files.items():
        path.write_bytes(content)
    before = maintain()
    assert list(before["losses"]) == [forged]
    assert before["counted"].use.bytes < 1000

    with pytest.raises(Refused, match=f"{forged[:10]}: asked to be released and rejected"):
        maintain(release=(forged[:8],), reject=(forged[:10],))
    assert state.judgements() == {}
    result = maintain(reject=(forged[:8],), reject_by="A. Martin", reject_why="server was off")
    assert (result["rejected"], result["released"], result["losses"]) == ([forged], [], {})
    assert result["set_aside"] == []
    assert result["counted"].use.bytes == sum(map(len, files.values()))
    assert result["servers"]["srv"]["last"] == at("2026-01-25").astimezone(UTC).isoformat()
    [entry] = json.loads((state.folder / "judgements.json").read_text()).values()
    assert (entry["verdict"], entry["by"], entry["why"]) == ("rejected", "A. Martin", "server was off")
    assert maintain(reject=(forged[:8],))["changed"] is False

    # The next night is compared with the honest one, and all expires around the rejected one.
    assert maintain()["losses"] == {}
    days(regular, 6, start=21)
    later = maintain()
    assert (later["losses"], later["promise"]["kept"]) == ({}, True)
    assert {honest, forged} <= regular.snapshots()
    days(regular, 20, start=27)
    assert forged in maintain()["removed"]


def test_a_rejected_version_can_be_released_later_and_counts_again(
    regular: Client, maintain: Maintain
) -> None:
    late = regular.backup(at("2026-01-24", 23))
    maintain(reject=(late,), reject_by="A. Martin", reject_why="unknown")
    result = maintain(release=(late,), release_by="A. Martin", release_why="it was the client after all")
    assert (result["released"], result["rejected"]) == ([late], [])
    [decision] = [one for one in result["decisions"] if one["id"] == late]
    assert decision["reasons"] == ["last version of 2026-01-24"]


def test_what_describes_folders_is_no_content_that_vanished(client: Client, repository: Repository) -> None:
    """restic's own count of what went holds the trees as well: where files are small, they are more."""
    client.write(**{f"office__{number}": "twelve bytes" for number in range(40)})
    client.backup(at("2026-01-05"))
    client.write(office__7="other bytes!")
    client.backup(at("2026-01-06"))
    with repository.admitted(Remembered(), writable=False) as (seen, _unused):
        before, after = sorted(seen.snapshots(), key=lambda one: one.time)
        [first] = seen.measure(before, ())
        [one] = seen.measure(after, ((before, first),))
    assert (one.changed, one.removed, one.vanished) == (1, 0, 12)


def test_folders_are_not_asked_for_one_by_one(
    client: Client, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a bucket each would be a request. They are the same ones as restic counts."""
    for number in range(100):
        client.write(**{f"office__{number}__letter": str(number)})
    client.backup(at("2026-01-05"))
    asked: list[str] = []
    read = Folder.read

    def counted(place: Folder, kind: str, name: str, start: int = 0, size: int | None = None) -> bytes:
        asked.append(kind)
        return read(place, kind, name, start, size)

    with repository.admitted(Remembered(), writable=False) as (seen, _unused):
        [version] = seen.snapshots()
        assert seen.trees
        monkeypatch.setattr(Folder, "read", counted)
        size = seen.trees.size(version.tree, 60)
    nodes = [json.loads(line) for line in client.run("ls", "--json", version.id).splitlines()[1:]]
    assert (size.entries, size.bytes) == (len(nodes), sum(node.get("size", 0) for node in nodes))
    assert size.entries > 200
    assert asked.count("data") == 1


def test_a_folder_of_the_perimeter_that_is_gone_is_a_loss(client: Client, maintain: Maintain) -> None:
    office, journal = client.folder / "office", client.folder / "journal"
    for number in range(3):
        client.write(journal__a=f"{number}", **{f"journal__{n}": "." for n in range(20)})
        client.backup(at(date(2026, 1, 5) + number * ONE_DAY), office, journal)
    shutil.rmtree(office)
    last = client.backup(at("2026-01-08"), journal)
    assert maintain()["losses"][last][0] == f"{office} is gone"


def test_a_directory_that_left_the_contract_is_no_loss_and_hides_none(
    client: Client, maintain: Maintain, state: State
) -> None:
    """The inventory says so, before the backup or after it; what the client sends does not."""
    office, journal, plans = (client.folder / name for name in ("office", "journal", "plans"))
    whole, less = (tuple(map(str, paths)) for paths in ((office, journal, plans), (journal,)))
    client.write(plans__B1="x" * 100_000, **{f"office__{n}": f"letter {n}" * 900 for n in range(60)})
    for number in range(3):
        client.write(journal__a=f"{number}", **{f"journal__{n}": "." for n in range(40)})
        client.backup(at(date(2026, 1, 5) + number * ONE_DAY), office, journal, plans)
    assert maintain(perimeter=whole)["losses"] == {}
    shutil.rmtree(office)
    left = client.backup(at("2026-01-08"), journal)
    assert {f"{office} is gone", f"{plans} is gone"} <= {*maintain(perimeter=whole)["losses"][left]}
    assert maintain(check=True, perimeter=less)["losses"] == {}
    assert list(maintain()["losses"]) == [left]  # a check leaves nothing behind
    assert maintain(perimeter=less)["losses"] == {}
    assert maintain()["losses"] == {}  # as the host does by itself, from its timer
    # What lies in the contract is judged as ever, and what is still sent of the rest hides nothing of it.
    client.write(office__one="x" * 900_000)
    for number in range(35):
        (journal / str(number)).unlink()
    small = client.backup(at("2026-01-09"), office, journal)
    assert list(maintain(perimeter=less)["losses"]) == [small]
    maintain(perimeter=whole)
    assert state.ordered().left == ()


def test_a_directory_that_left_the_contract_and_is_still_sent_is_judged_with_the_rest(
    client: Client, maintain: Maintain
) -> None:
    """Until the server is deployed: of what it sends, as much as before may change in a night."""
    office, journal = (client.folder / name for name in ("office", "journal"))
    client.write(**{f"office__{n}": f"letter {n}" * 900 for n in range(60)})
    client.write(**{f"journal__{n}": f"entry {n}" for n in range(40)})
    for number in range(3):
        client.backup(at(date(2026, 1, 5) + number * ONE_DAY), office, journal)
    assert maintain(perimeter=(str(office), str(journal)))["losses"] == {}
    client.write(**{f"office__{n}": f"another letter {n}" * 900 for n in range(20)})
    client.backup(at("2026-01-08"), office, journal)
    assert maintain(perimeter=(str(journal),))["losses"] == {}


def test_forged_times_are_set_aside(regular: Client, maintain: Maintain) -> None:
    foretold = maintain(check=True)["removed"]
    now = at("2026-01-25", 3)
    forged = {regular.backup(now + n * ONE_DAY, arrival=now) for n in (1, 2, 400)}
    forged |= {regular.backup(now - n * ONE_DAY, arrival=now) for n in (2, 3, 8)}
    result = maintain()
    assert set(result["set_aside"]) == forged
    assert result["removed"] == foretold
    assert result["promise"]["kept"] is True


def test_a_mark_makes_a_version_incomplete(client: Client, maintain: Maintain) -> None:
    whole = client.backup(at("2026-01-05", 12))
    part = client.backup(at("2026-01-05", 22))
    client.backup(at("2026-01-05", 22.1), tag=f"incomplete={part}")
    assert maintain()["removed"] == []
    assert whole in client.snapshots()


def test_a_version_that_someone_else_removed_breaks_the_promise_visibly(
    regular: Client, maintain: Maintain
) -> None:
    maintain()
    by_time = {entry["time"][:10]: entry["id"] for entry in json.loads(regular.run("snapshots", "--json"))}
    regular.run("forget", by_time["2026-01-23"])
    promise = maintain()["promise"]
    assert promise["kept"] is False
    assert promise["problems"][0] == "srv: on 2026-01-24 the last version of 2026-01-23 would be missing"


# -- faults ---------------------------------------------------------------------------------------------


def test_each_fault_is_one_sentence(client: Client, repository: Repository, tmp_path: Path) -> None:
    client.backup(at("2026-01-05"))
    with pytest.raises(restic_repository.WrongPassword, match=r"refuses the encryption password.*Give the"):
        replace(repository, password="other").snapshots()
    with pytest.raises(restic_repository.NotARepository, match="the repository does not exist"):
        replace(repository, path=tmp_path).snapshots()
    with pytest.raises(restic_repository.RepositoryError, match="cannot be started"):
        replace(repository, restic="/nowhere/restic").snapshots()
    hangs = tmp_path / "restic"
    hangs.write_text("#!/bin/sh\nexec sleep 60\n")
    hangs.chmod(0o755)
    with pytest.raises(restic_repository.Interrupted, match="was stopped"):
        replace(repository, restic=str(hangs), limit=0.2).prune()
    hangs.write_text("#!/bin/sh\necho 'write: no space left on device' >&2\nexit 1\n")
    with pytest.raises(restic_repository.DiskFull, match=r"the repository is full\. Make room"):
        replace(repository, restic=str(hangs)).prune()
    assert PASSWORD not in repr(repository).split("'")


def test_a_place_without_configuration_is_said_in_one_answer(client: Client, repository: Repository) -> None:
    """As a bucket before its first backup. restic asks 15 minutes on after an unreadable answer."""
    with repository.admitted(Remembered(), writable=False) as (seen, _admission):
        (client.path / "config").unlink()
        with socket.socket(socket.AF_UNIX) as browser:
            browser.connect(seen.storage.address.removeprefix("rest:http+unix://").removesuffix(":/"))
            browser.sendall(b"HEAD /config HTTP/1.1\r\nHost: view\r\nConnection: close\r\n\r\n")
            answer = browser.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert answer.count(b"HTTP/1.1 ") == 1


def hanging_backup(client: Client) -> subprocess.Popen[bytes]:
    """A backup that holds its lock until its standard input ends."""
    process = subprocess.Popen(
        [client.restic, "--repo", str(client.path), "--no-cache", "backup", "--stdin", "--host", "other"],
        env={**os.environ, "RESTIC_PASSWORD": PASSWORD},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    while not list((client.path / "locks").iterdir()):
        time.sleep(0.01)
    return process


def test_a_backup_under_way_is_not_disturbed(regular: Client, maintain: Maintain) -> None:
    before = regular.snapshots()
    with hanging_backup(regular) as backup:
        with pytest.raises(restic_repository.Locked, match="the repository is locked"):
            maintain()
        assert len(regular.snapshots()) == 20
        assert len(maintain(check=True)["removed"]) == 12
        backup.communicate(b"the end")
    assert backup.returncode == 0
    [new] = regular.snapshots() - before
    assert list(maintain()["losses"]) == [new]  # with nothing in it of what the server had
    assert len(maintain(release=(new,))["removed"]) == 12


def test_the_lock_of_a_dead_process_is_lifted(regular: Client, maintain: Maintain) -> None:
    with hanging_backup(regular) as backup:
        backup.kill()
    assert len(list((regular.path / "locks").iterdir())) == 1
    assert len(maintain()["removed"]) == 12


@pytest.fixture
def stranger() -> Iterator[int]:
    """The number of a process that runs. restic asks by SIGHUP whether it does, so it has to be ours."""
    with subprocess.Popen(["sh", "-c", "trap '' HUP; exec sleep 600"]) as process:
        yield process.pid
        process.kill()


@pytest.mark.parametrize(
    ("host", "minutes", "lifted"),
    [
        ("moulin-srv1", 29, False),  # a backup of the client's server: nobody can tell whether it still runs
        ("moulin-srv1", 31, True),
        (socket.gethostname(), 29, False),
        (socket.gethostname(), 31, True),  # the host was rebooted, and another process has the number now
    ],
)
def test_a_lock_is_lifted_only_when_it_was_not_renewed_for_long(
    regular: Client,
    maintain: Maintain,
    repository: Repository,
    stranger: int,
    host: str,
    minutes: int,
    lifted: bool,
) -> None:
    renewed = datetime.now(UTC) - timedelta(minutes=minutes)
    path = leave_lock(regular.path, PASSWORD, host, stranger, renewed)
    with repository.admitted(Remembered(), writable=False) as (_unused, admission):
        [seen] = admission.locks()
    assert (seen.host, seen.pid, seen.since) == (host, stranger, renewed)
    assert seen.stale(datetime.now(UTC)) is lifted
    if lifted:
        assert len(maintain()["removed"]) == 12
    else:
        with pytest.raises(restic_repository.Locked):
            maintain()
        assert len(regular.snapshots()) == 20
    assert path.exists() is not lifted


def test_two_maintenances_of_a_client_do_not_meet(client: Client, maintain: Maintain, state: State) -> None:
    client.backup(at("2026-01-05"))
    with state.locked(), pytest.raises(Busy, match="another maintenance"):
        maintain()


def test_a_damaged_pack_is_named_and_nothing_is_removed(client: Client, maintain: Maintain) -> None:
    """The data of old versions: the trees read well, so only the check tells."""
    days(client, 3)
    assert Repository(client.path, PASSWORD, client.restic).check("100%").errors == ()
    pack = max((client.path / "data").rglob("*/*"), key=lambda path: path.stat().st_size)
    pack.chmod(0o600)
    with pack.open("r+b") as file:
        file.seek(40)
        file.write(b"damage")
    found = Repository(client.path, PASSWORD, client.restic).check("100%")
    assert found.broken_packs == (pack.name,)
    assert found.errors == (f"the pack {pack.name} is damaged or gone",)


def test_the_password_is_on_no_command_line(
    client: Client, repository: Repository, state: State, tmp_path: Path
) -> None:
    days(client, 2)
    spy = tmp_path / "restic"
    spy.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/lines\nexec {client.restic} "$@"\n')
    spy.chmod(0o755)
    watched = replace(repository, restic=str(spy))
    run(ORDER, watched, state, check=False)
    watched.prune()
    words = (tmp_path / "lines").read_text().split()
    assert {"snapshots", "diff", "prune"} <= set(words)
    assert PASSWORD not in words
