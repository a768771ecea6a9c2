"""The one family of errors that a user meets, on this side too: see the module that it comes from."""

from __future__ import annotations

from ..module_utils.maintenance.errors import ProSecoursError, SeveralErrors, full_stop

__all__ = ["ProSecoursError", "SeveralErrors", "full_stop"]
