"""The maintenance of one server's repository on the repository host (C7, C19).

The flow: check, facts, plan, proof, apply, report, drill. Nothing is removed unless the check finds the
repository sound, and the independent checker that the promise holds after it. A run may be killed
at any point: snapshots go one by one, each removal is one that was proven, and what was begun is noted before
it begins, so that the next run finishes it.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from . import checks, drill, forged
from .admission import Admission, sentences
from .checks import Checked, Damaged
from .dumps import Folders, dumps
from .errors import ProSecoursError
from .model import Backup, Versions
from .perimeter import Left
from .proof import objections
from .repository import Interrupted, Locked, Repository, RepositoryError, Unmeasurable
from .retention import Action, Decision, Rules, Snapshot, counts, day_of, plan, removal_order
from .shape import as_json
from .state import REJECTED, RELEASED, Judgement, Known, State, Unreadable
from .sudden_loss import Compared, losses
from .volume import Counted, Use

HISTORY = timedelta(days=400)
"""So long is told of each backup how large it was and how long it took, retained or not."""


class Refused(ProSecoursError):
    """The maintenance goes no further; what it was about to remove stays."""


class Blocked(Locked):
    """Somebody works on the repository. What was planned was not removed, or not all; all else is done."""

    def __init__(self, error: Locked, report: dict[str, Any]) -> None:
        super().__init__(str(error.where), error.problem, error.remedy, error.said)
        self.report = report


@dataclass(frozen=True)
class Effort:
    """How much a run may take to measure the versions of a server that are new; others go on after it."""

    versions: int = 100
    seconds: float = 7200
    share: float = 0.25
    """Of the seconds that are left, for one version."""


@dataclass(frozen=True)
class Order:
    """What is asked for one server."""

    server: str
    rules: Rules
    """Without judgements: those are in the state, and below."""
    max_unused: str = "5%"
    cycle_days: int = 30
    """In so many days all data is read once."""
    drill: drill.Size = field(default_factory=drill.Size)
    dumps: Mapping[str, int] = field(default_factory=dict)
    """Folder of dumps -> days that its newest file may be old."""
    perimeter: tuple[str, ...] | None = None
    """What the inventory says now that it backs up; None: as it was left here last."""
    effort: Effort = field(default_factory=Effort)
    release: tuple[str, ...] = ()
    """Ids, or beginnings of ids, of snapshots about which the caution is lifted."""
    release_by: str = ""
    release_why: str = ""
    reject: tuple[str, ...] = ()
    """Likewise, of those found forged."""
    reject_by: str = ""
    reject_why: str = ""


@dataclass(frozen=True)
class Facts:
    """The repository and what is remembered of it."""

    snapshots: tuple[Snapshot, ...]
    """With their losses."""
    versions: dict[str, Known]
    """All that are or were here, less those set aside."""
    rules: Rules
    """With all judgements, also those that are asked for."""
    judgements: dict[str, Judgement]
    """Those that are asked for, and not remembered yet."""
    unfinished: bool
    stored: int
    """Bytes on disk."""
    now: datetime
    unmeasured: tuple[str, ...] = ()
    """Versions about which too little is known: nothing is removed before they are measured or rejected."""


@dataclass(frozen=True)
class Plan:
    """What a run does. Empty when nothing is removed, pruned or judged."""

    decisions: tuple[Decision, ...]
    removed: tuple[str, ...]
    prune: bool
    judged: Mapping[str, Judgement]

    @property
    def changes(self) -> bool:
        return bool(self.removed or self.prune or self.judged)


def run(order: Order, repository: Repository, state: State, check: bool) -> dict[str, Any]:
    """The whole run; `check` only looks, and leaves no trace.

    Raises Blocked, Damaged, Refused, RepositoryError, Busy, Unreadable, OSError.
    """
    _refuse_overwritten(repository)
    before = state.remembered()
    before = replace(before, rejected=before.rejected.union(order.reject))
    if check:
        with repository.admitted(before, writable=False) as (seen, admission):
            return _foretold(order, seen, state, admission)
    with (
        state.locked(),
        repository.admitted(before, writable=True) as (seen, admission),
    ):
        return _maintained(order, seen, state, admission)


def _foretold(order: Order, repository: Repository, state: State, admission: Admission) -> dict[str, Any]:
    _refuse_damage(repository, state.checked())
    put_aside(admission, state.report().aside)
    held = _foreseen(repository, state, admission)
    facts = gather(order, repository, state, datetime.now(UTC), admission.roomless)
    planned = decide(facts)
    if held or admission.crowded:
        planned = replace(planned, removed=(), prune=False)
    foretold = report(order, facts, planned, facts)
    told = {"rubbish": list(sentences(admission)), "aside": _aside(admission), "counted": counted(facts)}
    return {**foretold, **told, "seen": sorted(_seen(facts, admission))}


def _foreseen(repository: Repository, state: State, admission: Admission) -> bool:
    """Set aside the versions at which restic would stop, as the check of a run does; whether nothing may be
    removed because of one. Only where there is one that is suspect is the structure checked here."""
    held = False
    for _round in range(forged.ROUNDS):
        found = forged.suspects(admission, _never_measured(admission, state))
        if not found:
            break
        if unfolding := {name: one.why for name, one in found.items() if one.unfolds}:
            put_aside(admission, unfolding)
            held = True
            continue
        said: tuple[str, ...] = ()
        try:
            checked = repository.check()
        except RepositoryError as error:
            if type(error) is not RepositoryError:
                raise
        else:
            if checked.broken_packs or not checked.errors:
                break
            said = checked.errors
        held |= forged.set_aside(admission, found, said, repository.readable)
    return held


def _aside(admission: Admission) -> dict[str, str]:
    """Version -> why it counts for nothing, of those that are set aside for their folders."""
    return {name: one.why for (_kind, name), one in admission.aside.items() if name in admission.trees}


def _seen(facts: Facts, admission: Admission) -> set[str]:
    """All snapshots about which something was decided, be it that they are none."""
    rubbish = {name for kind, name in admission.aside if kind == "snapshots"}
    return rubbish | {one.id for one in facts.snapshots}


def _maintained(order: Order, repository: Repository, state: State, admission: Admission) -> dict[str, Any]:
    admission.verify(state.keep_remembered)
    checked, held = _checked(order, repository, state, admission)
    if not admission.lies and (refused := checks.unreadable(repository, admission.doubtful)):
        admission.refuse(refused)
        checked, held = _checked(order, repository, state, admission)
    state.keep_checked(checked)
    _refuse_damage(repository, checked)
    admission.doubtful.clear()
    if order.perimeter is not None:
        state.order(order.perimeter)
    facts = gather(order, repository, state, datetime.now(UTC), admission.roomless)
    state.keep_versions(facts.versions)
    planned = decide(facts)
    if held or admission.crowded:
        planned = replace(planned, removed=(), prune=False)
    admission.lift_locks()
    blocked = None
    admission.strict = True
    try:
        apply(order, planned, repository, state, facts)
    except Locked as error:  # whoever holds one must not hide what he sent
        blocked = error
    admission.strict = False
    state.keep_remembered(admission.remembered)
    if repository.trees:
        repository.trees.refresh()
    after = _remaining(facts, repository) if planned.changes else facts
    lost = {one.id for one in facts.snapshots} - {one.id for one in after.snapshots}
    if unplanned := lost - set(planned.removed):
        raise Refused(
            f"{_names(unplanned)} vanished during the maintenance: someone else removes snapshots",
            "Find out who has access to the repository on its host: only the maintenance removes any",
        )
    if blocked:
        planned = replace(planned, removed=tuple(sorted(lost)), prune=False)
    result = report(order, facts, planned, after) | {
        "dumps": _dumps(order, after, repository),
        "aside": _aside(admission),
        "seen": sorted(_seen(facts, admission)),
    }
    state.keep_versions(_remembered(after))
    state.keep_history(backups(state.history(), facts.rules, facts.snapshots, facts.versions))
    state.keep_report(result, after.now)
    if (drilled := _drill(order, after, repository, state)) is not None:
        state.keep_drill(drilled)
        result["drill"] = as_json(drill.status(drilled))
    result["rubbish"] = list(sentences(admission))
    result["counted"] = counted(after)
    result["check"] = {**as_json(checked.status()), "read_bytes": admission.read_bytes}
    if blocked:
        raise Blocked(blocked, result)
    return result


def _remaining(facts: Facts, repository: Repository) -> Facts:
    """What there is of what was seen, by the place's own list; what came meanwhile is the next run's."""
    here = repository.storage.listed("snapshots")
    return replace(
        facts,
        snapshots=tuple(one for one in facts.snapshots if one.id in here),
        stored=repository.stored_bytes(),
        now=datetime.now(UTC),
    )


def _checked(
    order: Order, repository: Repository, state: State, admission: Admission
) -> tuple[Checked, bool]:
    """The check, less the versions at which restic stops; whether nothing may be removed because of one."""
    lies, broken = list(admission.lies.values()), sorted(admission.broken)
    held = False
    for last in (*(False,) * forged.ROUNDS, True):
        said: tuple[str, ...] = ()
        try:
            checked = checks.check(
                repository, state.checked(), order.cycle_days, datetime.now(UTC), lies, broken
            )
        except RepositoryError as error:
            if last or type(error) is not RepositoryError:  # else it fell over something
                raise
        else:
            if last or lies or not checked.damage or checked.damage.packs:
                break
            said = checked.damage.problems
        # Every pack is true, and restic cannot read something all the same.
        new = _never_measured(admission, state)
        found = forged.suspects(admission, new) or forged.unread(admission, new, repository.readable)
        if not found:
            if said:
                break
            repository.check()  # raises what it raised, unless that was of a moment
            continue
        held |= forged.set_aside(admission, found, said, repository.readable)
    return checked, held


def _never_measured(admission: Admission, state: State) -> set[str]:
    """The snapshots of which nobody knows that they were whole once."""
    return (admission.names("snapshots") or set()) - state.versions().keys()


def put_aside(admission: Admission, known: Mapping[str, str]) -> None:
    """Likewise those that the last maintenance set aside for their folders: id -> why."""
    admission.names("snapshots")
    for name, why in known.items():
        if name in admission.trees:
            admission.put_aside(name, why)


def _refuse_overwritten(repository: Repository) -> None:
    """Before the check, which would call it damage: here nothing is lost."""
    if found := repository.storage.overwritten():
        raise Refused(
            f"{len(found)} objects were overwritten, as {min(found)}. Nothing was done",
            "Run playbooks/repository.yml: it gives them their first versions back",
            repository.location,
        )


def _refuse_damage(repository: Repository, checked: Checked | None) -> None:
    """Measures and removals on a damaged repository could make the damage worse."""
    if checked and checked.damage:
        raise Damaged(
            f"the check found damage: {'; '.join(checked.damage.sentences())}. "
            "Nothing is removed until a check finds it repaired",
            'Follow "When a check fails" in docs/checks.md',
            repository.location,
        )


def _drill(order: Order, facts: Facts, repository: Repository, state: State) -> drill.Result | None:
    """The drill of this month, when it is due and there is a complete version."""
    last = state.drills()[-1:]
    newest = _newest_complete(facts)
    if not newest or not drill.is_due(order.server, last[0] if last else None, day_of(facts.now)):
        return None
    return drill.drill(order.server, {order.server: newest}, repository, order.drill, facts.now)


def _dumps(order: Order, facts: Facts, repository: Repository) -> list[dict[str, Any]]:
    """How old the client's own backups are in the newest complete version."""
    if not order.dumps or not repository.trees or not (newest := _newest_complete(facts)):
        return []
    return [as_json(one) for one in dumps(Folders(repository.trees), newest, order.dumps.items())]


