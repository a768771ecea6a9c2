# Copyright: Pro Secours maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a technician reads of a run: a line for each host, and of an error its sentence."""

from __future__ import annotations

DOCUMENTATION = r"""
name: lines
type: stdout
short_description: A line for each host, and of an error its sentence
version_added: 0.1.0
description:
  - >-
    A run that is well ends with one line for each host. An error is its sentence, once, when it happens.
    Plays, tasks and what they skip are not told. Tables, questions, progress, warnings and, with C(--diff),
    differences are.
  - With C(-v) and more it is Ansible's own callback C(ansible.builtin.default), whose settings hold.
  - The actions of this collection need no particular callback; AWX and others bring their own.
requirements:
  - to be chosen, with C(stdout_callback = prosecours.backup.lines) in ansible.cfg
extends_documentation_fragment:
  - default_callback
  - result_format_callback
author:
  - Pro Secours maintainers (@prosecours)
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible import constants, context
from ansible.executor.stats import AggregateStats
from ansible.executor.task_result import CallbackTaskResult
from ansible.playbook.play import Play
from ansible.playbook.task import Task
from ansible.plugins.callback.default import CallbackModule as Default

from ..module_utils.maintenance.printable import printable_lines
from ..plugin_utils.ansible_adapter import ACTIONS, SENTENCES, action_of
from ..plugin_utils.journal.runs import CONTROLLER

SAYS = "ansible.builtin.debug"
"""A task that is there to say something."""
OK = ("ok", constants.COLOR_OK)
FAILED = ("failed", constants.COLOR_ERROR)
"""What a host's line says, and its colour."""
SILENT = (
    "v2_playbook_on_include",
    "v2_playbook_on_no_hosts_matched",
    "v2_playbook_on_no_hosts_remaining",
    "v2_runner_item_on_skipped",
    "v2_runner_on_async_ok",
    "v2_runner_on_async_poll",
    "v2_runner_on_skipped",
    "v2_runner_retry",
)
"""Events that are told with -v only."""


class CallbackModule(Default):  # type: ignore[misc]  # ansible-core publishes no types
    """Ansible calls it in its main process only, one event at a time."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "prosecours.backup.lines"

    def __init__(self) -> None:
        super().__init__()
        self._changes: dict[str, int] = {}
        """Host -> how many things were, or would be, changed there."""

    @property
    def _whole(self) -> bool:
        """Whether Ansible's own output is wanted."""
        return bool(self._display.verbosity)

    def _print_task_banner(self, task: Task) -> None:
        if self._whole:
            super()._print_task_banner(task)

    def v2_playbook_on_play_start(self, play: Play) -> None:
        self._play = play
        if self._whole:
            super().v2_playbook_on_play_start(play)

    def v2_runner_on_ok(self, result: CallbackTaskResult) -> None:
        if self._whole:
            super().v2_runner_on_ok(result)
        elif not (result.task.loop and "results" in result.result):
            self._told(result)

    def v2_runner_item_on_ok(self, result: CallbackTaskResult) -> None:
        if self._whole:
            super().v2_runner_item_on_ok(result)
        else:
            self._told(result)

    def v2_runner_on_failed(self, result: CallbackTaskResult, ignore_errors: bool = False) -> None:
        if self._whole:
            super().v2_runner_on_failed(result, ignore_errors)
        elif not ignore_errors and not (result.task.loop and "results" in result.result):
            self._refused(result)

    def v2_runner_item_on_failed(self, result: CallbackTaskResult) -> None:
        if self._whole:
            super().v2_runner_item_on_failed(result)
        elif not result.task.ignore_errors:
            self._refused(result)

    def v2_runner_on_unreachable(self, result: CallbackTaskResult) -> None:
        if self._whole:
            super().v2_runner_on_unreachable(result)
        else:
            self._refused(result)

    def v2_playbook_on_stats(self, stats: AggregateStats) -> None:
        if self._whole:
            super().v2_playbook_on_stats(stats)
            return
        outcomes = {host: self._outcome(host, stats.summarize(host)) for host in sorted(stats.processed)}
        # That the controller did its part is said by the lines of the servers, unless there are none.
        if len(outcomes) > 1 and outcomes.get(CONTROLLER) in (OK, FAILED):
            del outcomes[CONTROLLER]
        # A single one that failed has had its sentence.
        shown = {} if list(outcomes.values()) == [FAILED] else outcomes
        width = max(map(len, shown), default=0)
        for host, (words, color) in shown.items():
            self._display.display(f"{host:<{width}}  {words}", color=color)

    # -- one event --------------------------------------------------------------------------------------

    def _told(self, result: CallbackTaskResult) -> None:
        """What a task that went well has to say beside that."""
        self._handle_warnings(result.result)
        if result.result.get("changed"):
            own = result.result.get("changes") if _ours(result.task) else None
            host = CONTROLLER if result.task.run_once else str(result.host.get_name())
            self._changes[host] = self._changes.get(host, 0) + (len(own) if isinstance(own, list) else 1)
        if action_of(result.task) == SAYS:
            said = result.result.get("msg")
            text = said if isinstance(said, str) else self._dump_results(result.result)
            self._display.display(_named(result, printable_lines(text)))

    def _refused(self, result: CallbackTaskResult) -> None:
        self._handle_warnings(result.result)
        said = _sentence(result.task, result.result) or self._dump_results(result.result)
        self._display.display(
            _named(result, printable_lines(said)),
            color=constants.COLOR_ERROR,
            stderr=self.get_option("display_failed_stderr"),
        )

    def _outcome(self, host: str, count: Mapping[str, int]) -> tuple[str, str]:
        """The words of a host's line, and their colour."""
        if count["failures"] or count["unreachable"]:
            return FAILED
        if number := self._changes.get(host, 0):
            things = f"{number} change" + "s" * (number > 1)
            return f"{things} to be made" if context.CLIARGS.get("check") else things, constants.COLOR_CHANGED
        return OK


def _with_v_only(event: str) -> Callable[..., None]:
    """An event that Ansible's own callback tells, and this one with -v."""

    def tell(self: CallbackModule, *arguments: Any) -> None:
        if self._whole:
            getattr(Default, event)(self, *arguments)

    tell.__name__ = event
    return tell


for _event in SILENT:
    setattr(CallbackModule, _event, _with_v_only(_event))


def _ours(task: Task) -> bool:
    return action_of(task).startswith(ACTIONS)


def _sentence(task: Task, result: Mapping[str, Any]) -> str:
    """Why a task failed: the sentence where there is one, else which task and what its module says."""
    if "censored" in result:
        return f"{task.get_name()}: it failed; what it says is hidden, since it may hold a secret"
    said = str(result.get("msg") or "").strip()
    if _ours(task) or action_of(task) in SENTENCES:
        return said
    more = str(result.get("stderr") or result.get("module_stderr") or "").strip()
    return ": ".join(filter(None, (task.get_name(), said, more))) if said or more else ""


def _named(result: CallbackTaskResult, text: str) -> str:
    """The text with its host before it, but where it names it itself or is about all of them."""
    host = str(result.host.get_name())
    return text if result.task.run_once or host == CONTROLLER or text.startswith(host) else f"{host}: {text}"
