"""The one file of the core that imports ansible: what every action plugin of the collection stands on.

An action plugin names its arguments, and turns plain arguments into a plain result in `act`. The rest is done
here, once: argument checks, conversion of ansible-core's tagged and lazy values, and the one error boundary.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from ansible import constants
from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import callback_loader

from . import journal_runs
from .session import SessionError


def plain(value: Any) -> Any:
    """A copy made of dict, list, str, int, float, bool and None only; dates and the like become text.

    ansible-core 2.19 hands over subclasses of them that carry their origin, and containers that template an
    item when it is read: `type(x) is str` fails, `yaml.safe_dump` raises, json's encoder sees no laziness.
    """
    return json.loads(json.dumps(_read(value), default=str))


def _read(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _read(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [_read(item) for item in value]
    return value


def resolve(hostvars: Mapping[str, Any], host: str, *wanted: str) -> tuple[dict[str, Any], dict[str, str]]:
    """A host's variables that begin with one of `wanted`: name -> plain value; name -> why it has none.

    One template that fails costs one variable, not all.
    """
    variables, values, failures = hostvars[host], {}, {}
    for name in variables:
        if name.startswith(wanted):
            try:
                values[str(name)] = plain(variables[name])
            except AnsibleError as error:
                failures[str(name)] = " ".join(str(error).split())
    return values, failures


def read_text(loader: DataLoader, path: Path) -> str:
    """The text of a file (UTF-8), decrypted if a vault holds it; raises OSError."""
    try:
        return str(plain(loader.get_text_file_contents(str(path))))
    except AnsibleError as error:
        raise OSError(" ".join(str(error).split())) from error


def journal_file() -> Path:
    """The journal that the callback writes: PROSECOURS_JOURNAL, ansible.cfg or its default."""
    callback = callback_loader.get("prosecours.backup.journal", class_only=True)
    value = constants.config.get_config_value(
        "journal", plugin_type="callback", plugin_name=callback._load_name
    )
    return Path(str(value))


class CoreAction(ActionBase):  # type: ignore[misc]  # ansible-core publishes no types
    """Base of the collection's actions: checks arguments, calls `act`, turns expected errors into results."""

    #: Ansible's argument spec (name -> type, required, default, ...), the same as in the documentation pair.
    ARGUMENTS: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    #: Whether it is part of an intervention, and refuses to work unless the run is journalled (C10).
    JOURNALLED: ClassVar[bool] = True
    #: What goes wrong outside this program, with a sentence for the user; anything else is shown as a bug.
    EXPECTED: ClassVar[tuple[type[Exception], ...]] = (SessionError,)

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ansible's entry point. Wrong arguments raise Ansible's own error, before `act` begins."""
        if self.JOURNALLED and not journal_runs.under_way:
            raise AnsibleError(
                "Every intervention is journalled (C10), and this run is not: the callback is not enabled."
                " Run a playbook (not the ad hoc command) with an ansible.cfg that has, below [defaults],"
                " callbacks_enabled = prosecours.backup.journal. Nothing was done."
            )
        result: dict[str, Any] = super().run(tmp, task_vars)
        specification = {name: dict(spec) for name, spec in self.ARGUMENTS.items()}
        _, arguments = self.validate_argument_spec(specification)
        try:
            result.update(self.act(plain(arguments), task_vars or {}))
        except self.EXPECTED as error:
            result.update(failure(error))
        if result.get("failed") and "exception" not in result:
            # Tells a sentence of this collection from the message of an exception (the journal asks).
            result.setdefault("error", "Refused")
        return result

    @abstractmethod
    def act(self, arguments: dict[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
        """The action itself: `arguments` are checked and plain, `variables` are Ansible's, lazy."""


def failure(error: Exception) -> dict[str, Any]:
    """The failed result of an expected error: its sentence for people, its parts and kind for programs."""
    parts = {name: getattr(error, name) for name in ("problem", "remedy") if hasattr(error, name)}
    return {"failed": True, "msg": str(error), "error": type(error).__name__, **plain(parts)}
