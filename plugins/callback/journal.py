# Copyright: Pro Secours maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every run of a playbook of the collection goes to the journal, at its beginning and at its end (C10)."""

from __future__ import annotations

DOCUMENTATION = r"""
name: journal
type: notification
short_description: Journal every intervention
version_added: 0.1.0
description:
  - >-
    Writes two entries for each run that plays a playbook of this collection, or that uses one of its actions.
    At the beginning - which playbook, by whom, for which clients and servers, on whose instruction, for what
    reason, in check mode or not - and at the end - what changed and how it ended, server by server.
  - >-
    A run that cannot be journalled does not begin. One that is interrupted says so; one that is killed has no
    end.
  - >-
    What is written are names, numbers, the sentences of this collection's own actions and the names of other
    tasks, never the results of other modules, nor anything of a task with C(no_log).
  - >-
    Variables say who and why. C(prosecours_technician), the login unless set; C(prosecours_instruction), on
    whose instruction; C(prosecours_reason), why outside of office hours.
requirements:
  - to be enabled, with C(callbacks_enabled = prosecours.backup.journal) in ansible.cfg
  - SQLAlchemy and psycopg, for a journal in a database
options:
  journal:
    description: >-
      The file; in a folder with the setgid bit it is made for the group. Or a database for several
      controllers, as C(postgresql://user@host/database) without a password; the memory of monitoring is there
      too.
    type: str
    default: ~/.local/state/prosecours/journal.jsonl
    env:
      - name: PROSECOURS_JOURNAL
    ini:
      - section: prosecours
        key: journal
  syslog:
    description: >-
      Receiver of syslog over TLS (RFC 5425) that is told each new head of the journal, as name or name:port;
      6514 unless given. Empty for none.
    type: str
    default: ""
    env:
      - name: PROSECOURS_JOURNAL_SYSLOG
    ini:
      - section: prosecours
        key: journal_syslog
  syslog_ca:
    description: >-
      PEM file of the authority of the receiver's certificate, if it is not a public one.
    type: path
    env:
      - name: PROSECOURS_JOURNAL_SYSLOG_CA
    ini:
      - section: prosecours
        key: journal_syslog_ca
  timestamp:
    description: >-
      Address of an authority (RFC 3161) that stamps the head at the end of each run. Empty for none.
    type: str
    default: ""
    env:
      - name: PROSECOURS_JOURNAL_TIMESTAMP
    ini:
      - section: prosecours
        key: journal_timestamp
  timestamp_ca:
    description: >-
      PEM file of the roots of the authority's certificates; needed for stamps.
    type: path
    env:
      - name: PROSECOURS_JOURNAL_TIMESTAMP_CA
    ini:
      - section: prosecours
        key: journal_timestamp_ca
author:
  - Pro Secours maintainers (@prosecours)
"""

import atexit
import os
import pwd
import re
import socket
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible import context
from ansible.errors import AnsibleError
from ansible.executor.stats import AggregateStats
from ansible.executor.task_result import CallbackTaskResult
from ansible.inventory.host import Host
from ansible.playbook import Playbook
from ansible.playbook.play import Play
from ansible.playbook.task import Task
from ansible.plugins.callback import CallbackBase
from ansible.template import Templar

from ..plugin_utils.ansible_adapter import ACTIONS, SENTENCES, action_of, journal_store, plain
from ..plugin_utils.contract.files import CLIENTS
from ..plugin_utils.files import COLLECTION
from ..plugin_utils.journal import elsewhere, late
from ..plugin_utils.journal import entries as journal
from ..plugin_utils.journal import runs as journal_runs
from ..plugin_utils.journal.runs import CONTROLLER, Rows

PLAYBOOKS = COLLECTION / "playbooks"
CHECK = "check"
"""The playbook that says how this installation is set up."""
READERS = ("journal",)
"""To read the journal is no intervention."""
SAID = {name: f"prosecours_{name}" for name in ("technician", "instruction", "reason")}
"""What the technician says of a run -> its variable."""
NAMING = ("prosecours_retention_client", "prosecours_remove_client")
"""Variables that name a client where the hosts of the play do not."""


