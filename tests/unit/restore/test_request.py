"""A request file against the contract: what is accepted, and each refusal with its sentence (C3)."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.prosecours.backup.plugins.plugin_utils.contract.model import ClientContract
from ansible_collections.prosecours.backup.plugins.plugin_utils.restore import request as restore_request
from ansible_collections.prosecours.backup.plugins.plugin_utils.restore.request import Request
from unit.contract import contracts

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
JEANNE = {
    "title": "Mme",
    "first_name": "Jeanne",
    "name": "Martin",
    "email": "Jeanne.Martin@moulin.example",
    "mobile": "06 12 34 56 78",
}
PAUL = {**JEANNE, "first_name": "Paul", "email": "paul@moulin.example"}
ANNE = {**JEANNE, "first_name": "Anne", "email": "anne@tilleuls.example"}
PERIMETER = [
    {"box": "isagiwf_backup", "path": r"D:\isagiwf\backup", "kind": "directory"},
    {"box": "isagiwf_giw", "path": r"D:\isagiwf\B????.GIW", "kind": "pattern"},
    {"box": "office", "path": r"E:\Élevage & cultures", "kind": "directory"},
]


def _client(name: str, hosts: list[str], main: Any, substitute: Any = None) -> ClientContract:
    return contracts.client(
        name=name, reference="PS-1", hosts=hosts, contacts={"main": main, "substitute": substitute}
    )


CLIENTS = {
    "moulin": _client("GAEC du Moulin", ["moulin-srv", "moulin-sql"], JEANNE, PAUL),
    "tilleuls": _client("EARL des Tilleuls", ["tilleuls-srv"], ANNE),
}
HOSTS = {
    host: contracts.host(client={**contracts.PARTY, "name": client.name}, perimeter=PERIMETER)
    for client in CLIENTS.values()
    for host in client.hosts
}
GOOD = r"""
client: moulin
requester: jeanne.martin@MOULIN.example
mail_date: 2026-11-22
main_backup_failed: true
server: moulin-srv
date: 2026-11-20
items:
  - D:\isagiwf\backup\2026
