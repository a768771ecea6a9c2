"""Python packages from PyPI: who lacks one is told so in one sentence, with the command that installs it.

Ansible loads a plugin before it runs anything, and a failed import would be a traceback there. So an import
that fails is remembered, and `ansible_adapter.CoreAction` refuses to begin while `missing` says something.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from .files import COLLECTION

INSTALL = f"{sys.executable} -m pip install -r {COLLECTION / 'requirements.txt'}"
"""The command that installs all of them for the Python that runs this."""

_MISSING: dict[str, None] = {}  # a set in order


@contextmanager
def from_pypi() -> Iterator[None]:
    """`with from_pypi(): import holidays`, after all other imports of a file."""
    try:
        yield
    except ModuleNotFoundError as error:
        _MISSING[str(error.name)] = None


def missing() -> str:
    """What was not found so far and how to install it; empty if nothing is missing."""
    if not _MISSING:
        return ""
    return (
        f"The Python of Ansible, {sys.executable}, has no {', '.join(_MISSING)}, which this collection needs."
        f" Install all that it needs: {INSTALL}."
    )
