"""Where the contract's paper is kept, for the actions that print it or compare with what was signed."""

from __future__ import annotations


class ModuleDocFragment:
    """What `plugin_utils/ansible_adapter.py`, `documents_folder`, reads."""

    DOCUMENTATION = r"""
options:
  documents:
    description: >-
      Where the contracts' paper is kept: annexes and their data, letters, records of disks. Without it the
      folder C(documents) beside the inventory: C(inventories/documents) for C(inventories/mine). Keep it
      as long as the contracts.
    type: str
"""
