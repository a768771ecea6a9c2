"""Addresses of databases, what waits for one, and a Python without the libraries; no server is asked."""

from __future__ import annotations

import contextlib
import json
import stat
import sys
from pathlib import Path

import pytest
from ansible_collections.prosecours.backup.plugins.plugin_utils.journal import database, late
from ansible_collections.prosecours.backup.plugins.plugin_utils.journal import entries as journal
from ansible_collections.prosecours.backup.plugins.plugin_utils.journal.stores import FileStore

REFUSED = {
    "postgresql://martin:secret@db/prosecours": "a password stands in the address",
    "postgresql://martin@db/prosecours?password=secret": "a password stands in the address",
    "mysql://martin@db/prosecours": "is no place of a journal",
    "postgresql://martin@db": "is no place of a journal",
    "postgresql://martin@db/": "is no place of a journal",
    "postgresql://martin@db:port/prosecours": "is no place of a journal",
    "postgresql://martin@db/prosecours?options=-c%20x": 'it has "options"',
    "postgresql://martin@db/prosecours?sslmode=verify-full&sslmode=disable": "is no place of a journal",
    "postgresql:///prosecours": "it names no host",
    "postgresql://martin@db/prosecours?host=other": "it names no host, or more than one",
    "postgresql://martin@db/prosecours?sslmode=require": "anybody between could be the database db",
    "postgresql://martin@127.0.0.1.example/prosecours?sslmode=disable": "anybody between could be",
    "postgresql://localhost,db/prosecours?sslmode=prefer": "anybody between could be",
}


@pytest.mark.parametrize("address", REFUSED)
def test_an_address_is_refused_by_a_sentence_without_a_secret(address: str) -> None:
    with pytest.raises(journal.JournalError) as refused:
        database.place(address)
    assert REFUSED[address] in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("address", "sslmode"),
    [
        ("postgresql://martin@db.example/prosecours", "verify-full"),
        ("postgresql://martin@db.example:6432/prosecours?sslrootcert=/etc/ca.pem", "verify-full"),
        ("postgresql://localhost,db.example/prosecours", "verify-full"),
        ("postgresql://martin@127.0.0.5/prosecours", "prefer"),
        ("postgresql://martin@[::1]/prosecours", "prefer"),
        ("postgresql://martin@/prosecours?host=/run/postgresql", "prefer"),
    ],
)
def test_a_server_elsewhere_has_to_prove_itself(address: str, sslmode: str) -> None:
    found = database.place(address)
    assert isinstance(found, database.Database)
    assert found._defaults()["sslmode"] == sslmode
    assert str(found) == address.partition("?")[0]


@pytest.mark.parametrize("text", ["journal.jsonl", "/var/lib/journal.jsonl", "~/postgresql/journal"])
def test_a_path_is_a_file(text: str) -> None:
    assert database.place(text) == FileStore(Path(text))


@pytest.mark.parametrize("name", ["psycopg", "sqlalchemy"])
def test_a_missing_library_is_one_sentence(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(journal.JournalError, match=rf"has no {name}\. Install it: .* -m pip install -r "):
        journal.append(database.Database("postgresql://martin@localhost/prosecours"), {"kind": "begin"})


# -- what waits -----------------------------------------------------------------------------------------


def test_what_waits_is_for_its_owner_and_is_taken_once(tmp_path: Path) -> None:
    path = tmp_path / "state" / "waiting.jsonl"
    for run in ("1", "2"):
        late.keep(path, {"kind": "end", "run": run, "what": "Élevage"}, "2026-11-23T15:30:00Z")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    with contextlib.suppress(KeyError), late.taken(path):
        raise KeyError  # it was not journalled, and waits on
    with late.taken(path) as found:
        assert [(one["run"], one["at"]) for one in found] == [
            ("1", "2026-11-23T15:30:00Z"),
            ("2", "2026-11-23T15:30:00Z"),
        ]
    with late.taken(path) as found:
        assert found == []


def test_a_line_that_was_cut_short_hides_no_other(tmp_path: Path) -> None:
    path = tmp_path / "waiting.jsonl"
    path.write_text('{"kind": "e')
    late.keep(path, {"kind": "end", "run": "1"}, "2026-11-23T15:30:00Z")
    with late.taken(path) as found:
        lost, kept = found
    assert (lost["kind"], lost["bytes"]) == ("lost", 11)
    assert kept["run"] == "1"


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("not ours")
    (tmp_path / "waiting.jsonl").symlink_to(elsewhere)
    with pytest.raises(
        journal.JournalError, match=r"waiting\.jsonl, where the journal keeps .* cannot be used"
    ):
        late.keep(tmp_path / "waiting.jsonl", json.loads('{"kind": "end"}'), "2026-11-23T15:30:00Z")
    assert elsewhere.read_text() == "not ours"
