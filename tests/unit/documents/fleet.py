"""Monitoring reports of a fleet that does not exist: the same for the same arguments, every situation in it.

The shape is that of docs/monitoring.md. The first ten clients have a story each, the others are ordinary.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.shape import read
from ansible_collections.prosecours.backup.plugins.plugin_utils.documents.model import Report

PARIS = ZoneInfo("Europe/Paris")
AT = datetime(2026, 11, 23, 13, 5, tzinfo=UTC)
GO = 10**9
NAMES = (
    *("GAEC du Moulin", "EARL des Tilleuls", "SCEA de la Plaine de l'Œillet", "GAEC des Trois Chênes"),
    *("EARL Élevage & Fils", "SAS Céréales du Vexin", "GAEC de la Haute Borne", "EARL du Gué"),
    *("SCEA Saint-Aubin-en-Bray et Villers-sur-Auchy", "M. Gaëtan Lefèvre"),
)

KINDS = {
    "silent": (
        *("critical", "C6", "No backup of {host} has arrived since 18 November"),
        "Aucune sauvegarde de {host} n'est arrivée depuis le 18 novembre 2026.",
        "Vérifier que le serveur est allumé et que la tâche « Sauvegarde » est active, puis déployer.",
    ),
    "over_volume": (
        *("critical", "C15", "The volume is at 104 % of what is subscribed; new backups are refused"),
        "Le volume atteint 104 % du volume souscrit ; les nouvelles sauvegardes sont refusées.",
        "Proposer au client un volume plus grand, puis le porter dans l'inventaire et déployer.",
    ),
    "promise": (
        *("critical", "C7", "The promised version of 12 November is not there"),
        "La version promise du 12 novembre 2026 n'est plus là.",
        "Ne lancer aucune rétention pour ce client et appeler le responsable du dépôt.",
    ),
    "task_disabled": (
        *("critical", "C12", "The task of {host} was disabled"),
        "La tâche de sauvegarde de {host} a été désactivée sur le serveur.",
        "Demander au client ce qui s'est passé (VI.1), puis lancer un déploiement, qui la rétablit.",
    ),
    "incomplete": (
        *("warning", "C1", "3 files of {host} could not be read"),
        "3 fichiers de {host} n'ont pas pu être lus : la dernière sauvegarde est incomplète.",
        r"Lire C:\Program Files\ProSecours\logs ; fermer le logiciel qui tient ces fichiers ouverts.",
    ),
    "volume_threshold": (
        *("warning", "C15", "The volume is above 95 %"),
        "Le volume dépasse 95 % du volume souscrit.",
        "Prévenir le client avant que le volume ne soit plein.",
    ),
    "unreachable": (
        *("warning", "C2", "{host} does not answer"),
        "Le serveur {host} ne répond pas à la télémaintenance.",
        "Demander au client s'il est allumé et si l'accès est ouvert.",
    ),
    "degraded": (
        *("notice", "C6", "Windows made no shadow copy on {host}"),
        "Windows n'a pas fait de cliché instantané sur {host} : les fichiers ont été lus en l'état.",
        "Vérifier l'espace libre du volume et le service de clichés instantanés.",
    ),
}
"""kind -> (severity, clause, English, French, French remedy)"""

PROVIDER = {
    "applications": "iah@groupeisagri.example",
    "systems": "noc@groupeisagri.example",
    "telephone": "03.44.06.41.14",
}
"""The provider's contacts, as a report names them."""


def report(clients: int = 10, at: datetime = AT) -> dict[str, Any]:
    """A report of so many clients, as of `at`."""
    everyone = [client(number, at) for number in range(clients)]
    closed = [_finding("gaec_du_moulin", "moulin-srv1", "degraded", at - timedelta(days=4), at, "closed")]
    return {
        "format": 1,
        "at": _iso(at),
        "clients": everyone,
        "closed": closed,
        "journal": {"entries": 1234, "head": "9f2c" * 16},
        "provider": {"systems": "noc@groupeisagri.example"},
    }


def typed(report: dict[str, Any]) -> Report:
    """As the product reads it."""
    return read(Report, report)


