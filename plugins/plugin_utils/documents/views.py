"""What both reports show of one client's status: its days, its volume, its backups. Pure; texts in French.

The status is the one of `prosecours.backup.status`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import median

from ...module_utils.maintenance.model import Status, VolumeWithDays
from ...module_utils.maintenance.volume import Day, Volume
from ..clock import local
from . import plots
from .french import both_sizes, count, day, duration, number, short_day, size, subscribed

VOLUME_POINTS = 60
BACKUP_DAYS = 60
THRESHOLDS = (80, 95, 100)


@dataclass(frozen=True)
class Cell:
    """A day of a calendar. `state`: complete, incomplete, none; pending (today), idle (before the first)."""

    date: date
    state: str
    words: str
    """What a screen reader says, and paper shows in the legend's words."""
    note: str = ""
    """Beside the symbol: 1/2 where one of two servers has a complete backup."""


@dataclass(frozen=True)
class Figure:
    """A plot with all its figures: rows of text under a header."""

    svg: str
    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def days(status: Status, hosts: Collection[str], first: date, last: date, today: date) -> list[Cell]:
    """Each day from `first` to `last` (Europe/Paris): did every server that was there have a complete backup?

    `hosts` are the servers of the contract: a server counts from its first backup on, and one that has left
    the contract up to its last. What was set aside, since its arrival denies its time, shows nothing.
    """
    complete, any_, spans = _seen(status, hosts)
    return [
        _cell(
            current,
            {host for host, (begin, end) in spans.items() if begin <= current <= (end or current)},
            complete.get(current, set()),
            any_.get(current, set()),
            today,
        )
        for current in (first + timedelta(days=offset) for offset in range((last - first).days + 1))
    ]


def _seen(
    status: Status, hosts: Collection[str]
) -> tuple[dict[date, set[str]], dict[date, set[str]], dict[str, tuple[date, date | None]]]:
    """Day -> hosts with a complete backup; day -> hosts with any; host -> first day, and last if it left."""
    aside = set(status.set_aside)
    complete: dict[date, set[str]] = {}
    any_: dict[date, set[str]] = {}
    spans: dict[str, tuple[date, date | None]] = {}
    for host, server in status.servers.items():
        entries = [entry for entry in server.history if entry.id not in aside]
        for entry in entries:
            on = local(entry.time).date()
            any_.setdefault(on, set()).add(host)
            if entry.complete:
                complete.setdefault(on, set()).add(host)
        if entries:
            ends = None if host in hosts else local(entries[-1].time).date()
            spans[host] = (local(entries[0].time).date(), ends)
    return complete, any_, spans


def _cell(current: date, expected: set[str], complete: set[str], any_: set[str], today: date) -> Cell:
    whole = len(expected)
    done = len(complete & expected)
    if not expected or current > today:
        return Cell(current, "idle", "sans objet")
    if done == whole:
        return Cell(current, "complete", "complète")
    if current == today and not any_:
        return Cell(current, "pending", "pas encore")
    if not any_:
        return Cell(current, "none", "aucune")
    if whole == 1:
        return Cell(current, "incomplete", "incomplète")
    return Cell(
        current, "incomplete", f"complète pour {count(done, 'serveur')} sur {whole}", f"{done}/{whole}"
    )


def weeks(cells: Sequence[Cell]) -> Iterator[list[Cell | None]]:
    """Rows from Monday to Sunday; None where `cells` has no such day."""
    row: list[Cell | None] = [None] * cells[0].date.weekday()
    for cell in cells:
        row.append(cell)
        if len(row) == 7:
            yield row
            row = []
    if row:
        yield row + [None] * (7 - len(row))


def volume_figure(name: str, volume: VolumeWithDays, *, stored: bool) -> Figure | None:
    """The volume over time; None without a history. At most `VOLUME_POINTS` points, the last always.

    `stored`: with the bytes on disk, which are the provider's business; without them a client reads it, and
    may compare with Explorer.
    """
    shown, bought = (size, _go) if stored else (both_sizes, subscribed)
    history = _thin(volume.history, VOLUME_POINTS)
    if not history:
        return None
    first, last = history[0], history[-1]
    text = f"{shown(last.newest)} sur {bought(last.subscribed_gb)} souscrits le {day(last.date)}"
    text += f", {shown(first.newest)} le {day(first.date)}." if len(history) > 1 else "."
    if forecast(volume):
        text += f" {forecast(volume)}"
    return Figure(
        plots.volume(
            name,
            history,
            volume.full_on,
            THRESHOLDS,
            stored=stored,
            title="Volume sauvegardé et volume souscrit",
            description=text,
        ),
        text,
        ("Date", "Fichiers sauvegardés", *(["Occupé sur disque"] if stored else []), "Souscrit"),
        tuple(
            (
                short_day(entry.date),
                shown(entry.newest),
                *([size(entry.stored)] if stored else []),
                bought(entry.subscribed_gb),
            )
            for entry in reversed(history)
        ),
    )


def forecast(volume: Volume) -> str:
    """When the volume will be full, in a sentence; empty when that is not in sight."""
    if volume.percent >= 100:
        return "Le volume souscrit est atteint."
    if volume.full_on:
        return f"Au rythme actuel, le volume souscrit serait atteint vers le {day(volume.full_on)}."
    return ""


def backups_figure(name: str, status: Status, first: date, last: date) -> Figure | None:
    """Duration and added data of the backups of these days; None when there were none.

    A backup of which nobody told its figures is not in it, but counted in the text.
    """
    aside = set(status.set_aside)
    entries = [
        (host, on, entry)
        for host, server in status.servers.items()
        for entry in server.history
        if entry.id not in aside and first <= (on := local(entry.time).date()) <= last
    ]
    servers: dict[str, list[plots.Backup]] = {}
    for host, on, entry in entries:
        if entry.seconds is not None and entry.added_bytes is not None:
            backup = plots.Backup(on, entry.seconds, entry.added_bytes, entry.complete)
            servers.setdefault(host, []).append(backup)
    everything = [backup for backups in servers.values() for backup in backups]
    if not everything:
        return None
    partial = sum(not backup.complete for backup in everything)
    text = (
        f"{count(len(everything), 'sauvegarde')} du {day(first)} au {day(last)}"
        + (f", dont {count(partial, 'incomplète')}" if partial else ", toutes complètes")
        + f". Durée médiane {duration(median(backup.seconds for backup in everything))}, "
        f"la plus longue {duration(max(backup.seconds for backup in everything))}. "
        f"{size(sum(backup.added for backup in everything))} ajoutés."
    )
    if unknown := len(entries) - len(everything):
        text += f" {count(unknown, 'sauvegarde')} sans mesure."
    rows = sorted(
        ((backup.day, host, backup) for host, backups in servers.items() for backup in backups),
        key=lambda row: (-row[0].toordinal(), row[1]),
    )
    return Figure(
        plots.backups(
            name, servers, first, last, title="Durée des sauvegardes et données ajoutées", description=text
        ),
        text,
        ("Date", "Serveur", "Durée", "Ajouté", "État"),
        tuple(
            (
                short_day(on),
                host,
                duration(backup.seconds),
                size(backup.added),
                "complète" if backup.complete else "incomplète",
            )
            for on, host, backup in rows
        ),
    )


def _go(gigabytes: int) -> str:
    return f"{number(gigabytes)}\N{NO-BREAK SPACE}Go"


def _thin(history: Sequence[Day], most: int) -> list[Day]:
    """At most `most` entries, evenly taken, counted back from the last."""
    step = max(1, -(-len(history) // most))
    return list(history[-1::-step])[::-1]
