"""Every run of a playbook of the collection goes to the journal, at its beginning and at its end (C10)."""

from __future__ import annotations

import atexit
import os
import pwd
import socket
import uuid
from collections.abc import Iterator, Mapping
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

from ..plugin_utils import journal
from ..plugin_utils.ansible_adapter import plain
from ..plugin_utils.contract_files import CLIENTS
from ..plugin_utils.journal_runs import CONTROLLER, Rows

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
options:
  journal:
    description: The file. In a folder with the setgid bit it is made for the group.
    type: path
    default: ~/.local/state/prosecours/journal.jsonl
    env:
      - name: PROSECOURS_JOURNAL
    ini:
      - section: prosecours
        key: journal
author:
  - Pro Secours maintainers (@prosecours)
"""

COLLECTION = Path(__file__).resolve().parents[2]
PLAYBOOKS = COLLECTION / "playbooks"
ACTIONS = "prosecours.backup."
#: To read the journal is no intervention.
READERS = ("journal",)
#: Tasks whose sentence was written by whoever wrote the task: they count where that is this collection.
SENTENCES = ("ansible.builtin.assert", "ansible.builtin.fail")
#: What the technician says of a run -> its variable.
SAID = {name: f"prosecours_{name}" for name in ("technician", "instruction", "reason")}
#: Variables that name a client where the hosts of the play do not.
NAMING = ("prosecours_retention_client", "prosecours_remove_client")


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
        #: The run that is under way: its id, and what happened so far.
        self._run: str | None = None
        self._rows = Rows({})
        #: Row's host -> the hosts on which its tasks failed, as Ansible's statistics count them.
        self._failed_on: dict[str, set[str]] = {}
        self._process = os.getpid()
        atexit.register(self._interrupted)

    # -- what Ansible tells -------------------------------------------------------------------------------

    def v2_playbook_on_start(self, playbook: Playbook) -> None:
        self._playbook, self._play, self._run = playbook, None, None

    def v2_playbook_on_play_start(self, play: Play) -> None:
        self._play = play
        if _own_playbook(play) not in (None, *READERS):
            self._begin()

    def v2_playbook_on_task_start(self, task: Task, is_conditional: bool) -> None:
        """In somebody else's playbook the first of our actions is where the intervention begins."""
        if self._play and _own_playbook(self._play) is None and _action(task).startswith(ACTIONS):
            self._begin()

    def v2_runner_on_ok(self, result: CallbackTaskResult) -> None:
        self._add(result, "changed" if result.result.get("changed") else "ok")

    def v2_runner_on_failed(self, result: CallbackTaskResult, ignore_errors: bool = False) -> None:
        self._add(result, "ignored" if ignore_errors else "failed")

    def v2_runner_on_unreachable(self, result: CallbackTaskResult) -> None:
        self._add(result, "unreachable")

    def v2_playbook_on_stats(self, stats: AggregateStats) -> None:
        for host, failed_on in self._failed_on.items():
            if not any(stats.failures.get(name) or stats.dark.get(name) for name in failed_on):
                self._rows.rescued(host)
        self._finish()

    # -- what becomes of it -------------------------------------------------------------------------------

    @property
    def _file(self) -> Path:
        return Path(self.get_option("journal"))

    def _begin(self) -> None:
        if self._run or not self._play:
            return
        try:
            entry = self._beginning(self._play)
            journal.append(self._file, entry)
        except (journal.JournalError, AnsibleError) as error:
            self._display.error(f"{' '.join(str(error).split())} Nothing was begun.")
            # Of an exception Ansible would make a warning, and go on.
            raise SystemExit(1) from None
        self._run, self._failed_on = entry["run"], {}

    def _beginning(self, play: Play) -> dict[str, Any]:
        hosts = self._targets(play)
        client_of = {host.name: client for host in hosts if (client := _client(host))}
        self._rows = Rows(client_of)
        clients: dict[str, list[str]] = {}
        for host, client in client_of.items():
            clients.setdefault(client, []).append(host)
        # One server speaks for its client.
        mute = {host for servers in clients.values() for host in servers[1:]}
        said = _said(play, [host for host in hosts if host.name not in mute])
        login = pwd.getpwuid(os.getuid()).pw_name
        return {
            "kind": "begin",
            "run": str(uuid.uuid4()),
            "playbook": _title(self._playbook, play),
            **{name: "; ".join(said[variable]) for name, variable in SAID.items()},
            "technician": "; ".join(said[SAID["technician"]]) or os.environ.get("SUDO_USER") or login,
            "login": login,
            "controller": socket.gethostname(),
            "check": bool(context.CLIARGS.get("check")),
            "clients": {**{client: [] for name in NAMING for client in said[name]}, **clients},
            "hosts": [host.name for host in hosts if host.name not in client_of],
        }

    def _targets(self, play: Play) -> list[Host]:
        """The hosts of all plays of this run, as far as they are known now; --limit is heeded."""
        inventory = play.get_variable_manager()._inventory
        patterns = [one.hosts for one in (self._playbook.get_plays() if self._playbook else [])]
        found: dict[str, Host] = {}
        for pattern in [play.hosts, *patterns]:
            if "{{" not in str(pattern):
                for host in inventory.get_hosts(pattern, ignore_restrictions=True):
                    found.setdefault(host.name, host)
        return [host for host in found.values() if host.name != CONTROLLER]

    def _add(self, result: CallbackTaskResult, outcome: str) -> None:
        if not self._run:
            return
        task, executed_on = result.task, str(result.host.get_name())
        # What runs once for all is nobody's: the contracts, the office hours, a program on the controller.
        host = CONTROLLER if task.run_once else executed_on
        changes: list[str] = []
        details: dict[str, Any] = {}
        for one, failed in _parts(result, outcome not in ("ok", "changed")):
            changes += _changes(task, one, failed)
            details.update(_details(task, one))
        failures = []
        if outcome in ("failed", "unreachable"):
            self._failed_on.setdefault(host, set()).add(executed_on)
            failures = [_failure(task, result.result, outcome)]
        self._rows.add(
            host, "ok" if outcome == "ignored" else outcome, dict.fromkeys(changes), failures, details
        )

    def _finish(self, interrupted: bool = False) -> None:
        run, self._run = self._run, None
        if not run:
            return
        try:
            journal.append(self._file, {**self._rows.end(interrupted), "run": run})
        except journal.JournalError as error:
            self._display.error(f"The end of this run is not in the journal. {error}")
            raise SystemExit(1) from None

    def _interrupted(self) -> None:
        """At the end of the process: Ctrl-C, or an error of Ansible's own, left the run without its end."""
        if os.getpid() == self._process:
            self._finish(interrupted=True)


