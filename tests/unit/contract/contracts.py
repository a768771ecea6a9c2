"""Whole contracts, for tests that care about a part of one: what a test does not name is plausible."""

from __future__ import annotations

from typing import Any

from ansible_collections.prosecours.backup.plugins.plugin_utils.contract.model import (
    ClientContract,
    HostContract,
)

SHARED: dict[str, Any] = {
    "subscribed_gb": 200,
    "retention": {"daily": 7, "weekly": 3},
    "options": [],
    "alsace_moselle": False,
    "monthly_report": False,
    "contacts": {
        "main": {
            "title": "Mme",
            "first_name": "Jeanne",
            "name": "Martin",
            "email": "jeanne@moulin.example",
            "mobile": "06 12 34 56 78",
        },
        "substitute": None,
    },
}
PARTY = {"id": "gaec_du_moulin", "name": "GAEC du Moulin", "reference": "PS-2026-0042"}
OF_HOST: dict[str, Any] = {
    "client": PARTY,
    "host": "moulin-srv1",
    "repository": "rest:https://sauvegarde.example:8042/moulin-srv1/",
    **SHARED,
    "perimeter": [{"box": "office", "path": "D:\\Bureautique", "kind": "directory"}],
    "excludes": [],
    "schedule": {"time": "22:00", "spread_minutes": 60},
    "upload_limit_kib": 0,
    "uplink_mbit": None,
    "downlink_mbit": None,
}


def client(**changes: Any) -> ClientContract:
    """A client's contract, as read from a result with these `changes`."""
    return ClientContract.from_plain({**PARTY, **SHARED, "hosts": ["moulin-srv1"], **changes})


def host(**changes: Any) -> HostContract:
    """A server's contract, as read from a result with these `changes`."""
    return HostContract.from_plain({**OF_HOST, **changes})
