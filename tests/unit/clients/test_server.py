"""A rename that would cost the history is refused before anything is moved."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.prosecours.backup.plugins.plugin_utils.clients import server
from ansible_collections.prosecours.backup.plugins.plugin_utils.clients.draft import Inventory
from support.inventory import client, repository_host, write

OWN = {
    "prosecours_root": "D:\\",
    "prosecours_software": ["isapawp"],
    "prosecours_encryption_password": "kept-as-it-is-here",
    "prosecours_repository_password": "kept-as-it-is-there",
}


def inventory(folder: Path, *, host: bool = True, **own: str) -> Inventory:
    given: dict[str, Any] = {"old": {**OWN, **own}}
    write(folder / "inventory" / "clients" / "ferme.yml", client("ferme", "rest:https://depot:8041/", given))
    if host:
        write(folder / "inventory" / "repositories.yml", repository_host(folder))
    return Inventory((folder / "inventory",), folder, folder / "documents")


def plan(where: Inventory) -> server.Plan:
    def vault(text: str) -> str:
        raise AssertionError(text)

    return server.plan(where, server.Asked("old", "new"), date(2026, 11, 27), vault)


def test_passwords_that_stand_below_the_server_stay(tmp_path: Path) -> None:
    planned = plan(inventory(tmp_path))
    assert (planned.client, planned.host) == ("ferme", "depot")
    assert planned.after.replace("new:", "old:") == planned.before


@pytest.mark.parametrize("name", ["encryption", "repository"])
def test_passwords_that_would_change_with_the_name_are_refused(name: str, tmp_path: Path) -> None:
    made = {f"prosecours_{name}_password": "password-of-{{ inventory_hostname }}"}
    with pytest.raises(server.Refused, match=r"are made of its name: new would have others.*in the vault"):
        plan(inventory(tmp_path, host=True, **made))


def test_a_server_that_another_file_names_too_is_not_left_there_behind(tmp_path: Path) -> None:
    where = inventory(tmp_path)
    write(tmp_path / "inventory" / "domain.yml", {"kerberos": {"hosts": {"old": {"ansible_user": "x"}}}})
    with pytest.raises(server.Refused, match=r"stands in another file of the inventory too.*client's file"):
        plan(where)


def test_without_a_host_there_is_nowhere_to_move_its_repository(tmp_path: Path) -> None:
    with pytest.raises(server.Refused, match=r"no repository host, where what ferme has sent could be moved"):
        plan(inventory(tmp_path, host=False))
