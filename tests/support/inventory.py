"""Inventories as data: one client, one repository host. What a test adds to them is what it is about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

LAB = "{{ lookup('ansible.builtin.env', 'PROSECOURS_LAB') }}"
"""The state folder of the lab that a test has started, where a template is asked for it."""
LAB_CA = f"{LAB}/ca.pem"
USER, PASSWORD = "technicien", "Mot2Passe"
OVER_WINRM = {
    "ansible_connection": "ansible.builtin.winrm",
    "ansible_port": 5986,
    "ansible_winrm_transport": "ntlm",
    "ansible_winrm_ca_trust_path": LAB_CA,
    "ansible_user": USER,
    "ansible_password": PASSWORD,
    "prosecours_reason": "the lab keeps no office hours",
}
"""How the hosts of a lab are reached."""


def read_when_asked(path: Path | str, **options: str) -> str:
    """A template: the contents of a file, which may be there only later. A path may be a template too."""
    words = "".join(f", {name}='{value}'" for name, value in options.items())
    quoted = f"'{path}'"
    if str(path).startswith(LAB):
        quoted = f"lookup('ansible.builtin.env', 'PROSECOURS_LAB') ~ '{str(path).removeprefix(LAB)}'"
    return f"{{{{ lookup('ansible.builtin.file', {quoted}{words}) }}}}"


def client(
    name: str, url: str, hosts: dict[str, dict[str, Any]] | None = None, **variables: Any
) -> dict[str, Any]:
    """The file of one client with everything that a contract needs; one server unless `hosts` says others.

    `url`: where its rest-server is, or its bucket. Each server's passwords are made of its name.
    """
    server = {"prosecours_root": "D:\\", "prosecours_software": ["isapawp"]}
    shared = {
        "prosecours_client_name": name,
        "prosecours_contract_reference": f"PS-{name}",
        "prosecours_subscribed_gb": 1,
        "prosecours_contact_main": {
            "title": "Mme",
            "first_name": "Jeanne",
            "name": "Martin",
            "email": "jeanne.martin@ferme.example.com",
            "mobile": "06 12 34 56 78",
        },
        "prosecours_repository_url": url,
        "prosecours_repository_password": "repository-of-{{ inventory_hostname }}",
        "prosecours_encryption_password": "encryption-of-{{ inventory_hostname }}",
        **variables,
    }
    own = hosts or {f"{name}-srv": server}
    reached = {host: {"ansible_host": f"{host}.example", **given} for host, given in own.items()}
    group = {"vars": shared, "hosts": reached}
    return {"prosecours_clients": {"children": {name: group}}}


def repository_host(folder: Path, name: str = "depot", **variables: Any) -> dict[str, Any]:
    """This machine as a repository host, with all that the roles keep in a folder."""
    host = {
        "ansible_connection": "local",
        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
        "ansible_become": False,
        "prosecours_repository_data": f"{folder}/data",
        "prosecours_repository_config": f"{folder}/config",
        "prosecours_repository_program": f"{folder}/bin/rest-server",
        "prosecours_repository_packages": [],
        "prosecours_retention_state": f"{folder}/state",
        "prosecours_retention_restic": f"{folder}/bin/restic",
        "prosecours_retention_patience": 0,
        "prosecours_retention_reserve_megabytes": 1,
        "prosecours_retention_packages": [],
        **variables,
    }
    return {"prosecours_repositories": {"hosts": {name: host}}}


def write(path: Path, content: dict[str, Any]) -> Path:
    """Write a file of an inventory."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(content, allow_unicode=True, sort_keys=False), "utf-8")
    return path