def _newest_complete(facts: Facts) -> Snapshot | None:
    complete = [one for one in versions_of(facts.snapshots, facts.rules) if one.complete]
    return complete[-1] if complete else None


# -- facts ----------------------------------------------------------------------------------------------


def gather(
    order: Order, repository: Repository, state: State, now: datetime, roomless: Collection[str] = ()
) -> Facts:
    """Read the repository. Each version is measured once; that can take long the first time.

    Whoever sends a thousand versions, or one that takes a day to read, delays his own server's removals only.
    Incomplete ones as well: else a forger would mark the real versions, and his own would have none before.
    The `roomless`, for which restic's answer had no room, can be rejected, and no more.
    """
    snapshots = repository.snapshots()
    asked = _asked(order, snapshots, roomless, state, now)
    rules = judged(order.rules, {**state.judgements(), **asked})
    ordered = state.ordered() if order.perimeter is None else state.ordered().now(order.perimeter)
    # What was compared with a version that is now found forged is compared anew, while it is here. So is what
    # looked like a loss before it was known here that a directory has left the contract.
    here, lost = {one.id for one in snapshots}, _lost(state)
    versions = {
        name: known
        for name, known in state.versions().items()
        if name not in here
        or (
            known.against.isdisjoint(rules.rejected)
            and (name not in lost or name in rules.released or {*ordered.left} <= {*known.left})
        )
    }
    mine = versions_of(snapshots, rules)
    unmeasured = _measure_new(mine, versions, repository, order.effort, Left(ordered))
    mine = [one for one in mine if one.id in versions]
    texts = losses(
        Compared(day_of(one.time).toordinal(), (known.measure, *known.others), known.days, known.daily)
        for one in mine
        for known in (versions[one.id],)
    )
    found = dict(zip((one.id for one in mine), texts, strict=True))
    return Facts(
        snapshots=tuple(replace(one, losses=found.get(one.id, ())) for one in snapshots),
        versions=versions,
        rules=rules,
        judgements=asked,
        unfinished=state.unfinished,
        stored=repository.stored_bytes(),
        now=now,
        unmeasured=tuple(unmeasured),
    )


