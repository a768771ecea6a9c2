"""Which version, what of it, and what stands against it: tables, no host."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import PureWindowsPath
from typing import Any

import pytest
from ansible_collections.prosecours.backup.plugins.plugin_utils.restore import facts as restore_facts
from ansible_collections.prosecours.backup.plugins.plugin_utils.restore import plan as restore_plan
from ansible_collections.prosecours.backup.plugins.plugin_utils.restore.facts import (
    Amount,
    Disks,
    Live,
    Version,
)
from ansible_collections.prosecours.backup.plugins.plugin_utils.restore.plan import Choice, Plan, Refused
from ansible_collections.prosecours.backup.plugins.plugin_utils.restore.request import Request
from ansible_collections.prosecours.backup.plugins.plugin_utils.windows.robocopy import Tree
from unit.contract.contracts import host

from .requests import NOW, REQUEST


def version(day: int, hour: int = 21, complete: bool = True) -> Version:
    return Version(f"{day:02}{hour:02}", datetime(2026, 11, day, hour, 4, tzinfo=UTC), "srv", complete)


# -- the version ----------------------------------------------------------------------------------------


def test_the_newest_complete_version_up_to_the_day() -> None:
    found = restore_plan.choose([version(13), version(11), version(10)], REQUEST)
    assert found.version == version(11)
    assert found.why("2026-11-12") == (
        "asked for 2026-11-12: the newest complete version up to then is of 2026-11-11 22:04"
    )


def test_a_backup_of_that_evening_counts_and_one_after_midnight_in_paris_does_not() -> None:
    # 22:04 UTC is 23:04 in Paris; 23:04 UTC is the next day there.
    late, next_day = version(12, 22), version(12, 23)
    assert restore_plan.choose([late, next_day], REQUEST).version == late


def test_an_incomplete_version_is_passed_over_and_named() -> None:
    found = restore_plan.choose([version(11), version(12, complete=False)], REQUEST)
    assert found.version == version(11)
    assert "(passed over, incomplete: 2026-11-12 22:04)" in found.why("2026-11-12")


def test_an_incomplete_version_is_taken_when_the_request_accepts_it() -> None:
    accepting = replace(REQUEST, accept_incomplete=True)
    found = restore_plan.choose([version(11), version(12, complete=False)], accepting)
    assert found.version == version(12, complete=False)
    assert "an incomplete one" in found.why("2026-11-12")


@pytest.mark.parametrize(
    ("versions", "says"),
    [
        ([], "the repository of srv holds no version"),
        ([version(13)], "asked for 2026-11-12, but the oldest version of srv is of 2026-11-13 22:04"),
        ([version(11, complete=False)], "all versions of srv are incomplete (2026-11-11 22:04)"),
    ],
)
def test_no_version(versions: list[Version], says: str) -> None:
    with pytest.raises(Refused, match=re.escape(says)):
        restore_plan.choose(versions, REQUEST)


def test_snapshots_as_restic_lists_them() -> None:
    """What lies in a server's repository is its own, whatever it calls itself."""
    whole = "aa11" * 16
    listed = [
        {"id": whole, "time": "2026-11-12T22:04:05.123456789+01:00", "hostname": "srv", "tags": ["PS-1"]},
        {"id": "bb22", "time": "2026-11-11T22:04:05+01:00", "hostname": "forged"},
        {"id": "cc33", "time": "2026-11-12T22:05:00Z", "hostname": "srv", "tags": [f"incomplete={whole}"]},
    ]
    older, newer = restore_facts.versions(json.dumps(listed).encode(), "srv")
    assert (older.id, older.host, older.complete) == ("bb22", "srv", True)
    assert (newer.id, newer.host, newer.complete) == (whole, "srv", False)
    assert newer.time == datetime(2026, 11, 12, 21, 4, 5, 123456, tzinfo=UTC)


