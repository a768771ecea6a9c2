"""The inventory -> the validated contract of every server, or all errors at once (C1, C15, C17, C21).

Layers, each on what the one before let through: the files (files), the type and the value of each
variable (variables), the perimeter of each server (catalogue), and last what only shows between
servers and between clients (here). No host is touched, nothing is changed, no secret is in the result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

from ..validation.mistakes import Mistake, Origin, PlacedMistake, Way, merged
from ..windows import paths as windows_paths
from . import agreed, catalogue, signed, variables
from .files import CLIENTS, Files, find, read
from .model import (
    ClientContract,
    Contact,
    Contacts,
    Entry,
    Form,
    HostContract,
    Paper,
    Party,
    PostalAddress,
    Retention,
    Schedule,
    Signed,
)
from .variables import Values

WINRM_PORT = 5986
"""Where WinRM listens unless ansible_port says so; only compared, never connected to."""


OF_ONE_SERVER = (
    "prosecours_repository_username",
    "prosecours_repository_password",
    "prosecours_encryption_password",
)
"""What another server must not have too."""
RETIRED = "prosecours_retired_servers"
RESERVED = ("config", "data", "index", "keys", "lock", "locks", "snapshots")
"""The first part of a path that means something else to rest-server (repo.ObjectTypes, repo.FileTypes),
and to the maintenance."""


def _untold(_way: Way) -> Origin | None:
    return None


class Resolved(NamedTuple):
    """What Ansible made of a server's variables: plain values, and why others could not be computed."""

    values: Values
    failures: Mapping[str, str]
    origin: Callable[[Way], Origin | None] = _untold
    """Where the part of a variable was written to which a way leads; None where that is not known."""


@dataclass(frozen=True)
class Contract:
    """All contracts of an inventory. With errors, `clients` and `hosts` are empty."""

    clients: Mapping[str, dict[str, Any]]
    """name -> model.ClientContract and model.HostContract, plain: a result carries them to other actions"""
    hosts: Mapping[str, dict[str, Any]]
    errors: Sequence[PlacedMistake]
    warnings: Sequence[PlacedMistake] = ()
    """What is allowed and rarely meant."""


def load(
    sources: Sequence[Path],
    playbook: Path,
    text_of: Callable[[Path], str],
    resolved: Mapping[str, Resolved],
    documents: Path | None = None,
    draft: Path | None = None,
    imported: bool = False,
) -> Contract:
    """The contract of an inventory.

    `sources` are the inventory's files and folders, `playbook` the playbook's folder; `text_of` opens a file
    and decrypts it, or raises OSError; `resolved` has the variables of every server of the group
    prosecours_clients: those that begin with prosecours_, ansible_host and ansible_port; `documents` is where
    the data of printed annexes lie (signed). `draft` is a file that is going to be one of the inventory's;
    `imported`: Ansible was given another form of these files, as AWX does.
    """
    known = known_variables()
    there = [*find(sources, playbook)]
    files = read([*there, draft] if draft and draft not in there else there, text_of, known)
    errors = list(files.errors)
    typed: dict[str, Values] = {}
    perimeters: dict[str, list[catalogue.Ticked]] = {}
    for host, given in resolved.items():
        if host not in files.hosts:
            if not files.errors:
                remedy = f"Describe it in a client file: {CLIENTS}, children, its client, hosts"
                errors.append(
                    PlacedMistake(None, None, host, "", "no client file describes this server", remedy)
                )
            continue
        typed[host], mistakes = _checked(given, known)
        perimeters[host], more = catalogue.perimeter(typed[host])
        errors += [_placed(files, host, mistake, given) for mistake in [*mistakes, *more]]
    broken = {error.file for error in files.errors}
    for host, (_unused, place) in files.hosts.items():
        if host not in resolved and place.file not in broken:
            errors.append(PlacedMistake(place.file, place.line, host, "", *_NOT_READ[imported]))
    if not files.hosts and not errors:
        remedy = "Add a file for each client in the folder clients; docs/fr/inventaire.md has an example"
        errors.append(PlacedMistake(sources[0], None, "", "", "the inventory describes no client", remedy))
    errors += _between_servers(files, typed, resolved)
    errors += _retired(files, typed, resolved)
    errors += _repositories(files, typed, resolved)
    errors += _between_clients(files, typed, resolved)
    errors += _addresses(files, resolved)
    if errors:
        return Contract({}, {}, merged(errors))
    hosts = {host: _host(files.hosts[host][0], host, typed[host], perimeters[host]) for host in typed}
    clients = _clients(hosts)
    return Contract(
        {name: one.plain() for name, one in clients.items()},
        {name: one.plain() for name, one in hosts.items()},
        (),
        merged(
            [
                *_near_midnight(files, hosts.values(), resolved),
                *_not_as_signed(files, clients, hosts, documents, resolved),
            ]
        ),
    )


