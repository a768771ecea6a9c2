"""The maintenance of one client on the repository host (C7, C15, C19).

The flow: check, facts, plan, proof, apply, report, drill. Nothing is removed unless the check finds the
repository sound, and the independent checker that the promise holds after it. A run may be killed
at any point: snapshots go one by one, each removal is one that was proven, and what was begun is noted before
it begins, so that the next run finishes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from . import checks, drill
from .checks import Checked, Damaged
from .maintenance_state import Backup, Known, Release, State
from .restic_repository import Repository
from .retention import Action, Decision, Rules, Snapshot, day_of, disagreement, plan
from .retention_proof import objections
from .sudden_loss import losses
from .volume import Day, Usage, Use, bill, figures

HISTORY = timedelta(days=400)
"""So long is told of each backup how large it was and how long it took, retained or not."""


class Refused(Exception):
    """Nothing was removed; the sentences say why."""


@dataclass(frozen=True)
class Order:
    """What is asked for one client."""

    client: str
    reference: str
    """Of the contract, for the bill."""
    rules: Rules
    """Without releases: those are in the state, and below."""
    subscribed_gb: int
    max_unused: str = "5%"
    cycle_days: int = 30
    """In so many days all data is read once."""
    drill: drill.Size = field(default_factory=drill.Size)
    drill_folder: str = "/tmp"  # noqa: S108 -- a new folder in it, closed to others
    release: tuple[str, ...] = ()
    """Ids, or beginnings of ids, of snapshots about which the caution is lifted."""
    release_by: str = ""
    release_why: str = ""


@dataclass(frozen=True)
class Facts:
    """The repository and what is remembered of it."""

    snapshots: tuple[Snapshot, ...]
    """With their losses."""
    versions: dict[str, Known]
    """All that are or were here, less those set aside."""
    releases: dict[str, Release]
    new_releases: tuple[str, ...]
    unfinished: bool
    stored: int
    usage: Usage
    closed: bool | None
    """Whether the server refuses new backups; None when it refuses some, after a kill."""
    now: datetime


@dataclass(frozen=True)
class Plan:
    """What a run does. Empty when nothing is removed, pruned, released, opened or closed."""

    decisions: tuple[Decision, ...]
    removed: tuple[str, ...]
    prune: bool
    release: tuple[str, ...]
    closed: bool
    """Whether the server is to refuse new backups from now on (C15)."""
    moves: bool
    """It does not do so yet."""

    @property
    def changes(self) -> bool:
        return bool(self.removed or self.prune or self.release or self.moves)


def run(order: Order, repository: Repository, state: State, check: bool) -> dict[str, Any]:
    """The whole run; `check` only looks, and leaves no trace.

    Raises Damaged, Refused, RepositoryError, Busy, Unreadable, OSError.
    """
    _refuse_overwritten(repository)
    if check:
        _refuse_damage(repository, state.checked())
        facts = gather(order, repository, state, datetime.now(UTC))
        history = [*state.volume(), _day(order, facts)]
        return report(order, facts, decide(order, facts), facts, history)
    with state.locked():
        checked = checks.check(repository, state.checked(), order.cycle_days, datetime.now(UTC))
        state.keep_checked(checked)
        _refuse_damage(repository, checked)
        facts = gather(order, repository, state, datetime.now(UTC))
        state.keep_versions(facts.versions)
        state.keep_usage(facts.usage)
        planned = decide(order, facts)
        apply(order, planned, repository, state, facts)
        done = replace(order, release=())
        after = gather(done, repository, state, datetime.now(UTC)) if planned.changes else facts
        lost = {one.id for one in facts.snapshots} - {one.id for one in after.snapshots}
        if unplanned := lost - set(planned.removed):
            raise Refused(
                f"{_names(unplanned)} vanished during the maintenance: someone else removes snapshots"
            )
        history = state.keep_volume(_day(order, after))
        result = report(order, facts, planned, after, history)
        state.keep_versions(_remembered(order, after))
        state.keep_history(backups(state.history(), order, facts.snapshots, facts.versions))
        state.keep_report(result, after.now)
        if (drilled := _drill(order, after, repository, state)) is not None:
            state.keep_drill(drilled)
            result["drill"] = drill.status(drilled)
        return {**result, "check": checked.status()}


def _refuse_overwritten(repository: Repository) -> None:
    """Before the check, which would call it damage: here nothing is lost."""
    if found := repository.storage.overwritten():
        raise Refused(
            f"{repository.location}: {len(found)} objects were overwritten, as {min(found)}. "
            "Nothing was done. Run playbooks/repository.yml: it gives them their first versions back."
        )


def _refuse_damage(repository: Repository, checked: Checked | None) -> None:
    """Measures and removals on a damaged repository could make the damage worse."""
    if checked and checked.damage:
        raise Damaged(
            f"{repository.location}: the check found damage: {'; '.join(checked.damage.sentences())}. "
            "Nothing is removed until a check finds it repaired. "
            'Follow "When a check fails" in docs/checks.md.'
        )


def _drill(order: Order, facts: Facts, repository: Repository, state: State) -> drill.Result | None:
    """The drill of this month, when it is due and there is a complete version."""
    last = state.drills()[-1:]
    newest = {}
    for host in hosts_of(facts.snapshots):
        if complete := [one for one in versions_of(facts.snapshots, host, order.rules) if one.complete]:
            newest[host] = complete[-1]
    if not newest or not drill.is_due(order.client, last[0] if last else None, day_of(facts.now)):
        return None
    return drill.drill(order.client, newest, repository, Path(order.drill_folder), order.drill, facts.now)


# -- facts -----------------------------------------------------------------------------------------


def gather(order: Order, repository: Repository, state: State, now: datetime) -> Facts:
    """Read the repository. Each version is measured once; that can take long the first time.

    Incomplete ones as well: else a forger would mark the real versions, and his own would have none before.
    """
    snapshots = repository.snapshots()
    versions = state.versions()
    found: dict[str, tuple[str, ...]] = {}
    for host in hosts_of(snapshots):
        before = None
        mine = versions_of(snapshots, host, order.rules)
        for one in mine:
            known = versions.get(one.id)
            measure = known.measure if known else repository.measure(one, before)
            versions[one.id] = Known(one.host, one.time, one.arrival, one.complete, measure)
            before = (one, measure)
        texts = losses(versions[one.id].measure for one in mine)
        found.update(zip((one.id for one in mine), texts, strict=True))
    releases = state.releases()
    asked = [_full_id(name, snapshots) for name in order.release]
    return Facts(
        snapshots=tuple(replace(one, losses=found.get(one.id, ())) for one in snapshots),
        versions=versions,
        releases=releases,
        new_releases=tuple(name for name in asked if name not in releases),
        unfinished=state.unfinished,
        stored=repository.stored_bytes(),
        usage=_usage(order, snapshots, versions, state),
        closed=repository.storage.door.closed,
        now=now,
    )


def hosts_of(snapshots: Iterable[Snapshot]) -> list[str]:
    """The servers that sent them, by name."""
    return sorted({one.host for one in snapshots})


def versions_of(snapshots: Iterable[Snapshot], host: str, rules: Rules) -> list[Snapshot]:
    """Of one server, by time, less marks and what is set aside."""
    mine = (one for one in snapshots if one.host == host and one.marks is None)
    return sorted((one for one in mine if disagreement(one, rules) is None), key=by_time)


def _full_id(name: str, snapshots: Iterable[Snapshot]) -> str:
    matching = [one.id for one in snapshots if len(name) >= 8 and one.id.startswith(name)]
    if len(matching) != 1:
        raise Refused(
            f"{name}: no snapshot to release. Give the id, or its first 8 characters, from the report."
        )
    return matching[0]


# -- plan ------------------------------------------------------------------------------------------


def decide(order: Order, facts: Facts) -> Plan:
    """The plan, proven. Raises Refused with the checker's objections."""
    rules = _rules(order, facts)
    decisions = plan(facts.snapshots, facts.now, rules)
    removed = tuple(one.id for one in decisions if one.action is Action.REMOVE)
    if problems := objections(facts.snapshots, removed, facts.now, rules):
        raise Refused(f"Nothing was removed: the promise would not hold ({'; '.join(problems)}).")
    return Plan(
        decisions,
        removed,
        bool(removed) or facts.unfinished,
        facts.new_releases,
        closed=facts.usage.over,
        moves=facts.closed is not facts.usage.over,
    )


