"""The provider's monitoring report: what `monitor` found, as one French page for screen, telephone and paper.

Input is the report that docs/monitoring.md describes; nothing is judged here, only shown. A finding has a
French sentence of its own; what a program said in English stays so, and is marked for screen readers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from . import plots, report_views
from .documents import duration, local, render, write_html, write_pdf

#: Severities and states, the worst first.
LEVELS = ("critical", "warning", "notice", "ok")
_CALENDAR_WEEKS = 5

#: Exit code of the agent's last run -> what it was (docs/agent.md).
_EXITS = {
    0: "complète",
    1: "échouée",
    3: "incomplète",
    10: "dépôt absent",
    11: "dépôt verrouillé",
    12: "mot de passe refusé",
    250: "agent incomplet",
    251: "déjà en cours",
}


def write(report: Mapping[str, Any], folder: str | Path, *, pdf: bool = False) -> dict[str, str]:
    """Write `surveillance.html` into `folder`, and `surveillance.pdf` if wished: kind -> path.

    The same report gives the same files. Raises DocumentError when the folder cannot be written.
    """
    page = html(report)
    paths = {"html": write_html(page, Path(folder) / "surveillance.html")}
    if pdf:
        paths["pdf"] = write_pdf(plots.on_paper(page), Path(folder) / "surveillance.pdf")
    return {kind: str(path) for kind, path in paths.items()}


def html(report: Mapping[str, Any]) -> str:
    """The page."""
    clients = sorted(
        (_client(client, report["at"]) for client in report["clients"]),
        key=lambda client: (LEVELS.index(client["state"]), client["name"].casefold()),
    )
    names = {client["id"]: client["name"] for client in report["clients"]}
    return render(
        "monitoring_report.html.j2",
        title="Surveillance des sauvegardes",
        at=report["at"],
        clients=clients,
        names=names,
        counts={level: sum(client["state"] == level for client in clients) for level in LEVELS},
        findings=by_gravity(finding for client in report["clients"] for finding in client["findings"]),
        closed=by_gravity(report["closed"]),
        journal=report["journal"],
        levels=LEVELS,
    )


def by_gravity(findings: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The worst first, then the oldest."""
    return sorted(findings, key=lambda one: (LEVELS.index(one["severity"]), one["since"], one["id"]))


def _client(client: Mapping[str, Any], at: str) -> dict[str, Any]:
    """A client as the page shows it: its report with plots, calendar and servers from both sides."""
    status, today = client["repository"], local(at).date()
    shown = {
        **client,
        "findings": by_gravity(client["findings"]),
        "servers": _servers(client, at),
        "last": None,
        "calendar": [],
        "figures": [],
        "forecast": "",
    }
    if status:
        hosts = {server["host"] for server in client["servers"]}
        first = today - timedelta(days=today.weekday(), weeks=_CALENDAR_WEEKS - 1)
        cells = report_views.days(status, hosts, first, today, today)
        if any(cell.state != "idle" for cell in cells):
            shown["calendar"] = list(report_views.weeks(cells))
        shown["figures"] = [figure for figure in _figures(client["id"], status, today) if figure]
        shown["forecast"] = report_views.forecast(status["volume"])
        shown["last"] = _last(shown["servers"])
    return shown


def _figures(name: str, status: Mapping[str, Any], today: date) -> list[report_views.Figure | None]:
    first = today - timedelta(days=report_views.BACKUP_DAYS)
    return [
        report_views.volume_figure(f"{name}-volume", status["volume"], stored=True),
        report_views.backups_figure(f"{name}-backups", status, first, today),
    ]


def _servers(client: Mapping[str, Any], at: str) -> list[dict[str, Any]]:
    """Each server from both sides, those of the contract first; `left`: the repository alone knows it."""
    kept = client["repository"]["servers"] if client["repository"] else {}
    live = {server["host"]: server for server in client["servers"]}
    return [
        {
            "host": host,
            "left": host not in live,
            "address": live.get(host, {}).get("address"),
            "reachable": live.get(host, {}).get("reachable"),
            "failure": live.get(host, {}).get("failure"),
            "free_bytes": live.get(host, {}).get("free_bytes"),
            "clock": _clock(live.get(host, {}).get("clock_offset_seconds")),
            "run": _run(live.get(host, {}).get("last_status")),
            "known": host in kept,
            "last": kept.get(host, {}).get("last"),
            "age": _age(kept.get(host, {}).get("last"), at),
            "versions": kept.get(host, {}).get("versions", 0),
            "incomplete": kept.get(host, {}).get("incomplete", 0),
            "oldest_day": kept.get(host, {}).get("oldest_day"),
        }
        for host in (*live, *sorted(kept.keys() - live.keys()))
    ]


def _last(servers: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The server of the contract whose last complete backup is oldest: a client is no better than that."""
    own = [server for server in servers if not server["left"]]
    return min(own, key=lambda server: server["last"] or "", default=None)


def _age(moment: str | None, at: str) -> str:
    if not moment:
        return ""
    seconds = (local(at) - local(moment)).total_seconds()
    if abs(seconds) >= 3600:
        seconds = round(seconds / 3600) * 3600  # nobody needs the minutes of yesterday
    return f"il y a {duration(seconds)}" if seconds >= 0 else f"dans {duration(-seconds)}"


def _clock(seconds: float | None) -> str:
    if seconds is None:
        return ""
    if abs(seconds) < 60:
        return "à l'heure"
    return f"{'avance' if seconds > 0 else 'retard'} de {duration(abs(seconds))}"


def _run(status: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The agent's own account of its last backup."""
    if not status:
        return None
    code = status["exit_code"]
    return {"end": status["end"], "words": _EXITS.get(code, f"code {code}")}
