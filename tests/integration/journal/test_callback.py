"""Whole runs of ansible-playbook, and what they leave in the journal: who, what, when, and no secret.

The journal is read here as lines of JSON, not with the code that wrote it.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from integration.contract.test_action import SHARED
from support.addresses import address
from support.playbook import CHECKOUT, PLAYBOOKS, Played, command, play
from unit.contract.conftest import LAC, MOULIN
from unit.journal.receivers import syslog

from windows_lab.certificates import Authority

LOGIN = pwd.getpwuid(os.getuid()).pw_name
NOWHERE = address()
"""Nobody listens there: a deploy fails at once."""
NOBODY = {f"127.0.1.{number}": address() for number in (11, 12, 13)}


class Technician:
    """An inventory of two clients, a journal, and ansible-playbook."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.channels: dict[str, str] = {}
        self.journal = folder / "journal" / "journal.jsonl"
        self.shared = f"{SHARED}    ansible_connection: ansible.builtin.winrm\n"
        self.write("inventory/all_clients.yml", self.shared)
        for name, text in {"moulin": MOULIN, "lac": LAC}.items():
            for lab, own in NOBODY.items():
                text = text.replace(lab, own)
            self.write(f"inventory/clients/{name}.yml", text)

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        return path

    def command(self, playbook: Path | str, *arguments: str) -> list[str]:
        return command(self.folder / "inventory", playbook, *arguments)

    @property
    def environment(self) -> dict[str, str]:
        own = {"ANSIBLE_NOCOLOR": "1", "PROSECOURS_JOURNAL": str(self.journal), **self.channels}
        return {**os.environ, **own}

    def play(self, playbook: Path | str, *arguments: str) -> Played:
        return play(self.folder / "inventory", playbook, *arguments, environment=self.environment)

    @property
    def text(self) -> str:
        return self.journal.read_text("utf-8") if self.journal.exists() else ""

    @property
    def entries(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]

    def rows(self) -> dict[tuple[str | None, str], dict[str, Any]]:
        """Of the last entry."""
        return {(row["client"], row["host"]): row for row in self.entries[-1]["rows"]}


@pytest.fixture
def technician(tmp_path: Path) -> Technician:
    return Technician(tmp_path)


def said(name: str, text: str) -> list[str]:
    return ["-e", json.dumps({f"prosecours_{name}": text})]


def test_a_run_is_two_entries(technician: Technician) -> None:
    played = technician.play(
        "preflight",
        *said("technician", "A. Martin"),
        *said("instruction", "Mme Lefèvre, courriel du 20 novembre"),
    )
    assert any(one in played.text for one in NOBODY.values()), "nobody answers there"
    begin, end = technician.entries
    assert {name: begin[name] for name in ("kind", "playbook", "technician", "login", "check", "hosts")} == {
        **{"kind": "begin", "playbook": "preflight", "technician": "A. Martin", "login": LOGIN},
        **{"check": False, "hosts": []},
    }
    assert begin["instruction"] == "Mme Lefèvre, courriel du 20 novembre"
    assert begin["reason"] == ""
    assert begin["clients"] == {
        "ferme_du_lac": ["lac-srv"],
        "gaec_du_moulin": ["moulin-srv1", "moulin-sql"],
    }
    assert (end["kind"], end["run"], end["result"]) == ("end", begin["run"], "failed")
    assert end["prev"] == begin["hash"]


def test_each_head_leaves_the_machine_and_a_channel_that_refuses_costs_a_sentence(
    technician: Technician, tmp_path: Path
) -> None:
    authority = Authority(tmp_path / "authority")
    with syslog(authority) as (place, got):
        technician.channels = {
            "PROSECOURS_JOURNAL_SYSLOG": place,
            "PROSECOURS_JOURNAL_SYSLOG_CA": str(authority.certificate_path),
            "PROSECOURS_JOURNAL_TIMESTAMP": "https://localhost:1/tsr",
            "PROSECOURS_JOURNAL_TIMESTAMP_CA": str(authority.certificate_path),
        }
        played = technician.play("preflight", "--limit", "gaec_du_moulin", "--check")
    heads = [f"head {one['n']}:{one['hash']} {one['kind']}" for one in technician.entries]
    assert len(heads) == 2
    assert [message.decode().partition(" - ")[2].rpartition(" ")[0] for message in got] == heads
    refused = (
        "The time stamp authority localhost:1 did not stamp the head of the journal: it cannot be reached"
    )
    assert " ".join(played.output.split()).count(refused) == 1
    assert "Traceback" not in played.output