def _rules(order: Order, facts: Facts) -> Rules:
    return replace(order.rules, released=frozenset({*facts.releases, *facts.new_releases}))


# -- apply -----------------------------------------------------------------------------------------


def apply(order: Order, planned: Plan, repository: Repository, state: State, facts: Facts) -> None:
    """Do what was planned, in an order that may stop anywhere."""
    if planned.release:
        lifted = Release(order.release_by, order.release_why, facts.now.isoformat(timespec="seconds"))
        state.keep_releases({**facts.releases, **dict.fromkeys(planned.release, lifted)})
    if planned.moves:
        repository.storage.door.move(planned.closed)
    if planned.prune:
        with repository.storage.door.open_for_maintenance(planned.closed):
            if planned.removed:
                state.begin(list(planned.removed))
                repository.forget(planned.removed)
            repository.prune(order.max_unused)
            repository.storage.forget(facts.now)
            state.finish()


# -- report ----------------------------------------------------------------------------------------


def report(order: Order, facts: Facts, planned: Plan, after: Facts, history: Sequence[Day]) -> dict[str, Any]:
    """A plain result: what was found, what was decided and why, what is left. `history` ends today."""
    by_id = {one.id: one for one in facts.snapshots}
    left = [one for one in facts.snapshots if one.id not in planned.removed]
    broken = broken_promises(order, after.snapshots, after.versions, after.now)
    return {
        "changed": planned.changes,
        "client": order.client,
        "promise": {"kept": not broken, "problems": list(broken)},
        "servers": {
            host: server_of(versions_of(left, host, order.rules)) for host in hosts_of(facts.snapshots)
        },
        "decisions": [
            {
                "id": one.id,
                "host": by_id[one.id].host,
                "time": by_id[one.id].time.isoformat(),
                "action": one.action.value,
                "reasons": list(one.reasons),
            }
            for one in planned.decisions
        ],
        "removed": list(planned.removed),
        "set_aside": [one.id for one in planned.decisions if one.action is Action.SET_ASIDE],
        "losses": {
            one.id: list(one.losses)
            for one in facts.snapshots
            if one.losses and one.id not in _rules(order, facts).released
        },
        "released": list(planned.release),
        "pruned": planned.prune,
        "volume": {**figures(history), "closed": planned.closed},
        "check": None,
        "drill": None,
        "bills": _bills(order, history),
        "diff": {
            "before_header": f"{order.client}: snapshots",
            "after_header": f"{order.client}: snapshots",
            "before": _listing(facts.snapshots) + _refusal(facts.closed),
            "after": _listing(left) + _refusal(planned.closed),
        },
    }


