"""What goes along with a version on a disk: the program by which the client restores, the sheet that tells
how, and the code, which travels apart."""

from __future__ import annotations

import secrets
from importlib import resources
from pathlib import Path
from string import Template

from ...module_utils.maintenance.disks import FOLDER, export_name
from ..documents.render import pdf, render
from ..files import write_whole
from ..secret import Secret
from . import files as disk_files
from .custody import Custody, CustodyError

SCRIPT, SHEET = "restaurer.cmd", "LISEZMOI.html"
PROGRAM = "restic.exe"
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
"""None that is taken for another one when it is read from paper."""
_GROUPS, _GROUP = 5, 5
"""Of a code: some 123 bits."""


def code_of(path: Path) -> Secret | None:
    """The code that was made for this request. Raises CustodyError."""
    try:
        return Secret(path.with_suffix(".code").read_text("ascii").strip())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise CustodyError(
            f"it cannot be read ({error})", "Take it from the backup of the contracts' paper", path
        ) from error


def make_code(path: Path) -> Secret:
    """A new one, kept beside the record for this user alone: a run that goes on needs the same.

    Raises CannotWrite.
    """
    groups = ("".join(secrets.choice(_LETTERS) for _unused in range(_GROUP)) for _unused in range(_GROUPS))
    code = "-".join(groups)
    write_whole(path.with_suffix(".code"), f"{code}\n", mode=0o600)
    return Secret(code)


def beside(custody: Custody, version: str, version_time: str) -> dict[str, str]:
    """What lies on the disk beside the repository, by name."""
    script = resources.files(disk_files).joinpath(SCRIPT).read_text(encoding="ascii")
    filled = Template(script).substitute(folder=export_name(custody.request.server), version=version)
    return {
        SCRIPT: filled.replace("\n", "\r\n"),
        SHEET: sheet(custody, version_time),
    }


def sheet(custody: Custody, version_time: str) -> str:
    """How the client restores, and what to sign; without the code. As HTML. Pure."""
    return render(
        "disk_export.html.j2",
        title="Restaurer depuis le disque",
        request=custody.request,
        steps=custody.steps,
        version_time=version_time,
        folder=FOLDER,
        files=len(custody.files),
        bytes=sum(custody.files.values()),
        fingerprint=custody.fingerprint,
        snapshots=custody.snapshots,
    )


def write_pages(path: Path, custody: Custody, version_time: str, code: Secret) -> dict[str, str]:
    """The sheet, and the code on a page of its own that only this user reads; their paths.

    Raises CannotWrite, DocumentError.
    """
    told = sheet(custody, version_time)
    apart = render("disk_code.html.j2", title="Code du disque", request=custody.request, code=code.reveal())
    return {
        "html": str(write_whole(path.with_suffix(".html"), told)),
        "pdf": str(write_whole(path.with_suffix(".pdf"), pdf(told))),
        "code": str(write_whole(path.with_name(f"{path.stem}-code.pdf"), pdf(apart), mode=0o600)),
    }
