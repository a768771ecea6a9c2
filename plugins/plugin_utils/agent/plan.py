"""The difference between a host as it is and as it should be: an ordered tuple of frozen changes. Pure.

Check mode stops after this file, so every change knows what it is called, what was there and what will be.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..windows import sddl
from ..windows import task as windows_task
from ..windows.delivery import sha256
from .desired import (
    BINARY,
    FOLDER_RIGHTS,
    INHERITED_RIGHTS,
    OPENS_REPOSITORY,
    REPOSITORY_ID,
    TASK,
    TEXTS,
    Desired,
    secret_bytes,
)
from .facts import Facts


@dataclass(frozen=True)
class Change:
    """One resource that is not as it should be. `kind` decides what `apply` does, `name` is the
    file or task."""

    kind: str
    name: str
    sentence: str
    before: str
    after: str


def plan(desired: Desired, facts: Facts) -> tuple[Change, ...]:
    """All that has to change, in the order in which it is shown; empty when the host is as it should be."""
    return (
        *_folder(desired, facts),
        *_rights(desired, facts),
        *_leftovers(desired, facts),
        *_binary(desired, facts),
        *_texts(desired, facts),
        *_secrets(desired, facts),
        *_repository(desired, facts),
        *_task(desired, facts),
        *_first_backup(desired, facts),
    )


def _folder(desired: Desired, facts: Facts) -> Iterator[Change]:
    if not facts.exists:
        yield Change("folder", desired.folder, f"folder {desired.folder} created", "", "folder\n")


def _rights(desired: Desired, facts: Facts) -> Iterator[Change]:
    folder_closed = _is(facts.folder_rights, FOLDER_RIGHTS)
    # A file whose rights are unknown counts as open: what cannot be seen is not assumed to be right.
    silent = {name: "" for name in (*desired.texts, *desired.secrets, BINARY) if name in facts.names}
    before = {} if folder_closed else {desired.folder: facts.folder_rights}
    after = dict.fromkeys(before, FOLDER_RIGHTS)
    for name, text in (silent | {**facts.rights}).items():
        # What only inherits from an open folder is closed with it, and not worth a name of its own.
        if not _is(text, *INHERITED_RIGHTS) and (folder_closed or not _only_inherits(text)):
            before[f"{desired.folder}\\{name}"] = text
            after[f"{desired.folder}\\{name}"] = INHERITED_RIGHTS["OICI" in text]
    if not before:
        return
    if not facts.exists:
        sentence = "rights set: SYSTEM and Administrators only"
    else:
        sids = sorted({sid for text in before.values() for sid in _strangers(text)})
        to = f" to {', '.join(sids)}" if sids else ""
        sentence = f"rights altered on {', '.join(sorted(before))}{to}: SYSTEM and Administrators only again"
    yield Change("rights", desired.folder, sentence, _listed(before), _listed(after))


def _is(text: str, *wanted: str) -> bool:
    """Whether these rights mean the same as one of those wanted."""
    try:
        return sddl.parse(text) in [sddl.parse(one) for one in wanted]
    except ValueError:
        return False


def _only_inherits(text: str) -> bool:
    try:
        dacl = sddl.parse(text)
    except ValueError:
        return False
    return not dacl.protected and all(ace.inherited for ace in dacl.aces)


def _strangers(text: str) -> frozenset[str]:
    try:
        return sddl.parse(text).sids - {sddl.SYSTEM, sddl.ADMINISTRATORS}
    except ValueError:
        return frozenset()


def _leftovers(desired: Desired, facts: Facts) -> Iterator[Change]:
    # One that an interrupted command still holds can wait for a later run; it is in nobody's way.
    for name in sorted(facts.leftovers):
        yield Change(
            "staging",
            f"{desired.folder}\\{name}",
            "leftovers of an interrupted run removed",
            "folder\n",
            "",
        )


def _binary(desired: Desired, facts: Facts) -> Iterator[Change]:
    found, wanted = facts.hashes.get(BINARY, ""), desired.binary.sha256
    if found != wanted:
        verb = "replaced: it was not that version" if found else "delivered"
        yield Change(
            "binary",
            BINARY,
            f"restic.exe {desired.binary.version} {verb}",
            f"sha256 {found}\n" if found else "",
            f"sha256 {wanted or 'of that version'}\n",
        )


def _texts(desired: Desired, facts: Facts) -> Iterator[Change]:
    for name in TEXTS:
        before, after = facts.texts.get(name), desired.texts.get(name)
        if before != after:
            verb = "written" if before is None else "removed" if after is None else "differed, written anew"
            yield Change("text", name, f"configuration: {name} {verb}", before or "", after or "")


def _secrets(desired: Desired, facts: Facts) -> Iterator[Change]:
    for name, secret in desired.secrets.items():
        found = facts.hashes.get(name)
        if found != sha256(secret_bytes(secret)):
            verb = "differed, written anew" if found else "written"
            before = "*** (another)\n" if found else ""
            yield Change("secret", name, f"configuration: {name} {verb}", before, f"{secret}\n")


def _repository(desired: Desired, facts: Facts) -> Iterator[Change]:
    """The repository is opened before new access data replaces the old, and when its id is not recorded."""
    changed = {change.name for change in (*_texts(desired, facts), *_secrets(desired, facts))}
    touched = changed & OPENS_REPOSITORY
    if facts.repository_id and not touched:
        return
    yield Change(
        "repository",
        REPOSITORY_ID,
        "repository opened with the client's password, or initialised if new",
        f"{facts.repository_id}\n" if facts.repository_id else "",
        f"{facts.repository_id or 'the id of the repository'}\n",
    )


def _task(desired: Desired, facts: Facts) -> Iterator[Change]:
    after = desired.task
    if not facts.task_xml:
        yield Change(
            "task", TASK, f"task {TASK} registered, daily at {desired.starts_at}", "", _listed(after)
        )
        return
    try:
        before = windows_task.parse(facts.task_xml)
    except ValueError:
        sentence = f"task {TASK} was unreadable, registered anew"
        yield Change("task", TASK, sentence, facts.task_xml, _listed(after))
        return
    edited = windows_task.differences(before, after)
    if edited:
        # "enabled" is the one that a client is most likely to touch (C12): it is named in so many words.
        parts = [
            "disabled"
            if (name, old) == ("enabled", "false")
            else f"{name} {old or 'none'} -> {new or 'none'}"
            for name, (old, new) in edited.items()
        ]
        sentence = f"task {TASK} was altered ({'; '.join(parts)}), registered anew"
        yield Change("task", TASK, sentence, _listed(before), _listed(after))


def _first_backup(desired: Desired, facts: Facts) -> Iterator[Change]:
    if desired.first_backup_now and facts.status is None and not facts.running:
        yield Change("first backup", TASK, "first backup started", "", "first backup running\n")


def _listed(values: Mapping[str, str]) -> str:
    return "".join(f"{name}: {value}\n" for name, value in values.items())
