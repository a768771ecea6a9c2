"""The playbook at another time: a restore keeps the office hours of its client (C8)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml
from integration.office_hours.test_playbook import Controller
from support.playbook import PLAYBOOKS
from unit.contract.conftest import MOULIN

REQUEST = r"""
client: gaec_du_moulin
requester: {requester}
mail_date: 2026-11-20
main_backup_failed: true
server: moulin-srv1
date: 2026-11-20
whole_server: true
"""


@pytest.fixture
def controller(tmp_path: Path) -> Iterator[Controller]:
    with ExitStack() as stack:
        yield Controller(tmp_path, stack)


def restore(controller: Controller, at: str, requester: str) -> tuple[int, str]:
    file = controller.folder / "request.yml"
    file.write_text(REQUEST.format(requester=requester), encoding="utf-8")
    played = controller.play(
        at, "-e", f"prosecours_restore_request={file}", playbook=PLAYBOOKS / "restore.yml"
    )
    return played.code, played.text


def contact() -> str:
    client = yaml.safe_load(MOULIN)["prosecours_clients"]["children"]["gaec_du_moulin"]
    return str(client["vars"]["prosecours_contact_main"]["email"])


def test_outside_the_office_hours_no_server_is_touched(controller: Controller) -> None:
    code, said = restore(controller, "2026-11-21 10:00:00", contact())
    assert code == 2, said
    assert "it is Saturday; the next opening is Monday 23 November 2026 at 08:30" in said
    assert controller.called() == 0


def test_a_request_that_is_refused_touches_no_server(controller: Controller) -> None:
    code, said = restore(controller, "2026-11-23 10:00:00", "someone@elsewhere.example")
    assert code == 2, said
    assert '"someone@elsewhere.example" is no contact of' in said
    assert "Traceback" not in said
    assert controller.called() == 0
