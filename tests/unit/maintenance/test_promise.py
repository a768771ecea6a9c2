"""The promise C7: what each rule of the plan is there for. Thousands of histories: test_histories.py."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.proof import objections
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.retention import (
    Action,
    Decision,
    Rules,
    Snapshot,
    day_of,
    plan,
)
from unit.maintenance.simulation import Judge, Policy, at, backup, history_of, live, simulate

ONE_DAY = timedelta(days=1)


def proven(snapshots: tuple[Snapshot, ...], now: datetime, rules: Rules) -> set[str]:
    """The plan as the collection uses it: never without the checker's word."""
    decisions = plan(snapshots, now, rules)
    removed = {decision.id for decision in decisions if decision.action is Action.REMOVE}
    assert objections(snapshots, removed, now, rules) == ()
    assert not any(name.startswith("forged") for name in removed)
    return {decision.id for decision in decisions} - removed


def daily(first: str, count: int, hour: float = 22.0) -> list[Snapshot]:
    start = date.fromisoformat(first)
    days = [start + number * ONE_DAY for number in range(count)]
    return [backup(day.isoformat(), at(day, hour)) for day in days]


def decide(snapshots: list[Snapshot], now: datetime, rules: Rules | None = None) -> dict[str, Decision]:
    return {decision.id: decision for decision in plan(snapshots, now, rules or Rules())}


def removed(snapshots: list[Snapshot], now: datetime, rules: Rules | None = None) -> set[str]:
    decisions = decide(snapshots, now, rules)
    return {name for name, decision in decisions.items() if decision.action is Action.REMOVE}


@pytest.mark.parametrize(
    ("days", "weeks", "most"), [(7, 2, 8), (7, 1, 7), (3, 4, 7), (14, 2, 14), (7, 5, 11)]
)
def test_no_more_stays_than_the_promise_asks_for(days: int, weeks: int, most: int) -> None:
    """With a backup every day: the daily versions, and one for each week that they do not reach."""
    sent = daily("2026-01-01", 200)
    runs = [one.arrival + timedelta(hours=10) for one in sent]
    problem, count = live(history_of(sent, runs, Rules(daily=days, weekly=weeks)), proven)
    assert (problem, count) == (None, most)


def test_the_weekly_version_is_as_old_as_it_can_be() -> None:
    """It could be the newest of its week, and nothing would ever be older than seven days: no one's wish."""
    sent, oldest = daily("2026-01-01", 60), set()
    left: list[Snapshot] = []
    for one in sent:
        now = one.arrival + timedelta(hours=1.5)
        left = [kept for kept in [*left, one] if kept.id not in removed([*left, one], now)]
        oldest.add((day_of(now) - day_of(left[0].time)).days)
    assert oldest - set(range(7)) == set(range(7, 14))


@pytest.mark.parametrize(("weeks", "disappointed"), [(2, 4), (3, 0)])
def test_three_weeks_satisfy_who_counts_from_monday_to_sunday(weeks: int, disappointed: int) -> None:
    """The last two full weeks have a version each; with the contract's 2 on three days of seven."""
    sent, missed = daily("2026-01-01", 60), set[int]()
    left: list[Snapshot] = []
    for one in sent:
        now = one.arrival + timedelta(hours=1.5)
        gone = removed([*left, one], now, Rules(weekly=weeks))
        left = [kept for kept in [*left, one] if kept.id not in gone]
        today = day_of(one.time)
        if today >= date(2026, 2, 1):
            monday = today - timedelta(days=today.weekday())
            had = {(monday - day_of(kept.time)).days for kept in left}
            if any(had.isdisjoint(range(first, first + 7)) for first in (1, 8)):
                missed.add(today.weekday())
    assert len(missed) == disappointed


@pytest.mark.parametrize("change", ["2026-03-29", "2026-10-25"])
def test_days_are_those_of_paris_on_both_clock_changes(change: str) -> None:
    """Between the last backup of a day and the first of the next lie two minutes, or in UTC no midnight."""
    day = date.fromisoformat(change)
    late, early = backup("late", at(day, 0) - timedelta(minutes=1)), backup("early", at(day, 0))
    evening = backup("evening", at(day + ONE_DAY, 0) - timedelta(minutes=1))
    assert [day_of(one.time) for one in (late, early, evening)] == [day - ONE_DAY, day, day]
    assert removed([late, early, evening], at(day + ONE_DAY, 9)) == {"early"}
    assert timedelta(hours=23) - timedelta(minutes=1) in {
        evening.time - early.time,
        evening.time - early.time - timedelta(hours=2),
    }


