"""Layer 1 of the contract's validation: the files. Are they YAML, of the stated shape, and distinct?

Ansible resolves the values and tells where each was written; this module reads the same files once more for
what Ansible does not keep: the lines of keys, keys written twice, and names that two files share. A client
file is a stock YAML inventory:

    prosecours_clients: {children: {<client>: {vars: {<variable>: …}, hosts: {<server>: {<variable>: …}}}}}
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import yaml

from ..validation.lines import LOADER, VARIABLE_FOLDERS, Scope, covers, enter, line_of, syntax_error, twice
from ..validation.mistakes import Origin, PlacedMistake, Way
from ..wording import nearest, one_of

CLIENTS = "prosecours_clients"
"""The group that every client is a child of."""
YAML_SUFFIXES = (".yml", ".yaml", ".json")
GROUP_NAME = re.compile(r"[a-z][a-z0-9_]*")
HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")


@dataclass(frozen=True)
class Place:
    """Where a client or a server is declared."""

    file: Path
    line: int


class Located(NamedTuple):
    """Where a value was written that a server sees, and whom it concerns. No file: it was given with -e."""

    file: Path | None
    line: int | None
    who: str


@dataclass
class Files:
    """What the files of an inventory hold, apart from the values."""

    errors: list[PlacedMistake] = field(default_factory=list)
    clients: dict[str, Place] = field(default_factory=dict)
    """client -> where; the first of two."""
    hosts: dict[str, tuple[str, Place]] = field(default_factory=dict)
    """server -> (client, where); the first of two."""
    scopes: dict[tuple[str, str], list[Scope]] = field(default_factory=dict)

    def locate(self, host: str, way: Way, origin: Origin | None) -> Located | None:
        """Where the value that this server sees was written: where Ansible has it from, if it knows.

        Of yes, no and nothing it does not: then it is the first scope that has it, as in Ansible.
        """
        client = self.hosts[host][0]
        if origin is None:
            scope = next((scope for scope in self._ranked(host, client) if scope.line(way)), None)
            return Located(scope.file, scope.line(way), scope.concerned(host, client)) if scope else None
        for scope in (one for scopes in self.scopes.values() for one in scopes if one.file == origin.file):
            if covers(scope.node, origin.line or 0):
                return Located(scope.file, scope.near(way, origin.line or 0), scope.concerned(host, client))
        return Located(origin.file, origin.line, host)

    def _ranked(self, host: str, client: str) -> list[Scope]:
        names = [("host", host), ("group", client)]
        names += [name for name in self.scopes if name[0] == "group" and name[1] not in self.clients]
        scopes = [scope for name in names for scope in self.scopes.get(name, [])]
        # Files of host_vars and group_vars win over the inventory's own.
        return sorted(scopes, key=lambda scope: (scope.kind != "host", not scope.from_folder))

    def add(self, scope: Scope) -> None:
        self.scopes.setdefault((scope.kind, scope.name), []).append(scope)


def find(sources: Sequence[Path], playbook: Path) -> Iterator[Path]:
    """The YAML files that Ansible reads for an inventory, then for a playbook's folder, in its order."""
    for source in sources:
        if source.is_dir():
            yield from (path for path in _below(source) if not _of_variables(path, source))
        elif source.is_file():
            yield source
    for source in (*sources, playbook):
        for name in VARIABLE_FOLDERS:
            yield from _below((source if source.is_dir() else source.parent) / name, "")


def _below(folder: Path, *suffixes: str) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        # .YML too, which Ansible passes over: its servers are then found to be missing.
        if path.is_file() and not hidden and path.suffix.lower() in (*YAML_SUFFIXES, *suffixes):
            yield path


def _of_variables(path: Path, source: Path) -> bool:
    return path.relative_to(source).parts[0] in VARIABLE_FOLDERS


