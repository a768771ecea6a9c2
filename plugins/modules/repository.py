# Copyright: Pro Secours maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The repository hosts: documentation, and what runs on them; the action of the same name decides what."""

from __future__ import annotations

DOCUMENTATION = r"""
module: repository
short_description: Run one append-only rest-server for each client of a repository host
version_added: 0.1.0
description:
  - Brings the rest-server instances of a Linux host of the provider to what the contracts ask for.
  - >-
    Each client has a process, a system user, a data folder, a password file, a certificate and a port of its
    own, and in it each server a login and a repository. The certificate is the one given, or comes from a
    small authority that the host makes once and keeps.
  - >-
    Data is never removed, nor is anything else of a client that is no longer in the inventory: it is
    returned in RV(orphans). Only O(state=absent), for one client by name, removes.
  - An instance is restarted when anything that it reads at its start has changed, and only then.
options:
  state:
    description:
      - V(absent) removes everything of O(client), its data too.
      - V(listed) only returns the RV(instances) that the contracts ask for; it does not touch the host.
    type: str
    choices: [present, absent, listed]
    default: present
  clients:
    description: The C(clients) that M(prosecours.backup.contract) returned.
    type: dict
    default: {}
  client:
    description: The one to remove.
    type: str
  data:
    description: The folder with the data of all clients, one folder each.
    type: str
    default: /srv/prosecours
  config:
    description: The folder with passwords and certificates, one folder for each client.
    type: str
    default: /etc/prosecours
  program:
    description: Where rest-server is on the host.
    type: str
    default: /usr/local/lib/prosecours/rest-server
  program_sha256:
    description: The hash that it must have.
    type: str
  address:
    description: The address at which the instances listen; empty for all.
    type: str
    default: ""
  headroom_percent:
    description: >-
      Room above the subscribed volume, in percent of it, before an instance refuses everything; of a host,
      or of a client.
    type: int
    default: 100
  certificate:
    description: >-
      PEM file on the controller with a certificate, and its chain, for all instances of the host; without
      it, the host's own authority issues them.
    type: path
  key:
    description: PEM file on the controller with the key of that certificate; a vault may hold it.
    type: path
  certificate_days:
    description: Days for which a certificate of the host's own authority is valid.
    type: int
    default: 825
  renew_days:
    description: A certificate of the host's own authority is replaced this many days before it ends.
    type: int
    default: 60
  supervision:
    description: What runs the instances.
    type: str
    choices: [systemd, supervisor]
    default: systemd
  supervisord:
    description: The program supervisord, with supervisorctl beside it, where it is not on PATH.
    type: str
    default: ""
attributes:
  check_mode:
    description: Can run in check mode and say what it would do.
    support: full
  diff_mode:
    description: Shows each change, without secrets.
    support: full
author:
  - Pro Secours maintainers (@prosecours)
"""

EXAMPLES = r"""
- name: Run the instances of this host
  prosecours.backup.repository:
    clients: "{{ contract_result.clients }}"
    program_sha256: "{{ repository_program.sha256 }}"

- name: Remove what is left of a client whose contract has ended
  prosecours.backup.repository:
    state: absent
    client: gaec_du_moulin
"""

RETURN = r"""
instances:
  description: >-
    The instances of this host; C(ends), with O(state=present), is the day on which the certificate ends.
  returned: with O(state=present) or O(state=listed)
  type: list
  elements: dict
  sample:
    - client: gaec_du_moulin
      user: ps-gaec_du_moulin
      servers: [moulin-srv1, moulin-sql]
      listen: ":8042"
      name: sauvegarde.exemple.fr
      max_bytes: 400000000000
      ends: "2028-02-26"
orphans:
  description: The clients with something here that the inventory does not place on this host.
  returned: with O(state=present)
  type: list
  elements: str
ca:
  description: The certificate of the host's own authority in PEM, null when there is none (yet).
  returned: with O(state=present)
  type: str
changes:
  description: What was changed, or would be, in order.
  returned: success
  type: list
  elements: dict
  sample:
    - client: gaec_du_moulin
      what: /etc/prosecours/gaec_du_moulin/htpasswd
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.errors import (
    ProSecoursError,
    SeveralErrors,
)
from ansible_collections.prosecours.backup.plugins.module_utils.repository_host.changes import (
    Change,
    HostError,
)
from ansible_collections.prosecours.backup.plugins.module_utils.repository_host.host import Host, Secrets
from ansible_collections.prosecours.backup.plugins.module_utils.repository_host.supervision import (
    Instance,
    Settings,
    supervision,
)


def main() -> None:
    """Plan and, outside check mode, apply change by change: what is done when a run is cut stays done."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "required": True},
            "instances": {"type": "list", "elements": "dict", "required": True},
            "secrets": {"type": "dict", "no_log": True, "required": True},
            "client": {"type": "str"},
            "user": {"type": "str"},
            "data": {"type": "str", "required": True},
            "config": {"type": "str", "required": True},
            "program": {"type": "str", "required": True},
            "program_sha256": {"type": "str"},
            "certificate": {"type": "str"},
            "certificate_days": {"type": "int", "required": True},
            "renew_days": {"type": "int", "required": True},
            "supervision": {"type": "str", "required": True},
            "supervisord": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    changes: list[Change] = []
    try:
        result = _bring_about(module.params, module.check_mode, changes)
    except ProSecoursError as error:
        module.fail_json(msg=str(error), changed=bool(changes), changes=_listed(changes))
    module.exit_json(
        changed=bool(changes),
        changes=_listed(changes),
        diff=[change.diff() for change in changes],
        **result,
    )


def _bring_about(params: dict[str, Any], check: bool, changes: list[Change]) -> dict[str, Any]:
    settings = Settings(
        data=Path(params["data"]),
        config=Path(params["config"]),
        program=Path(params["program"]),
        program_sha256=params["program_sha256"],
        certificate=params["certificate"],
        certificate_days=params["certificate_days"],
        renew_days=params["renew_days"],
        check=check,
    )
    secrets = Secrets(params["secrets"].get("htpasswd", {}), params["secrets"].get("key"))
    keeper = supervision(params["supervision"], settings, params["supervisord"])
    host = Host(settings, secrets, keeper)
    instances = [Instance(**one) for one in params["instances"]]
    present = params["state"] == "present"
    failures: dict[str, ProSecoursError] = {}
    for change in host.plan(instances) if present else host.removal(params["client"], params["user"]):
        if change.client in failures:
            continue
        try:
            if not check:
                change.apply()
        except HostError as error:
            if not change.client:
                raise
            # The other clients' backups go on.
            failures[change.client] = ProSecoursError(error.problem, error.remedy, change.client)
            continue
        changes.append(change)
    if failures:
        raise SeveralErrors(list(failures.values()))
    if not present:
        return {}
    ends = host.ends(instances)
    return {
        "instances": [
            {**one, "ends": ends.get(one["client"])}
            for one in sorted(params["instances"], key=lambda one: str(one["client"]))
        ],
        "orphans": sorted({*host.clients()} - {one.client for one in instances}),
        "ca": host.ca(),
    }


def _listed(changes: list[Change]) -> list[dict[str, str]]:
    return [{"client": change.client, "what": change.what} for change in changes]


if __name__ == "__main__":
    main()