# -- what is selected -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("item", "beside", "in_place"),
    [
        (r"D:\data", "/D/data", "/data"),
        (r"D:\isagiwf\B?.GIW", "/D/isagiwf/B?.GIW", "/isagiwf/B?.GIW"),
        (r"E:\[2026] l'été & co.xlsx", "/E/[[]2026] l'été & co.xlsx", "/[[]2026] l'été & co.xlsx"),
        ("D:\\", "/D", ""),
    ],
)
def test_patterns_of_restic(item: str, beside: str, in_place: str) -> None:
    assert restore_plan.pattern(item, False) == beside
    assert restore_plan.pattern(item, True) == in_place


def test_beside_the_data_one_call_and_in_place_one_for_each_drive() -> None:
    (run,) = restore_plan.runs(REQUEST, r"F:\x")
    assert (run.part, run.target) == ("", r"F:\x")
    first, second = restore_plan.runs(replace(REQUEST, in_place=True), "")
    assert (first.part, first.target, first.patterns) == (":/D", "D:/", ("/data",))
    assert (second.part, second.target) == (":/E", "E:/")


def test_only_what_goes_to_another_server_has_to_be_bare() -> None:
    items = ("D:\\", r"D:\data", r"E:\été\[2026] l'état.xlsx", r"D:\isagiwf\B????.GIW", r"D:\a\*\b")
    assert restore_plan.bare(replace(REQUEST, items=items)) == []
    assert restore_plan.bare(replace(REQUEST, items=items, host="srv2")) == [
        "/D/", "/D/data", "/E/été/[2026] l'état.xlsx", "/D/isagiwf/", "/D/a/"
    ]  # fmt: skip


def test_the_include_file_names_no_variable() -> None:
    assert restore_plan.selection(("/D/$data",)) == b"/D/$$data\r\n"
    assert restore_plan.selection(("",)) == b""


def test_the_dry_run_as_restic_and_find_answer() -> None:
    summary = '{"message_type":"summary","total_files":2,"files_restored":5,"files_skipped":3,'
    answer = f'{summary}"total_bytes":30,"bytes_restored":30,"bytes_skipped":6}}\r\n2\r\n'
    assert restore_facts.amount(answer.encode()) == Amount(5, 36, 30, 2)
    assert restore_facts.amount(b"0\r\n") == Amount()


# -- the plan -------------------------------------------------------------------------------------------

AMOUNTS = (Amount(3, 100, 100), Amount(1, 20, 20))
FREE = Disks({"D": 10**9, "E": 10**9})
IN_PLACE = replace(REQUEST, in_place=True)


def plan(request: Request = REQUEST, **changes: Any) -> Plan:
    given: dict[str, Any] = {
        "choice": Choice(version(11)),
        "amounts": AMOUNTS,
        "target": FREE,
        "live": (Live(), Live()) if request.in_place else (),
        "rate": (None, ""),
        "now": NOW,
    }
    return restore_plan.plan(request, **(given | changes))


def test_by_default_a_fresh_folder_beside_the_data() -> None:
    made = plan()
    assert made.target == r"D:\Restauration\2026-11-11 22h04 (1a2b3c)"
    assert (made.entries, made.bytes, made.keep) == (4, 120, ())
    assert Plan.from_data(json.loads(json.dumps(made.data()))) == made


def test_in_place_everything_that_stands_there_is_kept() -> None:
    made = plan(IN_PLACE, live=(Live(tree=Tree(2, 3, 70)), Live(files=Tree(1, 1, 20))))
    assert made.target == ""
    folder, file = made.keep
    assert (folder.source, folder.mask, folder.depth) == (r"D:\data", "*.*", "/E")
    assert folder.copy == r"D:\Restauration\avant 2026-11-23 (1a2b3c)\D\data"
    assert (file.source, file.mask, file.depth) == (r"E:\été", "[2026] l'état.xlsx", "/LEV:1")
    assert file.copy == r"E:\Restauration\avant 2026-11-23 (1a2b3c)\E\été"
    # Each copy lies where the original would, were the folder a drive.
    for keep in made.keep:
        drive, *names = PureWindowsPath(keep.copy).parts[3:]
        assert PureWindowsPath(f"{drive}:\\", *names) == PureWindowsPath(keep.source)


