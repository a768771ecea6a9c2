"""The file of a client in the inventory: written anew with its comments, and edited without losing any.

An edit works on the lines of the file, by the places that YAML's parser tells, so that everything else stays
as somebody wrote it: a library that writes the whole file anew would change quotes and lines that nobody
touched. What came out is read again and compared with what was to come out before it is believed.
"""

from __future__ import annotations

import os
import secrets
import string
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from ..contract import variables
from ..contract.contracts import RETIRED
from ..contract.files import CLIENTS
from ..errors import ProSecoursError
from ..options import SECRET
from ..validation.lines import LOADER, enter
from ..wording import one_of
from .answers import ADDRESS, Wanted

PASSWORDS = ("prosecours_repository_password", "prosecours_encryption_password")
HOST, URL = "prosecours_repository_host", "prosecours_repository_url"
Vault = Callable[[str], str]
"""Encrypts a text as ansible-vault does."""


class CannotEdit(ProSecoursError):
    """The file is not written as one that can be edited by its lines."""


class Section(NamedTuple):
    """Variables of the client below a comment."""

    comment: str
    names: Sequence[str]


SECTIONS = (
    Section(
        "The contract",
        (
            "prosecours_client_name",
            "prosecours_contract_reference",
            "prosecours_subscribed_gb",
            "prosecours_options",
            "prosecours_retention_daily",
            "prosecours_retention_weekly",
            "prosecours_alsace_moselle",
            "prosecours_monthly_report",
        ),
    ),
    Section("Its own rest-server, at a port that no other client has", (HOST, URL)),
    Section("Annexe 2", ("prosecours_contact_main", "prosecours_contact_substitute")),
    Section(
        "Where the yearly letter about the main backup goes, and whether by mail too",
        ("prosecours_postal_address", "prosecours_instructions_by_mail"),
    ),
    Section(
        "The client's line",
        ("prosecours_uplink_mbit", "prosecours_downlink_mbit", "prosecours_upload_limit_kib"),
    ),
)
LEFT = "Servers that have left, and what encrypts their backups until nothing of these is promised"
OTHERS = "What holds for all servers"
SECRETS = (
    "What it signs in with, and what encrypts its backups: without the second no backup can be read.",
    "Made for it alone, in the vault; keep a copy of the vault's password elsewhere.",
)


class Credentials(NamedTuple):
    """Of one server: password of the rest-server and of restic, each in the vault."""

    repository: str
    encryption: str

    @classmethod
    def made(cls, vault: Vault) -> Credentials:
        return cls(vault(_password(24)), vault(_password(32)))


MASKED = Credentials("***\n", "***\n")
"""Of a file that is shown."""


def _password(length: int) -> str:
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _unused in range(length))


# -- a new file -----------------------------------------------------------------------------------------


def render(wanted: Wanted, where: Path, credentials: Mapping[str, Credentials]) -> str:
    """The text of a new client's file, which is to lie at `where`."""
    schema = os.path.relpath(variables.SCHEMA, where.parent)
    lines = [
        "---",
        f"# yaml-language-server: $schema={schema}",
        "# One client = one file = Annexes 1 and 2 of its contract."
        " docs/fr/inventaire.md explains every line.",
        f"{CLIENTS}:",
        "  children:",
        f"    {_key(wanted.client)}:",
        "      vars:",
    ]
    told = [name for section in SECTIONS for name in section.names]
    others = Section(OTHERS, [name for name in wanted.shared if name not in told])
    for section in (*SECTIONS, others):
        if block := _block({name: wanted.shared.get(name) for name in section.names}, 8):
            lines += [f"        # {section.comment}", *block, ""]
    lines += ["      # Annexe 1, one part for each server", "      hosts:"]
    for server, own in wanted.servers.items():
        lines.append(f"        {_key(server)}:")
        lines += _block(own, 10)
        sealed = dict(zip(PASSWORDS, credentials[server], strict=True))
        lines += [f"{' ' * 10}{one}" for one in _sealed(sealed)]
    return "\n".join(lines) + "\n"


