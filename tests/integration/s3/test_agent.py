"""A Windows server that backs itself up into a bucket: the agent as it is deployed, on a lab server (C20)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ..conftest import AGENT, Site
from .conftest import Supplier

pytestmark = pytest.mark.lab


def test_a_server_backs_itself_up_into_a_bucket(bare: Site, supplier: Supplier, tmp_path: Path) -> None:
    [client] = supplier.add(bare.client, bare.host)
    supplier.play("repository")
    settings = tmp_path / "bucket.json"
    settings.write_text(
        json.dumps(
            {
                "prosecours_repository_url": client.base,
                "prosecours_repository_username": client.key,
                "prosecours_repository_password": f"key-of-{client.key}",
                "prosecours_repository_ca": supplier.ca.read_text(),
            }
        )
    )
    done = bare.play("deploy", "-e", f"@{settings}")
    assert done.code == 0, done.output
    again = bare.play("deploy", "-e", f"@{settings}")
    assert (again.code, again.recap["changed"]) == (0, 0), again.output
    assert f"key-of-{client.key}" not in done.output + again.output
    bare.control.ask("clock", host=bare.host, advance=86400.0, to=None)
    assert json.loads(bare.expect(f'type "{AGENT}\\status.json"'))["exit_code"] == 0
    client.restic("restore", "latest", "--target", str(tmp_path / "restored"))
    assert {path.name for path in (tmp_path / "restored").rglob("*.txt")} == {"a.txt", "b.txt", "c.txt"}