def _refusal(closed: bool | None) -> str:
    """The line of a diff about new backups; none while all is as ever."""
    return {
        False: "",
        True: "new backups are refused: over the subscribed volume\n",
        None: "new backups are refused in part: a run was interrupted\n",
    }[closed]


def broken_promises(
    order: Order, snapshots: Iterable[Snapshot], versions: Mapping[str, Known], now: datetime
) -> tuple[str, ...]:
    """What the promise lacks, judged with all versions that were ever seen, whoever removed them."""
    here = {one.id: one for one in snapshots}
    seen = {name: known.as_snapshot(name) for name, known in versions.items()}
    return objections({**here, **seen}.values(), seen.keys() - here.keys(), now, order.rules)


def _bills(order: Order, history: Sequence[Day]) -> list[dict[str, Any]]:
    """Of the month before, which is complete, and of this one."""
    this = history[-1].date
    months = ((this.replace(day=1) - timedelta(days=1)).isoformat()[:7], this.isoformat()[:7])
    rows = (bill(order.client, order.reference, month, history) for month in months)
    return [asdict(row) for row in rows if row]


def server_of(versions: Sequence[Snapshot]) -> dict[str, Any]:
    """What one server has, for a report; `versions` are by time."""
    complete = [one for one in versions if one.complete]
    return {
        "versions": len(complete),
        "incomplete": len(versions) - len(complete),
        "last": complete[-1].time.isoformat() if complete else None,
        "last_any": versions[-1].time.isoformat() if versions else None,
        "oldest_day": day_of(complete[0].time).isoformat() if complete else None,
    }


