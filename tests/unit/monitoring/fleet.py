"""A client that is well, and ways to make it ill: shared by the tests of monitoring."""

from __future__ import annotations

from copy import deepcopy
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.model import Status
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.shape import as_json, read
from ansible_collections.prosecours.backup.plugins.plugin_utils.documents.model import last_run
from ansible_collections.prosecours.backup.plugins.plugin_utils.monitoring.facts import of_result
from ansible_collections.prosecours.backup.plugins.plugin_utils.monitoring.findings import ClientFacts
from unit.contract import contracts

PARIS = ZoneInfo("Europe/Paris")
NOW = datetime(2026, 11, 24, 9, 0, tzinfo=PARIS)  # a Tuesday
HOST = "moulin-srv1"
TASK = "\\ProSecours\\Sauvegarde"

CONTRACT = contracts.client(
    **{
        "id": "gaec_du_moulin",
        "name": "GAEC du Moulin",
        "reference": "PS-2026-0042",
        "subscribed_gb": 50,
        "contacts": {
            "main": {
                "title": "Mme",
                "first_name": "Élodie",
                "name": "Lefèvre",
                "email": "elodie.lefevre@moulin.example",
                "mobile": "06 12 34 56 78",
            },
            "substitute": None,
        },
        "hosts": [HOST],
    }
)
HOSTS = {HOST: contracts.host(host=HOST, schedule={"time": "22:00", "spread_minutes": 0})}
LAST_NIGHT = "2026-11-23T21:00:05+00:00"  # 22:00:05 in Paris
SERVER: dict[str, Any] = {
    "host": HOST,
    "address": "192.0.2.1",
    "reachable": True,
    "failure": None,
    "error": None,
    "last_status": {
        "start": LAST_NIGHT,
        "end": "2026-11-23T21:12:00+00:00",
        "exit_code": 0,
        "missing": [],
        "degraded": False,
        "errors": 0,
        "log": "logs/2026-11-23T210005Z.log",
    },
    "free_bytes": 50 * 10**9,
    "clock_offset_seconds": 0.4,
    "running": False,
    "shadow_copies": True,
    "drift": [],
    "watched": {"folder": "1", "rights": "", "restic.exe": "aa", "perimeter.txt": "bb", TASK: "cc"},
    "log": [],
}
STATUS: dict[str, Any] = {
    "client": "gaec_du_moulin",
    "reference": "PS-2026-0042",
    "at": "2026-11-24T07:55:00+00:00",
    "servers": {
        HOST: {
            "last": LAST_NIGHT,
            "last_any": LAST_NIGHT,
            "versions": 9,
            "incomplete": 0,
            "oldest_day": "2026-11-12",
            "history": [
                {
                    "id": "ab" * 32,
                    "time": LAST_NIGHT,
                    "arrival": "2026-11-23T21:11:58+00:00",
                    "complete": True,
                    "bytes": 20 * 10**9,
                    "files": 1200,
                    "added_bytes": 10**8,
                    "seconds": 700,
                }
            ],
        }
    },
    "promise": {"kept": True, "problems": []},
    "volume": {
        "newest_bytes": 20 * 10**9,
        "stored_bytes": 26 * 10**9,
        "subscribed_gb": 50,
        "percent": 40.0,
        "threshold": 0,
        "full_on": None,
        "closed": False,
        "history": [],
    },
    "set_aside": [],
    "losses": {},
    "rubbish": [],
    "unmeasured": [],
    "locks": [],
    "retention": {"at": "2026-11-24T05:30:00+00:00", "failure": None},
    "retired": {},
    "dumps": {},
    "check": {
        "at": "2026-11-24T05:35:00+00:00", "ok": True, "problems": [], "cycle_days": 30, "slices": 30,
        "slice": 4, "read_whole_on": "2026-11-20T05:35:00+00:00",
    },
    "drill": {"at": "2026-11-03T06:00:00+00:00", "ok": True, "files": 20, "bytes": 10**7, "problems": [],
        "doubts": [],
    },
}  # fmt: skip


def server(**changes: Any) -> dict[str, Any]:
    """The facts of the server; `status__x` changes `x` of its last backup."""
    facts = deepcopy(SERVER)
    for name, value in changes.items():
        if name.startswith("status__"):
            facts["last_status"][name.removeprefix("status__")] = value
        else:
            facts[name] = value
    return facts


def drift(kind: str, name: str, state: str = "altered", sentence: str = "it was altered") -> dict[str, Any]:
    return {"drift": [{"kind": kind, "name": name, "state": state, "sentence": sentence}]}


def status(**changes: Any) -> dict[str, Any]:
    """The repository's status; `volume__x` changes `x` of the volume, `server__x` that of the server."""
    found = deepcopy(STATUS)
    for name, value in changes.items():
        part, _, key = name.partition("__")
        if part == "server":
            found["servers"][HOST][key] = value
        elif key:
            found[part][key] = value
        else:
            found[name] = value
    return found


def client(
    facts: dict[str, Any] | None = SERVER,
    repository: dict[str, Any] | None = STATUS,
    failure: str | None = None,
) -> ClientFacts:
    """Read as the actions `monitor` and `findings` read them, one after the other."""
    servers = {}
    if facts:
        servers[HOST] = of_result(HOST, {**facts, "last_status": as_json(last_run(facts["last_status"]))})
    return ClientFacts(CONTRACT, HOSTS, servers, read(Status, repository) if repository else None, failure)
