"""The instances of a repository host, from the contracts; documented in plugins/modules/repository.py."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..plugin_utils.ansible_adapter import CoreAction, Variables, read_text
from ..plugin_utils.contract.model import ClientContract, contracts_of
from ..plugin_utils.libraries import from_pypi
from ..plugin_utils.repository import instances as repository
from ..plugin_utils.repository.action import accesses_of

with from_pypi():
    import bcrypt


COST = 10
"""2^10 rounds, 60 ms: rest-server verifies a login once a minute, and the passwords are random."""


class ActionModule(CoreAction):
    """Decides on the controller what the module of the same name then brings about on the host."""

    def act(self, arguments: dict[str, Any], variables: Variables) -> dict[str, Any]:
        clients = contracts_of(ClientContract, arguments.pop("clients"))
        settings = repository.Settings(
            variables["inventory_hostname"],
            variables["groups"].get(repository.REPOSITORIES, []),
            arguments.pop("address"),
            arguments.pop("headroom_percent"),
        )
        accesses = accesses_of(clients, variables)
        instances = repository.instances(clients, accesses, settings)
        secrets: dict[str, Any] = {
            "htpasswd": {
                one.client: "".join(
                    password_line(one.client, server, accesses[one.client].logins[server].password.reveal())
                    for server in one.servers
                )
                for one in instances
            }
        }
        listed = [asdict(one) for one in instances]
        if arguments["state"] == "listed":
            return {"changed": False, "instances": listed}
        certificate, key = arguments.pop("certificate"), arguments.pop("key")
        if bool(certificate) != bool(key):
            return {
                "failed": True,
                "msg": "A certificate and its key belong together: give both.",
            }
        if certificate:
            arguments["certificate"] = read_text(self._loader, Path(certificate))
            secrets["key"] = read_text(self._loader, Path(key))
        if arguments["state"] == "absent":
            arguments["user"] = repository.user_name(arguments["client"])
        result: dict[str, Any] = self._execute_module(
            module_name="prosecours.backup.repository",
            module_args={
                **arguments,
                "instances": listed,
                "secrets": secrets,
            },
            task_vars=variables,
        )
        if arguments["state"] == "absent":
            gone = [change["what"] for change in result.get("changes", ())]
            result["journal"] = {"client": arguments["client"], "removed": gone}
        return result


def password_line(client: str, username: str, password: str) -> str:
    """The line of a server in its client's password file, the same at every run.

    A salt has to differ between users and providers' clients, not to be secret: it is derived from the names,
    never from the password.
    """
    raw = hashlib.sha256(f"prosecours:{client}:{username}".encode()).digest()[:16]
    text = base64.b64encode(raw).rstrip(b"=").translate(_TO_BCRYPT)
    return f"{username}:{bcrypt.hashpw(password.encode(), b'$2b$%02d$%s' % (COST, text)).decode()}\n"


_TO_BCRYPT = bytes.maketrans(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    b"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
)
"""bcrypt has an alphabet of its own for base64."""