def client(number: int, at: datetime = AT) -> dict[str, Any]:
    """One client: the story of its number, or an ordinary one."""
    name = NAMES[number] if number < len(NAMES) else f"EARL de la Parcelle {number}"
    key = f"client_{number:02}" if number else "gaec_du_moulin"
    chance = random.Random(number)  # noqa: S311  the same every time is the point
    hosts = [f"srv{number}-{part}" for part in ("principal", "sql", "ged", "bureau", "archives")]
    hosts = hosts[: {0: 2, 3: 5}.get(number, 1 + number % 2)]
    subscribed = (50, 100, 250, 20)[number % 4]
    share = {1: 0.965, 7: 1.04}.get(number, 0.35 + 0.4 * chance.random())
    days = {4: 3}.get(number, 400)
    servers: dict[str, Any] = {}
    reachable = {}
    for position, host in enumerate(hosts):
        history = _history(chance, host, at, days, subscribed * GO * share / len(hosts), number)
        complete = [entry["time"] for entry in history if entry["complete"]]
        servers[host] = {
            "last": complete[-1] if complete else None,
            "last_any": history[-1]["time"] if history else None,
            "versions": min(8, len(history)),
            "incomplete": sum(not entry["complete"] for entry in history[-8:]),
            "oldest_day": (at - timedelta(days=min(12, days))).date().isoformat() if history else None,
            "history": history,
        }
        reachable[host] = number != 6 or position > 0
    repository = None if number == 5 else _status(key, number, at, servers, subscribed, share, days)
    findings = [
        _finding(key, host, kind, at - timedelta(days=age), at, status)
        for host, kind, age, status in (
            *(((hosts[0], "silent", 4, "reminded"),) if number == 3 else ()),
            *(((None, "over_volume", 1, "new"),) if number == 7 else ()),
            *(((None, "promise", 0, "new"),) if number == 8 else ()),
            *(((hosts[0], "task_disabled", 0, "new"),) if number == 3 else ()),
            *(((hosts[0], "incomplete", 2, "open"),) if number == 2 else ()),
            *(((None, "volume_threshold", 12, "reminded"),) if number == 1 else ()),
            *(((hosts[0], "unreachable", 1, "open"),) if number == 6 else ()),
            *(((hosts[0], "degraded", 1, "new"),) if number == 9 else ()),
        )
    ]
    levels = ("ok", "notice", "warning", "critical")
    state = max((finding["severity"] for finding in findings), key=levels.index, default="ok")
    return {
        "id": key,
        "name": name,
        "reference": f"PS-2026-{42 + number:04}",
        "retention": {"daily": 7, "weekly": 3},
        "contacts": {
            "main": {
                "title": "Mme",
                "first_name": "Élodie",
                "name": "Lefèvre",
                "email": f"elodie.lefevre@{key.replace('_', '-')}.example",
                "mobile": "06 12 34 56 78",
            },
            "substitute": {
                "title": "M.",
                "first_name": "Gaëtan",
                "name": "D'Hérouville",
                "email": f"gaetan@{key.replace('_', '-')}.example",
                "mobile": "07 82 34 56 78",
            }
            if number % 3 == 0
            else None,
        },
        "state": "critical" if number == 5 else state,
        "repository": repository,
        "repository_failure": "The repository of this client cannot be opened: wrong password."
        if number == 5
        else None,
        "servers": [
            {
                "host": host,
                "address": f"10.{number}.0.{position + 1}",
                "reachable": reachable[host],
                "failure": None
                if reachable[host]
                else f"{host} does not answer on port 5986 within 10 seconds.",
                "last_status": {
                    "start": _iso(at - timedelta(hours=16)),
                    "end": _iso(at - timedelta(hours=15, minutes=48)),
                    "exit_code": 3 if number == 2 else 0,
                    "errors": 3 if number == 2 else 0,
                    "missing": [],
                    "degraded": number == 9,
                }
                if reachable[host]
                else None,
                "free_bytes": chance.randrange(20 * GO, 900 * GO) if reachable[host] else None,
                "clock_offset_seconds": round(chance.uniform(-2, 2), 1) if reachable[host] else None,
            }
            for position, host in enumerate(hosts)
        ],
        "findings": findings,
    }


