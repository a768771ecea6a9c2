# Copyright: Pro Secours maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which version a restore is made of: documentation, and what runs on the repository host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: restore_version
short_description: Choose the version for a restore, by the judgement of the repository host
version_added: 0.1.0
description:
  - >-
    A client's server believes all that lies in its repository. The repository host does not. What is set
    aside since its time disagrees with its arrival, and what a technician rejected, is never restored. Of the
    others the newest complete one up to the moment of the request is chosen.
  - >-
    All folders of that version are read. One that no restic made, in which a name comes twice or stands out
    of order, refuses the restore before anything is written; so does a link or a device in what is asked for
    when the data of one server go to another.
  - Changes nothing and takes no lock. Delegated to the repository host.
options:
  request:
    description: The request, as RV(prosecours.backup.restore_request#module:request) holds it.
    type: dict
    required: true
  clients:
    description: The C(clients) that M(prosecours.backup.contract) returned.
    type: dict
    required: true
  host:
    description: The repository host that the task is delegated to, by its inventory name.
    type: str
    required: true
extends_documentation_fragment:
  - prosecours.backup.repository_host
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
- name: Choose the version
  prosecours.backup.restore_version:
    request: "{{ restore_request.request }}"
    clients: "{{ contract_result.clients }}"
    host: sauvegarde.exemple.fr
  delegate_to: sauvegarde.exemple.fr
  become: true
  register: restore_version
"""

RETURN = r"""
choice:
  description: >-
    The C(version) that is restored, those that were C(passed_over), those that are C(unbelieved) with the
    reason, and how many are C(newer) than the moment that was asked for.
  returned: success
  type: dict
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.errors import (
    ProSecoursError,
    sentence,
)
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.fleet import order_of
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.judgement import (
    objection,
    versions,
)
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.one_server import (
    SPECIFICATION,
    one_server,
)
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.shape import as_json


def main() -> None:
    """One server of a client of this host."""
    module = AnsibleModule(
        argument_spec={
            **SPECIFICATION,
            "version": {"type": "str"},
            "bare": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    given = module.params
    try:
        mine = one_server(given)
        if not Path(mine.settings.restic).exists():
            module.fail_json(
                msg=f"{mine.settings.restic}: there is no restic. Run playbooks/retention.yml, it brings one."
            )
        if given["version"]:
            found = objection(mine.repository, mine.state, given["version"], given["bare"])
            module.exit_json(changed=False, objection=found)
        listed = versions(order_of(mine.client, mine.server, mine.settings), mine.repository, mine.state)
    except (ProSecoursError, OSError) as error:
        module.fail_json(msg=f"{given['server']}: {sentence(error)}")
    module.exit_json(changed=False, versions=[as_json(one) for one in listed])


if __name__ == "__main__":
    main()
