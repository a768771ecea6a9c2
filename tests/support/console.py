"""What Windows prints, as a host's console sends it."""

from __future__ import annotations

ENCODINGS = ("utf-8", "cp850")


def narrowed(text: str, encoding: str) -> bytes:
    """What the code page lacks becomes a question mark."""
    return text.encode(encoding, errors="replace")
