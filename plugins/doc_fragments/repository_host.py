"""What an action is told of a repository host: where things lie there, and whose times are believed."""

from __future__ import annotations


class ModuleDocFragment:
    """Settings of `maintenance/fleet.py` that have to be the same wherever versions are judged."""

    DOCUMENTATION = r"""
options:
  data:
    description: The folder with the data of all clients, one folder each.
    type: str
    default: /srv/prosecours
  state_folder:
    description: Where what was measured, judged and begun is remembered, one folder for each client.
    type: str
    default: /var/lib/prosecours
  restic:
    description: Where the Linux restic is on the host.
    type: str
    default: /usr/local/lib/prosecours/restic
  clock_minutes:
    description: How far a snapshot's own time may be ahead of its arrival; beyond that it is set aside.
    type: int
    default: 15
  longest_backup_hours:
    description: How long after its claimed beginning a snapshot may arrive; beyond that it is set aside.
    type: int
    default: 24
"""
