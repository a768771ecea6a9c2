"""After the upgrade: the newer restic, the newer configuration, and the history of both."""

from __future__ import annotations

from verifier import AGENT, Repository, Server


def test_restic_is_the_newer_one(server: Server) -> None:
    assert "0.19.1" in server.expect(f'"{AGENT}\\restic.exe" version')


def test_configuration_is_the_newer_one(server: Server) -> None:
    assert "/d -30 " in server.expect(f'type "{AGENT}\\backup.cmd"')


def test_history_stays_and_goes_on(repository: Repository) -> None:
    first, second = repository.snapshots()
    assert first["program_version"] == "restic 0.18.1"
    assert second["program_version"] == "restic 0.19.1"
    # The newer restic takes the older snapshot for its parent: nothing is read or sent twice.
    assert second["parent"] == first["id"]
    repository.run("check", "--read-data")


def test_nothing_is_left_behind(server: Server) -> None:
    names = set(server.expect(f'dir /b /a "{AGENT}"').lower().split())
    assert not {name for name in names if "staging" in name or name.endswith((".old", ".new"))}
