"""What a maintenance of many clients says while it goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance import fleet

HOUR = 3600.0


@pytest.mark.parametrize(
    ("done", "of", "seconds", "said"),
    [
        (1, 4, HOUR, ", about 3 h 00 min left"),
        (3, 4, HOUR, ", about 0 h 20 min left"),
        (3, 4, 60, ", under a minute left"),
        (4, 4, HOUR, ""),
    ],
)
def test_the_rest_takes_as_long_as_what_is_done(done: int, of: int, seconds: float, said: str) -> None:
    assert fleet.time_left(done, of, seconds) == said


def test_each_client_that_is_done_tells_how_far_the_run_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three clients of twenty minutes each, one after the other; none has sent anything yet."""
    clock = iter(range(0, 10**6, 1200))
    monkeypatch.setattr("time.monotonic", lambda: float(next(clock)))
    monkeypatch.setattr(fleet, "_maintain", lambda *_: (None, []))
    monkeypatch.setattr(fleet, "_reserves", lambda *_: iter(()))
    monkeypatch.setattr(fleet, "_last", lambda *_: 0)
    clients = [fleet.Client(name, "", 1, 7, 3, {}, str(tmp_path)) for name in ("bois", "lac", "moulin")]
    said: list[str] = []
    settings = fleet.Settings(str(tmp_path), "restic", 1, 15, 24)
    fleet.maintain(clients, lambda *_: "", settings, check=False, say=said.append)
    assert said == [
        "bois: begins",
        "1 of 3, about 0 h 40 min left: bois: nothing sent yet",
        "lac: begins",
        "2 of 3, about 0 h 20 min left: lac: nothing sent yet",
        "moulin: begins",
        "3 of 3: moulin: nothing sent yet",
    ]
