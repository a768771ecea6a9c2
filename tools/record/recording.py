"""A recording: what each line printed, byte for byte, its exit code and how long it took; one zip for all.

`recording.json` has the server and the lines; `<session>/<name>.out` and `.err` what they printed.
"""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from .anonymous import Names

FORMAT = 1
_MANIFEST = "recording.json"
_DURATIONS = ((1.0, "a second at most"), (10.0, "ten seconds at most"))
_LONGER = "longer"


def duration(seconds: float) -> str:
    """The class of a duration: exact times differ at every run."""
    return next((words for limit, words in _DURATIONS if seconds <= limit), _LONGER)


@dataclass(frozen=True)
class Answer:
    """One line's. `clock`: the server's UTC, ISO 8601, or "". `whole`: all that it printed has arrived."""

    name: str
    session: str
    line: str
    codepage: int
    exit_code: int
    duration: str
    clock: str = ""
    whole: bool = True
    hides: str = ""
    out: bytes = b""
    err: bytes = b""


@dataclass(frozen=True)
class Recording:
    """What one server answered. `windows`: build, installation, product, language (a hexadecimal LCID), and
    its code pages, OEM and ANSI."""

    windows: dict[str, Any]
    answers: tuple[Answer, ...]

    def find(self, session: str, name: str) -> Answer:
        """Raises KeyError."""
        found = {(one.session, one.name): one for one in self.answers}
        return found[session, name]

    def anonymous(self, names: Names) -> Recording:
        """The same without names, in the lines and in what they printed."""
        return Recording(
            {
                key: names.text(value) if isinstance(value, str) else value
                for key, value in self.windows.items()
            },
            tuple(
                replace(
                    one,
                    line=names.text(one.line),
                    out=names.out_of(one.out, one.hides),
                    err=names.out_of(one.err, one.hides),
                )
                for one in self.answers
            ),
        )

    def packed(self) -> bytes:
        """The zip."""
        made = io.BytesIO()
        lines = [
            {key: value for key, value in asdict(one).items() if key not in ("out", "err", "hides")}
            for one in self.answers
        ]
        with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
            manifest = {"format": FORMAT, "windows": self.windows, "lines": lines}
            archive.writestr(_MANIFEST, json.dumps(manifest, indent=1, ensure_ascii=False))
            for one in self.answers:
                for stream in ("out", "err"):
                    if data := getattr(one, stream):
                        archive.writestr(f"{one.session}/{one.name}.{stream}", data)
        return made.getvalue()


def read(path: Path) -> Recording:
    """A recording from its zip. Raises ValueError when it is none."""
    with zipfile.ZipFile(path) as archive:
        manifest = json.loads(archive.read(_MANIFEST))
        if manifest.get("format") != FORMAT:
            raise ValueError(f"{path} has format {manifest.get('format')}, not {FORMAT}")
        there = set(archive.namelist())

        def stream(line: dict[str, Any], name: str) -> bytes:
            member = f"{line['session']}/{line['name']}.{name}"
            return archive.read(member) if member in there else b""

        answers = tuple(
            Answer(**line, out=stream(line, "out"), err=stream(line, "err")) for line in manifest["lines"]
        )
    return Recording(manifest["windows"], answers)
