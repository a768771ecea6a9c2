# Copyright: Pro Secours maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of prosecours.backup.client_report; the code is plugins/action/client_report.py."""

DOCUMENTATION = r"""
module: client_report
short_description: Tell the clients how the backups of a month were
version_added: 0.1.0
description:
  - >-
    Writes, for each client that asked for it in its contract (C(prosecours_monthly_report)), a report of one
    month in French, as HTML and PDF, and mails it to the client's main contact (C18 3.4).
  - >-
    Made from the report of the last monitoring run, so no host is touched. It holds facts of that client
    alone, each with its date, and no promise about the content of files (C19).
  - >-
    A report is sent once. What was sent is remembered beside the files, and stays as it was sent. A client
    that fails stops no other.
options:
  clients:
    description: The C(clients) that M(prosecours.backup.contract) returned.
    type: dict
    required: true
  report:
    description: The report of the last monitoring run, C(monitoring/report.json).
    type: str
    required: true
  folder:
    description: Where the reports are kept; each month has a folder of its own in it.
    type: str
    required: true
  month:
    description: The month, like V(2026-10); empty for the one before this.
    type: str
    default: ""
  client:
    description: Only this client, whether its contract asks for reports or not.
    type: str
    default: ""
  again:
    description: Make and send also what was sent before.
    type: bool
    default: false
extends_documentation_fragment:
  - prosecours.backup.mail
  - prosecours.backup.provider_contacts
attributes:
  check_mode:
    description: Can run in check mode and say what it would write and send.
    support: full
  diff_mode:
    description: Will return details on what has changed.
    support: none
author:
  - Pro Secours maintainers (@prosecours)
"""

EXAMPLES = r"""
- name: Send the reports of last month
  prosecours.backup.client_report:
    clients: "{{ contract_result.clients }}"
    report: build/reports/monitoring/report.json
    folder: build/reports/clients
    mail:
      host: smtp.example
      username: surveillance
      password: "{{ vault_mail_password }}"
      sender: surveillance@groupeisagri.example
"""

RETURN = r"""
month:
  description: The month of the reports.
  returned: success
  type: str
  sample: 2026-10
files:
  description: For each client with something to do, its files.
  returned: success
  type: dict
  sample:
    gaec_du_moulin:
      html: build/reports/clients/2026-10/sauvegardes-2026-10-gaec_du_moulin.html
      pdf: build/reports/clients/2026-10/sauvegardes-2026-10-gaec_du_moulin.pdf
sent:
  description: For each client, whom its report was sent to; in check mode, whom it would go to.
  returned: success
  type: dict
  sample: {gaec_du_moulin: [elodie.lefevre@gaec-du-moulin.example]}
failures:
  description: For each client that has no report, or whose report was not sent, the reason.
  returned: always
  type: dict
  sample: {}
"""
