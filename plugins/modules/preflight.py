# Copyright: Pro Secours maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of the same name, which runs on the controller, over WinRM."""

DOCUMENTATION = r"""
module: preflight
short_description: See whether a Windows server can be deployed
version_added: 0.1.0
description:
  - Looks at one server in one session and, once the agent is in place, with one command - rights, Windows
    version, tar.exe, clock, free disk, every entry of the perimeter and its size, way to the repository.
  - The same command observes the agent, for M(prosecours.backup.agent) later in the same run.
  - Changes nothing on the server, and is never C(changed). A small temporary file holds the answers while
    the command runs.
  - Prints one table for people, writes one JSON report for programs, and fails with all blocking findings at
    once. A server that cannot be asked gives the same kind of report.
  - >-
    Before the agent is deployed, and when the contract does not state the rate of the link, a second command
    measures it: the server prints a system file of about 2 MB. This is a lower bound of the upload rate.
  - >-
    Before the agent is deployed, the login at the repository is tried too. The password goes to curl.exe on
    standard input, and only when the certificate could be checked: by an authority that Windows knows, or by
    that of the contract if it is on the server already.
options:
  contract:
    description: The contract of this server, as RV(prosecours.backup.contract#module:hosts) holds it.
    type: dict
    required: true
  repository:
    description: The server's own repository.
    type: dict
    required: true
    suboptions:
      url:
        description: As restic writes it, for example V(rest:https://backup.example:8000/client/).
        type: str
        required: true
      username:
        description: Login at the repository's server.
        type: str
        default: ""
      password:
        description: Password of that login.
        type: str
        default: ""
      ca:
        description: Authority of the repository's certificate in PEM, if it is not a public one.
        type: str
        default: ""
  folder:
    description: Where the agent is, or will be, on the server. Its drive needs some room.
    type: str
    default: C:\Program Files\ProSecours
  report_directory:
    description: >-
      Where reports are written on the controller, this one in the folder C(preflight). Relative to the
      directory in which Ansible was started.
    type: str
    default: build/reports
  timeout:
    description: Seconds that each command may take; listing a perimeter of a million files takes minutes.
    type: int
    default: 900
  quiet:
    description: >-
      Print no table, but only what warns; what blocks is in the message of the failed task. With C(-v) the
      table is printed all the same.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
    description: The action never changes anything.
  diff_mode:
    support: none
    description: There is nothing to compare.
seealso:
  - module: prosecours.backup.contract
  - module: prosecours.backup.agent
author:
  - Pro Secours maintainers (@prosecours)
"""

EXAMPLES = r"""
- name: Look at the server before anything is changed
  prosecours.backup.preflight:
    contract: "{{ contract_result.hosts[inventory_hostname] }}"
    repository:
      url: "{{ contract_result.hosts[inventory_hostname].repository }}"
      username: "{{ inventory_hostname }}"
      password: "{{ prosecours_repository_password }}"
  register: preflight_result
"""

RETURN = r"""
verdict:
  description: V(blocked) when a finding blocks, V(warned) when one warns, else V(ready).
  returned: always
  type: str
  sample: warned
perimeter_bytes:
  description: Size of this server's perimeter as far as it could be read.
  returned: always
  type: int
  sample: 34210988032
first_backup_hours:
  description: How long the first backup is estimated to take; none when it was made, or the rate is unknown.
  returned: always
  type: float
  sample: 5.2
observed:
  description: >-
    Where, on the controller and until the end of this run, the observations of the agent are; empty when the
    server could not be asked.
  returned: always
  type: str
path:
  description: The report on the controller, as C(schemas/preflight.schema.json) describes it.
  returned: always
  type: str
  sample: build/reports/preflight/moulin-srv1.json
"""
