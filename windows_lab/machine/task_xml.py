"""The XML of a scheduled task: what Windows refuses, what it makes of the rest, when triggers fire
(MS-TSCH 2.5).

Values are checked against the schema; children of triggers stand in one of the two orders that Windows
documents and writes itself. What the schema allows and the lab does not model raises NotModelled."""

from __future__ import annotations

import random
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from windows_lab.machine.call import NotModelled

NAMESPACE = "http://schemas.microsoft.com/windows/2004/02/mit/task"
LOCAL = ZoneInfo("Europe/Paris")
"""Where every lab host stands: boundaries without a zone are local time."""
KNOWN_ACCOUNTS = {"S-1-5-18", "S-1-5-19", "S-1-5-20"}

_WRONG_VALUE = "le code XML de la tâche contient une valeur au format incorrect ou hors limites."
_WRONG_NODE = "le code XML de la tâche contient un nœud inattendu."
_MISSING = "il manque un élément ou attribut requis dans le code XML de la tâche."
_MALFORMED = "le code XML de la tâche est incorrect."
_NO_ACCOUNT = "Le mappage entre les noms de compte et les ID de sécurité n’a pas été effectué."


class BadTask(ValueError):
    """What Windows refuses, as a French sentence and the element and value it points to."""

    def __init__(self, reason: str, element: str = "", value: str = "") -> None:
        self.element, self.value = element, value
        super().__init__(f"{reason}\n(1,1):{element}:{value}" if element else reason)


Check = Callable[[str], bool]


@dataclass(frozen=True)
class Leaf:
    """An element with a value. `default` is what Windows leaves out when it writes the task again."""

    check: Check
    default: str | None = None


def duration(text: str) -> timedelta | None:
    """An xs:duration, or None. Years and months have no fixed length: NotModelled."""
    match = re.fullmatch(
        r"P(?=[\dT])(\d+Y)?(\d+M)?(?:(\d+)D)?(?:T(?=\d)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:\.\d+)?S)?)?", text
    )
    if not match:
        return None
    if match[1] or match[2]:
        raise NotModelled(f"the duration {text}")
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups()[2:])
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


def _boolean(text: str) -> bool:
    return text in ("true", "false", "1", "0")


def _between(low: str, high: str = "P999D") -> Check:
    def check(text: str) -> bool:
        value, least, most = duration(text), duration(low), duration(high)
        return value is not None and least is not None and most is not None and least <= value <= most

    return check


def _number(low: int, high: int) -> Check:
    return lambda text: bool(re.fullmatch(r"\d{1,5}", text)) and low <= int(text) <= high


def _one_of(*values: str) -> Check:
    return lambda text: text in values


def _text(text: str) -> bool:
    return bool(text.strip())


def _moment(text: str) -> bool:
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?", text):
        return False
    try:
        datetime.fromisoformat(re.sub(r"\.\d+", "", text))
    except ValueError:
        return False
    return True


_DURATION = _between("PT0S")
_TRUE, _FALSE = Leaf(_boolean, "true"), Leaf(_boolean, "false")

