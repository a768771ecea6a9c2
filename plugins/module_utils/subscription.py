"""What a deploy tells a repository host about a client: what it subscribed, what its servers have (C15).

facts -> plan -> apply -> report, without restic and without a password: the last known use of each server is
remembered by the maintenance. Standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from .maintenance_state import State
from .storage import Door
from .volume import Usage, Use


@dataclass(frozen=True)
class Plan:
    """What becomes of the repository; empty when it is so already."""

    before: Usage | None
    after: Usage
    was_closed: bool | None
    """None: in part, after a kill."""

    @property
    def moves(self) -> bool:
        return self.was_closed is not self.after.over

    @property
    def changes(self) -> bool:
        """What was measured is only worth a change where it opens or closes."""
        return self.moves or bool(self.before and self.before.subscribed_gb != self.after.subscribed_gb)


def settle(
    door: Door, state: State, subscribed_gb: int, measured: Mapping[str, int], check: bool
) -> dict[str, Any]:
    """Open or close the repository as the volume now says. `measured`: server -> bytes of its perimeter.

    Raises Busy while the client's maintenance is at work.
    """
    planned = plan(door, state, subscribed_gb, measured, datetime.now(UTC))
    if planned.changes and not check:
        with state.locked():
            planned = plan(door, state, subscribed_gb, measured, datetime.now(UTC))
            state.keep_usage(planned.after)
            door.move(planned.after.over)
    return report(planned)


def plan(door: Door, state: State, subscribed_gb: int, measured: Mapping[str, int], now: datetime) -> Plan:
    """Reads only."""
    before = state.usage()
    known = Usage(subscribed_gb, before.servers if before else {})
    after = known.learned({host: Use(size, now) for host, size in measured.items()})
    return Plan(before, after, door.closed)


def report(planned: Plan) -> dict[str, Any]:
    """A plain result with Ansible's keys."""
    after = planned.after
    subscribed = planned.before.subscribed_gb if planned.before else after.subscribed_gb
    return {
        "changed": planned.changes,
        "closed": after.over,
        "counted_bytes": after.bytes,
        "subscribed_gb": after.subscribed_gb,
        "diff": {
            "before": _text(subscribed, planned.was_closed),
            "after": _text(after.subscribed_gb, after.over),
        },
    }


def _text(subscribed_gb: int, closed: bool | None) -> str:
    said = {False: "accepted", True: "refused", None: "refused in part: a run was interrupted"}[closed]
    return f"subscribed: {subscribed_gb} GB\nnew backups: {said}\n"
