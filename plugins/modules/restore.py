# Copyright: Pro Secours maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of the same name, which runs on the controller, over WinRM."""

DOCUMENTATION = r"""
module: restore
short_description: Restore on request, on one Windows server
version_added: 0.1.0
description:
  - Chooses the newest complete version up to the moment that the request asks for, says why, and restores
    its items with their times and rights (C3); in check mode it says what would be restored, how much, and
    how long the client's link is busy with it (C14).
  - By default into a fresh folder beside the data, never over live data. In place only when the request says
    so; then what stands there is copied aside first, and nothing is overwritten before that copy is whole.
  - A scheduled task of the server does the work. It outlives a connection that breaks, and a second run with
    the same request joins it, goes on after an interruption, or tells that it is done.
  - restic compares the hashes of all that it restored. The record (French, HTML and PDF, for signature) is
    written for every restore that ended, also for one that did not succeed.
options:
  request:
    description: The request, as RV(prosecours.backup.restore_request#module:request) holds it.
    type: dict
    required: true
  contract:
    description: The contract of the server that is restored to.
    type: dict
    required: true
  choice:
    description: >-
      The version, as M(prosecours.backup.restore_version) chose it. Without it the server's own list of
      versions is believed, as where no repository host looks after them.
    type: dict
  folder:
    description: The agent's folder on the server.
    type: str
    default: C:\Program Files\ProSecours
  poll:
    description: Seconds between two looks at a restore that runs.
    type: int
    default: 10
  timeout:
    description: Seconds to wait for the end of a restore. It goes on after that; the next run joins it.
    type: int
    default: 86400
  limit_kib:
    description: Limit of the download in KiB/s, to leave the client some of its link (C14); 0 is no limit.
    type: int
    default: 0
  report_directory:
    description: >-
      Where reports are written on the controller; records go to C(restores/<client>) in it. Relative to the
      directory in which Ansible was started.
    type: str
    default: build/reports
  technician:
    description: Who carries the request out, for the record.
    type: str
    default: ""
extends_documentation_fragment:
  - prosecours.backup.lent_repository
attributes:
  check_mode:
    description: Can run in check mode and shows the dry run.
    support: full
  diff_mode:
    description: Shows the version and what of it is restored.
    support: full
author:
  - Pro Secours maintainers (@prosecours)
"""

EXAMPLES = r"""
- name: Restore what was asked for
  prosecours.backup.restore:
    request: "{{ restore_request.request }}"
    contract: "{{ contract_result.hosts[inventory_hostname] }}"
    report_directory: build/reports
"""

RETURN = r"""
changes:
  description: What was restored, or would be in check mode, in a sentence.
  returned: when something is
  type: list
  elements: str
version:
  description: The version that is restored, C(id), C(time) in UTC, C(complete), and C(why) it is this one.
  returned: success
  type: dict
plan:
  description: >-
    What is restored - C(items) with their files, folders and bytes, C(target) (empty when in place), C(keep)
    (what is copied aside first), C(seconds) at least on the client's link.
  returned: success
  type: dict
target:
  description: The folder that holds what was restored; empty when in place.
  returned: success
  type: str
kept_in:
  description: Folders of the server that hold what was in place before.
  returned: success
  type: list
  elements: str
outcome:
  description: >-
    C(start), C(end), C(seconds), restic's C(exit_code), C(entries) and C(bytes) restored, C(troubles), and
    whether all of it was C(verified).
  returned: when a restore has ended
  type: dict
record:
  description: Paths of the restore record on the controller, C(html) and C(pdf).
  returned: when a restore has ended
  type: dict
journal:
  description: What the journal keeps of it.
  returned: when a restore has ended
  type: dict
"""
