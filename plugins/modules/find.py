"""Documentation of the action plugin of the same name; it runs on the controller, over the winrm
connection."""

DOCUMENTATION = r"""
module: find
short_description: Look for an item in all versions of a client
version_added: 0.1.0
description:
  - For a request to restore whose exact path the client does not know (C3). Shows every item that matches, of
    all servers of the client, with the states that it had and the versions that hold each.
  - Runs on any server of the client, with its restic, and changes nothing.
options:
  name:
    description: >-
      Part of a name, a name with V(*) and V(?), or an absolute path with them; without regard to case.
    type: str
    required: true
  client:
    description: The client's name in the inventory.
    type: str
    required: true
  server:
    description: Only the versions of this server; all of them when empty.
    type: str
    default: ""
  folder:
    description: The agent's folder on the server.
    type: str
    default: C:\Program Files\ProSecours
  report_directory:
    description: Folder on the controller; the matches go to C(find/<client>.json) below it.
    type: str
    required: true
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
    client: gaec_du_moulin
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