def _history(
    chance: random.Random, host: str, at: datetime, days: int, size: float, number: int
) -> list[dict[str, Any]]:
    """A backup a night at 22:00 in Paris, oldest first, with what goes wrong in a year."""
    entries = []
    silent = host == "srv3-principal"
    for age in range(days, 0, -1):
        local = (at.astimezone(PARIS) - timedelta(days=age)).replace(
            hour=22, minute=chance.randrange(0, 50), second=chance.randrange(60)
        )
        missed = chance.random() < 0.02 or (silent and age < 6)
        if missed:
            continue
        complete = not ((number == 2 and age < 4) or chance.random() < 0.01)
        grown = size * (1 - 0.15 * age / 400)
        seconds = max(20.0, grown / GO * 9 + chance.gauss(60, 20) + (300 if local.weekday() == 4 else 0))
        entries.append(
            {
                "id": f"{chance.getrandbits(64):016x}" * 4,
                "time": local.isoformat(),
                "arrival": (local + timedelta(seconds=seconds)).isoformat(),
                "complete": complete,
                "bytes": int(grown),
                "files": int(grown / 400_000),
                "added_bytes": int(grown * abs(chance.gauss(0.004, 0.003))),
                "seconds": round(seconds, 1),
            }
        )
    return entries


def _status(
    key: str, number: int, at: datetime, servers: dict[str, Any], subscribed: int, share: float, days: int
) -> dict[str, Any]:
    today = at.astimezone(PARIS).date()
    history = [
        {
            "date": (today - timedelta(days=age)).isoformat(),
            "newest": int(subscribed * GO * share * (1 - 0.15 * age / 400)),
            "stored": int(subscribed * GO * share * (1 - 0.15 * age / 400) * 0.78),
            "subscribed_gb": subscribed // 2 if number == 9 and age > 200 else subscribed,
        }
        for age in range(days - 1, -1, -1)
    ]
    newest = history[-1]["newest"]
    percent = 100 * newest / (subscribed * GO)
    return {
        "client": key,
        "reference": f"PS-2026-{42 + number:04}",
        "at": _iso(at),
        "servers": servers,
        "promise": {
            "kept": number != 8,
            "problems": ["srv8-principal: 2026-11-12 had a complete backup, and its last version is gone."]
            if number == 8
            else [],
        },
        "volume": {
            "newest_bytes": newest,
            "stored_bytes": history[-1]["stored"],
            "subscribed_gb": subscribed,
            "percent": round(percent, 1),
            "threshold": max((level for level in (80, 95, 100) if percent >= level), default=0),
            "full_on": "2027-02-06" if number == 1 else "2026-11-22" if number == 7 else None,
            "closed": number == 7,
            "history": history,
        },
        "set_aside": [],
        "losses": {},
        "rubbish": [],
        "locks": [],
        "retention": {"at": _iso(at - timedelta(hours=7)), "failure": None},
        "check": {
            "at": _iso(at - timedelta(hours=6)),
            "ok": number != 8,
            "problems": ["pack 3fa2bc10 is damaged"] if number == 8 else [],
            "cycle_days": 30,
            "slices": 30,
            "slice": 12,
            "read_whole_on": "2026-11-11",
        }
        if number != 4
        else None,
        "drill": {
            "at": _iso(at - timedelta(days=9)),
            "ok": True,
            "files": 12,
            "bytes": 48_300_000,
            "problems": [],
        }
        if number != 4
        else None,
    }


def _finding(
    client: str, host: str | None, kind: str, since: datetime, seen: datetime, status: str
) -> dict[str, Any]:
    severity, clause, sentence, french, remedy = KINDS[kind]
    return {
        "id": f"{client}/{host or '-'}/{kind}/",
        "kind": kind,
        "client": client,
        "host": host,
        "severity": severity,
        "clause": clause,
        "sentence": sentence.format(host=host),
        "remedy": "See the French remedy.",
        "sentence_fr": french.format(host=host),
        "remedy_fr": remedy,
        "since": _iso(since),
        "last_seen": _iso(seen),
        "status": status,
        "concern": "applications" if "volume" in kind else "systems",
    }


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
