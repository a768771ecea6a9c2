"""The instances of a repository host, from the contracts; documented in plugins/modules/repository.py."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import bcrypt

from ..plugin_utils import repository
from ..plugin_utils.ansible_adapter import CoreAction, read_text, resolve

#: 2^10 rounds, 60 ms: rest-server verifies a login once a minute, and the passwords are random.
COST = 10


class ActionModule(CoreAction):
    """Decides on the controller what the module of the same name then brings about on the host."""

    ARGUMENTS = {
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "clients": {"type": "dict", "default": {}},
        "client": {"type": "str"},
        "data": {"type": "str", "default": "/srv/prosecours"},
        "config": {"type": "str", "default": "/etc/prosecours"},
        "program": {"type": "str", "default": "/usr/local/lib/prosecours/rest-server"},
        "program_sha256": {"type": "str"},
        "address": {"type": "str", "default": ""},
        "headroom_percent": {"type": "int", "default": 100},
        "certificate": {"type": "path"},
        "key": {"type": "path"},
        "certificate_days": {"type": "int", "default": 825},
        "renew_days": {"type": "int", "default": 60},
        "supervision": {"type": "str", "choices": ["systemd", "supervisor"], "default": "systemd"},
        "supervisord": {"type": "str", "default": ""},
    }
    EXPECTED = (repository.RepositoryError,)

    def act(self, arguments: dict[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
        clients = arguments.pop("clients")
        settings = repository.Settings(
            variables["inventory_hostname"],
            variables["groups"].get(repository.REPOSITORIES, []),
            arguments.pop("address"),
            arguments.pop("headroom_percent"),
        )
        # One client's variables are the same at all its servers: the contract's validation saw to it.
        own = {
            client: resolve(variables["hostvars"], contract["hosts"][0], "prosecours_repository_")[0]
            for client, contract in clients.items()
        }
        instances = repository.instances(clients, own, settings)
        secrets: dict[str, Any] = {
            "htpasswd": {
                one.client: password_line(
                    one.client, one.username, own[one.client]["prosecours_repository_password"]
                )
                for one in instances
            }
        }
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
                "instances": [asdict(one) for one in instances],
                "secrets": secrets,
            },
            task_vars=variables,
        )
        if arguments["state"] == "absent":
            gone = [change["what"] for change in result.get("changes", ())]
            result["journal"] = {"client": arguments["client"], "removed": gone}
        return result


def password_line(client: str, username: str, password: str) -> str:
    """The one line of a client's password file, the same at every run.

    A salt has to differ between users and providers' clients, not to be secret: it is derived from the names,
    never from the password.
    """
    raw = hashlib.sha256(f"prosecours:{client}:{username}".encode()).digest()[:16]
    text = base64.b64encode(raw).rstrip(b"=").translate(_TO_BCRYPT)
    return f"{username}:{bcrypt.hashpw(password.encode(), b'$2b$%02d$%s' % (COST, text)).decode()}\n"


#: bcrypt has an alphabet of its own for base64.
_TO_BCRYPT = bytes.maketrans(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    b"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
)