def test_in_place_of_nothing_nothing_is_kept() -> None:
    assert plan(IN_PLACE).keep == ()


REFUSALS: list[tuple[str, Request, dict[str, Any], str]] = [
    (
        "absent",
        REQUEST,
        {"amounts": (AMOUNTS[0], Amount())},
        r"E:\été\[2026] l'état.xlsx is not in the version of 2026-11-11 22:04",
    ),
    ("exists", REQUEST, {"target": replace(FREE, exists=True)}, "exists already on srv"),
    (
        "room",
        REQUEST,
        {"target": Disks({"D": 119})},
        "srv has 119 B left on D:, and 120 B are needed",
    ),
    ("drive", REQUEST, {"target": Disks()}, "srv has no drive D:"),
    (
        "live",
        replace(REQUEST, live=("D:\\",)),
        {},
        r"would lie over live data: D:\ is in the perimeter of srv",
    ),
    (
        "room to keep",
        IN_PLACE,
        {"live": (Live(tree=Tree(1, 1, 901)), Live()), "target": Disks({"D": 1000, "E": 1000})},
        "srv has 1.0 kB left on D:, and 1.0 kB are needed, with what is kept aside first",
    ),
    (
        "not shown",
        IN_PLACE,
        {"live": (Live(error=5), Live())},
        r"what stands at D:\data cannot be kept aside: Windows does not show all of it (error 5)",
    ),
    (
        "overwritten but not seen",
        IN_PLACE,
        {"amounts": (Amount(3, 100, 100, 1), AMOUNTS[1])},
        r"what stands at D:\data cannot be kept aside",
    ),
    (
        "folders of a pattern",
        replace(IN_PLACE, items=(r"D:\data\2*", REQUEST.items[1])),
        {"live": (Live(folders=("2025", "2026")), Live())},
        r"in place, D:\data\2* selects folders too (2025, 2026)",
    ),
    (
        "a whole drive",
        replace(IN_PLACE, items=("D:\\", REQUEST.items[1])),
        {},
        "nothing can be kept aside on it",
    ),
]


@pytest.mark.parametrize(
    ("request_", "changes", "says"), [row[1:] for row in REFUSALS], ids=[row[0] for row in REFUSALS]
)
def test_what_stands_against_it(request_: Request, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(Refused, match=re.escape(says)) as refused:
        plan(request_, **changes)
    assert refused.value.remedy


def test_all_that_stands_against_it_at_once() -> None:
    with pytest.raises(Refused, match="is not in the version") as refused:
        plan(amounts=(AMOUNTS[0], Amount()), target=Disks({"D": 1}, exists=True))
    said = str(refused.value)
    assert "exists already" in said
    assert "left on D:" in said


def test_of_a_whole_server_absent_directories_are_told_and_no_obstacle() -> None:
    made = plan(replace(REQUEST, whole_server=True), amounts=(AMOUNTS[0], Amount()))
    assert made.absent == (REQUEST.items[1],)
    assert "absent     E:" in restore_plan.table(REQUEST, made)


@pytest.mark.parametrize(
    ("contract", "measured", "rate"),
    [
        ({"downlink_mbit": 80, "uplink_mbit": 8}, None, (9_000_000.0, "nominal")),
        ({"uplink_mbit": 8}, 5.0, (900_000.0, "uplink")),
        ({"downlink_mbit": None, "uplink_mbit": None}, 5.0, (5.0, "measured")),
        ({}, None, (None, "")),
    ],
)
def test_the_rate_of_the_link(contract: dict[str, Any], measured: float | None, rate: Any) -> None:
    assert restore_plan.link_rate(host(**contract), measured) == rate


def test_the_table_says_how_long_it_takes() -> None:
    amounts = (Amount(3, 9 * 10**9, 9 * 10**9), AMOUNTS[1])
    made = plan(amounts=amounts, target=Disks({"D": 10**10}), rate=(9e6, "nominal"))
    shown = restore_plan.table(REQUEST, made)
    assert "about 17 min (by prosecours_downlink_mbit)" in shown
    assert "asked for 2026-11-12: the newest complete version" in shown