def counting(order: Order, snapshots: Sequence[Snapshot]) -> list[Snapshot]:
    """The version of each server that counts as its volume: the newest complete one."""
    servers = (versions_of(snapshots, host, order.rules) for host in hosts_of(snapshots))
    return [([one for one in mine if one.complete] or mine)[-1] for mine in servers if mine]


def _day(order: Order, facts: Facts) -> Day:
    newest = sum(facts.versions[one.id].measure.bytes for one in counting(order, facts.snapshots))
    return Day(day_of(facts.now), newest, facts.stored, order.subscribed_gb)


def _usage(order: Order, snapshots: Sequence[Snapshot], versions: Mapping[str, Known], state: State) -> Usage:
    """By the newest versions, or by what a deploy has measured since."""
    found = {one.host: Use(versions[one.id].measure.bytes, one.arrival) for one in counting(order, snapshots)}
    known = state.usage() or Usage(0, {})
    mine = {host: use for host, use in known.servers.items() if host in found}
    return Usage(order.subscribed_gb, mine).learned(found)


def _remembered(order: Order, facts: Facts) -> dict[str, Known]:
    """Without the versions that are gone and about which no coming day can ask."""
    here = {one.id for one in facts.snapshots}
    span = timedelta(days=max(order.rules.daily, 7 * order.rules.weekly) + 7)
    newest: dict[str, datetime] = {}
    for known in facts.versions.values():
        newest[known.host] = max(known.time, newest.get(known.host, known.time))
    return {
        name: known
        for name, known in facts.versions.items()
        if name in here or known.time > newest[known.host] - span
    }


def backups(
    before: Mapping[str, Backup],
    order: Order,
    snapshots: Sequence[Snapshot],
    versions: Mapping[str, Known],
) -> dict[str, Backup]:
    """By time: those remembered from `before` and those that are here, of the 400 days to the newest."""
    here = {}
    for one in (one for host in hosts_of(snapshots) for one in versions_of(snapshots, host, order.rules)):
        known, said = versions.get(one.id), one.summary
        here[one.id] = Backup(
            one.host,
            one.time,
            one.arrival,
            one.complete,
            # What was measured is believed before what the client says.
            known.measure.bytes if known else said.bytes if said else None,
            said.files if said else None,
            said.added_bytes if said else None,
            said.seconds if said else None,
        )
    both = {**before, **here}
    newest = max((one.arrival for one in both.values()), default=None)
    recent = ((name, one) for name, one in both.items() if newest and one.arrival > newest - HISTORY)
    return dict(sorted(recent, key=lambda item: (item[1].time, item[0])))


def _listing(snapshots: Iterable[Snapshot]) -> str:
    """As each snapshot has its time: a forged one may be outside of every calendar of Paris."""
    return "".join(
        f"{one.host} {one.time.isoformat(sep=' ', timespec='minutes')} {one.id[:8]}\n"
        for one in sorted(snapshots, key=by_time)
    )


def by_time(one: Snapshot) -> tuple[str, datetime, str]:
    """The order of all listings."""
    return one.host, one.time, one.id


def _names(ids: Iterable[str]) -> str:
    return ", ".join(name[:8] for name in sorted(ids))
