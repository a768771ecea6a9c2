"""The inventory -> the validated contract of every server, or all errors at once (C1, C15, C17, C21).

Layers, each on what the one before let through: the files (contract_files), the type and the value of each
variable (contract_variables), the perimeter of each server (catalogue), and last what only shows between
servers and between clients (here). No host is touched, nothing is changed, no secret is in the result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from . import catalogue, contract_files, contract_variables
from .contract_errors import ContractError, merged
from .contract_files import CLIENTS, Files
from .contract_variables import Finding

COLLECTION = Path(__file__).parents[2]
#: Where WinRM listens unless ansible_port says so; only compared, never connected to.
WINRM_PORT = 5986


class Resolved(NamedTuple):
    """What Ansible made of a server's variables: plain values, and why others could not be computed."""

    values: Mapping[str, Any]
    failures: Mapping[str, str]


@dataclass(frozen=True)
class Contract:
    """All contracts of an inventory. With errors, `clients` and `hosts` are empty."""

    #: id -> name, reference, subscribed_gb, retention, options, alsace_moselle, monthly_report, contacts,
    #: hosts (their names)
    clients: Mapping[str, Mapping[str, Any]]
    #: server -> its contract, as the other actions take it
    hosts: Mapping[str, Mapping[str, Any]]
    errors: Sequence[ContractError]


def load(
    sources: Sequence[Path], playbook: Path, text_of: Callable[[Path], str], resolved: Mapping[str, Resolved]
) -> Contract:
    """The contract of an inventory.

    `sources` are the inventory's files and folders, `playbook` the playbook's folder; `text_of` opens a file
    and decrypts it, or raises OSError; `resolved` has the variables of every server of the group
    prosecours_clients: those that begin with prosecours_, ansible_host and ansible_port.
    """
    known = known_variables()
    files = contract_files.read(contract_files.find(sources, playbook), text_of, known)
    errors = list(files.errors)
    typed: dict[str, dict[str, Any]] = {}
    perimeters: dict[str, list[catalogue.Entry]] = {}
    for host, variables in resolved.items():
        if host not in files.hosts:
            if not files.errors:
                remedy = f"Describe it in a client file: {CLIENTS}, children, its client, hosts"
                errors.append(
                    ContractError(None, None, host, "", "no client file describes this server", remedy)
                )
            continue
        typed[host], findings = _checked(variables, known)
        perimeters[host], more = catalogue.perimeter(typed[host])
        errors += [_placed(files, host, finding, variables.values) for finding in [*findings, *more]]
    broken = {error.file for error in files.errors}
    for host, (_, place) in files.hosts.items():
        if host not in resolved and place.file not in broken:
            remedy = "Give the file the ending .yml, and a place in the folder clients of the inventory"
            errors.append(
                ContractError(place.file, place.line, host, "", "Ansible does not read this server", remedy)
            )
    if not files.hosts and not errors:
        remedy = "Add a file for each client in the folder clients; docs/fr/inventaire.md has an example"
        errors.append(ContractError(sources[0], None, "", "", "the inventory describes no client", remedy))
    errors += _between_servers(files, typed)
    errors += _between_clients(files, typed)
    errors += _addresses(files, resolved)
    if errors:
        return Contract({}, {}, merged(errors))
    hosts = {host: _host(files.hosts[host][0], host, typed[host], perimeters[host]) for host in typed}
    return Contract(_clients(files, typed), hosts, ())