# Element -> its children. A string names the children's own table; None: allowed by Windows, not by the lab.
Table = dict[str, Leaf | str | None]
_BASE: Table = {
    "Repetition": "Repetition", "StartBoundary": Leaf(_moment), "EndBoundary": Leaf(_moment),
    "ExecutionTimeLimit": Leaf(_DURATION), "Enabled": _TRUE,
}  # fmt: skip
TABLES: dict[str, Table] = {
    "Task": {
        "RegistrationInfo": "RegistrationInfo", "Principals": "Principals", "Settings": "Settings",
        "Triggers": "Triggers", "Actions": "Actions", "Data": None,
    },
    "RegistrationInfo": {
        "URI": Leaf(_text), "SecurityDescriptor": None, "Source": Leaf(_text),
        "Date": Leaf(_moment),
        "Author": Leaf(_text), "Version": Leaf(_text), "Description": Leaf(_text),
        "Documentation": Leaf(_text),
    },
    "Principals": {"Principal": "Principal"},
    "Principal": {
        "UserId": Leaf(_text),
        "LogonType": Leaf(_one_of("S4U", "Password", "InteractiveToken", "ServiceAccount")),
        "GroupId": None, "DisplayName": None, "ProcessTokenSidType": None, "RequiredPrivileges": None,
        "RunLevel": Leaf(_one_of("LeastPrivilege", "HighestAvailable"), "LeastPrivilege"),
    },
    "Settings": {
        "MultipleInstancesPolicy": Leaf(_one_of("Parallel", "Queue", "IgnoreNew", "StopExisting")),
        "DisallowStartIfOnBatteries": Leaf(_boolean), "StopIfGoingOnBatteries": Leaf(_boolean),
        "AllowHardTerminate": _TRUE, "StartWhenAvailable": _FALSE, "RunOnlyIfNetworkAvailable": _FALSE,
        "IdleSettings": "IdleSettings", "AllowStartOnDemand": _TRUE, "Enabled": _TRUE, "Hidden": _FALSE,
        "RunOnlyIfIdle": _FALSE, "WakeToRun": _FALSE, "ExecutionTimeLimit": Leaf(_DURATION, "PT72H"),
        "Priority": Leaf(_number(0, 10), "7"), "RestartOnFailure": "RestartOnFailure",
        "DeleteExpiredTaskAfter": None, "NetworkSettings": None, "NetworkProfileName": None,
        "DisallowStartOnRemoteAppSession": _FALSE, "UseUnifiedSchedulingEngine": Leaf(_boolean),
        "MaintenanceSettings": None, "Volatile": None,
    },
    "IdleSettings": {
        "Duration": Leaf(_DURATION), "WaitTimeout": Leaf(_DURATION), "StopOnIdleEnd": Leaf(_boolean),
        "RestartOnIdle": Leaf(_boolean),
    },
    "RestartOnFailure": {"Interval": Leaf(_between("PT1M", "P31D")), "Count": Leaf(_number(1, 255))},
    "Triggers": {
        "CalendarTrigger": "CalendarTrigger", "TimeTrigger": "TimeTrigger", "BootTrigger": None,
        "IdleTrigger": None, "EventTrigger": None, "LogonTrigger": None, "RegistrationTrigger": None,
        "SessionStateChangeTrigger": None,
    },
    "CalendarTrigger": {
        **_BASE, "RandomDelay": Leaf(_DURATION, "PT0S"), "ScheduleByDay": "ScheduleByDay",
        "ScheduleByWeek": None,
        "ScheduleByMonth": None, "ScheduleByMonthDayOfWeek": None,
    },
    "TimeTrigger": {**_BASE, "RandomDelay": Leaf(_DURATION, "PT0S")},
    "Repetition": {
        "Interval": Leaf(_between("PT1M", "P31D")), "Duration": Leaf(_between("PT1M")),
        "StopAtDurationEnd": _FALSE,
    },
    "ScheduleByDay": {"DaysInterval": Leaf(_number(1, 365))},
    "Actions": {"Exec": "Exec", "ComHandler": None, "SendEmail": None, "ShowMessage": None},
    "Exec": {"Command": Leaf(_text), "Arguments": Leaf(_text), "WorkingDirectory": Leaf(_text)},
}  # fmt: skip
REQUIRED = {
    "Task": ("Actions",), "Exec": ("Command",), "RestartOnFailure": ("Interval", "Count"),
    "Repetition": ("Interval",),
    "CalendarTrigger": ("StartBoundary", "ScheduleByDay"), "TimeTrigger": ("StartBoundary",), "Triggers": (),
    "Principals": ("Principal",),
}  # fmt: skip
_LAST = ("RandomDelay", "ScheduleByDay")
TRIGGER_ORDERS = (
    (
        "Repetition",
        "StartBoundary",
        "EndBoundary",
        "ExecutionTimeLimit",
        "Enabled",
        *_LAST,
    ),  # as Windows writes
    (
        "Enabled",
        "StartBoundary",
        "EndBoundary",
        "Repetition",
        "ExecutionTimeLimit",
        *_LAST,
    ),  # as the schema says
)
ATTRIBUTES = {
    "Task": {"version"},
    "Principal": {"id"},
    "Actions": {"Context"},
    "CalendarTrigger": {"id"},
    "TimeTrigger": {"id"},
}
_REPEATED = {"CalendarTrigger", "TimeTrigger", "Exec"}
_BATTERIES = ("DisallowStartIfOnBatteries", "StopIfGoingOnBatteries")
_IDLE = {"StopOnIdleEnd": "true", "RestartOnIdle": "false"}


