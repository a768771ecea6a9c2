"""Machines that cost nothing, so that the benchmark measures the collection and WinRM, not Wine.

`python -m windows_lab up --machine bench.machines:Replay` starts a lab with them.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from windows_lab.machine.protocol import UTF8, Process
from windows_lab.machine.resident import WineProcess
from windows_lab.server import WindowsServer

RECORDING = (
    "PROSECOURS_BENCH_RECORDING"  # environment variable: the folder that Recorder fills and Replay reads
)
RECORDED = "bench-0001"
"""The host that is recorded."""
SECRETS = ("repository", "encryption")
"""Kinds of passwords: those of a host are made of its name, and its answers hold their hashes."""
SETTINGS = "settings"  # file of the recording: what of it is the recorded host's own
NONCE = re.compile(r"##(\w+):")
TEMPORARY = re.compile(r"(?<=%TEMP%\\)[0-9a-f]{8}\b")
"""The name of a file that a command line makes and removes."""


class Silent:
    """The parts of a machine that nobody asks for here."""

    def __init__(self, name: str, folder: Path, settings: dict[str, Any], users: dict[str, str]) -> None:
        self.name = name
        self.users = users

    def prepare(self) -> None:
        """Nothing to make."""

    def close(self) -> None:
        """Nothing runs."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def advance(self, to: datetime) -> None:
        """No clock of its own."""

    def tasks(self) -> list[dict[str, Any]]:
        """No tasks that run."""
        return []

    def limit_disk(self, free_bytes: int | None) -> None:
        """No disk."""


class Answered:
    """A process that is over at once, or when its standard input ends, and whose outcome is known before."""

    def __init__(self, stdout: bytes, stderr: bytes, exit_code: int, after_input: bool) -> None:
        self._chunks = [("stdout", stdout), ("stderr", stderr)]
        self._exit_code = exit_code
        self._over = threading.Event()
        if not after_input:
            self._over.set()

    def send(self, data: bytes, end: bool) -> None:
        if end:
            self._over.set()

    def receive(self, timeout: float) -> tuple[list[tuple[str, bytes]], int | None]:
        if not self._over.wait(timeout):
            return [], None
        chunks, self._chunks = [chunk for chunk in self._chunks if chunk[1]], []
        return chunks, self._exit_code

    def terminate(self) -> None:
        self._over.set()


class Swallow(Silent):
    """Takes all input of any command and answers as a stock module that found nothing to change."""

    def start(self, line: str, cwd: str | None, environment: dict[str, str], codepage: int = UTF8) -> Process:
        answer = {"changed": False, "files": [], "directories": [], "symlinks": []}
        return Answered(json.dumps(answer).encode(), b"", 0, after_input=True)


class Recorder(WindowsServer):
    """A Wine machine whose outputs are kept, command line by command line."""

    def __init__(self, name: str, folder: Path, settings: dict[str, Any], users: dict[str, str]) -> None:
        super().__init__(name, folder, settings, users)
        self._recording = Path(os.environ[RECORDING])
        self._recording.mkdir(parents=True, exist_ok=True)
        (self._recording / SETTINGS).write_text(json.dumps(_words(name, settings)), "utf-8")

    def start(
        self, line: str, cwd: str | None, environment: Mapping[str, str], codepage: int = UTF8
    ) -> WineProcess:
        process = super().start(line, cwd, environment, codepage)
        return cast(WineProcess, _Tape(process, self._recording, line))


class _Tape:
    """A process whose outcome is written down."""

    def __init__(self, process: Process, folder: Path, line: str) -> None:
        self._process = process
        self._folder = folder
        self._kept = {"line": line, "stdout": "", "stderr": "", "exit_code": 0, "input": False}
        self._output = {"stdout": bytearray(), "stderr": bytearray()}

    def send(self, data: bytes, end: bool) -> None:
        self._kept["input"] = True
        self._process.send(data, end)

    def receive(self, timeout: float) -> tuple[list[tuple[str, bytes]], int | None]:
        chunks, exit_code = self._process.receive(timeout)
        for stream, data in chunks:
            self._output[stream] += data
        if exit_code is not None:
            self._kept["exit_code"] = exit_code
            for stream, output in self._output.items():
                self._kept[stream] = base64.b64encode(output).decode()
            name = f"{len(list(self._folder.glob('*.json'))):04}.json"
            (self._folder / name).write_text(json.dumps(self._kept), "utf-8")
        return chunks, exit_code

    def terminate(self) -> None:
        self._process.terminate()


class Replay(Silent):
    """Answers each command line as the recorded host did, with its own names in place of that host's."""

    def __init__(self, name: str, folder: Path, settings: dict[str, Any], users: dict[str, str]) -> None:
        super().__init__(name, folder, settings, users)
        recording = Path(os.environ[RECORDING])
        self._known: dict[str, dict[str, Any]] = {}
        for path in sorted(recording.glob("*.json")):
            entry = json.loads(path.read_text("utf-8"))
            self._known[_without_nonce(entry["line"])] = entry
        recorded = json.loads((recording / SETTINGS).read_text("utf-8"))
        own = _words(name, settings)
        pairs = [(recorded[key], own[key]) for key in own if key in recorded and recorded[key] != own[key]]
        self._names = sorted(pairs, key=lambda pair: -len(pair[0]))  # a URL before the name inside it

    def start(self, line: str, cwd: str | None, environment: dict[str, str], codepage: int = UTF8) -> Process:
        asked = _without_nonce(line)
        for theirs, ours in self._names:
            asked = asked.replace(ours, theirs)
        entry = self._known.get(asked)
        if entry is None:
            return Answered(b"", f"never recorded: {line}".encode(), 1, after_input=False)
        names = list(self._names)
        if (new := NONCE.search(line)) and (old := NONCE.search(entry["line"])):
            names.append((old[1], new[1]))
        outputs = [base64.b64decode(entry[stream]) for stream in ("stdout", "stderr")]
        for theirs, ours in names:
            for encoding in ("utf-8", "utf-16-le"):
                outputs = [text.replace(theirs.encode(encoding), ours.encode(encoding)) for text in outputs]
        return Answered(outputs[0], outputs[1], entry["exit_code"], after_input=entry["input"])


def _words(name: str, settings: dict[str, Any]) -> dict[str, str]:
    """What a host's output may hold of its name and its contract."""
    texts = {key: value for key, value in settings.items() if isinstance(value, str)}
    # restic's mark of the protocol is not part of the address that other programs are given.
    hashes = {kind: hashlib.sha256(f"{kind}-of-{name}\r\n".encode()).hexdigest() for kind in SECRETS}
    return {"name": name, **hashes, **{key: text.removeprefix("rest:") for key, text in texts.items()}}


def _without_nonce(line: str) -> str:
    """A composite command line without the words that are others each time."""
    found = NONCE.search(line)
    return TEMPORARY.sub("", line.replace(found[1], "") if found else line)
