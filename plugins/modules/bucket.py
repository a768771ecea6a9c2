# Copyright: Pro Secours maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The clients' buckets at a storage supplier: documentation, and what runs on the repository host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: bucket
short_description: Keep the bucket of each client whose repository is at an S3 supplier
version_added: 0.1.0
description:
  - >-
    Brings the bucket of each client that has an C(s3:) address to what it has to be (C20). It is there, it
    keeps every version of an object, and its policy lets the key of each server list it, read and add
    below the server's name, and delete locks there only.
  - >-
    S3 has no right to add without the right to overwrite. An object that was overwritten gets its first
    version back, which is the true one since restic writes each object once; the newer ones are removed.
  - Uses the provider's own key, from C(prosecours_s3_access_key) and C(prosecours_s3_secret_key) of the host.
  - No data is removed but what was written over an object, and no bucket is ever removed.
options:
  clients:
    description: >-
      The C(clients) that M(prosecours.backup.contract) returned; those without a bucket are passed over.
    type: dict
    required: true
  state_folder:
    description: >-
      Where M(prosecours.backup.retention) remembers whether a client is over its volume, one folder for
      each client.
    type: str
    default: /var/lib/prosecours
requirements:
  - boto3 on the host
attributes:
  check_mode:
    description: Can run in check mode and say what it would do.
    support: full
  diff_mode:
    description: Shows each change.
    support: full
author:
  - Pro Secours maintainers (@prosecours)
"""

EXAMPLES = r"""
- name: Keep the clients' buckets
  prosecours.backup.bucket:
    clients: "{{ contract_result.clients }}"
"""

RETURN = r"""
buckets:
  description: The clients of this host that have a bucket, and where.
  returned: success
  type: list
  elements: dict
  sample:
    - client: gaec_du_moulin
      location: s3:https://s3.exemple.fr/gaec-du-moulin
changes:
  description: What was changed, or would be, in order.
  returned: always
  type: list
  elements: dict
  sample:
    - client: gaec_du_moulin
      what: policy of gaec-du-moulin
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.bucket import (
    ClientBucket,
    use,
)
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.errors import ProSecoursError
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.state import State
from ansible_collections.prosecours.backup.plugins.module_utils.repository_host.bucket import plan
from ansible_collections.prosecours.backup.plugins.module_utils.repository_host.changes import Change


def main() -> None:
    """A client that fails stops no other."""
    module = AnsibleModule(
        argument_spec={
            "buckets": {"type": "list", "elements": "dict", "required": True},
            "s3": {"type": "dict", "no_log": True, "required": True},
        },
        supports_check_mode=True,
    )
    use(module.params["s3"])
    changes: list[Change] = []
    failures: list[str] = []
    for one in module.params["buckets"]:
        try:
            for change in _changes(one):
                if not module.check_mode:
                    change.apply()
                changes.append(change)
        except ProSecoursError as error:
            failures.append(f"{one['client']}: {error}")
    result = {
        "changed": bool(changes),
        "changes": [{"client": change.client, "what": change.what} for change in changes],
        "diff": [change.diff() for change in changes],
        "buckets": [{name: one[name] for name in ("client", "location")} for one in module.params["buckets"]],
    }
    if failures:
        module.fail_json(msg="\n".join(failures), **result)
    module.exit_json(**result)


def _changes(one: dict[str, Any]) -> Any:
    usage = State(Path(one["state"])).usage()
    bucket = ClientBucket(one["location"], one["ca"], one["keys"])
    return plan(one["client"], bucket, closed=bool(usage and usage.over))


if __name__ == "__main__":
    main()
