# Copyright: Pro Secours maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of the same name, which runs on the controller."""

DOCUMENTATION = r"""
module: office_hours
short_description: Refuse to work outside the office hours of the contract
description:
  - >-
    Set-up and restores happen in office hours (C5, C8), 08:30 to 18:00 in Europe/Paris, Monday to Friday,
    without the public holidays of France. Each client is judged by its own calendar; in Alsace and Moselle
    there are two more holidays.
  - >-
    When they are closed for one of the clients, the whole run is refused before any server is touched; the
    sentence names the clients and their next opening. With a O(reason) it goes on, and the reason goes to the
    journal (C10). Check mode is never refused, as it changes nothing, but says what a run would meet.
  - Runs on the controller, by its clock. No server is touched and nothing is changed.
version_added: 0.1.0
author:
  - Pro Secours maintainers (@prosecours)
options:
  clients:
    description: The C(clients) that M(prosecours.backup.contract) returned.
    type: dict
    required: true
  hosts:
    description: Only the clients of these servers count. Without it, all clients do.
    type: list
    elements: str
  reason:
    description: >-
      Why it cannot wait for the next opening; goes to the journal (C10). A text without a letter in it is
      none.
    type: str
    default: ""
attributes:
  check_mode:
    support: full
    description: The action never changes anything. In check mode it does not refuse either.
  diff_mode:
    support: none
    description: There is nothing to compare.
seealso:
  - module: prosecours.backup.contract
"""

EXAMPLES = r"""
- name: Keep the office hours of the clients of this play
  prosecours.backup.office_hours:
    clients: "{{ contract_result.clients }}"
    hosts: "{{ ansible_play_hosts }}"
    reason: "{{ prosecours_reason }}"
  run_once: true
"""

RETURN = r"""
sentence:
  description: What was said; empty when all clients are in office hours.
  returned: always
  type: str
  sample: >-
    Outside office hours: it is Saturday; the next opening is Monday 23 November 2026 at 08:30.
closed:
  description: The clients for which it is closed, why, and when it opens.
  returned: always
  type: dict
  sample:
    gaec_du_moulin: {why: it is Saturday, next_opening: "2026-11-23T08:30:00+01:00"}
"""
