"""What a size limit does not count: configurations and folders under any new path, and keys without end."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import pytest
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance import fleet
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.fleet import door_of
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.reserve import given_up
from integration.maintenance.client import PASSWORD, Client

# A repository behind a rest-server that runs as a user of its own.
from integration.maintenance.test_gate import Served, served  # noqa: F401

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="folders are closed to a server of another user")


def posted(url: str, data: bytes = b"") -> int:
    """The status of the answer."""
    address = url.removeprefix("rest:")
    request = urllib.request.Request(address, data, method="POST")  # noqa: S310 -- loopback
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def folders(top: Path) -> int:
    return sum(path.is_dir() for path in top.rglob("*"))


def test_no_configuration_no_key_and_no_folder_is_added_to_a_repository(served: Served) -> None:  # noqa: F811
    """`POST /farm/new/config` stored 300 MB with a limit of 1 MB; 100 creates made 26,000 folders."""
    path, key = served.client.path, b'{"a key": "of his own"}'
    own = {one.name for one in (path / "keys").iterdir()}
    assert posted(f"{served.url}early/?create=true") == 200
    assert posted(f"{served.url}early/config", b"x" * 100_000) == 200
    result = served.maintain(subscribed_gb=20)
    assert "further repositories: accepted" in result["diff"]["before"]
    assert "further repositories" not in result["diff"]["after"]
    assert result["fence_put_up"] is True
    before = folders(path.parent)
    for name in ("new", "data/new", "early/new", "keys/new"):
        assert posted(f"{served.url}{name}/?create=true") >= 400
        assert posted(f"{served.url}{name}/config", b"x" * 100_000) >= 400
    assert posted(f"{served.url}keys/{sha256(key).hexdigest()}", key) >= 400
    assert posted(f"{served.url}early/keys/{sha256(key).hexdigest()}", key) >= 400
    assert folders(path.parent) == before
    assert {one.name for one in (path / "keys").iterdir()} == own
    served.sent()
    served.restic("check", "--read-data")
    again = served.maintain(subscribed_gb=20)
    assert (again["changed"], again["fence_put_up"]) == (False, False)


def test_a_fence_that_somebody_opened_is_found_and_closed(served: Served) -> None:  # noqa: F811
    served.maintain(subscribed_gb=20)
    keys = served.client.path / "keys"
    keys.chmod(0o700)
    assert door_of(served.known).fenced is False
    assert served.settle(subscribed_gb=20, check=True)["changed"] is True
    assert stat.S_IMODE(keys.stat().st_mode) == 0o700
    assert served.settle(subscribed_gb=20)["diff"]["before"].endswith("further repositories: accepted\n")
    assert stat.S_IMODE(keys.stat().st_mode) == 0o500
    assert door_of(served.known).closed is False
    assert served.settle(subscribed_gb=20)["changed"] is False


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of 24 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=24m,mode=711", "tmpfs", str(place)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_at_zero_bytes_free_the_maintenance_still_works_and_lets_in_again(
    regular: Client, disk: Path, tmp_path: Path
) -> None:
    """One client filled the disk: of none could a version be forgotten, for want of bytes for a lock."""
    for name in ("farm", "hog"):
        shutil.copytree(regular.path, disk / name / "srv")
    known = [
        fleet.Client(name, "PS-1", 1, 7, 2, {"srv": str(disk / name / "srv")}, str(disk / name))
        for name in ("farm", "hog")
    ]
    filler = disk / "hog" / "filler"

    def fill() -> None:
        with filler.open("wb", buffering=0) as filled, suppress(OSError):
            while filled.write(b"x" * 4096):
                pass
        assert shutil.disk_usage(disk).free == 0

    def maintained(reserve_megabytes: int) -> fleet.Outcome:
        settings = fleet.Settings(
            str(tmp_path / "state"), regular.restic, 1, 15, 24, reserve_megabytes=reserve_megabytes
        )
        return fleet.maintain(known, lambda _client, _server: PASSWORD, settings, check=False)

    fill()
    assert "the repository is full" in maintained(0).failures["farm"]
    filler.unlink()
    with given_up(disk, 8 * 10**6, lambda: None) as full:
        assert full is False
    assert (disk / ".reserve").stat().st_blocks * 512 >= 8 * 10**6
    fill()
    done = maintained(8)
    assert not done.failures
    assert len(done.reports["farm"]["removed"]) == 12
    assert any("the disk of its repository host was full" in text for text in done.worries["farm"])
    assert [door_of(one).closed for one in known] == [False, False]
    filler.unlink()
    assert not any("was full" in text for text in maintained(8).worries["farm"])
    assert (disk / ".reserve").stat().st_size == 8 * 10**6
