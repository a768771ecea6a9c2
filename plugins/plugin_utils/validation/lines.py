"""Which file and line a value stands in, and what YAML itself loses: keys written twice, why it is no YAML.

A date is the text that stands there; nothing is resolved.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from .mistakes import Mistake, PlacedMistake, Way

VARIABLE_FOLDERS = ("group_vars", "host_vars")
"""Folders that an inventory may have beside its files (Ansible's names)."""

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml where PyYAML was built with it, ten times as fast."""
_UNDATED = type(
    "Undated",
    (LOADER,),
    {
        "yaml_implicit_resolvers": {
            letter: [rule for rule in rules if rule[0] != "tag:yaml.org,2002:timestamp"]
            for letter, rules in LOADER.yaml_implicit_resolvers.items()
        }
    },
)
"""The same, for which a date is text: YAML makes objects of them, and raises for the 30th of February."""
DEEPEST = 50
"""Levels of a document that people write."""
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
"""What YAML's parser says -> what to do."""


def read_yaml(text: str) -> Any:
    """The data of a file of the collection itself. What a user wrote is read with its lines."""
    return yaml.load(text, Loader=LOADER)  # noqa: S506 -- a safe one


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
            key, node = enter(node, step)
            if key is None:
                break
            found = line_of(key)
        return found

    def near(self, way: Way, line: int) -> int:
        """The line of the key of a value that begins in `line`, if the variable holds it itself."""
        own = enter(self.node, way[0])[1]
        return (own and covers(own, line) and self.line(way)) or line

    def concerned(self, host: str, group: str) -> str:
        """Whom it is said of: what stands in the variables of a group, once for all its servers."""
        return host if self.kind == "host" else group


def document(path: Path, text_of: Callable[[Path], str]) -> tuple[Scope | None, Any, list[PlacedMistake]]:
    """One YAML file that is no inventory: where its parts stand, its plain value, what is wrong with it.

    A date is the text that stands there.
    """
    text = ""
    try:
        text = text_of(path)
        node = yaml.compose(text, Loader=LOADER)
        value = yaml.load(text, Loader=_UNDATED)  # noqa: S506 -- a safe one
    except yaml.MarkedYAMLError as error:
        return None, None, [syntax_error(path, text, error)]
    except OSError as error:
        remedy = "Correct the path, or the rights of the file"
        return None, None, [PlacedMistake(path, None, "", "", f"the file cannot be read: {error}", remedy)]
    except (UnicodeError, ValueError, yaml.reader.ReaderError):
        problem, remedy = "the file is not YAML in UTF-8", "Save it again with the encoding UTF-8"
        return None, None, [PlacedMistake(path, None, "", "", problem, remedy)]
    if not isinstance(node, yaml.MappingNode):
        problem, remedy = "the file holds no keys", "Write a key, a colon and a value on each line"
        return None, None, [PlacedMistake(path, None, "", "", problem, remedy)]
    if (part := _too_deep(node)) is not None:
        problem = "it is nested too deeply, or an alias (*) stands within what it names"
        return None, None, [PlacedMistake(path, line_of(part), "", "", problem, "Write out what is meant")]
    return Scope(path, "document", path.name, node), value, list(twice(path, node))


def _too_deep(node: yaml.Node) -> yaml.Node | None:
    """A part that lies deeper than people write, which whoever walks through the document would not come out
    of. By an alias (*) within what it names, any document is so deep."""
    done: set[int] = set()

    def visit(one: yaml.Node, depth: int) -> yaml.Node | None:
        if depth > DEEPEST:
            return one
        inside = one.value if isinstance(one, yaml.CollectionNode) and id(one) not in done else ()
        parts = (part for item in inside for part in (item if isinstance(item, tuple) else (item,)))
        found = next((deep for part in parts if (deep := visit(part, depth + 1)) is not None), None)
        done.add(id(one))
        return found

    return visit(node, 0)


def placed(scope: Scope, mistake: Mistake) -> PlacedMistake:
    """A mistake of such a file, with its line."""
    key = ""
    for step in mistake.way:
        key += f", entry {step + 1}" if isinstance(step, int) else f".{step}" if key else step
    return PlacedMistake(scope.file, scope.line(mistake.way), "", key, mistake.problem, mistake.remedy)


def enter(node: yaml.Node | None, step: str | int) -> tuple[yaml.Node | None, yaml.Node | None]:
    """One step into a node: the node that names the place, and the value there; or None twice."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == step:
                return key, value
    elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step], node.value[step]
    return None, None


def covers(node: yaml.Node, line: int) -> bool:
    """Whether a line (from 1) is one of a node's. A block ends where the next token begins."""
    start, end = node.start_mark.line + 1, node.end_mark.line + 1
    return start <= line < end or line == start or (line == end and getattr(node, "flow_style", False))


def twice(path: Path, node: yaml.Node, seen: frozenset[int] = frozenset()) -> Iterator[PlacedMistake]:
    """Keys written twice in one mapping: YAML keeps the last and drops the first without a word."""
    if id(node) in seen:
        return
    seen |= {id(node)}
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from twice(path, item, seen)
    elif isinstance(node, yaml.MappingNode):
        lines: dict[str, int] = {}
        for key, value in node.value:
            name = str(key.value)
            if name in lines:
                problem = f"it is written twice in the same place, first in line {lines[name]}"
                yield PlacedMistake(path, line_of(key), "", name, problem, "Keep one of the two lines")
            lines.setdefault(name, line_of(key))
            yield from twice(path, value, seen)


def syntax_error(path: Path, text: str, error: yaml.MarkedYAMLError) -> PlacedMistake:
    mark = error.problem_mark or error.context_mark
    said = " ".join(filter(None, [error.context, error.problem]))
    remedy = next(
        (cure for words, cure in _YAML_REMEDIES if words in said), "Correct the line, or the one above"
    )
    lines = text.splitlines()
    if mark and mark.line < len(lines) and re.match(r" *\t", lines[mark.line]):
        remedy = "Indent with spaces, not with tabs"
    return PlacedMistake(
        path, mark.line + 1 if mark else None, "", "", f"the file is not valid YAML: {said}", remedy
    )


def line_of(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
