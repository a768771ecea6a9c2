"""A client's file as its scenarios read it: with PyYAML and ansible-vault, and nothing of the collection."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import yaml


class _Loader(yaml.SafeLoader):
    """What is in the vault stays closed."""


_Loader.add_constructor("!vault", lambda loader, node: node.value)


def client_in(path: Path) -> Any:
    """The variables and hosts of the client that has the file's name."""
    loaded = yaml.load(path.read_text("utf-8"), Loader=_Loader)  # noqa: S506 -- a kind of SafeLoader
    return loaded["prosecours_clients"]["children"][path.stem]


def opened(sealed: str) -> str:
    """A secret, by ansible-vault itself."""
    command = ["ansible-vault", "decrypt", "--output", "-"]
    return subprocess.run(command, input=sealed, capture_output=True, text=True, check=True).stdout
