# Copyright: Pro Secours maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of the same name, which runs on the controller."""

DOCUMENTATION = r"""
module: contract
short_description: Check the contracts of all clients in the inventory
description:
  - Reads the inventory's client files and the resolved variables of every server in the group
    C(prosecours_clients), and gives the contract of each server as plain data.
  - Validates in layers - files, types, values, perimeter, then across clients - and shows all errors of all
    clients at once, each with its file, line, variable and remedy.
  - Warns of a client whose signed annexes (C(prosecours_signed)) are no longer what the inventory says.
  - Runs on the controller. No server is touched and nothing is changed. No secret is in the result.
  - The variables of a client are described in docs/fr/inventaire.md and C(schemas/client.schema.json).
version_added: 0.1.0
author:
  - Pro Secours maintainers (@prosecours)
options:
  inventory:
    description: >-
      The files and folders of the inventory, where Ansible was given it in another form, as AWX does
      (docs/awx.md). The values are Ansible's; the files say where each was written, and which servers there
      are.
    type: list
    elements: path
extends_documentation_fragment:
  - prosecours.backup.documents_folder
attributes:
  check_mode:
    support: full
    description: The action never changes anything.
  diff_mode:
    support: none
    description: There is nothing to compare.
seealso:
  - module: prosecours.backup.preflight
  - module: prosecours.backup.agent
"""

EXAMPLES = r"""
- name: Check the contracts of all clients
  prosecours.backup.contract:
  register: contract_result
  run_once: true

- name: Show what is backed up on a server
  ansible.builtin.debug:
    var: contract_result.hosts[inventory_hostname].perimeter
"""

RETURN = r"""
clients:
  description: Every client by its name in the inventory.
  returned: when the whole inventory is valid
  type: dict
  sample:
    gaec_du_moulin:
      id: gaec_du_moulin
      name: GAEC du Moulin
      reference: PS-2026-0042
      subscribed_gb: 200
      retention: {daily: 7, weekly: 3}
      options: [import]
      alsace_moselle: false
      monthly_report: false
      contacts:
        main: {title: Mme, first_name: Claire, name: Martin, email: c@moulin.example, mobile: 06 12 34 56 78}
        substitute: null
      hosts: [moulin-srv1]
      dumps: {moulin-srv1: {'D:\isagiwf\backup': 4}}
      retired: {}
      perimeters: {moulin-srv1: ['D:\isagiwf\backup', 'D:\isagiwf\B????.GIW', 'D:\Bureautique']}
      paper:
        address: {lines: [12 rue des Tilleuls], postal_code: "60190", city: Avrigny}
        by_mail: false
        signed: {fingerprint: 4f1d08c277ab3e9061d5f0a892bc5e17, date: "2026-11-27", signatory: Claire Martin}
hosts:
  description: The contract of every server by its name in the inventory.
  returned: when the whole inventory is valid
  type: dict
  sample:
    moulin-srv1:
      client: {id: gaec_du_moulin, name: GAEC du Moulin, reference: PS-2026-0042}
      host: moulin-srv1
      subscribed_gb: 200
      retention: {daily: 7, weekly: 3}
      options: [import]
      alsace_moselle: false
      monthly_report: false
      contacts:
        main: {title: Mme, first_name: Claire, name: Martin, email: c@moulin.example, mobile: 06 12 34 56 78}
        substitute: null
      perimeter:
        - {box: isagiwf_backup, path: 'D:\isagiwf\backup', kind: directory}
        - {box: isagiwf_giw, path: 'D:\isagiwf\B????.GIW', kind: pattern}
        - {box: office, path: 'D:\Bureautique', kind: directory}
      excludes: ["*.tmp"]
      schedule: {time: "22:00", spread_minutes: 60}
      upload_limit_kib: 0
      uplink_mbit: null
      downlink_mbit: null
      dumps: {'D:\isagiwf\backup': 4}
      paper: {address: null, by_mail: false, signed: null}
      form:
        root: 'D:\'
        boxes: {isagiwf_backup: '<racine>\isagiwf\backup ou <racine>\isabackup (serveur SQL dédié)'}
        variants: []
"""
