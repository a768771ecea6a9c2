"""Which repository host a new client goes to, and at which port."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.prosecours.backup.plugins.module_utils.repository_host.room import room
from ansible_collections.prosecours.backup.plugins.module_utils.repository_host.supervision import Instance
from ansible_collections.prosecours.backup.plugins.plugin_utils.clients.placement import NoPlace, Room, choose
from ansible_collections.prosecours.backup.plugins.plugin_utils.repository.instances import Access

GB = 10**9


def instance(gigabytes: int, port: int = 8041, name: str = "nord.example") -> Instance:
    return Instance("gaec", "ps-gaec", ("srv",), f":{port}", name, gigabytes * GB)


def access(url: str, port: str = "") -> Access:
    return Access(url, {}, port=port)


def test_the_host_with_the_most_room_that_is_not_promised() -> None:
    rooms = {
        "nord": Room(900 * GB, 1000 * GB, frozenset()),  # nearly empty, and promised to others
        "sud": Room(300 * GB, 1000 * GB, frozenset()),
        "est": Room(250 * GB, 250 * GB, frozenset()),
    }
    served = {"nord": [instance(400), instance(500)], "sud": [instance(100)], "est": []}
    place = choose(rooms, served, [], 8041)
    assert (place.host, place.left) == ("sud", 300 * GB)
    assert choose(rooms, served, [], 8041, "nord").name == "nord.example"
    assert choose(rooms, served, [], 8041, "est").name == "est"
    with pytest.raises(NoPlace, match='Did you mean "nord"'):
        choose(rooms, served, [], 8041, "nordd")
    with pytest.raises(NoPlace, match="No repository host answers"):
        choose({}, {}, [], 8041)


def test_no_port_is_given_twice() -> None:
    rooms = {"nord": Room(GB, GB, frozenset({8043, 8045}))}
    known = [
        access("rest:https://sud.example:8041/"),
        access("rest:https://nord.example:443/", "8042"),
        access("s3:https://s3.example/bucket"),
        access("rest:https://nord.example:8044/"),
    ]
    assert choose(rooms, {"nord": []}, known, 8041).port == 8046
    with pytest.raises(NoPlace, match="No port from 65535"):
        choose({"nord": Room(GB, GB, frozenset({65535}))}, {"nord": []}, [], 65535)


def test_what_a_host_tells(tmp_path: Path) -> None:
    """Ports that something listens at, and those of instances that are down just now."""
    proc, config = tmp_path / "proc", tmp_path / "config"
    units = tmp_path / "units" / "prosecours-repository@gaec.service.d"
    for folder in (proc, config / ".supervisor" / "instances", units):
        folder.mkdir(parents=True)
    row = "   0: 0100007F:{port:04X} 00000000:0000 {state} 00000000:00000000"
    rows = ["  sl  local_address", row.format(port=8042, state="0A"), row.format(port=50000, state="01")]
    (proc / "tcp").write_text("\n".join(rows) + "\n")
    (units / "instance.conf").write_text("[Service]\nExecStart=/x/rest-server --listen :8043 --tls\n")
    (config / ".supervisor" / "instances" / "gaec.conf").write_text(
        "command=/x --listen 127.0.0.1:8044 --x\n"
    )
    found = room(tmp_path / "not" / "yet", config, units.parent, proc)
    assert found.ports == (8042, 8043, 8044)
    assert 0 < found.bytes_free <= found.bytes_total