def _lost(state: State) -> Collection[str]:
    """The versions that were a loss at the last maintenance; a damaged report is made anew by this one."""
    try:
        return state.report().losses
    except Unreadable:
        return ()


def _measure_new(
    mine: Sequence[Snapshot],
    versions: dict[str, Known],
    repository: Repository,
    effort: Effort,
    left: Left,
) -> list[str]:
    """Put those that are not known yet into `versions`, the oldest first; the ids of those that are left."""
    end = time.monotonic() + effort.seconds
    older: list[Snapshot] = []
    undone: list[str] = []
    tried = 0
    for one in mine:
        if one.id not in versions:
            seconds = end - time.monotonic()
            if tried >= effort.versions or seconds <= 0:
                undone.append(one.id)
                continue
            tried += 1
            try:
                limited = replace(repository, limit=min(repository.limit, seconds * effort.share))
                versions[one.id] = _measured(one, older, versions, limited, left)
            except (Interrupted, Unmeasurable):
                undone.append(one.id)
                continue
        older.append(one)
    return undone


def _measured(
    one: Snapshot,
    older: Sequence[Snapshot],
    versions: Mapping[str, Known],
    repository: Repository,
    left: Left,
) -> Known:
    """Against the version before, the last of an earlier day, and the oldest that is kept: what is done in
    small steps, or several times in an evening, shows against one of them."""
    day = day_of(one.time)
    earlier = [other for other in older if day_of(other.time) < day]
    chosen = list(dict.fromkeys(other for group in (older[-1:], earlier[-1:], older[:1]) for other in group))
    measures = repository.measure(one, [(other, versions[other.id].measure) for other in chosen], left)
    return Known(
        one.host,
        one.time,
        one.arrival,
        one.complete,
        measures[0],
        measures[1:],
        tuple(day_of(other.time).toordinal() for other in chosen),
        chosen.index(earlier[-1]) if earlier else 0,
        tuple(sorted(one.paths)),
        left.ordered.left,
    )


