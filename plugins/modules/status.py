# Copyright: Pro Secours maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The status of a repository host's clients: documentation, and what runs on the host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: status
short_description: Tell how the backups of the clients stand
version_added: 0.1.0
description:
  - >-
    Tells, for each client that lies on a repository host, what a technician asks first. When was the last
    complete backup of each server, which versions are there, is the promise of the contract kept (C7), how
    much of the volume is used (C15), what did the last check and the last restore drill find (C19).
  - >-
    Changes nothing, takes no lock and leaves no trace. It works while a backup or a maintenance runs, and
    when the clients' servers cannot be reached.
  - A client that cannot be read is named in RV(failures), and stops no other.
extends_documentation_fragment:
  - prosecours.backup.repository_host
  - prosecours.backup.repository_clients
attributes:
  check_mode:
    description: Changes nothing in any mode.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
author:
  - Pro Secours maintainers (@prosecours)
"""

EXAMPLES = r"""
- name: See how the backups stand
  prosecours.backup.status:
    clients: "{{ contract_result.clients }}"
  register: status_result
"""

RETURN = r"""
clients:
  description: For each client of this host, how it stands; times in ISO 8601, sizes in bytes.
  returned: always
  type: dict
  sample:
    gaec_du_moulin:
      client: gaec_du_moulin
      reference: PS-2026-0042
      at: "2026-03-05T07:12:00+00:00"
      servers:
        moulin-srv1:
          versions: 8
          incomplete: 0
          last: "2026-03-04T22:12:31+01:00"
          last_any: "2026-03-04T22:12:31+01:00"
          oldest_day: "2026-02-24"
          history:
            - id: 3fa2bc10...
              time: "2026-03-04T22:12:31+01:00"
              arrival: "2026-03-04T21:20:02+00:00"
              complete: true
              bytes: 81234567890
              files: 41233
              added_bytes: 91234567
              seconds: 450.2
      promise: {kept: true, problems: []}
      volume:
        newest_bytes: 81234567890
        stored_bytes: 90123456789
        subscribed_gb: 200
        percent: 40.6
        threshold: 0
        full_on: "2027-05-17"
        closed: false
        history:
          - {date: "2026-03-05", newest: 81234567890, stored: 90123456789, subscribed_gb: 200}
      set_aside: []
      losses: {}
      retired:
        moulin-old: {last: "2026-02-27T21:20:02+00:00", goes_on: "2026-03-22", held: []}
      locks:
        - {host: moulin-srv1, since: "2026-03-05T07:10:00+00:00", stale: false}
      retention: {at: "2026-03-05T06:31:10+00:00", failure: null}
      check:
        at: "2026-03-05T06:31:10+00:00"
        ok: true
        problems: []
        cycle_days: 30
        slices: 30
        slice: 12
        read_whole_on: "2026-02-21T06:40:00+00:00"
      drill: {at: "2026-03-05T06:32:40+00:00", ok: true, files: 20, bytes: 48123456, problems: [], doubts: []}
      dumps:
        moulin-srv1:
          - path: 'D:\isagiwf\backup'
            days: 4
            newest: "2026-03-04T20:30:00+01:00"
            at: "2026-03-04T22:12:31+01:00"
problems:
  description: For each client, all that is wrong, a sentence each; none where nobody needs to look.
  returned: always
  type: dict
  sample:
    gaec_du_moulin: []
failures:
  description: For each client that could not be read, the sentence that says why.
  returned: always
  type: dict
"""

from datetime import UTC, datetime
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.bucket import use
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.fleet import Client, Settings
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.shape import as_json
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.status import problems, statuses


def main() -> None:
    """All clients of this host, some at a time."""
    module = AnsibleModule(
        argument_spec={
            "orders": {"type": "list", "elements": "dict", "required": True},
            "passwords": {"type": "dict", "no_log": True, "required": True},
            "s3": {"type": "dict", "no_log": True, "required": True},
            "settings": {"type": "dict", "required": True},
        },
        supports_check_mode=True,
    )
    settings, passwords = Settings(**module.params["settings"]), module.params["passwords"]
    use(module.params["s3"])
    clients = [Client(**one) for one in module.params["orders"]]
    if Path(settings.restic).exists():
        found, failures = statuses(
            clients, lambda client, server: passwords[client][server], settings, datetime.now(UTC)
        )
    else:
        sentence = f"{settings.restic}: there is no restic. Run playbooks/retention.yml, it brings one."
        found, failures = {}, {one.client: sentence for one in clients}
    module.exit_json(
        changed=False,
        clients={client: as_json(one) for client, one in found.items()},
        problems={client: problems(one) for client, one in found.items()},
        failures=failures,
    )


if __name__ == "__main__":
    main()
