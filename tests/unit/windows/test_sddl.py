"""Rights as SDDL: one meaning for every spelling."""

from __future__ import annotations

import pytest
from ansible_collections.prosecours.backup.plugins.plugin_utils.windows import sddl

CLOSED = "D:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)"


@pytest.mark.parametrize(
    "same",
    [
        "D:P(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)",
        "O:BAG:SYD:PAI(A;OICI;0x1f01ff;;;S-1-5-18)(A;CIOI;FA;;;S-1-5-32-544)",
        "D:PARAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)",
    ],
)
def test_spellings_of_the_same_rights_are_equal(same: str) -> None:
    assert sddl.parse(same) == sddl.parse(CLOSED)


@pytest.mark.parametrize(
    "other",
    [
        "D:AI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)",
        "D:PAI(A;OICI;FA;;;SY)",
        "D:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1200a9;;;BU)",
        "D:PAI(A;OICI;FA;;;SY)(A;;FA;;;BA)",
        "D:PAI(A;OICI;FA;;;SY)(D;OICI;FA;;;BA)",
        "D:PAI(A;OICI;FR;;;SY)(A;OICI;FA;;;BA)",
        "D:NO_ACCESS_CONTROL",
    ],
)
def test_other_rights_are_not(other: str) -> None:
    assert sddl.parse(other) != sddl.parse(CLOSED)


def test_accounts_are_sids_and_masks_are_numbers() -> None:
    dacl = sddl.parse("D:AI(A;ID;GRGX;;;WD)(A;;0x1200a9;;;S-1-5-21-1-2-3-1001)(A;;FR;;;DU)")
    assert dacl.sids == {"S-1-1-0", "S-1-5-21-1-2-3-1001", "DU"}
    assert {ace.mask for ace in dacl.aces} == {0xA0000000, 0x1200A9, 0x120089}
    assert {ace.sid for ace in dacl.aces if ace.inherited} == {"S-1-1-0"}


@pytest.mark.parametrize("text", ["", "O:BA", "D:(A;FA)", "D:(A;;QQ;;;SY)"])
def test_what_is_no_dacl_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"DACL|SDDL|right"):
        sddl.parse(text)


def test_saved_rights_are_pairs_of_lines() -> None:
    saved = "restic.exe\r\nD:AI(A;ID;FA;;;SY)\r\nlogs\r\nD:AI(A;OICIID;FA;;;SY)\r\n"
    assert sddl.parse_saved(saved) == {"restic.exe": "D:AI(A;ID;FA;;;SY)", "logs": "D:AI(A;OICIID;FA;;;SY)"}
