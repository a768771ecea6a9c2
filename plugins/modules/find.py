# Copyright: Pro Secours maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of the same name, which runs on the controller, over WinRM."""

DOCUMENTATION = r"""
module: find
short_description: Look for an item in all versions of a server
version_added: 0.1.0
description:
  - For a request to restore whose exact path the client does not know (C3). Shows every item that matches,
    with the states that it had and the versions that hold each.
  - Runs on the server itself, or on another one of the client when that one does not answer, with its restic,
    and changes nothing. What opens the other repository lies there only as long as it is looked through.
options:
  name:
    description: >-
      Part of a name, a name with V(*) and V(?), or an absolute path with them; without regard to case.
    type: str
    required: true
  server:
    description: Whose versions they are; those of the host itself when empty.
    type: str
    default: ""
  folder:
    description: The agent's folder on the server.
    type: str
    default: C:\Program Files\ProSecours
  report_directory:
    description: >-
      Where reports are written on the controller; the matches go to C(find/<server>.json) in it. Relative
      to the directory in which Ansible was started.
    type: str
    default: build/reports
extends_documentation_fragment:
  - prosecours.backup.lent_repository
attributes:
  check_mode:
    description: Can run in check mode; it changes nothing.
    support: full
  diff_mode:
    description: Nothing is changed.
    support: none
author:
  - Pro Secours maintainers (@prosecours)
"""

EXAMPLES = r"""
- name: Look for the invoices of March
  prosecours.backup.find:
    name: facture*mars*
    report_directory: build/reports
"""

RETURN = r"""
matches:
  description: >-
    C(server), C(path), C(kind), C(size) in bytes, C(modified), C(version), C(version_time) in UTC and
    C(complete) of every item in every version.
  returned: success
  type: list
  elements: dict
path:
  description: The matches as JSON, on the controller.
  returned: success
  type: str
"""