def versions_of(snapshots: Iterable[Snapshot], rules: Rules) -> list[Snapshot]:
    """By time, less marks, what is set aside and what is rejected."""
    mine = (one for one in snapshots if one.marks is None)
    return sorted((one for one in mine if counts(one, rules)), key=by_time)


def judged(rules: Rules, judgements: Mapping[str, Judgement]) -> Rules:
    """The rules with what technicians said."""
    said = {
        verdict: frozenset(name for name, one in judgements.items() if one.verdict == verdict)
        for verdict in (RELEASED, REJECTED)
    }
    return replace(rules, released=said[RELEASED], rejected=said[REJECTED])


def _asked(
    order: Order, snapshots: Sequence[Snapshot], roomless: Collection[str], state: State, now: datetime
) -> dict[str, Judgement]:
    """Id -> the judgement that is asked for, where it says something new. Raises Refused."""
    versions = {one.id for one in snapshots if one.marks is None}
    on = now.isoformat(timespec="seconds")
    lists = (
        (order.release, versions, Judgement(RELEASED, order.release_by, order.release_why, on)),
        (
            order.reject,
            versions.union(roomless),
            Judgement(REJECTED, order.reject_by, order.reject_why, on),
        ),
    )
    asked: dict[str, Judgement] = {}
    for names, among, judgement in lists:
        for name in names:
            one = _full_id(name, judgement.verdict, among)
            if asked.get(one, judgement).verdict != judgement.verdict:
                raise Refused(
                    "asked to be released and rejected; nothing was done",
                    "Take it out of one of the lists",
                    name,
                )
            asked[one] = judgement
    known = state.judgements()
    return {
        name: one for name, one in asked.items() if name not in known or known[name].verdict != one.verdict
    }


