"""The idle deploy of a whole fleet by one process: the collection's own modules, 20 threads, none of
Ansible's forks. `python -m bench.alone INVENTORY CA` fails unless every server is as it should be.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from bench.site import CHECKOUT
from tools.record import inventory  # first: it gives the collection its name

# isort: split
from ansible_collections.prosecours.backup.plugins.plugin_utils import binaries
from ansible_collections.prosecours.backup.plugins.plugin_utils.agent import deploy, facts
from ansible_collections.prosecours.backup.plugins.plugin_utils.agent.desired import Request
from ansible_collections.prosecours.backup.plugins.plugin_utils.ansible_adapter import (
    inventory_with,
    plain,
    read_text,
    servers_of,
)
from ansible_collections.prosecours.backup.plugins.plugin_utils.contract import contracts
from ansible_collections.prosecours.backup.plugins.plugin_utils.preflight import run as preflight
from ansible_collections.prosecours.backup.plugins.plugin_utils.preflight.facts import Wanted
from ansible_collections.prosecours.backup.plugins.plugin_utils.windows.winrm import WinRMSession

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
    servers = [
        _server(contract, variables[host], authority, binary) for host, contract in given.hosts.items()
    ]
    with ThreadPoolExecutor(THREADS) as pool:
        good = sum(pool.map(_settled, servers))
    if good != len(servers):
        raise SystemExit(f"{good} of {len(servers)} servers are as they should be")
    return 0


class Server(NamedTuple):
    """What one server takes: where to ask, and what it is held against."""

    connection: Any
    look: Wanted
    request: Request


def _server(contract: dict[str, Any], variables: Any, authority: str, binary: dict[str, str]) -> Server:
    # Ansible's loader of plugins is for one thread.
    known = {name: plain(variables[name]) for name in variables if name.startswith("ansible_")}
    connection = inventory.connection(known)
    access = {
        "url": contract["repository"],
        "username": contract["host"],
        "password": plain(variables["prosecours_repository_password"]),
        "ca": authority,
    }
    request = deploy.request_from(
        {
            "contract": contract,
            "repository": {
                **access,
                "encryption_password": plain(variables["prosecours_encryption_password"]),
            },
            "restic": binary,
            "folder": AGENT,
            "attempts": 3,
            "retry_minutes": 10,
            "time_limit_hours": 72,
            "log_days": 30,
            "log_kib": 1024,
        }
    )
    return Server(connection, preflight.wanted(request.contract, access, AGENT), request)


def _settled(server: Server) -> bool:
    contract = server.request.contract
    session = WinRMSession(server.connection, contract.host)
    report = preflight.inspect(session, contract, server.look, 900, facts.probes(AGENT))
    server.connection.close()
    found = facts.parse(report.others)
    return report.verdict != "blocked" and deploy.settled(server.request, found) is not None


if __name__ == "__main__":
    sys.exit(main())
