"""The mails to the provider's contacts after a monitoring run: each only when there is something to tell him.

What is new, what is reminded of and what was closed is told; what is open and was told is not (C9, C17).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ..documents import mail
from ..documents.french import count
from ..documents.model import Report, Told
from ..documents.render import render
from .kinds import CONCERNS
from .report import LEVELS, by_gravity

_PARTS = {
    "new": ("Nouveau", "nouveau", "nouveaux"),
    "reminded": ("Toujours ouvert", "rappel", "rappels"),
    "closed": ("Clos", "clos", "clos"),
}
"""status -> (heading, one, many), in the order of the mail"""
_NAMES = 3  # clients that a subject names


def contacts(provider: Mapping[str, str | None]) -> dict[str, str]:
    """Concern of a finding -> the address that is told of it. A contact who is alone is told of both."""
    known = [address for concern in CONCERNS if (address := provider.get(concern))]
    return {concern: provider.get(concern) or known[0] for concern in CONCERNS if known}


def announce(
    report: Report,
    server: Callable[[], mail.Server],
    recipients: Sequence[str],
    files: Sequence[str] = (),
) -> list[str]:
    """Send what there is to tell: a sentence for each thing that could not be sent. Raises no MailError.

    `server` may raise MailError as well; `files`: paths to attach. A file that cannot be attached is told,
    and the mail goes without it.
    """
    problems: list[str] = []
    attachments = []
    for path in files:
        try:
            attachments.append(mail.attach(path))
        except mail.MailError as error:
            problems.append(str(error))
    message = announcement(report, recipients, attachments)
    if not message:
        return []
    try:
        (refused,) = mail.send(server(), [message])
    except mail.MailError as error:
        return [*problems, str(error)]
    return [*problems, *refused]


def announcement(
    report: Report, recipients: Sequence[str], attachments: Sequence[mail.Attachment] = ()
) -> mail.Message | None:
    """The mail of a report, or None when everything in it was told before."""
    findings = [finding for client in report.clients for finding in client.findings]
    told = {
        status: by_gravity(one for one in (*findings, *report.closed) if one.status == status)
        for status in _PARTS
    }
    everything = [one for part in told.values() for one in part]
    if not everything:
        return None
    names = {client.id: client.name for client in report.clients}
    context = {
        "at": report.at,
        "title": "Surveillance des sauvegardes",
        "parts": [(_PARTS[status][0], part) for status, part in told.items() if part],
        "names": names,
        "counts": {level: sum(client.state == level for client in report.clients) for level in LEVELS},
        "attached": [one.name for one in attachments],
        "elsewhere": {
            concern: address
            for concern, address in report.provider.items()
            if recipients and address not in recipients
        },
    }
    return mail.Message(
        to=tuple(recipients),
        subject=f"Sauvegardes : {_numbers(told)} ({_clients(everything, names)})",
        text=render("findings_mail.txt.j2", **context),
        html=render("findings_mail.html.j2", **context),
        attachments=tuple(attachments),
    )


def _numbers(told: Mapping[str, Sequence[Told]]) -> str:
    return ", ".join(count(len(part), *_PARTS[status][1:]) for status, part in told.items() if part)


def _clients(findings: Sequence[Told], names: Mapping[str, str]) -> str:
    """The clients concerned, the worst first; those beyond the third are counted."""
    concerned = list(dict.fromkeys(names.get(one.client, one.client) for one in by_gravity(findings)))
    rest = len(concerned) - _NAMES
    return ", ".join(concerned[:_NAMES]) + (f" et {count(rest, 'autre')}" if rest > 0 else "")
