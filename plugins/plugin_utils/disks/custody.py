"""What became of a disk, step by step, and in whose hands it was: a file of the contract's paper for each
request, and the page that both sides sign when the disk changes hands."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from ...module_utils.maintenance import shape
from ...module_utils.maintenance.disks import Manifest
from ..documents.render import pdf, render
from ..errors import ProSecoursError
from ..files import safe_name, write_whole
from ..wording import show_moment
from .request import Request

STEPS = {
    "prepare": "prepared",
    "fill": "filled",
    "hand_over": "handed over",
    "load": "loaded",
    "finish": "finished",
}
"""In their order, with what a disk is afterwards."""


class CustodyError(ProSecoursError):
    """A step that is not due, or a record that cannot be read."""


@dataclass(frozen=True)
class Step:
    """One that was done."""

    at: datetime
    by: str
    """The technician."""
    files: int = 0
    bytes: int = 0


@dataclass(frozen=True)
class Custody:
    """The record of a disk."""

    request: Request
    steps: Mapping[str, Step] = field(default_factory=dict)
    begun: datetime | None = None
    """When the backup on it was first started; it is believed to be of that time or later. Of an export: when
    the version was made that was begun to be written."""
    files: Mapping[str, int] = field(default_factory=dict)
    """The manifest: what was on the disk when it was handed over, by name and bytes."""

    @property
    def manifest(self) -> Manifest:
        """For the repository host."""
        filled = self.steps["fill"].at
        return Manifest(self.files, self.begun or filled, filled)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the manifest, as it is printed; names are the hashes of what is in the files."""
        text = "".join(f"{name} {size}\n" for name, size in sorted(self.files.items()))
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def snapshots(self) -> list[str]:
        return sorted(name.partition("/")[2] for name in self.files if name.startswith("snapshots/"))

    def require(self, step: str) -> Step | None:
        """The step where it was done before. Raises CustodyError where another one is due first."""
        order = list(STEPS)
        for before in order[: order.index(step)]:
            if before not in self.steps:
                raise CustodyError(
                    f"the disk {self.request.disk.serial} has not been {STEPS[before]} yet",
                    f"Run playbooks/seed.yml with -e prosecours_seed_step={before} first",
                    self.request.server,
                )
        return self.steps.get(step)

    def with_step(self, name: str, step: Step) -> Custody:
        return replace(self, steps={**self.steps, name: step})


def done(step: str, at: Step) -> str:
    """For a step that is asked for again."""
    words = STEPS.get(step, "written")
    return f"this disk was {words} on {show_moment(at.at)} by {at.by}; nothing is left to do"


def place(documents: Path, request: Request) -> Path:
    """`documents`/disks/<client>/<date of the mail>-<id>.json; the page lies beside it."""
    return documents / "disks" / safe_name(request.client) / f"{request.mail_date}-{request.id}.json"


def known(path: Path, request: Request) -> Custody:
    """What was written down; a new record where there is none. Raises CustodyError."""
    try:
        return shape.read(Custody, json.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        return Custody(request)
    except (OSError, ValueError) as error:
        raise CustodyError(
            f"it cannot be read ({error})", "Take it from the backup of the contracts' paper", path
        ) from error


def keep(path: Path, custody: Custody) -> None:
    """Raises CannotWrite."""
    write_whole(path, json.dumps(shape.as_json(custody), indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def write_page(path: Path, custody: Custody) -> dict[str, str]:
    """The page beside the record, HTML and PDF; their paths. Raises CannotWrite, DocumentError."""
    html = document(custody)
    return {
        "html": str(write_whole(path.with_suffix(".html"), html)),
        "pdf": str(write_whole(path.with_suffix(".pdf"), pdf(html))),
    }


def document(custody: Custody) -> str:
    """The page as HTML. Pure."""
    return render(
        "disk_custody.html.j2",
        title="Bordereau de remise d\u2019un disque",
        request=custody.request,
        steps=custody.steps,
        files=len(custody.files),
        bytes=sum(custody.files.values()),
        fingerprint=custody.fingerprint,
        snapshots=custody.snapshots,
    )


def journal(custody: Custody, step: str) -> dict[str, Any]:
    """What the journal keeps (C10)."""
    request = custody.request
    return {
        "request": request.id,
        "requester": request.requester.email,
        "mail_date": request.mail_date,
        "server": request.server,
        "disk": request.disk.serial,
        "step": step,
        "files": custody.steps[step].files,
        "bytes": custody.steps[step].bytes,
    }
