"""Access rights of the files of a lab host: security descriptors with inheritance, as SDDL (MS-DTYP 2.5.1).

What was set explicitly is kept in an extended attribute of the Linux file, so it moves with the file and
dies with it, as on NTFS. Inherited entries are computed from the folders above when they are asked for; so
a file that was moved shows its new folder's entries at once, where NTFS keeps the old ones until they are
written again. Nothing is enforced: every process of the lab may read and write everything, and robocopy
alone asks whether it may list a folder."""

from __future__ import annotations

import errno
import json
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from windows_lab.errors import LabError
from windows_lab.machine.drives import Drives

ATTRIBUTE = "user.prosecours.rights"
ADMINISTRATORS, SYSTEM, USERS = "S-1-5-32-544", "S-1-5-18", "S-1-5-32-545"
CREATOR = "S-1-3-0"
INSTALLER = "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464"
# SDDL's two letters for well-known SIDs (MS-DTYP 2.5.1.1), and the names of a French Windows.
ALIASES = {
    ADMINISTRATORS: "BA", SYSTEM: "SY", USERS: "BU", "S-1-1-0": "WD", CREATOR: "CO", "S-1-3-1": "CG",
    "S-1-5-11": "AU", "S-1-5-19": "LS", "S-1-5-20": "NS", "S-1-5-32-546": "BG", "S-1-5-4": "IU",
    "S-1-5-32-551": "BO",
}  # fmt: skip
FRENCH_NAMES = {
    "administrateurs": ADMINISTRATORS, r"builtin\administrateurs": ADMINISTRATORS,
    "utilisateurs": USERS, r"builtin\utilisateurs": USERS,
    "système": SYSTEM, r"autorite nt\système": SYSTEM, "tout le monde": "S-1-1-0",
    "createur proprietaire": CREATOR, "utilisateurs authentifiés": "S-1-5-11",
    r"autorite nt\utilisateurs authentifiés": "S-1-5-11",
    r"builtin\invités": "S-1-5-32-546", "invités": "S-1-5-32-546",
}  # fmt: skip
_SIDS = {alias: sid for sid, alias in ALIASES.items()}
FULL, MODIFY, READ_EXECUTE, READ, WRITE = 0x1F01FF, 0x1301BF, 0x1200A9, 0x120089, 0x100116
SIMPLE = {"F": FULL, "M": MODIFY, "RX": READ_EXECUTE, "R": READ, "W": WRITE, "D": 0x110000}
_MASKS = {FULL: "FA", READ: "FR", WRITE: "FW", READ_EXECUTE: "0x1200a9", MODIFY: "0x1301bf"}
_NUMBERS = {"FA": FULL, "FR": READ, "FW": 0x120116, "FX": 0x1200A0, "GA": 0x10000000, "SD": 0x10000}
LIST = 0x1  # FILE_LIST_DIRECTORY
_HIS = {ADMINISTRATORS, USERS, "S-1-1-0", "S-1-5-11"}  # whom an administrator's token stands for
_FLAGS = ("OI", "CI", "NP", "IO", "ID")
_ENTRY = re.compile(r"\(([AD]);([A-Z]*);([^;]*);;;([^)]+)\)")


class Entry(NamedTuple):
    """One access control entry. `flags` are two-letter SDDL flags, without ID."""

    deny: bool
    flags: frozenset[str]
    mask: int
    sid: str

    def text(self, inherited: bool) -> str:
        """SDDL."""
        flags = "".join(f for f in _FLAGS if f in self.flags or (f == "ID" and inherited))
        mask = _MASKS.get(self.mask, f"0x{self.mask:x}")
        return f"({'D' if self.deny else 'A'};{flags};{mask};;;{ALIASES.get(self.sid, self.sid)})"

    def passed_on(self, folder: bool) -> Entry | None:
        """What a child inherits of it, or None."""
        if self.sid == CREATOR and not folder:
            return None  # stands for the owner, an administrator: the entry of administrators has it all
        wanted = "CI" if folder else "OI"
        if folder and wanted not in self.flags and "OI" in self.flags:
            return replace_flags(self, self.flags | {"IO"})
        if wanted not in self.flags:
            return None
        if not folder or "NP" in self.flags:
            return replace_flags(self, frozenset())
        return self if self.sid == CREATOR else replace_flags(self, self.flags - {"IO"})


def replace_flags(entry: Entry, flags: frozenset[str]) -> Entry:
    """The same entry with other flags."""
    return entry._replace(flags=flags)


@dataclass(frozen=True)
class Explicit:
    """What is set on one file or folder itself."""

    entries: tuple[Entry, ...] = ()
    protected: bool = False
    owner: str = ADMINISTRATORS


class BadSddl(ValueError):
    """Text that is no security descriptor, or holds what the lab does not model."""