def known_variables() -> tuple[str, ...]:
    """The names of all variables that something reads: a client's, and those that the roles document."""
    names = list(contract_variables.variables())
    for path in sorted(COLLECTION.glob("roles/*/meta/argument_specs.yml")):
        points = (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("argument_specs", {})
        names += [name for point in points.values() for name in (point.get("options") or {})]
    return tuple(dict.fromkeys(names))


def _checked(variables: Resolved, known: Sequence[str]) -> tuple[dict[str, Any], list[Finding]]:
    """One server's variables with defaults, and what is wrong with each by itself."""
    failures = [
        Finding((name,), f"Ansible cannot compute it: {reason}", _remedy_of_failure(reason))
        for name, reason in variables.failures.items()
    ]
    values, wrong = contract_variables.check(variables.values)
    for name in variables.failures:
        values.pop(name, None)
    names = [name for name in (*variables.values, *variables.failures) if name.startswith("prosecours_")]
    misspelt = list(contract_variables.unknown(names, known))
    given = {**variables.values, **dict.fromkeys(variables.failures, "")}
    absent = list(contract_variables.missing(given))
    return values, [*failures, *wrong, *misspelt, *absent, *_contact_twice(values)]


def _remedy_of_failure(reason: str) -> str:
    if "vault" in reason.lower():
        return "Give the vault's password with --ask-vault-pass or --vault-password-file"
    if "undefined" in reason.lower():
        return "Define the variable that it names, or correct its name"
    return "Correct the template, or what it reads"


def _placed(
    files: Files, host: str, finding: Finding, given: Mapping[str, Any] | None = None
) -> ContractError:
    """The finding with its place: the line of the variable, or of whom a missing one belongs to."""
    client, place = files.hosts[host]
    name, *steps = finding.way
    key = str(name)
    for step in steps:
        key += f", entry {step + 1}" if isinstance(step, int) else f".{step}"
    if found := files.locate(host, finding.way):
        scope, line = found
        # What stands in the variables of a group is said of the client, once for all its servers.
        who = host if scope.kind == "host" else client
        return ContractError(scope.file, line, who, key, finding.problem, finding.remedy)
    if given and given.get(str(name)) is not None:
        return ContractError(None, None, host, key, finding.problem, finding.remedy)
    variable = contract_variables.variables().get(str(name))
    if variable and variable.of_client:
        place = files.clients[client]
        return ContractError(place.file, place.line, client, key, finding.problem, finding.remedy)
    return ContractError(place.file, place.line, host, key, finding.problem, finding.remedy)


def _between_servers(files: Files, typed: Mapping[str, Mapping[str, Any]]) -> Iterator[ContractError]:
    """What the contract says once must be the same for all servers of a client."""
    first: dict[str, str] = {}
    for host, values in typed.items():
        other = first.setdefault(files.hosts[host][0], host)
        for name, variable in contract_variables.variables().items():
            same = name not in values or name not in typed[other] or values[name] == typed[other][name]
            if variable.of_client and not same:
                remedy = "Write it once, below vars: of the client"
                finding = Finding(
                    (name,), f'it differs from that of "{other}", a server of the same client', remedy
                )
                yield _placed(files, host, finding)


def _between_clients(files: Files, typed: Mapping[str, Mapping[str, Any]]) -> Iterator[ContractError]:
    """What no two clients may share; a copied file that was not edited to its end shows here."""
    names = ("prosecours_contract_reference", "prosecours_repository_url", "prosecours_repository_username")
    owners: dict[tuple[str, str], str] = {}
    for host, values in typed.items():
        client = files.hosts[host][0]
        for name in names:
            value = str(values.get(name) or "").strip().rstrip("/").lower()
            owner = owners.setdefault((name, value), client)
            if value and owner != client:
                problem = f'the client "{owner}" ({files.clients[owner].file.name}) has the same'
                yield _placed(files, host, Finding((name,), problem, f'Write the one of "{client}"'))


def _addresses(files: Files, resolved: Mapping[str, Resolved]) -> Iterator[ContractError]:
    """Two names for one machine would be two agents that overwrite each other."""
    owners: dict[tuple[str, str], str] = {}
    for host, (values, failures) in resolved.items():
        if host not in files.hosts or "ansible_host" in failures:
            continue
        address = (
            str(values.get("ansible_host") or host).lower(),
            str(values.get("ansible_port") or WINRM_PORT),
        )
        other = owners.setdefault(address, host)
        if other != host:
            problem = f'{":".join(address)} is the address of the server "{other}" too'
            yield _placed(files, host, Finding(("ansible_host",), problem, f'Write the address of "{host}"'))


def _contact_twice(values: Mapping[str, Any]) -> Iterator[Finding]:
    main, substitute = values.get("prosecours_contact_main"), values.get("prosecours_contact_substitute")
    if main and substitute:
        names = [(contact["first_name"].lower(), contact["name"].lower()) for contact in (main, substitute)]
        if names[0] == names[1]:
            problem = "the substitute is the main contact"
            remedy = "Name another person, or remove the substitute (Annexe 2 leaves it open)"
            yield Finding(("prosecours_contact_substitute",), problem, remedy)


def _clients(files: Files, typed: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    clients: dict[str, dict[str, Any]] = {}
    for host, values in typed.items():
        client = files.hosts[host][0]
        clients.setdefault(client, {**_of_client(client, values), "hosts": []})["hosts"].append(host)
    return clients


def _of_client(client: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": client,
        "name": values["prosecours_client_name"],
        "reference": values["prosecours_contract_reference"],
        "subscribed_gb": values["prosecours_subscribed_gb"],
        "retention": {
            "daily": values["prosecours_retention_daily"],
            "weekly": values["prosecours_retention_weekly"],
        },
        "options": values["prosecours_options"],
        "alsace_moselle": values["prosecours_alsace_moselle"],
        "monthly_report": values["prosecours_monthly_report"],
        "contacts": {
            "main": values["prosecours_contact_main"],
            "substitute": values["prosecours_contact_substitute"],
        },
    }


def _host(
    client: str, host: str, values: Mapping[str, Any], perimeter: Iterable[catalogue.Entry]
) -> dict[str, Any]:
    shared = _of_client(client, values)
    return {
        "client": {name: shared.pop(name) for name in ("id", "name", "reference")},
        "host": host,
        **shared,
        "perimeter": [{"box": entry.box, "path": entry.path, "kind": entry.kind} for entry in perimeter],
        "excludes": values["prosecours_excludes"],
        "schedule": {
            "time": values["prosecours_backup_time"],
            "spread_minutes": values["prosecours_backup_spread_minutes"],
        },
        "upload_limit_kib": values["prosecours_upload_limit_kib"],
        "uplink_mbit": values["prosecours_uplink_mbit"],
        "downlink_mbit": values["prosecours_downlink_mbit"],
    }