"""


def load(tmp_path: Path, text: str) -> tuple[Request | None, list[str]]:
    file = tmp_path / "request.yml"
    file.write_text(text, encoding="utf-8")
    found, errors = restore_request.load(
        file, lambda path: path.read_text(encoding="utf-8"), CLIENTS, HOSTS, NOW
    )
    return found, [f"{error.line}: {error.key}: {error.problem}. {error.remedy}" for error in errors]


def accepted(tmp_path: Path, text: str) -> Request:
    found, errors = load(tmp_path, text)
    assert errors == []
    assert found is not None
    return found


def test_a_good_request(tmp_path: Path) -> None:
    found = accepted(tmp_path, GOOD)
    assert found.host == "moulin-srv"
    assert found.items == (r"D:\isagiwf\backup\2026",)
    assert found.requester.first_name == "Jeanne"
    # The end of that day in Paris, whatever the machine's own zone is.
    assert found.moment.astimezone(UTC) == datetime(2026, 11, 20, 22, 59, 59, 999999, UTC)
    assert Request.from_data(found.data()) == found


@pytest.mark.parametrize(
    ("date", "until"),
    [
        ("2026-11-20 18:00", datetime(2026, 11, 20, 17, 0, tzinfo=UTC)),
        ("2026-11-20 18:00:30", datetime(2026, 11, 20, 17, 0, 30, tzinfo=UTC)),
        ("2026-07-14T08:05", datetime(2026, 7, 14, 6, 5, tzinfo=UTC)),
    ],
)
def test_a_time_of_the_day(tmp_path: Path, date: str, until: datetime) -> None:
    found = accepted(tmp_path, GOOD.replace("date: 2026-11-20", f"date: {date}"))
    assert found.moment == until


def test_the_same_request_is_known_again_and_another_is_another(tmp_path: Path) -> None:
    lines = GOOD.strip().splitlines()
    # The same keys in another order, with a comment.
    again = accepted(tmp_path, "\n".join(["# by telephone too", *lines[1:6], lines[0], *lines[6:]]))
    first = accepted(tmp_path, GOOD)
    assert again.id == first.id
    assert accepted(tmp_path, GOOD.replace("11-22", "11-23")).id != first.id


@pytest.mark.parametrize(
    "item",
    [
        r"D:\isagiwf\backup",
        r"d:\ISAGIWF\Backup\été.bak",
        r"D:\isagiwf\backup\*.bak",
        r"D:\isagiwf\B0001.GIW",
        r"D:\isagiwf\B*.GIW",
        r"E:\élevage & cultures\[2026] l'été.xlsx",
    ],
)
def test_items_of_the_perimeter(tmp_path: Path, item: str) -> None:
    accepted(tmp_path, GOOD.replace(r"D:\isagiwf\backup\2026", f"'{item.replace(chr(39), chr(39) * 2)}'"))


def test_a_whole_server_is_what_the_contract_ticks(tmp_path: Path) -> None:
    text = GOOD.split("items:")[0] + "whole_server: true\ntarget: {server: moulin-sql}\n"
    found = accepted(tmp_path, text)
    assert found.items == tuple(entry["path"] for entry in PERIMETER)
    assert found.host == "moulin-sql"


def test_the_example_has_every_key_that_a_technician_needs() -> None:
    example = Path(__file__).parents[3] / "docs" / "fr" / "demande-de-restauration.yml"
    names = {
        line.split(":")[0].lstrip("# ") for line in example.read_text("utf-8").splitlines() if ":" in line
    }
    known = restore_request._validator(restore_request.SCHEMA).schema["properties"]
    assert set(known) - {"whole_server", "accept_incomplete"} <= names


# The change, and what is said: line, key, problem, remedy
WRONG: list[tuple[tuple[str, str], str]] = [
    (
        ("client: moulin", "client: moulim"),
        '2: client: "moulim" is no client of this inventory. Did you mean',
    ),
    (
        ("jeanne.martin@MOULIN", "jeanne@MOULIN"),
        "is no contact of GAEC du Moulin (Annexe 2). Have the request",
    ),
    (("jeanne.martin@MOULIN.example", "anne@tilleuls.example"), "(Annexe 2), but of EARL des Tilleuls"),
    (("failed: true", "failed: false"), "5: main_backup_failed: the main backup has not failed"),
    (("failed: true", "failed: perhaps"), 'main_backup_failed: "perhaps" is text, not a yes or no'),
    (
        ("server: moulin-srv", "server: tilleuls-srv"),
        "is no server of GAEC du Moulin, but of EARL des Tilleuls",
    ),
    (("server: moulin-srv", "server: moulin-sv"), 'Did you mean "moulin-srv"?'),
    (("date: 2026-11-20", "date: 2026-11-24"), "7: date: 2026-11-24 is in the future"),
    (("date: 2026-11-20", "date: 2026-02-30"), '"2026-02-30" is no date'),
    (("date: 2026-11-20", "date: yesterday"), "Write a day or a time of a day"),
    (("mail_date: 2026-11-22", "mail_date: 2026-12-22"), "4: mail_date: 2026-12-22 is in the future"),
    ((r"D:\isagiwf\backup\2026", r"D:\isagiwf"), r"9: items, entry 1: D:\isagiwf lies outside the perimeter"),
    ((r"D:\isagiwf\backup\2026", r"D:\isagiwf\C0001.GIW"), "lies outside the perimeter of moulin-srv"),
    ((r"D:\isagiwf\backup\2026", r"isagiwf\backup"), "is relative"),
    ((r"D:\isagiwf\backup\2026", r"\\srv\share"), "is a network or device path (UNC)"),
    ((r"D:\isagiwf\backup\2026", r"D:\isagiwf\backup\*"), "stands for everything in the directory"),
    ((r"D:\isagiwf\backup\2026", r"D:\isa*\backup"), "which Windows forbids in names"),
    ((r"backup\2026", "backup\n  - D:\\isagiwf\\backup\\2026"), r"is part of D:\isagiwf\backup already"),
    (("items:\n", "itens:\n"), "no such field"),
    (("items:\n  - D:\\isagiwf\\backup\\2026\n", ""), "nothing is asked for: there are no items"),
    (("items:", "whole_server: true\nitems:"), "there are items too"),
    (("items:", "target: {in_place: true, folder: 'D:\\x'}\nitems:"), "in place there is no other folder"),
    (("items:", "target: {in_place: true, server: moulin-sql}\nitems:"), "in place there is no other server"),
    (("items:", "target: {folder: 'D:\\isagiwf\\backup\\x'}\nitems:"), "lies over live data"),
    (("items:", "target: {folder: 'D:\\isagiwf'}\nitems:"), "lies over live data"),
    (("items:", "target: {folder: x}\nitems:"), "is relative"),
    (("items:", "target: {server: tilleuls-srv}\nitems:"), "is no server of GAEC du Moulin"),
    (("client: moulin", "client: moulin\nclient: tilleuls"), "it is written twice"),
    (("client: moulin", "client: [moulin"), "the file is not valid YAML"),
    ((GOOD, "just a text"), "the file holds no keys"),
]


@pytest.mark.parametrize(("change", "says"), WRONG, ids=[says[:40] for _, says in WRONG])
def test_each_mistake_is_one_sentence(tmp_path: Path, change: tuple[str, str], says: str) -> None:
    assert change[0] in GOOD
    found, errors = load(tmp_path, GOOD.replace(*change, 1))
    assert found is None
    assert any(says in error for error in errors), errors


def test_all_mistakes_at_once_in_the_order_of_the_lines(tmp_path: Path) -> None:
    text = GOOD.replace("failed: true", "failed: false").replace("jeanne", "someone")
    text = text.replace(r"D:\isagiwf\backup\2026", "C:\\Windows\n  - D:\\")
    _, errors = load(tmp_path, text)
    assert [error.split(":")[0] for error in errors] == ["3", "5", "9", "10"]
