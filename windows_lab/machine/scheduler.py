"""The task scheduler of a lab host: registered tasks, a clock that tests advance, and due tasks that
really run.

The clock starts at real time and goes on with it. Tasks that come due are run by `advance` only, one after
another, each to its end, at the lab time at which they are due (their processes see the real time).
RestartOnFailure acts when an action cannot be started, not on exit codes (MS-TSCH 2.5.4.2). A time limit and
an order to end strike the first process of a task only: what it started lives on (ib-controller#130)."""

from __future__ import annotations

import json
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from windows_lab.errors import LabError
from windows_lab.machine import task_xml
from windows_lab.machine.protocol import NotStarted, TaskProcess

StartProcess = Callable[[str, str, str], TaskProcess]  # command, arguments, folder; raises NotStarted

NEVER_RUN = 0x41303  # SCHED_S_TASK_HAS_NOT_RUN
RUNNING = 0x41301  # SCHED_S_TASK_RUNNING
TERMINATED = 0x41306  # SCHED_S_TASK_TERMINATED
NOT_STARTED = 0x80070000  # HRESULT_FROM_WIN32: and Windows' error
LONGEST_RUN = 1800.0
"""Real seconds that `advance` waits for one task."""


@dataclass
class Task:
    """One registered task. Times are UTC in ISO 8601."""

    xml: str  # as task_xml.normal writes it
    since: str  # starts up to this moment are dealt with
    last_run: str | None = None
    last_result: int = NEVER_RUN
    missed: int = 0
    retry_at: str | None = None
    retries: int = 0
    pending: str | None = None  # a missed start that waits to be caught up

    @property
    def root(self) -> ET.Element:
        """The XML as a tree."""
        return task_xml.load(self.xml)

    @property
    def enabled(self) -> bool:
        """Whether the task may run at all."""
        return task_xml.setting(self.root, "Enabled") == "true"


class Refused(Exception):
    """What the scheduler answers instead of doing as told: a French sentence."""