def parse(sddl: str) -> Explicit:
    """The explicit part of a DACL in SDDL. Raises BadSddl."""
    match = re.fullmatch(r"D:(P?)(?:AR)?(?:AI)?((?:\([^()]*\))*)(?:S:.*)?", sddl.strip())
    if not match:
        raise BadSddl(sddl)
    entries = []
    for part in re.findall(r"\([^()]*\)", match[2]):
        found = _ENTRY.fullmatch(part)
        if not found:
            raise BadSddl(part)
        flags = re.findall("..", found[2])
        if set(flags) - set(_FLAGS):
            raise BadSddl(part)
        if "ID" not in flags:
            sid = _SIDS.get(found[4], found[4])
            if not re.fullmatch(r"S-1-\d+(-\d+)+", sid):
                raise BadSddl(part)
            entries.append(Entry(found[1] == "D", frozenset(flags), _mask(found[3]), sid))
    return Explicit(tuple(entries), bool(match[1]))


def _mask(text: str) -> int:
    if text in _NUMBERS:
        return _NUMBERS[text]
    try:
        return int(text, 16)
    except ValueError:
        raise BadSddl(text) from None


_BASIC = "(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)"
_SYSTEM_FOLDER = f"D:P(A;;FA;;;{INSTALLER})(A;CIIO;0x10000000;;;{INSTALLER}){_BASIC}(A;OICI;0x1200a9;;;BU)"
# As installed. Programs are protected from users by an explicit DACL; new drives let users add folders.
INSTALLED = {
    "C:\\": f"D:P{_BASIC}(A;OICI;0x1200a9;;;BU)(A;CI;0x100004;;;BU)(A;OICIIO;0x10000000;;;CO)",
    "C:\\Program Files": _SYSTEM_FOLDER,
    "C:\\windows": _SYSTEM_FOLDER,
    "C:\\ProgramData": f"D:P{_BASIC}(A;OICI;0x1200a9;;;BU)(A;CI;0x116;;;BU)",
    "C:\\Users": f"D:P{_BASIC}(A;OICI;0x1200a9;;;BU)(A;OICI;0x1200a9;;;WD)",
}
DRIVE = f"D:{_BASIC}(A;OICI;0x1200a9;;;BU)(A;CI;0x100004;;;BU)(A;OICIIO;0x10000000;;;CO)"


class Rights:
    """The rights on all drives of a host."""

    def __init__(self, drives: Drives) -> None:
        self._drives = drives
        self._installed = {path.casefold(): parse(sddl) for path, sddl in INSTALLED.items()}

    def check(self) -> None:
        """Raises LabError where Linux cannot keep the attribute."""
        for folder in self._drives.folders.values():
            try:
                os.setxattr(folder, f"{ATTRIBUTE}.check", b"1")
            except OSError as error:
                raise LabError(
                    f"The file system of {folder} keeps no extended attributes ({error.strerror})."
                    " Put the lab's state on ext4, xfs, btrfs or a tmpfs of Linux 6.6 or later."
                ) from error

    def explicit(self, path: Path) -> Explicit:
        """What is set on `path` itself."""
        try:
            kept = json.loads(os.getxattr(path, ATTRIBUTE))
        except OSError as error:
            if error.errno not in (errno.ENODATA, errno.ENOTSUP):
                raise
            windows = self._drives.windows(path)
            if len(windows) == 3 and windows[0] != "C":
                return parse(DRIVE)
            return self._installed.get(windows.casefold(), Explicit())
        return replace(parse(kept["dacl"]), owner=kept["owner"])

    def set(self, path: Path, rights: Explicit) -> None:
        """Sets what is explicit on `path`; when nothing is, there is no attribute, as on a new file."""
        flags = "P" if rights.protected else ""
        dacl = f"D:{flags}" + "".join(entry.text(False) for entry in rights.entries)
        os.setxattr(path, ATTRIBUTE, json.dumps({"dacl": dacl, "owner": rights.owner}).encode())

    def inherited(self, path: Path) -> tuple[Entry, ...]:
        """What `path` inherits from the folders above, nearest first; nothing if it is protected."""
        if path in self._drives.folders.values() or self.explicit(path).protected:
            return ()
        folder = path.is_dir()
        passed = (entry.passed_on(folder) for entry in self.effective(path.parent))
        return tuple(entry for entry in passed if entry)

    def effective(self, path: Path) -> tuple[Entry, ...]:
        """Explicit entries, then inherited ones."""
        return self.explicit(path).entries + self.inherited(path)

    def listed(self, folder: Path) -> bool:
        """Whether an administrator may list it: the first entry that says so decides, and none is a no
        (Microsoft Learn, "How AccessCheck Works")."""
        entries = (one for one in self.effective(folder) if "IO" not in one.flags and one.sid in _HIS)
        return next((not one.deny for one in entries if one.mask & (LIST | _NUMBERS["GA"])), False)

    def sddl(self, path: Path) -> str:
        """The DACL as Windows writes it."""
        rights = self.explicit(path)
        explicit = "".join(entry.text(False) for entry in rights.entries)
        inherited = "".join(entry.text(True) for entry in self.inherited(path))
        return f"D:{'P' if rights.protected else ''}AI{explicit}{inherited}"
