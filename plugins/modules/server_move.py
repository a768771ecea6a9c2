# Copyright: Pro Secours maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A server's repository goes to its new name: documentation, and what runs on the host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: server_move
short_description: Move a server's repository to the server's new name
version_added: 0.1.0
description:
  - >-
    On the repository host: renames the folder of a server's repository, and what the maintenance remembers of
    it, so that a server that is renamed or replaced keeps its history. M(prosecours.backup.server) says what.
  - >-
    Refused while a backup or a restore is under way, and where there is a repository of the new name. What is
    moved already is not moved again, so a second run finishes one that was cut.
options:
  client:
    description: The client, by its name in the inventory.
    type: str
    required: true
  server:
    description: The server, by the name that it has.
    type: str
    required: true
  name:
    description: The name that it is to have.
    type: str
    required: true
  data:
    description: The folder with the data of all clients, one folder each.
    type: str
    default: /srv/prosecours
  state_folder:
    description: Where what was measured, judged and begun is remembered, one folder for each client.
    type: str
    default: /var/lib/prosecours
  config:
    description: The folder of the instances' settings, one folder for each client.
    type: str
    default: /etc/prosecours
attributes:
  check_mode:
    description: Can run in check mode and say what it would move.
    support: full
  diff_mode:
    description: Shows each folder by its old and its new name.
    support: full
author:
  - Pro Secours maintainers (@prosecours)
"""

EXAMPLES = r"""
- name: Move the repository
  prosecours.backup.server_move:
    client: gaec_du_moulin
    server: moulin-srv1
    name: moulin-srv2
"""

RETURN = r"""
moved:
  description: The folders that were moved, by their new names.
  returned: success
  type: list
  elements: str
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.errors import ProSecoursError
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.renamed import rename


def main() -> None:
    """Of one client on this host."""
    names = ("client", "server", "name", "data", "state_folder", "config")
    module = AnsibleModule(
        argument_spec={name: {"type": "str", "required": True} for name in names}, supports_check_mode=True
    )
    client, server, name = (module.params[one] for one in names[:3])
    data, state, config = (Path(module.params[one], client) for one in names[3:])
    try:
        moves = rename(data, state, config, server, name, module.check_mode)
    except ProSecoursError as error:
        module.fail_json(msg=f"{client}: {error}")
    except OSError as error:
        module.fail_json(msg=f"{client}: {error.filename} cannot be moved ({error.strerror}). Run as root.")
    module.exit_json(
        changed=bool(moves),
        moved=[str(one.target) for one in moves],
        diff=[
            {
                "before_header": title,
                "after_header": title,
                "before": f"{one.source}\n",
                "after": f"{one.target}\n",
            }
            for one in moves
            for title in (f"{client}: {one.source.name}",)
        ],
        journal={"client": client, "moved": [str(one.target) for one in moves]},
    )


if __name__ == "__main__":
    main()
