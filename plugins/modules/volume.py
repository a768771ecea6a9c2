# Copyright: Pro Secours maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Opens or closes a client's repository as its volume says: documentation, and what runs on the host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: volume
short_description: Accept or refuse a client's new backups as the subscribed volume says
version_added: 0.1.0
description:
  - >-
    Over the subscribed volume (C15) the repository of a client is closed on its host: new backups are
    refused, restores and locks are not. M(prosecours.backup.retention) decides it at each of its runs. This
    one opens it again in between, when more was subscribed or when the servers have less than before; a
    deploy runs it, delegated to the repository host.
  - >-
    What counts is the newest complete version of each server, or O(measured) when that was learned later. A
    server that is over could not send the smaller version that would show that it no longer is.
  - Neither restic nor a password is needed. No data is touched.
options:
  clients:
    description: The C(clients) that M(prosecours.backup.contract) returned.
    type: dict
    required: true
  client:
    description: The one in question.
    type: str
    required: true
  host:
    description: The repository host that the task is delegated to, by its inventory name.
    type: str
    required: true
  measured:
    description: For each server that was looked at, the bytes of its perimeter.
    type: dict
    default: {}
  data:
    description: The folder with the data of all clients, one folder each.
    type: str
    default: /srv/prosecours
  state_folder:
    description: Where M(prosecours.backup.retention) remembers what each server has.
    type: str
    default: /var/lib/prosecours
attributes:
  check_mode:
    description: Can run in check mode and say what it would do.
    support: full
  diff_mode:
    description: Shows what is subscribed, and whether new backups are accepted.
    support: full
author:
  - Pro Secours maintainers (@prosecours)
"""

EXAMPLES = r"""
- name: Accept or refuse new backups
  prosecours.backup.volume:
    clients: "{{ contract_result.clients }}"
    client: gaec_du_moulin
    host: sauvegarde.exemple.fr
    measured:
      moulin-srv1: 81234567890
  delegate_to: sauvegarde.exemple.fr
  become: true
"""

RETURN = r"""
closed:
  description: Whether the server refuses new backups from now on.
  returned: success
  type: bool
fence_put_up:
  description: >-
    Whether keys, configurations or further repositories could be added until now; so it is after the first
    backup of a server, and else somebody has opened it.
  returned: success
  type: bool
counted_bytes:
  description: What counts against the subscribed volume.
  returned: success
  type: int
subscribed_gb:
  description: What is subscribed, in GB of 10^9 bytes.
  returned: success
  type: int
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.bucket import use
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.errors import ProSecoursError
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.fleet import Client, door_of
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.state import State
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.subscription import settle


def main() -> None:
    """One client of this host."""
    module = AnsibleModule(
        argument_spec={
            "order": {"type": "dict", "required": True},
            "state": {"type": "path", "required": True},
            "measured": {"type": "dict", "required": True},
            "s3": {"type": "dict", "no_log": True, "required": True},
        },
        supports_check_mode=True,
    )
    given = module.params
    use(given["s3"])
    order = Client(**given["order"])
    client = order.client
    try:
        result = settle(
            door_of(order),
            State(Path(given["state"])),
            order.subscribed_gb,
            order.servers.keys(),
            {host: int(size) for host, size in given["measured"].items()},
            module.check_mode,
        )
        if not module.check_mode:
            for server, paths in order.perimeters.items():
                State(Path(given["state"], server)).order(paths)
    except ProSecoursError as error:
        module.fail_json(msg=f"{client}: {error}")
    except OSError as error:
        module.fail_json(
            msg=f"{client}: {error.filename or order.top} cannot be read or changed ({error.strerror}). "
            "Run as root or as the owner of the repository."
        )
    diff = result.pop("diff")
    if diff["before"] != diff["after"]:
        title = f"{client}: volume"
        result["diff"] = {"before_header": title, "after_header": title, **diff}
    if result["closed"]:
        module.warn(
            f"{client}: {result['counted_bytes'] / 10**9:.1f} GB are over the subscribed "
            f"{result['subscribed_gb']} GB: new backups are refused."
        )
    journal = {"client": client, "closed": result["closed"], "subscribed_gb": result["subscribed_gb"]}
    if result["fence_put_up"]:
        journal["fence_put_up"] = True
    module.exit_json(**result, journal=journal)


if __name__ == "__main__":
    main()