def test_the_last_of_a_day_stays_and_says_so() -> None:
    noon, night = backup("noon", at("2026-05-04", 12)), backup("night", at("2026-05-04", 22))
    decisions = decide([noon, night], at("2026-05-05", 9))
    assert decisions["night"] == Decision("night", Action.KEEP, ("last version of 2026-05-04",))
    assert decisions["noon"].reasons == ("night is a later version of 2026-05-04",)


def test_a_perimeter_that_changed_at_noon_keeps_both_versions_of_the_day() -> None:
    """The contract speaks of files: those that left the perimeter have their last version before noon."""
    noon = backup("noon", at("2026-05-04", 12), paths=frozenset({"a", "b"}))
    night = backup("night", at("2026-05-04", 22), paths=frozenset({"a", "c"}))
    assert removed([noon, night], at("2026-05-05", 9)) == set()
    assert removed([replace(noon, paths=frozenset("a")), night], at("2026-05-05", 9)) == {"noon"}


def test_what_left_the_perimeter_expires() -> None:
    sent = [replace(one, paths=frozenset("a")) for one in daily("2026-01-01", 30)]
    sent += [replace(one, paths=frozenset("b")) for one in daily("2026-01-31", 30)]
    assert removed(sent, at("2026-03-02")) >= {one.id for one in sent[:30]}


def test_an_incomplete_backup_replaces_no_complete_one_and_stands_in_where_there_is_none() -> None:
    whole = backup("whole", at("2026-05-04", 12))
    part = backup("part", at("2026-05-04", 22), complete=False)
    alone = [backup(f"alone{hour}", at("2026-05-05", hour), complete=False) for hour in (10, 22)]
    assert removed([whole, part, *alone], at("2026-05-06", 9)) == {"alone10"}


def test_a_mark_goes_with_the_snapshot_that_it_marks() -> None:
    sent = daily("2026-01-01", 30)
    old = backup("old-mark", at("2026-01-01", 23), marks="2026-01-01")
    new = backup("new-mark", at("2026-01-30", 23), marks="2026-01-30")
    gone = backup("lost-mark", at("2026-01-30", 23), marks="nowhere")
    decisions = decide([*sent, old, new, gone], at("2026-02-01"))
    assert decisions["old-mark"].action is decisions["lost-mark"].action is Action.REMOVE
    assert decisions["new-mark"].action is Action.KEEP


def test_what_has_just_arrived_replaces_nothing_yet() -> None:
    """The mark that calls it incomplete comes after it."""
    noon, night = backup("noon", at("2026-05-04", 12)), backup("night", at("2026-05-04", 22))
    assert removed([noon, night], night.arrival + timedelta(minutes=59)) == set()
    assert removed([noon, night], night.arrival + timedelta(minutes=61)) == {"noon"}


def test_a_server_that_falls_silent_keeps_what_it_has() -> None:
    sent = daily("2026-01-01", 10)
    left = [one for one in sent if one.id not in removed(sent, at("2026-01-11", 9))]
    assert removed(left, at("2026-06-01")) == set()


def test_a_clock_that_jumps_ahead_on_the_repository_host_removes_nothing() -> None:
    """Until backups agree with it again: what arrives under the wrong clock is set aside."""
    sent = daily("2026-01-01", 8)
    wrong = [replace(one, arrival=one.arrival + timedelta(days=4000)) for one in daily("2026-01-09", 3)]
    decisions = decide([*sent, *wrong], at("2036-12-21"))
    assert {one.action for one in decisions.values()} == {Action.KEEP, Action.SET_ASIDE}


def test_a_clock_that_falls_back_on_the_repository_host_removes_nothing() -> None:
    sent = daily("2026-01-01", 20)
    left = [one for one in sent if one.id not in removed(sent, at("2026-01-21", 9))]
    assert removed(left, at("2020-01-01")) == set()


# -- what everybody does --------------------------------------------------------------------------------