_NOT_READ = {
    False: (
        "Ansible does not read this server",
        "Give the file the ending .yml, and a place in the folder clients of the inventory",
    ),
    True: (
        "the inventory that Ansible was given lacks this server",
        "In AWX, sync the inventory source, leave the host enabled, and do not slice this job (docs/awx.md)",
    ),
}
"""Whether the inventory was imported -> what is wrong with a server that only its files have, what to do."""


def known_variables() -> tuple[str, ...]:
    """The names of all variables that something reads: a client's, and those that the roles document."""
    return tuple(dict.fromkeys((*variables.variables(), *variables.settings())))


def _checked(own: Resolved, known: Sequence[str]) -> tuple[dict[str, Any], list[Mistake]]:
    """One server's variables with defaults, and what is wrong with each by itself."""
    failures = [
        Mistake((name,), f"Ansible cannot compute it: {reason}", _remedy_of_failure(reason))
        for name, reason in own.failures.items()
    ]
    values, wrong = variables.check(own.values)
    for name in own.failures:
        values.pop(name, None)
    names = [name for name in (*own.values, *own.failures) if name.startswith("prosecours_")]
    misspelt = list(variables.unknown(names, known))
    given = {**own.values, **dict.fromkeys(own.failures, "")}
    absent = list(variables.missing(given))
    settings = list(variables.check_settings(own.values))
    return values, [*failures, *wrong, *settings, *misspelt, *absent, *_contact_twice(values)]


def _remedy_of_failure(reason: str) -> str:
    if "vault" in reason.lower():
        return "Give the vault's password with --ask-vault-pass or --vault-password-file"
    if "undefined" in reason.lower():
        return "Define the variable that it names, or correct its name"
    return "Correct the template, or what it reads"


def _placed(files: Files, host: str, mistake: Mistake, given: Resolved) -> PlacedMistake:
    """The mistake with its place: the line of the variable, or of whom a missing one belongs to."""
    client, place = files.hosts[host]
    name, *steps = mistake.way
    key = str(name)
    for step in steps:
        key += f", entry {step + 1}" if isinstance(step, int) else f".{step}"
    if found := files.locate(host, mistake.way, given.origin(mistake.way)):
        return PlacedMistake(found.file, found.line, found.who, key, mistake.problem, mistake.remedy)
    if given.values.get(str(name)) is not None:
        return PlacedMistake(None, None, host, key, mistake.problem, mistake.remedy)
    variable = variables.variables().get(str(name))
    if variable and variable.of_client:
        place = files.clients[client]
        return PlacedMistake(place.file, place.line, client, key, mistake.problem, mistake.remedy)
    return PlacedMistake(place.file, place.line, host, key, mistake.problem, mistake.remedy)


def _between_servers(
    files: Files, typed: Mapping[str, Values], resolved: Mapping[str, Resolved]
) -> Iterator[PlacedMistake]:
    """What the contract says once must be the same for all servers of a client."""
    first: dict[str, str] = {}
    for host, values in typed.items():
        other = first.setdefault(files.hosts[host][0], host)
        for name, variable in variables.variables().items():
            same = name not in values or name not in typed[other] or values[name] == typed[other][name]
            if variable.of_client and not same:
                remedy = "Write it once, below vars: of the client"
                mistake = Mistake(
                    (name,), f'it differs from that of "{other}", a server of the same client', remedy
                )
                yield _placed(files, host, mistake, resolved[host])


def _retired(
    files: Files, typed: Mapping[str, Values], resolved: Mapping[str, Resolved]
) -> Iterator[PlacedMistake]:
    """A server is in the contract, or it has left: its repository is kept by its name."""
    for host, values in typed.items():
        for server in values.get(RETIRED) or ():
            if files.hosts.get(server, ("",))[0] == files.hosts[host][0]:
                problem = f'"{server}" is among the servers too'
                remedy = f"Remove it from {RETIRED} if it has come back, or from the servers if it has left"
                yield _placed(files, host, Mistake((RETIRED,), problem, remedy), resolved[host])


