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
    An export about one client holds nothing of another one.
  - Runs on the controller. The journal itself is never changed.
version_added: 0.1.0
author:
  - Pro Secours maintainers
options:
  path:
    description: The journal. Without it, the one that the callback writes.
    type: path
  client:
    description: Only this client's, by its name in the inventory.
    type: str
  since:
    description: Only runs that began on this day or later, as year-month-day, in Europe/Paris.
    type: str
  until:
    description: Only runs that began on this day or earlier.
    type: str
  head:
    description: >-
      A head that was kept elsewhere, C(entries:hash). The journal has to hold it still; so an end that was
      cut off shows, and a journal that was written anew.
    type: str
  export:
    description: A folder to write the chosen runs to, as CSV with semicolons and as JSON.
    type: path
attributes:
  check_mode:
    support: full
    description: Says whether the export would be written.
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
