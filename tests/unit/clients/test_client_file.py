"""A client's file is edited by its lines: nothing else changes, and what cannot be edited so is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.prosecours.backup.plugins.plugin_utils.clients.answers import Wanted
from ansible_collections.prosecours.backup.plugins.plugin_utils.clients.client_file import (
    MASKED,
    CannotEdit,
    ClientFile,
    differences,
    render,
    shown,
)
from ansible_collections.prosecours.backup.plugins.plugin_utils.contract.contracts import RETIRED

HEAD = """\
prosecours_clients:
  children:
    gaec:
"""
VARS = """\
      vars:
        prosecours_client_name: GAEC   # as signed
        # what follows is the address
        prosecours_postal_address:
          lines: [rue]
"""
HOSTS = """\
      # Annexe 1
      hosts:
        one:
          ansible_host: 10.0.0.1
          prosecours_encryption_password: !vault |
            $ANSIBLE_VAULT;1.1;AES256
            6162
          prosecours_repository_password: !vault |
            $ANSIBLE_VAULT;1.1;AES256
            6364

        # of two
        "two": {ansible_host: 10.0.0.2, prosecours_encryption_password: "{{ vault_two }}"}
        three:
          prosecours_office: ['D:\\x']
          # no address"""
PATH = Path("gaec.yml")
FILES = {"vars first": HEAD + VARS + HOSTS + "\n", "hosts first": HEAD + HOSTS + "\n" + VARS}
FILES |= {f"{name}, no last line end": text.rstrip("\n") for name, text in FILES.items()}
FILES |= {f"{name}, of Windows": text.replace("\n", "\r\n") for name, text in FILES.items()}


@pytest.mark.parametrize("text", FILES.values(), ids=FILES)
def test_servers_leave_one_after_the_other(text: str) -> None:
    for server in ("one", "three"):
        file = ClientFile.read(PATH, text)
        after = file.retired(server, "2026-11-27", lambda: "$ANSIBLE_VAULT;1.1;AES256\n65\n")
        differences(file, after).only_retired(server, RETIRED)
        kept = after.splitlines()
        gone = [line for line in text.splitlines() if line not in kept]
        assert gone[0] == f"        {server}:"
        assert not [line for line in gone if line.startswith("        #") or "two" in line]
        text = after
    assert text.count(RETIRED) == 1
    left = text[text.index(RETIRED) :].splitlines()
    assert [line.strip() for line in left[1:4]] == [
        "one:",
        "date: 2026-11-27",
        "encryption_password: !vault |",
    ]
    assert "6162" in text
    assert "6364" not in text


@pytest.mark.parametrize("text", FILES.values(), ids=FILES)
@pytest.mark.parametrize("server", ["one", "two", "three"])
def test_a_server_gets_another_name(text: str, server: str) -> None:
    file = ClientFile.read(PATH, text)
    sealed = (
        {} if server != "three" else {"prosecours_repository_password": "$ANSIBLE_VAULT;1.1;AES256\n65\n"}
    )
    after = file.renamed(server, "été-1", "10.9.9.9", sealed)
    differences(file, after).only_renamed(server, "été-1")
    again = ClientFile.read(PATH, after)
    assert again.servers == ["été-1" if one == server else one for one in file.servers]
    assert "10.9.9.9" in after
    assert len(after.splitlines()) - len(text.splitlines()) in (0, 6)


def test_what_else_an_edit_would_change_is_found() -> None:
    file = ClientFile.read(PATH, FILES["vars first"])
    right = file.renamed("one", "new", "", {})
    for wrong in (
        right.replace("rue", "route"),
        right.replace("!vault", "", 1),
        right.replace("6364", "6365"),
    ):
        with pytest.raises(CannotEdit):
            differences(file, wrong).only_renamed("one", "new")
    right = file.retired("one", "2026-11-27", str)
    for wrong in (right.replace("rue", "route"), right.replace('"two"', "zwei"), file.text):
        with pytest.raises(CannotEdit):
            differences(file, wrong).only_retired("one", RETIRED)


@pytest.mark.parametrize(
    "text",
    [
        "prosecours_clients: {children: {gaec: {hosts: {one: {}}}}}",
        "all: {}",
        HEAD + "      hosts: {one: {}}\n",
        HEAD + "    scea: {}\n",
    ],
)
def test_what_is_written_otherwise_is_refused(text: str) -> None:
    with pytest.raises(CannotEdit):
        ClientFile.read(PATH, text).retired("one", "2026-11-27", str)


def test_what_encrypts_a_server_s_backups_is_remembered_as_it_is_and_as_no_template() -> None:
    file = ClientFile.read(PATH, FILES["hosts first"].replace('"two": {', "two: {"))
    after = file.retired("two", "2026-11-27", lambda: "$ANSIBLE_VAULT;1.1;AES256\n65\n")
    differences(file, after).only_retired("two", RETIRED)
    assert "vault_two" not in after
    assert after.count("encryption_password: !vault |") == 2


def test_no_password_is_shown() -> None:
    text = shown(FILES["vars first"] + "          mail_password: hunter2\n")
    assert not [one for one in ("AES256", "6162", "vault_two", "hunter2") if one in text]
    assert "ansible_host: 10.0.0.1" in text
    twice = shown("a_password: &it one\nb_password: *it\nc: shown\n")
    assert "one" not in twice
    assert twice.endswith("c: shown\n")


def test_names_that_mean_something_to_yaml_are_names() -> None:
    text = render(Wanted("on", {}, {"no": {}}), PATH.absolute(), {"no": MASKED})
    assert [line.strip() for line in text.splitlines() if line.endswith("':")] == ["'on':", "'no':"]
