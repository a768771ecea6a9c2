"""Puts programs into the cache and prints their paths: python tools/fetch.py restic/windows/amd64 ...

An argument is program/system/processor, with @version after it for one that is not the newest pinned.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "build" / "collections"))
from ansible_collections.prosecours.backup.plugins.plugin_utils import binaries


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("wanted", nargs="+", metavar="PROGRAM/SYSTEM/PROCESSOR[@VERSION]")
    arguments = parser.parse_args()
    try:
        for wanted in arguments.wanted:
            name, _unused, version = wanted.partition("@")
            program, _unused, platform = name.partition("/")
            entry = binaries.artefact(program, platform, version or None)
            binary = binaries.obtain(
                entry, binaries.default_cache(), lambda text: print(text, file=sys.stderr, flush=True)
            )
            print(binary.path)
    except binaries.BinaryError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
