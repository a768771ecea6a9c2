"""A request to restore, checked against the contract; documented in plugins/modules/restore_request.py."""

from __future__ import annotations

from ..plugin_utils.restore import request as restore_request
from ..plugin_utils.restore.action import RequestAction


class ActionModule(RequestAction):
    """See plugins/modules/restore_request.py for the arguments."""

    load = staticmethod(restore_request.load)
    refused = "Nothing was restored."