class CallbackModule(CallbackBase):  # type: ignore[misc]  # ansible-core publishes no types
    """Ansible calls it in its main process only, one event at a time."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "prosecours.backup.journal"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._playbook: Playbook | None = None
        self._play: Play | None = None
        self._run: str | None = None
        """The run that is under way: its id, the hosts that it concerns, what happened so far."""
        self._title = ""
        self._known: set[str] = set()
        self._rows = Rows()
        self._failed_on: dict[tuple[str | None, str], set[str]] = {}
        """Client and host of a row -> where its tasks failed, as Ansible's statistics count them."""
        self._process = os.getpid()
        atexit.register(self._interrupted)

    # -- what Ansible tells -----------------------------------------------------------------------------

    def v2_playbook_on_start(self, playbook: Playbook) -> None:
        self._playbook, self._play, self._run = playbook, None, None

    def v2_playbook_on_play_start(self, play: Play) -> None:
        self._play = play
        if _own_playbook(play) not in (None, *READERS):
            self._note(play)

    def v2_playbook_on_task_start(self, task: Task, is_conditional: bool) -> None:
        """In somebody else's playbook the first of our actions is where the intervention begins."""
        if self._play and _own_playbook(self._play) is None and action_of(task).startswith(ACTIONS):
            self._note(self._play)

    def v2_runner_on_ok(self, result: CallbackTaskResult) -> None:
        self._add(result, "changed" if result.result.get("changed") else "ok")

    def v2_runner_on_failed(self, result: CallbackTaskResult, ignore_errors: bool = False) -> None:
        self._add(result, "ignored" if ignore_errors else "failed")

    def v2_runner_on_unreachable(self, result: CallbackTaskResult) -> None:
        self._add(result, "unreachable")

    def v2_playbook_on_stats(self, stats: AggregateStats) -> None:
        for row, failed_on in self._failed_on.items():
            if not any(stats.failures.get(name) or stats.dark.get(name) for name in failed_on):
                self._rows.rescued(*row)
        self._finish()

    # -- what becomes of it -----------------------------------------------------------------------------

    def _note(self, play: Play) -> None:
        """Write down what is about to be done, before it is: the run, or the hosts that it comes to now."""
        try:
            entry = self._also(play) if self._run else self._beginning(play)
            if entry:
                self._write(entry)
        except (journal.JournalError, AnsibleError) as error:
            rest = "Nothing more was done." if self._run else "Nothing was begun."
            self._display.error(f"{' '.join(str(error).split())} {rest}")
            # Of an exception Ansible would make a warning, and go on.
            raise SystemExit(1) from None
        if entry:
            self._run = entry["run"]
            journal_runs.under_way = self._run

    def _write(self, body: dict[str, Any]) -> None:
        """Into the journal, or nothing goes on (JournalError); then elsewhere, or it is said and goes on."""
        store = journal_store()
        entry = journal.append(store, body, say=self._display.warning)
        told = ("syslog", "syslog_ca", "timestamp", "timestamp_ca")
        channels = elsewhere.Channels(*(str(self.get_option(name) or "") for name in told))
        for sentence in elsewhere.tell(channels, store, entry):
            self._display.warning(sentence)

    def _beginning(self, play: Play) -> dict[str, Any]:
        self._known, self._failed_on, self._rows = set(), {}, Rows()
        self._title = _title(self._playbook, play)
        login = pwd.getpwuid(os.getuid()).pw_name
        ahead = self._playbook.get_plays() if self._playbook and _own_playbook(play) else []
        whom = self._whom(play, _hosts([*ahead, play]))
        return {
            "kind": "begin",
            "run": str(uuid.uuid4()),
            "playbook": self._title,
            **whom,
            "technician": whom["technician"] or os.environ.get("SUDO_USER") or login,
            "login": login,
            "controller": socket.gethostname(),
            "check": bool(context.CLIARGS.get("check")),
        }

    def _also(self, play: Play) -> dict[str, Any] | None:
        """Hosts that were not known at the beginning: a group that the run itself makes, a templated one."""
        hosts = [host for host in _hosts([play]) if host.name not in self._known]
        return {"kind": "also", "run": self._run, **self._whom(play, hosts)} if hosts else None

    def _whom(self, play: Play, hosts: list[Host]) -> dict[str, Any]:
        """These hosts by client, and what the technician says of them."""
        self._known.update(host.name for host in hosts)
        clients: dict[str, list[str]] = {}
        for host in hosts:
            if client := _client(host):
                clients.setdefault(client, []).append(host.name)
        # One server speaks for its client.
        mute = {name for servers in clients.values() for name in servers[1:]}
        said = _said(play, [host for host in hosts if host.name not in mute])
        return {
            **{name: "; ".join(said[variable]) for name, variable in SAID.items()},
            "clients": {**{client: [] for name in NAMING for client in said[name]}, **clients},
            "hosts": [host.name for host in hosts if not _client(host)],
        }

    def _add(self, result: CallbackTaskResult, outcome: str) -> None:
        if not self._run:
            return
        task, host = result.task, result.host
        # What runs once for all is nobody's: the contracts, the office hours, a program on the controller.
        row = (None, CONTROLLER) if task.run_once else (_client(host), str(host.name))
        changes: list[str] = []
        details: dict[str, Any] = {}
        for one in _parts(result, outcome not in ("ok", "changed")):
            changes += _changes(task, one)
            details.update({} if one.hidden else one.journal)
        failures = []
        if outcome in ("failed", "unreachable"):
            self._failed_on.setdefault(row, set()).add(str(host.name))
            failures = [_failure(task, _told(task, result.result), outcome)]
        counted = "ok" if outcome == "ignored" else outcome
        self._rows.add(*row, counted, dict.fromkeys(changes), failures, details)

    def _finish(self, interrupted: bool = False) -> None:
        run, self._run = self._run, None
        journal_runs.under_way = None
        if not run:
            return
        end = {**self._rows.end(self._known, interrupted), "run": run}
        try:
            self._write(end)
        except journal.JournalError as error:
            self._display.error(
                f"The end of this run is not in the journal. {error} {self._kept(end)}".strip()
            )
            raise SystemExit(1) from None
        if self._title == CHECK and end["result"] == "ok":
            self._display.display(f"{journal_store().kept}.")

    def _kept(self, end: dict[str, Any]) -> str:
        """What became of an end that the journal did not take, as a sentence; empty where nothing could."""
        try:
            if path := journal_store().waiting:
                late.keep(path, end, journal.timestamp(datetime.now(UTC)))
                return f"It is kept in {path}, and the next run from here journals it."
        except journal.JournalError as error:
            return str(error)
        return ""

    def _interrupted(self) -> None:
        """At the end of the process: Ctrl-C, or an error of Ansible's own, left the run without its end."""
        if os.getpid() == self._process:
            self._finish(interrupted=True)