def _said(play: Play, speakers: list[Host]) -> dict[str, list[str]]:
    """What the variables of SAID and NAMING say, each different text once. Raises AnsibleError."""
    said: dict[str, list[str]] = {name: [] for name in (*SAID.values(), *NAMING)}
    for speaker in speakers or [None]:
        variables = play.get_variable_manager().get_vars(play=play, host=speaker)
        templar = Templar(loader=play.get_loader(), variables=variables)
        for name, texts in said.items():
            text = " ".join(str(plain(templar.template(variables.get(name, "")))).split())
            if text and text not in texts:
                texts.append(text)
    return said


# -- what may be written of a result ------------------------------------------------------------------


def _parts(result: CallbackTaskResult, failed: bool) -> Iterator[tuple[Mapping[str, Any], bool]]:
    """The result, or those of a loop; and whether it failed."""
    if result.task.loop and isinstance(result.result.get("results"), list):
        yield from ((one, bool(one.get("failed"))) for one in result.result["results"])
    else:
        yield result.result, failed


def _hidden(task: Task, result: Mapping[str, Any]) -> bool:
    return bool(task.no_log) or "censored" in result


def _changes(task: Task, result: Mapping[str, Any], failed: bool) -> list[str]:
    said = result.get("changes")
    if _action(task).startswith(ACTIONS) and isinstance(said, list) and said and not _hidden(task, result):
        return [str(sentence) for sentence in said] if result.get("changed") else []
    # Of a task that failed nobody knows what it changed.
    return [_name(task)] if result.get("changed") and not failed else []


def _details(task: Task, result: Mapping[str, Any]) -> dict[str, Any]:
    said = result.get("journal")
    if not _action(task).startswith(ACTIONS) or _hidden(task, result) or not isinstance(said, dict):
        return {}
    details: dict[str, Any] = plain(said)
    return details


def _failure(task: Task, result: Mapping[str, Any], outcome: str) -> str:
    """The sentence of a failure where it is ours; else what failed."""
    action = _action(task)
    if action.startswith(ACTIONS):
        said = "error" in result  # else it is an exception's, which may quote an argument
    else:
        said = action in SENTENCES and _within(task.get_path(), COLLECTION)
    if said and not _hidden(task, result) and result.get("msg"):
        return " ".join(str(result["msg"]).split())
    return f"{_name(task)}: {outcome}"


def _name(task: Task) -> str:
    return str(task.name or _action(task))


def _action(task: Task) -> str:
    return str(task.resolved_action or task.action)


# -- whose it is --------------------------------------------------------------------------------------


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