def _full_id(name: str, verdict: str, versions: Collection[str]) -> str:
    matching = [one for one in versions if len(name) >= 8 and one.startswith(name)]
    if len(matching) != 1:
        raise Refused(
            f"no version that can be {verdict}",
            "Give the id, or its first 8 characters, from the report",
            name,
        )
    return matching[0]


# -- plan -----------------------------------------------------------------------------------------------


def decide(facts: Facts) -> Plan:
    """The plan, proven. Raises Refused with the checker's objections."""
    decisions = plan(facts.snapshots, facts.now, facts.rules)
    if facts.unmeasured:
        decisions = tuple(_held(one) for one in decisions)
    removed = tuple(one.id for one in decisions if one.action is Action.REMOVE)
    if problems := objections(facts.snapshots, removed, facts.now, facts.rules):
        raise Refused(
            f"Nothing was removed: the promise would not hold ({'; '.join(problems)})",
            "Report it: the plan and its proof disagree, which is a defect of this program",
        )
    return Plan(
        decisions,
        removed,
        bool(removed) or facts.unfinished,
        facts.judgements,
    )


def _held(one: Decision) -> Decision:
    """Among what is not measured there may be a sudden loss, which holds what is older."""
    if one.action is not Action.REMOVE:
        return one
    return replace(one, action=Action.KEEP, reasons=(*one.reasons, "stays until all versions are measured"))


# -- apply ----------------------------------------------------------------------------------------------


def apply(order: Order, planned: Plan, repository: Repository, state: State, facts: Facts) -> None:
    """Do what was planned, in an order that may stop anywhere."""
    if planned.judged:
        state.keep_judgements({**state.judgements(), **planned.judged})
    if planned.prune:
        with repository.storage.opened():
            if planned.removed:
                state.begin(list(planned.removed))
            *before, last = removal_order(planned.removed, facts.snapshots) or ((),)
            for group in before:
                repository.forget(group)
            repository.prune(order.max_unused, last)
            repository.storage.forget(facts.now)
            state.finish()


# -- report ---------------------------------------------------------------------------------------------


