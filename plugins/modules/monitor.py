# Copyright: Pro Secours maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of the same name, which runs on the controller, over WinRM."""

DOCUMENTATION = r"""
module: monitor
short_description: Look at a Windows server and its backup agent, and change nothing
version_added: 0.1.0
description:
  - Says what deploy would change on the server (C12) - task, binary, configuration, credentials, rights -
    together with the status of its last backup, disk and clock (C9), as facts for
    M(prosecours.backup.findings).
  - Needs one session and one command; a second command reads the log of a backup that was not well.
  - A server that cannot be asked is an answer - RV(reachable) is false - and not a failure.
extends_documentation_fragment:
  - prosecours.backup.agent
attributes:
  check_mode:
    description: Never changes anything, and is the same in check mode.
    support: full
  diff_mode:
    description: RV(drift) describes the differences in words.
    support: none
seealso:
  - module: prosecours.backup.agent
  - module: prosecours.backup.findings
author:
  - Pro Secours maintainers (@prosecours)
"""

EXAMPLES = r"""
- name: Look at the server
  prosecours.backup.monitor:
    contract: "{{ contract_result.hosts[inventory_hostname] }}"
    repository:
      url: "{{ contract_result.hosts[inventory_hostname].repository }}"
      username: "{{ inventory_hostname }}"
      password: "{{ prosecours_repository_password }}"
      encryption_password: "{{ prosecours_encryption_password }}"
    restic: "{{ agent_restic }}"
  register: agent_monitor
"""

RETURN = r"""
host:
  description: The server's name in the inventory.
  returned: always
  type: str
address:
  description: Where it was asked.
  returned: always
  type: str
reachable:
  description: Whether it answered.
  returned: always
  type: bool
failure:
  description: Why it did not, in one sentence; else null.
  returned: always
  type: str
error:
  description: The kind of that failure; else null.
  returned: always
  type: str
  sample: LoginRefused
remedy:
  description: What to do about that failure; else null.
  returned: always
  type: str
last_status:
  description: >-
    What the agent says of its last backup - start, end, exit_code, errors, missing, degraded and log, each
    null where it cannot be read, see RV(prosecours.backup.agent#module:status); null when nothing is known.
  returned: always
  type: dict
free_bytes:
  description: Free bytes on the agent's drive; null when they are not known.
  returned: always
  type: int
clock_offset_seconds:
  description: Seconds by which the server's clock is ahead; null when they are not known.
  returned: always
  type: float
running:
  description: Whether a backup is running.
  returned: always
  type: bool
shadow_copies:
  description: Whether the Volume Shadow Copy service is enabled.
  returned: always
  type: bool
drift:
  description: What deploy would change - kind, name, state (gone, disabled, altered) and sentence of each.
  returned: always
  type: list
  elements: dict
watched:
  description: >-
    Digest of each resource as it is now, to tell at the next run on which side it changed. Those of
    passwords are cut to two digits.
  returned: always
  type: dict
log:
  description: The last errors in the log of a backup that was not well, as restic wrote them.
  returned: always
  type: list
  elements: str
"""