def _hosts(plays: list[Play]) -> list[Host]:
    """The hosts of plays, as far as they are known now; --limit is heeded.

    A play over the controller and the clients reads their variables, and comes near none of them.
    """
    found: dict[str, Host] = {}
    for play in plays:
        pattern = ":".join(play.hosts) if isinstance(play.hosts, list) else str(play.hosts)
        if CONTROLLER not in re.split("[:,]", pattern) and "{{" not in pattern:
            inventory = play.get_variable_manager()._inventory
            for host in inventory.get_hosts(play.hosts, ignore_restrictions=True):
                found.setdefault(host.name, host)
    return [host for host in found.values() if host.name != CONTROLLER]


def _said(play: Play, speakers: list[Host]) -> dict[str, list[str]]:
    """What the variables of SAID and NAMING say, each different text once. Raises AnsibleError."""
    said: dict[str, list[str]] = {name: [] for name in (*SAID.values(), *NAMING)}
    for speaker in speakers or [None]:
        variables = play.get_variable_manager().get_vars(play=play, host=speaker)
        templar = Templar(loader=play.get_loader(), variables=variables)
        for name, texts in said.items():
            value = plain(templar.template(variables.get(name)))
            text = "" if value is None else " ".join(str(value).split())
            if text and text not in texts:
                texts.append(text)
    return said


