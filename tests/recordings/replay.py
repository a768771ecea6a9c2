"""A recording through the product's own parsers, and against the emulators of the lab.

READINGS: what the product makes of a line's answer. EXPECTED: what that has to be on every Windows, so that
the product works there. `differences` holds two recordings against each other: what a real one has to tell.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from ansible_collections.prosecours.backup.plugins.plugin_utils.agent import facts as agent
from ansible_collections.prosecours.backup.plugins.plugin_utils.preflight import facts as preflight
from ansible_collections.prosecours.backup.plugins.plugin_utils.windows import disk, probe, robocopy, sddl
from ansible_collections.prosecours.backup.plugins.plugin_utils.windows import task as windows_task

from tools.record import lines
from tools.record.recording import Answer, Recording

NOT_MODELLED = 9009
"""The exit code by which the lab says that it does not know what Windows would do."""
EVERYONE = "S-1-1-0"
NEW = "this Windows alone can tell"

Reading = Callable[[Answer], object]


def _yes(answer: Answer) -> bool:
    return b"1" in answer.out


def _listed(answer: Answer) -> list[str]:
    return [line.strip() for line in probe.decode(answer.out).splitlines() if line.strip()]


def _code(answer: Answer) -> int:
    """As 32 bits without sign: WinRM gives 4294967295 for -1, a batch file -1."""
    return answer.exit_code & 0xFFFFFFFF


def _tree(answer: Answer) -> object:
    tree, error = robocopy.tree(answer.out)
    return tree or error


def _rights(answer: Answer) -> dict[str, bool]:
    """Name -> whether Everyone is among those who may do something."""
    saved = sddl.parse_saved(probe.decode(answer.out))
    return {name: EVERYONE in sddl.parse(text).sids for name, text in saved.items()}


def _closed(answer: Answer) -> bool:
    """The rights that the agent's folder is to have, and nothing else."""
    (rights,) = sddl.parse_saved(probe.decode(answer.out)).values()
    return sddl.parse(rights) == sddl.parse("D:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)")


def _minutes_from_utc(answer: Answer) -> float | str:
    """Quarters of an hour from the server's UTC to what robocopy says; as SYSTEM there is no clock."""
    day, time_of_day, *_name = probe.decode(answer.out).split()
    told = datetime.strptime(f"{day} {time_of_day}", "%Y/%m/%d %H:%M:%S").replace(tzinfo=UTC)
    return round((told - datetime.fromisoformat(answer.clock)).total_seconds() / 900) if answer.clock else 0


def _task(answer: Answer) -> object:
    """What Windows' own XML of a task has that was not given to it."""
    given = windows_task.parse(windows_task.render(lines.task_values()))
    return windows_task.differences(given, windows_task.parse(probe.decode(answer.out)))


def _summary(answer: Answer) -> object:
    found = [json.loads(line) for line in _listed(answer) if line.startswith("{")]
    return [one["total_files_processed"] for one in found if one.get("message_type") == "summary"]


def _unmodified(answer: Answer) -> object:
    """Files that restic left alone, since it had them: [2] of two says that change detection works."""
    found = [json.loads(line) for line in _listed(answer) if line.startswith("{")]
    return [one["files_unmodified"] for one in found if one.get("message_type") == "summary"]


def _together(answer: Answer) -> object:
    sections = probe.split(answer.out, "record")
    return sections and [name for name in sections if name == "preflight-entry0"]


