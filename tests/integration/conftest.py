"""The lab of whole playbooks by the name that tests know; its fixtures are everybody's (support/site.py)."""

from __future__ import annotations

from support.playbook import CHECKOUT, Played
from support.site import AGENT, Site, farm

__all__ = ["AGENT", "CHECKOUT", "Played", "Site", "farm"]
