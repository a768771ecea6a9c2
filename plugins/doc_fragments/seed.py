"""What each step of a first backup on a disk is told (C16)."""

from __future__ import annotations


class ModuleDocFragment:
    """The request, and who carries it out."""

    DOCUMENTATION = r"""
options:
  request:
    description: The request, as RV(prosecours.backup.seed_request#module:request) holds it.
    type: dict
    required: true
  technician:
    description: Who does it, for the record.
    type: str
    required: true
"""
