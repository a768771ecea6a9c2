# Copyright: Pro Secours maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The room of a repository host: documentation, and what runs on the host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: room
short_description: Tell what a repository host has left for one more client
version_added: 0.1.0
description:
  - >-
    Tells how much of the disk with the clients' data is free, and which ports something listens at or an
    instance is to. M(prosecours.backup.new_client) chooses by it.
  - Changes nothing.
options:
  data:
    description: The folder with the data of all clients, one folder each.
    type: str
    default: /srv/prosecours
  config:
    description: The folder of the instances' settings, one folder for each client.
    type: str
    default: /etc/prosecours
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
- name: Ask for room
  prosecours.backup.room:
  register: clients_room
"""

RETURN = r"""
bytes_free:
  description: Bytes that are free.
  returned: success
  type: int
bytes_total:
  description: Bytes of the whole disk.
  returned: success
  type: int
ports:
  description: The ports that are taken.
  returned: success
  type: list
  elements: int
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.prosecours.backup.plugins.module_utils.repository_host.room import room


def main() -> None:
    """Of this host."""
    module = AnsibleModule(
        argument_spec={
            "data": {"type": "str", "required": True},
            "config": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    try:
        found = room(Path(module.params["data"]), Path(module.params["config"]))
    except OSError as error:
        module.fail_json(msg=f"{error.filename} cannot be read ({error.strerror}). Run as root.")
    module.exit_json(changed=False, **found._asdict())


if __name__ == "__main__":
    main()
