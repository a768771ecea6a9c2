# Copyright: Pro Secours maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of the same name; it runs on the controller."""

DOCUMENTATION = r"""
module: export_request
short_description: Check a request for a version on an external disk
version_added: 0.1.0
description:
  - Reads a request file (C(schemas/export.schema.json), docs/disks.md) and lists all that is wrong with it at
    once, each with its line.
  - The client has to have subscribed to the export of Annexe 1 (C16), its main backup has to have failed
    (C3), the requester has to be a contact of Annexe 2. No host is touched.
  - A disk that was begun and cut is gone on with, so no version is wanted that came since.
options:
  path:
    description: The request file on the controller, see docs/disks.md.
    type: str
    required: true
  clients:
    description: The clients, as RV(prosecours.backup.contract#module:clients) holds them.
    type: dict
    required: true
  hosts:
    description: The contracts of all servers, as RV(prosecours.backup.contract#module:hosts) holds them.
    type: dict
    required: true
extends_documentation_fragment:
  - prosecours.backup.documents_folder
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
- name: Check the request
  prosecours.backup.export_request:
    path: requests/2026-11-23-gaec-du-moulin-export.yml
    clients: "{{ contract_result.clients }}"
    hosts: "{{ contract_result.hosts }}"
"""

RETURN = r"""
request:
  description: >-
    The request as M(prosecours.backup.export) takes it; its C(wanted) is what
    M(prosecours.backup.restore_version) takes.
  returned: success
  type: dict
errors:
  description: What is wrong with the request, a sentence each.
  returned: failure
  type: list
  elements: str
"""
