# Copyright: Pro Secours maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of the same name, which runs on the controller, over WinRM."""

DOCUMENTATION = r"""
module: seed
short_description: Fill a disk with a server's first backup, hand it over, judge the night after
version_added: 0.1.0
description:
  - >-
    The steps of a first backup on an external disk that are done on the client's server (C16). The disk is
    found by the serial number and the name of its volume, in whichever drive it is.
  - >-
    V(fill) backs the server up onto the disk, by every night's program, with the same perimeter and password.
    A scheduled task does it, which outlives the connection; the same step again joins it.
  - >-
    V(hand_over) has restic check what is on the disk, writes down the name and size of each file and prints
    the page that both sides sign. V(finish) looks at the next backup, tells what it added, and fails where it
    did not build on what the disk brought.
  - A step is refused until the one before it is done, and is done once.
options:
  step:
    description: What to do.
    type: str
    choices: [fill, hand_over, finish]
    required: true
  contract:
    description: The contract of the server, as RV(prosecours.backup.contract#module:hosts) holds it.
    type: dict
    required: true
  folder:
    description: The agent's folder on the server.
    type: str
    default: C:\Program Files\ProSecours
  timeout:
    description: Seconds to wait for the backup onto the disk. It goes on after that; the next run joins it.
    type: int
    default: 86400
extends_documentation_fragment:
  - prosecours.backup.documents_folder
  - prosecours.backup.seed
attributes:
  check_mode:
    description: Says whether the step could be done, and changes nothing.
    support: full
  diff_mode:
    description: A disk has no before and after worth showing.
    support: none
author:
  - Pro Secours maintainers (@prosecours)
"""

EXAMPLES = r"""
- name: Back the server up onto the disk
  prosecours.backup.seed:
    step: fill
    request: "{{ seed_request.request }}"
    contract: "{{ contract_result.hosts[inventory_hostname] }}"
    technician: A. Martin
"""

RETURN = r"""
outcome:
  description: What was done, in a sentence.
  returned: success
  type: str
page:
  description: The page to sign, C(html) and C(pdf).
  returned: for V(hand_over)
  type: dict
"""
