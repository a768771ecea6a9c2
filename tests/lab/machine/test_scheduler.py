"""The task scheduler without Wine: what Windows refuses of a task, when tasks start and with what end."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from windows_lab.errors import LabError
from windows_lab.machine.call import NotModelled
from windows_lab.machine.protocol import NotStarted
from windows_lab.machine.scheduler import NEVER_RUN, Refused, Scheduler
from windows_lab.machine.task_xml import NAMESPACE, BadTask, delay, load, normal, read, starts

TRIGGER = (
    "<StartBoundary>2026-01-01T22:00:00</StartBoundary><Enabled>true</Enabled>"
    "<RandomDelay>PT30M</RandomDelay><ScheduleByDay><DaysInterval>1</DaysInterval></ScheduleByDay>"
)
UNDELAYED = TRIGGER.replace("<RandomDelay>PT30M</RandomDelay>", "")
SETTINGS = (
    "<MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy><StartWhenAvailable>true</StartWhenAvailable>"
    "<RestartOnFailure><Interval>PT15M</Interval><Count>3</Count></RestartOnFailure>"
    "<ExecutionTimeLimit>PT10H</ExecutionTimeLimit><Priority>7</Priority>"
)


def task(trigger: str = TRIGGER, settings: str = SETTINGS, user: str = "S-1-5-18", extra: str = "") -> str:
    return (
        f'<?xml version="1.0" encoding="UTF-16"?><Task version="1.2" xmlns="{NAMESPACE}">{extra}'
        f"<Triggers><CalendarTrigger>{trigger}</CalendarTrigger></Triggers>"
        f'<Principals><Principal id="Author"><UserId>{user}</UserId></Principal></Principals>'
        f'<Settings>{settings}</Settings><Actions Context="Author">'
        "<Exec><Command>C:\\x.cmd</Command><Arguments>/a</Arguments></Exec></Actions></Task>"
    )


def utf16(xml: str) -> bytes:
    return b"\xff\xfe" + xml.encode("utf-16-le")


class Instance:
    """A process that ends at once, or when told."""

    def __init__(self, code: int | None) -> None:
        self.code = code
        self.terminated = False

    def send(self, data: bytes, end: bool) -> None:
        assert (data, end) == (b"", True)

    def receive(self, timeout: float) -> tuple[list[tuple[str, bytes]], int | None]:
        return [], 1 if self.terminated else self.code

    def terminate(self) -> None:
        raise AssertionError("the scheduler ends the first process only")

    def terminate_first(self) -> None:
        self.terminated = True


class Starts:
    """Notes what the scheduler starts; `codes` are the exit codes, None: cannot be started."""

    def __init__(self) -> None:
        self.seen: list[tuple[datetime, str, str, str]] = []
        self.codes: list[int | None] = []
        self.scheduler: Scheduler | None = None

    def __call__(self, command: str, arguments: str, folder: str) -> Instance:
        assert self.scheduler
        self.seen.append((self.scheduler.now(), command, arguments, folder))
        code = self.codes.pop(0) if self.codes else 0
        if code is None:
            raise NotStarted(2, command)
        return Instance(code)


@pytest.fixture
def starting() -> Starts:
    return Starts()


@pytest.fixture
def scheduler(tmp_path: Path, starting: Starts) -> Scheduler:
    made = starting.scheduler = Scheduler(tmp_path / "tasks.json", starting)
    # Noon, so that no start lies close to either end of what a test advances.
    made.advance((made.now() + timedelta(days=1)).replace(hour=12, minute=0))
    return made


@pytest.mark.parametrize(
    "data",
    [
        task().encode("utf-8"),
        task().encode("utf-16-le"),
        utf16(task().replace("UTF-16", "UTF-8")),
        utf16(task().replace("</Task>", "")),
        utf16(task(trigger=UNDELAYED + "<RandomDelay>PT30M</RandomDelay>")),
        utf16(task(trigger="<RandomDelay>PT30M</RandomDelay>" + UNDELAYED)),
        utf16(task(trigger=TRIGGER.replace("22:00:00", "22h00"))),
        utf16(task(trigger=TRIGGER.replace("<DaysInterval>1", "<DaysInterval>0"))),
        utf16(task(trigger="<ScheduleByDay><DaysInterval>1</DaysInterval></ScheduleByDay>")),
        utf16(task(settings=SETTINGS.replace("PT15M", "PT30S"))),
        utf16(task(settings=SETTINGS.replace("<Count>3", "<Count>0"))),
        utf16(task(settings=SETTINGS.replace("PT10H", "10h"))),
        utf16(task(settings=SETTINGS + "<Retries>3</Retries>")),
        utf16(task(settings=SETTINGS + "<Priority>7</Priority>")),
        utf16(task(settings=SETTINGS.replace("IgnoreNew", "Ignore"))),
        utf16(task(user="SYSTEM")),
        utf16(task(user="S-1-5-21-1-2-3-1001")),
        utf16(task().replace(NAMESPACE, "urn:other")),
        utf16(task().replace('Context="Author"', 'Context="Other"')),
        utf16(task().replace("<Command>C:\\x.cmd</Command>", "")),
    ],
)
def test_windows_refuses(data: bytes) -> None:
    with pytest.raises(BadTask):
        read(data)


@pytest.mark.parametrize(
    "xml",
    [
        task(trigger=TRIGGER.replace("ScheduleByDay", "ScheduleByWeek")),
        task(settings=SETTINGS + "<NetworkProfileName>x</NetworkProfileName>"),
    ],
)
def test_what_the_lab_does_not_model_is_said(xml: str) -> None:
    with pytest.raises(NotModelled):
        read(utf16(xml))


def test_written_again_as_windows_does() -> None:
    text = normal(
        read(utf16(task(settings=SETTINGS + "<Hidden>0</Hidden><WakeToRun>1</WakeToRun>"))), "\\A\\B"
    )
    root = load(text)
    assert [child.tag for child in root] == [
        "RegistrationInfo",
        "Principals",
        "Settings",
        "Triggers",
        "Actions",
    ]
    assert root.findtext("RegistrationInfo/URI") == "\\A\\B"
    assert root.findtext("Settings/WakeToRun") == "true"
    assert root.findtext("Settings/DisallowStartIfOnBatteries") == "true"
    assert root.findtext("Settings/IdleSettings/RestartOnIdle") == "false"
    for default in ("Settings/Hidden", "Settings/Priority", "Triggers/CalendarTrigger/Enabled"):
        assert root.find(default) is None
    assert normal(root, "\\A\\B") == text


def test_same_local_hour_across_clock_changes() -> None:
    stream = starts(read(utf16(task())), datetime(2026, 3, 27, 22, tzinfo=UTC))
    assert [next(stream).isoformat() for _ in range(2)] == [
        "2026-03-28T21:00:00+00:00",
        "2026-03-29T20:00:00+00:00",
    ]


def test_delay_stays_within_its_bound() -> None:
    root = read(utf16(task()))
    first = datetime(2026, 5, 1, 20, tzinfo=UTC)
    delays = [delay(root, "x", first + timedelta(days=day)) for day in range(20)]
    assert all(timedelta() <= value <= timedelta(minutes=30) for value in delays)
    assert len(set(delays)) > 10
    assert delays == [delay(root, "x", first + timedelta(days=day)) for day in range(20)]


def test_due_tasks_run_once_a_day(scheduler: Scheduler, starting: Starts) -> None:
    name = scheduler.create("ProSecours\\Sauvegarde", read(utf16(task())))
    assert scheduler.status()[0]["last_result"] == NEVER_RUN
    starting.codes = [0, 3]
    begin = scheduler.now()
    scheduler.advance(begin + timedelta(days=2))
    assert [entry[1:] for entry in starting.seen] == [("C:\\x.cmd", "/a", "")] * 2
    for moment, *_ in starting.seen:
        assert (
            timedelta() <= moment - moment.replace(minute=0, second=0, microsecond=0) <= timedelta(minutes=31)
        )
    state = scheduler.status()[0]
    assert (state["task"], state["last_result"], state["running"], state["missed"]) == (name, 3, False, 0)
    assert datetime.fromisoformat(state["next_run"]) > begin + timedelta(days=2)


def test_exit_codes_are_not_retried_but_failed_starts_are(scheduler: Scheduler, starting: Starts) -> None:
    scheduler.create("a", read(utf16(task())))
    starting.codes = [1]
    scheduler.advance(scheduler.now() + timedelta(hours=24))
    assert len(starting.seen) == 1
    starting.codes = [None, None, 0]
    scheduler.advance(scheduler.now() + timedelta(hours=24))
    moments = [entry[0] for entry in starting.seen[1:]]
    assert len(moments) == 3
    assert all(
        timedelta(minutes=14) < after - before < timedelta(minutes=16)
        for before, after in itertools.pairwise(moments)
    )
    assert scheduler.status()[0]["last_result"] == 0


def test_failed_start_keeps_its_error(scheduler: Scheduler, starting: Starts) -> None:
    name = scheduler.create("a", read(utf16(task())))
    starting.codes = [None]
    scheduler.run(name)
    assert scheduler.status()[0]["last_result"] == 0x80070002


def test_missed_starts_are_caught_up_once(scheduler: Scheduler, starting: Starts) -> None:
    scheduler.create("a", read(utf16(task())))
    scheduler.create(
        "b",
        read(utf16(task(settings=SETTINGS.replace("<StartWhenAvailable>true", "<StartWhenAvailable>false")))),
    )
    scheduler.sleep(scheduler.now() + timedelta(days=3))
    assert len(starting.seen) == 1
    assert [state["missed"] for state in scheduler.status()] == [3, 3]
    assert scheduler.status()[1]["last_run"] is None


def test_disabled_tasks_do_not_start(scheduler: Scheduler, starting: Starts) -> None:
    name = scheduler.create("a", read(utf16(task())))
    scheduler.enable(name, False)
    scheduler.advance(scheduler.now() + timedelta(days=2))
    assert not starting.seen
    assert scheduler.status()[0]["next_run"] is None
    with pytest.raises(Refused):
        scheduler.run(name)
    scheduler.enable(name, True)
    scheduler.advance(scheduler.now() + timedelta(days=1))
    assert len(starting.seen) == 1


def test_no_second_instance(scheduler: Scheduler, starting: Starts, monkeypatch: pytest.MonkeyPatch) -> None:
    long = Instance(None)
    name = scheduler.create("a", read(utf16(task())))
    monkeypatch.setattr(scheduler, "_start", lambda *values: starting(*values) and long)
    scheduler.run(name)
    scheduler.run(name)
    assert len(starting.seen) == 1
    assert scheduler.running() == [name]
    assert scheduler.end(name)
    assert long.terminated
    assert not scheduler.running()


def test_time_limit_ends_a_task(scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch) -> None:
    long = Instance(None)
    name = scheduler.create("a", read(utf16(task(settings=SETTINGS.replace("PT10H", "PT1S")))))
    monkeypatch.setattr(scheduler, "_start", lambda *_: long)
    scheduler.run(name)
    scheduler.wait()
    assert long.terminated
    assert scheduler.status()[0]["last_result"] == 0x41306


def test_state_outlives_the_lab(tmp_path: Path, starting: Starts) -> None:
    first = starting.scheduler = Scheduler(tmp_path / "t.json", starting)
    # From a noon on: at 22:00 a start of today may still be within its random delay.
    first.advance((first.now() + timedelta(days=1)).replace(hour=11, minute=0))
    first.create("a", read(utf16(task())))
    first.advance(first.now() + timedelta(days=40))
    second = Scheduler(tmp_path / "t.json", starting)
    assert second.status() == first.status()
    assert abs(second.now() - first.now()) < timedelta(seconds=5)
    assert len(starting.seen) == 40


def test_the_clock_does_not_go_back(scheduler: Scheduler) -> None:
    with pytest.raises(LabError, match="cannot go back"):
        scheduler.advance(scheduler.now() - timedelta(hours=1))
