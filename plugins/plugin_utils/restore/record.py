"""The restore record (procès-verbal de restauration): what was asked for, restored and verified, in French,
as HTML and PDF for signature (C3, C10)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..documents.render import pdf, render
from ..files import safe_name, write_whole
from .plan import Plan
from .request import Request


@dataclass(frozen=True)
class Counted:
    """What Windows counts in the fresh folder."""

    files: int
    size: int


@dataclass(frozen=True)
class Ended:
    """How the restore ended; its instants as the host wrote them."""

    start: str | None
    end: str | None
    seconds: float
    exit_code: int
    entries: int
    bytes: int
    troubles: tuple[str, ...]
    trouble_count: int
    counted: Counted | None
    verified: bool


@dataclass(frozen=True)
class Chosen:
    """The version that was restored."""

    id: str
    time: str
    complete: bool


@dataclass(frozen=True)
class Restored:
    """The part of a restore's result that goes on record."""

    version: Chosen
    plan: Plan
    outcome: Ended


def write(request: Request, result: Restored, technician: str, directory: str) -> dict[str, str]:
    """Write `directory`/restores/<client>/<date of the mail>-<request>.html and .pdf; their paths.

    A second run for the same request writes the same record.
    Raises CannotWrite, DocumentError.
    """
    folder = Path(directory).expanduser() / "restores" / safe_name(request.client)
    base = folder / f"{request.mail_date}-{request.id}"
    html = document(request, result, technician)
    return {
        "html": str(write_whole(base.with_suffix(".html"), html)),
        "pdf": str(write_whole(base.with_suffix(".pdf"), pdf(html))),
    }


def document(request: Request, result: Restored, technician: str) -> str:
    """The record as HTML. Pure."""
    return render(
        "restore_record.html.j2",
        title="Procès-verbal de restauration",
        request=request,
        plan=result.plan,
        version=result.version,
        outcome=result.outcome,
        verified=result.outcome.verified,
        technician=technician,
    )
