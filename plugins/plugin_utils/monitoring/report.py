"""The provider's monitoring report: what `monitor` found, as one French page for screen, telephone and paper.

Input is the report that docs/monitoring.md describes; nothing is judged here, only shown. A finding has a
French sentence of its own; what a program said in English stays so, and is marked for screen readers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from ...module_utils.maintenance.model import ServerStatus, Status
from ..clock import local
from ..documents import plots, views
from ..documents.french import duration
from ..documents.model import ClientLine, LastRun, Report, ServerLine, Told
from ..documents.render import pdf, render, script
from ..files import remove, write_whole
from ..wording import typographic
from .kinds import CONCERNS

LEVELS = ("critical", "warning", "notice", "ok")
"""Severities and states, the worst first."""
SECTIONS = 10
"""Clients whose section stands in the page of the fleet: the worst. With all of theirs, 500 are 18 MB."""
CLIENTS = "clients"
"""The folder beside the page with the pages of the others."""
_CALENDAR_WEEKS = 5
_NEVER = datetime.min.replace(tzinfo=UTC)
_SHOWN = ("id", "name", "reference", "contacts", "state", "repository", "repository_failure")

_EXITS = {
    0: "complète",
    1: "échouée",
    3: "incomplète",
    10: "dépôt absent",
    11: "dépôt verrouillé",
    12: "mot de passe refusé",
    250: "agent incomplet",
    251: "déjà en cours",
    252: "échouée : restic.exe a disparu (antivirus ?)",
    253: "arrêtée : durée maximale dépassée",
}
"""Exit code of the agent's last run -> what it was (docs/agent.md)."""


def write(report: Report, folder: str | Path, *, with_pdf: bool = False) -> dict[str, str]:
    """Write `surveillance.html` into `folder`, and `surveillance.pdf` if wished: kind -> path. Beside them
    `clients/ID.html` for each client whose section is not in the page; those of earlier runs go.

    The same report gives the same files. Raises CannotWrite, DocumentError.
    """
    place, clients = Path(folder), [_section(client, report.at) for client in _clients(report)]
    others = {f"{client['id']}.html": _alone(report, client) for client in clients[SECTIONS:]}
    for name, text in others.items():
        write_whole(place / CLIENTS / name, text)
    paths = {"html": write_whole(place / "surveillance.html", _page(report, clients, SECTIONS))}
    if with_pdf:
        whole = _page(report, clients, len(clients))
        paths["pdf"] = write_whole(place / "surveillance.pdf", pdf(plots.on_paper(whole)))
    for old in (place / CLIENTS).glob("*.html"):
        if old.name not in others:
            remove(old)
    return {kind: str(path) for kind, path in paths.items()}


def html(report: Report) -> str:
    """The page of the fleet."""
    clients = _clients(report)
    clients[:SECTIONS] = [_section(client, report.at) for client in clients[:SECTIONS]]
    return _page(report, clients, SECTIONS)


def _clients(report: Report) -> list[dict[str, Any]]:
    """All clients as they are shown, the worst first."""
    return sorted(
        (_client(client, report.at) for client in report.clients),
        key=lambda client: (LEVELS.index(client["state"]), client["name"].casefold()),
    )


def _alone(report: Report, client: dict[str, Any]) -> str:
    """The page of a client whose section is not in that of the fleet."""
    return render("monitoring_client.html.j2", title=client["name"], at=report.at, client=client)


def _page(report: Report, clients: list[dict[str, Any]], sections: int) -> str:
    """The page, with the sections of the first so many clients, which have what `_section` adds."""
    here = {client["id"] for client in clients[:sections]}
    return render(
        "monitoring_report.html.j2",
        title="Surveillance des sauvegardes",
        at=report.at,
        clients=clients,
        here=len(here),
        many=len(here) < len(clients),
        places={
            client["id"]: f"#{client['id']}" if client["id"] in here else f"{CLIENTS}/{client['id']}.html"
            for client in clients
        },
        **script("monitoring_report.js"),
        names={client.id: client.name for client in report.clients},
        counts={level: sum(client["state"] == level for client in clients) for level in LEVELS},
        findings=by_gravity(finding for client in report.clients for finding in client.findings),
        closed=by_gravity(report.closed),
        journal=report.journal,
        provider={concern: report.provider.get(concern, "") for concern in CONCERNS},
        levels=LEVELS,
    )