def read(data: bytes) -> ET.Element:
    """The task in a file, checked; tags without namespace. Raises BadTask, NotModelled."""
    match = re.match(rb"(?:\xff\xfe)?<\0?\?\0?x\0?m\0?l\0?", data)
    if not data.startswith(b"\xff\xfe"):
        # Without a byte order mark Windows takes the file for UTF-8 and then meets encoding="UTF-16".
        if match is None or b"UTF-16" in data[:120].replace(b"\0", b"").upper():
            raise BadTask(_MALFORMED, "", "") from None
        raise NotModelled("a task file that is not UTF-16LE with BOM")
    try:
        text = data[2:].decode("utf-16-le")
    except UnicodeDecodeError:
        raise BadTask(_MALFORMED) from None
    declared = re.match(r'<\?xml[^>]*encoding=["\']([^"\']*)', text)
    if declared and declared[1].upper() != "UTF-16":
        raise BadTask(_MALFORMED)
    try:
        root = ET.fromstring(re.sub(r"^<\?xml[^>]*\?>", "", text))  # noqa: S314 -- made by the code under test
    except ET.ParseError:
        raise BadTask(_MALFORMED) from None
    if root.tag != f"{{{NAMESPACE}}}Task":
        raise BadTask(_WRONG_NODE, root.tag)
    for node in root.iter():
        if not node.tag.startswith(f"{{{NAMESPACE}}}"):
            raise BadTask(_WRONG_NODE, node.tag)
        node.tag = node.tag.partition("}")[2]
    if root.get("version") not in {"1.1", "1.2", "1.3", "1.4", "1.5", "1.6"}:
        raise BadTask(_WRONG_VALUE, "version", root.get("version") or "")
    _check(root, "Task")
    _check_accounts(root)
    return root


def _check(node: ET.Element, kind: str) -> None:
    table = TABLES[kind]
    if set(node.attrib) - ATTRIBUTES.get(kind, set()):
        raise BadTask(_WRONG_NODE, node.tag, next(iter(node.attrib)))
    if (node.text or "").strip():
        raise BadTask(_WRONG_NODE, node.tag, node.text or "")
    names = [child.tag for child in node]
    for name in names:
        if name not in table:
            raise BadTask(_WRONG_NODE, name)
        if names.count(name) > 1 and name not in _REPEATED:
            raise BadTask(_WRONG_NODE, name)
    for name in names:
        if table[name] is None:
            raise NotModelled(f"the element {name}")
    for name in REQUIRED.get(kind, ()):
        if name not in names:
            raise BadTask(_MISSING, name)
    if kind.endswith("Trigger") and not any(names == sorted(names, key=o.index) for o in TRIGGER_ORDERS):
        raise BadTask(_WRONG_NODE, names[-1])
    for child in node:
        rule = table[child.tag]
        if isinstance(rule, str):
            _check(child, rule)
        elif rule and (len(child) or child.attrib or not rule.check(child.text or "")):
            raise BadTask(_WRONG_VALUE, child.tag, child.text or "")


def _check_accounts(root: ET.Element) -> None:
    principal = root.find("Principals/Principal")
    if principal is None:
        raise NotModelled("a task without a principal")
    user = principal.findtext("UserId") or ""
    if user not in KNOWN_ACCOUNTS:
        raise BadTask(_NO_ACCOUNT)
    actions = root.find("Actions")
    context = None if actions is None else actions.get("Context")
    if context is not None and context != principal.get("id"):
        raise BadTask(_WRONG_VALUE, "Context", context)


def normal(root: ET.Element, uri: str) -> str:
    """The task as /query /xml shows it: Windows' own order, URI added, defaults left out, booleans as words.
    Lines end with LF."""
    information = root.find("RegistrationInfo")
    if information is None:
        information = ET.SubElement(root, "RegistrationInfo")
    for old in information.findall("URI"):
        information.remove(old)
    ET.SubElement(information, "URI").text = uri
    settings = root.find("Settings")
    if settings is None:
        settings = ET.SubElement(root, "Settings")
    idle = settings.find("IdleSettings")
    if idle is None:
        idle = ET.SubElement(settings, "IdleSettings")
    for name, value in _IDLE.items():
        if idle.find(name) is None:
            ET.SubElement(idle, name).text = value
    for name in _BATTERIES:
        if settings.find(name) is None:
            ET.SubElement(settings, name).text = "true"
    if settings.find("MultipleInstancesPolicy") is None:
        ET.SubElement(settings, "MultipleInstancesPolicy").text = "IgnoreNew"
    made = ET.Element("Task", {"version": root.get("version") or "1.2", "xmlns": NAMESPACE})
    _copy(root, made, "Task")
    ET.indent(made)
    return '<?xml version="1.0" encoding="UTF-16"?>\n' + ET.tostring(made, encoding="unicode") + "\n"