def test_the_login_is_the_technician_unless_he_says_otherwise(technician: Technician) -> None:
    technician.play("preflight", "--limit", "gaec_du_moulin", "--check")
    begin = technician.entries[0]
    assert begin["technician"] == begin["login"] == LOGIN
    assert begin["clients"] == {"gaec_du_moulin": ["moulin-srv1", "moulin-sql"]}
    assert begin["check"] is True


def test_clients_whose_contracts_are_only_read_are_not_concerned(technician: Technician) -> None:
    assert technician.play("check").code == 0
    begin, end = technician.entries
    assert (begin["clients"], begin["hosts"], end["rows"], end["result"]) == ({}, [], [], "ok")


def test_hosts_that_the_run_itself_finds_are_named_before_they_are_touched(technician: Technician) -> None:
    """As a restore does, whose request names the server."""
    playbook = technician.write(
        "site.yml",
        f"""
- ansible.builtin.import_playbook: {PLAYBOOKS}/check.yml
- hosts: localhost
  gather_facts: false
  tasks:
    - ansible.builtin.add_host: {{name: lac-srv, groups: chosen}}
      changed_when: false
- hosts: chosen
  gather_facts: false
  tasks:
    - prosecours.backup.preflight:
        contract: "{{{{ contract_result.hosts[inventory_hostname] }}}}"
        repository: {{url: "rest:https://{NOWHERE}/x/"}}
        report_directory: {technician.folder}/reports
""",
    )
    technician.play(playbook, *said("instruction", "M. Petit"))
    begin, also, end = technician.entries
    assert begin["clients"] == {}
    assert (also["kind"], also["run"], also["clients"]) == (
        "also",
        begin["run"],
        {"ferme_du_lac": ["lac-srv"]},
    )
    assert also["instruction"] == "M. Petit"
    assert [(row["client"], row["host"], row["result"]) for row in end["rows"]] == [
        ("ferme_du_lac", "lac-srv", "failed")
    ]


def test_each_host_has_its_result_and_its_sentence(technician: Technician) -> None:
    played = technician.play("deploy", *said("reason", "un essai"))
    assert played.code != 0
    begin, end = technician.entries
    assert (begin["playbook"], begin["reason"], end["result"]) == ("deploy", "un essai", "failed")
    rows = technician.rows()
    for client, host in (("gaec_du_moulin", "moulin-sql"), ("ferme_du_lac", "lac-srv")):
        row = rows[(client, host)]
        assert row["result"] == "failed"
        assert any(one in row["failures"][0] for one in NOBODY.values())
        assert row["changes"] == []


def test_a_contract_that_is_refused_is_a_run_that_failed(technician: Technician) -> None:
    technician.write("inventory/clients/lac.yml", LAC.replace("20", "0"))
    assert technician.play("deploy").code != 0
    assert technician.entries[-1]["result"] == "failed"
    assert "1 error in 1 file of the inventory" in technician.rows()[(None, "localhost")]["failures"][0]


def test_a_reason_of_one_client_is_kept_and_each_text_once(technician: Technician) -> None:
    line = "        prosecours_subscribed_gb: 200\n"
    technician.write(
        "inventory/clients/moulin.yml", MOULIN.replace(line, f"{line}        prosecours_reason: only there\n")
    )
    technician.play("preflight")
    assert technician.entries[0]["reason"] == "only there"


# -- what is not ours, and what cannot be journalled ----------------------------------------------------

USER = """
- hosts: localhost
  gather_facts: false
  vars: {{secret: S3cret-of-the-playbook}}
  tasks:
    - name: Say it
      ansible.builtin.command: echo {{{{ secret }}}}
    - name: Use what is theirs
      {action}
    - name: Hide it
      ansible.builtin.command: echo {{{{ secret }}}}
      no_log: true
    - name: Fail and go on
      ansible.builtin.command: "false"
      ignore_errors: true
    - name: Do each
      ansible.builtin.command: echo {{{{ item }}}}
      loop: [S3cret-one, S3cret-two]
    - name: Break
      ansible.builtin.fail:
        msg: "{{{{ secret }}}}"
"""