def read(paths: Iterable[Path], text_of: Callable[[Path], str], known: Sequence[str]) -> Files:
    """Reads the files. `text_of` opens (and decrypts) one, or raises OSError; `known` are all variables."""
    files = Files()
    for path in paths:
        text = ""
        try:
            text = text_of(path)
            node = yaml.compose(text, Loader=LOADER)
        except yaml.MarkedYAMLError as error:
            files.errors.append(syntax_error(path, text, error))
            continue
        except OSError as error:
            remedy = "Give the vault's password, or correct the rights of the file"
            files.errors.append(
                PlacedMistake(path, None, "", "", f"the file cannot be read: {error}", remedy)
            )
            continue
        except (UnicodeError, yaml.reader.ReaderError):
            problem, remedy = "the file is not UTF-8 text", "Save it again with the encoding UTF-8"
            files.errors.append(PlacedMistake(path, None, "", "", problem, remedy))
            continue
        if isinstance(node, yaml.MappingNode):
            files.errors.extend(twice(path, node))
        _read_file(files, path, node, known)
    files.errors.extend(_without_effect(files))
    return files


def _without_effect(files: Files) -> Iterator[PlacedMistake]:
    """Lines of a client that a file of group_vars overrides: Ansible ranks those higher, which surprises."""
    for client in files.clients:
        over = [
            scope
            for name in (client, CLIENTS, "all")
            for scope in files.scopes.get(("group", name), [])
            if scope.from_folder
        ]
        for scope in files.scopes.get(("group", client), []):
            for key, _unused in () if scope.from_folder else scope.node.value:
                for other in over:
                    if line := other.line((key.value,)):
                        problem = f"the line has no effect: {_short(other.file)} (line {line}) wins over it"
                        remedy = (
                            "Remove one of the two; below a server's name a variable wins over group_vars"
                        )
                        yield PlacedMistake(scope.file, line_of(key), client, str(key.value), problem, remedy)


def _short(path: Path) -> str:
    return "/".join(path.parts[-2:])


def _read_file(files: Files, path: Path, node: yaml.Node | None, known: Sequence[str]) -> None:
    folder = next((part for part in path.parts[::-1] if part in VARIABLE_FOLDERS), None)
    if folder:
        name = path.relative_to(_up_to(path, folder)).parts[0]
        if isinstance(node, yaml.MappingNode):
            kind = "host" if folder == "host_vars" else "group"
            files.add(
                Scope(path, kind, Path(name).stem if Path(name).suffix in YAML_SUFFIXES else name, node)
            )
        return
    group = enter(node, CLIENTS)[1]
    shared = enter(group, "vars")[1]
    if path.parent.name == "clients" or enter(group, "children")[0]:
        _ClientFile(files, path, known).read(node)
    elif isinstance(shared, yaml.MappingNode):
        files.add(Scope(path, "group", CLIENTS, shared))


def _up_to(path: Path, folder: str) -> Path:
    return next(parent for parent in path.parents if parent.name == folder)


