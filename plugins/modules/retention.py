"""Retention of a repository host's clients: documentation, and what runs on the host."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance import Order, Refused, run
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance_state import Busy, State
from ansible_collections.prosecours.backup.plugins.module_utils.restic_repository import (
    NotARepository,
    Repository,
    RepositoryError,
)
from ansible_collections.prosecours.backup.plugins.module_utils.retention import Rules

DOCUMENTATION = r"""
module: retention
short_description: Remove the versions that the contracts no longer ask for
version_added: 0.1.0
description:
  - >-
    Lets go of the snapshots of each client that lies on a repository host, as far as the retention of its
    contract holds today and on every later day without them (C7), and frees their space.
  - >-
    Each plan is checked by a second, independent piece of code before anything is removed; when that objects,
    nothing is removed and the client fails.
  - >-
    A snapshot whose own time disagrees with its arrival on the server is set aside. It is reported, counts
    for nothing and stays. A version that lost much against the one before it is reported, and all that is
    older stays, until a technician lifts the caution with O(release).
  - >-
    Everything happens on the repository host, with the Linux restic, as the owner of each repository. The
    clients' servers and their credentials take no part.
  - A client that fails does not stop the others. A run that was killed is finished by the next one.
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
  patience:
    description: Seconds to wait for a backup that is under way.
    type: int
    default: 600
  clock_minutes:
    description: A snapshot may claim a time that is so much later than its arrival.
    type: int
    default: 15
  longest_backup_hours:
    description: A snapshot may arrive so long after the time that it claims, that of its beginning.
    type: int
    default: 24
  max_unused:
    description: Unused data that may stay inside packs, as restic's C(prune --max-unused) takes it.
    type: str
    default: 5%
  release:
    description: >-
      Snapshots of O(client) about which the caution is lifted, by their ids or at least 8 characters of them.
    type: list
    elements: str
    default: []
  release_by:
    description: Who lifts it.
    type: str
  release_why:
    description: Why, and on whose instruction (C10).
    type: str
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
      pruned: true
      volume:
        newest_bytes: 81234567890
        stored_bytes: 90123456789
        subscribed_gb: 200
        percent: 40.6
        threshold: 0
        full_on: "2027-05-17"
empty:
  description: The clients whose servers have not sent anything yet.
  returned: always
  type: list
  elements: str
failures:
  description: For each client that failed, the sentence that says why; nothing of it was removed.
  returned: always
  type: dict
"""


def main() -> None:
    """All clients of this host, some at a time."""
    module = AnsibleModule(
        argument_spec={
            "orders": {"type": "list", "elements": "dict", "required": True},
            "passwords": {"type": "dict", "no_log": True, "required": True},
            "state_folder": {"type": "str", "required": True},
            "restic": {"type": "str", "required": True},
            "side_by_side": {"type": "int", "required": True},
            "patience": {"type": "int", "required": True},
            "clock_minutes": {"type": "int", "required": True},
            "longest_backup_hours": {"type": "int", "required": True},
            "max_unused": {"type": "str", "required": True},
            "release": {"type": "list", "elements": "str", "required": True},
            "release_by": {"type": "str"},
            "release_why": {"type": "str"},
        },
        supports_check_mode=True,
    )
    if module.check_mode and not Path(module.params["restic"]).exists():
        module.warn("restic is not on this host yet: nothing can be foretold before it is.")
        module.exit_json(changed=False, clients={}, empty=[], failures={})
    reports: dict[str, dict[str, Any]] = {}
    failures: dict[str, str] = {}
    empty: list[str] = []

    def one(given: dict[str, Any]) -> None:
        try:
            reports[given["client"]] = _maintain(module.params, given, module.check_mode)
        except NotARepository as error:
            # Before the first backup there is none. Later it is a disk that is not mounted, or worse.
            if _state(module.params, given).versions():
                failures[given["client"]] = str(error)
            else:
                empty.append(given["client"])
        except (RepositoryError, Refused, Busy) as error:
            failures[given["client"]] = str(error)

    with ThreadPoolExecutor(max(1, module.params["side_by_side"])) as pool:
        list(pool.map(one, module.params["orders"]))

    clients = dict(sorted(reports.items()))
    result = {
        "changed": any(report.pop("changed") for report in clients.values()),
        "diff": [
            diff for report in clients.values() if (diff := report.pop("diff"))["before"] != diff["after"]
        ],
        "clients": clients,
        "empty": sorted(empty),
        "failures": dict(sorted(failures.items())),
    }
    for client, report in clients.items():
        for sentence in _worries(report):
            module.warn(f"{client}: {sentence}")
    if failures:
        module.fail_json(
            msg="\n".join(f"{name}: {text}" for name, text in sorted(failures.items())), **result
        )
    module.exit_json(**result)


def _maintain(params: dict[str, Any], given: dict[str, Any], check: bool) -> dict[str, Any]:
    rules = Rules(
        daily=given["daily"],
        weekly=given["weekly"],
        ahead=timedelta(minutes=params["clock_minutes"]),
        behind=timedelta(hours=params["longest_backup_hours"]),
    )
    order = Order(
        client=given["client"],
        rules=rules,
        subscribed_gb=given["subscribed_gb"],
        max_unused=params["max_unused"],
        release=tuple(params["release"]),
        release_by=params["release_by"] or "",
        release_why=params["release_why"] or "",
    )
    password = params["passwords"][given["client"]]
    repository = Repository(Path(given["path"]), password, params["restic"], params["patience"])
    return run(order, repository, _state(params, given), check)


def _state(params: dict[str, Any], given: dict[str, Any]) -> State:
    return State(Path(params["state_folder"], given["client"]))


def _worries(report: dict[str, Any]) -> list[str]:
    """What a technician should look at, a sentence each."""
    volume = report["volume"]
    found = [f"the promise is not kept: {problem}" for problem in report["promise"]["problems"]]
    for name, losses in report["losses"].items():
        found.append(f"{name[:8]} is a sudden loss ({'; '.join(losses)}): older versions are held")
    if report["set_aside"]:
        names = ", ".join(name[:8] for name in report["set_aside"])
        found.append(f"{names} set aside: own time and arrival disagree")
    if volume["threshold"]:
        full = f", full on {volume['full_on']}" if volume["full_on"] and volume["percent"] < 100 else ""
        found.append(f"{volume['percent']} % of {volume['subscribed_gb']} GB are used{full}")
    return found


if __name__ == "__main__":
    main()
