# Copyright: Pro Secours maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of the same name; it runs on the controller alone."""

DOCUMENTATION = r"""
module: findings
short_description: Judge what monitoring saw, remember it and report it
version_added: 0.1.0
description:
  - Turns the facts of M(prosecours.backup.monitor) and M(prosecours.backup.status) into findings, each with a
    severity, a clause of the contract, a sentence and a remedy, in English and in French (C9, C12, C18).
  - Remembers them in C(monitoring/memory.json) below O(report_directory), or in the database of the journal,
    so that a finding is announced once, reminded daily, closed when it is gone, and dated. What could not be
    looked at stays as it was.
  - Tells by mail what is new, reminded or closed, and nothing else, to the contact of O(provider) whom it
    concerns; what could not be sent is new again at the next run. O(channels) are told the same.
  - Gives O(watchdog) a sign of life when every server and repository host was asked, whatever was found.
  - Keeps the head of the journal of interventions in its report, and fails when the journal no longer holds
    the one of the report before (C10).
  - Writes C(monitoring/surveillance.html), the report in French, C(monitoring/report.json), the same for
    programs, and a Prometheus text file. An output that cannot be written costs a
    sentence and no other output.
options:
  clients:
    description: The contracts of all clients, RV(prosecours.backup.contract#module:clients).
    type: dict
    required: true
  hosts:
    description: The contracts of all servers, RV(prosecours.backup.contract#module:hosts).
    type: dict
    required: true
  servers:
    description: >-
      What M(prosecours.backup.monitor) returned, by server. One without an answer was not asked in this run,
      and what is known of it stays.
    type: dict
    required: true
  repositories:
    description: What M(prosecours.backup.status) returned, failed or not, by repository host.
    type: dict
    default: {}
  agent_folder:
    description: The agent's folder on the servers.
    type: str
    default: C:\Program Files\ProSecours
  report_directory:
    description: >-
      Where reports are written on the controller; monitoring uses the folder C(monitoring) in it, also for
      what it remembers. Relative to the directory in which Ansible was started.
    type: str
    default: build/reports
  pdf:
    description: Whether the report in French is written as PDF too.
    type: bool
    default: false
  metrics:
    description: >-
      Path of the Prometheus text file, in the folder that node_exporter's textfile collector reads; empty
      for one beside the report.
    type: str
    default: ""
  grace_hours:
    description: >-
      Hours after the start of a daily backup at which it is missed when it is not there. With up to 8, a
      server that stopped is found within one working day.
    type: int
    default: 8
  maintenance_days:
    description: Days after which retention and checks of a repository are too old.
    type: int
    default: 3
  drill_days:
    description: Days after which the last restore drill is too old.
    type: int
    default: 35
  running_hours:
    description: >-
      Hours after which Windows ends a backup; as long as one runs, its server is not called silent.
    type: int
    default: 72
  clock_seconds:
    description: Seconds by which a server's clock may be wrong.
    type: int
    default: 300
  free_mb:
    description: Megabytes (10^6 bytes) that are to be free on the agent's drive.
    type: int
    default: 1000
  fail_on:
    description: The least severity of an open finding with which the action fails.
    type: str
    choices: [notice, warning, critical, never]
    default: warning
  channels:
    description: >-
      Addresses of Apprise that are told the same, for Teams, Slack, SMS, ntfy and others; each is a secret.
      With C(applications=) or C(systems=) before it, an address is told of what concerns that contact, else
      of all. Nothing is sent in clear.
    type: list
    elements: str
    default: []
  watchdog:
    description: >-
      Address of a dead man's switch (Healthchecks, Uptime Kuma) that is called at the end of each whole run;
      a secret. Empty for none.
    type: str
    default: ""
extends_documentation_fragment:
  - prosecours.backup.documents_folder
  - prosecours.backup.mail
  - prosecours.backup.provider_contacts
attributes:
  check_mode:
    description: Judges against what is remembered, and writes nothing.
    support: full
  diff_mode:
    description: A report has no before and after worth showing.
    support: none
seealso:
  - module: prosecours.backup.monitor
author:
  - Pro Secours maintainers (@prosecours)
"""

EXAMPLES = r"""
- name: Judge what was seen, remember it and report
  prosecours.backup.findings:
    clients: "{{ contract_result.clients }}"
    hosts: "{{ contract_result.hosts }}"
    servers: "{{ dict(servers | zip(servers | map('extract', hostvars, 'agent_monitor'))) }}"
  run_once: true
"""

RETURN = r"""
state:
  description: The severity of the worst open finding, or V(ok).
  returned: always
  type: str
  sample: critical
files:
  description: The files that were written, by kind.
  returned: always
  type: dict
  sample:
    json: build/reports/monitoring/report.json
    html: build/reports/monitoring/surveillance.html
    metrics: build/reports/monitoring/prosecours.prom
"""
