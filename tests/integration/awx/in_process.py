"""An action that runs a module of awx.awx where it stands: a process for each of forty takes a minute.

Copied by the tests into a copy of that collection, under the name of each of its modules.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
from typing import Any

from ansible.module_utils.testing import patch_module_args
from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core publishes no types
    """Ansible calls `run` in a process of the task's own."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        module = importlib.import_module(
            f"ansible_collections.awx.awx.plugins.modules.{self._task.action.split('.')[-1]}"
        )
        printed = io.StringIO()
        arguments = {**self._task.args, "_ansible_check_mode": self._task.check_mode}
        with (
            patch_module_args(json.loads(json.dumps(arguments))),
            contextlib.redirect_stdout(printed),
            contextlib.suppress(SystemExit),
        ):
            module.main()
        result: dict[str, Any] = json.loads(printed.getvalue())
        return result
