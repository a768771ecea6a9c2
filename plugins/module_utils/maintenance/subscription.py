"""The volume of a client, over all of its servers (C15): what they have together, and whether more is let in.

The maintenance accounts for it when it has been at each server; a deploy settles it in between, by what was
subscribed since and what it measured. facts -> plan -> apply -> report, without restic and without a
password. Standard library only.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from .retention import day_of
from .shape import as_json
from .state import State
from .storage import Door
from .volume import Carried, Counted, Day, Usage, Use, bill, figures


@dataclass(frozen=True)
class Plan:
    """What becomes of the repositories of a client; empty when it is so already."""

    before: Usage | None
    after: Usage
    was_closed: bool | None
    """None: in part, after a kill."""
    was_fenced: bool = True

    @property
    def moves(self) -> bool:
        return self.was_closed is not self.after.over or not self.was_fenced

    @property
    def changes(self) -> bool:
        """What was measured is only worth a change where it opens or closes."""
        return self.moves or bool(self.before and self.before.subscribed_gb != self.after.subscribed_gb)


def settle(
    door: Door,
    state: State,
    subscribed_gb: int,
    servers: Collection[str],
    measured: Mapping[str, int],
    check: bool,
) -> dict[str, Any]:
    """Open or close the client's repositories as the volume now says. `servers`: those of the contract;
    `measured`: server -> bytes of its perimeter.

    Raises Busy while another one does so.
    """
    planned = plan(door, state, subscribed_gb, servers, measured, datetime.now(UTC))
    if planned.changes and not check:
        with state.locked():
            planned = plan(door, state, subscribed_gb, servers, measured, datetime.now(UTC))
            state.keep_usage(planned.after)
            door.move(planned.after.over)
    return report(planned)


def plan(
    door: Door,
    state: State,
    subscribed_gb: int,
    servers: Collection[str],
    measured: Mapping[str, int],
    now: datetime,
) -> Plan:
    """Reads only. What a server has that is in the contract no more counts for nothing."""
    before = state.usage()
    kept = {server: use for server, use in (before.servers if before else {}).items() if server in servers}
    known = Usage(subscribed_gb, kept)
    after = known.learned({host: Use(size, now) for host, size in measured.items()})
    return Plan(before, after, door.closed, door.fenced)


def report(planned: Plan) -> dict[str, Any]:
    """A plain result with Ansible's keys."""
    after = planned.after
    subscribed = planned.before.subscribed_gb if planned.before else after.subscribed_gb
    return {
        "changed": planned.changes,
        "fence_put_up": not planned.was_fenced,
        "closed": after.over,
        "counted_bytes": after.bytes,
        "subscribed_gb": after.subscribed_gb,
        "diff": {
            "before": _text(subscribed, planned.was_closed) + fence(planned.was_fenced),
            "after": _text(after.subscribed_gb, after.over),
        },
    }


def _text(subscribed_gb: int, closed: bool | None) -> str:
    said = {False: "accepted", True: "refused", None: "refused in part: a run was interrupted"}[closed]
    return f"subscribed: {subscribed_gb} GB\nnew backups: {said}\n"


def account(
    door: Door,
    state: State,
    subscribed_gb: int,
    counted: Mapping[str, Counted | None],
    now: datetime,
    check: bool,
) -> tuple[Plan, tuple[Day, ...]]:
    """Do the same after a maintenance, and remember the day; with all days, today's last.

    `counted`: each server of the contract; None where its repository could not be read, so that what is known
    of it stays. What a server has that is in the contract no more counts for nothing. Raises Busy.
    """
    known = state.usage()
    kept = {
        server: use
        for server, use in (known.servers if known else {}).items()
        if server in counted
        and ((one := counted[server]) is None or (one.use is not None and use.at not in one.forged))
    }
    found = {server: one.use for server, one in counted.items() if one and one.use}
    planned = Plan(known, Usage(subscribed_gb, kept).learned(found), door.closed, door.fenced)
    # A day tells what the versions have; a deploy may have measured less since.
    newest = sum((found.get(server) or use).bytes for server, use in planned.after.servers.items())
    day = Day(day_of(now), newest, sum(one.stored for one in counted.values() if one), subscribed_gb)
    if check:
        return planned, tuple(state.volume_with(day))
    with state.locked():
        state.keep_usage(planned.after)
        history = state.volume_with(day)
        state.keep_volume(history)
        if planned.moves:
            door.move(planned.after.over)
    return planned, tuple(history)


def told(
    client: str, reference: str, planned: Plan, history: tuple[Day, ...], carried: Sequence[Carried]
) -> dict[str, Any]:
    """Of a maintenance's report: `volume`; `bills` of the month before, which is complete, and of this."""
    this = history[-1].date
    months = ((this.replace(day=1) - timedelta(days=1)).isoformat()[:7], this.isoformat()[:7])
    rows = (bill(client, reference, month, history, carried) for month in months)
    return {
        "volume": as_json(figures(history, planned.after.over)),
        "bills": [asdict(row) for row in rows if row],
    }


def fence(stood: bool) -> str:
    """The line of a diff about the fence; none while all is as ever."""
    return "" if stood else "keys, configurations and further repositories: accepted\n"


def refusal(closed: bool | None) -> str:
    """The line of a diff about new backups; none while all is as ever."""
    return {
        False: "",
        True: "new backups are refused: over the subscribed volume\n",
        None: "new backups are refused in part: a run was interrupted\n",
    }[closed]