READINGS: Mapping[str, Reading] = {
    "preflight/groups": lambda answer: {"S-1-5-32-544", EVERYONE} <= preflight.groups(answer.out),
    "preflight/windows": lambda answer: preflight.windows(answer.out).build is not None,
    "preflight/disk": lambda answer: (disk.free_space(answer.out) or 0) > 0,
    "preflight/deployed": _yes,
    "preflight/status": lambda answer: preflight.backed_up(answer.out),
    "preflight/ca": lambda answer: preflight.trust(answer.out, "none"),
    "preflight/repository": lambda answer: preflight.way(answer.out, "none")[:2],
    "preflight/entry0": _tree,
    "preflight/entry1": lambda answer: robocopy.tree(answer.out)[1] in robocopy.MISSING_CODES,
    "preflight/entry2": lambda answer: robocopy.tree(answer.out)[1] in robocopy.MISSING_CODES,
    "preflight/entry3": _tree,
    "agent/exists": _yes,
    "agent/vss": lambda answer: agent.parse({"vss": answer.out}).shadow_copies,
    "agent/free": _yes,
    "agent/names": lambda answer: {"restic.exe", "data", "backup.lock"} <= {*_listed(answer)},
    "agent/leftovers": lambda answer: {"staging-held", "staging-free"} <= {*_listed(answer)},
    "agent/folder_rights": _closed,
    "agent/hash-restic.exe": lambda answer: len(probe.hashed(probe.decode(answer.out))),
    "agent/type-restic.cmd": lambda answer: answer.out,
    "restore/tree0": _tree,
    "restore/files1": _tree,
    "probes/together-0": _together,
    "session/codepage": lambda answer: re.findall(rb"\d+", answer.out)[-1:],
    "session/codepage-437": lambda answer: re.findall(rb"\d+", answer.out)[-1:],
    "session/accents": lambda answer: answer.out.strip(),
    "session/accents-437": lambda answer: answer.out.strip()[:9],
    "session/crash": _code,
    "session/errorlevel": _listed,
    "session/quotas": lambda answer: preflight.shell_memory(answer.out) is not None,
    "session/quotes": _listed,
    "length/8150": _listed,
    "length/8191": _listed,
    "length/8192": _listed,
    "length/expanded": _listed,
    "findstr/one": _listed,
    "findstr/several": _listed,
    "findstr/several-by-case": _listed,
    "findstr/none": _code,
    "findstr/counted": _listed,
    "bytes/tar": _code,
    "bytes/closed": _code,
    "bytes/hash": lambda answer: probe.hashed(probe.decode(answer.out)),
    "bytes/type": lambda answer: answer.out == lines.ALL_BYTES,
    "bytes/type-utf16": lambda answer: probe.decode(answer.out).strip(),
    "lock/free": _yes,
    "lock/held": _yes,
    "times/robocopy": _minutes_from_utc,
    "robocopy/copy": lambda answer: answer.exit_code in range(8),
    "robocopy/root": lambda answer: f"top-{answer.session}" in _listed(answer),
    "forfiles/none": _code,
    "mklink": _code,
    "rights/put-back": _rights,
    "restic/version": lambda answer: b'"version":"' in answer.out,
    "restic/init": _code,
    "restic/shadow": _summary,
    "restic/again": _unmodified,
    "restic/above": _rights,
    "vss/writers": lambda answer: {one.state in range(16) for one in preflight.writers(answer.out)},
    "task/create": _code,
    "task/xml": _task,
    "task/run": _code,
    "lock/of-the-task": _yes,
    "folder/held": _listed,
    "folder/removed": _yes,
    "task/end": _code,
    "lock/after-the-end": _yes,
    "task/watch": _yes,
    "task/kill": _code,
    "lock/after-the-kill": _yes,
    "task/kill-none": _code,
    "task/delete": _code,
    "task/absent": lambda answer: (_code(answer), answer.out),
}
"""By the name of the line; one that is not here is for people to read."""

EXPECTED: Mapping[str, object] = {
    "preflight/groups": True,
    "preflight/windows": True,
    "preflight/disk": True,
    "preflight/deployed": False,
    "preflight/status": True,
    "preflight/ca": "none",
    "preflight/repository": (7, None),
    "preflight/entry1": True,
    "preflight/entry2": True,
    "preflight/entry3": robocopy.Tree(1, 1, 6),
    "agent/exists": True,
    "agent/free": True,
    "agent/names": True,
    "agent/leftovers": True,
    "agent/folder_rights": True,
    "agent/hash-restic.exe": 64,
    "agent/type-restic.cmd": b"",
    "probes/together-0": ["preflight-entry0"],
    "session/errorlevel": ["passed"],
    "session/crash": 0xC0000005,
    "session/quotas": True,
    "session/quotes": ['["a & b"] ["c^d"]'],
    "length/8192": [],
    "findstr/one": ['{"message_type":"summary"}'],
    "findstr/several": ["VssApi", "VSS error 5"],
    "findstr/none": 1,
    "findstr/counted": ["1"],
    "bytes/tar": 0,
    "bytes/closed": 3,
    "bytes/hash": hashlib.sha256(lines.ALL_BYTES).hexdigest(),
    "lock/free": True,
    "lock/held": False,
    "robocopy/copy": True,
    "forfiles/none": 1,
    "rights/put-back": {"sub": False},
    "restic/version": True,
    "restic/init": 0,
    "restic/shadow": [4],
    "vss/writers": {True},
    "task/create": 0,
    "task/xml": {},
    "task/run": 0,
    "lock/of-the-task": False,
    "task/end": 0,
    "task/kill": 0,
    "lock/after-the-kill": True,
    "task/delete": 0,
    "task/absent": (1, b""),
}
"""What the product needs. What is not here is a question, to which it has an answer either way."""


def read(answer: Answer) -> object:
    """What the product makes of an answer; what it cannot read is told as such."""
    reading = READINGS.get(answer.name)
    try:
        return reading(answer) if reading else answer.exit_code
    except (ValueError, KeyError, IndexError, TypeError) as error:
        return f"cannot be read: {error!r}"


def wrong(recording: Recording) -> list[str]:
    """What the product could not work with: a sentence each."""
    return [
        f"{one.session} {one.name}: {read(one)!r}, where the product needs {EXPECTED[one.name]!r}"
        for one in recording.answers
        if one.name in EXPECTED and read(one) != EXPECTED[one.name]
    ] + [f"{one.session} {one.name}: not all of it arrived" for one in recording.answers if not one.whole]


def differences(real: Recording, emulated: Recording) -> dict[tuple[str, str], tuple[object, object]]:
    """(session, line) -> how a real Windows and the lab were read, where that differs. What the lab does not
    model is not held against it."""
    lab = {(one.session, one.name): one for one in emulated.answers}
    found: dict[tuple[str, str], tuple[object, object]] = {}
    for one in real.answers:
        other = lab.get((one.session, one.name))
        if other is None:
            found[one.session, one.name] = (read(one), NEW)
        elif other.exit_code != NOT_MODELLED and read(one) != read(other):
            found[one.session, one.name] = (read(one), read(other))
    return found
