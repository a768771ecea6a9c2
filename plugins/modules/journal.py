# Copyright: Pro Secours maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of the same name, which runs on the controller."""

DOCUMENTATION = r"""
module: journal
short_description: Read, check and export the journal of interventions
description:
  - >-
    Shows the interventions that the callback P(prosecours.backup.journal#callback) wrote down (C10), as a
    table on the screen, and checks that the journal is as it was written. Tampering is named with its entry,
    and fails.
  - >-
    An export about one client holds nothing about any other.
  - Runs on the controller. The journal itself is never changed; O(acknowledge) adds an entry to it.
  - Moves a journal from a file to a database, for several controllers (O(move_to)).
version_added: 0.1.0
author:
  - Pro Secours maintainers (@prosecours)
options:
  path:
    description: >-
      The journal, a path or an address C(postgresql://user@host/database). Without it, the one that the
      callback writes.
    type: str
  client:
    description: Only this client's interventions, by its name in the inventory.
    type: str
  since:
    description: Only runs that began on this day or later, as year-month-day, in Europe/Paris.
    type: str
  until:
    description: Only runs that began on this day or earlier.
    type: str
  head:
    description: >-
      A head that was kept elsewhere, C(entries:hash). The journal still has to hold it; that reveals an end
      that was cut off, and a journal that was written anew.
    type: str
  acknowledge:
    description: >-
      The number of an entry C(cut), which says that the journal was found shorter than it was left, or
      replaced. Until a technician acknowledges it, reading the journal and monitoring it fail. 0 is none.
    type: int
    default: 0
  technician:
    description: Who acknowledges it.
    type: str
    default: ""
  reason:
    description: Why it is no longer a problem; asked for with O(acknowledge). Together with O(head), that
      head is explained by it too.
    type: str
    default: ""
  move_to:
    description: >-
      The address of a database, C(postgresql://user@host/database), that takes the journal over, entry by
      entry as it is. It is verified there before it counts, and is moved as a whole or not at all; a second
      time nothing changes. The file stays as it is. What is shown and exported is the journal in the
      database.
    type: str
  export:
    description: >-
      A folder to write the chosen runs to, as CSV with semicolons and as JSON; without it nothing is
      written.
    type: path
attributes:
  check_mode:
    support: full
    description: >-
      Says whether the export would be written and the journal moved; acknowledges and moves nothing.
  diff_mode:
    support: none
    description: There is nothing to compare.
"""

EXAMPLES = r"""
- name: What was done for a client in November
  prosecours.backup.journal:
    client: gaec_du_moulin
    since: "2026-11-01"
    until: "2026-11-30"
    export: build/journal
"""

RETURN = r"""
entries:
  description: The number of entries of the journal.
  returned: always
  type: int
  sample: 124
head:
  description: The hash of the last entry; none of an empty journal.
  returned: always
  type: str
  sample: 3fa2bc103fa2bc103fa2bc103fa2bc103fa2bc103fa2bc103fa2bc103fa2bc10
runs:
  description: The number of runs that were chosen.
  returned: always
  type: int
  sample: 7
files:
  description: The files of the export.
  returned: always
  type: list
  elements: str
  sample: [build/journal/journal_gaec_du_moulin.csv, build/journal/journal_gaec_du_moulin.json]
"""
