# Copyright: Pro Secours maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Retention of a repository host's clients: documentation, and what runs on the host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: retention
short_description: Check the repositories, and remove the versions that the contracts no longer ask for
version_added: 0.1.0
description:
  - >-
    Removes those snapshots of each client on a repository host that the retention of its contract needs
    neither today nor on any later day (C7), and frees their space.
  - >-
    Before that the structure of the repository and a slice of its data are checked; nothing is removed from
    one that is damaged, until a later check finds it repaired. Once a month files are restored for trial
    (C19). Check mode does neither.
  - >-
    Each plan is checked by a second, independent piece of code before anything is removed; when that objects,
    nothing is removed and the client fails.
  - >-
    A snapshot whose own time disagrees with its arrival on the server is set aside. It is reported, counts
    for nothing and stays. A version that lost much against the one before it is reported, and all that is
    older stays, until a technician releases it with O(release).
  - >-
    Everything happens on the repository host, with the Linux restic, as the owner of each repository. The
    clients' servers and their credentials take no part.
  - >-
    The repository of a server that has left the inventory is dropped, with its login, when its last snapshot
    arrived longer ago than anything is promised, and the server was found missing on as many days. Each run
    tells the day before it comes, in RV(clients), and check mode what would go.
  - A client that fails does not stop the others. A run that was killed is finished by the next one.
options:
  patience:
    description: Seconds to wait for a backup that is under way.
    type: int
    default: 600
  max_unused:
    description: Unused data that may stay inside packs, as restic's C(prune --max-unused) takes it.
    type: str
    default: 5%
  check_cycle_days:
    description: >-
      Days in which all data of each repository is read once, a slice a day (C19); 1 to 256. The structure
      is checked at each run.
    type: int
    default: 30
  drill_files:
    description: >-
      Number of files of the newest complete version of each server that are restored for trial every month,
      and compared with what the version records (C19).
    type: int
    default: 20
  drill_megabytes:
    description: At most this many MB of each server, too.
    type: int
    default: 500
  config:
    description: The folder with passwords and certificates, one folder for each client.
    type: str
    default: /etc/prosecours
  reserve_megabytes:
    description: >-
      So many MB of the disk of O(data) are held back. When no more than that is left, all clients there are
      closed to new backups, the maintenance gets that room for its locks and for pruning, and opens them
      again. V(0) holds nothing back.
    type: int
    default: 512
  release:
    description: >-
      Snapshots of O(client) that a technician releases, by their ids or at least 8 characters of them.
    type: list
    elements: str
    default: []
  release_by:
    description: Who releases them.
    type: str
  release_why:
    description: Why, and on whose instruction (C10).
    type: str
  reject:
    description: >-
      Snapshots of O(client) that were found forged, by their ids or at least 8 characters of them. They count
      for nothing: they replace no honest version, hold none, and are not restored for trial. As evidence they
      stay until no coming day could ask for them. A later O(release) takes that back: they count again.
    type: list
    elements: str
    default: []
  reject_by:
    description: Who found it.
    type: str
  reject_why:
    description: What shows it, and on whose instruction (C10).
    type: str
extends_documentation_fragment:
  - prosecours.backup.repository_host
  - prosecours.backup.repository_clients
attributes:
  check_mode:
    description: Can run in check mode and say what it would do.
    support: full
  diff_mode:
    description: Lists the snapshots before and after.
    support: full
author:
  - Pro Secours maintainers (@prosecours)
"""

EXAMPLES = r"""
- name: Keep what the contracts promise, and no more
  prosecours.backup.retention:
    clients: "{{ contract_result.clients }}"

- name: Accept that a client has closed an office
  prosecours.backup.retention:
    clients: "{{ contract_result.clients }}"
    client: gaec_du_moulin
    release: [3fa2bc10]
    release_by: A. Martin
    release_why: Office in Beauvais closed, by e-mail of Mme Dupont of 3 March

- name: Reject a version that no server of the client has sent
  prosecours.backup.retention:
    clients: "{{ contract_result.clients }}"
    client: gaec_du_moulin
    reject: [77d0e1f2]
    reject_by: A. Martin
    reject_why: Sent at 22:30 while the server was off, by telephone with M. Petit on 4 March
