"""What the client's contact asks for (C3), in short, on any Windows: beside the data, and in place.

The server's own programs tell what it became, and a Linux restic what it is to be. All the rest of a restore
(odd names, another server, an interruption, the record) is shown by the scenario `restore`, on lab hosts.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import restoring
from verifier import Server

FOLDER, ABOVE = r"D:\isapawp", r"D:\isagiwf"
DAMAGED, DELETED, NEWER = "l'état & la suite.txt", "bulletin (août).pdf", "depuis.txt"
KEPT = r"D:\Restauration"


def request(name: str, server: Server, **wanted: Any) -> Path:
    """A request file of today."""
    contact = "helene.chateau@tilleuls.example.com"
    return restoring.request(name, "gaec_des_tilleuls", server.name, contact, **wanted)


def made(server: Server) -> set[str]:
    """The folders that restores have made."""
    return set(server.run(f'dir /b /ad "{KEPT}" 2>nul').stdout.splitlines())


def version(restored: Path, folder: str, pattern: str = "*") -> dict[str, str]:
    """SHA-256 of the files right in a folder of the newest version, by name."""
    place = restored / folder.replace(":", "").replace("\\", "/")
    files = [path for path in place.glob(pattern) if path.is_file()]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_beside_the_data(server: Server, restored: Path) -> None:
    wanted = version(restored, FOLDER), version(restored, ABOVE, "[Bb]*.[Gg][Ii][Ww]")
    before = server.hashes(FOLDER), server.hashes(ABOVE), made(server)
    done = restoring.play(request("beside", server, items=[FOLDER, rf"{ABOVE}\B*.GIW"]))
    assert restoring.changed(done, server.name) == 1
    [fresh] = made(server) - before[2]
    beside = rf"{KEPT}\{fresh}\D"
    assert (server.hashes(rf"{beside}\isapawp"), server.hashes(rf"{beside}\isagiwf")) == wanted
    assert (server.hashes(FOLDER), server.hashes(ABOVE)) == before[:2], "live data was touched"
    assert all(wanted)


def test_in_place_keeps_what_was_there_and_the_rights_above_it(server: Server, restored: Path) -> None:
    wanted, before = version(restored, FOLDER), made(server)
    server.expect(f'echo d’un inconnu>"{FOLDER}\\{DAMAGED}"&&del "{FOLDER}\\{DELETED}"')
    server.expect(f'echo de ce matin>"{FOLDER}\\{NEWER}"&&del "{ABOVE}\\B0001.GIW"')
    server.expect(f'icacls "{ABOVE}" /grant "*S-1-5-32-545:(OI)(CI)M" /q')
    damage, rights = server.hashes(FOLDER), server.sddl(ABOVE)
    assert damage[DAMAGED] != wanted[DAMAGED]
    file = request("in_place", server, items=[FOLDER, rf"{ABOVE}\B0001.GIW"], target={"in_place": True})
    restoring.play(file)
    live = server.hashes(FOLDER)
    assert {name: live[name] for name in wanted} == wanted
    assert live[NEWER] == damage[NEWER], "a file that the version does not hold was touched"
    assert server.hashes(ABOVE)["B0001.GIW"] == version(restored, ABOVE)["B0001.GIW"]
    assert server.sddl(ABOVE) == rights, "a folder above the items has the rights of the version"
    [kept] = made(server) - before
    assert server.hashes(rf"{KEPT}\{kept}\D\isapawp") == damage
    assert restoring.changed(restoring.play(file), server.name) == 0
