"""The model takes what the action `contract` returns, gives the same back, and says what is none."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from ansible_collections.prosecours.backup.plugins.plugin_utils.contract.model import (
    ClientContract,
    Contact,
    Entry,
    HostContract,
    NoContract,
    contracts_of,
)

from .conftest import Inventory
from .contracts import OF_HOST


def test_a_result_is_read_and_given_back_whole(inventory: Inventory) -> None:
    found = inventory.check()
    clients, hosts = contracts_of(ClientContract, found.clients), contracts_of(HostContract, found.hosts)
    assert {name: one.plain() for name, one in clients.items()} == found.clients
    assert {name: one.plain() for name, one in hosts.items()} == found.hosts
    moulin = hosts["moulin-srv1"]
    assert moulin.perimeter[1] == Entry("isagiwf_giw", r"D:\isagiwf\B????.GIW", "pattern")
    assert [contact.first_name for contact in moulin.contacts] == ["Élodie", "Gaëtan"]
    assert [type(contact) for contact in hosts["lac-srv"].contacts] == [Contact]
    with pytest.raises(FrozenInstanceError):
        moulin.host = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"subscribed_gb": "200"}, '"subscribed_gb" is missing from it, or of another type'),
        ({"client": {"id": "x", "name": "X"}}, '"client.reference" is missing'),
        ({"perimeter": "D:\\"}, '"perimeter" is missing from it, or of another type'),
        ({"contacts": {"main": None, "substitute": None}}, '"contacts.main" is missing'),
    ],
)
def test_something_else_is_refused_in_a_sentence(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(NoContract) as refused:
        HostContract.from_plain({**OF_HOST, **changes})
    assert says in str(refused.value)
    assert refused.value.remedy.startswith("Run prosecours.backup.contract first")


def test_nothing_at_all_is_no_contract() -> None:
    with pytest.raises(NoContract, match="it is none"):
        ClientContract.from_plain(None)
