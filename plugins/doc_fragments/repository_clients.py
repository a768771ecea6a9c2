"""What every action has to be told that looks into the repositories of a host's clients."""

from __future__ import annotations


class ModuleDocFragment:
    """The options of `plugin_utils/repository_action.py`, COMMON."""

    DOCUMENTATION = r"""
options:
  clients:
    description: >-
      The C(clients) that M(prosecours.backup.contract) returned; those of other hosts are passed over.
    type: dict
    required: true
  client:
    description: Only this one.
    type: str
  data:
    description: The folder with the data of all clients.
    type: str
    default: /srv/prosecours
  state_folder:
    description: Where is remembered, for each client, what was measured, released and begun.
    type: str
    default: /var/lib/prosecours
  restic:
    description: The Linux restic on the host.
    type: str
    default: /usr/local/lib/prosecours/restic
  side_by_side:
    description: So many clients at a time.
    type: int
    default: 4
  clock_minutes:
    description: A snapshot may claim a time that is so much later than its arrival.
    type: int
    default: 15
  longest_backup_hours:
    description: A snapshot may arrive so long after the time that it claims, that of its beginning.
    type: int
    default: 24
"""
