"""A request to restore, from its file to what is to be done, or all that is wrong with it (C3). Pure.

Layers, as for the contract: the file, the shape (schemas/restore.schema.json), each value, and last what only
the contract tells: is the requester a contact of Annexe 2, does each item lie in the perimeter?
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, time
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from . import windows_paths
from .contract_errors import ContractError, one_of
from .contract_files import Scope, document
from .contract_variables import Finding, mistakes, validator_of

SCHEMA = Path(__file__).parents[2] / "schemas" / "restore.schema.json"
PARIS = ZoneInfo("Europe/Paris")


@dataclass(frozen=True)
class Request:
    """What is to be restored. `id` tells two requests apart: the same file is carried out once."""

    id: str
    client: str
    client_name: str
    reference: str
    requester: Mapping[str, str]
    """The contact of Annexe 2: title, first_name, name, email, mobile."""
    mail_date: str
    server: str
    """Whose data is wanted."""
    wanted: str
    """Up to when, ISO 8601 with offset; the end of the day when only a day was asked for."""
    asked: str
    """The date as the request has it."""
    items: tuple[str, ...]
    whole_server: bool
    accept_incomplete: bool
    host: str
    """Where it is restored to."""
    folder: str
    """A folder there, or empty: a fresh one beside the data."""
    in_place: bool
    live: tuple[str, ...]
    """The perimeter of that host: nothing is restored over it unless in place."""

    @property
    def moment(self) -> datetime:
        """`wanted` as a datetime."""
        return datetime.fromisoformat(self.wanted)

    def data(self) -> dict[str, Any]:
        """Plain types, for a result; `from_data` takes them back."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return plain

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Request:
        return cls(**{**data, "items": tuple(data["items"]), "live": tuple(data["live"])})


@cache
def _validator() -> Any:
    return validator_of(SCHEMA)


def load(
    path: Path,
    text_of: Callable[[Path], str],
    clients: Mapping[str, Mapping[str, Any]],
    hosts: Mapping[str, Mapping[str, Any]],
    now: datetime,
) -> tuple[Request | None, list[ContractError]]:
    """The request of a file, or its errors in the order of its lines. `clients` and `hosts` as the contract
    action returns them; `now` has a time zone."""
    scope, value, errors = document(path, text_of)
    if scope is None:
        return None, errors
    wrong = list(mistakes(_validator(), value))
    if not wrong and not errors:
        wrong = list(_values(value, now)) + list(_against_contract(value, clients, hosts))
    errors += [_placed(scope, finding) for finding in wrong]
    if errors:
        return None, sorted(errors, key=lambda error: (error.line or 0, error.key))
    return _request(value, clients, hosts), []


def _placed(scope: Scope, finding: Finding) -> ContractError:
    key = ""
    for step in finding.way:
        key += f", entry {step + 1}" if isinstance(step, int) else f".{step}" if key else step
    return ContractError(scope.file, scope.line(finding.way), "", key, finding.problem, finding.remedy)


# Layer 3: each value -----------------------------------------------------------------------------------


def _values(value: Mapping[str, Any], now: datetime) -> Iterator[Finding]:
    if not value["main_backup_failed"]:
        remedy = (
            "Restore from the main backup; once that has failed, have the contact write so in the request"
        )
        problem = "the main backup has not failed, and only then is anything restored from here (C3, III.2)"
        yield Finding(("main_backup_failed",), problem, remedy)
    today = now.astimezone(PARIS).date()
    for name in ("mail_date", "date"):
        try:
            day = _moment(value[name]).date()
        except ValueError:
            yield Finding((name,), f'"{value[name]}" is no date', "Correct it; a day is written YYYY-MM-DD")
            continue
        if day > today:
            yield Finding((name,), f"{value[name]} is in the future", f"Write a day up to {today}")
    whole, items = value.get("whole_server", False), value.get("items", [])
    if whole and items:
        remedy = "Keep one of the two: with whole_server all of the contract's directories are restored"
        yield Finding(("whole_server",), "there are items too", remedy)
    elif not whole and not items:
        remedy = "Add the paths that the e-mail names, or whole_server: true"
        yield Finding(("server",), "nothing is asked for: there are no items", remedy)
    for index, item in enumerate(items):
        if found := windows_paths.problem(item, pattern=True) or _everything(item):
            yield Finding(("items", index), found.what, found.remedy)
    target = value.get("target", {})
    if target.get("folder") and (found := windows_paths.problem(target["folder"])):
        yield Finding(("target", "folder"), found.what, found.remedy)
    if target.get("in_place"):
        for name in {"folder", "server"} & target.keys():
            remedy = f"Remove in_place to restore beside the data, or remove {name}"
            yield Finding(("target", name), f"in place there is no other {name}", remedy)


def _everything(item: str) -> windows_paths.Problem | None:
    name = item.replace("/", "\\").rpartition("\\")[2]
    if name and not name.strip("*.?") and any(c in name for c in windows_paths.WILDCARDS):
        return windows_paths.Problem(
            f'"{name}" stands for everything in the directory',
            "Write the directory alone: it is restored with all it holds",
        )
    return None


def _moment(text: str) -> datetime:
    """The end of a day, or the given time of it, in Europe/Paris. Raises ValueError."""
    if len(text) == len("2026-11-23"):
        return datetime.combine(date.fromisoformat(text), time.max, PARIS)
    return datetime.fromisoformat(text).replace(tzinfo=PARIS)


