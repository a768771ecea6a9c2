"""A full disk under what the maintenance remembers: one sentence, nothing by halves, and the next goes on.

The limit of a process on the size of files stands for the disk."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.errors import ProSecoursError
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.errors import sentence as told
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.retired import Sighting
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.state import Judgement, State
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.volume import Day

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
KEPT = Judgement("released", "A. Martin", "x" * 200, "2026-11-23")

WRITES: dict[str, Callable[[State], Any]] = {
    "judgements.json": lambda state: state.keep_judgements({"ab": KEPT, "cd": KEPT}),
    "unfinished.json": lambda state: state.begin(["ab" * 32]),
    "volume.json": lambda state: state.keep_volume([Day(NOW.date(), 1, 1, 10)]),
    "retention.json": lambda state: state.keep_report({"failure": "x" * 100}, NOW),
    "retired.json": lambda state: state.keep_sightings({"sql": Sighting(1, NOW.date())}),
    "failure.json": lambda state: state.keep_failure("x" * 100),
}


def said_on_a_full_disk(act: Callable[[], Any]) -> str:
    """What it raises as an expected failure, in a process that may make no file longer than 20 bytes."""
    ours, its = multiprocessing.get_context("fork").Pipe(duplex=False)

    def child() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20, 20))
        try:
            act()
            its.send("nothing")
        except ProSecoursError as error:
            its.send(str(error))
        except OSError as error:
            its.send(f"bare: {error}")
        os._exit(0)

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    assert ours.poll(60)
    said: str = ours.recv()
    process.join(60)
    return said


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("name", WRITES)
def test_one_sentence_and_what_stood_there_stands(tmp_path: Path, name: str) -> None:
    state = State(tmp_path / "state")
    state.folder.mkdir()
    state.keep_judgements({"ab": KEPT})
    before = contents(state.folder)
    said = said_on_a_full_disk(lambda: WRITES[name](state))
    path = state.folder / name
    assert said == (
        f"{path}: it cannot be written (File too large). Make room on its disk, or see to the rights there;"
        " then start again."
    )
    assert contents(state.folder) == before
    WRITES[name](state)  # there is room again
    assert path.stat().st_size > 20


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    lock = State(tmp_path / "file" / "state").locked()
    with pytest.raises(ProSecoursError, match=r"it cannot be written \(Not a directory\)\. Make room"):
        lock.__enter__()


def test_whatever_else_the_system_refuses_has_its_place_and_a_remedy() -> None:
    said = told(OSError(28, "No space left on device", "/srv/depot/lac/x"))
    assert said.startswith("/srv/depot/lac/x of the repository host cannot be read or written (No space left")
    assert "Make room" in said
    assert told(ProSecoursError("it is so", "Do this")) == "it is so. Do this."
