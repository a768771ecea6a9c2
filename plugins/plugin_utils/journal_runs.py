"""Runs of playbooks as the journal tells them: what is gathered during a run, and what is read back.

    begin: run, playbook, technician, login, controller, instruction, reason, check,
           clients {client: [its servers]}, hosts [hosts that are no client's server]
    also:  run, technician, instruction, reason, clients, hosts: whom it comes to in addition, before it does
    end:   run, result (ok, changed, failed, interrupted), rows [ROW]
    ROW    client (or null), host, result (ok, changed, failed, unreachable), changes [sentence],
           failures [sentence], details {what actions returned under "journal"}

A run without an end was killed, or is still under way.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from .journal import Entry

PARIS = ZoneInfo("Europe/Paris")
CONTROLLER = "localhost"
#: The results of a host, the worst last; a run has the worst of its hosts.
RESULTS = ("ok", "changed", "failed", "unreachable")
NO_END = "no end"
#: The id of the run that the callback journals in this process and those forked from it; None without one.
under_way: str | None = None
#: Sentences of one kind about one host; more are counted.
MOST = 50


# -- gathering ----------------------------------------------------------------------------------------


@dataclass
class Row:
    """What happened to one host, for one client."""

    client: str | None
    host: str
    result: str = "ok"
    changes: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)

    def data(self) -> dict[str, Any]:
        return {
            **vars(self),
            "changes": _shortened(self.changes),
            "failures": _shortened(self.failures),
        }


@dataclass
class Rows:
    """The rows of a run, in the order in which they came up."""

    _rows: dict[tuple[str | None, str], Row] = field(default_factory=dict)

    def add(
        self,
        client: str | None,
        host: str,
        result: str,
        changes: Iterable[str] = (),
        failures: Iterable[str] = (),
        details: Mapping[str, Any] | None = None,
    ) -> None:
        """One result of a task on a host, a server of `client` or nobody's. In `details`, what stands under
        `clients` is each client's own, and with a `client` all is that client's.
        """
        row = self._row(client, host)
        row.result = max(row.result, result, key=RESULTS.index)
        row.changes += changes
        row.failures += failures
        rest = dict(details or {})
        for name, own in rest.pop("clients", {}).items():
            self._row(name, host).details.update(own)
        if name := rest.pop("client", None):
            row = self._row(name, host)
        row.details.update(rest)

    def rescued(self, client: str | None, host: str) -> None:
        """What failed on this host was made good by the playbook itself."""
        row = self._row(client, host)
        if row.result in ("failed", "unreachable"):
            row.result = "changed" if row.changes else "ok"

    def end(self, named: Collection[str], interrupted: bool = False) -> dict[str, Any]:
        """The entry of the end of the run, without the id of the run. Of a host that was not `named` there is
        a row only if something is to be told.
        """
        rows = [row for row in self._rows.values() if row.host in named or row != Row(row.client, row.host)]
        worst = max((row.result for row in rows), key=RESULTS.index, default="ok")
        result = "interrupted" if interrupted else {"unreachable": "failed"}.get(worst, worst)
        return {"kind": "end", "result": result, "rows": [row.data() for row in rows]}

    def _row(self, client: str | None, host: str) -> Row:
        return self._rows.setdefault((client, host), Row(client, host))


def _shortened(sentences: Sequence[str]) -> list[str]:
    rest = len(sentences) - MOST
    return [*sentences[:MOST], f"and {rest} more"] if rest > 0 else list(sentences)


# -- reading back -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Run:
    """A run: its two entries. Without `end` it was killed, or is under way."""

    begin: Entry
    end: Entry | None

    @property
    def result(self) -> str:
        return str(self.end["result"]) if self.end else NO_END

    @property
    def began(self) -> datetime:
        return datetime.fromisoformat(self.begin["at"]).astimezone(PARIS)

    @property
    def rows(self) -> list[dict[str, Any]]:
        return list(self.end["rows"]) if self.end else []

    @property
    def clients(self) -> list[str]:
        """All clients that it concerned."""
        named = [row["client"] for row in self.rows if row["client"]]
        return list(dict.fromkeys([*self.begin["clients"], *named]))

    def of(self, client: str) -> Run:
        """The same run as far as it concerns one client: nothing of another one is left in it."""
        servers = {name: hosts for name, hosts in self.begin["clients"].items() if name == client}
        rows = [row for row in self.rows if row["client"] == client]
        return Run({**self.begin, "clients": servers}, {**self.end, "rows": rows} if self.end else None)


def runs(entries: Iterable[Entry]) -> list[Run]:
    """The runs, in the order in which they began. An entry without a part was tampered with: passed over."""
    found: dict[str, Run] = {}
    for entry in entries:
        kind = str(entry.get("kind"))
        if not entry.keys() >= _PARTS.get(kind, {""}):
            continue
        run = found.get(entry["run"])
        if kind == "begin":
            found[entry["run"]] = Run(entry, None)
        elif run and kind == "also":
            found[entry["run"]] = Run(_merged(run.begin, entry), run.end)
        elif run:
            found[entry["run"]] = Run(run.begin, entry)
    return list(found.values())


_WHOM = {"run", "at", "technician", "instruction", "reason", "clients", "hosts"}
_PARTS = {
    "begin": _WHOM | {"playbook", "login", "controller", "check"},
    "also": _WHOM,
    "end": {"run", "at", "result", "rows"},
}


def _merged(begin: Entry, also: Entry) -> Entry:
    """The beginning, as if all had been known then."""
    texts = {
        name: "; ".join(dict.fromkeys(filter(None, [*begin[name].split("; "), also[name]])))
        for name in ("instruction", "reason")
    }
    clients = {**begin["clients"], **also["clients"]}
    return {**begin, **texts, "clients": clients, "hosts": [*begin["hosts"], *also["hosts"]]}


def select(
    found: Iterable[Run], client: str | None = None, since: date | None = None, until: date | None = None
) -> list[Run]:
    """The runs of a client, and only what concerns it, that began on the days `since` to `until` (Paris)."""
    chosen = [
        run
        for run in found
        if (client is None or client in run.clients)
        and (since is None or run.began.date() >= since)
        and (until is None or run.began.date() <= until)
    ]
    return [run.of(client) for run in chosen] if client else chosen


def table(found: Sequence[Run]) -> str:
    """The runs for people, times of Paris: a line each, and below it what was done and said."""
    head = ("n", "began", "lasted", "technician", "playbook", "clients", "result")
    lines = [_cells(run) for run in found]
    widths = [max(len(line[column]) for line in [head, *lines]) for column in range(len(head))]
    text = [_aligned(head, widths), _aligned(["-" * width for width in widths], widths)]
    for run, line in zip(found, lines, strict=True):
        text.append(_aligned(line, widths))
        text += [" " * (widths[0] + 2) + remark for remark in _remarks(run)]
    return "\n".join(text)


def _cells(run: Run) -> tuple[str, ...]:
    begin = run.begin
    lasted = ""
    if run.end:
        seconds = int((datetime.fromisoformat(run.end["at"]) - run.began).total_seconds())
        lasted = f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return (
        str(begin["n"]),
        f"{run.began:%Y-%m-%d %H:%M}",
        lasted,
        begin["technician"],
        begin["playbook"] + (" --check" if begin["check"] else ""),
        ", ".join(run.clients) or ", ".join(begin["hosts"]) or "-",
        run.result,
    )


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _remarks(run: Run) -> Iterator[str]:
    if run.begin["instruction"]:
        yield f"on the instruction of: {run.begin['instruction']}"
    if run.begin["reason"]:
        yield f"reason: {run.begin['reason']}"
    for row in run.rows:
        for sentence in [*row["failures"], *row["changes"]]:
            yield f"{row['host']}: {sentence}"


#: Columns of the CSV.
COLUMNS = (
    *("entry", "hash", "began", "ended", "technician", "instruction", "reason", "playbook", "check"),
    *("run_result", "client", "host", "result", "changes", "failures", "details"),
)


def as_csv(found: Iterable[Run]) -> str:
    """A row for each run, client and host: CSV with semicolons, as spreadsheets in France read it."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, delimiter=";", lineterminator="\n")
    writer.writeheader()
    for run in found:
        for row in _exported_rows(run):
            writer.writerow({name: _cell(value) for name, value in row.items()})
    return out.getvalue()