# Layer 4: against the contract -------------------------------------------------------------------------


def _against_contract(
    value: Mapping[str, Any],
    clients: Mapping[str, Mapping[str, Any]],
    hosts: Mapping[str, Mapping[str, Any]],
) -> Iterator[Finding]:
    name = value["client"]
    if name not in clients:
        yield Finding(("client",), f'"{name}" is no client of this inventory', one_of(name, list(clients)))
        return
    client = clients[name]
    yield from _requester(value["requester"], client, clients)
    servers = {("server",): value["server"], ("target", "server"): value.get("target", {}).get("server")}
    for way, server in servers.items():
        if server is not None and server not in client["hosts"]:
            yield Finding(way, *_foreign(server, client, hosts))
    if value["server"] not in client["hosts"]:
        return
    perimeter = hosts[value["server"]]["perimeter"]
    for index, item in enumerate(value.get("items", [])):
        if not windows_paths.problem(item, pattern=True) and not _lies_in(item, perimeter):
            ticked = ", ".join(entry["path"] for entry in perimeter)
            problem = f"{item} lies outside the perimeter of {value['server']} (Annexe 1)"
            yield Finding(("items", index), problem, f"Write what lies in {ticked}")
    yield from _overlapping(value.get("items", []))
    target = value.get("target", {})
    host = target.get("server", value["server"])
    if target.get("folder") and host in client["hosts"]:
        for entry in hosts[host]["perimeter"]:
            if _touch(target["folder"], entry["path"]):
                problem = (
                    f"{target['folder']} lies over live data: {entry['path']} is in the perimeter of {host}"
                )
                remedy = "Name a folder outside the perimeter, or none: then a fresh one is made"
                yield Finding(("target", "folder"), problem, remedy)
                break


def _requester(
    address: str, client: Mapping[str, Any], clients: Mapping[str, Mapping[str, Any]]
) -> Iterator[Finding]:
    def contacts(of: Mapping[str, Any]) -> list[str]:
        return [contact["email"].lower() for contact in of["contacts"].values() if contact]

    own = contacts(client)
    if address.strip().lower() in own:
        return
    others = [other["name"] for other in clients.values() if address.strip().lower() in contacts(other)]
    known = f", but of {others[0]}" if others else ""
    yield Finding(
        ("requester",),
        f'"{address}" is no contact of {client["name"]} (Annexe 2){known}',
        f"Have the request confirmed from {' or '.join(own)}; contacts are changed by a new Annexe 2 only",
    )


def _foreign(
    server: str, client: Mapping[str, Any], hosts: Mapping[str, Mapping[str, Any]]
) -> tuple[str, str]:
    owner = f", but of {hosts[server]['client']['name']}" if server in hosts else ""
    return f'"{server}" is no server of {client["name"]}{owner}', one_of(server, client["hosts"])


def _lies_in(item: str, perimeter: Sequence[Mapping[str, Any]]) -> bool:
    folder = item.replace("/", "\\").rpartition("\\")[0]
    for entry in perimeter:
        if windows_paths.inside(item, entry["path"]):
            return True
        # Of a directory with a ticked pattern only what the pattern names is in the backup.
        pattern = entry["kind"] == "pattern" and any(c in item for c in windows_paths.WILDCARDS)
        if pattern and windows_paths.same(folder + "\\", entry["path"].rpartition("\\")[0] + "\\"):
            return True
    return False


def _touch(path: str, other: str) -> bool:
    return windows_paths.inside(path, other) or windows_paths.inside(other, path)


def _overlapping(items: Sequence[str]) -> Iterator[Finding]:
    legal = [
        (index, item) for index, item in enumerate(items) if not windows_paths.problem(item, pattern=True)
    ]
    for index, item in legal:
        for other, outer in legal:
            if index == other or not windows_paths.inside(item, outer):
                continue
            if index > other or not windows_paths.same(item, outer):
                yield Finding(("items", index), f"{item} is part of {outer} already", "Remove one of the two")
                break


def _request(
    value: Mapping[str, Any],
    clients: Mapping[str, Mapping[str, Any]],
    hosts: Mapping[str, Mapping[str, Any]],
) -> Request:
    client, target = clients[value["client"]], value.get("target", {})
    whole, host = value.get("whole_server", False), target.get("server", value["server"])
    named = [entry["path"] for entry in hosts[value["server"]]["perimeter"]] if whole else value["items"]
    contacts = [contact for contact in client["contacts"].values() if contact]
    address = value["requester"].strip().lower()
    # What is asked for, not how it is written: another order of keys is the same request.
    digest = hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
    return Request(
        id=digest[:12],
        client=value["client"],
        client_name=client["name"],
        reference=client["reference"],
        requester=next(contact for contact in contacts if contact["email"].lower() == address),
        mail_date=value["mail_date"],
        server=value["server"],
        wanted=_moment(value["date"]).isoformat(),
        asked=value["date"],
        items=tuple(windows_paths.normalise(item) for item in named),
        whole_server=whole,
        accept_incomplete=value.get("accept_incomplete", False),
        host=host,
        folder=windows_paths.normalise(target["folder"]) if target.get("folder") else "",
        in_place=target.get("in_place", False),
        live=tuple(entry["path"] for entry in hosts[host]["perimeter"]),
    )
