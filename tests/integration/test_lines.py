"""What a technician reads of a run: docs/output.md, word for word, and Ansible's own output with -v."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from support.inventory import OVER_WINRM, client, write
from support.playbook import CHECKOUT, Played, play

from .conftest import Site, farm

pytestmark = pytest.mark.lab

PAGE = CHECKOUT / "docs" / "output.md"
LINES = {"ANSIBLE_STDOUT_CALLBACK": "prosecours.backup.lines"}
NOW = re.compile(r"(?m)^(Outside office hours: |.* delivered, .* left$).*\n")
"""Whether they are told depends on when the test runs, and how fast."""


def printed(title: str) -> str:
    """What the page says under a title is printed, after the command line."""
    chapter = PAGE.read_text("utf-8").split(f"## {title}\n")[1].split("\n## ")[0]
    [block] = re.findall(r"```\n\$ .*\n((?:.*\n)*?)```", chapter)
    return str(block)


def said(played: Played, *names: tuple[str, str]) -> str:
    """All that a run said, with these texts replaced; what goes to standard error is the first of it."""
    text = NOW.sub("", played.stderr + played.stdout)
    for name, stand_in in names:
        text = text.replace(name, stand_in)
    return text.strip("\n") + "\n"


@pytest.fixture
def technician(bare: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """Who has the settings of this checkout's ansible.cfg."""
    for name, value in LINES.items():
        monkeypatch.setitem(bare.environment, name, value)
    return bare


def test_a_run_that_is_well_and_a_server_that_fails(technician: Site) -> None:
    names = (technician.address, "192.0.2.10"), (str(technician.inventory), "inventories/mine")
    first = technician.play("deploy")
    assert said(first, *names) == printed("A run that is well")
    own = technician.inventory / "autre.yml"
    write(own, farm("ferme_du_lac", "lac-srv", "127.0.0.1", "PS-2026-0507", ansible_port=9))
    try:
        failed = technician.play("deploy")
    finally:
        own.unlink()
    assert (first.code, failed.code) == (0, 2)
    assert said(failed, *names, ("127.0.0.1", "192.0.2.20")) == printed("A server that fails")

    whole = technician.play("deploy", "-v")
    assert whole.recap["ok"] > 3
    assert "TASK [prosecours.backup.agent : Deploy, upgrade or repair the agent]" in whole.stdout
    assert "  ok    Clock" in whole.stdout, "the table of the preflight"


def test_a_contract_that_is_refused(tmp_path: Path) -> None:
    first = client("gaec_du_moulin", "rest:https://depot.example:8443/", **OVER_WINRM)
    variables = first["prosecours_clients"]["children"]["gaec_du_moulin"]["vars"]
    variables |= {"prosecours_subscribed_gb": "dix", "prosecours_contact_main": {"name": "Martin"}}
    write(tmp_path / "clients" / "gaec_du_moulin.yml", first)
    (tmp_path / "clients" / "scea_du_pre.yml").write_text("prosecours_clients:\n  children: [\n", "utf-8")
    played = play(tmp_path, "check", environment=LINES)
    assert played.code == 2
    assert said(played, (str(tmp_path), "inventories/mine")) == printed("A contract that is refused")


def test_what_others_tasks_say(tmp_path: Path) -> None:
    """Tasks that say something, loops, a module that is not ours, and one whose output nobody may see; a play
    that has no host says nothing."""
    tasks = [
        {
            "name": "Say",
            "ansible.builtin.debug": {"msg": "hello {{ item }}"},
            "loop": [1, 2],
            "when": "host == 'a'",
        },
        {"name": "Change", "ansible.builtin.command": "true", "loop": [1, 2], "when": "host == 'b'"},
        {"name": "Let pass", "ansible.builtin.command": "false", "ignore_errors": True},
        {
            "name": "Break",
            "ansible.builtin.command": "sh -c 'echo no room >&2; exit 3'",
            "when": "host == 'a'",
        },
        {"name": "Hide", "ansible.builtin.command": "cat /secret", "no_log": True, "when": "host == 'c'"},
    ]
    own = {"host": "{{ inventory_hostname }}", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
    plays = [{"hosts": "all", "gather_facts": False, "connection": "local", "vars": own, "tasks": tasks}]
    plays.insert(0, {**plays[0], "hosts": "all:!all"})
    (tmp_path / "others.yml").write_text(yaml.safe_dump(plays, sort_keys=False), "utf-8")
    played = play("a,b,c,", tmp_path / "others.yml", environment=LINES)
    assert played.code == 2
    assert said(played).splitlines() == [
        "a: hello 1",
        "a: hello 2",
        "a: Break: non-zero return code: no room",
        "c: Hide: it failed; what it says is hidden, since it may hold a secret",
        "a  failed",
        "b  2 changes",
        "c  failed",
    ]
