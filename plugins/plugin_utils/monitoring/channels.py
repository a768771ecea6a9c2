"""What monitoring has to tell, by whatever Apprise knows: Teams, Slack, SMS, ntfy, webhooks.

The same text as the mail, for the same reason to send any; all of it, or with `applications=` or `systems=`
before the address, as tags stand in Apprise's own files, what concerns that contact. An address is a secret,
so a channel is named by its number and its service, and of what went wrong only a code is quoted.
"""

from __future__ import annotations

import re
from typing import Any

from ..documents.model import Report
from ..libraries import INSTALL
from ..secret import Secret
from .kinds import CONCERNS, CRITICAL, NOTICE, WARNING
from .mail import announcement
from .memory import OPEN

SECONDS = 60.0
"""For one channel, all its targets together."""
_TYPES = {CRITICAL: "failure", WARNING: "warning", NOTICE: "info"}
"""severity -> Apprise's type of a message, which some channels show as a colour"""
_SEE = "See prosecours_monitor_channels"
_TAGGED = re.compile(r"(\w+) *= *(\w+://.*)")


def addressed(channel: str) -> tuple[tuple[str, ...], Secret]:
    """Which findings a channel is told of, and its address."""
    tagged = _TAGGED.fullmatch(channel.strip())
    if tagged and tagged[1] in CONCERNS:
        return (tagged[1],), Secret(tagged[2])
    return CONCERNS, Secret(channel)


def announce(report: Report, number: int, address: Secret, seconds: float = SECONDS) -> list[str]:
    """Tell by the channel `number` what is new, reminded or closed: a sentence when it could not be told."""
    message = announcement(report, ())
    if not message:
        return []
    try:
        import apprise  # late: half a second of work, which most rounds do not need
    except ModuleNotFoundError as error:
        return [f"No channel can be used, the Python of Ansible has no {error.name}. Install it: {INSTALL}."]
    if _TAGGED.fullmatch(address.reveal().strip()):
        return [
            f"Channel {number} has before its address what is no contact: write {'= or '.join(CONCERNS)}="
            " there in prosecours_monitor_channels, or nothing for a channel that is told all."
        ]
    with apprise.LogCapture(level=apprise.logging.WARNING, name=apprise.logger.name) as log:
        channel = apprise.Apprise.instantiate(address.reveal(), suppress_exceptions=True)
        if channel is None:
            return [
                f"Channel {number} is no address that Apprise knows. {_SEE}, and the services that"
                " https://appriseit.com lists."
            ]
        name = f"Channel {number} ({channel.service_name})"
        if problem := _unsafe(channel):
            return [f"{name} {problem}."]
        sender = apprise.Apprise()
        sender.add(channel)
        kind = apprise.NotifyType(_type(report))
        sent = sender.notify(
            body=message.text,
            title=message.subject,
            notify_type=kind,
            body_format=apprise.NotifyFormat.TEXT,
            timeout=seconds,
        )
        if sent:
            return []
        code = re.search(r"\berror=(\d{3})\b", log.getvalue())
    said = f"HTTP {code[1]}" if code else f"no connection, or no answer within {seconds:g} s"
    return [f"{name} was not told what monitoring found ({said}). {_SEE}, and try its address with apprise."]


def _unsafe(channel: Any) -> str:
    """Why nothing may be sent by it: what monitoring found about a client is for nobody on the way."""
    if not channel.verify_certificate:
        return "would take any certificate: leave verify=no out of its address"
    scheme = channel.url(privacy=True).partition("://")[0]  # as Apprise itself would write it
    secured = _names(channel.secure_protocol)
    if secured and scheme in _names(channel.protocol) and scheme not in secured:
        return f"would send in clear: let its address begin with {secured[0]}://"
    return ""


def _names(protocol: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return (protocol,) if isinstance(protocol, str) else tuple(protocol or ())


def _type(report: Report) -> str:
    """Of the worst that is told; when all of it is closed, a success."""
    told = {one.severity for client in report.clients for one in client.findings if one.status != OPEN}
    return next((kind for severity, kind in _TYPES.items() if severity in told), "success")