def keep_daily_weekly(snapshots: tuple[Snapshot, ...], now: datetime, rules: Rules) -> set[str]:
    """restic's --keep-daily 7 --keep-weekly 2: the last of so many days and calendar weeks that had one."""
    kept: set[str] = set()
    newest = sorted(snapshots, key=lambda one: one.time, reverse=True)
    for bucket, count in ((day_of, 7), (lambda time: day_of(time).isocalendar()[:2], 2)):
        last: dict[object, str] = {}
        for one in newest:
            last.setdefault(bucket(one.time), one.id)
        kept |= set(list(last.values())[:count])
    return kept


def keep_within(snapshots: tuple[Snapshot, ...], now: datetime, rules: Rules) -> set[str]:
    """--keep-within 7d: seven times 24 hours back from the newest."""
    newest = max(one.time for one in snapshots)
    return {one.id for one in snapshots if one.time > newest - timedelta(days=7)}


def keep_two_weeks(snapshots: tuple[Snapshot, ...], now: datetime, rules: Rules) -> set[str]:
    """Fourteen daily buckets: more than enough, as long as nobody lies."""
    last: dict[date, str] = {}
    for one in sorted(snapshots, key=lambda one: one.time, reverse=True):
        last.setdefault(day_of(one.time), one.id)
    return set(list(last.values())[:14])


def what_today_needs(snapshots: tuple[Snapshot, ...], now: datetime, rules: Rules) -> set[str]:
    """The promise of today to the letter: of each week the newest day, and nothing for tomorrow."""
    today = day_of(now).toordinal()
    last = {day_of(one.time).toordinal(): one.id for one in sorted(snapshots, key=lambda one: one.time)}
    kept = {name for day, name in last.items() if day > today - rules.daily}
    for end in range(today, today - 7 * rules.weekly, -7):
        kept |= {last[max(days)]} if (days := [day for day in last if end - 7 < day <= end]) else set()
    return kept


def grouped_by_paths(snapshots: tuple[Snapshot, ...], now: datetime, rules: Rules) -> set[str]:
    """restic's default grouping under a plan that is right: each perimeter is a history of its own."""
    groups: dict[frozenset[str], list[Snapshot]] = {}
    for one in snapshots:
        groups.setdefault(one.paths, []).append(one)
    return {name for group in groups.values() for name in proven(tuple(group), now, rules)}


def every_evening(sent: list[Snapshot]) -> list[datetime]:
    return [one.arrival + timedelta(hours=1.5) for one in sent]


@pytest.mark.parametrize(
    ("policy", "broken"),
    [
        (keep_daily_weekly, "2026-01-12: srv lacks the week that ends 2026-01-05"),
        (keep_within, "2026-01-12: srv lacks the week that ends 2026-01-05"),
        (what_today_needs, "2026-01-19: srv lacks the week that ends 2026-01-05"),
        (keep_two_weeks, None),
        (proven, None),
    ],
)
def test_naive_policies_break_the_promise_of_a_regular_month(policy: Policy, broken: str | None) -> None:
    sent = daily("2026-01-05", 30)
    rules = Rules(weekly=3) if policy is what_today_needs else Rules()
    assert live(history_of(sent, every_evening(sent), rules), policy)[0] == broken


@pytest.mark.parametrize(("policy", "holds"), [(keep_two_weeks, False), (proven, True)])
def test_buckets_fall_to_forged_future_times(policy: Policy, holds: bool) -> None:
    sent = daily("2026-01-05", 14)
    now = at("2026-01-19", 3)
    forged = future(14, now)
    problem, _ = live(history_of([*sent, *forged], [now + timedelta(hours=2)]), policy)
    assert (problem is None) is holds


def test_grouping_by_paths_keeps_the_versions_of_an_old_perimeter_for_ever() -> None:
    old = [replace(one, paths=frozenset("a")) for one in daily("2026-01-05", 10)]
    new = [replace(one, paths=frozenset("b")) for one in daily("2026-01-15", 100)]
    now = at("2026-06-01")
    assert {one.id for one in old} & grouped_by_paths((*old, *new), now, Rules())
    assert not {one.id for one in old} & proven((*old, *new), now, Rules())


# -- snapshots that lie about their time ----------------------------------------------------------------


