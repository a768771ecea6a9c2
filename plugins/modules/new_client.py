# Copyright: Pro Secours maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of prosecours.backup.new_client; the code is plugins/action/new_client.py."""

DOCUMENTATION = r"""
module: new_client
short_description: Write the inventory file of a new client
version_added: 0.1.0
description:
  - >-
    Asks a technician, or takes a file of O(answers) and an O(annex) that the client filled in, and writes the
    client's file into the folder C(clients) of the inventory, with comments: Annexes 1 and 2 (C17, C21), an
    address on the repository host with the most room, and for each server two passwords, made here and
    encrypted by the run's vault.
  - >-
    Before anything is written the whole inventory is checked with the file in it, as
    M(prosecours.backup.contract) does, and all errors are told at once. The file is written whole or not at
    all. A client, a server, a reference or an address that is in the inventory already is refused; the same
    answers a second time change nothing.
  - Works on the controller. What the repository hosts have left, M(prosecours.backup.room) told before.
options:
  rooms:
    description: >-
      What M(prosecours.backup.room) told, by the inventory name of the host; one without C(ports) did not
      answer.
    type: dict
    required: true
  answers:
    description: >-
      A file with the answers, as docs/clients.md has it; without it the technician is asked.
    type: str
    default: ""
  annex:
    description: >-
      The file that the form of the annex saved, as the client sent it back. Nothing in it is believed
      unchecked.
    type: str
    default: ""
  first_port:
    description: The lowest port that is given to a client.
    type: int
    default: 8041
extends_documentation_fragment:
  - prosecours.backup.documents_folder
attributes:
  check_mode:
    description: Can run in check mode and say what it would write.
    support: full
  diff_mode:
    description: Shows the file, without the passwords.
    support: full
author:
  - Pro Secours maintainers (@prosecours)
"""

EXAMPLES = r"""
- name: Write the client's file
  prosecours.backup.new_client:
    rooms: "{{ clients_rooms }}"
    answers: gaec-du-moulin.yml
"""

RETURN = r"""
client:
  description: The name of the client in the inventory.
  returned: success
  type: str
path:
  description: Its file.
  returned: success
  type: str
host:
  description: The repository host that was chosen.
  returned: success
  type: str
url:
  description: Where its repositories are.
  returned: success
  type: str
next:
  description: What to run next, a command each.
  returned: success
  type: list
  elements: str
"""
