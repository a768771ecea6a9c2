"""A checked request, for the tests of what follows it."""

from __future__ import annotations

from datetime import UTC, datetime

from ansible_collections.prosecours.backup.plugins.plugin_utils.contract.model import Contact
from ansible_collections.prosecours.backup.plugins.plugin_utils.restore.request import Request

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
REQUEST = Request(
    id="1a2b3c4d5e6f",
    client="moulin",
    client_name="GAEC du Moulin",
    reference="PS-1",
    requester=Contact("Mme", "Jeanne", "Martin", "jeanne@moulin.example", "06 12 34 56 78"),
    mail_date="2026-11-22",
    server="srv",
    wanted="2026-11-12T23:59:59.999999+01:00",
    asked="2026-11-12",
    items=(r"D:\data", r"E:\été\[2026] l'état.xlsx"),
    whole_server=False,
    accept_incomplete=False,
    host="srv",
    folder="",
    in_place=False,
    live=(r"D:\data", r"E:\été"),
)