"""

RETURN = r"""
clients:
  description: For each client of this host, what was found and decided.
  returned: always
  type: dict
  sample:
    gaec_du_moulin:
      promise: {kept: true, problems: []}
      servers:
        moulin-srv1: {versions: 8, incomplete: 0, last: "2026-03-04T22:12:31+01:00", oldest_day: "2026-02-24"}
      decisions:
        - id: 3fa2bc10...
          host: moulin-srv1
          time: "2026-02-25T22:10:02+01:00"
          action: remove
          reasons: [no coming day asks for it]
      removed: [3fa2bc10...]
      set_aside: []
      losses: {}
      released: []
      rejected: []
      retired:
        moulin-old: {last: "2026-02-27T21:20:02+00:00", goes_on: "2026-03-22", held: []}
      dropped: []
      fence_put_up: false
      pruned: true
      check:
        at: "2026-03-05T06:31:10+00:00"
        ok: true
        problems: []
        cycle_days: 30
        slices: 30
        slice: 12
        read_whole_on: "2026-02-21T06:40:00+00:00"
      drill: {at: "2026-03-05T06:32:40+00:00", ok: true, files: 20, bytes: 48123456, problems: [], doubts: []}
      volume:
        newest_bytes: 81234567890
        stored_bytes: 90123456789
        subscribed_gb: 200
        percent: 40.6
        threshold: 0
        full_on: "2027-05-17"
        closed: false
orders:
  description: The clients of this host, where their repositories are and what they are promised.
  returned: always
  type: list
  elements: dict
settings:
  description: What holds for all of them, as the program of the host's own timer takes it.
  returned: always
  type: dict
empty:
  description: The clients whose servers have not sent anything yet.
  returned: always
  type: list
  elements: str
bills:
  description: >-
    For the month and the month before, a table of what counts as volume (C15), as CSV with semicolons.
  returned: success
  type: dict
  sample:
    "2026-11": "month;client;reference;days;subscribed_gb;average_gb;highest_gb;over_gb;stored_gb\n..."
failures:
  description: For each client that failed, the sentence that says why; nothing of it was removed.
  returned: always
  type: dict
"""

import contextlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.bucket import use
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.fleet import (
    Client,
    Settings,
    maintain,
)
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.printable import printable


def progress(folder: Path) -> Callable[[str], None]:
    """Says lines to a file, since nothing of a module's output is seen before it has ended."""
    file = folder / "progress.log"
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file.write_text("", "utf-8")

    def say(text: str) -> None:
        # A full disk costs a line for the curious, never the maintenance.
        with contextlib.suppress(OSError), file.open("a", encoding="utf-8") as opened:
            opened.write(f"{datetime.now().astimezone().isoformat(timespec='seconds')} {printable(text)}\n")

    return say


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
    given, passwords = module.params["settings"], module.params["passwords"]
    settings = Settings(**given | {name: tuple(given[name]) for name in ("release", "reject")})
    use(module.params["s3"])
    clients = [Client(**one) for one in module.params["orders"]]
    if module.check_mode and not Path(settings.restic).exists():
        module.warn("restic is not on this host yet: nothing can be foretold before it is.")
        module.exit_json(changed=False, orders=module.params["orders"], clients={}, empty=[], failures={})
    outcome = maintain(
        clients,
        lambda client, server: passwords[client][server],
        settings,
        module.check_mode,
        None if module.check_mode else progress(Path(settings.state_folder)),
    )
    for told in (outcome.notes, outcome.worries):
        for client, sentences in told.items():
            for sentence in sentences:
                module.warn(printable(f"{client}: {sentence}"))
    diffs = [report.pop("diff") for report in outcome.reports.values()]
    changed = [report.pop("changed") for report in outcome.reports.values()]
    result = {
        "changed": any(changed),
        "diff": [diff for diff in diffs if diff["before"] != diff["after"]],
        "orders": module.params["orders"],
        "clients": outcome.reports,
        "empty": list(outcome.empty),
        "failures": outcome.failures,
    }
    if outcome.failures:
        message = "\n".join(f"{client}: {sentence}" for client, sentence in outcome.failures.items())
        module.fail_json(msg=message, **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
