# Copyright: Pro Secours maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of the same name, which runs on the controller, over WinRM."""

DOCUMENTATION = r"""
module: backup
short_description: Back a Windows server up now
version_added: 0.1.0
description:
  - Starts the scheduled task that M(prosecours.backup.agent) registered, or joins a backup that is running,
    and waits for its end.
  - Fails when the backup failed; RV(outcome) says when a backup is incomplete or degraded.
options:
  folder:
    description: The agent's folder on the server.
    type: str
    default: C:\Program Files\ProSecours
  timeout:
    description: Seconds to wait. The backup itself goes on after that.
    type: int
    default: 14400
attributes:
  check_mode:
    description: Can run in check mode and say what it would do.
    support: full
  diff_mode:
    description: A backup has no before and after worth showing.
    support: none
author:
  - Pro Secours maintainers (@prosecours)
"""

EXAMPLES = r"""
- name: Back up now
  prosecours.backup.backup:
    timeout: 3600
"""

RETURN = r"""
outcome:
  description: The backup in a few words.
  returned: success
  type: str
  sample: complete
status:
  description: The backup as the server recorded it, see RV(prosecours.backup.agent#module:status).
  returned: success
  type: dict
"""
