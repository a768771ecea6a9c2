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

import contextlib
import csv
import io
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

from ...module_utils.maintenance import shape
from ...module_utils.maintenance.printable import cell, printable
from ..clock import local
from .entries import Entry, Head, timestamp

CONTROLLER = "localhost"
RESULTS = ("ok", "changed", "failed", "unreachable")
"""The results of a host, the worst last; a run has the worst of its hosts."""
NO_END = "no end"
under_way: str | None = None
"""The id of the run that the callback journals in this process and those forked from it; None without one."""
MOST = 50
"""Sentences of one kind about one host; more are counted."""
Details = Mapping[str, Any]
"""What actions returned under "journal": JSON that is shown as it is."""


# -- gathering ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """What happened to one host, for one client."""

    client: str | None
    host: str
    result: str
    changes: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()
    details: Details = field(default_factory=dict)


@dataclass
class _Growing:
    """A row while its run goes on."""

    client: str | None
    host: str
    result: str = "ok"
    changes: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)

    def row(self) -> Row:
        return Row(
            self.client,
            self.host,
            self.result,
            _shortened(self.changes),
            _shortened(self.failures),
            self.details,
        )


@dataclass
class Rows:
    """The rows of a run, in the order in which they came up."""

    _rows: dict[tuple[str | None, str], _Growing] = field(default_factory=dict)

    def add(
        self,
        client: str | None,
        host: str,
        result: str,
        changes: Iterable[str] = (),
        failures: Iterable[str] = (),
        details: Details | None = None,
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
        rows = [
            row for row in self._rows.values() if row.host in named or row != _Growing(row.client, row.host)
        ]
        worst = max((row.result for row in rows), key=RESULTS.index, default="ok")
        result = "interrupted" if interrupted else {"unreachable": "failed"}.get(worst, worst)
        return {"kind": "end", "result": result, "rows": [shape.as_json(row.row()) for row in rows]}

    def _row(self, client: str | None, host: str) -> _Growing:
        return self._rows.setdefault((client, host), _Growing(client, host))


def _shortened(sentences: Sequence[str]) -> tuple[str, ...]:
    rest = len(sentences) - MOST
    return (*sentences[:MOST], f"and {rest} more") if rest > 0 else tuple(sentences)


# -- reading back ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Also:
    """The entry about hosts that it comes to in addition."""

    run: str
    instruction: str
    reason: str
    clients: Mapping[str, tuple[str, ...]]
    """Client -> its servers."""
    hosts: tuple[str, ...]
    """Those that are no client's server."""


@dataclass(frozen=True)
class Begin(Also):
    """The entry of a beginning."""

    n: int
    hash: str
    at: datetime
    playbook: str
    technician: str
    login: str
    controller: str
    check: bool

    def with_also(self, more: Also) -> Begin:
        """As if all had been known then."""
        return replace(
            self,
            instruction=_joined(self.instruction, more.instruction),
            reason=_joined(self.reason, more.reason),
            clients={**self.clients, **more.clients},
            hosts=(*self.hosts, *more.hosts),
        )


@dataclass(frozen=True)
class End:
    """The entry of an end."""

    run: str
    at: datetime
    result: str
    rows: tuple[Row, ...]


def _joined(before: str, more: str) -> str:
    return "; ".join(dict.fromkeys(filter(None, [*before.split("; "), more])))


@dataclass(frozen=True)
class Run:
    """A run: its two entries. Without `end` it was killed, or is under way."""

    begin: Begin
    end: End | None

    @property
    def result(self) -> str:
        return self.end.result if self.end else NO_END

    @property
    def began(self) -> datetime:
        return local(self.begin.at)

    @property
    def rows(self) -> tuple[Row, ...]:
        return self.end.rows if self.end else ()

    @property
    def clients(self) -> list[str]:
        """All clients that it concerned."""
        return list(dict.fromkeys([*self.begin.clients, *(row.client for row in self.rows if row.client)]))

    def of(self, client: str) -> Run:
        """The same run as far as it concerns one client: nothing of another one is left in it."""
        servers = {name: hosts for name, hosts in self.begin.clients.items() if name == client}
        rows = tuple(row for row in self.rows if row.client == client)
        return Run(replace(self.begin, clients=servers), replace(self.end, rows=rows) if self.end else None)


def runs(entries: Iterable[Entry]) -> list[Run]:
    """The runs, in the order in which they began. An entry without a part was tampered with: passed over.

    A journal is kept for years: a part that is new in an entry has a default in its class.
    """
    found: dict[str, Run] = {}
    for entry in entries:
        with contextlib.suppress(shape.NotOfShape):
            _put(entry, found)
    return list(found.values())


def _put(entry: Entry, found: dict[str, Run]) -> None:
    """Raises NotOfShape."""
    if entry.get("kind") == "begin":
        begin = shape.read(Begin, entry)
        found[begin.run] = Run(begin, None)
    elif entry.get("kind") == "also":
        also = shape.read(Also, entry)
        if run := found.get(also.run):
            found[also.run] = replace(run, begin=run.begin.with_also(also))
    elif entry.get("kind") == "end":
        end = shape.read(End, entry)
        if run := found.get(end.run):
            found[end.run] = replace(run, end=end)


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
    lines = [tuple(map(printable, _cells(run))) for run in found]
    widths = [max(len(line[column]) for line in [head, *lines]) for column in range(len(head))]
    text = [_aligned(head, widths), _aligned(["-" * width for width in widths], widths)]
    for run, line in zip(found, lines, strict=True):
        text.append(_aligned(line, widths))
        text += [" " * (widths[0] + 2) + printable(remark) for remark in _remarks(run)]
    return "\n".join(text)


def _cells(run: Run) -> tuple[str, ...]:
    begin = run.begin
    lasted = ""
    if run.end:
        seconds = int((run.end.at - begin.at).total_seconds())
        lasted = f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return (
        str(begin.n),
        f"{run.began:%Y-%m-%d %H:%M}",
        lasted,
        begin.technician,
        begin.playbook + (" --check" if begin.check else ""),
        ", ".join(run.clients) or ", ".join(begin.hosts) or "-",
        run.result,
    )


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _remarks(run: Run) -> Iterator[str]:
    if run.begin.instruction:
        yield f"on the instruction of: {run.begin.instruction}"
    if run.begin.reason:
        yield f"reason: {run.begin.reason}"
    for row in run.rows:
        for sentence in [*row.failures, *row.changes]:
            yield f"{row.host}: {sentence}"


COLUMNS = (
    *("entry", "hash", "began", "ended", "technician", "instruction", "reason", "playbook", "check"),
    *("run_result", "client", "host", "result", "changes", "failures", "details"),
)
"""Columns of the CSV."""


def as_csv(found: Iterable[Run]) -> str:
    """A row for each run, client and host: CSV with semicolons, as spreadsheets in France read it."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, delimiter=";", lineterminator="\n")
    writer.writeheader()
    for run in found:
        for row in _exported_rows(run):
            writer.writerow({name: _cell(value) for name, value in row.items()})
    return out.getvalue()


def as_json(found: Iterable[Run], head: Head) -> str:
    """The same for programs, with the head of the journal that it was taken from."""
    whole = {"format": 1, "journal": shape.as_json(head), "runs": [_exported(run) for run in found]}
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def _exported(run: Run) -> dict[str, Any]:
    begin = shape.as_json(run.begin)
    names = ("playbook", "technician", "login", "controller", "instruction", "reason", "check")
    return {
        "entry": run.begin.n,
        "hash": run.begin.hash,
        "began": timestamp(run.begin.at),
        "ended": timestamp(run.end.at) if run.end else None,
        **{name: begin[name] for name in names},
        "result": run.result,
        "clients": begin["clients"],
        "rows": [shape.as_json(row) for row in run.rows],
    }


def _exported_rows(run: Run) -> Iterator[dict[str, Any]]:
    exported = _exported(run)
    whole = {name: value for name, value in exported.items() if name in COLUMNS}
    whole["run_result"] = run.result
    if run.rows:
        yield from ({**whole, **row} for row in exported["rows"])
        return
    targets: list[tuple[str | None, str]] = [
        (client, host) for client, hosts in run.begin.clients.items() for host in hosts
    ]
    for client, host in targets or [(None, host) for host in run.begin.hosts] or [(None, CONTROLLER)]:
        yield {**whole, "client": client, "host": host}


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        return " | ".join(map(cell, value))
    if isinstance(value, dict):
        return cell(json.dumps(value, ensure_ascii=False, sort_keys=True)) if value else ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return cell(value) if isinstance(value, str) else value
