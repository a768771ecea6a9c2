"""The version of a restore is asked of the repository host before any server is."""

from __future__ import annotations

from datetime import date

import pytest
import yaml
from integration.maintenance.test_playbook import Depot, depot  # noqa: F401
from unit.maintenance.simulation import at


@pytest.mark.slow
def test_the_playbook_asks_the_repository_host_first(depot: Depot) -> None:  # noqa: F811
    moulin = depot.add("moulin")
    good = moulin.backup(at("2026-01-05"), host="moulin-srv")
    # Claims to be of the next evening, and arrived a week later.
    moulin.backup(at("2026-01-06"), host="moulin-srv", arrival=at("2026-01-13"))
    request = {
        "client": "moulin",
        "requester": "jeanne.martin@ferme.example.com",
        "mail_date": date.today().isoformat(),
        "main_backup_failed": True,
        "server": "moulin-srv",
        "date": "2026-01-12",
        "whole_server": True,
    }
    file = depot.folder / "request.yml"
    file.write_text(yaml.safe_dump(request), encoding="utf-8")
    given = ("-v", "-e", f"prosecours_restore_request={file}", "-e", "prosecours_reason=a test")
    given += ("-e", "prosecours_restore_unjudged=false")  # a text, as from every command line
    refused = depot.run("restore", *given)
    assert "there is no restic. Run playbooks/retention.yml, it brings one." in refused.text
    (depot.folder / "bin").mkdir()
    (depot.folder / "bin" / "restic").symlink_to(depot.restic)
    played = depot.run("restore", *given)
    chosen = played.output.partition("Choose the version")[2].partition("Restore what was asked for")[0]
    assert good in chosen, played.output
    assert "after the time that it claims" in chosen, played.output
    assert "Traceback" not in played.output
