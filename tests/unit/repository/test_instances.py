"""Contracts -> instances: what each repository host has to run, or why it cannot."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

import bcrypt
import pytest
from ansible_collections.prosecours.backup.plugins.action.repository import password_line
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.bucket import place, policy
from ansible_collections.prosecours.backup.plugins.plugin_utils.repository.instances import (
    Access,
    Instance,
    Remote,
    RepositoryError,
    Settings,
    instances,
    max_bytes,
    orders,
    remotes,
    user_name,
)
from unit.contract.contracts import client

ONE = Settings("depot", ["depot"])


def variables(**given: Any) -> dict[str, Any]:
    """A server's own variables; `given` without the prefix."""
    own = {"url": "rest:https://sauvegarde.example:8042/", "password": "secret", **given}
    return {f"prosecours_repository_{name}": value for name, value in own.items()}


def accesses(own: Mapping[str, dict[str, Any]]) -> dict[str, Access]:
    """Of clients with one server each."""
    return {name: Access.from_variables({f"{name}-srv": values}) for name, values in own.items()}


def decided(settings: Settings = ONE, **clients: dict[str, Any]) -> list[Instance]:
    contracts = {name: client(id=name, hosts=[f"{name}-srv"]) for name in clients}
    return instances(contracts, accesses(clients), settings)


def test_one_client() -> None:
    assert decided(moulin=variables()) == [
        Instance(
            client="moulin",
            user="ps-moulin",
            servers=("moulin-srv",),
            listen=":8042",
            name="sauvegarde.example",
            max_bytes=400 * 10**9,
        )
    ]


def test_address_port_and_room_are_settings() -> None:
    behind = variables(url="rest:https://moulin.example/", port=8042, headroom_percent=50)
    [one] = decided(Settings("depot", ["depot"], "10.0.0.7", 300), moulin=behind)
    assert (one.listen, one.name) == ("10.0.0.7:8042", "moulin.example")
    assert one.max_bytes == 300 * 10**9
    [one] = decided(Settings("depot", ["depot"], "10.0.0.7", 0), moulin=variables())
    assert one.max_bytes == 200 * 10**9


def test_each_host_runs_its_own_clients() -> None:
    clients = {
        "a": variables(url="rest:https://x.example:8042/", host="east"),
        "b": variables(url="rest:https://x.example:8042/", host="west"),
        "c": variables(url="rest:https://x.example:8043/", host="west"),
    }
    hosts = ["east", "west", "spare"]
    found = {host: [one.client for one in decided(Settings(host, hosts), **clients)] for host in hosts}
    assert found == {"east": ["a"], "west": ["b", "c"], "spare": []}


@pytest.mark.parametrize(
    ("own", "problem"),
    [
        (variables(host="depott"), 'moulin: prosecours_repository_host: "depott" is not in the group'),
        (variables(url="rest:https://x.example/"), "would listen at port 443, which only root may"),
        (variables(url="rest:https://x.example:99999/"), "would listen at port 0"),
        (variables(password="é" * 37), "it is longer than 72 bytes"),
    ],
)
def test_what_cannot_be(own: dict[str, Any], problem: str) -> None:
    with pytest.raises(RepositoryError) as refused:
        decided(moulin=own)
    assert problem in str(refused.value)
    assert str(refused.value).endswith((".", "?"))
    assert own["prosecours_repository_password"] not in str(refused.value)


def test_all_problems_of_all_clients_at_once() -> None:
    with pytest.raises(RepositoryError) as refused:
        decided(
            Settings("east", ["east", "west"]),
            a=variables(url="rest:https://x.example:8042/", host="west"),
            b=variables(url="rest:https://x.example:8042/", host="west"),
            c=variables(url="rest:https://x.example:8043/"),
            d=variables(url="rest:https://x.example:8044/", host="east", password="x" * 73),
        )
    assert [(one.client, one.variable.rpartition("_")[2]) for one in refused.value.problems] == [
        ("b", "url"),
        ("c", "host"),
        ("d-srv", "password"),
    ]
    assert 'the client "a" has the port 8042 at west too' in str(refused.value)


def test_the_name_of_a_user_is_short_and_its_own() -> None:
    long = "gaec_des_trois_chenes_et_de_la_grande_plaine"
    names = {user_name(client) for client in ("moulin", long, f"{long}_2")}
    assert len(names) == 3
    assert all(len(name) <= 32 for name in names)
    assert user_name(long).startswith("ps-gaec_des_trois_chene")


@pytest.mark.parametrize(
    ("gb", "percent", "expected"), [(1, 0, 10**9), (200, 100, 4 * 10**11), (3, 50, 45 * 10**8)]
)
def test_the_limit_is_in_bytes(gb: int, percent: int, expected: int) -> None:
    assert max_bytes(gb, percent) == expected


