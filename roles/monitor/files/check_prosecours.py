"""What monitoring found, for the monitoring that a provider has already: Nagios and whoever takes its plugins
(Icinga, Centreon, Naemon), Checkmk, Zabbix, PRTG.

    python3 check_prosecours.py [--as FORM] [--client CLIENT] [--hours HOURS] REPORT

REPORT is the `report.json` that monitor.yml writes. It is only read, and nothing but Python 3.9 is needed:
run it on the controller, by NRPE, SSH or the agent of the other side. docs/monitoring.md has lines to copy.

A report that cannot be read, or is older than HOURS, is UNKNOWN: whoever looks at an old report sees nothing.
Texts in a report may have been written by a client. They come out on one line, without what steers a terminal
or ends a field.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, NamedTuple

Client = Mapping[str, Any]
"""One of the report, as docs/monitoring.md has it."""
WELL, WARNING, CRITICAL, UNKNOWN = range(4)
"""The exit codes of a plugin, and the states of a local check of Checkmk."""
NAMES = ("OK", "WARNING", "CRITICAL", "UNKNOWN")
STATES = {"ok": WELL, "notice": WELL, "warning": WARNING, "critical": CRITICAL}
"""State of a client, or severity of a finding -> exit code: a notice wakes nobody."""
WORST_FIRST = ("critical", "warning", "notice")
HOURS = 72.0
"""From the last round of a week's office hours to the first of the next one are 63."""
LINES = 20
"""Findings that are listed; more are counted. Nagios cuts an output at 8 KiB."""
LONGEST = 300
"""Characters of one line."""


class Unknown(Exception):
    """Nothing is known: why, as a sentence."""


class Figure(NamedTuple):
    """A number about clients; `unit` is one of Nagios: s, B, % or none."""

    name: str
    unit: str
    value: float


class Round(NamedTuple):
    """A report that may be believed: the clients that were asked about, and when they were looked at."""

    clients: Sequence[Client]
    at: datetime

    @property
    def state(self) -> int:
        return max((STATES[client["state"]] for client in self.clients), default=WELL)


# -- facts ----------------------------------------------------------------------------------------------


def read(path: str, client: str | None, hours: float, now: datetime) -> Round:
    """The report, if it is one, not too old, and knows the client. Raises Unknown."""
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123 -- nothing else of it is needed
            report = json.load(file)
        at = datetime.fromisoformat(report["at"].replace("Z", "+00:00"))
        clients = [one for one in report["clients"] if client in (None, one["id"])]
        found = Round(clients, at)
        _unused = found.state, [figures([one], at) for one in clients], lines(clients)
        age = (now - at).total_seconds() / 3600
    except OSError as error:
        raise Unknown(
            f"{path} cannot be read ({error.strerror}). Run monitor.yml, or name the report that it wrote."
        ) from None
    except (ValueError, LookupError, TypeError, AttributeError):
        raise Unknown(f"{path} is no report of monitor.yml. Name the report.json that it wrote.") from None
    if age > hours:
        raise Unknown(f"The report is {age:.0f} h old. See why monitor.yml did not run (its timer).")
    if client and not clients:
        raise Unknown(f'The report knows no client "{client}". Write its group of the inventory.')
    return found


def figures(clients: Sequence[Client], now: datetime) -> list[Figure]:
    """What is counted and measured about clients together; what is not known is left out."""
    found = [
        Figure(
            severity, "", sum(one["severity"] == severity for client in clients for one in client["findings"])
        )
        for severity in WORST_FIRST
    ]
    servers = [server for client in clients for server in client["servers"]]
    found.append(Figure("unreachable", "", sum(server["reachable"] is False for server in servers)))
    known = [client["repository"] for client in clients if client["repository"]]
    ages = [
        (now - datetime.fromisoformat(server["last"].replace("Z", "+00:00"))).total_seconds()
        for client in clients
        for host, server in ((client["repository"] or {}).get("servers") or {}).items()
        if server["last"] and host in {one["host"] for one in client["servers"]}
    ]
    if ages:
        found.append(Figure("oldest_backup", "s", round(max(ages))))
    shares = [
        100 * status["volume"]["newest_bytes"] / (status["volume"]["subscribed_gb"] * 10**9)
        for status in known
        if status["volume"]["newest_bytes"] is not None
    ]
    if shares:
        found.append(Figure("fullest_volume", "%", round(max(shares), 1)))
    return found


def lines(clients: Sequence[Client]) -> list[str]:
    """The findings, the worst first."""
    findings = [(client, one) for client in clients for one in client["findings"]]
    findings.sort(key=lambda pair: (WORST_FIRST.index(pair[1]["severity"]), pair[1]["since"], pair[1]["id"]))
    return [
        plain(f"{one['severity'].upper()} {client['name']}: {one['sentence']} ({one['clause']})")
        for client, one in findings
    ]


