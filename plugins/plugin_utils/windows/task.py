"""A task of the Windows Task Scheduler: a table of properties, which travels as XML (MS-TSCH 2.5).

The scheduler rewrites the XML that it is given: it reorders elements and leaves out what equals a default. So
tasks are compared property by property, and one that someone edited can be named with its earlier value.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from typing import NamedTuple

CMD = "%SystemRoot%\\System32\\cmd.exe"
_NAMESPACE = "http://schemas.microsoft.com/windows/2004/02/mit/task"


def _text(value: str) -> str:
    return value.strip()


def _boolean(value: str) -> str:
    return {"1": "true", "0": "false"}.get(value.strip(), value.strip().lower())


def _duration(value: str) -> str:
    """An xs:duration in days, hours, minutes and seconds, as seconds: PT24H and P1D are the same."""
    found = re.fullmatch(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?", value.strip())
    if not found:
        return value.strip()
    days, hours, minutes, seconds = (int(number or 0) for number in found.groups())
    return f"{days * 86400 + hours * 3600 + minutes * 60 + seconds} s"


def _moment(value: str) -> str:
    return re.sub(r"\.0+$", "", value.strip())


class Property(NamedTuple):
    """One property: `path` in the XML below Task (a last part with @ is an attribute), the schema's default,
    how to bring its value to one form. Without a value of its own it keeps the default and is not written."""

    name: str
    path: str
    default: str = ""
    normal: Callable[[str], str] = _text


_TRIGGER = "Triggers/CalendarTrigger"
# In the schema's order where it has one (triggers: base elements, RandomDelay, then the schedule).
PROPERTIES = (
    Property("author", "RegistrationInfo/Author"),
    Property("description", "RegistrationInfo/Description"),
    Property("trigger enabled", f"{_TRIGGER}/Enabled", "true", _boolean),
    Property("start", f"{_TRIGGER}/StartBoundary", "", _moment),
    Property("end", f"{_TRIGGER}/EndBoundary", "", _moment),
    Property("repetition", f"{_TRIGGER}/Repetition/Interval", "", _duration),
    Property("trigger time limit", f"{_TRIGGER}/ExecutionTimeLimit", "", _duration),
    Property("random delay", f"{_TRIGGER}/RandomDelay", "PT0S", _duration),
    Property("every n days", f"{_TRIGGER}/ScheduleByDay/DaysInterval"),
    Property("principal", "Principals/Principal/@id"),
    Property("account", "Principals/Principal/UserId"),
    Property("run level", "Principals/Principal/RunLevel", "LeastPrivilege"),
    Property("overlap", "Settings/MultipleInstancesPolicy", "IgnoreNew"),
    Property("not on batteries", "Settings/DisallowStartIfOnBatteries", "true", _boolean),
    Property("stop on batteries", "Settings/StopIfGoingOnBatteries", "true", _boolean),
    Property("may be killed", "Settings/AllowHardTerminate", "true", _boolean),
    Property("catch up a missed start", "Settings/StartWhenAvailable", "false", _boolean),
    Property("only with network", "Settings/RunOnlyIfNetworkAvailable", "false", _boolean),
    Property("stop when no longer idle", "Settings/IdleSettings/StopOnIdleEnd", "true", _boolean),
    Property("restart when idle", "Settings/IdleSettings/RestartOnIdle", "false", _boolean),
    Property("may be started by hand", "Settings/AllowStartOnDemand", "true", _boolean),
    Property("enabled", "Settings/Enabled", "true", _boolean),
    Property("hidden", "Settings/Hidden", "false", _boolean),
    Property("only when idle", "Settings/RunOnlyIfIdle", "false", _boolean),
    Property("wake the computer", "Settings/WakeToRun", "false", _boolean),
    Property("time limit", "Settings/ExecutionTimeLimit", "P3D", _duration),
    Property("priority", "Settings/Priority", "7"),
    Property("retry a start after", "Settings/RestartOnFailure/Interval", "", _duration),
    Property("start retries", "Settings/RestartOnFailure/Count"),
    Property("deleted after", "Settings/DeleteExpiredTaskAfter", "", _duration),
    Property("action as", "Actions/@Context"),
    Property("command", "Actions/Exec/Command"),
    Property("arguments", "Actions/Exec/Arguments"),
    Property("folder", "Actions/Exec/WorkingDirectory"),
)
# Further triggers or actions beside the one that is compared in full are seen by these.
_CHILDREN = {"triggers": "Triggers", "actions": "Actions"}


def render(values: Mapping[str, str]) -> str:
    """The XML of a task with these values, in the order of the table; write it as UTF-16 with BOM."""
    unknown = values.keys() - {known.name for known in PROPERTIES}
    if unknown:
        raise KeyError(f"no such property: {', '.join(sorted(unknown))}")
    task = ET.Element("Task", {"version": "1.2", "xmlns": _NAMESPACE})
    for known in PROPERTIES:
        if known.name in values:
            *parents, last = known.path.split("/")
            node = task
            for part in parents:
                found = node.find(part)
                node = ET.SubElement(node, part) if found is None else found
            if last.startswith("@"):
                node.set(last[1:], values[known.name])
            else:
                ET.SubElement(node, last).text = values[known.name]
    ET.indent(task)
    return '<?xml version="1.0" encoding="UTF-16"?>\n' + ET.tostring(task, encoding="unicode") + "\n"


def on_demand(description: str, arguments: str, folder: str) -> str:
    """The XML of a task that cmd.exe carries out in `folder` with these arguments: as SYSTEM, when it is told
    to, never twice at once, for a week at most."""
    return render(
        {
            "author": "Pro Secours",
            "description": description,
            "principal": "Author",
            "account": "S-1-5-18",
            "run level": "HighestAvailable",
            "overlap": "IgnoreNew",
            "not on batteries": "false",
            "stop on batteries": "false",
            "stop when no longer idle": "false",
            "restart when idle": "false",
            "may be started by hand": "true",
            "enabled": "true",
            "time limit": "P7D",
            "priority": "5",  # normal: 7, the default, is that of work in the background
            "action as": "Author",
            "command": CMD,
            "arguments": arguments,
            "folder": folder,
        }
    )


def encoded(xml: str) -> bytes:
    """As schtasks takes it: UTF-16 with its mark, lines as Windows ends them."""
    return ("\ufeff" + xml.replace("\n", "\r\n")).encode("utf-16-le")


def parse(xml: str) -> dict[str, str]:
    """Every property of the table in its normal form, defaults filled in. ValueError when it is no task."""
    try:
        # The text has been decoded already; a declaration of its encoding would be refused.
        task = ET.fromstring(re.sub(r"^\s*<\?xml[^>]*\?>", "", xml.lstrip("\ufeff")))  # noqa: S314 -- from the host
    except ET.ParseError as error:
        raise ValueError(f"the task's XML cannot be read: {error}") from error
    for node in task.iter():
        node.tag = node.tag.rpartition("}")[2]
    values = {known.name: known.normal(_value(task, known)) for known in PROPERTIES}
    for name, path in _CHILDREN.items():
        values[name] = " ".join(child.tag for child in task.iterfind(f"{path}/*"))
    return values


def _value(task: ET.Element, known: Property) -> str:
    parent, _unused, last = known.path.rpartition("/")
    if last.startswith("@"):
        node = task.find(parent)
        return (node.get(last[1:]) if node is not None else None) or known.default
    return task.findtext(known.path) or known.default


def differences(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Property name -> (value before, value after), for what differs between two parsed tasks."""
    return {name: (before[name], after[name]) for name in after if before[name] != after[name]}