def _copy(source: ET.Element, target: ET.Element, kind: str) -> None:
    order = TRIGGER_ORDERS[0] if kind.endswith("Trigger") else tuple(TABLES[kind])
    for child in sorted(source, key=lambda c: order.index(c.tag)):
        rule = TABLES[kind][child.tag]
        if isinstance(rule, str):
            made = ET.SubElement(target, child.tag, child.attrib)
            _copy(child, made, rule)
        elif isinstance(rule, Leaf):
            value = child.text or ""
            if rule.check is _boolean:
                value = {"1": "true", "0": "false"}.get(value, value)
            same = value == rule.default or (
                rule.default is not None
                and rule.default.startswith("P")
                and duration(value) == duration(rule.default)
            )
            if not same:
                ET.SubElement(target, child.tag).text = value


# -- reading a stored task ------------------------------------------------------------------------------


def load(xml: str) -> ET.Element:
    """A task as `normal` wrote it; tags without namespace."""
    plain = re.sub(r"^<\?xml[^>]*\?>", "", xml).replace(f' xmlns="{NAMESPACE}"', "")
    return ET.fromstring(plain)  # noqa: S314 -- our own


def setting(root: ET.Element, name: str) -> str:
    """A value of Settings, its default included."""
    rule = TABLES["Settings"][name]
    default = rule.default if isinstance(rule, Leaf) else ""
    return root.findtext(f"Settings/{name}") or default or ""


def moment(text: str) -> datetime:
    """A boundary in UTC."""
    value = datetime.fromisoformat(re.sub(r"\.\d+", "", text))
    return (value if value.tzinfo else value.replace(tzinfo=LOCAL)).astimezone(UTC)


def starts(root: ET.Element, after: datetime) -> Iterator[datetime]:
    """When the triggers fire, in order, strictly after `after` (UTC), without RandomDelay (see `delay`)."""
    coming = [
        stream
        for stream in (_fires(trigger, after) for trigger in root.iter() if trigger.tag.endswith("Trigger"))
        if stream
    ]
    heads = [(next(stream, None), stream) for stream in coming]
    while ready := [(head, stream) for head, stream in heads if head is not None]:
        first, chosen = min(ready, key=lambda pair: pair[0])
        yield first
        heads = [(next(stream, None) if stream is chosen else head, stream) for head, stream in ready]


def _fires(trigger: ET.Element, after: datetime) -> Iterator[datetime]:
    if trigger.findtext("Enabled") == "false":
        return
    if trigger.find("Repetition") is not None:
        raise NotModelled("a trigger that repeats")
    begin = datetime.fromisoformat(re.sub(r"\.\d+", "", trigger.findtext("StartBoundary") or ""))
    end = trigger.findtext("EndBoundary")
    days = int(trigger.findtext("ScheduleByDay/DaysInterval") or 0)
    # The same local hour on every day, across both clock changes.
    skipped = (
        max(0, (after.astimezone(begin.tzinfo or LOCAL).date() - begin.date()).days // days - 1)
        if days
        else 0
    )
    at = begin + timedelta(days=skipped * days)
    while True:
        utc = (at if at.tzinfo else at.replace(tzinfo=LOCAL)).astimezone(UTC)
        if end and utc > moment(end):
            return
        if utc > after:
            yield utc
        if not days:
            return
        at += timedelta(days=days)


def delay(root: ET.Element, name: str, start: datetime) -> timedelta:
    """The random delay of one start: another one each day, the same at each repetition of a test."""
    most = duration(root.findtext("Triggers/*/RandomDelay") or "PT0S") or timedelta()
    return timedelta(seconds=int(random.Random(f"{name}{start}").uniform(0, most.total_seconds())))  # noqa: S311