def report(order: Order, facts: Facts, planned: Plan, after: Facts) -> dict[str, Any]:
    """A plain result: what was found, what was decided and why, what is left."""
    by_id = {one.id: one for one in facts.snapshots}
    left = [one for one in facts.snapshots if one.id not in planned.removed]
    broken = broken_promises(after.rules, after.snapshots, after.versions, after.now)
    return {
        "changed": planned.changes,
        "promise": {"kept": not broken, "problems": list(broken)},
        "servers": {order.server: as_json(server_of(versions_of(left, facts.rules)))},
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
        "set_aside": [
            one.id
            for one in planned.decisions
            if one.action is Action.SET_ASIDE and one.id not in facts.rules.released | facts.rules.rejected
        ],
        "losses": {
            one.id: list(one.losses)
            for one in facts.snapshots
            if one.losses and one.id not in facts.rules.released
        },
        "unmeasured": list(facts.unmeasured),
        RELEASED: [name for name, one in planned.judged.items() if one.verdict == RELEASED],
        REJECTED: [name for name, one in planned.judged.items() if one.verdict == REJECTED],
        "pruned": planned.prune,
        "check": None,
        "drill": None,
        "diff": {"before": _listing(facts.snapshots), "after": _listing(left)},
    }


def broken_promises(
    rules: Rules, snapshots: Iterable[Snapshot], versions: Mapping[str, Known], now: datetime
) -> tuple[str, ...]:
    """What the promise lacks, judged with all versions that were ever seen, whoever removed them."""
    here = {one.id: one for one in snapshots}
    seen = {name: known.as_snapshot(name) for name, known in versions.items()}
    return objections({**here, **seen}.values(), seen.keys() - here.keys(), now, rules, already_gone=True)


def server_of(versions: Sequence[Snapshot]) -> Versions:
    """What one server has, for a report; `versions` are by time."""
    complete = [one for one in versions if one.complete]
    return Versions(
        versions=len(complete),
        incomplete=len(versions) - len(complete),
        last=complete[-1].time if complete else None,
        last_any=versions[-1].time if versions else None,
        oldest_day=day_of(complete[0].time) if complete else None,
    )


def counted(facts: Facts) -> Counted:
    """What there is of the server for its client's volume."""
    newest = counting(facts.rules, [one for one in facts.snapshots if one.id in facts.versions])
    use = Use(facts.versions[newest.id].measure.bytes, newest.arrival) if newest else None
    forged = frozenset(one.arrival for one in facts.snapshots if one.id in facts.rules.rejected)
    return Counted(use, facts.stored, forged)


def counting(rules: Rules, snapshots: Sequence[Snapshot]) -> Snapshot | None:
    """The version that counts as the server's volume: the newest complete one."""
    mine = versions_of(snapshots, rules)
    complete = [one for one in mine if one.complete] or mine
    return complete[-1] if complete else None


def _remembered(facts: Facts) -> dict[str, Known]:
    """Without the versions that are gone and about which no coming day can ask."""
    here = {one.id for one in facts.snapshots}
    span = timedelta(days=facts.rules.span + 7)
    newest = max((known.time for known in facts.versions.values()), default=facts.now)
    return {
        name: known for name, known in facts.versions.items() if name in here or known.time > newest - span
    }


def backups(
    before: Mapping[str, Backup],
    rules: Rules,
    snapshots: Sequence[Snapshot],
    versions: Mapping[str, Known],
) -> dict[str, Backup]:
    """By time: those remembered from `before` and those that are here, of the 400 days to the newest, less
    what is rejected."""
    here = {}
    for one in versions_of(snapshots, rules):
        known, said = versions.get(one.id), one.summary
        here[one.id] = Backup(
            one.time,
            one.arrival,
            one.complete,
            # What was measured is believed before what the client says.
            known.measure.bytes if known else said.bytes if said else None,
            said.files if said else None,
            said.added_bytes if said else None,
            said.seconds if said else None,
        )
    both = {name: one for name, one in {**before, **here}.items() if name not in rules.rejected}
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
