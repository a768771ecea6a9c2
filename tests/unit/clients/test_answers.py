"""What is said of a new client: a technician's file, and an annex that comes from outside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.prosecours.backup.plugins.plugin_utils.clients import answers
from ansible_collections.prosecours.backup.plugins.plugin_utils.clients.answers import BadAnnex, Wanted

SERVER = {"prosecours_root": "D:\\", "prosecours_software": ["isagdwf"], "prosecours_office": [r"E:\Été"]}
ANNEX: dict[str, Any] = {
    "prosecours_client_name": "GAEC d'Été",
    "prosecours_subscribed_gb": 20,
    "servers": {"Serveur principal": SERVER},
}


def annex(tmp_path: Path, content: Any) -> Wanted:
    path = tmp_path / "annexe.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return answers.read_annex(path)


def test_an_annex_says_what_the_form_asks_for(tmp_path: Path) -> None:
    found = annex(tmp_path, ANNEX)
    assert found.servers == {"Serveur principal": SERVER}
    assert found.shared["prosecours_client_name"] == "GAEC d'Été"


HOSTILE: dict[str, Any] = {
    "computed by Ansible": {"prosecours_client_name": "{{ lookup('pipe', 'id') }}"},
    "computed, in a name": {"servers": {"{% if x %}": SERVER}},
    "steers a terminal": {"prosecours_client_name": "GAEC\x1b[2J"},
    "hides what it is": {"prosecours_client_name": "GAEC\u202etxt"},
    "another line of the file": {"prosecours_client_name": "GAEC\nprosecours_excludes: ['*']"},
    "where it is reached": {"servers": {"a": {**SERVER, "ansible_host": "10.0.0.1"}}},
    "how it is reached": {"ansible_connection": "local"},
    "its place": {"prosecours_repository_url": "rest:https://elsewhere.example/"},
    "its host": {"prosecours_repository_host": "other"},
    "its password": {"servers": {"a": {**SERVER, "prosecours_encryption_password": "x" * 12}}},
    "its name in the inventory": {"client": "other_client"},
    "what promises less": {"prosecours_retention_daily": 7},
    "signed": {"prosecours_signed": {"fingerprint": "0" * 32, "date": "2026-01-01", "signatory": "x"}},
    "long": {"prosecours_client_name": "x" * 301},
    "many servers": {"servers": {f"s{number}": SERVER for number in range(21)}},
    "no servers": {"servers": ["a"]},
    "a wrong value": {"prosecours_subscribed_gb": "2"},
    "a wrong path": {"servers": {"a": {**SERVER, "prosecours_office": [r"\\elsewhere\share"]}}},
    "no list": [ANNEX],
    "too deep": b"[" * 60_000,
    "too large": b'{"prosecours_client_name": "' + b"x" * 70_000 + b'"}',
    "whole before its end": json.dumps(ANNEX).encode().ljust(65_537),
    "said twice": b'{"prosecours_subscribed_gb": 1, "prosecours_subscribed_gb": 2}',
    "no number": b'{"prosecours_subscribed_gb": NaN}',
    "no UTF-8": b"\xff\xfe{}",
    "half of it": b'{"prosecours_client_name": "GA',
    "YAML": b"a: &a [x, x]\nb: [*a, *a]\n",
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_annex_is_one_sentence(content: Any, tmp_path: Path) -> None:
    given = {**ANNEX, **content} if isinstance(content, dict) else content
    with pytest.raises(BadAnnex) as error:
        annex(tmp_path, given)
    said = str(error.value)
    assert said.isprintable()
    assert len(said) < 3000


def test_no_file_at_all(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none", Path("/dev/zero")):
        with pytest.raises(BadAnnex):
            answers.read_annex(path)


TOLD = Wanted("ete", {"prosecours_contract_reference": "PS-1"}, {"ete-srv": {"ansible_host": "10.0.0.1"}})


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("prosecours_options: []\nservers: &all\n  a: *all\n", 3),
        ("prosecours_office:\n- x\n- &b [1, [*b]]\n", 3),
        ("\na: " + "[" * 900 + "]" * 900, 2),
    ],
    ids=["mapping", "list", "deep"],
)
def test_a_file_of_answers_without_an_end_is_one_sentence(text: str, line: int) -> None:
    _told, scope, [wrong] = answers.read(Path("answers.yml"), lambda _: text)
    says = "it is nested too deeply, or an alias (*) stands within what it names"
    assert (scope, wrong.line, wrong.problem) == (None, line, says)


def test_an_alias_beside_what_it_names_is_read() -> None:
    text = "prosecours_options: &none []\nservers: {a: {prosecours_software: *none}}\n"
    told, _scope, wrong = answers.read(Path("answers.yml"), lambda _: text)
    assert (told.servers, wrong) == ({"a": {"prosecours_software": []}}, [])


def test_a_technician_says_the_rest() -> None:
    from_client = Wanted("", {"prosecours_subscribed_gb": 20}, {"a": SERVER})
    whole, wrong = answers.joined(TOLD, from_client)
    assert wrong == []
    assert whole.servers == {"ete-srv": {"ansible_host": "10.0.0.1", **SERVER}}
    assert whole.shared == {"prosecours_subscribed_gb": 20, "prosecours_contract_reference": "PS-1"}
    two = Wanted("", {}, {"a": SERVER, "b": SERVER})
    assert [one.problem for one in answers.joined(TOLD, two)[1]] == [
        "which server of the annex it is, is missing"
    ]
    one_of_two = Wanted("ete", {}, {"ete-srv": {"ansible_host": "x", "annex_server": "b"}})
    assert "'a'" in answers.joined(one_of_two, two)[1][0].problem
    several = Wanted("ete", {}, {"ete-srv": {"annex_server": ["a"]}})
    assert [one.problem for one in answers.joined(several, two)[1]] == ["the annex has no such server"]
    both = Wanted("ete", {"prosecours_subscribed_gb": 1}, {"ete-srv": {"prosecours_root": "E:\\"}})
    assert [one.way for one in answers.joined(both, from_client)[1]] == [
        ("prosecours_subscribed_gb",),
        ("servers", "ete-srv", "prosecours_root"),
    ]
