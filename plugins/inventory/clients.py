# Copyright: Pro Secours maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible's own YAML inventories, of which a file that cannot be read is one line and not four warnings."""

from __future__ import annotations

DOCUMENTATION = r"""
name: clients
short_description: Files of clients, as YAML
version_added: 0.1.0
description:
  - Reads what P(ansible.builtin.yaml#inventory) reads, in the same way.
  - >-
    A file that cannot be read is left out with one line. The playbooks of this collection begin with a check
    that names all such files at once, each with its line and what to do.
  - With C(any_unparsed_is_failed) it is the error that it is for P(ansible.builtin.yaml#inventory).
requirements:
  - to be enabled, with C(enable_plugins) in the section C([inventory]) of ansible.cfg
options:
  yaml_extensions:
    description: Endings of the names of files that are read.
    type: list
    elements: string
    default: [".yaml", ".yml", ".json"]
    env:
      - name: ANSIBLE_YAML_FILENAME_EXT
      - name: ANSIBLE_INVENTORY_PLUGIN_EXTS
    ini:
      - section: defaults
        key: yaml_valid_extensions
      - section: inventory_plugin_yaml
        key: yaml_valid_extensions
author:
  - Pro Secours maintainers (@prosecours)
"""

EXAMPLES = r"""
prosecours_clients:
  children:
    gaec_du_moulin:
      hosts:
        moulin-srv1:
          ansible_host: 192.0.2.10
"""

from ansible import constants
from ansible.errors import AnsibleError
from ansible.inventory.data import InventoryData
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.inventory.yaml import InventoryModule as Yaml


class InventoryModule(Yaml):  # type: ignore[misc]  # ansible-core publishes no types
    """Ansible calls `verify_file`, then `parse`, for each file of an inventory."""

    NAME = "prosecours.backup.clients"

    def parse(self, inventory: InventoryData, loader: DataLoader, path: str, cache: bool = True) -> None:
        try:
            super().parse(inventory, loader, path, cache)
        except AnsibleError:
            if constants.INVENTORY_ANY_UNPARSED_IS_FAILED:
                raise
            self.display.warning(f"{path} cannot be read, and is left out: see what check.yml says of it.")