# -- what may be written of a result --------------------------------------------------------------------


@dataclass(frozen=True)
class _Told:
    """What is read of a result, whatever module it is of."""

    changed: bool
    failed: bool
    hidden: bool
    """Nothing else of it may be written."""
    changes: Sequence[Any]
    """Of our actions: sentences, or mappings with a sentence under `what`."""
    journal: dict[str, Any]
    """Of our actions: what goes to the journal beside them."""
    known: bool
    """It failed with a sentence of ours."""
    msg: str


def _told(task: Task, result: Mapping[str, Any], failed: bool = False) -> _Told:
    ours, changes, journal = action_of(task).startswith(ACTIONS), result.get("changes"), result.get("journal")
    return _Told(
        changed=bool(result.get("changed")),
        failed=failed or bool(result.get("failed")),
        hidden=bool(task.no_log) or "censored" in result,
        changes=changes if ours and isinstance(changes, list) else (),
        journal=plain(journal) if ours and isinstance(journal, dict) else {},
        known="error" in result,
        msg=" ".join(str(result.get("msg") or "").split()),
    )


def _parts(result: CallbackTaskResult, failed: bool) -> list[_Told]:
    """The result, or those of a loop."""
    if result.task.loop and isinstance(result.result.get("results"), list):
        return [_told(result.task, one) for one in result.result["results"]]
    return [_told(result.task, result.result, failed)]


def _changes(task: Task, told: _Told) -> list[str]:
    if told.changes and not told.hidden:
        # A change is a sentence, or has its sentence beside what stood there before and after.
        words = [one.get("what") if isinstance(one, Mapping) else one for one in told.changes]
        return [str(one) for one in words if one] if told.changed else []
    # Of a task that failed nobody knows what it changed.
    return [_name(task)] if told.changed and not told.failed else []


def _failure(task: Task, told: _Told, outcome: str) -> str:
    """The sentence of a failure where it is ours; else what failed."""
    action = action_of(task)
    if action.startswith(ACTIONS):
        said = told.known  # else it is an exception's, which may quote an argument
    else:
        said = action in SENTENCES and _within(task.get_path(), COLLECTION)
    return told.msg if said and not told.hidden and told.msg else f"{_name(task)}: {outcome}"


def _name(task: Task) -> str:
    return str(task.name or action_of(task))


# -- whose it is ----------------------------------------------------------------------------------------


def _own_playbook(play: Play) -> str | None:
    """The name of the collection's playbook that a play comes from, None if it is somebody else's."""
    path = play.get_path()
    return Path(_file_of(path)).stem if _within(path, PLAYBOOKS) else None


def _within(path: str | None, folder: Path) -> bool:
    return bool(path) and Path(_file_of(str(path))).resolve().is_relative_to(folder)


def _file_of(path: str) -> str:
    """`get_path` gives file:line."""
    return path.rpartition(":")[0] or path


def _title(playbook: Playbook | None, play: Play) -> str:
    """The name of the playbook; of one that is not the collection's, its file, with what it plays of ours."""
    file = Path(str(playbook._file_name)) if playbook else Path(_file_of(play.get_path()))
    if file.resolve().is_relative_to(PLAYBOOKS):
        return file.stem
    ours = [name for one in (playbook.get_plays() if playbook else []) if (name := _own_playbook(one))]
    return f"{file.name} ({', '.join(dict.fromkeys(ours))})" if ours else file.name


def _client(host: Host) -> str | None:
    for group in host.get_groups():
        if any(parent.name == CLIENTS for parent in group.parent_groups):
            return str(group.name)
    return None
