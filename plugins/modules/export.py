# Copyright: Pro Secours maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A version on a disk: documentation, and what runs on the repository host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: export
short_description: Put a version of a server on an external disk
version_added: 0.1.0
description:
  - >-
    Puts the files that hold one version on a disk that is mounted on the repository host, as a repository
    that a code of its own opens, with restic.exe and a program by which the client restores (C16).
  - >-
    Each file is judged before it is written, and read back from the disk. The code is kept for this user
    alone and printed on a page of its own, which never travels with the disk.
  - A run that was cut goes on where it stopped. Delegated to the repository host.
options:
  choice:
    description: The version, as RV(prosecours.backup.restore_version#module:choice) has it.
    type: dict
    required: true
  program:
    description: restic.exe on the controller, as RV(prosecours.backup.binary#module:path) names it.
    type: str
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
    description: Says whether it could be done, and how large it would be.
    support: full
  diff_mode:
    description: A disk has no before and after worth showing.
    support: none
author:
  - Pro Secours maintainers (@prosecours)
"""

EXAMPLES = r"""
- name: Put the version on the disk
  prosecours.backup.export:
    request: "{{ export_request.request }}"
    choice: "{{ export_version.choice }}"
    program: "{{ export_restic.path }}"
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
pages:
  description: The sheet for the client, C(html) and C(pdf), and the page with the C(code).
  returned: when it was done
  type: dict
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
            "request": {"type": "str", "required": True},
            "disk": {"type": "dict", "required": True},
            "lsblk": {"type": "str", "required": True},
            "version": {"type": "str", "required": True},
            "code": {"type": "str", "no_log": True, "required": True},
            "beside": {"type": "dict", "required": True},
            "program": {"type": "path"},
            "check_only": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    given = module.params
    try:
        mine = one_server(given)
        beside = {name: text.encode() for name, text in given["beside"].items()}
        if given["program"]:
            beside["restic.exe"] = Path(given["program"]).read_bytes()
        told = disks.export(
            mine.repository,
            mine.state,
            Path(disks.mounted(read(disks.Volume, given["disk"]), given["lsblk"])),
            given["version"],
            given["code"],
            beside,
            given["request"],
            check=module.check_mode or given["check_only"],
        )
    except (ProSecoursError, OSError) as error:
        module.fail_json(msg=f"{given['server']}: {sentence(error)}")
    module.exit_json(changed=told.added > 0, **as_json(told))


if __name__ == "__main__":
    main()