def future(count: int, arrival: datetime) -> list[Snapshot]:
    days = range(1, count + 1)
    return [backup(f"forged{n:02}", arrival + n * ONE_DAY, arrival=arrival) for n in days]


def past(count: int, arrival: datetime) -> list[Snapshot]:
    """At the end of each past day, to be the last version of it."""
    last = [at(day_of(arrival) - n * ONE_DAY, 23.99) for n in range(2, count + 2)]
    return [backup(f"forged{n:02}", time, arrival=arrival) for n, time in enumerate(last)]


@pytest.mark.parametrize("forge", [future, past])
def test_forged_times_push_nothing_out_and_are_set_aside(
    forge: Callable[[int, datetime], list[Snapshot]],
) -> None:
    sent = daily("2026-01-01", 14)
    now = at("2026-01-15", 9)
    without = removed(sent, now)
    decisions = decide([*sent, *forge(12, now - timedelta(hours=3))], now)
    assert {name for name, one in decisions.items() if one.action is Action.REMOVE} == without
    assert all(
        (one.action is Action.SET_ASIDE) == name.startswith("forged") for name, one in decisions.items()
    )
    assert all(one.reasons for one in decisions.values())


def test_times_that_no_calendar_holds_are_set_aside() -> None:
    arrival = at("2026-01-02")
    ends = [datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC)]
    sent = [backup(f"forged{n}", time, arrival=arrival) for n, time in enumerate(ends)]
    now = at("2026-01-20")
    assert {one.action for one in plan(sent, now, Rules())} == {Action.SET_ASIDE}
    assert objections(sent, [], now, Rules()) == ()


def test_set_aside_leaves_only_when_released_and_older_than_the_promise() -> None:
    sent = daily("2026-01-01", 40)
    old, new = (
        backup(f"forged{day}", at("2030-01-01"), arrival=at(day)) for day in ("2026-01-20", "2026-02-01")
    )
    now = at("2026-02-09", 23.5)
    release = Rules(released=frozenset({old.id, new.id}))
    assert not {old.id, new.id} & removed([*sent, old, new], now)
    assert {old.id, new.id} & removed([*sent, old, new], now, release) == {old.id}


# -- sudden loss ----------------------------------------------------------------------------------------


def test_a_sudden_loss_holds_all_older_versions_until_it_is_released() -> None:
    before = daily("2026-01-01", 13)
    now = at("2026-01-13", 23.5)
    before = [one for one in before if one.id not in removed(before, now)]
    loss = backup("loss", at("2026-01-14"), losses=("200 of 210 files are gone",))
    after = daily("2026-01-15", 60)
    later = at("2026-03-20")
    decisions = decide([*before, loss, *after], later)
    assert all(decisions[one.id].action is Action.KEEP for one in [*before, loss])
    assert decisions["loss"].reasons == ("sudden loss: 200 of 210 files are gone",)
    assert "held by the sudden loss in loss" in decisions[before[0].id].reasons
    assert decisions["2026-01-20"].action is Action.REMOVE  # what came after it goes its way

    released = removed([*before, loss, *after], later, Rules(released=frozenset({"loss"})))
    assert {one.id for one in [*before, loss]} <= released


def test_a_backdated_loss_holds_what_had_arrived_before_it() -> None:
    """Its own time is within the bound, and before that of the night's real version."""
    sent = daily("2026-01-01", 20)
    left = [one for one in sent if one.id not in removed(sent, at("2026-01-20", 23.5))]
    loss = backup("loss", at("2026-01-20", 21), arrival=at("2026-01-21", 9), losses=("empty",))
    later = daily("2026-01-21", 40)
    assert not {one.id for one in left} & removed([*left, loss, *later], at("2026-03-05"))


# -- the checker ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gone", "objection"),
    [
        ({"2026-01-14"}, "the newest version would go"),
        ({"2026-01-09"}, "on 2026-01-15 the last version of 2026-01-09 would be missing"),
        ({"2026-01-02", "2026-01-04", "2026-01-06"}, None),
        (
            {f"2026-01-{n:02}" for n in range(2, 9)},
            "on 2026-01-15 the week that ends on 2026-01-08 would have no version",
        ),
        ({"2026-01-01"}, None),
        ({"forged"}, "forged is set aside, not to be removed"),
        ({"elsewhere"}, "elsewher is not in the repository"),
    ],
)
def test_the_checker_objects_to_what_breaks_the_promise(gone: set[str], objection: str | None) -> None:
    sent = [*daily("2026-01-01", 14), backup("forged", at("2030-01-01"), arrival=at("2026-01-10"))]
    found = objections(sent, gone, at("2026-01-15", 9), Rules())
    assert any(text.endswith(objection) for text in found) if objection else found == ()


