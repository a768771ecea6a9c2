"""Tasks as tables: the XML keeps the schema's order, and what Windows rewrites compares equal."""

from __future__ import annotations

import re

import pytest
from ansible_collections.prosecours.backup.plugins.plugin_utils.agent.desired import task_values
from ansible_collections.prosecours.backup.plugins.plugin_utils.windows import task as windows_task
from unit.agent.hosts import request

WANTED = windows_task.render(task_values(request(), "22:37"))

# The same task as a server hands it back: other order, defaults gone, durations in another form, a URI added.
REWRITTEN = """<?xml version="1.0" encoding="UTF-16"?>\r
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo>
    <Author>Pro Secours</Author>
    <Description>Sauvegarde quotidienne Pro Secours (PS-2026-0042)</Description>
    <URI>\\ProSecours\\Sauvegarde</URI>
  </RegistrationInfo>
  <Principals><Principal id="Author"><RunLevel>HighestAvailable</RunLevel>
    <UserId>S-1-5-18</UserId></Principal></Principals>
  <Settings>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>0</StopIfGoingOnBatteries>
    <ExecutionTimeLimit>P3D</ExecutionTimeLimit>
    <IdleSettings><StopOnIdleEnd>false</StopOnIdleEnd></IdleSettings>
    <RestartOnFailure><Count>3</Count><Interval>PT600S</Interval></RestartOnFailure>
    <StartWhenAvailable>true</StartWhenAvailable>
  </Settings>
  <Triggers><CalendarTrigger><StartBoundary>2026-01-01T22:37:00.0000000</StartBoundary>
    <ScheduleByDay><DaysInterval>1</DaysInterval></ScheduleByDay></CalendarTrigger></Triggers>
  <Actions Context="Author"><Exec><Command>%SystemRoot%\\System32\\cmd.exe</Command>
    <Arguments>/d /e:on /v:off /c ""C:\\Program Files\\ProSecours\\backup.cmd""</Arguments>
    <WorkingDirectory>C:\\Program Files\\ProSecours</WorkingDirectory></Exec></Actions>
</Task>"""


def test_what_windows_rewrites_is_the_same_task() -> None:
    assert windows_task.differences(windows_task.parse(REWRITTEN), windows_task.parse(WANTED)) == {}


@pytest.mark.parametrize(
    ("found", "replacement", "name", "before", "after"),
    [
        ("<StartWhenAvailable>", "<Enabled>false</Enabled><StartWhenAvailable>", "enabled", "false", "true"),
        ("T22:37:00.0", "T03:00:00.0", "start", "2026-01-01T03:00:00", "2026-01-01T22:37:00"),
        ("P3D", "PT1H", "time limit", "3600 s", "259200 s"),
        ("S-1-5-18", "S-1-5-21-1-2-3-500", "account", "S-1-5-21-1-2-3-500", "S-1-5-18"),
        ("backup.cmd", "other.cmd", "arguments", None, None),
        ("</Exec>", "</Exec><Exec><Command>x</Command></Exec>", "actions", "Exec Exec", "Exec"),
        ("<Triggers>", "<Triggers><BootTrigger/>", "triggers",
         "BootTrigger CalendarTrigger", "CalendarTrigger"),
        ("<ScheduleByDay>", "<EndBoundary>2026-02-01T00:00:00</EndBoundary><ScheduleByDay>", "end",
         "2026-02-01T00:00:00", ""),
    ],
)  # fmt: skip
def test_an_edited_property_is_named_with_both_values(
    found: str, replacement: str, name: str, before: str | None, after: str | None
) -> None:
    edited = windows_task.parse(REWRITTEN.replace(found, replacement, 1))
    difference = windows_task.differences(edited, windows_task.parse(WANTED))
    assert list(difference) == [name]
    if before is not None:
        assert difference[name] == (before, after)


def test_the_order_is_the_schemas() -> None:
    trigger = re.findall(
        r"<(\w+)>", WANTED[WANTED.index("<CalendarTrigger>") : WANTED.index("</CalendarTrigger>")]
    )
    assert trigger == ["CalendarTrigger", "Enabled", "StartBoundary", "ScheduleByDay", "DaysInterval"]
    assert WANTED.startswith('<?xml version="1.0" encoding="UTF-16"?>')
    assert re.search(r"<StartBoundary>2026-01-01T22:37:00</StartBoundary>", WANTED), "local time, no zone"


def test_what_somebody_waits_for_has_the_priority_of_ordinary_work() -> None:
    """Task Scheduler's default, 7, also lowers the priority of memory and disk: a restore would crawl."""
    xml = windows_task.on_demand("Restauration", '/d /c "x.cmd"', "C:\\x")
    assert re.findall(r"<Priority>(\d+)</Priority>", xml) == ["5"]
    assert windows_task.parse(WANTED)["priority"] == "7", "the night stays in the background"


def test_an_unknown_property_and_a_broken_xml_are_refused() -> None:
    with pytest.raises(KeyError, match="colour"):
        windows_task.render({"colour": "blue"})
    with pytest.raises(ValueError, match="cannot be read"):
        windows_task.parse("<Task><Settings>")
