"""Where the contract's paper is kept, for the actions that print it or compare with what was signed."""

from __future__ import annotations


class ModuleDocFragment:
    """What `plugin_utils/ansible_adapter.py`, `documents_folder`, reads."""

    DOCUMENTATION = r"""
options:
  documents:
    description: >-
      Where the annexes, their data and the letters of all clients are kept. Without it the folder
      C(documents) beside the inventory: C(inventories/documents) for C(inventories/mine). Keep it as
      long as the contracts.
    type: str
"""
