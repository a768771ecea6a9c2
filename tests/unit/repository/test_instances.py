"""Contracts -> instances: what each repository host has to run, or why it cannot."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

import bcrypt
import pytest
from ansible_collections.prosecours.backup.plugins.action.repository import password_line
from ansible_collections.prosecours.backup.plugins.module_utils.bucket import place, policy
from ansible_collections.prosecours.backup.plugins.plugin_utils.repository import (
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

ONE = Settings("depot", ["depot"])


def variables(**given: Any) -> dict[str, Any]:
    """A client's own variables; `given` without the prefix."""
    own = {
        "url": "rest:https://sauvegarde.example:8042/moulin/",
        "username": "moulin",
        "password": "secret",
        **given,
    }
    return {f"prosecours_repository_{name}": value for name, value in own.items()}


def decided(settings: Settings = ONE, **clients: dict[str, Any]) -> list[Instance]:
    contracts = {client: {"subscribed_gb": 200, "hosts": [f"{client}-srv"]} for client in clients}
    return instances(contracts, clients, settings)


def test_one_client() -> None:
    assert decided(moulin=variables()) == [
        Instance(
            client="moulin",
            user="ps-moulin",
            username="moulin",
            listen=":8042",
            name="sauvegarde.example",
            repository="moulin",
            max_bytes=400 * 10**9,
        )
    ]


def test_address_port_and_room_are_settings() -> None:
    behind = variables(url="rest:https://moulin.example/moulin/v2/", port=8042, headroom_percent=50)
    [one] = decided(Settings("depot", ["depot"], "10.0.0.7", 300), moulin=behind)
    assert (one.listen, one.name, one.repository) == ("10.0.0.7:8042", "moulin.example", "moulin/v2")
    assert one.max_bytes == 300 * 10**9
    [one] = decided(Settings("depot", ["depot"], "10.0.0.7", 0), moulin=variables())
    assert one.max_bytes == 200 * 10**9


def test_each_host_runs_its_own_clients() -> None:
    clients = {
        "a": variables(url="rest:https://x.example:8042/a/", username="a", host="east"),
        "b": variables(url="rest:https://x.example:8042/b/", username="b", host="west"),
        "c": variables(url="rest:https://x.example:8043/c/", username="c", host="west"),
    }
    hosts = ["east", "west", "spare"]
    found = {host: [one.client for one in decided(Settings(host, hosts), **clients)] for host in hosts}
    assert found == {"east": ["a"], "west": ["b", "c"], "spare": []}


@pytest.mark.parametrize(
    ("own", "problem"),
    [
        (variables(host="depott"), 'moulin: prosecours_repository_host: "depott" is not in the group'),
        (variables(url="rest:https://x.example/moulin/"), "would listen at port 443, which only root may"),
        (variables(url="rest:https://x.example:99999/moulin/"), "would listen at port 0"),
        (variables(url="rest:https://x.example:8042/other/"), "its path is not private to the client"),
        (variables(url="rest:https://x.example:8042/"), "its path is not private to the client"),
        (variables(url="rest:https://x.example:8042/moulin/a/b/"), "its path is not private to the client"),
        (variables(url="rest:https://x.example:8042/moulin/locks/"), "its path is not private to the client"),
        (variables(url="rest:https://x.example:8042/moulin/../"), "its path is not private to the client"),
        (variables(username="data", url="rest:https://x.example:8042/data/"), "does not take it as a name"),
        (variables(username="a!b", url="rest:https://x.example:8042/a!b/"), "does not take it as a name"),
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
            a=variables(url="rest:https://x.example:8042/a/", username="a", host="west"),
            b=variables(url="rest:https://x.example:8042/b/", username="b", host="west"),
            c=variables(url="rest:https://x.example:8043/c/", username="c"),
            d=variables(url="rest:https://x.example:8044/c/", username="d", host="east", password="x" * 73),
        )
    assert [(one.client, one.variable.rpartition("_")[2]) for one in refused.value.problems] == [
        ("b", "url"),
        ("c", "host"),
        ("d", "url"),
        ("d", "password"),
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
    for client in ("moulin", "gue", "bois"):
        own[client] |= {"prosecours_repository_host": "depot"}
    assert [one.client for one in decided(settings, **own)] == ["moulin"]
    contracts = {
        client: {"subscribed_gb": 1, "hosts": [], "reference": client, "retention": {"daily": 7, "weekly": 2}}
        for client in own
    }
    found = remotes(contracts, own, settings)
    assert found == [
        Remote("bois", "s3:https://s3.example/bois", "arn:aws:iam::1:user/b", ""),
        Remote("gue", "s3:https://s3.example/gue/sub", "AKIA1", "PEM"),
    ]
    [_, order] = orders(found, contracts, PurePosixPath("/srv"))
    assert order["path"] == "s3:https://s3.example/gue/sub"
    assert order["bucket"] == {"location": order["path"], "principal": "AKIA1", "ca": "PEM"}


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
def test_a_policy_lets_add_and_never_delete(closed: bool) -> None:
    rules = policy(place("s3:https://s3.example/moulin/sub"), "AKIA", closed)
    allowed = {
        (action, resource)
        for one in rules["Statement"]
        if one["Effect"] == "Allow"
        for action in one["Action"]
        for resource in one["Resource"]
    }
    inside = "arn:aws:s3:::moulin/sub"
    assert allowed == {
        ("s3:ListBucket", "arn:aws:s3:::moulin"),
        ("s3:GetBucketLocation", "arn:aws:s3:::moulin"),
        ("s3:GetObject", f"{inside}/*"),
        ("s3:PutObject", f"{inside}/locks/*" if closed else f"{inside}/*"),
        ("s3:DeleteObject", f"{inside}/locks/*"),
    }
    assert {tuple(one["Principal"]["AWS"]) for one in rules["Statement"]} == {("AKIA",)}
