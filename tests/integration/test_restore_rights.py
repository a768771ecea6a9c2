"""What a restore in place leaves of the rights of the folders above: a restic that sets them, as restic does
on Windows, and the lab's cmd.exe and icacls."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.prosecours.backup.plugins.plugin_utils.restore import apply as restore_apply
from ansible_collections.prosecours.backup.plugins.plugin_utils.restore.plan import Item, Run
from ansible_collections.prosecours.backup.plugins.plugin_utils.windows import delivery
from lab.wine_host import run
from unit.restore.test_run import IN_PLACE, REQUEST

from windows_lab.server import WindowsServer

pytestmark = pytest.mark.lab

FOLDER = "C:\\Agent"
ABOVE = "D:\\Élevage & co"
ITEM = f"{ABOVE}\\2026!\\a"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WindowsServer]:
    files = {f"{ITEM}\\x.txt": "live"}
    machine = WindowsServer(
        "srv", tmp_path_factory.mktemp("r"), {"lab_files": files}, {"Administrateur": "x"}
    )
    machine.prepare()
    yield machine
    machine.close()


def rights(host: WindowsServer, folder: str) -> str:
    answer = run(host, f'icacls "{folder}" /save C:\\seen.acl /q >nul & type C:\\seen.acl')
    return answer.out.decode("utf-16-le")


def test_the_folders_above_keep_their_rights(host: WindowsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: dict[str, bytes] = {}
    monkeypatch.setattr(delivery, "send", lambda _session, _folder, files, _tar: sent.update(files) or True)
    plan = replace(IN_PLACE, items=(Item(ITEM, 1, 4, 4, 0),), keep=())

    class Session:
        host = "srv"

        def run(self, line: str, **_: Any) -> Any:
            return type("Output", (), {"exit_code": 0})

    seen = type("Seen", (), {"tar": True})
    restore_apply.start(
        Session(),  # type: ignore[arg-type]
        replace(REQUEST, in_place=True),
        FOLDER,
        plan,
        [Run("", "D:\\", ())],
        seen,  # type: ignore[arg-type]
    )
    state = host.drives.find(f"{FOLDER}\\restore\\{REQUEST.id}")
    state.mkdir(parents=True)
    (state / "restore.cmd").write_bytes(sent["restore.cmd"])
    # The folders' names go by arguments, so that this file need not know their code page.
    spoil = "@icacls D:\\*vage* /grant *S-1-1-0:(OI)(CI)F /q\r\n@icacls D:\\*vage* /remove *S-1-5-18 /q\r\n"
    (host.drives.find(FOLDER) / "restic.cmd").write_bytes(spoil.encode("ascii"))
    run(host, f'icacls "{ABOVE}" /inheritance:r /grant:r *S-1-5-18:(OI)(CI)F *S-1-5-32-544:(OI)(CI)F')
    before = [rights(host, folder) for folder in (ABOVE, f"{ABOVE}\\2026!", ITEM)]
    host.drives.find("D:\\t.xml").write_bytes(sent["task.xml"])
    assert run(host, "schtasks /create /tn \\ProSecours\\R /xml D:\\t.xml /f").code == 0
    assert run(host, "schtasks /run /tn \\ProSecours\\R").code == 0
    host.scheduler.wait()
    assert host.scheduler.status()[0]["last_result"] == 0, list(Path(state).iterdir())
    assert (state / "above.log").exists()
    assert [rights(host, folder) for folder in (ABOVE, f"{ABOVE}\\2026!", ITEM)] == before
    run(host, f"{FOLDER}\\restic.cmd")
    assert rights(host, ABOVE) != before[0], "restic has not touched them at all"