def as_json(found: Iterable[Run], head: Mapping[str, Any]) -> str:
    """The same for programs, with the head of the journal that it was taken from."""
    exported = {"format": 1, "journal": dict(head), "runs": [_exported(run) for run in found]}
    return json.dumps(exported, indent=2, ensure_ascii=False) + "\n"


def _exported(run: Run) -> dict[str, Any]:
    names = ("playbook", "technician", "login", "controller", "instruction", "reason", "check")
    return {
        "entry": run.begin["n"],
        "hash": run.begin["hash"],
        "began": run.begin["at"],
        "ended": run.end["at"] if run.end else None,
        **{name: run.begin[name] for name in names},
        "result": run.result,
        "clients": run.begin["clients"],
        "rows": run.rows,
    }


def _exported_rows(run: Run) -> Iterator[dict[str, Any]]:
    whole = {name: value for name, value in _exported(run).items() if name in COLUMNS}
    whole["run_result"] = run.result
    if run.rows:
        yield from ({**whole, **row} for row in run.rows)
        return
    targets = [(client, host) for client, hosts in run.begin["clients"].items() for host in hosts]
    for client, host in targets or [(None, host) for host in run.begin["hosts"]] or [(None, CONTROLLER)]:
        yield {**whole, "client": client, "host": host}


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        return " | ".join(value)
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False, sort_keys=True) if value else ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    # A spreadsheet would compute a text that begins so; the apostrophe makes it a text.
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@")) else value
