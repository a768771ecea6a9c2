"""What a module is told that looks after the repository of one server; the controller's half is
`module_arguments` of plugin_utils/repository/action.py. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from .bucket import use
from .fleet import Client, Settings, repository_of, state_of
from .repository import Repository
from .state import State

SPECIFICATION: Mapping[str, Mapping[str, Any]] = {
    "order": {"type": "dict", "required": True},
    "server": {"type": "str", "required": True},
    "password": {"type": "str", "no_log": True, "required": True},
    "s3": {"type": "dict", "no_log": True, "required": True},
    "settings": {"type": "dict", "required": True},
}


class OneServer(NamedTuple):
    """A server of a client of this host, its repository and what is remembered of it."""

    client: Client
    server: str
    settings: Settings
    repository: Repository
    state: State


def one_server(given: Mapping[str, Any]) -> OneServer:
    """Of a module's parameters. Raises ProSecoursError."""
    use(given["s3"])
    client, settings, server = Client(**given["order"]), Settings(**given["settings"]), given["server"]
    repository = repository_of(client, server, given["password"], settings)
    return OneServer(client, server, settings, repository, state_of(client, settings, server))
