"""A request for a first backup on a disk against the contract: what is accepted, and each refusal (C16)."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.prosecours.backup.plugins.plugin_utils.disks import request as disk_request
from ansible_collections.prosecours.backup.plugins.plugin_utils.disks.request import Request
from ansible_collections.prosecours.backup.plugins.plugin_utils.validation.schema import (
    mistakes,
    validator_of,
)
from unit.contract import contracts

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
CLIENTS = {
    "moulin": contracts.client(options=["import"], hosts=["moulin-srv1"]),
    "tilleuls": contracts.client(name="EARL des Tilleuls", hosts=["tilleuls-srv"]),
}
HOSTS = {"moulin-srv1": contracts.host(), "tilleuls-srv": contracts.host()}
GOOD: dict[str, Any] = {
    "client": "moulin",
    "server": "moulin-srv1",
    "requester": "Jeanne@moulin.example",
    "mail_date": "2026-11-22",
    "serial": '"1A2B-3C4D"',
    "label": "AMORCE",
}
FORM = """
client: {client}
server: {server}
requester: {requester}
mail_date: {mail_date}
disk:
  serial: {serial}
  label: {label}
"""


def load(tmp_path: Path, **changes: str) -> tuple[Request | None, list[str]]:
    file = tmp_path / "request.yml"
    file.write_text(FORM.format(**{**GOOD, **changes}), encoding="utf-8")
    found, errors = disk_request.load(file, lambda path: path.read_text("utf-8"), CLIENTS, HOSTS, NOW)
    return found, [f"{error.line}: {error.key}: {error.problem}. {error.remedy}" for error in errors]


def test_a_good_request_is_the_same_one_at_every_step(tmp_path: Path) -> None:
    found, errors = load(tmp_path)
    assert errors == []
    assert found
    assert (found.client, found.server, found.disk.serial, found.disk.label) == (
        "moulin", "moulin-srv1", "1A2B-3C4D", "AMORCE"
    )  # fmt: skip
    assert found.requester.email == "jeanne@moulin.example"
    again, _none = load(tmp_path)
    assert again == found == Request.from_data(found.data())
    other, _none = load(tmp_path, serial='"1A2B-3C4E"')
    assert other
    assert other.id != found.id


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"client": "moulim"}, '2: client: "moulim" is no client of this inventory. Did you mean "moulin"?'),
        (
            {"client": "tilleuls", "server": "tilleuls-srv"},
            "2: client: EARL des Tilleuls has not subscribed to the import from an external medium (Annexe"
            " 1). Have Annexe 1 signed with it, then add import to prosecours_options",
        ),
        ({"server": "tilleuls-srv"}, '3: server: "tilleuls-srv" is no server of GAEC du Moulin'),
        (
            {"requester": "x@y.example"},
            '4: requester: "x@y.example" is no contact of GAEC du Moulin (Annexe 2)',
        ),
        ({"mail_date": "2026-02-30"}, '5: mail_date: "2026-02-30" is no date'),
        (
            {"mail_date": "2026-11-24"},
            "5: mail_date: 2026-11-24 is in the future. Write a day up to 2026-11-23",
        ),
        ({"serial": "1a2b3c4d"}, 'Write it as vol shows it, in quotes, like "1A2B-3C4D"'),
        (
            {"label": "à l'est"},
            "Give the disk a name of up to 11 capital letters and digits, and write it here",
        ),
    ],
)
def test_each_mistake_is_one_sentence(tmp_path: Path, changes: dict[str, str], says: str) -> None:
    found, errors = load(tmp_path, **changes)
    assert found is None
    [error] = errors
    assert says in error


def test_a_version_is_asked_for_as_for_a_restore(tmp_path: Path) -> None:
    clients = {**CLIENTS, "moulin": contracts.client(options=["export"], hosts=["moulin-srv1"])}
    file = tmp_path / "request.yml"

    def asked(text: str) -> tuple[Any, list[str]]:
        file.write_text(FORM.format(**GOOD) + text, encoding="utf-8")
        found, errors = disk_request.load_export(
            file, lambda path: path.read_text("utf-8"), clients, HOSTS, NOW
        )
        return found, [f"{error.line}: {error.problem}" for error in errors]

    found, errors = asked("main_backup_failed: true\ndate: 2026-11-20\n")
    assert errors == []
    assert (found.disk.disk.serial, found.disk.id) == ("1A2B-3C4D", found.wanted.id)
    assert (found.wanted.server, found.wanted.asked, found.wanted.whole_server) == (
        "moulin-srv1", "2026-11-20", True
    )  # fmt: skip
    assert disk_request.Export.from_data(found.data()) == found
    _none, errors = asked("main_backup_failed: false\ndate: 2026-12-20\n")
    assert errors == [
        "9: the main backup has not failed, and only then is anything restored from here (C3, III.2)",
        "10: 2026-12-20 is in the future",
    ]
    clients["moulin"] = contracts.client(options=["import"], hosts=["moulin-srv1"])
    _none, errors = asked("main_backup_failed: true\ndate: 2026-11-20\n")
    assert errors == ["2: GAEC du Moulin has not subscribed to the export to an external medium (Annexe 1)"]


@pytest.mark.parametrize(("name", "schema"), [("import", disk_request.SEED), ("export", disk_request.EXPORT)])
def test_the_example_has_all_that_a_request_may_say(name: str, schema: Path) -> None:
    example = Path(__file__).parents[3] / "docs" / "fr" / f"demande-d-{name}.yml"
    found = yaml.load(example.read_text("utf-8"), Loader=yaml.BaseLoader)  # noqa: S506 -- a safe one
    assert found.keys() == json.loads(schema.read_text("utf-8"))["properties"].keys()
    typed = {key: {"true": True, "false": False}.get(str(value), value) for key, value in found.items()}
    assert list(mistakes(validator_of(schema), typed)) == []


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    _found, errors = load(tmp_path, server="x", requester="x@y.example", mail_date="2027-01-01")
    assert [error.split(":")[0] for error in errors] == ["3", "4", "5"]