def test_playbooks_that_are_not_ours_are_left_alone(technician: Technician) -> None:
    playbook = technician.write("site.yml", USER.format(action="ansible.builtin.debug: {}"))
    assert technician.play(playbook).code != 0
    assert technician.text == ""


def test_a_playbook_that_uses_an_action_of_ours_is_an_intervention(technician: Technician) -> None:
    playbook = technician.write("site.yml", USER.format(action="prosecours.backup.contract:"))
    played = technician.play(playbook, "-vvvvv")
    assert "S3cret-of-the-playbook" in played.text, "the playbook does not say its secret: no test"
    begin, end = technician.entries
    assert (begin["playbook"], end["result"]) == ("site.yml", "failed")
    [row] = end["rows"]
    assert row["changes"] == ["Hide it", "Do each"], "what failed is not known to have changed anything"
    assert row["failures"] == ["Break: failed"]
    assert "S3cret" not in technician.text


def test_a_playbook_that_imports_ours_names_both(technician: Technician) -> None:
    playbook = technician.write("site.yml", f"- ansible.builtin.import_playbook: {PLAYBOOKS}/check.yml\n")
    assert technician.play(playbook).code == 0
    assert technician.entries[0]["playbook"] == "site.yml (check)"


def test_what_was_rescued_did_not_fail(technician: Technician) -> None:
    playbook = technician.write(
        "site.yml",
        """
- hosts: localhost
  gather_facts: false
  tasks:
    - prosecours.backup.contract:
    - block:
        - ansible.builtin.fail:
      rescue:
        - ansible.builtin.debug:
""",
    )
    played = technician.play(playbook)
    assert played.code == 0, played.text
    assert technician.entries[-1]["result"] == "ok"


@pytest.mark.parametrize("place", ["/proc/nowhere/journal.jsonl", "folder"])
def test_what_cannot_be_journalled_does_not_begin(technician: Technician, place: str) -> None:
    technician.journal = Path(place) if place.startswith("/") else technician.folder
    played = technician.play("deploy", *said("reason", "un essai"))
    assert played.code == 1
    assert f"The journal {technician.journal} cannot be written (" in played.text
    assert "Nothing was begun." in played.text
    assert "Traceback" not in played.text
    assert "TASK" not in played.text


def test_a_run_whose_end_cannot_be_journalled_says_so(technician: Technician) -> None:
    """The journal's folder goes away while the run is under way."""
    gone = {"ansible.builtin.command": f"mv {technician.journal.parent} {technician.folder}/moved"}
    block = {"ansible.builtin.command": f"ln -s /proc/nowhere {technician.journal.parent}"}
    plays = [
        {"ansible.builtin.import_playbook": str(PLAYBOOKS / "check.yml")},
        {"hosts": "localhost", "gather_facts": False, "tasks": [gone, block]},
    ]
    played = technician.play(technician.write("site.yml", json.dumps(plays)))
    assert played.code == 1
    assert "The end of this run is not in the journal." in played.text
    assert "Traceback" not in played.text