def _repositories(
    files: Files, typed: Mapping[str, Values], resolved: Mapping[str, Resolved]
) -> Iterator[PlacedMistake]:
    """Each server has a repository of its own: whoever takes one over is to reach no other one's."""
    owners: dict[tuple[str, str], str] = {}
    for host, values in typed.items():
        url = values.get("prosecours_repository_url") or ""
        found = [] if not url else list(_login(host, url, values.get("prosecours_repository_username")))
        for name in OF_ONE_SERVER:
            value = values.get(name)
            owner = owners.setdefault((name, value), host) if value else host
            if owner != host:
                problem = f'it is that of the server "{owner}" too'
                remedy = "Give each server one of its own: with it another server's backups could be read"
                found.append(Mistake((name,), problem, remedy))
        for mistake in found:
            yield _placed(files, host, mistake, resolved[host])


def _login(host: str, url: str, username: object) -> Iterator[Mistake]:
    """How a server signs in: by its own name, or by the id of its key where the repository is in a bucket."""
    name = "prosecours_repository_username"
    if host in RESERVED:
        problem = f'"{host}" cannot be the name of a repository, which is the server\'s own in the inventory'
        remedy = "Give the server another name: this one means something else in the path of a repository"
        yield Mistake(("prosecours_repository_url",), problem, remedy)
    if url.startswith("s3:") and not username:
        yield Mistake(
            (name,), "it is missing, or has no value", "Give the id of the server's key of the bucket"
        )
    if url.startswith("rest:") and username:
        problem = "a server signs in by its name in the inventory"
        yield Mistake((name,), problem, "Remove it: only a bucket has other names")


def _between_clients(
    files: Files, typed: Mapping[str, Values], resolved: Mapping[str, Resolved]
) -> Iterator[PlacedMistake]:
    """What no two clients may share; a copied file that was not edited to its end shows here."""
    names = ("prosecours_contract_reference", "prosecours_repository_url")
    owners: dict[tuple[str, str], str] = {}
    for host, values in typed.items():
        client = files.hosts[host][0]
        for name in names:
            value = str(values.get(name) or "").strip().rstrip("/").lower()
            owner = owners.setdefault((name, value), client)
            if value and owner != client:
                problem = f'the client "{owner}" ({files.clients[owner].file.name}) has the same'
                yield _placed(
                    files, host, Mistake((name,), problem, f'Write the one of "{client}"'), resolved[host]
                )


def _addresses(files: Files, resolved: Mapping[str, Resolved]) -> Iterator[PlacedMistake]:
    """Two names for one machine would be two agents that overwrite each other."""
    owners: dict[tuple[str, str], str] = {}
    for host, given in resolved.items():
        values = given.values
        if host not in files.hosts or "ansible_host" in given.failures:
            continue
        if wrong := list(variables.reached(host, values)):
            yield from (_placed(files, host, mistake, given) for mistake in wrong)
            continue
        address = (
            str(values.get("ansible_host") or host).lower(),
            str(values.get("ansible_port") or WINRM_PORT),
        )
        other = owners.setdefault(address, host)
        if other != host:
            problem = f'{":".join(address)} is the address of the server "{other}" too'
            yield _placed(
                files, host, Mistake(("ansible_host",), problem, f'Write the address of "{host}"'), given
            )


def _near_midnight(
    files: Files, hosts: Iterable[HostContract], resolved: Mapping[str, Resolved]
) -> Iterator[PlacedMistake]:
    """A night that begins before midnight and the next one after it are one calendar day, of which only the
    last version is promised, and another day has none (C7)."""
    for one in hosts:
        if one.starts_at >= "23:45" or one.starts_at <= "00:15":
            problem = (
                f"its backups start at {one.starts_at}: two nights can fall on one day, and none on another"
            )
            remedy = "Choose a time and a spread that give no start between 23:45 and 00:15"
            mistake = Mistake(("prosecours_backup_time",), problem, remedy)
            yield _placed(files, one.host, mistake, resolved[one.host])