def test_a_password_line_is_stable_and_good() -> None:
    line = password_line("moulin", "login", "secret")
    assert line == password_line("moulin", "login", "secret")
    name, hashed = line.rstrip("\n").split(":")
    assert name == "login"
    assert hashed.startswith("$2b$10$")
    assert bcrypt.checkpw(b"secret", hashed.encode())
    assert not bcrypt.checkpw(b"Secret", hashed.encode())
    salts = {password_line(*who, "secret").split("$")[3][:22] for who in (("a", "x"), ("b", "x"), ("a", "y"))}
    assert len(salts) == 3
    # The salt says nothing of the password.
    assert (
        password_line("a", "x", "one").split("$")[3][:22] == password_line("a", "x", "two").split("$")[3][:22]
    )


# -- buckets (C20) --------------------------------------------------------------------------------------


def test_a_client_with_a_bucket_has_no_instance() -> None:
    own = {
        "moulin": variables(),
        "gue": variables(url="s3:https://s3.example/gue/sub/", username="AKIA1", ca="PEM"),
        "bois": variables(
            url="s3:https://s3.example/bois", username="AKIA2", principal="arn:aws:iam::1:user/b"
        ),
        "west": variables(url="s3:https://s3.example/west", username="AKIA3", host="west"),
    }
    settings = Settings("depot", ["depot", "west"])
    for name in ("moulin", "gue", "bois"):
        own[name] |= {"prosecours_repository_host": "depot"}
    assert [one.client for one in decided(settings, **own)] == ["moulin"]
    contracts = {name: client(id=name, subscribed_gb=1) for name in own}
    found = remotes(contracts, accesses(own), settings)
    assert found == [
        Remote("bois", "s3:https://s3.example/bois", {"bois-srv": "arn:aws:iam::1:user/b"}, ""),
        Remote("gue", "s3:https://s3.example/gue/sub", {"gue-srv": "AKIA1"}, "PEM"),
    ]
    [_, order] = orders(found, contracts, PurePosixPath("/srv"))
    assert order["servers"] == {"gue-srv": "s3:https://s3.example/gue/sub/gue-srv"}
    assert order["bucket"] == {
        "location": "s3:https://s3.example/gue/sub",
        "keys": {"gue-srv": "AKIA1"},
        "ca": "PEM",
    }


def test_where_the_repositories_of_a_client_are_on_its_host() -> None:
    """One process; in it a login and a folder for each server."""
    own = {"srv1": variables(), "sql": variables()}
    access = {"moulin": Access.from_variables(own)}
    contracts = {"moulin": client(id="moulin", hosts=list(own))}
    [one] = instances(contracts, access, ONE)
    assert one.servers == ("srv1", "sql")
    [order] = orders([one], contracts, PurePosixPath("/srv"))
    assert order["top"] == "/srv/moulin"
    assert order["servers"] == {"srv1": "/srv/moulin/srv1", "sql": "/srv/moulin/sql"}


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("s3:https://s3.example/moulin/other", 'the client "moulin" has the bucket moulin too'),
        ("s3:s3.amazonaws.com/bucket", "it names no bucket"),
    ],
)
def test_a_bucket_belongs_to_one_client(url: str, says: str) -> None:
    with pytest.raises(RepositoryError) as caught:
        decided(
            moulin=variables(url="s3:https://s3.example/moulin", username="A"),
            zoe=variables(url=url, username="B"),
        )
    assert says in str(caught.value)


@pytest.mark.parametrize("closed", [False, True])
def test_a_policy_lets_each_server_add_to_its_own_and_never_delete(closed: bool) -> None:
    """Once a repository is made, here that of sql, nothing but what a backup adds."""
    where, keys = place("s3:https://s3.example/moulin/sub"), {"srv1": "AKIA", "sql": "AKIB"}
    rules = policy(where, keys, closed, made=["sql"])
    allowed = {
        (key, action, resource)
        for one in rules["Statement"]
        if one["Effect"] == "Allow"
        for key in one["Principal"]["AWS"]
        for action in one["Action"]
        for resource in one["Resource"]
    }
    bucket = "arn:aws:s3:::moulin"
    own = {"AKIA": f"{bucket}/sub/srv1", "AKIB": f"{bucket}/sub/sql"}
    added = {"AKIA": [""], "AKIB": ["data/", "index/", "locks/", "snapshots/"]}
    assert allowed == {
        right
        for key, inside in own.items()
        for right in (
            (key, "s3:ListBucket", bucket),
            (key, "s3:GetBucketLocation", bucket),
            (key, "s3:GetObject", f"{inside}/*"),
            (key, "s3:DeleteObject", f"{inside}/locks/*"),
            *((key, "s3:PutObject", f"{inside}/{name}*") for name in (["locks/"] if closed else added[key])),
        )
    }