class _Dumper(yaml.SafeDumper):
    """Entries of a list stand below their key's first letter but two, as in the examples."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        super().increase_indent(flow, False)


def _block(values: Mapping[str, Any], indent: int) -> list[str]:
    given = {name: value for name, value in values.items() if value not in (None, [], {})}
    if not given:
        return []
    text = yaml.dump(
        given, Dumper=_Dumper, allow_unicode=True, sort_keys=False, default_flow_style=False, width=10_000
    )
    return [" " * indent + line for line in text.splitlines()]


def _key(name: str) -> str:
    return yaml.safe_dump(name, allow_unicode=True, width=10_000).splitlines()[0]


# -- a file that is there -------------------------------------------------------------------------------


@dataclass(frozen=True)
class ClientFile:
    """A client's file: its text, and the nodes of its one client."""

    path: Path
    text: str
    client: str
    top: yaml.MappingNode
    """What stands below the client's name."""

    @classmethod
    def read(cls, path: Path, text: str) -> ClientFile:
        """Raises CannotEdit."""
        root = yaml.compose(text, Loader=LOADER)
        children = enter(enter(root, CLIENTS)[1], "children")[1]
        if isinstance(children, yaml.MappingNode) and len(children.value) == 1:
            key, value = children.value[0]
            if isinstance(value, yaml.MappingNode) and not value.flow_style:
                return cls(path, text, str(key.value), value)
        raise CannotEdit(f"{path} is not written as the example's client file is", "Edit it by hand")

    @property
    def hosts(self) -> yaml.MappingNode:
        return self._part("hosts")

    @property
    def servers(self) -> list[str]:
        return [str(key.value) for key, _value in self.hosts.value]

    def _of(self, server: str) -> tuple[yaml.Node, yaml.Node | None]:
        """The key of a server, and what stands below it."""
        key, own = enter(self.hosts, server)
        if key is None:
            raise CannotEdit(f"{self.path} has no server {server}", one_of(server, self.servers))
        return key, own

    def _part(self, name: str) -> yaml.MappingNode:
        node = enter(self.top, name)[1]
        if isinstance(node, yaml.MappingNode) and not node.flow_style and node.value:
            return node
        problem = f"{name} of {self.client} in {self.path} is not written line by line"
        raise CannotEdit(problem, "Edit it by hand, like the example's")

    def secrets(self, server: str) -> Credentials | None:
        """What the file itself holds of a server's passwords, in the vault."""
        own = enter(self.hosts, server)[1]
        found = [enter(own, name)[1] for name in PASSWORDS]
        if all(isinstance(one, yaml.ScalarNode) and one.tag == "!vault" for one in found):
            return Credentials(*(str(one.value) for one in found if one is not None))
        return None

    def value(self, name: str) -> Any:
        """A text among the variables of the client."""
        node = enter(enter(self.top, "vars")[1], name)[1]
        return node.value if isinstance(node, yaml.ScalarNode) else None

    # -- edits ------------------------------------------------------------------------------------------

    def variables(self, server: str) -> list[str]:
        """The names of the variables that stand below a server."""
        own = self._of(server)[1]
        return [str(key.value) for key, _value in own.value] if isinstance(own, yaml.MappingNode) else []

    def renamed(self, server: str, name: str, address: str, sealed: Mapping[str, str]) -> str:
        """The server by another name, at another address unless that is empty; below it what is `sealed`."""
        key, own = self._of(server)
        edits = [(key.start_mark.index, key.end_mark.index, _key(name))]
        if address and isinstance(own, yaml.MappingNode):
            old = enter(own, ADDRESS)[1]
            if old is None:
                at = own.value[0][0].start_mark
                edits.append((at.index, at.index, f"{ADDRESS}: {_key(address)}\n{' ' * at.column}"))
            else:
                edits.append((old.start_mark.index, old.end_mark.index, _key(address)))
        text = self.text
        for start, end, new in sorted(edits, reverse=True):
            text = text[:start] + new + text[end:]
        if not sealed:
            return text
        again = ClientFile.read(self.path, text)
        key, own = again._of(name)
        column = own.start_mark.column if isinstance(own, yaml.MappingNode) else key.start_mark.column + 2
        return again._with(again._lines(key, again.hosts)[1], column, _sealed(sealed))

    def retired(self, server: str, day: str, seal: Callable[[], str]) -> str:
        """Without the server, which is remembered below RETIRED with what encrypts its backups: as the vault
        has it here, else as `seal` does. A template would be another one's there."""
        key, own = self._of(server)
        password = enter(own, PASSWORDS[1])[1]
        inside = isinstance(password, yaml.ScalarNode) and password.tag == "!vault"
        text = str(password.value) if inside and password else seal()
        entry = [f"{_key(server)}:", f"  date: {day}"]
        entry += [f"  {line}" for line in _secret("encryption_password", text)]
        shared = self._part("vars")
        gone, before = enter(shared, RETIRED)
        if gone is not None and isinstance(before, yaml.MappingNode) and not before.flow_style:
            column, at, new = before.start_mark.column, self._lines(gone, shared)[1], entry
        elif gone is not None:
            raise CannotEdit(
                f"{RETIRED} in {self.path} is not written line by line", "Write it so, or remove it"
            )
        else:
            column, at = shared.start_mark.column, self._lines(shared.value[-1][0], shared)[1]
            new = ["", f"# {LEFT}", f"{RETIRED}:", *(f"  {one}" for one in entry)]
        # The one further down first, so that the lines of the other one keep their numbers.
        first, last = self._lines(key, self.hosts)
        if at > first:
            return self._again(self._with(at, column, new))._without(first, last)
        return self._again(self._without(first, last))._with(at, column, new)

    def _again(self, text: str) -> ClientFile:
        """Lines alone: without the server there may be none below hosts."""
        return ClientFile(self.path, text, self.client, self.top)

    def _with(self, at: int, column: int, new: Iterable[str]) -> str:
        lines = self.text.splitlines(keepends=True)
        if at == len(lines) and not self.text.endswith("\n"):
            lines[-1] += "\n"
        lines[at:at] = [f"{' ' * column}{one}\n" if one else "\n" for one in new]
        return "".join(lines)

    def _without(self, first: int, last: int) -> str:
        lines = self.text.splitlines(keepends=True)
        return "".join(lines[:first] + lines[last:])

    def _lines(self, key: yaml.Node, block: yaml.MappingNode) -> tuple[int, int]:
        """The lines, from 0, of one entry of a block: to the next entry, less the comments of that one."""
        lines = self.text.splitlines()
        first, column = key.start_mark.line, key.start_mark.column
        after = [one.start_mark.line for one, _value in block.value if one.start_mark.line > first]
        last = min(after) if after else block.end_mark.line
        if block.end_mark.line == first or (not after and last >= len(lines) - 1 and block.end_mark.column):
            last = len(lines)
        while last > first + 1 and _apart(lines[last - 1], column):
            last -= 1
        return first, last


