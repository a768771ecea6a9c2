"""The clock that clients live by. A contract's times, days and months are those of Europe/Paris."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

PARIS = ZoneInfo("Europe/Paris")


def local(moment: str | datetime) -> datetime:
    """An instant in Europe/Paris, from ISO 8601 or a datetime; one without an offset is taken as UTC.

    Raises ValueError for a text that is no instant.
    """
    instant = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).astimezone(PARIS)
