"""Whom a client may ask (Annexe 2), for the actions that print it."""

from __future__ import annotations


class ModuleDocFragment:
    """The provider's own contacts (C17)."""

    DOCUMENTATION = r"""
options:
  provider:
    description: >-
      Whom the client may ask (Annexe 2, C17); what is missing is left out, and in the annexes it is as the
      contract's form has it.
    type: dict
    suboptions:
      applications:
        description: E-mail address for questions about applications.
        type: str
      systems:
        description: E-mail address for questions about hardware and systems.
        type: str
      telephone:
        description: Telephone number for them.
        type: str
"""
