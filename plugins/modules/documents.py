# Copyright: Pro Secours maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of prosecours.backup.documents; the code is plugins/action/documents.py."""

DOCUMENTATION = r"""
module: documents
short_description: Print the annexes, their amendments and the yearly letters of all clients
version_added: 0.1.0
description:
  - >-
    Prints, for each client, Annexes 1 to 3 of its contract in French, as HTML and PDF to sign (C17, C18,
    C21), with a fingerprint of the data that they were made from, and keeps the data under that
    fingerprint.
  - >-
    Where the signed copy (C(prosecours_signed)) is no longer what the inventory says, prints the
    difference as an amendment to sign.
  - >-
    Lists the clients to which the instructions for the main backup are to be recalled (C13). With
    O(letters) it hands them over: one PDF of all letters that are due, for envelopes with a window, and
    a mail to each client that wishes one. Who received what and when is noted beside the annexes, and
    journalled.
  - >-
    Works on the controller. The same data give the same bytes, so a second run changes nothing. A client
    that fails stops no other.
options:
  clients:
    description: The C(clients) that M(prosecours.backup.contract) returned.
    type: dict
    required: true
  hosts:
    description: The C(hosts) that M(prosecours.backup.contract) returned.
    type: dict
    required: true
  client:
    description: Only this client.
    type: str
    default: ""
  letters:
    description: Hand over the letters that are due; without it they are listed.
    type: bool
    default: false
  instructions:
    description: >-
      A file with what the letters say, in the shape of
      C(plugins/plugin_utils/documents/instructions.yml), which is used without it.
    type: str
    default: ""
  sender:
    description: The provider's postal address at the head of the letters, a line each.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - prosecours.backup.documents_folder
  - prosecours.backup.mail
  - prosecours.backup.provider_contacts
attributes:
  check_mode:
    description: Can run in check mode and say what it would write and send.
    support: full
  diff_mode:
    description: Shows the data of the annexes, the amendments line by line, and whom letters go to.
    support: full
author:
  - Pro Secours maintainers (@prosecours)
seealso:
  - module: prosecours.backup.contract
"""

EXAMPLES = r"""
- name: Print what is to be signed, and list the letters that are due
  prosecours.backup.documents:
    clients: "{{ contract_result.clients }}"
    hosts: "{{ contract_result.hosts }}"

- name: Hand over the letters that are due
  prosecours.backup.documents:
    clients: "{{ contract_result.clients }}"
    hosts: "{{ contract_result.hosts }}"
    letters: true
"""

RETURN = r"""
annexes:
  description: For each client its fingerprint, its pages, and the terms that differ from what was signed.
  returned: always
  type: dict
  sample:
    gaec_du_moulin:
      fingerprint: 4f1d 08c2 77ab 3e90 61d5 f0a8 92bc 5e17
      pages: [inventories/documents/gaec_du_moulin/annexes-PS-2026-0042-4f1d08c2.html]
      differences: ["Volume souscrit: 200 Go → 250 Go"]
form:
  description: The page that a new client fills in, which is written where it is not there.
  returned: always
  type: str
  sample: inventories/documents/annexe-a-remplir.html
due:
  description: >-
    For each client whose letter is due, the ways on which it is to go; none as long as it waits for an
    address.
  returned: always
  type: dict
  sample: {gaec_du_moulin: [post]}
letters:
  description: The file with all letters to post; in check mode, where it would be.
  returned: when letters are handed over
  type: str
  sample: inventories/documents/lettres-2026-11-27.pdf
handed:
  description: For each client what it was handed over; in check mode, what it would be.
  returned: when letters are handed over
  type: dict
  sample:
    gaec_du_moulin: [{by: post, "on": "2026-11-27", to: "GAEC du Moulin, 60190 AVRIGNY", products: [general]}]
failures:
  description: For each client of which something could not be made or sent, the reasons.
  returned: always
  type: dict
  sample: {}
"""
