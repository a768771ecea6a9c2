# Copyright: Pro Secours maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A disk on the repository host, prepared or loaded: documentation, and what runs there."""

from __future__ import annotations

DOCUMENTATION = r"""
module: seed_disk
short_description: Prepare a disk for a server's first backup, or load it
version_added: 0.1.0
description:
  - >-
    The steps of a first backup on an external disk that are done on the repository host (C16). The disk is
    found among those that are mounted by the serial number and the name of its volume.
  - >-
    V(prepare) puts the configuration and the key of the server's own repository on it. So the disk has the
    same chunk sizes, key and password, and nobody reads it without the password.
  - >-
    V(load) adds to the server's repository what the manifest of the handing over names. Each file is judged
    as an upload is before it is added; no file is replaced; the disk is compared with the manifest before
    anything else. A run that was cut goes on where it stopped.
  - Delegated to the repository host.
options:
  step:
    description: What to do.
    type: str
    choices: [prepare, load]
    required: true
  clients:
    description: The C(clients) that M(prosecours.backup.contract) returned.
    type: dict
    required: true
  host:
    description: The repository host that the task is delegated to, by its inventory name.
    type: str
    required: true
  lsblk:
    description: The program of util-linux 2.37 or newer on the host that lists disks.
    type: str
    default: lsblk
extends_documentation_fragment:
  - prosecours.backup.documents_folder
  - prosecours.backup.repository_host
  - prosecours.backup.seed
attributes:
  check_mode:
    description: Says whether the step could be done, and changes nothing.
    support: full
  diff_mode:
    description: A disk has no before and after worth showing.
    support: none
author:
  - Pro Secours maintainers (@prosecours)
"""

EXAMPLES = r"""
- name: Load the disk
  prosecours.backup.seed_disk:
    step: load
    request: "{{ seed_request.request }}"
    clients: "{{ contract_result.clients }}"
    host: sauvegarde.exemple.fr
    technician: A. Martin
  delegate_to: sauvegarde.exemple.fr
  become: true
"""

RETURN = r"""
outcome:
  description: What was done, in a sentence.
  returned: success
  type: str
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance import disks
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.errors import (
    ProSecoursError,
    sentence,
)
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.one_server import (
    SPECIFICATION,
    one_server,
)
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.shape import as_json, read


def main() -> None:
    """One server of a client of this host."""
    module = AnsibleModule(
        argument_spec={
            **SPECIFICATION,
            "step": {"type": "str", "choices": ["prepare", "load"], "required": True},
            "request": {"type": "str", "required": True},
            "disk": {"type": "dict", "required": True},
            "lsblk": {"type": "str", "required": True},
            "manifest": {"type": "dict"},
        },
        supports_check_mode=True,
    )
    given = module.params
    try:
        mine = one_server(given)
        disk = Path(disks.mounted(read(disks.Volume, given["disk"]), given["lsblk"]))
        if given["step"] == "prepare":
            module.exit_json(changed=disks.prepare(mine.repository, mine.state, disk, module.check_mode))
        told = disks.load(
            mine.repository,
            mine.state,
            disk,
            read(disks.Manifest, given["manifest"]),
            given["request"],
            check=module.check_mode,
        )
    except (ProSecoursError, OSError) as error:
        module.fail_json(msg=f"{given['server']}: {sentence(error)}")
    module.exit_json(changed=told.files > 0, **as_json(told))


if __name__ == "__main__":
    main()