def plain(text: str) -> str:
    """On one line, without what steers a terminal, and without the | that ends the text of a plugin."""
    seen = "".join(character if character.isprintable() else " " for character in text.replace("|", "/"))
    line = " ".join(seen.split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"


# -- forms ----------------------------------------------------------------------------------------------


def summary(found: Round) -> str:
    """How many clients are not well, and the worst that is said of one."""
    unwell = sum(STATES[client["state"]] != WELL for client in found.clients)
    said = lines(found.clients)
    told = f"{unwell} of {len(found.clients)} clients are not well" if len(found.clients) != 1 else ""
    first = said[0] if said and (unwell or not told) else ""
    return " - ".join(part for part in (told, first) if part) or "nothing was found"


def nagios(found: Round) -> str:
    """The output of a plugin: a line, its figures, and the findings (Monitoring Plugins' guidelines)."""
    measured = " ".join(
        f"'{one.name}'={one.value:g}{one.unit};;;0" for one in figures(found.clients, found.at)
    )
    said = lines(found.clients)
    more = [f"and {len(said) - LINES} more"] if len(said) > LINES else []
    return "\n".join(
        [f"PROSECOURS {NAMES[found.state]} - {summary(found)} | {measured}", *said[:LINES], *more]
    )


def checkmk(found: Round) -> str:
    """Lines of a local check: state, service, figures, text; one service a client."""
    return "\n".join(_services(found))


def _services(found: Round) -> Iterator[str]:
    for client in found.clients:
        measured = "|".join(f"{one.name}={one.value:g}" for one in figures([client], found.at))
        service = plain(f"Pro Secours {client['id']}").replace('"', "'")
        said = summary(found._replace(clients=[client]))
        yield f'{STATES[client["state"]]} "{service}" {measured} {said}'


def zabbix(found: Round) -> str:
    """A list for a rule of low-level discovery, with the macros and, for dependent items, the values."""
    return json.dumps(
        [
            {
                "{#CLIENT}": client["id"],
                "{#NAME}": plain(client["name"]),
                "state": STATES[client["state"]],
                "text": summary(found._replace(clients=[client])),
                **{one.name: one.value for one in figures([client], found.at)},
            }
            for client in found.clients
        ],
        ensure_ascii=False,
        indent=1,
    )


def prtg(found: Round) -> str:
    """The answer of an advanced script sensor."""
    units = {"s": "TimeSeconds", "%": "Percent", "": "Count"}
    channels = [
        {
            "channel": one.name,
            "value": one.value,
            "unit": units[one.unit],
            "float": int(not float(one.value).is_integer()),
            # PRTG has no exit code for a warning: limits of these channels make the state of the sensor.
            **({"limitmode": 1, limit: 0} if (limit := _LIMITS.get(one.name)) else {}),
        }
        for one in figures(found.clients, found.at)
    ]
    return json.dumps({"prtg": {"result": channels, "text": summary(found)}}, ensure_ascii=False)


_LIMITS = {"critical": "limitmaxerror", "warning": "limitmaxwarning"}


class Form(NamedTuple):
    """How a report is told, and how it is told that nothing is known. The exit code is the state's only where
    the other side asks for it; elsewhere it says whether the program itself did its work."""

    write: Callable[[Round], str]
    unknown: Callable[[str], str]
    exits: bool = False


FORMS = {
    "nagios": Form(nagios, lambda why: f"PROSECOURS UNKNOWN - {why}", exits=True),
    "checkmk": Form(checkmk, lambda why: f'{UNKNOWN} "Pro Secours" - {why}'),
    "zabbix": Form(zabbix, lambda _why: ""),
    "prtg": Form(prtg, lambda why: json.dumps({"prtg": {"error": 1, "text": why}}, ensure_ascii=False)),
}


def main(arguments: Sequence[str] | None = None, now: datetime | None = None) -> int:
    """The program. Returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="check_prosecours.py", description=(__doc__ or "").partition("\n\n")[0]
    )
    parser.add_argument("report", metavar="REPORT", help="the report.json that monitor.yml wrote")
    parser.add_argument("--as", dest="form", choices=FORMS, default="nagios", help="whose form (nagios)")
    parser.add_argument("--client", help="only this one, by the name of its group in the inventory")
    parser.add_argument("--hours", type=float, default=HOURS, help=f"how old a report may be ({HOURS:g})")
    given = parser.parse_args(arguments)
    form = FORMS[given.form]
    try:
        found = read(given.report, given.client, given.hours, now or datetime.now(timezone.utc))  # noqa: UP017 -- 3.11 has it
    except Unknown as why:
        print(form.unknown(plain(str(why))))
        if form.exits:
            return UNKNOWN
        print(why, file=sys.stderr)
        return 0 if form.unknown("") else 1
    print(form.write(found))
    return found.state if form.exits else 0


if __name__ == "__main__":
    sys.exit(main())