def _not_as_signed(
    files: Files,
    clients: Mapping[str, ClientContract],
    hosts: Mapping[str, HostContract],
    documents: Path | None,
    resolved: Mapping[str, Resolved],
) -> Iterator[PlacedMistake]:
    """Signed annexes that are others than the inventory (C21). A warning: no backup waits for a signature."""
    if documents is None:
        return
    for client in clients.values():
        found = signed.standing(client, hosts, documents)
        if found.problem:
            host = client.hosts[0]
            mistake = Mistake(("prosecours_signed",), found.problem, found.remedy)
            yield _placed(files, host, mistake, resolved[host])


def address_of(url: str, host: str) -> str:
    """Of the repository of a server, below its client's address, as restic takes it."""
    return f"{url.rstrip('/')}/{host}" + ("/" if url.startswith("rest:") else "")


def _contact_twice(values: Values) -> Iterator[Mistake]:
    main, substitute = values.get("prosecours_contact_main"), values.get("prosecours_contact_substitute")
    if main and substitute:
        names = [(contact["first_name"].lower(), contact["name"].lower()) for contact in (main, substitute)]
        if names[0] == names[1]:
            problem = "the substitute is the main contact"
            remedy = "Name another person, or remove the substitute (Annexe 2 leaves it open)"
            yield Mistake(("prosecours_contact_substitute",), problem, remedy)


def _clients(hosts: Mapping[str, HostContract]) -> dict[str, ClientContract]:
    clients: dict[str, ClientContract] = {}
    for host, own in hosts.items():
        known = clients.get(own.client.id)
        others, dumps, perimeters = (known.hosts, known.dumps, known.perimeters) if known else ((), {}, {})
        clients[own.client.id] = ClientContract(
            own.client.id,
            own.client.name,
            own.client.reference,
            own.subscribed_gb,
            own.retention,
            own.options,
            own.alsace_moselle,
            own.monthly_report,
            own.contacts,
            (*others, host),
            {**dumps, host: own.dumps},
            {**perimeters, host: tuple(entry.path for entry in own.perimeter)},
            own.retired,
            own.paper,
        )
    return clients


def _host(client: str, host: str, values: Values, perimeter: Sequence[catalogue.Ticked]) -> HostContract:
    """The contract of one server, from its variables with defaults, each found right."""
    substitute, days = values["prosecours_contact_substitute"], values["prosecours_dump_days"]
    root = values["prosecours_root"]
    return HostContract(
        client=Party(client, values["prosecours_client_name"], values["prosecours_contract_reference"]),
        host=host,
        repository=address_of(values["prosecours_repository_url"], host),
        subscribed_gb=values["prosecours_subscribed_gb"],
        retention=Retention(values["prosecours_retention_daily"], values["prosecours_retention_weekly"]),
        options=tuple(values["prosecours_options"]),
        alsace_moselle=values["prosecours_alsace_moselle"],
        monthly_report=values["prosecours_monthly_report"],
        contacts=Contacts(
            Contact(**values["prosecours_contact_main"]), Contact(**substitute) if substitute else None
        ),
        perimeter=tuple(Entry(entry.box, entry.path, entry.kind) for entry in perimeter),
        excludes=tuple(values["prosecours_excludes"]),
        schedule=Schedule(values["prosecours_backup_time"], values["prosecours_backup_spread_minutes"]),
        upload_limit_kib=values["prosecours_upload_limit_kib"],
        uplink_mbit=values["prosecours_uplink_mbit"],
        downlink_mbit=values["prosecours_downlink_mbit"],
        # What is said of the server holds for those of its folders that are for dumps.
        dumps={
            one.path: one.dump_days if days is None else days
            for one in perimeter
            if one.dump_days and days != 0
        },
        paper=_paper(values),
        form=Form(
            windows_paths.normalise(root) if root else "",
            catalogue.ticked(values),
            tuple(sorted(values["prosecours_variants"])),
        ),
        retired={server: date.fromisoformat(one["date"]) for server, one in values[RETIRED].items()},
    )


def _paper(values: Values) -> Paper:
    address, copy = values["prosecours_postal_address"], values["prosecours_signed"]
    return Paper(
        PostalAddress(tuple(address["lines"]), address["postal_code"], address["city"]) if address else None,
        values["prosecours_instructions_by_mail"],
        Signed(agreed.written(copy["fingerprint"]), date.fromisoformat(copy["date"]), copy["signatory"])
        if copy
        else None,
    )
