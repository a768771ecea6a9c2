"""What every action has to be told that looks into the repositories of a host's clients."""

from __future__ import annotations


class ModuleDocFragment:
    """What `plugin_utils/repository/action.py` reads."""

    DOCUMENTATION = r"""
options:
  clients:
    description: >-
      The C(clients) that M(prosecours.backup.contract) returned; those of other hosts are passed over.
    type: dict
    required: true
  client:
    description: Only this client.
    type: str
  side_by_side:
    description: How many clients of a host are worked on at a time.
    type: int
    default: 4
"""
