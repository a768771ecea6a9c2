# Copyright: Pro Secours maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of prosecours.backup.server; the code is plugins/action/server.py."""

DOCUMENTATION = r"""
module: server
short_description: Retire or rename a server in its client's inventory file
version_added: 0.1.0
description:
  - >-
    Takes a server out of its client's file and remembers it there with what encrypts its backups
    (C(prosecours_retired_servers)), or gives it another name and address, on the client's instruction (C10).
    All other lines of the file stay as they are, comments too.
  - >-
    Nothing is written before the whole inventory was checked with the file as it will be, as
    M(prosecours.backup.contract) does. What is done already changes nothing.
  - >-
    Works on the controller. Of a server that is renamed M(prosecours.backup.server_move) moves the repository
    first; RV(host) says where.
options:
  server:
    description: The server, by its name in the inventory.
    type: str
    required: true
  retire:
    description: The server leaves the contract.
    type: bool
    default: false
  name:
    description: The name that it is to have from now on.
    type: str
    default: ""
  address:
    description: With O(name), where it is reached from now on; if not given, as before.
    type: str
    default: ""
  instruction:
    description: On whose instruction; it goes to the journal.
    type: str
    default: ""
  write:
    description: Write the file; without it only check, and say what is to be moved where.
    type: bool
    default: true
extends_documentation_fragment:
  - prosecours.backup.documents_folder
attributes:
  check_mode:
    description: Can run in check mode and say what it would write.
    support: full
  diff_mode:
    description: Shows the lines that change.
    support: full
author:
  - Pro Secours maintainers (@prosecours)
"""

EXAMPLES = r"""
- name: Retire a server
  prosecours.backup.server:
    server: moulin-sql
    retire: true
    instruction: e-mail of Mme Lefèvre of 20 November
"""

RETURN = r"""
client:
  description: The client whose server it is.
  returned: success
  type: str
host:
  description: The repository host on which the server's repository is to be moved; empty for none.
  returned: success
  type: str
name:
  description: The name that the server is to have; empty for one that leaves.
  returned: success
  type: str
next:
  description: What to run next, a command or a sentence each.
  returned: success
  type: list
  elements: str
"""
