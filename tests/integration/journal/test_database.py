"""The journal in a real PostgreSQL: several controllers, rights, faults, and how it gets there from a file.

What is in the database is read here by psql and followed with nothing but SHA-256.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.prosecours.backup.plugins.plugin_utils.journal import database
from ansible_collections.prosecours.backup.plugins.plugin_utils.journal import entries as journal
from ansible_collections.prosecours.backup.plugins.plugin_utils.journal.moving import move
from ansible_collections.prosecours.backup.plugins.plugin_utils.journal.stores import FileStore
from integration.journal.test_callback import Technician, said
from support.playbook import CHECKOUT, Played, play
from support.postgres import Database
from support.writers import write_at_once
from unit.journal.history import tell

from windows_lab.certificates import Authority


class Controller(Technician):
    """A technician whose journal is in the database, on a machine of his own."""

    def __init__(self, folder: Path, shared: Database, user: str = "martin") -> None:
        super().__init__(folder)
        self.channels = {"PROSECOURS_JOURNAL": shared.address(user)}


def followed(lines: list[bytes]) -> list[dict[str, Any]]:
    """The entries of a journal whose chain holds; written anew, and not with the code that wrote it."""
    entries, prev = [], "0" * 64
    for number, line in enumerate(lines, 1):
        entry = json.loads(line)
        own = entry.pop("hash")
        plain = json.dumps(entry, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
        assert own == hashlib.sha256(plain).hexdigest()
        assert (entry["n"], entry["prev"]) == (number, prev)
        entries.append(entry)
        prev = own
    return entries


def store(shared: Database, user: str = "martin") -> database.Database:
    return database.Database(shared.address(user))


# -- several controllers --------------------------------------------------------------------------------

WRITER = """
import sys
from ansible_collections.prosecours.backup.plugins.plugin_utils.journal import database, entries
store = database.Database(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
for number in range(int(sys.argv[2])):
    entries.append(store, {"kind": "begin", "who": sys.argv[3], "number": number, "what": "\\u00c9levage"})
"""


def test_processes_at_once_write_one_chain(shared: Database) -> None:
    writers, each = 8, 25
    logins = [shared.address(("martin", "durand")[who % 2]) for who in range(writers)]
    write_at_once(WRITER, [(login, str(each), str(who)) for who, login in enumerate(logins)])
    entries = followed(shared.lines())
    assert len(entries) == writers * each
    for who in range(writers):
        mine = [entry["number"] for entry in entries if entry["who"] == str(who)]
        assert mine == list(range(each)), "an entry is lost, or out of order"
    found = journal.verify(store(shared))
    assert (found.problems, found.notes, len(found.entries)) == ([], [], writers * each)


def test_two_controllers_at_once_write_one_journal(shared: Database, tmp_path: Path) -> None:
    both = [Controller(tmp_path / user, shared, user) for user in ("martin", "durand")]
    runs = [
        subprocess.Popen(
            one.command("preflight", *said("technician", name), "--check"),
            cwd=CHECKOUT,
            env=one.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for one, name in zip(both, ("A. Martin", "B. Durand"), strict=True)
    ]
    for run in runs:
        printed, _unused = run.communicate(timeout=240)
        assert "Traceback" not in printed
    entries = followed(shared.lines())
    assert sorted(entry["kind"] for entry in entries) == ["begin", "begin", "end", "end"]
    assert {entry["technician"] for entry in entries if "technician" in entry} == {"A. Martin", "B. Durand"}
    assert shared.writers("journal") == {"martin", "durand"}
    read = play("localhost,", "journal", environment=both[0].environment)
    assert read.code == 0, read.output
    assert f"{shared.address()} is whole: 4 entries; head 4:" in read.output


def test_a_server_that_has_to_prove_itself_by_its_certificate(shared: Database, tmp_path: Path) -> None:
    def append(authority: Authority) -> None:
        proof = f"?sslmode=verify-full&sslrootcert={authority.certificate_path}"
        journal.append(database.Database(shared.address() + proof), {"kind": "begin"})

    append(shared.server.authority)
    with pytest.raises(journal.JournalError, match="certificate verify failed"):
        append(Authority(tmp_path / "another"))
    assert len(followed(shared.lines())) == 1


def test_a_killed_writer_holds_nobody_up(shared: Database) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, shared.address()],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    began = time.monotonic()
    journal.append(store(shared), {"kind": "begin", "run": "next"})
    assert time.monotonic() - began < 10
    assert [entry["run"] for entry in followed(shared.lines())] == ["next"]


HOLDER = """
import sys, time
from ansible_collections.prosecours.backup.plugins.plugin_utils.journal import database, stores
with database.Database(sys.argv[1]).writing(print) as writing:
    writing.add([b"half a thing"], stores.Head(1, "0" * 64))
    print("held", flush=True)
    time.sleep(600)
"""


# -- rights ---------------------------------------------------------------------------------------------

FORBIDDEN = (
    "UPDATE prosecours.{0} SET line = line",
    "UPDATE prosecours.{0} SET stored_at = now()",
    "DELETE FROM prosecours.{0}",
    "TRUNCATE prosecours.{0}",
    "DROP TABLE prosecours.{0}",
    "ALTER TABLE prosecours.{0} DISABLE TRIGGER ALL",
    "ALTER TABLE prosecours.{0} OWNER TO martin",
    "INSERT INTO prosecours.{0} (number, line) OVERRIDING SYSTEM VALUE VALUES (1, 'x')",
    "INSERT INTO prosecours.{0} (line, stored_by) VALUES ('x', 'durand')",
    "MERGE INTO prosecours.{0} USING (SELECT 1) AS x ON true WHEN MATCHED THEN DELETE",
    "CREATE TRIGGER x BEFORE INSERT ON prosecours.{0} EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "BEGIN; LOCK TABLE prosecours.{0} IN ACCESS EXCLUSIVE MODE",
)


@pytest.mark.parametrize("table", database.TABLES)
def test_a_writer_may_add_and_read_and_nothing_else(shared: Database, table: str) -> None:
    def attempt(user: str, statement: str) -> str:
        return shared.attempt(user, statement.format(table))

    assert attempt("martin", "INSERT INTO prosecours.{} (line) VALUES ('one'), ('two')") == ""
    for statement in FORBIDDEN:
        assert re.search("permission denied|must be owner", attempt("martin", statement)), statement
    assert "permission denied" in shared.attempt("martin", "CREATE TABLE prosecours.mine (x int)")
    assert "permission denied" in attempt("nobody", "SELECT * FROM prosecours.{}")
    assert shared.lines(table) == [b"one", b"two"]
    assert shared.writers(table) == {"martin"}
    shared.apply()  # again, as after an update of the collection
    assert shared.lines(table) == [b"one", b"two"]
    assert "permission denied" in attempt("martin", "DELETE FROM prosecours.{}")


MIGHT = {
    "the owner": "ALTER TABLE prosecours.journal OWNER TO nobody",
    "one of its members": "CREATE ROLE owners{0}; GRANT owners{0} TO nobody;"
    " ALTER TABLE prosecours.journal_heads OWNER TO owners{0}",
    "may change": "GRANT UPDATE (line) ON prosecours.journal TO nobody",
    "may delete": "GRANT DELETE ON prosecours.journal_stamps TO nobody",
    "may truncate": "GRANT TRUNCATE ON prosecours.journal TO nobody",
}


@pytest.mark.parametrize("who", MIGHT)
def test_a_login_that_could_change_the_journal_writes_nothing(shared: Database, who: str) -> None:
    shared.ask("GRANT prosecours_writer TO nobody")
    shared.ask(MIGHT[who].format(shared.name))
    try:
        with pytest.raises(journal.JournalError, match="with this login what is in it could be changed"):
            journal.append(store(shared, "nobody"), {"kind": "begin"})
    finally:
        shared.ask("REVOKE prosecours_writer FROM nobody")
    assert shared.lines() == []


# -- what its owner may do, and what shows then ---------------------------------------------------------

TAMPERED = {
    "changed": (
        "UPDATE prosecours.journal SET line = convert_to(replace(convert_from(line, 'UTF8'), 'Lefèvre',"
        " 'personne'), 'UTF8') WHERE number = 1",
        r"Entry 1 .* is not as it was written",
    ),
    "removed": ("DELETE FROM prosecours.journal WHERE number = 3", "Entry 3 is missing before entry 4"),
    "cut off": ("DELETE FROM prosecours.journal WHERE number > 4", "cut off after entry 4"),
    "emptied": ("DELETE FROM prosecours.journal", "cut off as a whole: it once had 6 entries"),
    "added": (
        "INSERT INTO prosecours.journal (number, line) OVERRIDING SYSTEM VALUE VALUES (0, 'no entry')",
        "Line 1 is no entry",
    ),
}


@pytest.fixture
def told(shared: Database, tmp_path: Path) -> Database:
    """A journal of six entries, moved there from a file."""
    assert move(FileStore(tell(tmp_path)), store(shared), print)
    return shared


@pytest.mark.parametrize("how", TAMPERED)
def test_what_its_owner_does_shows_as_in_a_file(told: Database, how: str) -> None:
    statement, says = TAMPERED[how]
    told.ask(statement)
    assert any(re.search(says, problem) for problem in journal.verify(store(told)).problems)


def test_an_end_that_was_cut_off_is_not_forgiven_until_it_is_acknowledged(told: Database) -> None:
    told.ask("DELETE FROM prosecours.journal WHERE number > 4")
    heard: list[str] = []
    journal.append(store(told), {"kind": "begin", "run": "next"}, say=heard.append)
    assert [entry["kind"] for entry in followed(told.lines())[4:]] == ["cut", "begin"]
    assert "it was cut off: it once had 6 entries" in heard[0]
    assert journal.verify(store(told)).problems
    journal.acknowledge(store(told), 5, "A. Martin", "the database was restored")
    assert journal.verify(store(told)).problems == []


def test_a_line_that_somebody_put_there_is_described_by_the_next_entry(told: Database) -> None:
    assert told.attempt("martin", "INSERT INTO prosecours.journal (line) VALUES ('rubbish \\377')") == ""
    journal.append(store(told), {"kind": "begin", "run": "next"})
    found = journal.verify(store(told))
    assert found.problems == []
    assert [entry["kind"] for entry in found.entries[6:]] == ["repair", "begin"]
    assert told.lines()[6] == b"rubbish \xff"


def test_a_spoilt_head_is_said(told: Database) -> None:
    assert told.attempt("martin", "INSERT INTO prosecours.journal_heads (line) VALUES ('7')") == ""
    with pytest.raises(journal.JournalError, match=r"journal_heads in \S+ is no head of the journal"):
        journal.verify(store(told))
    journal.append(store(told), {"kind": "begin", "run": "next"})
    assert [entry["kind"] for entry in followed(told.lines())[6:]] == ["cut", "begin"]


# -- from a file ----------------------------------------------------------------------------------------


def moved(file: Path, shared: Database, *arguments: str, user: str = "martin") -> Played:
    target = ["-e", f"prosecours_journal_move_to={shared.address(user)}"]
    return play("localhost,", "journal", *target, *arguments, environment={"PROSECOURS_JOURNAL": str(file)})


def test_a_file_moves_whole_and_a_second_run_changes_nothing(shared: Database, tmp_path: Path) -> None:
    file = tell(tmp_path)
    before = file.read_bytes()
    stamp = json.dumps({"head": str(journal.head(file)), "token": "AAAA"}).encode()
    Path(f"{file}.stamps").write_bytes(stamp + b"\n")
    looked = moved(file, shared, "--check")
    assert (looked.code, looked.recap["changed"]) == (0, 1)
    assert shared.lines() == []
    played = moved(file, shared)
    assert (played.code, played.recap["changed"]) == (0, 1), played.output
    assert b"".join(line + b"\n" for line in shared.lines()) == before == file.read_bytes()
    assert shared.lines("journal_stamps") == [stamp]
    head = journal.head(file)
    assert json.loads(shared.lines("journal_heads")[-1]) == {"entries": 6, "head": head.head}
    file.chmod(0o400)
    again = moved(file, shared)
    assert (again.code, again.recap["changed"]) == (0, 0), again.output
    # What was written there since is no reason to move anything again, or to refuse.
    journal.append(store(shared), {"kind": "begin", "run": "later"})
    assert moved(file, shared).recap["changed"] == 0
    assert len(followed(shared.lines())) == 7
    assert shared.lines("journal_stamps") == [stamp]


def _tampered(file: Path, _shared: Database) -> str:
    file.write_text(file.read_text("utf-8").replace("Lefèvre", "personne"), "utf-8")
    return "is not as it was written, and is not moved"


def _another(_file: Path, shared: Database) -> str:
    journal.append(store(shared), {"kind": "begin", "run": "of somebody else"})
    return "is another journal than"


def _torn(file: Path, _shared: Database) -> str:
    file.write_bytes(file.read_bytes() + b'{"n":7')
    return "was cut short, and it is not moved"


def _missing(file: Path, _shared: Database) -> str:
    file.unlink()
    return "There is no journal"


def _full(_file: Path, shared: Database) -> str:
    full(shared, "number > 3")
    return "the disk of its server is full"


def _forging(_file: Path, shared: Database) -> str:
    """A server that keeps other bytes than it was given."""
    shared.ask(
        "CREATE FUNCTION forge() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN NEW.line = replace(NEW.line::text, '41', '42')::bytea; RETURN NEW; END $$;"
        " CREATE TRIGGER forge BEFORE INSERT ON prosecours.journal FOR EACH ROW EXECUTE FUNCTION forge()"
    )
    return "did not keep what was written there; nothing was moved"


def full(shared: Database, when: str) -> None:
    """A server whose disk is full: it says so by PostgreSQL's own code, where `when` is true of a line."""
    shared.ask(
        "CREATE OR REPLACE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " RAISE EXCEPTION 'no space left on device' USING ERRCODE = 'disk_full'; END $$;"
        " CREATE TRIGGER fill AFTER INSERT ON prosecours.journal FOR EACH ROW"
        f" WHEN (NEW.{when}) EXECUTE FUNCTION fill()"
    )


@pytest.mark.parametrize("why", [_tampered, _another, _torn, _missing, _full, _forging])
def test_what_cannot_move_whole_does_not_move(
    shared: Database, tmp_path: Path, why: Callable[[Path, Database], str]
) -> None:
    file = tell(tmp_path)
    says = why(file, shared)
    before = {table: shared.lines(table) for table in database.TABLES}
    played = moved(file, shared)
    assert played.code == 2
    assert says in played.text
    assert "Traceback" not in played.output
    assert {table: shared.lines(table) for table in database.TABLES} == before


# -- faults ---------------------------------------------------------------------------------------------


FAULTS: dict[str, tuple[str, dict[str, str], str]] = {
    "no table": (
        "DROP SCHEMA prosecours CASCADE",
        {},
        "it has no tables for it. Have its owner apply",
    ),
    "no right": ("REVOKE prosecours_writer FROM martin", {}, "this login has no right to. Have its owner"),
    "read-only": (
        "ALTER DATABASE {0} SET default_transaction_read_only = on",
        {},
        "it is read-only, as a standby is. Name the primary server.",
    ),
    "wrong password": ("", {"PGPASSWORD": "wrong"}, "it does not answer as it should (connection failed"),
    "no password": (
        "",
        {"PGPASSFILE": "/dev/null"},
        "fe_sendauth: no password supplied). See that it runs, and that",
    ),
    "no such database": ("", {"PROSECOURS_JOURNAL": "{address}x"}, "it does not answer as it should"),
    "nobody there": (
        "",
        {"PROSECOURS_JOURNAL": "postgresql://martin@127.0.0.1:1/x"},
        "it does not answer as it should (connection failed",
    ),
    "a password in the address": (
        "",
        {"PROSECOURS_JOURNAL": "postgresql://martin:geheim@127.0.0.1/x"},
        'a password stands in the address "postgresql://…@127.0.0.1/x". Take it out; it is',
    ),
    "no TLS": (
        "",
        {"PROSECOURS_JOURNAL": "postgresql://martin@db.example/x?sslmode=require"},
        "with sslmode=require anybody between could be the database db.example.",
    ),
    "a certificate of nobody": (
        "",
        {"PROSECOURS_JOURNAL": "{address}?sslmode=verify-full&sslrootcert=/dev/null"},
        "it does not answer as it should (connection failed",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_cannot_be_journalled_does_not_begin(shared: Database, tmp_path: Path, fault: str) -> None:
    statement, environment, says = FAULTS[fault]
    if statement:
        shared.ask(statement.format(shared.name))
    controller = Controller(tmp_path, shared)
    controller.channels |= {name: text.format(address=shared.address()) for name, text in environment.items()}
    try:
        played = controller.play("preflight")
    finally:
        if fault == "read-only":
            shared.server.ask("postgres", f"ALTER DATABASE {shared.name} RESET ALL")
        if fault == "no right":
            shared.ask("GRANT prosecours_writer TO martin")
    assert played.code == 1
    assert says in played.text, played.output
    assert "Nothing was begun." in played.text
    assert "Traceback" not in played.output
    assert "geheim" not in played.output
    assert "TASK" not in played.output
    assert fault == "no table" or shared.lines() == []


def stopping(technician: Technician, script: Path) -> Path:
    """A playbook of ours after whose first action the database goes."""
    return technician.write(
        "stopping.yml",
        "- hosts: prosecours_clients\n"
        "  gather_facts: false\n"
        "  tasks:\n"
        "    - ansible.builtin.import_role:\n"
        "        name: prosecours.backup.contract\n"
        "    - name: The database goes\n"
        f"      ansible.builtin.command: {script}\n"
        "      delegate_to: localhost\n"
        "      run_once: true\n",
    )


def test_what_has_begun_is_finished_and_is_journalled_by_the_next_run(own: Database, tmp_path: Path) -> None:
    controller = Controller(tmp_path, own)
    process = own.server.process
    assert process is not None
    script = controller.write("stop.sh", f"#!/bin/sh\nkill -INT {process.pid}\nsleep 2\n")
    script.chmod(0o755)
    played = controller.play(stopping(controller, script))
    assert played.code == 1
    assert "changed=1" in played.output, "it went on to its end"
    assert "The end of this run is not in the journal." in played.text
    assert "Traceback" not in played.output
    [waiting] = (tmp_path / ".local/state/prosecours").glob("*.waiting.jsonl")
    assert f"It is kept in {waiting}, and the next run from here journals it." in played.text
    assert stat.S_IMODE(waiting.stat().st_mode) == 0o600
    kept = json.loads(waiting.read_text("utf-8"))
    still_down = controller.play("preflight", "--check")
    assert (still_down.code, "Nothing was begun." in still_down.text) == (1, True)

    own.server.stop()
    own.server.start()
    time.sleep(1)  # the second that entries tell by
    controller.play("preflight", "--check")
    entries = followed(own.lines())
    assert [entry["kind"] for entry in entries] == ["begin", "end", "begin", "end"]
    assert entries[1]["run"] == entries[0]["run"] != entries[2]["run"]
    assert entries[1]["at"] == kept["at"] < entries[1]["late"] == entries[2]["at"]
    assert entries[1]["rows"] == kept["rows"] != []
    assert waiting.read_text("utf-8") == ""


def test_a_disk_that_fills_up_meanwhile_costs_the_time_and_no_entry(shared: Database, tmp_path: Path) -> None:
    controller = Controller(tmp_path, shared)
    full(shared, "number > 1")
    played = controller.play("preflight", "--check")
    assert "The end of this run is not in the journal." in played.text
    assert "the disk of its server is full. Have its administrator make room." in played.text
    assert [entry["kind"] for entry in followed(shared.lines())] == ["begin"]
    shared.ask("DROP TRIGGER fill ON prosecours.journal")
    controller.play("preflight", "--check")
    kinds = [entry["kind"] for entry in followed(shared.lines())]
    assert kinds == ["begin", "end", "begin", "end"]


def test_the_check_says_which_of_the_two_is_used(shared: Database, tmp_path: Path) -> None:
    controller = Controller(tmp_path, shared)
    both = f"The journal and the memory of monitoring are kept in the database {shared.address()}."
    assert both in controller.play("check").text
    controller.channels = {}
    assert f"The journal is kept in the file {controller.journal}." in controller.play("check").text
    assert " kept in the " not in controller.play("preflight", "--check").text


def test_a_clock_that_differs_is_said_and_stops_nothing(shared: Database, tmp_path: Path) -> None:
    controller = Controller(tmp_path, shared)
    before = ("faketime", "-f", "+10m")
    inventory = controller.folder / "inventory"
    played = play(inventory, "preflight", "--check", environment=controller.environment, before=before)
    said = f"The clocks of this controller and of the database {shared.address()} differ by about 10 min."
    assert played.text.count(said) == 1
    assert len(followed(shared.lines())) == 2
