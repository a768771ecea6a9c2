"""The restore record (procès-verbal de restauration): what was asked for, restored and verified, in French,
as HTML and PDF for signature (C3, C10)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .documents import render, write_html, write_pdf
from .restore_plan import safe_name
from .restore_request import Request


def write(request: Request, result: Mapping[str, Any], technician: str, directory: str) -> dict[str, str]:
    """Write `directory`/restores/<client>/<date of the mail>-<request>.html and .pdf; their paths.

    `result` is the restore's, with its outcome. A second run for the same request writes the same record.
    Raises DocumentError.
    """
    folder = Path(directory).expanduser() / "restores" / safe_name(request.client)
    base = folder / f"{request.mail_date}-{request.id}"
    html = document(request, result, technician)
    return {
        "html": str(write_html(html, base.with_suffix(".html"))),
        "pdf": str(write_pdf(html, base.with_suffix(".pdf"))),
    }


def document(request: Request, result: Mapping[str, Any], technician: str) -> str:
    """The record as HTML. Pure."""
    return render(
        "restore_record.html.j2",
        title="Procès-verbal de restauration",
        request=request.data(),
        plan=result["plan"],
        version=result["version"],
        outcome=result["outcome"],
        verified=result["outcome"]["verified"],
        technician=technician,
    )
