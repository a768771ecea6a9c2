"""The playbooks at another time: the whole of Ansible runs under `faketime`, as at that hour."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import support.playbook
import yaml
from integration.contract.test_action import SHARED
from support.addresses import address
from support.playbook import PLAYBOOKS, Played
from unit.contract.conftest import LAC, MOULIN

ADDRESSES = {f"127.0.1.{number}": address() for number in (11, 12, 13)}

GATE = [
    {"ansible.builtin.import_playbook": str(PLAYBOOKS / "check.yml")},
    {"ansible.builtin.import_playbook": str(PLAYBOOKS / "office_hours.yml")},
    {
        "hosts": "prosecours_clients",
        "gather_facts": False,
        "tasks": [{"ansible.builtin.debug": {"msg": "the work begins on {{ inventory_hostname }}"}}],
    },
]
"""What deploy.yml does before it touches a server, and a mark that shows that it would go on."""


def worked_on(played: Played) -> set[str]:
    return set(re.findall(r"the work begins on ([\w-]+)", played.output))


class Controller:
    """An inventory whose servers listen and count who calls, and ansible-playbook at a given time (UTC)."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        (folder / "inventory" / "clients").mkdir(parents=True)
        (folder / "inventory" / "all_clients.yml").write_text(SHARED, "utf-8")
        (folder / "gate.yml").write_text(yaml.safe_dump(GATE), "utf-8")
        for name, text in {"moulin": MOULIN, "lac": LAC}.items():
            self.client(name, text)
        self._servers = [stack.enter_context(socket.create_server((a, 5986))) for a in ADDRESSES.values()]

    def client(self, name: str, text: str) -> None:
        for lab, own in ADDRESSES.items():
            text = text.replace(lab, own)
        (self.folder / "inventory" / "clients" / f"{name}.yml").write_text(text, "utf-8")

    def called(self) -> int:
        """How many connections the servers were asked for."""
        calls = 0
        for server in self._servers:
            server.setblocking(False)
            try:
                server.accept()[0].close()
                calls += 1
            except BlockingIOError:
                pass
        return calls

    def play(self, at: str, *arguments: str, playbook: Path | None = None) -> Played:
        return support.playbook.play(
            self.folder / "inventory",
            playbook or self.folder / "gate.yml",
            *arguments,
            before=("faketime", "-f", f"@{at}"),
            # A controller in another time zone has the same office hours: Europe/Paris.
            environment={"TZ": "UTC"},
        )


@pytest.fixture
def controller(tmp_path: Path) -> Iterator[Controller]:
    with ExitStack() as stack:
        yield Controller(tmp_path, stack)


ALL = {"moulin-srv1", "moulin-sql", "lac-srv"}


def test_in_office_hours_nothing_is_said(controller: Controller) -> None:
    played = controller.play("2026-11-23 16:59:00")  # 17:59 in Paris
    assert played.code == 0, played.output
    assert worked_on(played) == ALL
    assert "office hours:" not in played.output


def test_deploy_outside_is_refused_before_any_server_is_touched(controller: Controller) -> None:
    played = controller.play("2026-11-23 17:00:00", playbook=PLAYBOOKS / "deploy.yml")  # 18:00 in Paris
    assert played.code == 2
    assert (
        "Outside office hours: it is 18:00 in Paris; the next opening is Tuesday 24 November 2026 at 08:30."
        " No server was touched." in played.text
    )
    assert "prosecours_reason" in played.text
    assert "Traceback" not in played.output
    assert controller.called() == 0


@pytest.mark.parametrize("reason", ["", "  ", "...", "42"])
def test_no_reason_is_no_reason(controller: Controller, reason: str) -> None:
    played = controller.play("2026-11-21 10:00:00", "-e", f"prosecours_reason='{reason}'")
    assert played.code == 2, played.output
    assert "it is Saturday" in played.text
    assert worked_on(played) == set()


def test_with_a_reason_it_goes_on_and_says_so(controller: Controller) -> None:
    played = controller.play(
        "2026-11-21 10:00:00", "-e", "prosecours_reason='serveur remplacé, demandé par Mme Lefèvre'"
    )
    assert played.code == 0, played.output
    assert worked_on(played) == ALL
    assert "It goes on, because: serveur remplacé, demandé par Mme Lefèvre" in played.output


def test_check_mode_is_not_refused_but_says_so(controller: Controller) -> None:
    played = controller.play("2026-11-21 10:00:00", "--check")
    assert played.code == 0, played.output
    assert "Without --check this would be refused." in played.text
    assert worked_on(played) == ALL


def test_each_client_is_judged_by_its_own_calendar(controller: Controller) -> None:
    vars_line = "        prosecours_subscribed_gb: 20\n"
    controller.client("lac", LAC.replace(vars_line, f"{vars_line}        prosecours_alsace_moselle: true\n"))
    good_friday = "2026-04-03 08:00:00"
    refused = controller.play(good_friday)
    assert refused.code == 2
    assert (
        "(Vendredi saint); the next opening for ferme_du_lac is Tuesday 7 April 2026 at 08:30."
        in refused.text
    )
    assert worked_on(refused) == set(), "the run is refused as a whole, as one with an invalid contract is"
    limited = controller.play(good_friday, "--limit", "gaec_du_moulin")
    assert limited.code == 0, limited.output
    assert worked_on(limited) == {"moulin-srv1", "moulin-sql"}


def test_a_holiday_has_its_french_name(controller: Controller) -> None:
    played = controller.play("2026-12-25 09:00:00")
    assert "25 December is a public holiday (Noël)" in played.text


LONG_WORK = [
    *GATE[:2],
    {
        "hosts": "prosecours_clients",
        "gather_facts": False,
        "tasks": [{"ansible.builtin.import_role": {"name": "prosecours.backup.agent"}}],
        "vars": {"preflight_result": {"first_backup_hours": "{{ hours }}"}},
    },
]
"""The end of deploy.yml, of servers that preflight would have looked at."""
CLOSED = 9  # a port at which nobody listens


@pytest.mark.parametrize(
    ("hours", "begins", "said"), [(0.25, "now", False), (2.5, "night", False), (2.5, "now", True)]
)
def test_a_first_backup_past_the_closing_is_said_before_it_begins(
    controller: Controller, hours: float, begins: str, said: bool
) -> None:
    playbook = controller.folder / "long.yml"
    playbook.write_text(yaml.safe_dump(LONG_WORK), "utf-8")
    settings = {
        "hours": hours,
        "prosecours_agent_first_backup": begins,
        "ansible_connection": "ansible.builtin.winrm",
        "ansible_user": "noc",
        "ansible_password": "nobody asks",
        "ansible_port": CLOSED,
    }
    played = controller.play(
        "2026-11-23 16:30:00", "--limit", "lac-srv", "-e", json.dumps(settings), playbook=playbook
    )
    before, no_answer, _after = played.text.partition("lac-srv: no answer from")
    assert no_answer, played.output
    sentence = (
        r"The first backup of lac-srv would run until about 20:0\d, past the end of office hours at 18:00\."
    )
    assert bool(re.search(sentence, before)) == said, played.output