def _apart(line: str, column: int) -> bool:
    """An empty line, or a comment that stands no deeper than an entry."""
    bare = line.strip()
    return not bare or (bare.startswith("#") and len(line) - len(line.lstrip()) <= column)


def _sealed(sealed: Mapping[str, str]) -> Iterator[str]:
    yield from (f"# {one}" for one in SECRETS)
    for name, text in sealed.items():
        yield from _secret(name, text)


def _secret(name: str, text: str) -> Iterator[str]:
    yield f"{name}: !vault |"
    yield from (f"  {one}" for one in text.split("\n") if one)


# -- what came out --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Differences:
    """A file of a client before and after an edit, as YAML reads them."""

    path: Path
    before: dict[str, Any]
    after: dict[str, Any]

    def only_renamed(self, server: str, name: str) -> None:
        """Raises CannotEdit where anything differs but the name, the address and what was added to it."""
        hosts = {name if one == server else one: own for one, own in self.before["hosts"].items()}
        new = self.after["hosts"].get(name) or {}
        kept = {key: value for key, value in (hosts[name] or {}).items() if key != ADDRESS}
        if (
            {**self.before, "hosts": {**hosts, name: new}} != self.after
            or list(hosts) != list(self.after["hosts"])
            or {**new, **kept} != new
            or {*new} - {*kept, ADDRESS, *PASSWORDS}
        ):
            self._refuse()

    def only_retired(self, server: str, remembered: str) -> None:
        """Raises CannotEdit where anything else differs but that the server went, and is remembered."""
        hosts = {one: own for one, own in self.before["hosts"].items() if one != server}
        shared = dict(self.after["vars"])
        left = dict(shared.pop(remembered, None) or {})
        entry = left.pop(server, None)
        known = {key: value for key, value in self.before["vars"].items() if key != remembered}
        others = self.before["vars"].get(remembered) or {}
        if (self.after["hosts"], shared, left) != (hosts, known, others) or not entry:
            self._refuse()

    def _refuse(self) -> None:
        raise CannotEdit(
            f"{self.path} cannot be edited by its lines without changing something else",
            "Edit it by hand; nothing was written",
        )


def differences(file: ClientFile, text: str) -> Differences:
    """Of a file and what it is to be. Raises CannotEdit."""
    try:
        after = ClientFile.read(file.path, text)
    except yaml.YAMLError:
        raise CannotEdit(f"{file.path} cannot be edited by its lines", "Edit it by hand") from None
    return Differences(file.path, _data(file.top), _data(after.top))


def shown(text: str) -> str:
    """The text of a file for people, without any password; nothing of what cannot be read."""
    try:
        hidden = sorted({*_hidden(yaml.compose(text, Loader=LOADER))}, reverse=True)
    except yaml.YAMLError:
        return "***\n"
    for start, end in hidden:
        text = text[:start] + "***" + ("\n" if text[start:end].endswith("\n") else "") + text[end:]
    return text


def _hidden(node: yaml.Node | None) -> Iterator[tuple[int, int]]:
    if isinstance(node, yaml.SequenceNode):
        for one in node.value:
            yield from _hidden(one)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(value, yaml.ScalarNode) and SECRET.search(str(key.value)):
                yield value.start_mark.index, value.end_mark.index
            else:
                yield from _hidden(value)


def _data(node: yaml.Node) -> Any:
    """Plain: of a scalar its tag and its text, of the vault without the spaces around."""
    if isinstance(node, yaml.MappingNode):
        return {str(key.value): _data(value) for key, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [_data(one) for one in node.value]
    return None if node.tag.endswith(":null") else (node.tag, str(node.value).strip())