class Scheduler:
    """All tasks of a host; safe to use from many threads."""

    def __init__(self, state: Path, start: StartProcess) -> None:
        self._state = state
        self._start = start
        self._lock = threading.RLock()
        self._running: dict[str, tuple[TaskProcess, threading.Thread]] = {}
        self._offset = timedelta()
        self.tasks: dict[str, Task] = {}  # full names, as registered
        if state.exists():
            kept = json.loads(state.read_text(encoding="utf-8"))
            self._offset = timedelta(seconds=kept["offset"])
            self.tasks = {name: Task(**task) for name, task in kept["tasks"].items()}

    # -- clock ------------------------------------------------------------------------------------------

    def now(self) -> datetime:
        """The lab time of the host, UTC."""
        return datetime.now(UTC) + self._offset

    def advance(self, to: datetime) -> None:
        """Moves the clock on to `to`; every task that comes due until then runs to its end. Raises
        LabError when `to` is in the past or a task does not end."""
        if to < self.now() - timedelta(seconds=1):
            raise LabError(
                f"The clock stands at {self.now():%Y-%m-%d %H:%M:%S} UTC"
                f" and cannot go back to {to:%Y-%m-%d %H:%M:%S}."
            )
        while due := self._next(to):
            moment, name = due
            self._set(moment)
            self._due(name, moment)
            self.wait()
        self._set(to)
        self.wait()

    def sleep(self, to: datetime) -> None:
        """Moves the clock on while the host is switched off: what comes due is missed. Tasks with
        StartWhenAvailable are caught up, once each, when the host is on again (Windows waits ten minutes;
        the lab does not)."""
        while due := self._next(to):
            moment, name = due
            with self._lock:
                task = self.tasks[name]
                task.since = moment.isoformat()
                task.retry_at = None
                task.missed += 1
                task.pending = moment.isoformat()
        self._set(to)
        for name, task in list(self.tasks.items()):
            if task.pending:
                task.pending = None
                if task.enabled and task_xml.setting(task.root, "StartWhenAvailable") == "true":
                    self._begin(name)
        self.wait()

    def wait(self) -> None:
        """Until no task runs. Raises LabError after LONGEST_RUN seconds."""
        deadline = time.monotonic() + LONGEST_RUN
        while running := self.running():
            with self._lock:
                threads = [thread for _, thread in self._running.values()]
            for thread in threads:
                thread.join(max(0.1, deadline - time.monotonic()))
            if time.monotonic() > deadline:
                raise LabError(f"The task {running[0]} did not end within {LONGEST_RUN / 60:.0f} minutes.")

    # -- tasks ------------------------------------------------------------------------------------------

    def find(self, name: str) -> str | None:
        """The registered name, found without regard to case."""
        full = "\\" + name.strip("\\")
        return next((known for known in self.tasks if known.casefold() == full.casefold()), None)

    def create(self, name: str, root: ET.Element) -> str:
        """Registers a checked task under `name`, in place of one of the same name. Gives the full name."""
        full = self.find(name) or "\\" + name.strip("\\")
        with self._lock:
            self.tasks[full] = Task(task_xml.normal(root, full), self.now().isoformat())
            self._save()
        return full

    def delete(self, name: str) -> None:
        """Forgets a task; a running instance goes on."""
        with self._lock:
            del self.tasks[name]
            self._save()

    def enable(self, name: str, enabled: bool) -> None:
        """Switches a task on or off. What would have started meanwhile is not made up for."""
        with self._lock:
            task = self.tasks[name]
            root = task.root
            settings = root.find("Settings")
            if settings is None:
                settings = ET.SubElement(root, "Settings")
            for old in settings.findall("Enabled"):
                settings.remove(old)
            ET.SubElement(settings, "Enabled").text = str(enabled).lower()
            task.xml = task_xml.normal(root, name)
            task.since = self.now().isoformat()
            task.pending = task.retry_at = None
            self._save()

    def run(self, name: str) -> None:
        """Starts a task now, without waiting for its end. Raises Refused."""
        task = self.tasks[name]
        if not task.enabled or task_xml.setting(task.root, "AllowStartOnDemand") != "true":
            raise Refused("La tâche est désactivée.")
        self._begin(name)

    def end(self, name: str) -> bool:
        """Ends a running instance; False when there is none."""
        with self._lock:
            running = self._running.get(name)
            if running:
                self.tasks[name].last_result = TERMINATED
        if running:
            running[0].terminate_first()
            running[1].join(30)
        return bool(running)

    def running(self) -> list[str]:
        """Names of the tasks that run."""
        with self._lock:
            return list(self._running)

    def status(self) -> list[dict[str, Any]]:
        """In plain JSON: task, enabled, last_run and next_run (UTC or None), last_result, running, missed."""
        with self._lock:
            return [
                {
                    "task": name,
                    "enabled": task.enabled,
                    "last_run": task.last_run,
                    "last_result": task.last_result,
                    "next_run": self._iso(self.next_run(name)),
                    "running": name in self._running,
                    "missed": task.missed,
                }
                for name, task in sorted(self.tasks.items())
            ]

    def next_run(self, name: str) -> datetime | None:
        """When the triggers fire next, without RandomDelay; None for a task that is switched off."""
        task = self.tasks[name]
        after = max(self.now(), datetime.fromisoformat(task.since))
        return next(task_xml.starts(task.root, after), None) if task.enabled else None

    # -- inside -----------------------------------------------------------------------------------------

    @staticmethod
    def _iso(moment: datetime | None) -> str | None:
        return moment.isoformat(timespec="seconds") if moment else None

    def _next(self, to: datetime) -> tuple[datetime, str] | None:
        """The first start until `to`, of all tasks: when (random delay included), and which."""
        found = []
        with self._lock:
            for name, task in self.tasks.items():
                if not task.enabled:
                    continue
                if task.retry_at:
                    found.append((datetime.fromisoformat(task.retry_at), name))
                since = datetime.fromisoformat(task.since)
                # A start is delayed by RandomDelay at most, so look back as far.
                root = task.root
                back = task_xml.duration(root.findtext("Triggers/*/RandomDelay") or "PT0S") or timedelta()
                for start in task_xml.starts(root, since - back):
                    if start > to:
                        break
                    moment = start + task_xml.delay(root, name, start)
                    if moment > since:
                        found.append((moment, name))
        due = min(found, default=None)
        return due if due and due[0] <= to else None

    def _due(self, name: str, moment: datetime) -> None:
        with self._lock:
            task = self.tasks[name]
            if task.retry_at and datetime.fromisoformat(task.retry_at) <= moment:
                task.retry_at = None
            else:
                task.since = moment.isoformat()
                task.retries = 0
        self._begin(name)

    def _begin(self, name: str) -> None:
        """Starts an instance, unless one runs: only IgnoreNew is modelled."""
        with self._lock:
            if name in self._running:
                return
            task = self.tasks[name]
            root = task.root
            policy = root.findtext("Settings/MultipleInstancesPolicy")
            if policy != "IgnoreNew":
                raise LabError(f"The lab does not model MultipleInstancesPolicy {policy} (task {name}).")
            action = root.find("Actions/Exec")
            if action is None:
                raise LabError(f"The task {name} has no program to run.")
            task.last_run = self._iso(self.now())
            values = [action.findtext(part) or "" for part in ("Command", "Arguments", "WorkingDirectory")]
            try:
                process = self._start(*values)
            except NotStarted as error:
                task.last_result = NOT_STARTED | error.number
                self._plan_retry(task, root)
                self._save()
                return
            task.last_result = RUNNING
            task.retries = 0
            limit = task_xml.duration(task_xml.setting(root, "ExecutionTimeLimit")) or timedelta()
            thread = threading.Thread(
                target=self._follow, args=(name, process, limit.total_seconds()), daemon=True
            )
            self._running[name] = (process, thread)
            self._save()
        thread.start()

    def _plan_retry(self, task: Task, root: ET.Element) -> None:
        count = int(root.findtext("Settings/RestartOnFailure/Count") or 0)
        interval = task_xml.duration(root.findtext("Settings/RestartOnFailure/Interval") or "")
        if interval and task.retries < count:
            task.retries += 1
            task.retry_at = (self.now() + interval).isoformat()

    def _follow(self, name: str, process: TaskProcess, limit: float) -> None:
        """Drains a task's output, as Windows does, and notes how it ended. `limit`: real seconds, 0: none."""
        begun = time.monotonic()
        code: int | None = None
        stopped = False
        try:
            process.send(b"", True)
            while code is None:
                _, code = process.receive(1.0)
                if limit and not stopped and time.monotonic() - begun > limit:
                    process.terminate_first()
                    stopped = True
        finally:
            with self._lock:
                self._running.pop(name, None)
                task = self.tasks.get(name)
                if task:
                    if task.last_result == RUNNING:
                        task.last_result = TERMINATED if stopped or code is None else code
                    self._save()

    def _set(self, to: datetime) -> None:
        with self._lock:
            self._offset += max(timedelta(), to - self.now())
            self._save()

    def _save(self) -> None:
        values = {
            "offset": self._offset.total_seconds(),
            "tasks": {name: asdict(task) for name, task in self.tasks.items()},
        }
        self._state.parent.mkdir(parents=True, exist_ok=True)
        new = self._state.with_suffix(".new")
        new.write_text(json.dumps(values, ensure_ascii=False, indent=1), encoding="utf-8")
        new.replace(self._state)
