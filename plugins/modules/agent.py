# Copyright: Pro Secours maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of the same name, which runs on the controller, over WinRM."""

DOCUMENTATION = r"""
module: agent
short_description: Deploy, upgrade or repair the backup agent of a Windows server
version_added: 0.1.0
description:
  - Brings the agent's folder, its rights, restic.exe, configuration, credentials, repository and scheduled
    task to the state that the contract asks for, and names what it changes or repairs (C4, C6, C12).
  - Needs one session and, when nothing has to change, one command; none, when O(observed) shows that. No
    PowerShell, except for the delivery to Windows Server 2016, which has no tar.exe.
  - Everything is staged and verified on the server, and the repository opened, before anything in place is
    replaced; the replacement is one step, under the lock that a running backup holds. After an interruption
    anywhere, the next run converges.
  - A repository that another password opens, or another one than this server has used so far, is refused.
  - Passwords travel on standard input only, and are shown as V(***) in the diff.
options:
  wait:
    description: Seconds to wait for a running backup to end before files are replaced.
    type: int
    default: 600
  first_backup:
    description: Whether the first backup is started at once or left to the task's next start.
    type: str
    choices: [night, now]
    default: night
  first_backup_hours:
    description: >-
      How long a first backup is estimated to take, as M(prosecours.backup.preflight) returns it. If one that
      is started now would run past the end of the office hours (C5), that is said.
    type: float
  observed:
    description: >-
      What M(prosecours.backup.preflight) has observed of the agent in this run, as it returns it. A server
      that is as it should be is then not asked again; anything to change is first looked at anew.
    type: str
    default: ""
extends_documentation_fragment:
  - prosecours.backup.agent
attributes:
  check_mode:
    description: Can run in check mode and say what it would do.
    support: full
  diff_mode:
    description: Shows what was observed and what is planned, for each resource.
    support: full
author:
  - Pro Secours maintainers (@prosecours)
"""

EXAMPLES = r"""
- name: Deploy the agent
  prosecours.backup.agent:
    contract: "{{ contract_result.hosts[inventory_hostname] }}"
    repository:
      url: "{{ contract_result.hosts[inventory_hostname].repository }}"
      username: "{{ inventory_hostname }}"
      password: "{{ prosecours_repository_password }}"
      encryption_password: "{{ prosecours_encryption_password }}"
    restic: "{{ agent_restic }}"
"""

RETURN = r"""
changes:
  description: What was changed or repaired, or would be in check mode, one short sentence each.
  returned: success
  type: list
  elements: str
  sample: ["task \\ProSecours\\Sauvegarde was altered (disabled), registered anew"]
status:
  description: >-
    The last backup as the server recorded it - times in UTC, restic's exit code and summary, attempts,
    number of errors, the entries of the perimeter that were missing, and whether it was degraded (no shadow
    copy). Null before the first one.
  returned: success
  type: dict
outcome:
  description: The last backup in a few words.
  returned: success
  type: str
  sample: complete
running:
  description: Whether a backup is running.
  returned: success
  type: bool
repository_id:
  description: The id of the repository that the server backs up to; empty before it was opened.
  returned: success
  type: str
starts_at:
  description: When the task starts every day, in the server's local time, as HH:MM.
  returned: success
  type: str
  sample: "22:37"
"""
