"""Ask a Windows server what only a real one can tell, and keep its answers: python -m tools.record HOST

HOST is a server of the inventory with its own ansible_* variables, one that nobody works on. The answers
go to build/recordings/<build>-<language>.zip, without names. docs/windows-lab.md says what they settle.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ansible_collections.prosecours.backup.plugins.plugin_utils import binaries
from ansible_collections.prosecours.backup.plugins.plugin_utils.errors import ProSecoursError
from ansible_collections.prosecours.backup.plugins.plugin_utils.files import write_whole

from tools.record import CHECKOUT
from tools.record.connection import Server, variables
from tools.record.run import record


def main(arguments: list[str] | None = None) -> int:
    """The exit code: 0, or 1 with a sentence."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.record",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("host", metavar="HOST")
    parser.add_argument(
        "--inventory", "-i", action="append", default=[], metavar="PATH", help="as for ansible-playbook"
    )
    parser.add_argument("--output", "-o", type=Path, metavar="ZIP", help="where the recording goes")
    given = parser.parse_args(arguments)
    try:
        server = Server(given.host, variables(given.host, given.inventory))
        wanted = binaries.artefact("restic", "windows/amd64")
        restic = binaries.obtain(wanted, binaries.default_cache(), _say)
        try:
            recording = record(server, restic.path, _say)
        finally:
            server.close()
        windows = recording.windows
        name = f"{windows['build']}-{windows['language'] or 'unknown'}.zip"
        print(write_whole(given.output or CHECKOUT / "build" / "recordings" / name, recording.packed()))
    except ProSecoursError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted; what was made on the server has been removed.", file=sys.stderr)
        return 130
    return 0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
