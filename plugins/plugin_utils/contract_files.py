"""Layer 1 of the contract's validation: the files. Are they YAML, of the stated shape, and distinct?

Ansible resolves the values; this module reads the same files once more for what Ansible does not keep: lines,
keys written twice, and names that two files share. A client file is a stock YAML inventory:

    prosecours_clients: {children: {<client>: {vars: {<variable>: …}, hosts: {<server>: {<variable>: …}}}}}
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from .contract_errors import ContractError, nearest, one_of

#: The group that every client is a child of.
CLIENTS = "prosecours_clients"
YAML_SUFFIXES = (".yml", ".yaml", ".json")
#: Folders that an inventory may have beside its files (Ansible's names).
VARIABLE_FOLDERS = ("group_vars", "host_vars")
GROUP_NAME = re.compile(r"[a-z][a-z0-9_]*")
HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")

#: libyaml where PyYAML was built with it, ten times as fast.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
#: The same, for which a date is text: YAML makes objects of them, and raises for the 30th of February.
_UNDATED = type(
    "Undated",
    (_LOADER,),
    {
        "yaml_implicit_resolvers": {
            letter: [rule for rule in rules if rule[0] != "tag:yaml.org,2002:timestamp"]
            for letter, rules in _LOADER.yaml_implicit_resolvers.items()
        }
    },
)
#: What YAML's parser says -> what to do.
_YAML_REMEDIES = (
    ("unknown escape character", "Write Windows paths without quotes: double quotes give \\ another meaning"),
    (
        "mapping values are not allowed",
        "Check the indentation of this line, and quote a value that holds a colon",
    ),
    ("cannot start any token", "Quote the value"),
    ("did not find expected key", "Check the indentation of this line and of the lines above"),
    ("could not find expected ':'", "Write a colon and a space after the name, or check the indentation"),
    ("block end", "Check the indentation of this line and of the lines above"),
)

#: A variable's name, then the keys and indices that lead to a part of its value.
Way = tuple[str | int, ...]


@dataclass(frozen=True)
class Scope:
    """One mapping of variables in one file: those of a server, of a client or of a group."""

    file: Path
    kind: str  # "host" or "group"
    name: str
    node: yaml.MappingNode

    @property
    def from_folder(self) -> bool:
        """True if the file is one of group_vars or host_vars."""
        return any(part in VARIABLE_FOLDERS for part in self.file.parts)

    def line(self, way: Way) -> int | None:
        """The line (from 1) of a variable or a part of it, as near as the file holds it; None without it."""
        found: int | None = None
        node: yaml.Node | None = self.node
        for step in way:
            key, node = _step(node, step)
            if key is None:
                break
            found = key.start_mark.line + 1
        return found


@dataclass(frozen=True)
class Place:
    """Where a client or a server is declared."""

    file: Path
    line: int


@dataclass
class Files:
    """What the files of an inventory hold, apart from the values."""

    errors: list[ContractError] = field(default_factory=list)
    #: client -> where; the first of two.
    clients: dict[str, Place] = field(default_factory=dict)
    #: server -> (client, where); the first of two.
    hosts: dict[str, tuple[str, Place]] = field(default_factory=dict)
    scopes: dict[tuple[str, str], list[Scope]] = field(default_factory=dict)

    def locate(self, host: str, way: Way) -> tuple[Scope, int] | None:
        """Where the value that this server sees was written: the first scope that has it, as in Ansible."""
        groups = [self.hosts[host][0] if host in self.hosts else "", CLIENTS, "all"]
        # A group that is no client's: the server may be in it as well.
        groups += [
            name for kind, name in self.scopes if kind == "group" and name not in (*groups, *self.clients)
        ]
        of_groups = [scope for name in groups for scope in self.scopes.get(("group", name), [])]
        # Files of host_vars and group_vars win over the inventory's own.
        of_groups.sort(key=lambda scope: not scope.from_folder)
        of_host = sorted(self.scopes.get(("host", host), []), key=lambda scope: not scope.from_folder)
        for scope in (*of_host, *of_groups):
            if line := scope.line(way):
                return scope, line
        return None

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
            node = yaml.compose(text, Loader=_LOADER)
        except yaml.MarkedYAMLError as error:
            files.errors.append(_syntax_error(path, text, error))
            continue
        except OSError as error:
            remedy = "Give the vault's password, or correct the rights of the file"
            files.errors.append(
                ContractError(path, None, "", "", f"the file cannot be read: {error}", remedy)
            )
            continue
        except (UnicodeError, yaml.reader.ReaderError):
            problem, remedy = "the file is not UTF-8 text", "Save it again with the encoding UTF-8"
            files.errors.append(ContractError(path, None, "", "", problem, remedy))
            continue
        if isinstance(node, yaml.MappingNode):
            files.errors.extend(_twice(path, node))
        _read_file(files, path, node, known)
    files.errors.extend(_without_effect(files))
    return files


def document(path: Path, text_of: Callable[[Path], str]) -> tuple[Scope | None, Any, list[ContractError]]:
    """One YAML file that is no inventory: where its parts stand, its plain value, what is wrong with it.

    A date is the text that stands there.
    """
    text = ""
    try:
        text = text_of(path)
        node = yaml.compose(text, Loader=_LOADER)
        value = yaml.load(text, Loader=_UNDATED)  # noqa: S506 -- a safe one
    except yaml.MarkedYAMLError as error:
        return None, None, [_syntax_error(path, text, error)]
    except OSError as error:
        remedy = "Correct the path, or the rights of the file"
        return None, None, [ContractError(path, None, "", "", f"the file cannot be read: {error}", remedy)]
    except (UnicodeError, ValueError, yaml.reader.ReaderError):
        problem, remedy = "the file is not YAML in UTF-8", "Save it again with the encoding UTF-8"
        return None, None, [ContractError(path, None, "", "", problem, remedy)]
    if not isinstance(node, yaml.MappingNode):
        problem, remedy = "the file holds no keys", "Write a key, a colon and a value on each line"
        return None, None, [ContractError(path, None, "", "", problem, remedy)]
    return Scope(path, "document", path.name, node), value, list(_twice(path, node))


def _without_effect(files: Files) -> Iterator[ContractError]:
    """Lines of a client that a file of group_vars overrides: Ansible ranks those higher, which surprises."""
    for client in files.clients:
        over = [
            scope
            for name in (client, CLIENTS, "all")
            for scope in files.scopes.get(("group", name), [])
            if scope.from_folder
        ]
        for scope in files.scopes.get(("group", client), []):
            for key, _ in () if scope.from_folder else scope.node.value:
                for other in over:
                    if line := other.line((key.value,)):
                        problem = f"the line has no effect: {_short(other.file)} (line {line}) wins over it"
                        remedy = (
                            "Remove one of the two; below a server's name a variable wins over group_vars"
                        )
                        yield ContractError(scope.file, _line(key), client, str(key.value), problem, remedy)


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
    group = _step(node, CLIENTS)[1]
    shared = _step(group, "vars")[1]
    if path.parent.name == "clients" or _step(group, "children")[0]:
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
                group = self._mapping(value, f"nothing stands below {CLIENTS}", _line(key))
            else:
                self._misplaced(key, f"beside {CLIENTS}, not below it", [CLIENTS])
        if top and group is None:
            self._error(
                1, "", f"the file has no {CLIENTS}", f"Begin the file with {CLIENTS}: and indent the rest"
            )
        for key, value in group or ():
            if key.value == "children":
                children = self._mapping(value, "no client stands below children", _line(key))
            elif key.value == "vars" and isinstance(value, yaml.MappingNode):
                remedy = "Write what all clients share in a file beside the folder clients"
                self._error(
                    _line(key), "", f"variables of {CLIENTS} itself would change every client", remedy
                )
            else:
                self._misplaced(key, f"directly below {CLIENTS}", ["children"])
        for key, value in children or ():
            self._client(key, value)
        if children and len(children) > 1:
            problem = f"the file holds several clients: {', '.join(key.value for key, _ in children)}"
            self._error(_line(children[1][0]), "", problem, "Write one file for each client")

    def _client(self, key: yaml.ScalarNode, value: yaml.Node) -> None:
        client, line, has_hosts = key.value, _line(key), False
        if not GROUP_NAME.fullmatch(client):
            remedy = f'Write "{_slug(client)}": lower-case letters without accents, digits and _'
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
                for name, _ in self._mapping(content, "no variable stands below vars", _line(part), client):
                    self._variable(name, client)
                if isinstance(content, yaml.MappingNode):
                    self._files.add(Scope(self._path, "group", client, content))
            elif part.value == "hosts":
                has_hosts = True
                for host, variables in self._mapping(
                    content, "no server stands below hosts", _line(part), client
                ):
                    self._host(client, host, variables)
            else:
                self._misplaced(part, f"directly below {client}", ["vars", "hosts"], client)
        if isinstance(value, yaml.MappingNode) and not has_hosts:
            self._error(
                line, client, "the client has no server", "Add hosts: with the name of each server below it"
            )

    def _host(self, client: str, key: yaml.ScalarNode, value: yaml.Node) -> None:
        host, line = key.value, _line(key)
        if not HOST_NAME.fullmatch(host):
            remedy = "Use letters without accents, digits, hyphens and dots, and one line for each server"
            self._error(line, client, f'"{host}" cannot be the name of a server', remedy)
        if host in self._files.clients:
            self._error(
                line, client, f'"{host}" is the name of a client', "Give the server a name of its own"
            )
        if host in self._files.hosts:
            _, other = self._files.hosts[host]
            self._error(
                line,
                client,
                f'the server "{host}" is in {other.file.name} (line {other.line}) too',
                "In a copied file, give each server a name of its own",
            )
        self._files.hosts.setdefault(host, (client, Place(self._path, line)))
        if _is_null(value):
            return
        for name, _ in self._mapping(value, "what stands below it are not variables", line, host):
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
                self._error(_line(key), who, "no such variable", f'Did you mean "{meant}"?', name)

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
        self._error(_line(key), who, f'"{name}" stands {where}', remedy)

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
        self._files.errors.append(ContractError(self._path, line, who, key, problem, remedy))


def _step(node: yaml.Node | None, step: str | int) -> tuple[yaml.Node | None, yaml.Node | None]:
    """One step into a node: the node that names the place, and the value there; or None twice."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == step:
                return key, value
    elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step], node.value[step]
    return None, None