@pytest.mark.parametrize("how", ["another ansible.cfg", "ad hoc"])
def test_without_the_callback_nothing_of_ours_works(technician: Technician, how: str) -> None:
    environment = dict(technician.environment)
    command = technician.command("check")
    if how == "ad hoc":
        command = [
            "ansible",
            "-i",
            str(technician.folder / "inventory"),
            "lac-srv",
            "-m",
            "prosecours.backup.backup",
        ]
    else:
        collections = CHECKOUT / "build" / "collections"
        technician.write("ansible.cfg", f"[defaults]\ncollections_path = {collections}\n")
        environment["ANSIBLE_CONFIG"] = str(technician.folder / "ansible.cfg")
    done = subprocess.run(
        command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 2, done.stdout + done.stderr
    said = re.sub(r"\s+", " ", done.stdout + done.stderr)
    assert "Every intervention is journalled (C10), and this run is not" in said
    assert "callbacks_enabled = prosecours.backup.journal. Nothing was done." in said
    assert technician.text == ""


# -- secrets --------------------------------------------------------------------------------------------


def test_no_secret_of_inventory_vault_or_command_line(technician: Technician) -> None:
    secrets = [
        "S3cret-of-the-repository",
        "S3cret-of-the-encryption",
        "S3cret-windows",
        "S3cret-in-the-vault",
    ]
    key = technician.write("key", "S3cret-key-of-the-vault\n")
    vault = subprocess.run(
        ["ansible-vault", "encrypt_string", "--vault-password-file", key, "--name",
         "    ansible_password", "S3cret-in-the-vault"],
        capture_output=True, text=True, check=True, cwd=CHECKOUT,
    ).stdout.replace("\n          ", "\n        ")  # fmt: skip
    technician.write("inventory/all_clients.yml", technician.shared + vault)
    for more in (
        [],
        ["-e", "ansible_password=S3cret-windows"],
        ["-e", '{"prosecours_repository_password": ["S3cret-list"]}'],
    ):
        played = technician.play(
            "deploy", "--vault-password-file", str(key), *said("reason", "un essai"), "-vvv", *more
        )
        assert played.code != 0
    assert len(technician.entries) == 6
    for secret in [*secrets, "S3cret-key-of-the-vault", "S3cret-list", "S3cret"]:
        assert secret not in technician.text


# -- interrupted, killed --------------------------------------------------------------------------------

SLOW = """
- ansible.builtin.import_playbook: {playbooks}/check.yml
- hosts: localhost
  gather_facts: false
  tasks:
    - name: Change something
      ansible.builtin.command: touch {folder}/changed
    - name: Take long
      ansible.builtin.command: sh -c 'touch running; while [ -e changed ]; do sleep 0.2; done'
      args: {{chdir: {folder}}}
"""


@contextmanager
def begun(technician: Technician) -> Iterator[subprocess.Popen[bytes]]:
    """A run that has changed something, and takes long now."""
    playbook = technician.write("site.yml", SLOW.format(playbooks=PLAYBOOKS, folder=technician.folder))
    with (technician.folder / "printed").open("wb") as printed:  # a pipe would stay open for its orphans
        process = subprocess.Popen(
            technician.command(playbook),
            cwd=CHECKOUT,
            env=technician.environment,
            stdout=printed,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + 120
        # Not from what is printed: a signal while Python forks is lost.
        while not (technician.folder / "running").exists():
            assert process.poll() is None, "it ended by itself"
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield process
    finally:
        (technician.folder / "changed").unlink(missing_ok=True)  # ends what a killed run leaves behind
        process.kill()
        process.wait(60)


def test_ctrl_c_is_an_end(technician: Technician) -> None:
    with begun(technician) as process:
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(120) != 0
    assert "Traceback" not in (technician.folder / "printed").read_text("utf-8")
    begin, end = technician.entries
    assert (end["run"], end["result"]) == (begin["run"], "interrupted")
    assert technician.rows()[(None, "localhost")]["changes"] == ["Change something"]


def test_kill_9_leaves_a_run_without_end(technician: Technician) -> None:
    with begun(technician) as process:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(120)
    [begin] = technician.entries
    assert begin["kind"] == "begin"
    assert technician.play("check").code == 0
    assert [entry["kind"] for entry in technician.entries] == ["begin", "begin", "end"]


def test_two_technicians_at_once(technician: Technician) -> None:
    """Whole runs side by side; each entry is there, and follows the one before."""
    running = [
        subprocess.Popen(
            technician.command("check", *said("technician", name)),
            cwd=CHECKOUT,
            env=technician.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for name in ("A. Martin", "B. Durand")
    ]
    for one in running:
        printed, _unused = one.communicate(timeout=180)
        assert one.returncode == 0, printed
    entries = technician.entries
    assert sorted(entry["technician"] for entry in entries if entry["kind"] == "begin") == [
        "A. Martin",
        "B. Durand",
    ]
    assert [entry["n"] for entry in entries] == [1, 2, 3, 4]
    assert [entry["prev"] for entry in entries[1:]] == [entry["hash"] for entry in entries[:-1]]
