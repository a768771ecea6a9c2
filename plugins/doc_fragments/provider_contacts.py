"""The provider's contacts (Annexe 2), for the actions that print them or tell them what was found."""

from __future__ import annotations


class ModuleDocFragment:
    """The provider's own contacts (C17)."""

    DOCUMENTATION = r"""
options:
  provider:
    description: >-
      Whom the client may ask, and whom monitoring tells what concerns him (Annexe 2, C17); what is missing is
      left out, and in the annexes it is as the contract's form has it.
    type: dict
    suboptions:
      applications:
        description: E-mail address for applications.
        type: str
      systems:
        description: E-mail address for hardware and systems.
        type: str
      telephone:
        description: Telephone number for them.
        type: str
"""