def _twice(path: Path, node: yaml.Node, seen: frozenset[int] = frozenset()) -> Iterator[ContractError]:
    """Keys written twice in one mapping: YAML keeps the last and drops the first without a word."""
    if id(node) in seen:
        return
    seen |= {id(node)}
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _twice(path, item, seen)
    elif isinstance(node, yaml.MappingNode):
        lines: dict[str, int] = {}
        for key, value in node.value:
            name = str(key.value)
            if name in lines:
                problem = f"it is written twice in the same place, first in line {lines[name]}"
                yield ContractError(path, _line(key), "", name, problem, "Keep one of the two lines")
            lines.setdefault(name, _line(key))
            yield from _twice(path, value, seen)


def _syntax_error(path: Path, text: str, error: yaml.MarkedYAMLError) -> ContractError:
    mark = error.problem_mark or error.context_mark
    said = " ".join(filter(None, [error.context, error.problem]))
    remedy = next(
        (cure for words, cure in _YAML_REMEDIES if words in said), "Correct the line, or the one above"
    )
    lines = text.splitlines()
    if mark and mark.line < len(lines) and re.match(r" *\t", lines[mark.line]):
        remedy = "Indent with spaces, not with tabs"
    return ContractError(
        path, mark.line + 1 if mark else None, "", "", f"the file is not valid YAML: {said}", remedy
    )


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.value in ("", "~", "null")


def _slug(name: str) -> str:
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "_", ascii_name).strip("_") or "gaec_du_moulin"
