"""Ask a Windows server what only a real one can tell, and keep its answers: python -m tools.record HOST

HOST is a server of the inventory with its own ansible_* variables, one that nobody works on. The answers
go to build/recordings/<build>-<language>.zip, without names. docs/windows-lab.md says what they settle.
With --direct, which needs no Ansible and runs on Windows too, the environment says how HOST is reached:
PROSECOURS_WINDOWS_HOST, _USER, _PASSWORD, _CA and perhaps _PORT.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ansible_collections.prosecours.backup.plugins.plugin_utils import binaries
from ansible_collections.prosecours.backup.plugins.plugin_utils.errors import ProSecoursError

from tools.record import CHECKOUT
from tools.record.run import RecorderError, record
from tools.record.server import Server


def arguments() -> argparse.ArgumentParser:
    """What the command takes."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.record",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("host", metavar="HOST")
    parser.add_argument(
        "--inventory", "-i", action="append", default=[], metavar="PATH", help="as for ansible-playbook"
    )
    parser.add_argument("--direct", action="store_true", help="by pywinrm alone: no Ansible, no inventory")
    parser.add_argument("--output", "-o", type=Path, metavar="ZIP", help="where the recording goes")
    return parser


def main() -> int:
    """The exit code: 0, or 1 with a sentence."""
    given = arguments().parse_args()
    try:
        server = _direct(given.host) if given.direct else _of_the_inventory(given.host, given.inventory)
        wanted = binaries.artefact("restic", "windows/amd64")
        restic = binaries.obtain(wanted, binaries.default_cache(), _say, alone=given.direct)
        try:
            recording = record(server, restic.path, _say)
        finally:
            server.close()
        windows = recording.windows
        name = f"{windows['build']}-{windows['language'] or 'unknown'}.zip"
        print(_kept(given.output or CHECKOUT / "build" / "recordings" / name, recording.packed()))
    except ProSecoursError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted; what was made on the server has been removed.", file=sys.stderr)
        return 130
    return 0


def _of_the_inventory(host: str, sources: Sequence[str]) -> Server:
    try:
        from tools.record import inventory
    except ImportError as error:
        raise RecorderError(
            f"an inventory is read by Ansible, which cannot be imported here ({error})",
            "Say --direct, and in the environment how the server is reached",
            host,
        ) from error
    values = inventory.variables(host, sources)
    return Server(host, values, lambda: inventory.connection(values))


def _direct(host: str) -> Server:
    from tools.record import direct

    values = direct.variables(host)
    return Server(host, values, lambda: direct.Connection(values))


def _kept(path: Path, content: bytes) -> Path:
    """For its owner and his group: what nobody knew to be a name is still in it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "wb", opener=lambda name, flags: os.open(name, flags, 0o640)) as file:
            file.write(content)
    except OSError as error:
        raise RecorderError(
            f"{path} cannot be written: {error.strerror}", "Name another file with -o"
        ) from error
    return path


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