class _ClientFile:
    """Reads one client file into `files`, and says how its shape differs from the stated one."""

    def __init__(self, files: Files, path: Path, known: Sequence[str]) -> None:
        self._files, self._path, self._known = files, path, known

    def read(self, node: yaml.Node | None) -> None:
        top = self._mapping(node, f"the file does not begin with {CLIENTS}:", 1)
        group = children = None
        for key, value in top:
            if key.value == CLIENTS:
                group = self._mapping(value, f"nothing stands below {CLIENTS}", line_of(key))
            else:
                self._misplaced(key, f"beside {CLIENTS}, not below it", [CLIENTS])
        if top and group is None:
            self._error(
                1, "", f"the file has no {CLIENTS}", f"Begin the file with {CLIENTS}: and indent the rest"
            )
        for key, value in group or ():
            if key.value == "children":
                children = self._mapping(value, "no client stands below children", line_of(key))
            elif key.value == "vars" and isinstance(value, yaml.MappingNode):
                remedy = "Write what all clients share in a file beside the folder clients"
                self._error(
                    line_of(key), "", f"variables of {CLIENTS} itself would change every client", remedy
                )
            else:
                self._misplaced(key, f"directly below {CLIENTS}", ["children"])
        for key, value in children or ():
            self._client(key, value)
        if children and len(children) > 1:
            problem = f"the file holds several clients: {', '.join(key.value for key, _unused in children)}"
            self._error(line_of(children[1][0]), "", problem, "Write one file for each client")

    def _client(self, key: yaml.ScalarNode, value: yaml.Node) -> None:
        client, line, has_hosts = key.value, line_of(key), False
        if not GROUP_NAME.fullmatch(client):
            remedy = f'Write "{slug(client)}": lower-case letters without accents, digits and _'
            self._error(line, client, f'"{client}" cannot be the name of a client', remedy)
        if client in self._files.clients:
            other = self._files.clients[client]
            self._error(
                line,
                client,
                f"the client is in {other.file.name} (line {other.line}) too",
                "In a copied file, give the client and each of its servers names of their own",
            )
        self._files.clients.setdefault(client, Place(self._path, line))
        for part, content in self._mapping(value, "neither vars nor hosts stand below it", line, client):
            if part.value == "vars":
                for name, _unused in self._mapping(
                    content, "no variable stands below vars", line_of(part), client
                ):
                    self._variable(name, client)
                if isinstance(content, yaml.MappingNode):
                    self._files.add(Scope(self._path, "group", client, content))
            elif part.value == "hosts":
                has_hosts = True
                for host, variables in self._mapping(
                    content, "no server stands below hosts", line_of(part), client
                ):
                    self._host(client, host, variables)
            else:
                self._misplaced(part, f"directly below {client}", ["vars", "hosts"], client)
        if isinstance(value, yaml.MappingNode) and not has_hosts:
            self._error(
                line, client, "the client has no server", "Add hosts: with the name of each server below it"
            )

    def _host(self, client: str, key: yaml.ScalarNode, value: yaml.Node) -> None:
        host, line = key.value, line_of(key)
        if not HOST_NAME.fullmatch(host):
            remedy = "Use letters without accents, digits, hyphens and dots, and one line for each server"
            self._error(line, client, f'"{host}" cannot be the name of a server', remedy)
        if host in self._files.clients:
            self._error(
                line, client, f'"{host}" is the name of a client', "Give the server a name of its own"
            )
        if host in self._files.hosts:
            _unused, other = self._files.hosts[host]
            self._error(
                line,
                client,
                f'the server "{host}" is in {other.file.name} (line {other.line}) too',
                "In a copied file, give each server a name of its own",
            )
        self._files.hosts.setdefault(host, (client, Place(self._path, line)))
        if _is_null(value):
            return
        for name, _value in self._mapping(value, "what stands below it are not variables", line, host):
            self._variable(name, host)
        if isinstance(value, yaml.MappingNode):
            self._files.add(Scope(self._path, "host", host, value))

    def _variable(self, key: yaml.ScalarNode, who: str) -> None:
        """Slips in the prefix; the next layer finds unknown names with the right prefix."""
        name = key.value
        if name in ("vars", "hosts", "children"):
            self._misplaced(key, f"among the variables of {who}", [], who)
        elif not name.startswith(("prosecours_", "ansible_")):
            bare = f"prosecours_{name}"
            if meant := bare if bare in self._known else nearest(name, self._known, likeness=0.85):
                self._error(line_of(key), who, "no such variable", f'Did you mean "{meant}"?', name)

    def _misplaced(self, key: yaml.ScalarNode, where: str, allowed: list[str], who: str = "") -> None:
        name = key.value
        if meant := nearest(name, allowed, likeness=0.8):
            remedy = f'Did you mean "{meant}"?'
        elif name.startswith("prosecours_"):
            remedy = "Indent it below vars: of the client, or below the name of the server"
        elif name in ("children", "vars", "hosts"):
            remedy = (
                f"Check its indentation: {CLIENTS}, children, the client, then vars and hosts side by side"
            )
        else:
            remedy = one_of(name, allowed) if allowed else "Remove it"
        self._error(line_of(key), who, f'"{name}" stands {where}', remedy)

    def _mapping(
        self, node: yaml.Node | None, problem: str, line: int, who: str = ""
    ) -> list[tuple[yaml.ScalarNode, yaml.Node]]:
        if not isinstance(node, yaml.MappingNode) or not node.value:
            self._error(line, who, problem, "Check the indentation; docs/fr/inventaire.md has an example")
            return []
        return [
            (key, value)
            for key, value in node.value
            if isinstance(key, yaml.ScalarNode) and key.value != "<<"
        ]

    def _error(self, line: int, who: str, problem: str, remedy: str, key: str = "") -> None:
        self._files.errors.append(PlacedMistake(self._path, line, who, key, problem, remedy))


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.value in ("", "~", "null")


def slug(name: str) -> str:
    """A name that a client can have in the inventory, of its real one."""
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "_", ascii_name).strip("_") or "gaec_du_moulin"
