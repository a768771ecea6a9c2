"""A server of the inventory, as Ansible would connect it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible import constants
from ansible.errors import AnsibleError
from ansible.inventory.manager import InventoryManager
from ansible.playbook.play_context import PlayContext
from ansible.plugins.loader import connection_loader
from ansible.template import Templar
from ansible.vars.manager import VariableManager
from ansible_collections.prosecours.backup.plugins.plugin_utils.errors import ProSecoursError

from windows_lab.inventory import vaults_opened

_WINRM = "ansible.builtin.winrm"


class Unknown(ProSecoursError):
    """The inventory does not tell how the server is reached."""


def variables(host: str, sources: Sequence[str]) -> dict[str, Any]:
    """The variables by which Ansible's winrm connection is set up, resolved: ansible_*. Raises Unknown."""
    try:
        loader = vaults_opened()
        inventory = InventoryManager(loader=loader, sources=list(sources) or constants.DEFAULT_HOST_LIST)
        found = inventory.get_host(host)
        if found is None:
            raise Unknown(
                "the inventory has no such host",
                "Name it as the inventory does, or give another with -i",
                host,
            )
        known = VariableManager(loader=loader, inventory=inventory).get_vars(host=found)
        templar = Templar(loader=loader, variables=known)
        wanted = known.keys() & _wanted(known)
        values = {name: templar.template(known[name]) for name in wanted}
    except AnsibleError as error:
        raise Unknown(
            f"the inventory cannot be read: {' '.join(str(error).split())}", "Correct it", host
        ) from error
    kind = str(values.get("ansible_connection", ""))
    if kind.rpartition(".")[2] != "winrm":
        raise Unknown(
            f"ansible_connection is {kind or 'not set'}, not winrm",
            "Choose a Windows server of the inventory",
            host,
        )
    return values


def _wanted(known: Iterable[str]) -> set[str]:
    """Names of the variables that the connection reads: its options', and those that it hands to pywinrm."""
    # Ansible knows the options of a plugin once it is loaded.
    plugin = connection_loader.get(_WINRM, PlayContext(), os.devnull)
    options = constants.config.get_plugin_vars("connection", plugin._load_name)
    return {*options, "ansible_connection", *(name for name in known if name.startswith("ansible_winrm_"))}


def connection(values: Mapping[str, Any]) -> Any:
    """Ansible's winrm connection with these variables, not connected yet."""
    made = connection_loader.get(_WINRM, PlayContext(), os.devnull)
    extras = {name: value for name, value in values.items() if name.startswith("ansible_winrm_")}
    made.set_options(var_options={**values, "_extras": extras})
    return made
