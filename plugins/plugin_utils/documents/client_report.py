"""The monthly report to a client (C18 3.4 "informé"): facts of its own backups, never a promise (C19).

Made from the report of the last monitoring run. facts (that report, what lies in the folder, what was sent)
-> plan -> apply -> report: a second run finds nothing to do, and what was sent stays as it was sent.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from ...module_utils.maintenance import shape
from ...module_utils.maintenance.model import Status
from ..clock import local
from ..errors import ProSecoursError
from ..files import CannotWrite, write_whole
from . import french, mail, plots, views
from .model import FORMAT, ClientLine, Report
from .render import DocumentError, pdf, render

SENT = "sent.json"
"""client -> when its report went to whom; beside the reports of that month."""
_MONITOR_FIRST = "Run playbooks/monitor.yml first"


class ClientReportError(ProSecoursError):
    """No report can be made at all."""


@dataclass(frozen=True)
class Month:
    """A month that is over, by its first day."""

    first: date

    @property
    def last(self) -> date:
        return (self.first + timedelta(days=31)).replace(day=1) - timedelta(days=1)

    def __str__(self) -> str:
        return f"{self.first:%Y-%m}"


@dataclass(frozen=True)
class Due:
    """What is due to one client: the page to write, with its PDF, and the mail to send, if any."""

    client: str
    page: Path
    html: str
    write: bool
    message: mail.Message | None
    """Without the PDF, which may not be made yet."""

    @property
    def pdf(self) -> Path:
        return self.page.with_suffix(".pdf")


@dataclass(frozen=True)
class Delivered:
    """client -> whom its report was sent to; client -> sentences about what failed."""

    sent: Mapping[str, Sequence[str]]
    failures: Mapping[str, Sequence[str]]


# -- facts ----------------------------------------------------------------------------------------------


def read(path: str | Path) -> Report:
    """The report of the last monitoring run. Raises ClientReportError."""
    try:
        report = json.loads(Path(path).read_text("utf-8"))
    except FileNotFoundError:
        raise ClientReportError(f"There is no {path}", _MONITOR_FIRST) from None
    except OSError as error:
        raise ClientReportError(
            f"{path} cannot be read: {error.strerror}", "Give yourself the right to read it"
        ) from error
    except ValueError as error:
        raise ClientReportError(f"{path} is no report of monitoring", _MONITOR_FIRST) from error
    try:
        known = shape.read(Report, report)
    except shape.NotOfShape:
        known = None
    if known is None or known.format != FORMAT:
        raise ClientReportError(f"{path} is no report of monitoring that this version knows", _MONITOR_FIRST)
    return known


def month_of(wished: str, now: datetime) -> Month:
    """The month `YYYY-MM`, or the one before this. Raises ClientReportError for one that is not over."""
    today = local(now).date()
    if not wished:
        return Month((today.replace(day=1) - timedelta(days=1)).replace(day=1))
    if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", wished):
        raise ClientReportError(f'"{wished}" is no month', 'Write prosecours_report_month like "2026-10"')
    found = Month(date.fromisoformat(f"{wished}-01"))
    if found.last >= today:
        raise ClientReportError(f"{wished} is not over yet", f"Ask for a month before {today:%Y-%m}")
    return found


def sent(folder: Path) -> dict[str, Any]:
    """What was sent of a month. Raises ClientReportError."""
    try:
        return dict(json.loads((folder / SENT).read_text("utf-8")))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ClientReportError(
            f"{folder / SENT} cannot be read ({error}): it tells what was sent already",
            "Repair it, or remove it to send all reports of that month again",
        ) from error


# -- plan -----------------------------------------------------------------------------------------------


def plan(
    report: Report,
    wanted: Sequence[str],
    month: Month,
    folder: Path,
    provider: Mapping[str, str],
    *,
    post: bool,
    again: bool = False,
) -> tuple[list[Due], dict[str, list[str]]]:
    """What is to be done for the clients `wanted`, and why nothing can be done for others.

    `folder` holds the reports of that month; `provider`: applications, systems (e-mail), telephone, each may
    be missing; `post`: a mail is wished; `again`: also to a client that was sent its report. Raises
    ClientReportError when the monitoring report is older than the month's end.
    """
    if local(report.at).date() <= month.last:
        raise ClientReportError(
            f"The last monitoring run is of {local(report.at):%Y-%m-%d}, before the end of {month}",
            _MONITOR_FIRST,
        )
    known = {client.id: client for client in report.clients}
    already = {} if again else sent(folder)
    plans: list[Due] = []
    failures: dict[str, list[str]] = {}
    for name in wanted:
        if name in already:
            continue
        client = known.get(name)
        if client is None:
            failures[name] = [
                f"{name} is not in the last monitoring report: run playbooks/monitor.yml first."
            ]
        elif client.repository is None:
            reason = client.repository_failure or "it was not asked"
            failures[name] = [
                f"{name}: the last monitoring run knows nothing of its repository ({reason.rstrip('.')}): "
                "see to that, then run playbooks/monitor.yml."
            ]
        else:
            one = _plan(client, client.repository, report.at, month, folder, provider, post=post)
            plans += [one] if one.write or one.message else []
    return plans, failures


def _plan(
    client: ClientLine,
    status: Status,
    at: datetime,
    month: Month,
    folder: Path,
    provider: Mapping[str, str],
    *,
    post: bool,
) -> Due:
    context = view(client, status, at, month, provider)
    html = render("client_report.html.j2", **context)
    page = folder / f"sauvegardes-{month}-{client.id}.html"
    message = None
    if post:
        message = mail.Message(
            to=(client.contacts.main.email,),
            subject=context["title"],
            text=render("client_report_mail.txt.j2", **context),
            html=render("client_report_mail.html.j2", **context),
        )
    return Due(client.id, page, html, not _is_there(page, html), message)


def _is_there(page: Path, html: str) -> bool:
    """The page is written after its PDF, so it tells that both are there."""
    try:
        return page.with_suffix(".pdf").exists() and page.read_text("utf-8") == html
    except OSError:
        return False


def view(
    client: ClientLine, status: Status, at: datetime, month: Month, provider: Mapping[str, str]
) -> dict[str, Any]:
    """What the templates show: facts of this client alone, each with its date."""
    hosts = [server.host for server in client.servers]
    cells = views.days(status, hosts, month.first, month.last, local(at).date())
    counted = [cell for cell in cells if cell.state != "idle"]
    return {
        "title": f"Vos sauvegardes : {french.month(month.first)}",
        "client": client,
        "month": month.first,
        "at": at,
        "status": status,
        "provider": {key: provider.get(key) or "" for key in ("applications", "systems", "telephone")},
        "days": len(cells),
        "counted": len(counted),
        "complete": sum(cell.state == "complete" for cell in counted),
        "others": [cell for cell in counted if cell.state != "complete"],
        "calendar": list(views.weeks(cells)),
        "servers": [_server(host, status, month) for host in hosts],
        "volume": views.volume_figure(f"{client.id}-volume", status.volume, stored=False),
        "forecast": views.forecast(status.volume),
    }


@dataclass(frozen=True)
class _Server:
    """A server of the contract: its complete days of the month, and what is kept of it."""

    host: str
    days: int
    versions: int = 0
    last: datetime | None = None
    oldest_day: date | None = None


def _server(host: str, status: Status, month: Month) -> _Server:
    kept = status.servers.get(host)
    if kept is None:  # one that has sent nothing yet may be unknown to the repository
        return _Server(host, 0)
    days = {
        on
        for entry in kept.history
        if entry.complete
        and entry.id not in status.set_aside
        and month.first <= (on := local(entry.time).date()) <= month.last
    }
    return _Server(host, len(days), kept.versions, kept.last, kept.oldest_day)


# -- apply ----------------------------------------------------------------------------------------------


def apply(plans: Sequence[Due], folder: Path, server: mail.Server | None, now: datetime) -> Delivered:
    """Write the files, then send the mails in one go, and remember what was sent.

    Each failure is a sentence of its client; the rest is done all the same.
    """
    failures: dict[str, list[str]] = {}
    letters: list[tuple[str, mail.Message]] = []
    for one in plans:
        try:
            if one.write:
                write_whole(one.pdf, pdf(plots.on_paper(one.html)))
                write_whole(one.page, one.html)
            if one.message:
                letters.append((one.client, replace(one.message, attachments=(mail.attach(one.pdf),))))
        except (CannotWrite, DocumentError, mail.MailError) as error:
            failures[one.client] = [str(error)]
    if not server or not letters:
        return Delivered({}, failures)
    try:
        outcome = mail.send(server, [message for _unused, message in letters])
    except mail.MailError as error:
        outcome = [[str(error)]] * len(letters)
    posted: dict[str, Sequence[str]] = {}
    for (client, message), problems in zip(letters, outcome, strict=True):
        if problems:
            failures[client] = problems
        else:
            posted[client] = message.to
    return Delivered(posted, {**failures, **_remember(posted, folder, now)})


def _remember(posted: Mapping[str, Sequence[str]], folder: Path, now: datetime) -> dict[str, list[str]]:
    if not posted:
        return {}
    at = local(now).isoformat(timespec="seconds")
    known = {**sent(folder), **{client: {"at": at, "to": list(to)} for client, to in posted.items()}}
    try:
        write_whole(folder / SENT, json.dumps(known, indent=2, sort_keys=True) + "\n")
    except CannotWrite as error:
        return {
            client: [f"{client}: its report was sent, which cannot be noted: {error}"] for client in posted
        }
    return {}