def test_the_checker_looks_ahead() -> None:
    """Today Sunday serves its week. Tomorrow Monday is in the week before, and nothing else will be."""
    rules = Rules(daily=1, weekly=2)
    sent = [backup("monday", at("2026-01-05")), backup("sunday", at("2026-01-11"))]
    found = objections(sent, {"monday"}, at("2026-01-11", 23.5), rules)
    assert found[0] == "srv: on 2026-01-12 the week that ends on 2026-01-05 would have no version"


def test_the_checker_holds_what_a_loss_holds() -> None:
    sent = [*daily("2026-01-01", 30), backup("loss", at("2026-01-31"), losses=("empty",))]
    found = objections(sent, {"2026-01-01"}, at("2026-02-01", 9), Rules())
    assert found == ("srv: 2026-01- is held by the sudden loss in loss",)


def test_the_checker_holds_by_the_time_of_a_loss_and_by_its_arrival() -> None:
    """A slow backup and a loss overlap, and a backdated loss stands before what was there already."""
    now = at("2026-02-20")
    slow = backup("slow", at("2026-01-01", 21), arrival=at("2026-01-02", 9))
    quick = backup("quick", at("2026-01-01", 22))
    for older, loss in ((slow, quick), (quick, slow)):
        sent = [older, replace(loss, losses=("empty",)), *daily("2026-01-03", 40)]
        found = objections(sent, {older.id}, now, Rules())
        assert found == (f"srv: {older.id} is held by the sudden loss in {loss.id}",)


def test_the_checker_lets_nothing_go_that_is_set_aside_unjudged_or_too_soon() -> None:
    forged = backup("forged", at("2030-01-01"), arrival=at("2026-01-10"))
    sent, gone = [*daily("2026-01-01", 40), forged], {"forged"}
    asked = {
        "": Rules(),
        "released": Rules(released=frozenset(gone)),
        "rejected": Rules(rejected=frozenset(gone)),
    }
    found = {name: objections(sent, gone, at("2026-02-10"), rules) for name, rules in asked.items()}
    assert found == {"": ("srv: forged is set aside, not to be removed",), "released": (), "rejected": ()}
    soon = objections([*sent[:20], forged], gone, at("2026-01-20", 23.9), asked["rejected"])
    assert soon == ("srv: forged was judged, but its days are not over",)


def test_the_checker_waits_for_the_mark_of_what_has_just_arrived() -> None:
    noon, night = backup("noon", at("2026-05-04", 12)), backup("night", at("2026-05-04", 22))
    early, late = (night.arrival + timedelta(minutes=minutes) for minutes in (59, 61))
    assert "srv: the newest version would go" in objections([noon, night], {"noon"}, early, Rules())
    assert objections([noon, night], {"noon"}, late, Rules()) == ()


def test_the_checker_reads_paths() -> None:
    """Each file has its own last version of a day and its own weeks."""
    noon = backup("noon", at("2026-05-04", 12), paths=frozenset({"a", "b"}))
    night = backup("night", at("2026-05-04", 22), paths=frozenset({"a", "c"}))
    found = objections([noon, night], {"noon"}, at("2026-05-05", 9), Rules())
    assert found[0] == "srv: on 2026-05-04 the last version of 2026-05-04 would be missing, with b"


def test_the_checker_keeps_a_mark_as_long_as_its_version() -> None:
    sent = [*daily("2026-01-01", 40), backup("mark", at("2026-01-01", 23), marks="2026-01-01")]
    now = at("2026-02-10", 9)
    assert objections(sent, {"mark"}, now, Rules()) == (
        "2026-01- would lose its mark, and pass for complete",
    )
    assert objections(sent, {"mark", "2026-01-01"}, now, Rules()) == ()


