"""Whether a file is what its name says: by its first bytes, and by how random it is (C19).

A drill shows that a file comes back as it was sent; a server whose files are encrypted, or whose dumps are
full of zeros, sends those, and they come back right. So the files that a drill draws are looked at once more:
what is found is a doubt for a person to look at, never a verdict, and nothing is decided by it. Pure.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

HEAD = 1024
"""Bytes of the beginning that are looked at: readers of PDF take its mark anywhere in so many."""
SAMPLE, SAMPLES = 64 * 1024, 16
"""Of so many reads, the first bytes of each, how random they are is measured: a megabyte tells."""
FEW = 2048
"""Bytes: of fewer nothing is said about how random they are."""
OF_RANDOM = 0.05
"""Bits a byte that encrypted data may miss of what random data of the same length have."""
OF_TEXT = 6.5
"""Bits a byte: French text in any encoding has some 4.5, and base64 6."""


class Kind(NamedTuple):
    """What files of some endings begin with."""

    name: str
    endings: str
    """With spaces between them."""
    begins: str
    """A regular expression of bytes; empty where there is no mark, as in text."""
    text: bool = False
    """What could be text will do as well: programs export HTML as .xls."""


_ZIP, _OLE = r"PK(\x03\x04|\x05\x06|\x07\x08)", r"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
KINDS = (
    # Microsoft Tape Format 1.00a, 5.2.1 (descriptor block "TAPE"); compressed backups of SQL Server begin
    # with MSSQLBAK; AutoCAD and archivers write .bak too.
    Kind("a backup of SQL Server", "bak trn", rf"TAPE|MSSQLBAK|AC10|{_ZIP}|\x1f\x8b|7z\xbc\xaf"),
    # SQL Server: page 0 is a file header page, m_headerVersion 1 and m_type 15.
    Kind("a database of SQL Server", "mdf ndf", r"\x01\x0f"),
    Kind("a database of Access", "mdb accdb", r".{4}Standard (Jet|ACE) DB"),
    Kind("a database of SQLite", "sqlite sqlite3", r"SQLite format 3\x00"),  # sqlite.org/fileformat2, 1.3
    # APPNOTE.TXT 4.3.7, 4.3.16, 8.5.4; an Office file with a password is [MS-CFB] 2.2 with a zip in it.
    Kind("a zip", "zip jar odt ods odp", _ZIP),
    Kind("a file of Office", "docx xlsx pptx docm xlsm", rf"{_ZIP}|{_OLE}"),
    Kind("a file of Office", "doc xls ppt", rf"{_OLE}|{_ZIP}|\{{\\rtf|\x09\x08|\xdb\xa5", text=True),
    Kind("a message of Outlook", "msg", _OLE),
    Kind("a folder of Outlook", "pst ost", r"!BDN"),  # [MS-PST] 2.2.2.6
    Kind("a PDF", "pdf", r".{0,1019}%PDF-"),  # ISO 32000-1, 7.5.2; annex H note 13 of Adobe's edition
    Kind("a picture", "jpg jpeg", r"\xff\xd8\xff"),  # ISO 10918-1, B.1.1.3
    Kind("a picture", "png", r"\x89PNG\r\n\x1a\n"),  # ISO 15948, 5.2
    Kind("a picture", "gif", r"GIF8[79]a"),
    Kind("a picture", "tif tiff", r"II\*\x00|MM\x00\*|II\+\x00|MM\x00\+"),
    Kind("an archive", "gz tgz", r"\x1f\x8b"),  # RFC 1952, 2.3.1
    Kind("an archive", "7z", r"7z\xbc\xaf\x27\x1c"),
    Kind("an archive", "rar", r"Rar!\x1a\x07"),
    Kind("an archive", "cab", r"MSCF"),  # [MS-CAB] 2.1
    Kind("a program", "exe dll", r"MZ"),  # PE format, "MS-DOS Stub"
    Kind("text", "txt csv xml sql ini log json htm html eml rtf", "", text=True),
)
"""The endings that tell something; all others, the software's own among them, are not judged."""
_OF_ENDING = {ending: kind for kind in KINDS for ending in kind.endings.split()}


class Look:
    """Looks at a file while it is read, and keeps no more of it than needed."""

    def __init__(self, path: str) -> None:
        self.kind = _OF_ENDING.get(path.rpartition(".")[2].lower()) if "." in path else None
        self._head = b""
        self._counts: Counter[int] = Counter()
        self._left = SAMPLES

    def reading(self, read: Callable[[int], bytes]) -> Callable[[int], bytes]:
        """The same `read`, looked at."""

        def looked(size: int) -> bytes:
            part = read(size)
            if self.kind and part:
                self._head += part[: HEAD - len(self._head)]
                if self._left > 0:
                    self._left -= 1
                    self._counts.update(part[:SAMPLE])
            return part

        return looked

    @property
    def bits(self) -> float:
        """The entropy of what was sampled, in bits a byte."""
        total = self._counts.total()
        return -sum(count / total * math.log2(count / total) for count in self._counts.values())

    @property
    def random(self) -> bool:
        """As good as random: encrypted, or compressed. N random bytes show (8 - 255 / 2 N ln 2) bits."""
        total = self._counts.total()
        return total >= FEW and self.bits > 8 - 255 / (2 * total * math.log(2)) - OF_RANDOM

    def doubt(self) -> str | None:
        """Why the file may not be what its name says, as a phrase; None when nothing speaks against it."""
        if not self.kind or not self._head:
            return None  # nobody knows, or there is nothing in it
        if self.kind.begins and re.match(self.kind.begins.encode("latin-1"), self._head, re.DOTALL):
            return None
        if self.kind.text and self.bits < OF_TEXT and self._counts[0] < self._counts.total() * 0.6:
            return None  # UTF-16 has a zero in every second byte
        if len(self._counts) == 1:
            return f"has nothing but bytes {self._head[:1].hex()}"
        seen = (
            "it is as random as encrypted data" if self.random else f"it begins with {self._head[:8].hex()}"
        )
        return f"does not look like {self.kind.name}: {seen}"
