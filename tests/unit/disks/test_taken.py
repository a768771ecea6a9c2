"""What goes along with a version on a disk: a program, a sheet, and a code that is on neither."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ansible_collections.prosecours.backup.plugins.plugin_utils.disks import taken
from ansible_collections.prosecours.backup.plugins.plugin_utils.disks.custody import CustodyError

from .test_custody import HANDED

VERSION, MADE = "ef" * 32, "2026-11-20T22:41:00+01:00"


def test_the_program_names_the_version_and_the_repository() -> None:
    script = taken.beside(HANDED, VERSION, MADE)["restaurer.cmd"]
    assert (
        f'--repo "restauration-moulin-srv1" --no-cache restore {VERSION} --target "%CIBLE%" --verify'
        in script
    )
    assert script.isascii()  # whatever the code page of the console is
    assert script.count("\n") == script.count("\r\n") > 20
    assert "$" not in script


def test_the_sheet_tells_what_the_disk_holds_and_how_it_is_restored() -> None:
    told = re.sub(r"\s", " ", taken.beside(HANDED, VERSION, MADE)["LISEZMOI.html"])
    for says in ("1A2B-3C4D", "20 novembre 2026", "restaurer.cmd", "moulin-srv1", HANDED.fingerprint):
        assert says in told
    assert "Remis par" not in told  # on the disk there is nothing to sign


def test_a_code_is_made_once_for_this_user_alone(tmp_path: Path) -> None:
    record = tmp_path / "2026-11-22-1a2b3c.json"
    assert taken.code_of(record) is None
    made = taken.make_code(record)
    assert re.fullmatch(r"(?:[a-hj-km-np-z2-9]{5}-){4}[a-hj-km-np-z2-9]{5}", made.reveal())
    assert str(made) == "***"
    file = record.with_suffix(".code")
    assert file.stat().st_mode & 0o777 == 0o600
    kept = taken.code_of(record)
    assert kept
    assert kept.reveal() == made.reveal() != taken.make_code(record).reveal()
    file.write_bytes(b"\xff")
    with pytest.raises(CustodyError, match="it cannot be read"):
        taken.code_of(record)