def test_days_that_a_rejected_version_let_pass_have_passed() -> None:
    """It is rejected after what it let go has gone: that was right then, and is no broken promise now."""
    sent = [*daily("2026-01-01", 30), backup("forged", at("2026-01-31"))]
    now = at("2026-01-31", 23.5)
    gone = removed(sent, now)
    rejecting = Rules(rejected=frozenset({"forged"}))
    assert objections(sent, gone, now, rejecting)
    assert objections(sent, gone, now, rejecting, already_gone=True) == ()


def test_the_checker_agrees_with_the_judge_about_any_removal() -> None:
    """Thousands of removals, most of them wrong: the judge waits for the days to come and sees."""
    chance, verdicts = random.Random(3), Counter[bool]()  # noqa: S311 -- repeatable, not secret
    for _ in range(3000):
        rules = Rules(daily=chance.randint(1, 8), weekly=chance.randint(0, 4))
        sent = [one for one in daily("2026-01-05", 30) if chance.random() < 0.6]
        sent.append(backup("newest", at("2026-02-04")))
        few = chance.choice((0.02, 0.1, 0.5))
        gone = {one.id for one in sent if chance.random() < few}
        history = history_of(sent, [], rules)
        judge, left = Judge(history), {one.id for one in sent} - gone
        for one in sent:
            judge.arrived(one)
        coming = (date(2026, 2, 4) + n * ONE_DAY for n in range(40))
        broken = "newest" in gone or any(judge.broken(day, left) for day in coming)
        assert bool(objections(sent, gone, at("2026-02-04", 23.5), rules)) is broken
        verdicts[broken] += 1
    assert min(verdicts.values()) > 300


@pytest.mark.parametrize(
    "meant",
    [
        lambda rules: replace(rules, daily=rules.daily - 1),
        lambda rules: replace(rules, weekly=rules.weekly - 1),
        lambda rules: replace(rules, ahead=timedelta(days=60), behind=timedelta(days=60)),
    ],
    ids=["a day short", "a week short", "any time is believed"],
)
def test_the_histories_find_a_plan_that_is_slightly_wrong(meant: Callable[[Rules], Rules]) -> None:
    """Else a thousand years of them would prove nothing."""

    def wrong(snapshots: tuple[Snapshot, ...], now: datetime, rules: Rules) -> set[str]:
        decisions = plan(snapshots, now, meant(rules))
        return {decision.id for decision in decisions if decision.action is not Action.REMOVE}

    assert any(live(simulate(seed), wrong)[0] for seed in range(60))


# -- what an attacker and a kill can do to the promise --------------------------------------------------


def test_a_loss_that_nobody_released_serves_no_week_of_an_honest_version() -> None:
    """Backdated within what is believed, the loss is the older one of its week: it must not stand for it."""
    loss = backup("loss", at("2026-01-01"), losses=("empty",))
    sent = [loss, *daily("2026-01-02", 6)]
    kept = {one.id for one in [*sent, *daily("2026-01-08", 7)]} - removed(
        [*sent, *daily("2026-01-08", 7)], at("2026-01-14", 23.9)
    )
    assert "2026-01-02" in kept


def test_a_rejected_version_counts_for_nothing_and_stays_until_its_days_are_over() -> None:
    honest, forged = backup("honest", at("2026-01-10")), backup("forged", at("2026-01-10", 22.5))
    rest = daily("2026-01-11", 6)
    rejecting = Rules(rejected=frozenset({"forged"}))
    assert removed([honest, forged, *rest], at("2026-01-16", 23.9)) == {"honest"}
    assert removed([honest, forged, *rest], at("2026-01-16", 23.9), rejecting) == set()
    assert objections([honest, forged, *rest], {"honest"}, at("2026-01-16", 23.9), rejecting)
    later = [honest, forged, *rest, *daily("2026-01-17", 14)]
    assert "forged" in removed(later, at("2026-01-30", 23.9), rejecting)


def test_a_version_that_many_losses_hold_says_so_once() -> None:
    sent = [
        backup(f"loss{number:04}", at("2026-01-01", number / 60), losses=("empty",)) for number in range(1400)
    ]
    decisions = decide(sent, at("2026-01-10"))
    assert max(len(one.reasons) for one in decisions.values()) <= 3
    assert all(one.action is Action.KEEP for one in decisions.values())
