"""The idle deploy of a whole fleet by one process: the collection's own modules, 20 threads, none of
Ansible's forks. `python -m bench.alone INVENTORY CA` fails unless every server is as it should be.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ansible.playbook.play_context import PlayContext
from ansible.plugins.loader import connection_loader, init_plugin_loader

from bench.site import CHECKOUT, COLLECTIONS

sys.path.insert(0, str(COLLECTIONS))
init_plugin_loader([str(COLLECTIONS)])
from ansible_collections.prosecours.backup.plugins.plugin_utils import binaries  # noqa: E402
from ansible_collections.prosecours.backup.plugins.plugin_utils.agent import deploy, facts  # noqa: E402
from ansible_collections.prosecours.backup.plugins.plugin_utils.ansible_adapter import (  # noqa: E402
    inventory_with,
    plain,
    read_text,
    servers_of,
)
from ansible_collections.prosecours.backup.plugins.plugin_utils.contract import contracts  # noqa: E402
from ansible_collections.prosecours.backup.plugins.plugin_utils.contract.model import HostContract  # noqa: E402
from ansible_collections.prosecours.backup.plugins.plugin_utils.preflight import run as preflight  # noqa: E402
from ansible_collections.prosecours.backup.plugins.plugin_utils.windows.winrm import WinRMSession  # noqa: E402

THREADS = 20
AGENT = "C:\\Program Files\\ProSecours"


def main() -> int:
    source, authority = Path(sys.argv[1]), Path(sys.argv[2]).read_text("utf-8")
    groups, variables, loader = inventory_with([source], None, "")
    given = contracts.load(
        [source],
        CHECKOUT / "playbooks",
        lambda path: read_text(loader, path),
        servers_of(groups, variables),
    )
    if given.errors:
        raise SystemExit(str(given.errors[0]))
    restic = binaries.obtain(binaries.artefact("restic", "windows/amd64"), binaries.default_cache(), print)
    binary = {"path": str(restic.path), "version": restic.version, "sha256": restic.sha256}
    wanted = [_wanted(host, plain_contract, variables[host]) for host, plain_contract in given.hosts.items()]

    def settled(one: tuple[HostContract, dict[str, Any], dict[str, Any]]) -> bool:
        contract, repository, connection = one
        return _settled(contract, {**repository, "ca": authority}, connection, binary)

    with ThreadPoolExecutor(THREADS) as pool:
        good = sum(pool.map(settled, wanted))
    if good != len(wanted):
        raise SystemExit(f"{good} of {len(wanted)} servers are as they should be")
    return 0


def _wanted(
    host: str, contract: dict[str, Any], variables: Any
) -> tuple[HostContract, dict[str, Any], dict[str, Any]]:
    """What one server takes: its contract, its repository, the options of its connection."""
    repository = {
        "url": contract["repository"],
        "username": host,
        "password": plain(variables["prosecours_repository_password"]),
        "encryption_password": plain(variables["prosecours_encryption_password"]),
    }
    options = {name: plain(variables[name]) for name in variables if name.startswith("ansible_winrm")}
    options |= {
        name: plain(variables[name])
        for name in ("ansible_host", "ansible_port", "ansible_user", "ansible_password")
    }
    return HostContract.from_plain(contract), repository, options


def _settled(
    contract: HostContract, repository: dict[str, Any], options: dict[str, Any], binary: dict[str, Any]
) -> bool:
    connection = connection_loader.get("ansible.builtin.winrm", PlayContext())
    connection.set_options(var_options=options)
    lent = {name: repository[name] for name in ("url", "username", "password", "ca")}
    look = preflight.wanted(contract, lent, AGENT)
    report = preflight.inspect(
        WinRMSession(connection, contract.host), contract, look, 900, facts.probes(AGENT)
    )
    connection.close()
    request = deploy.request_from(
        {
            "contract": contract.plain(),
            "repository": repository,
            "restic": binary,
            "folder": AGENT,
            "attempts": 3,
            "retry_minutes": 10,
            "time_limit_hours": 72,
            "log_days": 30,
            "log_kib": 1024,
        }
    )
    return report.verdict != "blocked" and deploy.settled(request, facts.parse(report.others)) is not None


if __name__ == "__main__":
    sys.exit(main())
