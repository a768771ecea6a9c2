"""What the actions share that read what a client asked for by e-mail, from a file that a technician wrote."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from ..ansible_adapter import CoreAction, Variables
from ..contract.model import ClientContract, HostContract, contracts_of
from ..wording import plural


class RequestAction(CoreAction):
    """Reads and validates on the controller; no host is touched."""

    _requires_connection = False
    load: ClassVar[Callable[..., tuple[Any, list[Any]]]]
    """As restore.request.load."""
    refused: ClassVar[str]
    """What the failure says at its end."""

    def act(
        self,
        arguments: dict[str, Any],
        variables: Variables,  # noqa: ARG002 -- every action is given them
    ) -> dict[str, Any]:
        """The result's `request`; with errors, their list is shown and counted."""
        found, errors = self.load(
            # Relative to where the technician stands, not to the playbook.
            Path.cwd() / Path(arguments["path"]).expanduser(),
            self.text_of,
            contracts_of(ClientContract, arguments["clients"]),
            contracts_of(HostContract, arguments["hosts"]),
            datetime.now(UTC),
        )
        if found is None:
            count = plural(len(errors), "error")
            told = self.listed(errors, f"{count} in the request, listed above. {self.refused}")
            return told | {"errors": [f"{error.problem}. {error.remedy}." for error in errors]}
        return {"changed": False, "request": found.data()}