def by_gravity(findings: Iterable[Told]) -> list[Told]:
    """The worst first, then the oldest."""
    return sorted(findings, key=lambda one: (LEVELS.index(one.severity), one.since, one.id))


def _client(client: ClientLine, at: datetime) -> dict[str, Any]:
    """A client in the table of all, with its servers from both sides."""
    servers = _servers(client, at)
    return {
        **{name: getattr(client, name) for name in _SHOWN},
        "findings": by_gravity(client.findings),
        "servers": servers,
        "last": _last(servers) if client.repository else None,
    }


def _section(client: dict[str, Any], at: datetime) -> dict[str, Any]:
    """The same with what its own section has besides: calendar, plots and forecast."""
    status, today = client["repository"], local(at).date()
    if not status:
        return {**client, "calendar": [], "figures": [], "forecast": ""}
    hosts = {server.host for server in client["servers"] if server.live}
    first = today - timedelta(days=today.weekday(), weeks=_CALENDAR_WEEKS - 1)
    cells = views.days(status, hosts, first, today, today)
    return {
        **client,
        "calendar": list(views.weeks(cells)) if any(cell.state != "idle" for cell in cells) else [],
        "figures": [figure for figure in _figures(client["id"], status, today) if figure],
        "forecast": views.forecast(status.volume),
    }


def _figures(name: str, status: Status, today: date) -> list[views.Figure | None]:
    first = today - timedelta(days=views.BACKUP_DAYS)
    return [
        views.volume_figure(f"{name}-volume", status.volume, stored=True),
        views.backups_figure(f"{name}-backups", status, first, today),
    ]


@dataclass(frozen=True)
class _Server:
    """A server from both sides."""

    host: str
    live: ServerLine | None
    """As monitoring saw it; None: the repository alone knows it, it has left the contract."""
    run: str
    """How the agent's last backup ended, by its own account."""
    clock: str
    kept: ServerStatus | None
    """As the repository knows it."""
    age: str
    """Of the newest complete version."""

    @property
    def last(self) -> datetime | None:
        return self.kept.last if self.kept else None


def _servers(client: ClientLine, at: datetime) -> list[_Server]:
    """Each server from both sides, those of the contract first."""
    kept = client.repository.servers if client.repository else {}
    live = {server.host: server for server in client.servers}
    return [
        _Server(
            host,
            live.get(host),
            _run(live[host].last_status) if host in live else "",
            _clock(live[host].clock_offset_seconds) if host in live else "",
            kept.get(host),
            _age(kept[host].last, at) if host in kept else "",
        )
        for host in (*live, *sorted(kept.keys() - live.keys()))
    ]


def _last(servers: list[_Server]) -> _Server | None:
    """The server of the contract whose last complete backup is oldest: a client is no better than that."""
    own = [server for server in servers if server.live]
    return min(own, key=lambda server: server.last or _NEVER, default=None)


def _age(moment: datetime | None, at: datetime) -> str:
    if not moment:
        return ""
    seconds = (at - moment).total_seconds()
    if abs(seconds) >= 3600:
        seconds = round(seconds / 3600) * 3600  # nobody needs the minutes of yesterday
    return f"il y a {duration(seconds)}" if seconds >= 0 else f"dans {duration(-seconds)}"


def _clock(seconds: float | None) -> str:
    if seconds is None:
        return ""
    if abs(seconds) < 60:
        return str(typographic("à l'heure"))
    return f"{'avance' if seconds > 0 else 'retard'} de {duration(abs(seconds))}"


def _run(run: LastRun | None) -> str:
    if run is None or run.exit_code is None:
        return ""
    return _EXITS.get(run.exit_code, f"code {run.exit_code}")
