"""The program that a timer of the repository host starts.

    python3 -m maintenance /etc/prosecours/.retention/settings.json

It needs no controller: it reads what the playbook left there (who has which repository, what is promised) and
each server's encryption password from a file of its own. It says a line for each client.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

from .fleet import Client, Settings, maintain
from .state import State


def main() -> int:
    """Exit code 1 when a client failed, or needs a look."""
    if len(sys.argv) != 2:
        print("Usage: python3 -m maintenance SETTINGS.json", file=sys.stderr)
        return 2
    given = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    clients = [Client(**one) for one in given["clients"]]
    passwords = Path(given["settings"]["config"])

    def password_of(client: str, server: str) -> str:
        return (passwords / client / "encryption-passwords" / server).read_text("utf-8").rstrip("\n")

    def say(text: str) -> None:
        print(text, flush=True)

    # A deploy may have raised the number, or changed a perimeter, since the settings were written here.
    for number, client in enumerate(clients):
        client = clients[number] = replace(client, perimeters={})
        usage = State(Path(given["settings"]["state_folder"], client.client)).usage()
        if usage:
            clients[number] = replace(client, subscribed_gb=usage.subscribed_gb)
    outcome = maintain(clients, password_of, Settings(**given["settings"]), check=False, say=say)
    return int(bool(outcome.failures) or any(outcome.worries.values()))


if __name__ == "__main__":
    sys.exit(main())
