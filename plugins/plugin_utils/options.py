"""The options of an action, from the one place where they are declared: its DOCUMENTATION.

The page `plugins/modules/<action>.py` and the fragments that it names are read as text: nothing of them is
run, and Ansible's own reader takes five times as long.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from .files import COLLECTION
from .validation.lines import read_yaml

Option = Mapping[str, Any]
"""As a page writes it: description, type, default, suboptions, …"""
Options = Mapping[str, Option]

_CHECKED = ("type", "elements", "required", "default", "choices", "aliases")
"""What Ansible checks of an option; the rest of a page is for people."""
SECRET = re.compile(r"password|passphrase|secret|token|^channels$|^watchdog$")
"""A page cannot mark a secret (ansible-test forbids it), and a mark could be forgotten: the name says it."""
_OWN = "prosecours.backup."


@cache
def documented(action: str) -> Options:
    """An action's options as its page and fragments describe them: name -> description, type, default, …

    Raises OSError or LookupError where there is no such page.
    """
    page = _page(COLLECTION / "plugins" / "modules" / f"{action}.py")
    options = dict(page.get("options") or {})
    for name in page.get("extends_documentation_fragment", ()):
        fragment = COLLECTION / "plugins" / "doc_fragments" / f"{name.removeprefix(_OWN)}.py"
        options = {**_page(fragment)["options"], **options}
    return options


def _page(path: Path) -> dict[str, Any]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        match node:
            case ast.Assign(targets=[ast.Name(id="DOCUMENTATION")], value=ast.Constant(value=str() as text)):
                found: dict[str, Any] = read_yaml(text)
                return found
    raise LookupError(f"{path} has no DOCUMENTATION")


def specification(options: Options) -> dict[str, dict[str, Any]]:
    """The same options as Ansible's argument specification, which `validate_argument_spec` takes."""
    return {name: _checked(name, option) for name, option in options.items()}


def _checked(name: str, option: Option) -> dict[str, Any]:
    checked = {key: option[key] for key in _CHECKED if key in option}
    if SECRET.search(name):
        checked["no_log"] = True
    if "suboptions" in option:
        checked["options"] = specification(option["suboptions"])
    return checked
