"""Names out of a recording: what is known to be one gets a stand-in, the same wherever it stands.

SIDs of a machine or a domain keep their form, and the numbers below 1000 that are the same everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from .lines import EXCLUDED, MAPPED, VOLUME

ENCODINGS = ("utf-8", "cp850", "cp437", "cp1252", "utf-16-le")
"""In which a Windows may print a name: a console's, a program's own, a file's."""
_SID = re.compile(r"S-1-5-21-(\d+-\d+-\d+)(?:-(\d+))?")
_WIDE_SID = re.compile("".join(f"{letter}\0" for letter in "S-1-5-21") + r"((?:-\0(?:\d\0)+){3,4})")
"""The same in UTF-16LE, as `icacls /save` writes it."""
_NETWORK = re.compile(rb"(?m)^([ \t]+(?:RemotePath|UserName|ProviderName)[ \t]+REG_\w+[ \t]+)([^\r\n]*)")
_FOLDER = re.compile(rb"(?m)^([ \t]+)[A-Za-z]:\\.*?([ \t]+REG_\w+[ \t])")
_STAND_INS = {b"RemotePath": rb"\\server\share"}
_GUID = re.compile(rb"(?i)\{[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\}")


class Names:
    """The names of one server. `words`: kind ("host", "user", "group", "secret") and word, in any order."""

    def __init__(self, words: Iterable[tuple[str, str]]) -> None:
        self._known: dict[str, str] = {}
        counts: dict[str, int] = {}
        for kind, word in words:
            if len(word) > 1 and word.casefold() not in self._known:
                counts[kind] = counts.get(kind, 0) + 1
                self._known[word.casefold()] = f"{kind}-{counts[kind]}"
        self._domains: dict[str, int] = {}
        self._accounts: dict[str, int] = {}
        self._volumes: dict[bytes, int] = {}
        self._patterns = [
            (_pattern(word, encoding), stand_in.encode("utf-16-le" if encoding == "utf-16-le" else "ascii"))
            for word, stand_in in sorted(self._known.items(), key=lambda one: -len(one[0]))
            for encoding in ENCODINGS
        ]

    def text(self, text: str) -> str:
        """A text of the recording itself."""
        return self.out_of(text.encode()).decode()

    def out_of(self, data: bytes, hides: str = "") -> bytes:
        """What was printed, without names."""
        if hides == MAPPED:
            data = _NETWORK.sub(self._network, data)
        if hides == VOLUME:
            data = b" volume\r\n" + b"\r\n".join(data.rstrip().split(b"\r\n")[-2:]) + b"\r\n"
        if hides == EXCLUDED:
            data = _FOLDER.sub(rb"\1C:\\folder\2", data)
        for pattern, stand_in in self._patterns:
            # A function: a stand-in is no template.
            data = pattern.sub(lambda _found, words=stand_in: words, data)  # type: ignore[misc]
        data = _GUID.sub(self._guid, data)
        text = _SID.sub(self._sid, data.decode("latin-1"))
        return _WIDE_SID.sub(self._wide_sid, text).encode("latin-1")

    @staticmethod
    def _network(found: re.Match[bytes]) -> bytes:
        name = found[1].split()[0]
        return found[1] + _STAND_INS.get(name, b"name")

    def _guid(self, found: re.Match[bytes]) -> bytes:
        number = self._volumes.setdefault(found[0].lower(), len(self._volumes) + 1)
        return b"{00000000-0000-0000-0000-%012d}" % number

    def _sid(self, found: re.Match[str]) -> str:
        return self._replaced(found[1], found[2])

    def _wide_sid(self, found: re.Match[str]) -> str:
        numbers = found[1].replace("\0", "").strip("-").split("-")
        words = self._replaced("-".join(numbers[:3]), numbers[3] if len(numbers) > 3 else None)
        return "".join(f"{letter}\0" for letter in words)

    def _replaced(self, domain: str, account: str | None) -> str:
        number = self._domains.setdefault(domain, len(self._domains) + 1)
        sid = f"S-1-5-21-{number}-{number}-{number}"
        if account is None:
            return sid
        if int(account) >= 1000:
            account = str(1000 + self._accounts.setdefault(f"{domain}-{account}", len(self._accounts)))
        return f"{sid}-{account}"


def _pattern(word: str, encoding: str) -> re.Pattern[bytes]:
    """The word, whatever its case, where no letter or digit goes on."""
    forms = {word, word.upper(), word.lower()}
    wide = rb"\x00" if encoding == "utf-16-le" else b""
    edge = rb"[A-Za-z0-9]" + wide
    coded = b"|".join(sorted({re.escape(form.encode(encoding, "replace")) for form in forms}))
    return re.compile(rb"(?<!" + edge + rb")(?:" + coded + rb")(?!" + edge + rb")", re.IGNORECASE)
