"""Fill in what the roles say of an option that they pass to an action of the collection: `make options`.

An option is declared once, in the page of its action (plugins/modules). A role's tasks say which of its
variables become which options; their description, type, choices and default in `meta/argument_specs.yml`
come from there, and `defaults/main.yml` from all that the file says. What no action takes stays as it is
written. Nothing else is changed; who wishes for no change, but to know (a test), calls `wanted`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT / "build" / "collections"))
from ansible_collections.prosecours.backup.plugins.plugin_utils import options  # noqa: E402

OWN = "prosecours.backup."
# How a task hands a variable on: as it is, if it has a value, if it is there, or as another host has it.
PASSED = re.compile(
    r"{{ (?:hostvars\[\w+\]\.\w+ \| default\((\w+)\)|(\w+)( or omit| \| default\(omit\))?) }}"
)
DEFAULTS = """\
---
# Made by `make options` of meta/argument_specs.yml.
# Settings that a technician sees share the prefix of the contract, whichever role reads them.
"""
WIDTH = 120
FOLD = 100  # PyYAML breaks a line at the first space after it


def wanted() -> dict[Path, str]:
    """The files as they should be. Raises SystemExit with a sentence where two declarations disagree."""
    files: dict[Path, str] = {}
    seen: dict[str, tuple[str, Any]] = {}
    for path in sorted(CHECKOUT.glob("roles/*/meta/argument_specs.yml")):
        role = path.parents[1]
        text = path.read_text("utf-8")
        specs = yaml.safe_load(text)
        defaults: dict[str, Any] = {}
        for point, spec in specs["argument_specs"].items():
            _fill(spec.setdefault("options", {}), role, point)
            for name, option in spec["options"].items():
                if "default" in option:
                    defaults[name] = option["default"]
                    where, other = seen.setdefault(name, (role.name, option["default"]))
                    if other != option["default"]:
                        raise SystemExit(
                            f"{name} has another default in the role {role.name} than in {where}"
                        )
        head = text[: text.index("argument_specs:")]
        files[path] = head + _dumped(specs)
        if defaults:
            lines = (_dumped({name: value}) for name, value in defaults.items())
            files[role / "defaults" / "main.yml"] = DEFAULTS + "".join(map(_line, lines))
    return files


def _fill(own: dict[str, Any], role: Path, point: str) -> None:
    """Puts into the options of an entry point what the actions say that its tasks call."""
    passed = list(_passed(yaml.safe_load((role / "tasks" / f"{point}.yml").read_text("utf-8"))))
    for variable, action, name, how in reversed(passed):  # the first that takes it describes it
        of_action = {there: here for here, called, there, _how in passed if called == action}
        option = _adapted(options.documented(action)[name], of_action)
        default = own.get(variable, {}).get("default")
        if how == " or omit" or "default" not in option:
            option.pop("required", None)
            option.pop("default", None)
            if how == " or omit":
                option["default"] = default or ""
            elif default is not None:
                option["default"] = default  # the role's own, where the action has none
            elif not how:
                option["required"] = True
        if options.SECRET.search(name):
            option["no_log"] = True
        own[variable] = option


def _passed(tasks: list[Any]) -> Iterator[tuple[str, str, str, str]]:
    """(variable, action, option, how) of each variable that tasks pass to an action of the collection."""
    for task in tasks:
        for key, value in task.items():
            if key in ("block", "rescue", "always"):
                yield from _passed(value)
            elif key.startswith(OWN) and isinstance(value, dict):
                for name, expression in value.items():
                    found = PASSED.fullmatch(str(expression))
                    variable = (found[1] or found[2]) if found else ""
                    if found and variable.startswith("prosecours_"):
                        yield variable, key.removeprefix(OWN), name, found[3] or ""


def _adapted(option: options.Option, names: Mapping[str, str]) -> dict[str, Any]:
    """An action's option as one of a role: its neighbours have other names, and secrets have to be marked."""

    def named(text: str) -> str:
        return re.sub(r"O\((\w+)\)", lambda found: f"O({names.get(found[1], found[1])})", text)

    said = option["description"]
    adapted = {
        "description": named(said) if isinstance(said, str) else [named(one) for one in said],
        **{key: value for key, value in option.items() if key not in ("description", "suboptions")},
    }
    if "suboptions" in option:
        adapted["options"] = {
            name: _adapted(one, {}) | ({"no_log": True} if options.SECRET.search(name) else {})
            for name, one in option["suboptions"].items()
        }
    return adapted


class _Dumper(yaml.SafeDumper):
    """YAML as yamllint wants it, and as one would write it: long texts folded, short lists on one line."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = '"' if not text else ">" if len(text) > WIDTH - 21 else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _list(dumper: yaml.SafeDumper, items: list[Any]) -> yaml.SequenceNode:
    short = sum(len(str(item)) + 2 for item in items) < WIDTH // 2
    return dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=short)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(list, _list)


def _dumped(content: Any) -> str:
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=FOLD)


def _line(text: str) -> str:
    """A setting, told to ansible-lint: without the prefix of its role."""
    return re.sub(r"\n", "  # noqa: var-naming[no-role-prefix]\n", text, count=1)


def main() -> None:
    for path, text in wanted().items():
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
            print(f"written: {path.relative_to(CHECKOUT)}")


if __name__ == "__main__":
    main()
